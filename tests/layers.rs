//! The layers of ARCHITECTURE.md: a module uses only what stands below it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lowest first; modules of one line may not use each other.
const LAYERS: [&[&str]; 8] = [
    &["base"],
    &["config", "debuginfo"],
    &["process"],
    &["plan", "source", "store", "host"],
    &["run"],
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
            // The library of debug information imports `base` alone, and only what shows it imports it.
            let library = (module == "debuginfo" && used != "base" && used != module)
                || (used == "debuginfo" && !["debuginfo", "report", "cli"].contains(&module));
            if library || used != module && other >= own {
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

/// Circles of files that are still there. A circle that is gone must leave this list.
const CIRCLES: [&[&str]; 1] =
    [&["config/expect.rs", "config/load.rs", "config/matrix.rs", "config/matrix_load.rs", "config/mentions.rs"]];

/// The file of `src` that a path of modules leads to: the longest beginning of it that is one.
fn file_of(modules: &[&str], all: &BTreeMap<String, String>) -> Option<String> {
    (1..=modules.len()).rev().find_map(|count| {
        let path = modules[..count].join("/");
        [format!("{path}.rs"), format!("{path}/mod.rs")].into_iter().find(|path| all.contains_key(path))
    })
}

/// The files that a file imports. What a module declares (`mod x;`) or hands on (`pub use`) is its content, and what
/// a submodule takes of the module above it is no import of its siblings.
fn imports(own: &str, text: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let stem = own.strip_suffix("/mod.rs").or_else(|| own.strip_suffix(".rs")).unwrap_or(own);
    let module: Vec<&str> = stem.split('/').collect();
    let mut found = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.starts_with("pub use")) {
        for (at, start) in line.match_indices("crate::").chain(line.match_indices("super::")) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            let mut rest = &line[at..];
            let mut base = module.clone();
            if start == "crate::" {
                base.clear();
                rest = &rest["crate::".len()..];
            }
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            let steps: Vec<&str> = path.split("::").filter(|step| !step.is_empty()).collect();
            let braced: Vec<&str> = match rest[path.len()..].strip_prefix('{') {
                Some(list) => {
                    list.split([',', '{', '}']).map(|word| word.trim().split(' ').next().unwrap_or("")).collect()
                }
                None => vec![""],
            };
            for word in braced {
                let modules = base.iter().copied().chain(steps.iter().copied()).chain(word.split("::"));
                let modules: Vec<&str> = modules.filter(|step| !step.is_empty()).collect();
                found.extend(file_of(&modules, all).filter(|file| file != own && !file.ends_with("mod.rs")));
            }
        }
    }
    found
}

/// The sets of files that reach each other.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from.to_owned()];
        while let Some(file) = todo.pop() {
            todo.extend(graph[&file].iter().filter(|next| seen.insert((*next).clone())).cloned());
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = graph.keys().map(|file| (file.as_str(), reach(file))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (file, all) in &reached {
        let circle: Vec<String> = all.iter().filter(|other| reached[other.as_str()].contains(*file)).cloned().collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeMap::new();
    for file in files(&src) {
        let name = file.strip_prefix(&src).unwrap().display().to_string();
        if !name.ends_with("tests.rs") {
            all.insert(name, fs_err::read_to_string(&file).unwrap());
        }
    }
    let graph: BTreeMap<_, _> = all.iter().map(|(name, text)| (name.clone(), imports(name, text, &all))).collect();
    let count: usize = graph.values().map(BTreeSet::len).sum();
    assert!(count > 500, "only {count} imports were found: is the search right?");
    let known: Vec<Vec<String>> =
        CIRCLES.iter().map(|circle| circle.iter().map(ToString::to_string).collect()).collect();
    let found = circles(&graph);
    let lines: Vec<String> = found.iter().map(|circle| circle.join(", ")).collect();
    assert_eq!(found, known, "the circles of files are:\n{}", lines.join("\n"));
}

#[test]
fn the_search_finds_a_circle() {
    let text = |text: &str| text.to_owned();
    let all = BTreeMap::from([
        (text("a/one.rs"), text("use super::two::{self, Two};\n// crate::b::three\n")),
        (text("a/two.rs"), text("use crate::{b::three, other};\n")),
        (text("b/three.rs"), text("fn f() -> crate::a::one::One {}\n")),
        (text("b/mod.rs"), text("pub mod three;\n")),
        (text("c.rs"), text("use crate::a::one;\n#[cfg(test)]\nuse crate::d;\n")),
        (text("d.rs"), text("use crate::c;\n")),
    ]);
    let graph: BTreeMap<_, _> = all.iter().map(|(name, text)| (name.clone(), imports(name, text, &all))).collect();
    assert_eq!(circles(&graph), [["a/one.rs", "a/two.rs", "b/three.rs"].map(str::to_owned).to_vec()]);
}
