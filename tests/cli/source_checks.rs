//! `[[source-check]]`: what cannot be built from a source is refused when that is unpacked, before an hour of building.

use crate::world::World;

fn with(world: &World, recipe: &str, check: &str) {
    world.edit(&format!("data/recipes/{recipe}.toml"), "[access]", &format!("[[source-check]]\n{check}\n[access]"));
}

#[test]
fn an_architecture_that_the_source_lacks_is_refused_before_anything_is_built() {
    let world = World::new();
    with(
        &world,
        "kernel",
        "exists = \"arch/{{ target.arch }}/Kconfig\"\nwhy = \"the kernel has no `arch/{{ target.arch }}`\"",
    );
    world.run(&["fetch", "alpha"]).ok();
    let ran = world.run(&["build", "alpha", "-j", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("alpha/kernel: the kernel has no `arch/alpha`"), "{}", ran.err);
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    // The tree is unpacked now, and the answer is the same.
    let ran = world.run(&["build", "alpha", "-j", "1"]);
    assert!(ran.err.contains("alpha/kernel: the kernel has no `arch/alpha`"), "{}", ran.err);
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    // The other requested packages are built.
    world.run(&["build", "alpha", "--package", "tool"]).ok();
    assert_eq!(world.count("alpha/tool install"), 1);
}

#[test]
fn a_triple_that_a_script_of_the_source_refuses_stops_its_target_and_no_other() {
    let world = World::new();
    let script =
        r#"run = ["sh", "-c", "test -f configure && test \"$1\" != gamma-tiny", "sub", "{{ toolchain.triple }}"]"#;
    with(&world, "tool", &format!("{script}\nwhy = \"config.sub does not know `{{{{ toolchain.triple }}}}`\""));
    let ran = world.run(&["build", "alpha", "gamma"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("gamma/tool: config.sub does not know `gamma-tiny`"), "{}", ran.err);
    assert_eq!((world.count("alpha/kernel install"), world.count("gamma/tool configure")), (1, 0));
    // It is no part of the key.
    world.forget_counts();
    world.edit("data/recipes/tool.toml", "!= gamma-tiny", "!= beta-tiny");
    world.run(&["build", "alpha", "gamma"]).ok();
    assert_eq!((world.count("alpha/tool configure"), world.count("gamma/tool configure")), (0, 1));
}

#[test]
fn the_command_of_a_check_is_isolated_like_a_step() {
    let world = World::new();
    let dir = tempfile::Builder::new().prefix("check-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = dir.path().join("out");
    with(&world, "lib", &format!("run = [\"sh\", \"-c\", \"echo x > {}\"]\nwhy = \"it writes\"", out.display()));
    let ran = world.run(&["build", "alpha", "--package", "lib", "--isolation", "required"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("host/lib: it writes"), "{}", ran.err);
    assert!(!out.exists());
    assert!(world.entries("work").is_empty(), "{:?}", world.entries("work"));
}

#[test]
fn a_check_asks_one_thing() {
    let world = World::new();
    with(&world, "lib", "exists = \"configure\"\nrun = [\"true\"]\nwhy = \"both\"");
    let ran = world.run(&["plan", "alpha"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("a `[[source-check]]` has either `exists` or `run`"), "{}", ran.err);
    let world = World::new();
    with(&world, "lib", "exists = \"../configure\"\nwhy = \"out\"");
    let ran = world.run(&["plan", "alpha"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("leads out of its directory"), "{}", ran.err);
}
