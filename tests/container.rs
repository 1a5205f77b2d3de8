//! The builder image of ci/Containerfile: it names no base of its own, asks nobody but its mirrors, and has the tools of
//! recipes/host-tools.toml. `ci/check-workflows` reads it with hadolint as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The instructions without comments, each on one line.
fn instructions() -> Vec<(String, String)> {
    let text: String =
        read("ci/Containerfile").lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().filter_map(|line| line.trim().split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn of(kind: &str) -> Vec<String> {
    instructions().into_iter().filter(|(word, _)| word == kind).map(|(_, rest)| rest).collect()
}

#[test]
fn the_base_is_what_the_caller_names_by_digest() {
    assert_eq!(instructions()[0], ("ARG".to_owned(), "DEBIAN".to_owned()), "it has no default");
    assert_eq!(of("FROM"), ["${DEBIAN} AS tools", "tools"]);
    let script = |base: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/builder-image");
        // No builder is found, so a base that is accepted ends there.
        Command::new("/bin/bash").arg(path).arg(base).env_clear().env("PATH", "/nonexistent").output().unwrap()
    };
    let digest = "0123456789abcdef".repeat(4);
    for wrong in ["debian:12", "debian@sha256:12", &format!("debian@sha256:{digest}0"), &format!("@sha256:{digest}")] {
        let output = script(wrong);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {message}");
        assert!(message.contains("has no digest"), "{wrong}: {message}");
    }
    let output = script(&format!("debian@sha256:{digest}"));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither buildah nor podman"), "{output:?}");
}

#[test]
fn nothing_but_packages_of_the_mirrors_is_fetched() {
    let [run] = of("RUN").try_into().unwrap();
    for program in ["curl", "wget", "git clone", "pip", "npm", "cargo install", "rustup", "http:", "https:", "ftp:"] {
        assert!(!run.contains(program), "{program}: {run}");
    }
    // Neither mirror has a default: ci/builder-image takes them from apt's configuration.
    let arguments = of("ARG");
    assert!(
        arguments.contains(&"MIRROR".to_owned()) && arguments.contains(&"SECURITY_MIRROR".to_owned()),
        "{arguments:?}"
    );
    assert!(!arguments.iter().any(|argument| argument.contains("://")), "{arguments:?}");
    // Copies come from the repository.
    for copy in of("COPY").iter().chain(&of("ADD")) {
        assert!(!copy.contains("://") && !copy.contains("--from"), "{copy}");
    }
}

#[test]
fn the_packages_are_those_of_the_host_tools() {
    let tools: toml::Table = read("recipes/host-tools.toml").parse().unwrap();
    let mut wanted = BTreeSet::from(["ca-certificates".to_owned()]);
    for (name, tool) in tools["tool"].as_table().unwrap() {
        let packages = tool["packages"]["apt"].as_array().unwrap_or_else(|| panic!("{name} has no package of apt"));
        wanted.extend(packages.iter().map(|package| package.as_str().unwrap().to_owned()));
    }
    let [run] = of("RUN").try_into().unwrap();
    let (_, list) = run.split_once("--no-install-recommends ").unwrap();
    let (list, _) = list.split_once(';').unwrap();
    let words: Vec<&str> = list.split(' ').collect();
    let listed: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(words.len(), listed.len(), "a package is listed twice");
    assert_eq!(listed, wanted, "ci/Containerfile and recipes/host-tools.toml differ");
}
