//! Logs of real failures, and what a person is shown of each. The first line of a snapshot is the class; a new log in
//! `tests/logs` gets its snapshot by itself, and its class in `classes.tsv`. `tests/logs/provoke` provokes most of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use crossmill::run::build_log::{self, Class, Finding};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

// Each log with what was found in it.
fn logs() -> BTreeMap<String, Finding> {
    let paths = fs_err::read_dir(dir()).unwrap().map(|entry| entry.unwrap().path());
    let logs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let read = logs.map(|path| {
        let log = std::io::BufReader::new(fs_err::File::open(&path).unwrap());
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), build_log::read(log, 12).unwrap())
    });
    read.collect()
}

#[test]
fn every_log_shows_its_first_real_error() {
    for (name, found) in logs() {
        let class = serde_json::to_string(&found.class).unwrap();
        let shown = format!("{class}\n{}", found.excerpt.join("\n"));
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn every_log_has_its_class() {
    let text = fs_err::read_to_string(dir().join("classes.tsv")).unwrap();
    let wanted: BTreeMap<&str, &str> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let found = logs();
    assert!(found.len() >= 60, "only {} logs", found.len());
    assert_eq!(wanted.keys().copied().collect::<Vec<_>>(), found.keys().map(String::as_str).collect::<Vec<_>>());
    let wrong: Vec<String> = found
        .iter()
        .filter(|(name, found)| wanted[name.as_str()] != found.class.as_str())
        .map(|(name, found)| {
            format!("{name}: {}, not {}: {:?}", found.class.as_str(), wanted[name.as_str()], found.excerpt)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for class in Class::ALL {
        let count = wanted.values().filter(|name| **name == class.as_str()).count();
        assert!(count >= 2, "{} has {count} logs", class.as_str());
        assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
    }
}
