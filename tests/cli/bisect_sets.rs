//! `crossmill bisect SET..SET`: which difference between two sets decides.

use crate::bisect::{BREAKS, Bisected, code};
use crate::support::schema::follows;
use serde_json::{Value, json};

// The library at the good end and at the bad one, with more settings.
fn sets(it: &Bisected, good: &str, bad: &str) -> String {
    let repo = it.repo.display();
    format!("lib=git+file://{repo}#good{good}..lib=git+file://{repo}#main{bad}")
}

fn bisected(it: &Bisected, range: &str, more: &[&str]) -> crate::world::Ran {
    it.world.run(&[&["bisect", range, "--target", "alpha", "--check", "proof", "--quiet"], more].concat())
}

#[test]
fn the_package_that_decides_is_found_and_its_commits_are_bisected() {
    let it = Bisected::new(code);
    let range = sets(&it, ",level=one", ",level=two");
    let ran = bisected(&it, &range, &["--format", "json"]).ok();
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    follows("bisect-sets", &found);
    follows("bisect", &found["bisection"]);
    assert_eq!((&found["decides"], &found["with"]), (&json!("lib"), &json!([])), "{found:#}");
    let names: Vec<&str> =
        found["differences"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lib", "level"]);
    assert_eq!(found["bisection"]["first_bad"]["commit"], it.commits[BREAKS]);
    // Nothing is tested twice by the same command again.
    let again = bisected(&it, &range, &[]).ok();
    assert!(!again.err.contains(": testing "), "{}", again.err);
    assert!(again.out.starts_with("what decides: lib git+file://"), "{}", again.out);
    assert!(again.out.contains("\ntested: 1 of 2 differences between lib=git+"), "{}", again.out);
    assert!(again.out.contains(&format!("\nfirst bad commit: {}\n", it.commits[BREAKS])), "{}", again.out);
}

#[test]
fn a_setting_decides_alone_or_with_a_package() {
    let it = Bisected::new(code);
    it.check("test {{ set.level }} = two", "level in $code");
    let found: Value =
        serde_json::from_str(&bisected(&it, &sets(&it, "", ",level=two"), &["--format", "json"]).ok().out).unwrap();
    follows("bisect-sets", &found);
    assert_eq!((&found["decides"], &found["bisection"]), (&json!("level"), &Value::Null), "{found:#}");
    let verdicts: Vec<&str> =
        found["steps"].as_array().unwrap().iter().map(|step| step["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["bad", "good", "good", "bad"], "{found:#}");

    it.check("test {{ set.level }} = two && grep -q fault \"$code\"", "both in $code");
    // The question is the same, and its answers were those of the other check.
    let ran = bisected(&it, &sets(&it, "", ",level=two"), &["--restart"]).ok();
    assert!(ran.out.starts_with("what decides: level one -> two, together with lib git+file://"), "{}", ran.out);
    assert!(ran.out.contains("\ntested: 2 of 2 differences"), "{}", ran.out);
}

#[test]
fn a_mixture_that_cannot_be_built_is_skipped() {
    let it = Bisected::new(code);
    // Only both together, or neither, build.
    it.world.edit(
        "data/recipes/lib.toml",
        "cd ../source\n",
        "cd ../source\nif test {{ set.level }} = $(if grep -q fault code; then echo one; else echo two; fi); then\n  \
         echo 'x.c:1:1: error: odd'; exit 1\nfi\n",
    );
    let ran = bisected(&it, &sets(&it, "", ",level=two"), &[]);
    // With all differences it fails, and without the last it could not be tested.
    assert_eq!(ran.code, Some(7), "{}", ran.err);
    assert!(ran.out.starts_with("what could not be tested hides"), "{}", ran.out);
    assert!(ran.out.contains("skipped") && ran.out.contains("host/lib does not build: "), "{}", ran.out);
}

#[test]
fn what_is_asked_wrongly_of_sets_is_explained() {
    let it = Bisected::new(code);
    let same = sets(&it, "", "").replace("#main", "#good");
    let good = sets(&it, "", "").replace("#good", &format!("#{}", it.commits[BREAKS + 4]));
    let bad = sets(&it, "", "").replace("#main", &format!("#{}", it.commits[4]));
    for (range, more, message) in [
        (same.as_str(), &[][..], "have the same versions and settings"),
        (&good, &[], "fails: alpha/proof"),
        (&bad, &[], "has no failure: the check `proof` passes"),
        ("level=one..level=three", &[], "three"),
        ("now..level=", &[], "names no version"),
        ("now..level=two", &["--skip", "main"], "two sets have none"),
        ("now..nau", &[], "lacks its `=`"),
    ] {
        let ran = bisected(&it, range, more);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{range}: {}", ran.err);
        assert!(ran.err.contains(message), "{range}: {}", ran.err);
    }
}
