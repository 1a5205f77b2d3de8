//! The output of `plan`, compared with what a build then does.

use crate::world::World;

#[test]
fn one_changed_option_rebuilds_exactly_what_depends_on_it() {
    let world = World::new();
    world.run(&["build", "alpha", "gamma"]).ok();
    world.forget_counts();
    world.edit("data/targets.toml", "--with-gamma", "--with-delta");
    let plan = world.run(&["plan", "alpha", "gamma", "--explain"]).ok().out;
    let run: Vec<&str> =
        plan.lines().filter(|line| line.contains("  run ")).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(run, ["gamma/tool", "gamma/kernel"], "{plan}");
    assert!(plan.contains("step `configure`: argument `--with-gamma` removed"), "{plan}");
    assert!(plan.contains("step `configure`: argument `--with-delta` added"), "{plan}");
    assert!(plan.contains("result of `tool` (build) changed"), "{plan}");
    world.run(&["build", "alpha", "gamma"]).ok();
    assert!(world.counts().iter().all(|line| line.starts_with("gamma/")), "{:?}", world.counts());
    assert_eq!((world.count("gamma/tool configure"), world.count("gamma/kernel configure")), (1, 1));
}

#[test]
fn a_setting_changes_keys_and_back_again_finds_the_old_results() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    world.forget_counts();
    world.run(&["build", "alpha"]).ok();
    assert!(world.counts().is_empty());
}

#[test]
fn the_graph_can_be_had_as_json_and_for_graphviz() {
    let world = World::new();
    let json: serde_json::Value = serde_json::from_str(&world.run(&["plan", "alpha", "--json"]).ok().out).unwrap();
    let stages = json["stages"].as_array().unwrap();
    let kernel = stages.iter().find(|stage| stage["stage"] == "alpha/kernel").unwrap();
    assert_eq!(kernel["needs"], serde_json::json!(["unpack/kernel-1.0", "alpha/tool"]));
    assert_eq!(kernel["known"], false, "its source was never fetched");
    let dot = world.run(&["plan", "alpha", "--dot"]).ok().out;
    assert!(dot.contains("\"alpha/tool\" -> \"alpha/kernel\";"), "{dot}");
}

#[test]
fn keys_do_not_depend_on_where_the_store_is() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let key = |dir: &std::path::Path| dir.file_name().unwrap().to_owned();
    let here: Vec<_> = world.entries("stages").iter().map(|dir| key(dir)).collect();
    world.run(&["build", "alpha", "--store", "elsewhere/store"]).ok();
    let mut there: Vec<_> = fs_err::read_dir(world.path("elsewhere/store/stages"))
        .unwrap()
        .map(|entry| key(&entry.unwrap().path()))
        .collect();
    there.sort();
    assert_eq!(here, there);
}

// A second version of a recipe, from the same archive.
fn add_version(world: &World, recipe: &str, version: &str) {
    let path = format!("data/recipes/{recipe}.toml");
    let text = fs_err::read_to_string(world.path(&path)).unwrap();
    let at = text.find("[[version]]").unwrap();
    let end = text.find("[[step]]").unwrap();
    let more = text[at..end].replace("version = \"1.0\"", &format!("version = \"{version}\""));
    world.write(&path, &format!("{}{more}{}", &text[..end], &text[end..]));
}

// `gamma/tool 0.9`, those with a version.
fn planned(world: &World, args: &[&str]) -> Vec<String> {
    let args: Vec<&str> = ["plan", "--json"].into_iter().chain(args.iter().copied()).collect();
    let json: serde_json::Value = serde_json::from_str(&world.run(&args).ok().out).unwrap();
    let stages = json["stages"].as_array().unwrap().iter();
    stages.map(|stage| format!("{} {}", stage["stage"].as_str().unwrap(), stage["version"].as_str().unwrap())).collect()
}

fn pinning_world(how: &str) -> World {
    let world = World::new();
    for recipe in ["lib", "tool", "kernel"] {
        add_version(&world, recipe, "0.9.1");
    }
    world.edit("data/recipes/kernel.toml", "--level={{ set.level }}", "--by={{ versions.tool }}/{{ version }}");
    let set = "[release-set.old]\nsummary = \"x\"\nversions = { lib = \"0.9\", tool = \"0.9\", kernel = \"0.9\" }";
    world.write("crossmill.toml", &format!("{set}\n[target.gamma]\n{how}"));
    world
}

#[test]
fn a_target_may_be_built_from_its_own_versions() {
    let world = pinning_world("with = { tool = \"0.9\" }");
    let stages = planned(&world, &["alpha", "gamma"]);
    for stage in
        ["unpack/tool-1.0 1.0", "alpha/tool 1.0", "unpack/tool-0.9.1 0.9.1", "gamma/tool 0.9.1", "gamma/kernel 1.0"]
    {
        assert!(stages.contains(&stage.to_owned()), "{stage}: {stages:?}");
    }
    world.run(&["build", "alpha", "gamma"]).ok();
    let made = |name: &str| fs_err::read_to_string(world.entry(name).join("tree/share/kernel")).unwrap();
    assert!(made("gamma/kernel").starts_with("--by=0.9.1/1.0\n"), "{}", made("gamma/kernel"));
    assert!(made("alpha/kernel").starts_with("--by=1.0/1.0\n"), "{}", made("alpha/kernel"));
}

#[test]
fn a_release_set_of_a_target_holds_for_what_is_built_for_it() {
    let world = pinning_world("release-set = \"old\"");
    let stages = planned(&world, &["gamma"]);
    let built: Vec<&str> = stages.iter().map(String::as_str).filter(|stage| !stage.contains("-")).collect();
    assert_eq!(built, ["host/lib 1.0", "gamma/tool 0.9.1", "gamma/kernel 0.9.1"]);
    // Options of a shared toolchain are those of its owner.
    let world = pinning_world("release-set = \"old\"\n[target.beta]\nrelease-set = \"old\"");
    let stages = planned(&world, &["beta"]);
    let built: Vec<&str> = stages.iter().map(String::as_str).filter(|stage| !stage.contains("-")).collect();
    assert_eq!(built, ["host/lib 1.0", "alpha/tool 1.0", "beta/kernel 0.9.1"]);
}

#[test]
fn what_the_user_names_wins_over_a_targets_own_versions() {
    let world = pinning_world("with = { tool = \"0.9\", kernel = \"0.9\" }");
    let tool = |args: &[&str]| {
        let stages = planned(&world, &[&["gamma"], args].concat());
        stages.into_iter().find(|stage| stage.starts_with("gamma/tool")).unwrap()
    };
    assert_eq!(tool(&[]), "gamma/tool 0.9.1");
    assert_eq!(tool(&["--with", "tool=1.0"]), "gamma/tool 1.0");
    assert_eq!(tool(&["--release-set", "now"]), "gamma/tool 1.0");
    assert_eq!(tool(&["--source", "tool=data"]), "gamma/tool 1.0");
    // A release set is a wish about the targets that have a choice.
    world.edit("data/targets.toml", "versions = \"<2\"", "versions = \"<1\"");
    assert_eq!(tool(&["--release-set", "now"]), "gamma/tool 0.9.1");
    let message = world.run(&["plan", "gamma", "--with", "tool=1.0"]).message();
    insta::assert_snapshot!(message, @r#"
    exit 2
    error: target `gamma` cannot be built with tool 1.0: it needs <1
       --> [DIR]/data/targets.toml:36:11
       |
    36 | package = "tool"
       |           ^^^^^^
    cause: the port was removed in 2
    hint: choose `--with tool=0.9.1`
    "#);
}

#[test]
fn a_version_that_a_target_cannot_choose_is_refused() {
    let refused = |how: &str| pinning_world(how).run(&["plan", "gamma"]).message();
    insta::assert_snapshot!(refused("with = { tool = \"3\" }"), @r#"
    exit 2
    error: target `gamma`: the recipe of `tool` has no version 3
      --> crossmill.toml:5:17
      |
    5 | with = { tool = "3" }
      |                 ^^^
    hint: valid versions are `0.9.1`, `1.0`
    hint: a local source needs no recipe entry: `--source tool=PATH`
    "#);
    insta::assert_snapshot!(refused("with = { lib = \"0.9\" }"), @r#"
    exit 2
    error: target `gamma`: `lib` is built once for all targets
      --> crossmill.toml:5:16
      |
    5 | with = { lib = "0.9" }
      |                ^^^^^
    hint: choose its version for the whole run: `[defaults]` `with`, or `--with`
    "#);
    insta::assert_snapshot!(refused("with = { tol = \"0.9\" }"), @r#"
    exit 2
    error: target `gamma`: unknown package `tol`
      --> crossmill.toml:5:16
      |
    5 | with = { tol = "0.9" }
      |                ^^^^^
    hint: did you mean `tool`?
    hint: valid packages are `kernel`, `lib`, `tool`
    "#);
    insta::assert_snapshot!(refused("release-set = \"odl\""), @r#"
    exit 2
    error: unknown release set `odl`
      --> crossmill.toml:5:15
      |
    5 | release-set = "odl"
      |               ^^^^^
    hint: did you mean `old`?
    hint: valid release sets are `now`, `old`
    "#);
    insta::assert_snapshot!(refused("\n[target.beta]\nwith = { tool = \"0.9\" }"), @r#"
    exit 2
    error: target `beta`: its `tool` is that of `alpha`
      --> crossmill.toml:7:17
      |
    7 | with = { tool = "0.9" }
      |                 ^^^^^
    hint: give the version to `[target.alpha]`
    "#);
}

#[test]
fn a_borrowed_toolchain_has_requirements_too() {
    let world = World::new();
    let requires = "[[target.alpha.requires]]\npackage = \"tool\"\nversions = \">=2\"\nwhy = \"x\"";
    world.write("crossmill.toml", requires);
    let ran = world.run(&["plan", "beta"]);
    assert_eq!(ran.err.matches("target `alpha` cannot be built with tool 1.0: it needs >=2").count(), 1, "{}", ran.err);
}

#[test]
fn options_of_a_target_reach_a_recipes_scripts_and_arguments_for_their_versions() {
    let world = World::new();
    let options = "[[target.gamma.options.kernel]]\nadd = [\"A=1\", \"B=2\"]\nwhy = \"x\"\n";
    let other = "[[target.gamma.options.kernel]]\nadd = [\"C=3\"]\nwhy = \"x\"\nversions = \"<1\"";
    world.write("crossmill.toml", &format!("{options}{other}"));
    let script =
        "run = [\"make\", \"VARS={{ options | join(' ') }}\"]\ntarget-options = true\ninterrupted = \"continue\"";
    world.edit("data/recipes/kernel.toml", "run = [\"make\"]\ninterrupted = \"continue\"", script);
    let run = |target: &str| {
        world.run(&["build", target]).ok();
        world.run(&["reproduce", &format!("{target}/kernel")]).ok().out
    };
    let script = run("gamma");
    assert!(
        script.contains("make 'VARS=A=1 B=2' A=1 B=2") || script.contains("'make' 'VARS=A=1 B=2' 'A=1' 'B=2'"),
        "{script}"
    );
    assert!(!script.contains("C=3"));
    assert!(!run("alpha").contains("A=1"));
}

#[test]
fn a_plan_is_simulated_on_a_machine_that_does_not_exist() {
    let world = World::new();
    let text = world.run(&["plan", "alpha", "gamma", "--simulate-cores", "64"]).ok().out;
    assert!(text.starts_with("11 stages on 64 cores: "), "{text}");
    assert!(text.contains("critical path:\n") && text.contains("/kernel\n"), "{text}");
    assert!(text.contains("note: no step of 5 stages was ever recorded"), "{text}");
    // Recorded steps, and the same steps for a target that was never built.
    world.run(&["build", "alpha"]).ok();
    let simulate = |args: &[&str]| {
        let out = world.run(&[&["plan", "--simulate-cores", "2", "--json"], args].concat()).ok().out;
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/plan-simulation.schema.json");
        let schema = serde_json::from_str(&fs_err::read_to_string(schema).unwrap()).unwrap();
        let errors: Vec<String> =
            jsonschema::validator_for(&schema).unwrap().iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        value
    };
    let gamma = simulate(&["gamma"]);
    assert_eq!((gamma["stages"].as_u64(), gamma["unrecorded_stages"].as_u64()), (Some(2), Some(0)), "{gamma}");
    assert_eq!(gamma["critical_path"][0]["stage"], "gamma/tool");
    assert_eq!(simulate(&["alpha"])["stages"], 0);
    let text = world.run(&["plan", "alpha", "--simulate-cores", "2"]).ok().out;
    assert_eq!(text, "nothing to run: every result exists");
    // Two machines each build what they need; targets that share a toolchain stay together.
    let nodes = simulate(&["alpha", "beta", "gamma", "--set", "level=two", "--nodes", "2"]);
    let one = simulate(&["alpha", "beta", "gamma", "--set", "level=two"]);
    assert!(nodes["wall_seconds"].as_f64() <= one["wall_seconds"].as_f64(), "{nodes} {one}");
    assert!(nodes["stages"].as_u64() > one["stages"].as_u64(), "the library is built twice");
    for wrong in [&["--simulate-cores", "0"][..], &["--nodes", "2"], &["--simulate-cores", "2", "--dot"]] {
        assert_eq!(world.run(&[&["plan", "alpha"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}
