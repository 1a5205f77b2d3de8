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
    hint: those of `kernel` apply to both
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

#[test]
fn the_version_of_a_tree_is_read_and_not_believed() {
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "tools = [",
        "version-from = { file = \"VERSION\", after = [\"MAJOR = \", \"MINOR = \"] }\ntools = [",
    );
    world.write("tree/VERSION", "# a comment\nMAJOR = 3\nMINOR = 7\n");
    world.write("tree/configure", "");
    // This target needs an older one.
    let ran = world.run(&["plan", "gamma", "--source", "tool=tree"]);
    assert!(ran.code != Some(0) && ran.err.contains("3.7"), "{}{}", ran.out, ran.err);
    let ran = world.run(&["plan", "alpha", "--source", "tool=tree", "--json"]).ok();
    assert!(ran.out.contains("\"3.7\""), "{}", ran.out);
    let ran = world.run(&["plan", "alpha", "--source", "tool=tree", "--with", "tool=1.0"]);
    insta::assert_snapshot!(ran.error(), @"
    exit 2
    error: `--with tool=1.0`, but `[DIR]/tree` is tool 3.7
    hint: leave `--with` out: the version is read from the tree
    ");
    fs_err::remove_file(world.path("tree/VERSION")).unwrap();
    // A tree that does not say it is taken for the version that was asked for.
    world.run(&["plan", "alpha", "--source", "tool=tree"]).ok();
    world.write("tree/VERSION", "none\n");
    let ran = world.run(&["plan", "alpha", "--source", "tool=tree"]);
    assert!(ran.code == Some(2) && ran.err.contains("does not contain the version of `tool`"), "{}", ran.err);
}

#[test]
fn what_a_checkout_needs_is_asked_for_first() {
    let world = World::new();
    let tools = "\n[tool.never]\nprogram = \"crossmill-never-there\"\nwhy = \"makes parsers\"\npackages = { apt = [\"never\"], apk = [\"never\"] }\n[tool.make]";
    world.edit("data/recipes/host-tools.toml", "[tool.make]", tools);
    world.edit(
        "data/recipes/tool.toml",
        "tools = [",
        "snapshot = { lacks = \"parser.c\", tools = [\"never\"] }\ntools = [",
    );
    world.write("tree/configure", "");
    let ran = world.run(&["build", "alpha", "--source", "tool=tree"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("this machine lacks what the build needs: `never`"), "{}", ran.err);
    world.write("tree/parser.c", "");
    world.run(&["plan", "alpha", "--source", "tool=tree"]).ok();
    world.run(&["build", "alpha"]).ok();
}
