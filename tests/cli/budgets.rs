//! Runs within a limit of time or of disk space.

use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The keys and states of a run's builds and checks.
fn table(json: &str) -> BTreeMap<String, (String, String)> {
    let json: Value = serde_json::from_str(json).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stages = json["stages"].as_array().unwrap().iter();
    let built = stages.filter(|stage| matches!(stage["kind"].as_str(), Some("build" | "check")));
    built.map(|stage| (text(&stage["name"]), (text(&stage["key"]), text(&stage["state"])))).collect()
}

/// The run's result, from a file: hashes in what is printed are masked.
fn result(world: &World, store: &str) -> Value {
    world.run(&["report", "--store", store, "--format", "json", "-o", "result.json"]).ok();
    serde_json::from_str(&fs_err::read_to_string(world.path("result.json")).unwrap()).unwrap()
}

fn cached(world: &World, store: &str, targets: &[&str]) -> BTreeMap<String, (String, String)> {
    let mut args = vec!["build", "--store", store];
    args.extend(targets);
    world.run(&args).ok();
    table(&result(world, store).to_string())
}

#[test]
fn a_stage_that_cannot_finish_is_left_for_the_next_run() {
    let world = World::new();
    world.edit("data/recipes/tool.toml", "time = \"5s\"", "time = \"3h\"");
    let args = ["build", "alpha", "gamma", "-j", "1", "--time-budget", "1m"];
    let cut = world.run(&args);
    assert_eq!(cut.code, Some(6), "{}", cut.err);
    assert!(cut.err.contains("the time budget of 1m00s has "), "{}", cut.err);
    assert!(cut.err.contains("is expected to take") && cut.err.contains("the same command carries on"), "{}", cut.err);
    let built = world.counts();
    assert!(built.iter().all(|line| line.starts_with("host/lib ")) && !built.is_empty(), "{built:?}");
    let json = result(&world, "store");
    assert_eq!(
        (json["end"].as_str(), json["exit"].as_u64(), json["ok"].as_bool()),
        (Some("time-budget"), Some(6), Some(false))
    );
    // Every stage that fits into this time was built.
    let refused = world.run(&args);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.error().contains("error: a time budget of 1m00s is too short: "), "{}", refused.err);
    assert!(refused.error().contains("hint: nothing was started"), "{}", refused.err);
    world.run(&["build", "alpha", "gamma"]).ok();
    assert_eq!(world.count("host/lib install"), 1);
    // In parts or at once: the same results.
    assert_eq!(cached(&world, "store", &["alpha", "gamma"]), {
        world.run(&["build", "alpha", "gamma", "--store", "other"]).ok();
        cached(&world, "other", &["alpha", "gamma"])
    });
}

#[test]
fn a_run_ends_before_its_time_is_over_and_is_carried_on() {
    let world = World::new();
    world.write("delay", "60");
    let script = format!("script = \"make DELAY=$(cat {})\"", world.path("delay").display());
    world.edit("data/recipes/kernel.toml", "run = [\"make\"]", &script);
    world.edit("data/recipes/kernel.toml", "write = [", &format!("write = [\"{}\", ", world.path("delay").display()));
    let began = Instant::now();
    let cut = world.run(&["build", "alpha", "--time-budget", "8s"]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(cut.code, Some(6), "{}", cut.err);
    assert!(cut.err.contains("the time budget of 8.0s ends: stopping the running steps"), "{}", cut.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
    // The kernel's build is in the middle: it goes on, whatever it is expected to take.
    world.write("delay", "0");
    world.edit("data/recipes/kernel.toml", "time = \"5s\"", "time = \"9h\"");
    world.run(&["build", "alpha", "--time-budget", "1m"]).ok();
    assert_eq!(world.count("alpha/kernel configure"), 1);
    world.run(&["build", "alpha", "--store", "other"]).ok();
    assert_eq!(cached(&world, "store", &["alpha"]), cached(&world, "other", &["alpha"]));
}

#[test]
fn an_interrupted_run_is_not_out_of_time() {
    let world = World::new();
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", "run = [\"make\", \"DELAY=60\"]");
    let mut child = world.command(&["build", "alpha", "--time-budget", "1h"]).spawn().unwrap();
    crate::world::until("the library is built", || world.count("host/lib build") == 1);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

// Every source takes 4 MiB, and every build 2 MiB; a build reports the trees that exist.
fn large(world: &World) {
    let list = format!("ls {}/sources | wc -l | sed s/^/sources:/ >> @COUNT@", world.store().display())
        .replace("@COUNT@", &world.path("count").display().to_string());
    for name in ["lib", "tool", "kernel"] {
        let recipe = format!("data/recipes/{name}.toml");
        world.edit(&recipe, "version = \"1.0\"\n", "version = \"1.0\"\nunpacked = \"4 MiB\"\n");
        world.edit(&recipe, "run = [\"make\"]", &format!("script = \"{list}; make\""));
    }
}

#[test]
fn sources_are_unpacked_late_and_deleted_early() {
    let world = World::new();
    large(&world);
    world.run(&["build", "alpha", "gamma", "-j", "4", "--store", "free"]).ok();
    let limited = world.run(&["build", "alpha", "gamma", "-j", "4", "--disk-budget", "6MiB"]).ok();
    assert!(limited.err.contains("waits for 2.0 MiB of the disk budget"), "{}", limited.err);
    // Never two source trees at a time, and none at the end.
    let seen: Vec<String> = world.counts().into_iter().filter(|line| line.starts_with("sources:")).collect();
    assert!(seen.len() == 10 && seen[5..].iter().all(|line| line == "sources:1" || line == "sources:0"), "{seen:?}");
    assert_eq!(world.entries("sources"), Vec::<std::path::PathBuf>::new());
    assert_eq!(cached(&world, "store", &["alpha", "gamma"]), cached(&world, "free", &["alpha", "gamma"]));
    // Sources that are not in use are deleted, and unpacked again later.
    world.run(&["build", "beta"]).ok();
    assert_eq!(world.entries("sources").len(), 1);
    world.run(&["build", "alpha", "--set", "level=two", "--disk-budget", "6MiB"]).ok();
    assert_eq!(world.entries("sources").len(), 0);
}

#[test]
fn a_failed_stage_gives_its_space_back() {
    let world = World::new();
    large(&world);
    world.edit("data/recipes/tool.toml", "run = [\"make\", \"install\"", "run = [\"false\", \"install\"");
    let failed = world.run(&["build", "alpha", "gamma", "--disk-budget", "6MiB"]);
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    assert_eq!(world.count("alpha/tool build") + world.count("gamma/tool build"), 2);
    assert_eq!(world.entries("sources").len(), 0);
    let work = world.entries("work");
    assert!(work.len() == 2 && work.iter().all(|dir| !dir.join("build").exists() && dir.join("logs").exists()));
    // Without its build tree it starts afresh.
    world.edit("data/recipes/tool.toml", "run = [\"false\", \"install\"", "run = [\"make\", \"install\"");
    world.run(&["build", "alpha", "gamma", "--disk-budget", "6MiB"]).ok();
}

#[test]
fn a_disk_budget_below_the_largest_stage_is_refused() {
    let world = World::new();
    large(&world);
    let refused = world.run(&["build", "alpha", "--disk-budget", "5MiB"]);
    assert_eq!(
        refused.error(),
        "exit 2\nerror: a disk budget of 5.0 MiB is too small: host/lib and its source take 6.0 MiB\n\
         hint: nothing was started; give more, or build fewer packages"
    );
    assert_eq!(world.entries("stages").len(), 0);
    assert_eq!(world.run(&["build", "alpha", "--disk-budget", "1GiB", "--keep-work"]).code, Some(2));
}
