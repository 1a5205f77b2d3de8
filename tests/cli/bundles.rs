//! Bundles of results and downloads, and a matrix that is built in parts.

use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The key and the state of every build of the newest run, from a file: hashes in what is printed are masked.
fn table(world: &World, store: &str) -> BTreeMap<String, (String, String)> {
    world.run(&["report", "--store", store, "--format", "json", "-o", "result.json"]).ok();
    let json: Value = serde_json::from_str(&fs_err::read_to_string(world.path("result.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let built = json["stages"].as_array().unwrap().iter().filter(|stage| stage["kind"] == "build");
    built.map(|stage| (text(&stage["name"]), (text(&stage["key"]), text(&stage["state"])))).collect()
}

// The table of a run that found everything finished, without the run's name, times and paths.
fn shown(world: &World, store: &str, targets: &[&str]) -> (String, BTreeMap<String, (String, String)>) {
    let text = world.run(&[&["build", "--store", store], targets].concat()).ok().err;
    let at = text.find("target ").or_else(|| text.find("alpha ")).unwrap_or_else(|| panic!("{text}"));
    let rows = text[at..].lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    (rows, table(world, store))
}

// The files of a tree with their content.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        if path.is_dir() && !path.is_symlink() {
            todo.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            found.insert(name, fs_err::read(&path).unwrap_or_default());
        }
    }
    found
}

fn results(world: &World, store: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(&world.path(store).join("stages"));
    // Logs and records have times.
    found.retain(|name, _| name.contains("/tree/"));
    found
}

fn delta(world: &World) {
    let target = "[target.delta]\ntier = \"secondary\"\ntriple = \"delta-tiny\"\narch = \"delta\"\n[target.gamma]";
    world.edit("data/targets.toml", "[target.gamma]", target);
}

#[test]
fn a_bundle_builds_elsewhere_without_a_network() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let exported = world.run(&["store", "export", "all.bundle"]).ok().out;
    assert!(exported.starts_with("all.bundle: 3 results, 1 downloads, "), "{exported}");
    let imported = world.run(&["store", "import", "all.bundle", "--store", "other"]).ok().out;
    assert_eq!(imported, "3 results and 1 downloads imported; 0 and 0 existed");
    world.forget_counts();
    let offline = ["build", "alpha", "--store", "other", "--offline"];
    world.run(&offline).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    world.run(&["store", "verify", "--store", "other"]).ok();
    assert_eq!(results(&world, "other"), results(&world, "store"));
    // The downloads are enough for what is not built.
    world.run(&["build", "gamma", "--store", "other", "--offline"]).ok();
    // Again changes nothing.
    let again = world.run(&["store", "import", "all.bundle", "--store", "other"]).ok().out;
    assert_eq!(again, "0 results and 0 downloads imported; 3 and 1 existed");
    assert!(world.path("other/work").read_dir().unwrap().next().is_none(), "nothing is left over");
}

#[test]
fn a_bundle_of_one_stage_has_what_it_was_built_with() {
    let world = World::new();
    world.run(&["build", "alpha", "gamma"]).ok();
    let exported = world.run(&["store", "export", "part.bundle", "alpha/tool", "--no-sources"]).ok().out;
    assert!(exported.starts_with("part.bundle: 2 results, 0 downloads, "), "{exported}");
    world.run(&["store", "import", "part.bundle", "--store", "other"]).ok();
    world.forget_counts();
    world.run(&["build", "alpha", "--store", "other"]).ok();
    assert_eq!(
        world.counts(),
        ["alpha/kernel build", "alpha/kernel build", "alpha/kernel configure", "alpha/kernel install"]
    );
    assert_eq!(world.run(&["store", "export", "x.bundle", "alpha/nothing"]).code, Some(5));
    let empty = world.run(&["store", "export", "x.bundle", "--store", "empty"]);
    assert_eq!(empty.message(), "exit 2\nerror: the store has nothing to export");
    assert!(!world.path("x.bundle").exists());
}

#[test]
fn a_damaged_bundle_changes_nothing() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.run(&["store", "export", "all.bundle"]).ok();
    let whole = fs_err::read(world.path("all.bundle")).unwrap();
    world.run(&["targets", "--store", "other"]).ok();
    let refused = |bytes: &[u8]| {
        fs_err::write(world.path("bad.bundle"), bytes).unwrap();
        let refused = world.run(&["store", "import", "bad.bundle", "--store", "other"]);
        assert_eq!(refused.code, Some(5), "{}", refused.err);
        let left = files(&world.path("other"));
        assert!(left.keys().all(|name| !name.starts_with("stages/") && !name.starts_with("cache/blobs")), "{left:?}");
        refused.err
    };
    let damaged = "error: the bundle `bad.bundle` cannot be imported: it is damaged or cut short: its digest differs";
    for cut in [1024, whole.len() / 3, whole.len() - 2048, whole.len() - 1] {
        let said = refused(&whole[..cut]);
        assert!(said.starts_with(damaged), "{cut}: {said}");
    }
    for at in (700..whole.len() - 1024).step_by(whole.len() / 23) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let said = refused(&flipped);
        assert!(said.starts_with("error: the bundle `bad.bundle` cannot be imported: it is "), "{at}: {said}");
    }
    assert!(refused(b"").contains("it is no bundle of a crossmill store"));
    assert!(refused(&vec![b'x'; 5000]).contains("it is no bundle of a crossmill store"));
}

// A bundle with members of our own, whose digest is right.
fn forged(members: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let add = |builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, content: &str| {
        let mut header = tar::Header::new_gnu();
        // Not by `set_path`, which refuses what a forger would write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        if kind == tar::EntryType::Symlink {
            header.set_link_name_literal(content).unwrap();
        }
        let content = if kind == tar::EntryType::Regular { content } else { "" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    };
    let head = r#"{"schema":1,"crossmill":"0","results":1,"downloads":0}"#;
    add(&mut builder, "bundle.json", tar::EntryType::Regular, head);
    for (name, kind, content) in members {
        add(&mut builder, name, *kind, content);
    }
    let digest = crossmill::base::Key::of(builder.get_ref()).to_string();
    add(&mut builder, "blake3", tar::EntryType::Regular, &digest);
    builder.into_inner().unwrap()
}

#[test]
fn a_forged_bundle_cannot_write_outside_the_store() {
    use tar::EntryType::{Fifo, Link, Regular, Symlink};
    let world = World::new();
    let key = "0".repeat(64);
    let (tree, record) = (format!("stages/{key}/tree/x"), format!("stages/{key}/stage.json"));
    let blob = format!("cache/blobs/{key}");
    let below = format!("stages/{key}/tree/x/evil");
    let cases: [&[(&str, tar::EntryType, &str)]; 9] = [
        &[("../evil", Regular, "x")],
        &[("/tmp/evil", Regular, "x")],
        &[("in-use", Regular, "x")],
        &[("cache/git/../../../evil", Regular, "x")],
        &[(&tree, Symlink, "../../../.."), (&below, Regular, "x")],
        &[(&tree, Fifo, "")],
        &[(&tree, Link, "")],
        &[(&tree, Regular, "x"), (&record, Regular, "{}")],
        &[(&blob, Regular, "other content than its name")],
    ];
    for case in cases {
        fs_err::write(world.path("forged.bundle"), forged(case)).unwrap();
        let refused = world.run(&["store", "import", "forged.bundle"]);
        assert_eq!(refused.code, Some(5), "{case:?}: {}", refused.err);
        assert!(
            refused.err.contains("error: the bundle `forged.bundle` cannot be imported"),
            "{case:?}: {}",
            refused.err
        );
        assert!(!world.path("evil").exists() && !world.path("store/evil").exists());
        assert!(world.entries("stages").is_empty() && world.entries("work").is_empty(), "{case:?}");
    }
}

#[test]
fn a_killed_import_is_repeated() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.run(&["store", "export", "all.bundle"]).ok();
    for millis in [1, 3, 6, 10, 15, 25, 40] {
        let mut import = world.command(&["store", "import", "all.bundle", "--store", "other"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(millis));
        let _ = import.kill();
        import.wait().unwrap();
        world.run(&["store", "verify", "--store", "other"]).ok();
    }
    world.run(&["store", "import", "all.bundle", "--store", "other"]).ok();
    world.run(&["store", "verify", "--store", "other"]).ok();
    assert_eq!(results(&world, "other"), results(&world, "store"));
}

#[test]
fn three_shards_give_what_one_run_gives() {
    let world = World::new();
    delta(&world);
    let all = ["alpha", "beta", "gamma", "delta"];
    world.run(&[&["build", "--store", "whole"], &all[..]].concat()).ok();
    let jobs = world.run(&["ci", "list", "--all", "--shards", "3", "--store", "whole"]).ok().out;
    assert_eq!(jobs.lines().count(), 3, "{jobs}");
    for (number, job) in jobs.lines().enumerate() {
        let store = format!("shard{number}");
        let targets: Vec<&str> = job.split(' ').collect();
        world.run(&[&["build", "--store", &store], &targets[..]].concat()).ok();
        let bundle = format!("{store}.bundle");
        world.run(&["store", "export", &bundle, "--store", &store]).ok();
        world.run(&["store", "import", &bundle, "--store", "merged"]).ok();
    }
    world.forget_counts();
    let merged = shown(&world, "merged", &all);
    assert!(world.counts().is_empty(), "the shards have built everything: {:?}", world.counts());
    let whole = shown(&world, "whole", &all);
    assert_eq!(merged, whole);
    assert!(merged.0.contains("delta") && merged.1.values().all(|(_, state)| state == "cached"), "{merged:?}");
    assert_eq!(results(&world, "merged"), results(&world, "whole"));
}

#[test]
fn shards_that_ran_out_of_time_and_were_carried_on_give_what_one_run_gives() {
    let world = World::new();
    delta(&world);
    let all = ["alpha", "beta", "gamma", "delta"];
    world.run(&[&["build", "--store", "whole"], &all[..]].concat()).ok();
    let whole = shown(&world, "whole", &all);
    world.edit("data/recipes/tool.toml", "time = \"5s\"", "time = \"3h\"");
    let jobs = world.run(&["ci", "list", "--all", "--shards", "3", "--store", "whole"]).ok().out;
    for (number, job) in jobs.lines().enumerate() {
        let store = format!("shard{number}");
        let targets: Vec<&str> = job.split(' ').collect();
        let build = [&["build", "--store", &store], &targets[..]].concat();
        let cut = world.run(&[&build[..], &["--time-budget", "1m"]].concat());
        assert_eq!(cut.code, Some(6), "{}", cut.err);
        world.run(&build).ok();
        let bundle = format!("{store}.bundle");
        world.run(&["store", "export", &bundle, "--store", &store, "--no-sources"]).ok();
        world.run(&["store", "import", &bundle, "--store", "merged"]).ok();
    }
    world.run(&[&["fetch", "--store", "merged"], &all[..]].concat()).ok();
    assert_eq!(shown(&world, "merged", &all), whole);
    assert_eq!(results(&world, "merged"), results(&world, "whole"));
}

#[test]
fn a_store_is_listed_and_kept_small() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    let list = world.run(&["store", "ls"]).ok().out;
    assert!(list.contains("alpha/kernel") && list.contains("6 results, 3 source trees, 0 unfinished"), "{list}");
    world.run(&["store", "ls", "--json"]).ok();
    let json: Value = serde_json::from_str(&world.run(&["store", "ls", "--json"]).ok().out).unwrap();
    let schema =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/store-ls.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut unmasked = json.clone();
    for content in unmasked["contents"].as_array_mut().unwrap() {
        content["key"] = "0".repeat(64).into();
    }
    let errors: Vec<String> = validator.iter_errors(&unmasked).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    unmasked["unknown_key"] = 1.into();
    assert!(validator.iter_errors(&unmasked).next().is_some(), "the schema accepts every key");
    let sizes = |json: &Value| -> u64 {
        json["contents"].as_array().unwrap().iter().map(|content| content["bytes"].as_u64().unwrap()).sum()
    };
    // All but the last byte: what the older run alone used makes room, not what both used.
    let limit = (sizes(&json) - 1).to_string();
    let gc = world.run(&["store", "gc", "--keep-size", &limit]).ok().out;
    assert!(gc.contains("removed 1 in all"), "{gc}");
    world.forget_counts();
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    world.run(&["store", "gc", "--keep-size", "0"]).ok();
    assert!(world.entries("stages").is_empty() && world.entries("sources").is_empty());
}
