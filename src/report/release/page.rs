//! `index.html` of a release: a table of archives to filter, and the command that unpacks each. It needs no server and
//! no other file, and works without scripts, except for the filter and the buttons.

use crate::base::units;
use crate::publish::index::{Entry, Index};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Returns the page.
#[must_use]
pub fn html(index: &Index) -> String {
    let kinds = distinct(index, |entry| entry.kind.clone());
    let hosts = distinct(index, |entry| entry.host.clone());
    let versions = distinct(index, version);
    let title = "Cross toolchains";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p {
                        (index.archives.len()) " archives, built by " (index.generator) ". "
                        "Every one is reproducible: a rebuild has to meet the SHA-256 of its uncompressed tar. "
                        a href="index.json" { "index.json" } " is for programs, "
                        a href="SHA256SUMS" { "SHA256SUMS" } " for sha256sum, "
                        a href="RELEASE.md" { "the notes" } " for the details."
                    }
                }
                form #filter role="search" {
                    label { "Search" input #search type="search" placeholder="aarch64, riscv…" autocomplete="off"; }
                    (choice("kind", "Kind", &kinds))
                    (choice("host", "Host", &hosts))
                    (choice("version", "Version", &versions))
                    output #count { (index.archives.len()) " shown" }
                }
                table {
                    thead { tr {
                        th { "Archive" } th { "Host" } th { "Version" } th { "Files" } th { "Checks" } th { "Unpack" }
                    } }
                    tbody { @for entry in &index.archives { (row(entry)) } }
                }
                p #none hidden { "No archive matches." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

fn choice(id: &str, label: &str, values: &BTreeSet<String>) -> Markup {
    html! {
        label {
            (label)
            select id=(id) {
                option value="" { "all" }
                @for value in values { option { (value) } }
            }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let command = unpack(entry);
    html! {
        tr data-kind=(entry.kind) data-host=(entry.host) data-version=(version(entry)) data-words=(words(entry)) {
            td data-label="Archive" {
                strong { (subject(entry)) }
                span.kind { (entry.kind) }
                details {
                    summary { "details" }
                    dl {
                        @for (package, version) in &entry.versions { dt { (package) } dd { (version) } }
                        @if let Some(glibc) = &entry.glibc { dt { "glibc" } dd { "≥ " (glibc) } }
                        dt { "unpacked" } dd { (units::bytes(entry.unpacked_bytes)) }
                        dt { "tar SHA-256" } dd.digest { (entry.tar.sha256) }
                        dt { "documents" }
                        dd {
                            a href=(entry.sbom.path) { "SBOM" } ", "
                            a href=(entry.provenance) { "provenance" }
                            @if let Some(signature) = &entry.signature { ", " a href=(signature) { "signature" } }
                        }
                    }
                }
            }
            td data-label="Host" { (entry.host) }
            td data-label="Version" { (version(entry)) }
            td.files data-label="Files" {
                @for file in &entry.files {
                    a href=(file.path) title=(file.sha256) { (format(&file.path)) }
                    " " span.size { (units::bytes(file.bytes)) } br;
                }
            }
            td data-label="Checks" { (checks(entry)) }
            td data-label="Unpack" {
                @if let Some(command) = command {
                    code { (command) }
                    button type="button" data-copy=(command) { "Copy" }
                }
            }
        }
    }
}

fn checks(entry: &Entry) -> Markup {
    let passed = entry.checks.values().filter(|check| check.state == "pass").count();
    html! {
        @if entry.checks.is_empty() {
            span.none { "none" }
        } @else if passed == entry.checks.len() {
            span.pass { (passed) " passed" }
        } @else {
            span.part { (passed) " of " (entry.checks.len()) " passed" }
            ul { @for (name, check) in entry.checks.iter().filter(|(_, check)| check.state != "pass") {
                li { (name) ": " (check.state) @if let Some(why) = &check.why { ", " (why) } }
            } }
        }
    }
}

// Users search by triple; the target's name is the fallback.
fn subject(entry: &Entry) -> String {
    let names = if entry.triples.is_empty() { &entry.targets } else { &entry.triples };
    match names.as_slice() {
        [one] => one.clone(),
        _ => entry.name.clone(),
    }
}

// URL stands for the place of the page. tar reads xz and gzip by itself only from a file.
fn unpack(entry: &Entry) -> Option<String> {
    let path = &entry.files.first()?.path;
    let option = match format(path) {
        "tar.xz" => "-xJ",
        "tar.gz" => "-xz",
        _ => return None,
    };
    Some(format!("curl -fL URL{path} | tar {option}"))
}

// The version in the archive's name is that of the package it is about.
fn version(entry: &Entry) -> String {
    let in_name = entry.versions.values().filter(|version| entry.name.contains(version.as_str()));
    in_name.max_by_key(|version| version.len()).cloned().unwrap_or_default()
}

fn words(entry: &Entry) -> String {
    let words = [entry.name.clone()].into_iter().chain(entry.targets.clone()).chain(entry.triples.clone());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

fn format(path: &str) -> &str {
    path.rfind(".tar.").and_then(|at| path.get(at + 1..)).unwrap_or(path)
}

fn distinct(index: &Index, of: impl Fn(&Entry) -> String) -> BTreeSet<String> {
    index.archives.iter().map(of).filter(|value| !value.is_empty()).collect()
}
