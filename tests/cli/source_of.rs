//! A recipe that is built from the source of another, and trees that are patched for some targets.

use crate::world::World;

fn world(source_of: &str) -> World {
    let world = World::new();
    let text = format!(
        "schema = 1\nname = \"extra\"\nsummary = \"a test\"\nper = \"target\"\n{source_of}\n\
         [[step]]\nname = \"look\"\nscript = \"sed -n 1p '{{{{ source }}}}/configure' > '{{{{ dest }}}}/{{{{ version }}}}'\"\n\
         [result]\nfiles = [\"1.0\"]\n"
    );
    world.write("data/recipes/extra.toml", &text);
    world
}

#[test]
fn it_is_fetched_and_unpacked_once_for_both() {
    let world = world("source-of = \"kernel\"");
    world.run(&["build", "alpha", "--package", "extra"]).ok();
    let plan = world.run(&["plan", "alpha", "--package", "extra", "--package", "kernel", "--json"]).ok().out;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let stages = plan["stages"].as_array().unwrap();
    let needs = |name: &str| &stages.iter().find(|stage| stage["stage"] == name).unwrap()["needs"];
    assert_eq!(needs("alpha/extra"), &serde_json::json!(["unpack/kernel-1.0"]));
    assert_eq!(needs("alpha/kernel")[0], "unpack/kernel-1.0");
    assert_eq!(stages.iter().filter(|stage| stage["stage"].as_str().unwrap().contains("kernel-1.0")).count(), 2);
}

#[test]
fn it_is_built_anew_from_another_source_of_its_owner() {
    let world = world("source-of = \"kernel\"");
    world.run(&["build", "alpha", "--package", "extra"]).ok();
    world.write("mine/configure", "# mine\n");
    world.run(&["build", "alpha", "--package", "extra", "--source", "kernel=mine", "--out", "out"]).ok();
    assert_eq!(fs_err::read_to_string(world.path("out/alpha/extra/1.0")).unwrap(), "# mine\n");
    let ran = world.run(&["build", "alpha", "--source", "extra=mine"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `--source extra=mine`: `extra` is built from the source of `kernel`
    hint: write `--source kernel=mine`
    "#);
}

#[test]
fn mistakes_are_shown_at_their_places() {
    let ran = world("source-of = \"kernle\"").run(&["build", "alpha"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: unknown package `kernle`
      --> [DIR]/data/recipes/extra.toml:5:13
      |
    5 | source-of = "kernle"
      |             ^^^^^^^^
    hint: did you mean `kernel`?
    hint: valid packages are `extra`, `kernel`, `lib`, `tool`
    "#);
    let ran = world("source-of = \"extra\"").run(&["build", "alpha"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `extra` has no source of its own
      --> [DIR]/data/recipes/extra.toml:5:13
      |
    5 | source-of = "extra"
      |             ^^^^^^^
    hint: valid packages are `kernel`, `lib`, `tool`
    "#);
    let both = "source-of = \"kernel\"\n[[version]]\nversion = \"1.0\"\n[[version.source]]\nfile = \"x\"\n";
    let ran = world(both).run(&["build", "alpha"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: a recipe with `source-of` has no `[[version]]` and no `[[patch]]` of its own
      --> [DIR]/data/recipes/extra.toml:5:13
      |
    5 | source-of = "kernel"
      |             ^^^^^^^^
    hint: those of `kernel` hold for both
    "#);
}

#[test]
fn a_patch_for_one_target_leaves_the_trees_of_the_others_alone() {
    let world = World::new();
    world.write("data/recipes/gamma-fix.diff", "why\n\n--- /dev/null\n+++ b/fixed\n@@ -0,0 +1 @@\n+yes\n");
    let kernel = fs_err::read_to_string(world.path("data/recipes/kernel.toml")).unwrap();
    let patch = "[[patch]]\nfile = \"gamma-fix.diff\"\nwhen = \"target.name == 'gamma'\"\nwhy = \"a test wants it\"\n";
    world.write("data/recipes/kernel.toml", &format!("{kernel}{patch}"));
    let look = "schema = 1\nname = \"extra\"\nsummary = \"a test\"\nper = \"target\"\nsource-of = \"kernel\"\n\
         [[step]]\nname = \"look\"\nscript = \"ls '{{ source }}' > '{{ dest }}/files'\"\n[result]\nfiles = [\"files\"]\n";
    world.write("data/recipes/extra.toml", look);
    let fixed = |target: &str, more: &[&str]| {
        world.run(&[&["build", target, "--package", "extra", "--out", "out"], more].concat()).ok();
        let files = fs_err::read_to_string(world.path(&format!("out/{target}/extra/files"))).unwrap();
        files.lines().any(|file| file == "fixed")
    };
    assert!(!fixed("alpha", &[]));
    assert!(fixed("gamma", &[]));
    // One's own tree is built as it is.
    world.write("mine/configure", "# mine\n");
    assert!(!fixed("gamma", &["--source", "kernel=mine"]));
    let plan = world.run(&["plan", "alpha", "gamma", "--package", "extra", "--json"]).ok().out;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let stages = plan["stages"].as_array().unwrap();
    let needs = |name: &str| &stages.iter().find(|stage| stage["stage"] == name).unwrap()["needs"];
    assert_eq!(needs("alpha/extra"), &serde_json::json!(["unpack/kernel-1.0"]));
    assert_eq!(needs("gamma/extra"), &serde_json::json!(["unpack/kernel-1.0+gamma-fix"]));
}
