//! `crossmill package`: what it writes, when it writes nothing, and why.

use crate::world::{Ran, World};

const ARCHIVE: &str = "[archive.module-kit]\nsummary = \"a test\"\npackage = \"kit\"\nset = { level = \"two\" }\n\
                       checks = [\"proof\"]\nname = \"kit-{{ version }}-{{ target.name }}\"\n[not-built.vax]";

// A kit of the kernel's result, with level two alone, and a check of it.
fn world(check: &str) -> World {
    let world = World::new();
    world.edit("data/targets.toml", "[not-built.vax]", ARCHIVE);
    world.write(
        "data/recipes/kit.toml",
        "schema = 1\nname = \"kit\"\nsummary = \"a test\"\nper = \"target\"\nwhen = \"set.level == 'two'\"\n\
         source-of = \"kernel\"\n[[needs]]\npackage = \"kernel\"\n[[step]]\nname = \"kit\"\nscript = '''\n\
         cp '{{ deps.kernel }}/share/kernel' '{{ source }}/configure' '{{ dest }}'\n\
         echo '{{ keys.kernel }} {{ version }}' > '{{ dest }}/key'\n'''\n[result]\nfiles = [\"key\"]\n",
    );
    world.write(
        "data/recipes/proof.toml",
        &format!(
            "schema = 1\nname = \"proof\"\nsummary = \"a test\"\nper = \"target\"\nkind = \"check\"\n\
             [[needs]]\npackage = \"kit\"\n[[step]]\nname = \"look\"\nscript = '''\n{check}\n'''\n"
        ),
    );
    world
}

fn tar(world: &World, args: &[&str]) -> String {
    let output = std::process::Command::new("tar").args(args).current_dir(world.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_result_becomes_an_archive_with_its_digest_and_the_same_one_again() {
    let world = world("test -s '{{ deps.kit }}/key'");
    let ran = world.run(&["package", "--module-kit", "alpha", "--out", "out", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let archive = &json["archives"][0];
    assert_eq!(
        (&json["schema"], &archive["target"], &archive["stage"]),
        (&1.into(), &"alpha".into(), &"alpha/kit".into())
    );
    assert_eq!(archive["path"], "out/kit-1.0-alpha.tar.xz");
    let list = tar(&world, &["-tJf", "out/kit-1.0-alpha.tar.xz"]);
    let names = ["kit-1.0-alpha/configure", "kit-1.0-alpha/kernel", "kit-1.0-alpha/key"];
    assert_eq!(list.lines().collect::<Vec<_>>(), names);
    // The settings that the archive needs hold for all that is built for it.
    let kernel = tar(&world, &["-xOJf", "out/kit-1.0-alpha.tar.xz", "kit-1.0-alpha/kernel"]);
    assert!(kernel.starts_with("--level=two\n"), "{kernel}");
    let key = tar(&world, &["-xOJf", "out/kit-1.0-alpha.tar.xz", "kit-1.0-alpha/key"]);
    let entry = world.entry("alpha/kernel");
    assert_eq!(key, format!("{} 1.0\n", entry.file_name().unwrap().to_str().unwrap()));
    let bytes = fs_err::read(world.path("out/kit-1.0-alpha.tar.xz")).unwrap();
    let sha256 = crossmill::base::Sha256::of(&bytes).to_string();
    let sum = fs_err::read_to_string(world.path("out/kit-1.0-alpha.tar.xz.sha256")).unwrap();
    assert_eq!(sum, format!("{sha256}  kit-1.0-alpha.tar.xz\n"));
    // In another store, at another time, in the working directory.
    world.run(&["package", "--module-kit", "alpha", "--store", "other/store"]).ok();
    assert_eq!(fs_err::read(world.path("kit-1.0-alpha.tar.xz")).unwrap(), bytes);
}

#[test]
fn what_fails_its_check_is_not_given_out() {
    let world = world("echo 'x.c:1:1: error: it does not fit'; test '{{ target.name }}' != alpha");
    let ran = world.run(&["package", "--module-kit", "alpha", "gamma", "--out", "out"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("not packaged: alpha/kit: its check alpha/proof failed: look: exit code 1"),
        "{}",
        ran.err
    );
    let left: Vec<_> = fs_err::read_dir(world.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(world.path("out/kit-1.0-gamma.tar.xz").is_file());
}

#[test]
fn a_skipped_check_is_told() {
    let world = world("printf 'state skipped\\nwhy no machine\\n' > '{{ dest }}/verdict'");
    let ran = world.run(&["package", "--module-kit", "alpha", "--out", "out", "--json"]).ok();
    assert!(ran.err.contains("warning: alpha/proof did not look at it: no machine"), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["archives"][0]["skipped"], serde_json::json!(["alpha/proof"]));
}

fn refused(ran: &Ran, world: &World) {
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(world.counts().is_empty() && world.server.seen().is_empty(), "something was started");
}

#[test]
fn a_target_that_has_no_such_result_is_named_before_anything_starts() {
    let world = world("true");
    let ran = world.run(&["package", "--module-kit", "alpha", "--set", "level=one"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `alpha` has no `kit`: its recipe applies when `set.level == 'two'`
    hint: leave this target out, or set what it lacks in targets.toml or with `--set`
    "#);
}

#[test]
fn what_is_to_be_packaged_must_be_said_and_declared() {
    let world = world("true");
    let ran = world.run(&["package", "alpha"]);
    refused(&ran, &world);
    assert!(ran.err.contains("--module-kit"), "{}", ran.err);
    let ran = world.run(&["package", "--module-kit", "alpha", "--package", "kit"]);
    refused(&ran, &world);
    assert!(ran.err.contains("an archive has its own packages"), "{}", ran.err);
    world.edit("data/targets.toml", "[archive.module-kit]", "[archive.headers]");
    let ran = world.run(&["package", "--module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: no `[archive.module-kit]` is declared
    hint: valid archives are `headers`
    "#);
}

#[test]
fn mistakes_in_an_archive_are_shown_at_their_places() {
    let world = world("true");
    world.edit("data/targets.toml", "package = \"kit\"", "package = \"kitt\"");
    world.edit("data/targets.toml", "checks = [\"proof\"]", "checks = [\"lib\"]");
    let ran = world.run(&["package", "--module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `lib` is not a check
       --> [DIR]/data/targets.toml:43:11
       |
    43 | checks = ["lib"]
       |           ^^^^^

    error: unknown package `kitt`
       --> [DIR]/data/targets.toml:41:11
       |
    41 | package = "kitt"
       |           ^^^^^^
    hint: did you mean `kit`?
    hint: valid packages are `kernel`, `kit`, `lib`, `proof`, `tool`
    "#);
    world.edit("data/targets.toml", "level = \"two\"", "levle = \"two\"");
    let ran = world.run(&["package", "--module-kit", "alpha"]);
    refused(&ran, &world);
    assert!(ran.err.contains("unknown setting `levle`"), "{}", ran.err);
}

#[test]
fn a_name_that_is_no_file_name_is_refused() {
    let world = world("true");
    world.edit("data/targets.toml", "kit-{{ version }}", "../kit-{{ version }}");
    let ran = world.run(&["package", "--module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `../kit-1.0-alpha` cannot be the name of an archive
       --> [DIR]/data/targets.toml:44:8
       |
    44 | name = "../kit-{{ version }}-{{ target.name }}"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: letters, digits and `. _ + -` are safe, and a letter or digit at the front
    "#);
}
