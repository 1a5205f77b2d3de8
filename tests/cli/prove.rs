//! `crossmill record`: results are kept from run to run.

use crate::world::World;

fn world() -> World {
    let world = World::new();
    fs_err::create_dir_all(world.path("data/docs")).unwrap();
    world
}

fn record(world: &World) -> serde_json::Value {
    serde_json::from_str(&fs_err::read_to_string(world.path("data/docs/matrix.json")).unwrap()).unwrap()
}

fn page(world: &World) -> String {
    fs_err::read_to_string(world.path("data/docs/matrix.md")).unwrap()
}

fn stage<'a>(record: &'a serde_json::Value, target: &str, package: &str) -> &'a serde_json::Value {
    let stages = record["targets"][target]["now-quick"]["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["package"] == package).unwrap_or(&serde_json::Value::Null)
}

#[test]
fn a_result_keeps_the_time_of_the_run_that_made_it() {
    let world = world();
    world.run(&["build", "gamma"]).ok();
    let first = world.run(&["record"]).ok();
    assert!(first.err.contains("wrote [DIR]/data/docs/matrix.md"), "{}", first.err);
    let before = record(&world);
    let tool = stage(&before, "gamma", "tool");
    assert!(
        tool["state"] == "built" && tool["wall"].as_f64().unwrap() > 0.0 && tool["bytes"].as_u64().unwrap() > 0,
        "{tool}"
    );
    assert_eq!(before["targets"]["gamma"]["now-quick"]["profile"], "quick");
    assert_eq!(before["targets"]["gamma"]["now-quick"]["set"]["level"], "one");
    assert_eq!(
        before["targets"]["gamma"]["now-quick"]["versions"],
        serde_json::json!({ "tool": "1.0", "kernel": "1.0" })
    );
    // The next run finds all of it ready, and a second look changes nothing.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    world.run(&["build", "gamma"]).ok();
    world.run(&["record"]).ok();
    let after = record(&world);
    assert_eq!(stage(&after, "gamma", "tool"), tool);
    let tested = |record: &serde_json::Value| record["targets"]["gamma"]["now-quick"]["tested"].clone();
    assert!(tested(&after).is_string() && tested(&after) != tested(&before), "{after}");
    let whole = page(&world);
    world.run(&["record", "--check"]).ok();
    world.run(&["record"]).ok();
    assert_eq!((record(&world), page(&world)), (after, whole));
}

#[test]
fn a_target_without_a_newer_run_keeps_its_results() {
    let world = world();
    world.run(&["build", "alpha", "beta"]).ok();
    world.run(&["record"]).ok();
    // The store is gone, as on another machine.
    world.run(&["build", "gamma", "--store", "other"]).ok();
    world.run(&["record", "--store", "other"]).ok();
    let record = record(&world);
    let names: Vec<_> = record["targets"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["alpha", "beta", "gamma"]);
    assert_eq!(
        (
            &record["targets"]["beta"]["now-quick"]["toolchain"],
            &record["targets"]["beta"]["now-quick"]["versions"]["tool"]
        ),
        (&"alpha".into(), &"1.0".into())
    );
    assert_eq!(record["runs"].as_object().unwrap().len(), 2);
    let page = page(&world);
    assert!(page.contains("| **beta** | alpha's | 1.0 | 1.0 | 20"), "{page}");
    assert!(page.contains("2 toolchains, 3 kernels"), "{page}");
}

#[test]
fn a_failure_is_kept_with_its_cause_and_names_no_place_of_this_machine() {
    let world = world();
    world.edit(
        "data/recipes/kernel.toml",
        "run = [\"make\"]",
        "run = [\"sh\", \"-c\", \"echo {{ work }}: error: no luck; exit 3\"]",
    );
    assert_eq!(world.run(&["build", "alpha", "beta", "--record"]).code, Some(1));
    let text = record(&world);
    let kernel = stage(&text, "alpha", "kernel");
    assert_eq!(kernel["state"], "failed");
    assert_eq!((&kernel["failure"]["step"], &kernel["failure"]["ended"]), (&"build".into(), &"exit code 3".into()));
    let page = page(&world);
    assert!(page.contains("### alpha/kernel"), "{page}");
    assert!(page.contains("STORE/work/") && page.contains("no luck"), "{page}");
    assert!(!page.contains(world.path("").to_str().unwrap()), "{page}");
    let shown = world.run(&["targets", "show", "alpha"]).ok().out;
    assert!(shown.contains("kernel       failed 1.0"), "{shown}");
    assert!(
        world
            .run(&["targets"])
            .ok()
            .out
            .lines()
            .any(|line| line.starts_with("alpha") && line.ends_with("kernel failed"))
    );
    // Mended, the newest result takes precedence.
    world.edit("data/recipes/kernel.toml", "exit 3", "make");
    world.run(&["build", "alpha", "--record"]).ok();
    assert_eq!(stage(&record(&world), "alpha", "kernel")["state"], "built");
    assert_eq!(stage(&record(&world), "beta", "kernel")["state"], "failed");
}

#[test]
fn files_that_were_edited_or_name_no_target_are_found() {
    let world = world();
    world.run(&["build", "gamma", "--record"]).ok();
    let bad = |what: &str| {
        let ran = world.run(&["record", "--check", "--no-runs"]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains(what), "{}", ran.err);
    };
    world.run(&["record", "--check", "--no-runs"]).ok();
    world.edit("data/docs/matrix.md", "1.0", "2.0");
    bad("matrix.md is not what `crossmill record` writes");
    world.run(&["record", "--no-runs"]).ok();
    world.edit("data/docs/matrix.json", "\"gamma\": {", "\"vax\": {");
    bad("names `vax`, which is not a target of the matrix");
    world.edit("data/docs/matrix.json", "\"schema\": 2", "\"schema\": 3");
    insta::assert_snapshot!(world.run(&["record"]).message(), @r"
    exit 2
    error: [DIR]/data/docs/matrix.json is not what `crossmill record` writes
    cause: its schema is 3; this crossmill reads 1 and 2
    hint: restore the file, or remove it and record the runs again
    ");
}

#[test]
fn where_nothing_can_be_written_is_told_before_anything_is_built() {
    let world = World::new();
    let ran = world.run(&["build", "gamma", "--record"]);
    assert!(ran.code == Some(2) && ran.err.contains("directory `[DIR]/data/docs` does not exist"), "{}", ran.err);
    assert!(world.counts().is_empty());
    world.run(&["build", "gamma"]).ok();
    fs_err::create_dir_all(world.path("mine")).unwrap();
    world.run(&["record", "--out", "mine"]).ok();
    assert!(world.path("mine/matrix.md").is_file());
    let ran = world.run(&["record", "--out", "mine", "20990101-000000-1"]);
    assert!(ran.code == Some(2) && ran.err.contains("the store has no run `20990101-000000-1`"), "{}", ran.err);
}

// Ten lines of a user's own: see docs/targets.md.
#[test]
fn a_target_of_ones_own_is_built_without_touching_our_files() {
    let world = world();
    let before = fs_err::read_to_string(world.path("data/targets.toml")).unwrap();
    world.write(
        "crossmill.toml",
        r#"[target.delta]
inherits = "gamma"
summary = "as gamma, but louder"
toolchain = "gamma"
set = { level = "two" }
[[target.delta.options.kernel]]
add = ["--with-delta"]
why = "to see it arrive"
"#,
    );
    world.run(&["build", "delta"]).ok();
    let made = fs_err::read_to_string(world.path("store/results/now-quick/delta/kernel/share/kernel")).unwrap();
    assert!(made.starts_with("--level=two\n--with-delta\n"), "{made}");
    assert_eq!((world.count("gamma/tool configure"), world.count("delta/kernel configure")), (1, 1));
    let shown = world.run(&["targets", "show", "delta"]).ok().out;
    assert!(shown.contains("toolchain    gamma") && shown.contains("why   to see it arrive"), "{shown}");
    assert_eq!(fs_err::read_to_string(world.path("data/targets.toml")).unwrap(), before);
    // Files beside targets.toml speak of its targets; one's own are kept elsewhere.
    let ran = world.run(&["record"]).ok();
    assert!(ran.err.contains("`delta` is not a target of the matrix"), "{}", ran.err);
    assert!(record(&world)["targets"]["delta"].is_null());
    fs_err::create_dir_all(world.path("mine")).unwrap();
    world.run(&["record", "--out", "mine"]).ok();
    assert!(fs_err::read_to_string(world.path("mine/matrix.md")).unwrap().contains("| **delta** | gamma's |"));
}
