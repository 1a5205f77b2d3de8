//! Clients of one cache that need the same stage at the same time, and what keeps one from waiting for ever.

use crate::cache::{Key, files, key, on, run};
use crate::world::{Ran, World, until};
use std::process::{Command, Stdio};

fn build(world: &World, store: &str, key: &Key) -> Command {
    let args = ["build", "alpha", "--cache-from", "cache", "--cache-to", "cache", "--cache-sign-key", &key.secret];
    on(world, store, &args)
}

fn claims(world: &World) -> Vec<String> {
    let dir = world.path("cache/v1/claims");
    if !dir.exists() {
        return Vec::new();
    }
    let names = files(&dir).into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}

// The tool waits for `released`, and for nothing after that. Of the world, a step sees this file alone.
fn held(world: &World) {
    let count = world.path("count").display().to_string();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        &format!("script = \"until grep -qx go {count}; do sleep 0.05; done; make\""),
    );
}

fn released(world: &World) {
    use std::io::Write as _;
    let mut count = fs_err::OpenOptions::new().append(true).open(world.path("count")).unwrap();
    count.write_all(b"go\n").unwrap();
}

fn started(mut command: Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: std::process::Child) -> String {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    err
}

#[test]
fn what_another_client_builds_is_waited_for_and_taken() {
    let world = World::new();
    let key = key(&world, "key");
    held(&world);
    let first = started(build(&world, "one", &key));
    until("the first client builds the tool", || world.count("alpha/tool configure") == 1);
    until("the library is stored", || claims(&world).len() == 1);
    let second = started(build(&world, "two", &key));
    let log = || fs_err::read_dir(world.path("two/runs")).ok()?.next()?.ok().map(|dir| dir.path().join("events.jsonl"));
    let waits =
        || log().and_then(|log| fs_err::read_to_string(log).ok()).is_some_and(|text| text.contains("stage-waiting"));
    until("the second client waits", waits);
    released(&world);
    ended(first);
    let err = ended(second);
    assert!(err.contains("which builds it for the same cache"), "{err}");
    assert_eq!(world.count("alpha/tool configure"), 1, "{err}");
    assert_eq!(world.count("alpha/tool install"), 1);
    assert_eq!(claims(&world), [""; 0], "claims are left");
}

#[test]
fn a_claim_of_a_client_that_vanished_is_void_after_a_while() {
    let world = World::new();
    let key = key(&world, "key");
    held(&world);
    let mut first = started(build(&world, "one", &key));
    until("the first client builds the tool", || world.count("alpha/tool configure") == 1);
    until("the library is stored", || claims(&world).len() == 1);
    first.kill().unwrap();
    first.wait().unwrap();
    released(&world);
    // Two at once: one of them takes over, and the other takes its result.
    let others = [started(build(&world, "two", &key)), started(build(&world, "three", &key))];
    let errs = others.map(ended);
    assert!(errs.iter().all(|err| err.contains("waiting for process")), "{errs:?}");
    assert_eq!(world.count("alpha/tool configure"), 2, "{errs:?}");
    assert_eq!(claims(&world), [""; 0], "claims are left");
}

#[test]
fn a_stage_that_fails_is_claimed_by_nobody_any_more() {
    let world = World::new();
    let key = key(&world, "key");
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "run = [\"false\"]");
    for store in ["one", "two"] {
        let ran = world.ran(build(&world, store, &key));
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(!ran.err.contains("waiting for"), "{}", ran.err);
        assert_eq!(claims(&world), [""; 0]);
    }
    assert_eq!(world.count("alpha/tool configure"), 2);
}

#[test]
fn what_is_no_claim_of_a_trusted_key_keeps_nobody_from_building() {
    let world = World::new();
    let (own, foreign) = (key(&world, "key"), key(&world, "foreign"));
    held(&world);
    // A claim by a stranger, for ever.
    let stranger = started(build(&world, "stranger", &foreign));
    until("the stranger builds the tool", || world.count("alpha/tool configure") == 1);
    until("the library is stored", || claims(&world).len() == 1);
    let [name] = claims(&world).try_into().unwrap();
    let ran = |what: &str, store: &str| -> Ran {
        let mut command = build(&world, store, &own);
        command.args(["--package", "lib"]);
        let ran = world.ran(command).ok();
        assert!(!ran.err.contains("waiting for process"), "{what}: {}", ran.err);
        ran
    };
    ran("another stage", "zero");
    released(&world);
    let mut stop = stranger;
    stop.kill().unwrap();
    stop.wait().unwrap();
    let path = format!("cache/v1/claims/{name}");
    for (store, text) in
        [("one", None), ("two", Some("")), ("three", Some("{}\nuntrusted comment\n")), ("four", Some("\u{1}\u{2}"))]
    {
        if let Some(text) = text {
            world.write(&path, text);
        }
        fs_err::remove_dir_all(world.path("cache/v1/keys")).unwrap();
        let ran = world.ran(build(&world, store, &own)).ok();
        assert!(
            ran.err.contains("not claimed in the cache") && ran.err.contains("building it"),
            "{store}: {}",
            ran.err
        );
        assert!(!ran.err.contains("waiting for process"), "{store}: {}", ran.err);
    }
    // Of those that nobody uses any more, the collection removes what is a day old.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 3600);
    fs_err::File::options().write(true).open(world.path(&path)).unwrap().set_modified(old).unwrap();
    run(&world, "one", &["cache", "gc", "cache", "--keep-days", "30"]).ok();
    assert_eq!(claims(&world), [""; 0]);
}

#[test]
fn without_reading_what_others_store_nothing_is_claimed() {
    let world = World::new();
    let key = key(&world, "key");
    held(&world);
    let args = ["build", "alpha", "--cache-to", "cache", "--cache-sign-key", &key.secret];
    let child = started(on(&world, "one", &args));
    until("the client builds the tool", || world.count("alpha/tool configure") == 1);
    assert_eq!(claims(&world), [""; 0]);
    released(&world);
    ended(child);
}
