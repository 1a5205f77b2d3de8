//! `crossmill watch` on a branch that moves.

use crate::bisect::{BREAKS, Bisected, code};
use crate::git_sources::git;
use crate::support::schema::follows;
use serde_json::{Value, json};

fn watched(it: &Bisected, more: &[&str]) -> crate::world::Ran {
    let line = format!("lib=git+file://{}#next", it.repo.display());
    it.world.run(&[&["watch", "--line", &line, "alpha", "--package", "proof", "--quiet"], more].concat())
}

fn at(it: &Bisected, number: usize) {
    git(&it.repo, &["branch", "-qf", "next", &it.commits[number]]);
}

#[test]
fn what_a_branch_broke_is_reported_once_with_the_command_that_finds_the_commit() {
    let it = Bisected::new(code);
    at(&it, 4);
    let first = watched(&it, &[]).ok();
    let commit = &it.commits[4][..12];
    assert!(first.out.starts_with("Subject: [crossmill] "), "{}", first.out);
    assert!(first.out.contains("\nline:     lib=git+file://"), "{}", first.out);
    assert!(first.out.contains(&format!("\ncommits:  lib {commit} of next\n")), "{}", first.out);
    assert!(first.out.contains(" lib: change 4\n") && !first.out.contains("since run"), "{}", first.out);
    it.world.forget_counts();
    let same = watched(&it, &["--fail-on", "regression"]).ok();
    assert_eq!(same.out, "");
    assert!(same.err.contains(": nothing new since run ") && it.world.counts().is_empty(), "{}", same.err);

    at(&it, BREAKS + 3);
    let broken = watched(&it, &["--fail-on", "regression"]);
    assert_eq!(broken.code, Some(1), "{}", broken.err);
    let (old, new) = (&it.commits[4], &it.commits[BREAKS + 3]);
    assert!(broken.out.contains(&format!("\ncommits:  lib {}..{} of next\n", &old[..12], &new[..12])));
    assert!(broken.out.contains("PASS->FAIL alpha/proof: passed -> failed"), "{}", broken.out);
    let command = broken.out.split("\nto find the commit:\n").nth(1).unwrap().trim();
    assert!(command.starts_with(&format!("crossmill bisect lib={old}..{new} --repository file://")), "{command}");
    // The output of tests has another name for their directory.
    let command = command.replace("[DIR]", it.repo.parent().unwrap().to_str().unwrap());
    let words: Vec<&str> = command.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
    let bisected = it.world.run(&words).ok();
    assert!(bisected.out.starts_with(&format!("first bad commit: {}\n", it.commits[BREAKS])), "{}", bisected.out);
}

#[test]
fn the_json_form_has_all_lines_that_have_something_new() {
    let it = Bisected::new(code);
    at(&it, 2);
    let other = format!("lib=git+file://{}#good,level=two", it.repo.display());
    let report = || -> Value {
        let ran = watched(&it, &["--format", "json", "--line", &other]).ok();
        assert!(!ran.err.contains("FAILED"), "{}", ran.err);
        let found = serde_json::from_str(&ran.out).unwrap();
        follows("watch", &found);
        found
    };
    let first = report();
    assert_eq!(first["lines"].as_array().unwrap().len(), 2, "{first:#}");
    // Both runs are of one process, and often of one second.
    assert_ne!(first["lines"][0]["run"], first["lines"][1]["run"]);
    assert_eq!((&first["lines"][0]["before"], &first["lines"][0]["changes"]), (&Value::Null, &Value::Null));
    assert_eq!(first["lines"][0]["commits"][0]["commit"], it.commits[2]);
    at(&it, 3);
    let second = report();
    assert_eq!(second["lines"].as_array().unwrap().len(), 1, "{second:#}");
    assert_eq!(second["lines"][0]["before"], first["lines"][0]["run"], "{second:#}");
    assert_eq!(second["lines"][0]["commits"][0]["before"], it.commits[2]);
    assert_eq!(second["lines"][0]["changes"]["states"], json!([]));
    assert_eq!(report()["lines"], json!([]));
}

#[test]
fn a_line_that_fails_the_first_time_is_a_failure() {
    let it = Bisected::new(code);
    at(&it, BREAKS);
    let failed = watched(&it, &["--fail-on", "failure"]);
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    assert!(failed.out.contains("alpha/proof"), "{}", failed.out);
}

#[test]
fn a_wrong_line_is_refused_before_anything_is_built() {
    let it = Bisected::new(code);
    at(&it, 2);
    let repo = it.repo.display();
    for (line, message) in [
        ("nau".to_owned(), "the line `nau` is no set of versions"),
        ("level=three".to_owned(), "three"),
        (format!("lib=git+file://{repo}#gone"), "has no revision `gone`"),
    ] {
        let refused = watched(&it, &["--line", &line]);
        // The first line is fine, and built before the repository of the second is asked.
        assert_eq!(refused.code, Some(2), "{line}: {}", refused.err);
        assert!(refused.err.contains(message), "{line}: {}", refused.err);
    }
    assert_eq!(it.world.run(&["watch", "alpha"]).code, Some(2));
    let kept = it.world.entries("watch").remove(0);
    fs_err::write(&kept, "{").unwrap();
    let refused = watched(&it, &[]);
    assert_eq!(refused.code, Some(5), "{}", refused.err);
    assert!(refused.err.contains("cannot be used: ") && refused.err.contains("remove it"), "{}", refused.err);
}
