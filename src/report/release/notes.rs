//! `RELEASE.md`: what a release has, for people who read text.

use crate::base::units;
use crate::publish::index::{Entry, Index};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Returns the notes; `lacking` are targets without an archive, each with the reason, and `earlier` is the release
/// that this one follows.
#[must_use]
pub fn markdown(index: &Index, lacking: &BTreeMap<String, String>, earlier: Option<&Index>) -> String {
    let mut text = String::from("# Release notes\n\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} archives, written by {}.\n", index.archives.len(), index.generator);
    versions(&mut text, index);
    archives(&mut text, index);
    problems(&mut text, index);
    if !lacking.is_empty() {
        text.push_str("## Targets without an archive\n\n");
        for (target, why) in lacking {
            let _ = writeln!(text, "- `{target}`: {why}");
        }
        text.push('\n');
    }
    if let Some(earlier) = earlier {
        changes(&mut text, earlier, index);
    }
    text
}

fn versions(text: &mut String, index: &Index) {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (package, version) in index.archives.iter().flat_map(|entry| &entry.versions) {
        let known = versions.entry(package).or_default();
        if !known.contains(&version.as_str()) {
            known.push(version);
        }
    }
    text.push_str("## Versions\n\n");
    for (package, versions) in versions {
        let _ = writeln!(text, "- {package} {}", versions.join(", "));
    }
    text.push('\n');
}

fn archives(text: &mut String, index: &Index) {
    text.push_str("## Archives\n\n| archive | kind | host | size | unpacked | glibc | checks |\n");
    text.push_str("|---|---|---|---:|---:|---|---|\n");
    for entry in &index.archives {
        let size = entry.files.first().map(|file| units::bytes(file.bytes)).unwrap_or_default();
        let passed = entry.checks.values().filter(|check| check.state == "pass").count();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {size} | {} | {} | {passed} of {} passed |",
            entry.name,
            entry.kind,
            entry.host,
            units::bytes(entry.unpacked_bytes),
            entry.glibc.as_deref().unwrap_or("none"),
            entry.checks.len(),
        );
    }
    text.push('\n');
}

fn problems(text: &mut String, index: &Index) {
    let found: Vec<String> = index.archives.iter().flat_map(not_passed).collect();
    if !found.is_empty() {
        text.push_str("## Checks that did not pass\n\n");
        text.extend(found);
        text.push('\n');
    }
}

fn not_passed(entry: &Entry) -> impl Iterator<Item = String> {
    let checks = entry.checks.iter().filter(|(_, check)| check.state != "pass");
    checks.map(|(name, check)| {
        let why = check.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("- {name}: {}{why}\n", check.state)
    })
}

fn changes(text: &mut String, earlier: &Index, index: &Index) {
    text.push_str("## Changes since the last release\n\n");
    let find = |index: &Index, name: &str| index.archives.iter().find(|entry| entry.name == name).cloned();
    for entry in &index.archives {
        match find(earlier, &entry.name) {
            None => {
                let _ = writeln!(text, "- new: {}", entry.name);
            }
            Some(old) if old.tar != entry.tar => {
                let _ = writeln!(text, "- changed: {}", entry.name);
            }
            Some(_) => {}
        }
    }
    for entry in earlier.archives.iter().filter(|entry| find(index, &entry.name).is_none()) {
        let _ = writeln!(text, "- gone: {}", entry.name);
    }
    text.push('\n');
}
