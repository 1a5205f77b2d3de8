//! The layers of ARCHITECTURE.md: a module uses only what stands below it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lowest first; modules of one line may not use each other.
const LAYERS: [&[&str]; 9] = [
    &["base"],
    &["config", "debuginfo"],
    &["process"],
    &["plan", "source", "store", "host", "remote"],
    &["cache"],
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

/// The text without comments and without what is compiled for tests alone.
fn code(text: &str) -> String {
    let text: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept += before;
        // `mod tests;` is left out; `mod tests { … }` is the end of a file.
        let item = after.find([';', '{']).unwrap_or(after.len());
        let is_module = after[..item].contains("mod ");
        match after[item..].chars().next() {
            Some('{') if is_module => return kept,
            Some(';') => rest = &after[item + 1..],
            _ => rest = after,
        }
    }
    kept + rest
}

/// The paths that a tree of imports stands for, over several lines and with nested braces; `text` begins with the first.
fn expand(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut renamed = false;
    for c in text.chars() {
        match c {
            _ if c.is_alphanumeric() || c == '_' || c == ':' => {
                if !renamed {
                    path.push(c);
                }
            }
            '{' if path.ends_with("::") => prefixes.push(path.clone()),
            ',' | '}' if !prefixes.is_empty() => {
                found.push(path);
                renamed = false;
                path = prefixes.last().cloned().unwrap_or_default();
                if c == '}' {
                    prefixes.pop();
                    if prefixes.is_empty() {
                        return found;
                    }
                }
            }
            // `store as s`; between the names of a list spaces mean nothing.
            _ if c.is_whitespace() && !prefixes.is_empty() => renamed = prefixes.last() != Some(&path),
            _ => break,
        }
    }
    found.push(path);
    found
}

/// Every path of a text that begins with `crate::` or `super::`, in `use` and elsewhere.
fn paths(text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                found.extend(expand(&code[at..]));
            }
        }
    }
    found
}

// The modules of the first level that a text uses.
fn used(text: &str) -> Vec<String> {
    let paths = paths(text);
    paths.iter().filter_map(|path| path.strip_prefix("crate::")?.split("::").next()).map(str::to_owned).collect()
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
    let text = "#[cfg(test)]\n#[path = \"x.rs\"]\nmod x;\npub use crate::{\n    host::{self, tools as t},\n    plan,\n};\n\
                #[cfg(test)]\nmod tests {\n    use crate::report;\n}\n";
    let found: BTreeSet<String> = used(text).into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(found, ["host", "plan"].map(str::to_owned).into());
    let found = expand("crate::{store::{gc, space as s}, base}; use crate::cli;");
    assert!(
        ["crate::store::gc", "crate::store::space", "crate::base"].iter().all(|path| found.contains(&(*path).into()))
    );
    assert!(!found.iter().any(|path| path.contains("cli") || path.ends_with("spaceass")), "{found:?}");
}

/// The file of `src` that a path of modules leads to: the longest beginning of it that is one.
fn file_of(modules: &[&str], all: &BTreeMap<String, String>) -> Option<String> {
    (1..=modules.len()).rev().find_map(|count| {
        let path = modules[..count].join("/");
        [format!("{path}.rs"), format!("{path}/mod.rs")].into_iter().find(|path| all.contains_key(path))
    })
}

/// The files that a file imports. A `mod.rs` is left out: it declares its files and hands their items on, and they use
/// what it defines for all of them.
fn imports(own: &str, text: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let stem = own.strip_suffix("/mod.rs").or_else(|| own.strip_suffix(".rs")).unwrap_or(own);
    let mut found = BTreeSet::new();
    for path in paths(text) {
        let mut modules: Vec<&str> = stem.split('/').collect();
        for step in path.split("::").filter(|step| !step.is_empty()) {
            match step {
                "crate" => modules.clear(),
                "super" => drop(modules.pop()),
                _ => modules.push(step),
            }
        }
        found.extend(file_of(&modules, all).filter(|file| file != own && !file.ends_with("mod.rs")));
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
    let found = circles(&graph);
    let lines: Vec<String> = found.iter().map(|circle| circle.join(", ")).collect();
    assert!(found.is_empty(), "these files import each other:\n{}", lines.join("\n"));
}

#[test]
fn the_search_finds_a_circle() {
    let text = |text: &str| text.to_owned();
    let all = BTreeMap::from([
        (text("a/one.rs"), text("use super::two::{self, Two};\n// crate::b::three\n")),
        (text("a/two.rs"), text("use crate::{b::three, other};\n")),
        (text("b/three.rs"), text("fn f() -> crate::a::one::One {}\n")),
        (text("b/mod.rs"), text("pub mod three;\n")),
        (text("b/four.rs"), text("pub use super::five::Five;\n")),
        (text("b/five.rs"), text("#[cfg(test)]\nmod five_tests;\nuse crate::{\n    c,\n    b::{four, three},\n};\n")),
        (text("c.rs"), text("use crate::a::one;\n#[cfg(test)]\nuse crate::d;\n")),
        (text("d.rs"), text("use crate::c;\n")),
    ]);
    let graph: BTreeMap<_, _> = all.iter().map(|(name, text)| (name.clone(), imports(name, text, &all))).collect();
    let wanted: [&[&str]; 2] = [&["a/one.rs", "a/two.rs", "b/three.rs"], &["b/five.rs", "b/four.rs"]];
    assert_eq!(circles(&graph), wanted);
}
