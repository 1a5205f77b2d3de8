//! The layers of ARCHITECTURE.md: a module uses only what stands below it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};

/// Lowest first; modules of one line may not use each other.
const LAYERS: [&[&str]; 9] = [
    &["base"],
    &["config"],
    &["process"],
    &["plan", "source", "store", "host"],
    &["run"],
    &["debuginfo"],
    &["record", "publish"],
    &["report"],
    &["cli"],
];

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

// Every `crate::module` of a text, comments left out.
fn used(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut modules = Vec::new();
    for line in code {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let words: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            for word in words {
                let name: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                modules.push(name);
            }
        }
    }
    modules
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for file in files(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let Some(own) = level(module) else { continue };
        for used in used(&fs_err::read_to_string(&file).unwrap()) {
            let Some(other) = level(&used) else { continue };
            checked += 1;
            if used != module && other >= own {
                wrong.push(format!("{} uses crate::{used}", relative.display()));
            }
        }
    }
    assert!(checked > 100, "only {checked} uses were found: is the search right?");
    assert!(wrong.is_empty(), "these look up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn the_search_finds_each_form_of_use() {
    let text =
        "use crate::run::log::event;\nuse crate::{plan, store as s};\nfn f() -> crate::cli::X {}\n// crate::report\n";
    assert_eq!(used(text), ["run", "plan", "store", "cli"]);
}
