//! What `plan` says, and that it says the truth.

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
