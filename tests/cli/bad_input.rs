//! Mistakes, each with the message it gets.

use crate::world::World;

fn refused(change: impl FnOnce(&World), args: &[&str]) -> String {
    let world = World::new();
    change(&world);
    let ran = world.run(args);
    assert!(world.entries("stages").is_empty() && world.counts().is_empty(), "nothing may have started");
    ran.message()
}

#[test]
fn a_typo_in_the_matrix() {
    let change = |world: &World| world.edit("data/targets.toml", "triple = \"gamma", "tripple = \"gamma");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: unknown key `tripple`
       --> [DIR]/data/targets.toml:30:1
       |
    30 | tripple = "gamma-tiny"
       | ^^^^^^^
    hint: did you mean `triple`?
    hint: valid keys are `aliases`, `arch`, `expect`, `facts`, `inherits`, `kernel`, `known-failure`, `notes`, `options`, `quirk`, `release-set`, `requires`, `set`, `summary`, `tier`, `toolchain`, `triple`, `with`
    "#);
}

#[test]
fn old_names_in_the_matrix_are_answered_with_the_new_ones() {
    let quirk = "[[target.gamma.peculiarity]]\nwhat = \"x\"\nwhy = \"y\"\nfrom = \"z\"\n";
    let change = |text: &'static str| {
        move |world: &World| {
            let path = world.path("data/targets.toml");
            let matrix = fs_err::read_to_string(&path).unwrap();
            fs_err::write(&path, format!("{matrix}\n{text}")).unwrap();
        }
    };
    insta::assert_snapshot!(refused(change(quirk), &["build", "gamma"]), @r#"
    exit 2
    error: the key `peculiarity` was renamed
       --> [DIR]/data/targets.toml:43:16
       |
    43 | [[target.gamma.peculiarity]]
       |                ^^^^^^^^^^^
    hint: use `quirk`
    "#);
    let fact = "[target.gamma.facts]\nbtf_min_all = \"0.5\"\n";
    insta::assert_snapshot!(refused(change(fact), &["build", "gamma"]), @r#"
    exit 2
    error: the fact `btf_min_all` was renamed
       --> [DIR]/data/targets.toml:44:1
       |
    44 | btf_min_all = "0.5"
       | ^^^^^^^^^^^
    hint: use `btf_min_complete`
    "#);
}

#[test]
fn a_typo_in_a_recipe() {
    let change = |world: &World| world.edit("data/recipes/tool.toml", "target-options", "target-option");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: unknown key `target-option`
       --> [DIR]/data/recipes/tool.toml:21:1
       |
    21 | target-option = true
       | ^^^^^^^^^^^^^
    hint: did you mean `target-options`?
    hint: valid keys are `env`, `interrupted`, `memory`, `name`, `run`, `script`, `target-options`, `when`, `with`
    "#);
}

#[test]
fn an_unknown_variable_in_a_recipe() {
    let change = |world: &World| world.edit("data/recipes/tool.toml", "set.level", "set.levle");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: unknown variable `set.levle`
       --> [DIR]/data/recipes/tool.toml:19:3
       |
    19 |   "--level={{ set.levle }}",
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `set.level`?
    hint: valid variables are `set.level`
    "#);
}

#[test]
fn a_cycle_of_recipes() {
    let change = |world: &World| {
        world.edit("data/recipes/lib.toml", "[[version]]", "[[needs]]\npackage = \"lib2\"\n[[version]]")
    };
    let more = |world: &World| {
        change(world);
        let text = fs_err::read_to_string(world.path("data/recipes/lib.toml")).unwrap();
        world.write(
            "data/recipes/lib2.toml",
            &text.replace("name = \"lib\"", "name = \"lib2\"").replace("package = \"lib2\"", "package = \"lib\""),
        );
        world.edit("data/targets.toml", "lib = \"1.0\"", "lib = \"1.0\", lib2 = \"1.0\"");
    };
    insta::assert_snapshot!(refused(more, &["build", "gamma"]), @r#"
    exit 2
    error: recipes need each other: lib -> lib2 -> lib
      --> [DIR]/data/recipes/lib.toml:3:8
      |
    3 | name = "lib"
      |        ^^^^^
    hint: remove one of these `[[needs]]`
    "#);
}

#[test]
fn a_missing_dependency() {
    let change = |world: &World| world.edit("data/recipes/tool.toml", "package = \"lib\"", "package = \"libb\"");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: unknown package `libb`
      --> [DIR]/data/recipes/tool.toml:8:11
      |
    8 | package = "libb"
      |           ^^^^^^
    hint: did you mean `lib`?
    hint: valid packages are `kernel`, `lib`, `tool`
    "#);
}

#[test]
fn an_unknown_target() {
    insta::assert_snapshot!(refused(|_| {}, &["build", "gama"]), @r#"
    exit 2
    error: unknown target `gama`
    hint: did you mean `gamma`?
    "#);
}

#[test]
fn a_target_that_cannot_be_built() {
    insta::assert_snapshot!(refused(|_| {}, &["build", "vax"]), @r#"
    exit 2
    error: target `vax` cannot be built
    cause: nobody has one
    hint: the last version that supports it: tool 0.9
    "#);
}

#[test]
fn an_unknown_group_profile_setting_and_version() {
    let args = ["build", "--group", "primry", "-p", "quik", "--set", "levle=two", "--with", "tool=3"];
    insta::assert_snapshot!(refused(|_| {}, &args), @r#"
    exit 2
    error: unknown group `primry`
    hint: did you mean `primary`?
    hint: valid groups are `all`, `primary`, `secondary`, `tertiary`

    error: unknown profile `quik`
    hint: did you mean `quick`?
    hint: valid profiles are `quick`

    error: unknown setting `levle`
    hint: did you mean `level`?
    hint: valid settings are `level`

    error: the recipe of `tool` has no version 3
    hint: valid versions are `1.0`
    hint: a local source needs no recipe entry: `--source tool=PATH`
    "#);
}

#[test]
fn a_setting_with_a_value_it_cannot_have() {
    insta::assert_snapshot!(refused(|_| {}, &["build", "gamma", "--set", "level=three"]), @r#"
    exit 2
    error: setting `level`: `three` is not one of its values
    hint: valid values are `one`, `two`
    "#);
}

#[test]
fn languages_said_twice() {
    let args = ["build", "gamma", "--languages", "c,rust", "--set", "languages=c"];
    insta::assert_snapshot!(refused(|_| {}, &args), @r#"
    exit 2
    error: `--languages c,rust` and `--set languages=c` contradict each other
    hint: give one of them
    "#);
    // Said alike it is a setting like any other, which this matrix does not have.
    let args = ["build", "gamma", "--languages", "c,rust", "--set", "languages=c,rust"];
    insta::assert_snapshot!(refused(|_| {}, &args), @r#"
    exit 2
    error: unknown setting `languages`
    hint: valid settings are `level`
    "#);
}

#[test]
fn an_impossible_combination() {
    let change = |world: &World| {
        let text = fs_err::read_to_string(world.path("data/recipes/tool.toml")).unwrap();
        let at = text.find("[[version]]").unwrap();
        let end = text.find("[[step]]").unwrap();
        let newer = text[at..end].replace("\"1.0\"", "\"2.1\"");
        world.write("data/recipes/tool.toml", &format!("{}{newer}{}", &text[..at], &text[at..]));
    };
    insta::assert_snapshot!(refused(change, &["build", "gamma", "--with", "tool=2.1"]), @r#"
    exit 2
    error: target `gamma` cannot be built with tool 2.1: it needs <2
       --> [DIR]/data/targets.toml:36:11
       |
    36 | package = "tool"
       |           ^^^^^^
    cause: the port was removed in 2
    hint: choose `--with tool=1.0`
    "#);
}

#[test]
fn a_source_without_a_pin() {
    let change = |world: &World| {
        let text = fs_err::read_to_string(world.path("data/recipes/lib.toml")).unwrap();
        let unpinned: Vec<&str> = text.lines().filter(|line| !line.starts_with("sha256")).collect();
        world.write("data/recipes/lib.toml", &unpinned.join("\n"));
    };
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: this source is not pinned
       --> [DIR]/data/recipes/lib.toml:10:1
       |
    10 | [[version.source]]
       | ^^^^^^^^^^^^^^^^^^
    hint: add `sha256 = "…"`, or `signature = { url = …, keyring = … }`
    "#);
}

#[test]
fn no_compiler() {
    let change = |world: &World| world.edit("data/targets.toml", "/usr/local/bin:/usr/bin:/bin", "/nowhere");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 3
    error: this machine lacks what the build needs: `cc`, `make`
    hint: `crossmill doctor` lists every tool
    "#);
}

#[test]
fn a_store_in_a_place_that_make_cannot_handle() {
    insta::assert_snapshot!(refused(|_| {}, &["build", "gamma", "--store", "my store"]), @r#"
    exit 5
    error: the store's path `[DIR]/my store` has a character that make cannot handle
    hint: choose another with `--store DIR`: letters, digits and `/ . _ + -` are safe
    "#);
}

#[test]
fn a_disk_that_is_too_small_is_found_before_anything_starts() {
    let change = |world: &World| world.edit("data/recipes/lib.toml", "build = \"1 MiB\"", "build = \"900000 TiB\"");
    let message = refused(change, &["build", "gamma"]);
    let masked: String = message
        .lines()
        .map(|line| match line.split_once(" has ") {
            Some((before, after)) => format!("{before} has [SIZE] free{}\n", &after[after.find(',').unwrap()..]),
            None => format!("{line}\n"),
        })
        .collect();
    let masked = masked.lines().filter(|line| !line.starts_with("[TIME]")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(masked, @r#"
    exit 5
    error: [DIR]/store has [SIZE] free, this run needs about 900000.0 TiB
    hint: free some space, or choose another place with `--store DIR`
    hint: `--ignore-space` starts anyway: what gets finished is kept
    "#);
}

#[test]
fn the_disk_check_takes_the_cost_of_what_is_configured() {
    let needed = |args: &[&str]| {
        let world = World::new();
        let with = "\n[[cost.with]]\nwhen = \"set.level == 'two'\"\nbuild = \"900000 TiB\"\n";
        let recipe = fs_err::read_to_string(world.path("data/recipes/lib.toml")).unwrap();
        world.write("data/recipes/lib.toml", &(recipe + with));
        world.run(args)
    };
    let message = needed(&["build", "gamma", "--set", "level=two"]).error();
    assert!(message.contains("this run needs about 900000.0 TiB"), "{message}");
    needed(&["build", "gamma"]).ok();
}

#[test]
fn a_condition_of_a_cost_is_checked_as_every_other() {
    let change = |world: &World| {
        let recipe = fs_err::read_to_string(world.path("data/recipes/lib.toml")).unwrap();
        world.write("data/recipes/lib.toml", &(recipe + "\n[[cost.with]]\nwhen = \"set.levle\"\ntime = \"1m\"\n"));
    };
    insta::assert_snapshot!(refused(change, &["plan", "gamma"]), @r#"
    exit 2
    error: unknown variable `set.levle`
       --> [DIR]/data/recipes/lib.toml:38:8
       |
    38 | when = "set.levle"
       |        ^^^^^^^^^^^
    hint: did you mean `set.level`?
    hint: valid variables are `set.level`
    "#);
}

#[test]
fn packages_that_are_no_packages_or_none() {
    let defaults = |packages: &'static str| {
        move |world: &World| {
            world.edit("data/targets.toml", "packages = [\"kernel\"]", &format!("packages = {packages}"))
        }
    };
    insta::assert_snapshot!(refused(defaults("[\"kernal\"]"), &["build", "alpha"]), @r#"
    exit 2
    error: unknown package `kernal`
      --> [DIR]/data/targets.toml:9:13
      |
    9 | packages = ["kernal"]
      |             ^^^^^^^^
    hint: did you mean `kernel`?
    hint: valid packages are `kernel`, `lib`, `tool`
    "#);
    insta::assert_snapshot!(refused(defaults("[]"), &["build", "alpha"]), @"
    exit 2
    error: no package is named: `[defaults]` `packages` is empty
    hint: list some there, or name them with `--package PACKAGE`
    ");
}

#[test]
fn names_that_no_recipe_defines_are_refused_wherever_they_are() {
    for (text, line) in [
        ("[[target.alpha.options.tol]]\nadd = [\"x\"]\nwhy = \"y\"\n", "unknown package `tol`"),
        ("[[target.alpha.requires]]\npackage = \"tol\"\nversions = \"<2\"\nwhy = \"y\"\n", "unknown package `tol`"),
        ("[target.alpha.expect]\ntol = \"pass\"\n", "unknown package `tol`"),
        ("[target.alpha.expect]\ntool = \"pass\"\n", "`tool` is not a check"),
        ("[target.alpha.known-failure.tol]\nwhy = \"y\"\nuntil = \"2999-01-01\"\n", "unknown package `tol`"),
        ("[defaults]\nwith = { tol = \"1.0\" }\n", "unknown package `tol`"),
    ] {
        let message = refused(|world| world.write("crossmill.toml", text), &["build", "alpha"]);
        assert!(message.starts_with("exit 2\n") && message.contains(line), "{text}: {message}");
        assert!(message.contains("--> crossmill.toml:"), "{message}");
    }
    let overlay = "[[target.alpha.options.tol]]\nadd = [\"x\"]\nwhy = \"y\"\n";
    insta::assert_snapshot!(refused(|world| world.write("crossmill.toml", overlay), &["targets", "show", "alpha"]), @"
    exit 2
    error: unknown package `tol`
      --> crossmill.toml:1:24
      |
    1 | [[target.alpha.options.tol]]
      |                        ^^^
    hint: did you mean `tool`?
    hint: valid packages are `kernel`, `lib`, `tool`
    ");
}

#[test]
fn a_triple_of_nonsense() {
    let change = |world: &World| world.edit("data/targets.toml", "triple = \"gamma-tiny\"", "triple = \"gamma tiny!\"");
    insta::assert_snapshot!(refused(change, &["build", "gamma"]), @r#"
    exit 2
    error: `gamma tiny!` is not a GNU triple
       --> [DIR]/data/targets.toml:30:10
       |
    30 | triple = "gamma tiny!"
       |          ^^^^^^^^^^^^^
    hint: it is written CPU-VENDOR-OS or CPU-OS, as `aarch64-linux-gnu`
    "#);
}
