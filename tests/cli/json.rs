//! The JSON of the commands for targets and runs, compared with its schemas.

use crate::support::schema::follows;
use crate::world::World;
use serde_json::Value;

fn json(world: &World, args: &[&str]) -> Value {
    // Not `run`, which writes [HASH] for keys.
    let output = world.command(&[args, &["--json"]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

#[test]
fn the_output_of_every_command_follows_its_schema() {
    let world = World::new();
    follows("plan", &json(&world, &["plan", "alpha"]));
    world.run(&["build", "alpha"]).ok();
    world.edit("data/recipes/kernel.toml", "run = [\"make\"]", "run = [\"false\"]");
    let run = json(&world, &["build", "alpha"]);
    assert_eq!(run["end"], "failed");
    follows("run", &run);
    let plan = json(&world, &["plan", "alpha"]);
    let states: std::collections::BTreeSet<_> =
        plan["stages"].as_array().unwrap().iter().map(|stage| stage["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["cached", "not-needed", "run"].into(), "{plan:#}");
    follows("plan", &plan);
    let log = world.entries("runs")[0].join("events.jsonl");
    fs_err::write(&log, "no event\n").unwrap();
    let runs = json(&world, &["runs"]);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    follows("runs", &runs);
    follows("targets", &json(&world, &["targets"]));
    let gamma = json(&world, &["targets", "show", "gamma"]);
    assert!(gamma["requires"][0]["why"].is_string(), "{gamma:#}");
    follows("target", &gamma);
    follows("doctor", &json(&world, &["doctor", "alpha"]));
    follows("env", &json(&world, &["env", "alpha"]));
}

#[test]
fn the_shipped_matrix_follows_its_schema() {
    let world = World::new();
    let data = env!("CARGO_MANIFEST_DIR");
    let targets = json(&world, &["targets", "--data", data]);
    follows("targets", &targets);
    for target in targets["targets"].as_array().unwrap() {
        follows("target", &json(&world, &["targets", "show", target["name"].as_str().unwrap(), "--data", data]));
    }
}
