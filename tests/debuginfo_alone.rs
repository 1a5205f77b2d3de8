//! `src/debuginfo` and `src/base` compile as a crate of their own, with nothing else of crossmill.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::Command;

/// The dependencies of this package that the library needs.
const DEPENDENCIES: &[&str] = &[
    "annotate-snippets",
    "ar",
    "blake3",
    "bzip2",
    "flate2",
    "fs-err",
    "gimli",
    "indexmap",
    "memmap2",
    "nix",
    "object",
    "rayon",
    "ruzstd",
    "serde",
    "sha2",
    "strsim",
    "tempfile",
    "thiserror",
    "xz2",
];

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

fn manifest(root: &Path) -> String {
    let text = fs_err::read_to_string(root.join("Cargo.toml")).unwrap();
    let whole: toml::Table = toml::from_str(&text).unwrap();
    let all = whole["dependencies"].as_table().unwrap();
    let needed = all.iter().filter(|(name, _)| DEPENDENCIES.contains(&name.as_str()));
    let mut package = whole["package"].as_table().unwrap().clone();
    package.retain(|key, _| ["name", "version", "edition", "rust-version"].contains(&key));
    package.insert("name".to_owned(), "debuginfo".into());
    let mut own = toml::Table::new();
    own.insert("package".to_owned(), package.into());
    let needed: toml::Table = needed.map(|(name, value)| (name.clone(), value.clone())).collect();
    own.insert("dependencies".to_owned(), needed.into());
    // No member of a workspace that may be around the temporary directory.
    own.insert("workspace".to_owned(), toml::Table::new().into());
    toml::to_string(&own).unwrap()
}

#[test]
fn the_library_compiles_with_base_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path();
    for module in ["base", "debuginfo"] {
        copy(&root.join("src").join(module), &own.join("src").join(module));
    }
    fs_err::write(own.join("src/lib.rs"), "pub mod base;\npub mod debuginfo;\n").unwrap();
    fs_err::write(own.join("Cargo.toml"), manifest(root)).unwrap();
    // The same versions; cargo drops the packages that this crate does not need.
    fs_err::copy(root.join("Cargo.lock"), own.join("Cargo.lock")).unwrap();
    // Dependencies stay compiled from one run of the test to the next.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debuginfo-alone");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--lib"])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(own)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
