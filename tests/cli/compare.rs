//! `crossmill compare` on the tiny matrix.

use crate::world::World;
use serde_json::Value;

// The kernel has a function that grows with the setting, and one that only a higher level has.
pub fn with_code() -> World {
    let world = World::new();
    world.edit(
        "data/recipes/kernel.toml",
        "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]",
        "script = \"\"\"\nmake install DESTDIR={{ dest }}\necho 'int grows(int x) { return x{{ ' * x * x / (x + 3)' if set.level == 'two' else '' }}; }' > kernel.c\n\
         echo '{{ 'int added(void) { return 1; }' if set.level == 'two' else '' }} int main(void) { return grows(1); }' >> kernel.c\n\
         gcc -O0 -o {{ dest }}/vmlinux kernel.c\n\"\"\"",
    );
    world
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn two_sets_are_built_and_compared_in_every_form() {
    let world = with_code();
    let compared = world.run(&["compare", "level=one", "level=two", "alpha", "gamma", "--format", "json"]).ok();
    assert!(compared.err.contains("building level=one") && compared.err.contains("building level=two"));
    let found = json(&compared.out);
    assert_eq!((&found["set_before"], &found["set_after"]), (&"level=one".into(), &"level=two".into()));
    let stages: Vec<&str> =
        found["code"].as_array().unwrap().iter().map(|code| code["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["alpha/kernel", "gamma/kernel"]);
    assert_eq!(found["code"][0]["first"], "grows", "{found:#}");
    let sizes: Vec<&str> =
        found["sizes"].as_array().unwrap().iter().map(|size| size["stage"].as_str().unwrap()).collect();
    assert!(sizes.contains(&"alpha/kernel") && sizes.contains(&"gamma/kernel"), "{found:#}");
    assert_eq!(found["times_unjudged"], 0);

    // Everything is built: the same again is only compared.
    world.forget_counts();
    let text = world.run(&["compare", "level=one", "level=two", "alpha"]).ok().out;
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    assert!(text.starts_with("level=one (run ") && text.contains(" -> level=two (run "), "{text}");
    assert!(text.contains("code of alpha/kernel vmlinux: ") && text.contains("larger alpha/kernel: "), "{text}");
    assert!(!text.contains("spread") && !text.contains("gamma"), "{text}");
    let tables = world.run(&["compare", "level=one", "level=two", "alpha", "--format", "markdown"]).ok().out;
    assert!(tables.starts_with("## level=one (run "), "{tables}");
    assert!(
        tables.contains("\n### Code: bytes in functions\n\n| file | level=one | level=two | change |\n"),
        "{tables}"
    );
    assert!(tables.contains("\n| added | - | ") && tables.contains("The first in the order of addresses is `grows`."));
    assert_eq!(world.run(&["compare", "level=one", "level=two", "alpha", "--fail-on", "size"]).code, Some(1));

    // Recorded runs, and one against a set.
    let runs = json(&world.run(&["runs", "--json"]).ok().out);
    let names: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    let found = json(&world.run(&["compare", names[0], names[1], "--format", "json"]).ok().out);
    assert_eq!((&found["before"], &found["set_before"]), (&names[0].into(), &names[0].into()));
    assert_eq!(found["code"].as_array().unwrap().len(), 2);
    let found = json(&world.run(&["compare", names[0], "now", "alpha", "--format", "json"]).ok().out);
    assert_eq!((&found["set_after"], &found["code"]), (&"now".into(), &serde_json::json!([])));
    let same = world.run(&["compare", names[0], "now", "alpha", "--format", "markdown"]).ok().out;
    assert!(same.contains(&format!("\nOnly with {}: ", names[0])) && same.contains("gamma/kernel"), "{same}");
}

#[test]
fn a_set_that_does_not_build_is_an_outcome() {
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"if test {{ set.level }} = two; then echo 'x.c:1:1: error: no such thing'; exit 1; fi; make\"",
    );
    let compared = world.run(&["compare", "level=one", "level=two", "alpha", "--format", "markdown"]).ok();
    let row = "| alpha/tool | passed | failed | build: ";
    assert!(compared.out.contains("### Outcomes") && compared.out.contains(row), "{}", compared.out);
    assert!(compared.out.contains("| alpha/kernel | passed | blocked |"), "{}", compared.out);
    let again = world.run(&["compare", "level=one", "level=two", "alpha", "--fail-on", "regression"]);
    assert_eq!(again.code, Some(1));
}

#[test]
fn wrong_sets_are_refused_before_anything_is_built() {
    let world = World::new();
    for (sets, message) in [
        (["level=one", "level=one"], "is compared with itself"),
        (["level=one", "level=three"], "three"),
        (["level=one", "toll=1.0"], "toll"),
        (["tool=1.0", "tool=2.0"], "2.0"),
        (["now", "nau"], "no run `nau`"),
        (["now", "tool="], "names no version"),
    ] {
        let refused = world.run(&["compare", sets[0], sets[1], "alpha"]);
        assert_eq!(refused.code, Some(2), "{sets:?}: {}", refused.err);
        assert!(refused.err.contains(message), "{sets:?}: {}", refused.err);
    }
    let untargeted = world.run(&["compare", "level=one", "level=two"]);
    assert_eq!(untargeted.code, Some(2));
    assert!(untargeted.err.contains("no target is named"), "{}", untargeted.err);
    assert!(world.counts().is_empty() && world.entries("stages").is_empty());
}
