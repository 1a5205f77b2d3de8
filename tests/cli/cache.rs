//! Finished stages shared between stores through a cache: a directory, a server that takes PUT, a bucket.

use crate::services::Moto;
use crate::support::http::{Answer, Server};
use crate::world::{Ran, World};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A pair of keys of minisign in the world.
pub struct Key {
    pub secret: String,
    pub public: String,
}

pub fn key(world: &World, name: &str) -> Key {
    let (secret, public) = (format!("{name}.sec"), format!("{name}.pub"));
    let mut command = Command::new("minisign");
    command.args(["-G", "-W", "-f", "-s", &secret, "-p", &public]).current_dir(world.path("."));
    assert!(command.output().expect("minisign is installed").status.success());
    Key { secret, public }
}

/// The id of a public key, as names of statements have it.
fn id(world: &World, key: &Key) -> String {
    let text = fs_err::read_to_string(world.path(&key.public)).unwrap();
    text.lines().next().unwrap().rsplit(' ').next().unwrap().to_lowercase()
}

/// A command on a store of its own.
pub fn on(world: &World, store: &str, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env("CROSSMILL_STORE", world.path(store));
    command
}

pub fn run(world: &World, store: &str, args: &[&str]) -> Ran {
    world.ran(on(world, store, args))
}

/// Stderr and JSON of a command.
fn json(mut command: Command) -> (String, serde_json::Value) {
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    (err, serde_json::from_slice(&output.stdout).unwrap())
}

/// Builds alpha on the first store and stores it in `cache`.
fn filled(world: &World, key: &Key, cache: &str) {
    run(world, "one", &["build", "alpha", "--cache-to", cache, "--cache-sign-key", &key.secret]).ok();
    world.forget_counts();
}

/// A cache on a server that takes PUT, with alpha from the first store.
fn served() -> (World, Key, Server, String) {
    let world = World::new();
    let key = key(&world, "key");
    let server = Server::start();
    let cache = server.url("/cache");
    filled(&world, &key, &cache);
    (world, key, server, cache)
}

fn pull(world: &World, store: &str, key: &Key, cache: &str) -> Ran {
    run(world, store, &["build", "alpha", "--cache-from", cache, "--cache-key", &key.public])
}

/// The files of a directory of a cache, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn kernel(world: &World, store: &str) -> Option<String> {
    let dir = world.path(store).join("results/now-quick/alpha/kernel/share/kernel");
    fs_err::read_to_string(dir).ok()
}

#[test]
fn a_second_store_takes_everything_from_the_cache_and_runs_no_step() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    let plan = run(&world, "two", &["plan", "alpha", "--cache-from", "cache", "--cache-key", &key.public]).ok();
    assert!(
        plan.out.contains("alpha/kernel") && plan.out.contains("pull") && plan.out.contains("[DIR]/cache"),
        "{}",
        plan.out
    );
    assert!(plan.out.contains("0 to run") && plan.out.contains("1 from a cache"), "{}", plan.out);
    let args = ["build", "alpha", "--json", "--cache-from", "cache", "--cache-key", &key.public];
    let (ran, value) = json(on(&world, "two", &args));
    assert_eq!(world.counts(), [""; 0]);
    assert_eq!(kernel(&world, "two"), kernel(&world, "one"));
    assert!(kernel(&world, "two").is_some());
    assert!(ran.contains("alpha/kernel: pulled from ") && ran.contains("remote cache: 1 pulled"), "{ran}");
    crate::support::schema::follows("run", &value);
    assert_eq!(value["stages"][0]["state"], "pulled");
    assert_eq!(value["stages"][0]["pulled"]["signer"], id(&world, &key).as_str());
    assert_eq!(value["remote_cache"]["pulled"], 1);
    // It is a result as any other, without the cache too; the source is one that the cache has chosen.
    let again = run(&world, "two", &["build", "alpha"]).ok();
    assert!(again.err.contains("1 cached"), "{}", again.err);
    run(&world, "two", &["store", "verify"]).ok();
    assert!(run(&world, "two", &["log", "alpha/kernel"]).ok().out.contains("CC"));
    assert_eq!(world.counts(), [""; 0]);
}

#[test]
fn of_a_result_that_differs_in_one_option_only_the_difference_is_stored() {
    let world = World::new();
    let key = key(&world, "key");
    world.edit(
        "data/recipes/kernel.toml",
        "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]",
        "script = \"make install DESTDIR={{ dest }}; yes data | head -c 300000 > {{ dest }}/share/large\"",
    );
    let to = ["--package", "kernel", "--cache-to", "cache", "--cache-sign-key", &key.secret, "--json"];
    let used = |level: &str| {
        let args = [&["build", "alpha", "--set", level][..], &to].concat();
        let (err, run) = json(on(&world, "one", &args));
        let bytes = |name: &str| run["remote_cache"][name].as_u64().unwrap();
        (bytes("new_bytes"), bytes("shared_bytes"), err)
    };
    let (new, shared, _) = used("level=one");
    assert!(new > 300_000 && shared < 10_000, "{new} new, {shared} shared");
    let (new, shared, err) = used("level=two");
    assert!((1..30_000).contains(&new) && (300_000..320_000).contains(&shared), "{new} new, {shared} shared");
    assert!(err.contains("objects were new: "), "{err}");
}

#[test]
fn nothing_that_is_stored_already_is_stored_again() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    let all = || -> Vec<PathBuf> {
        ["keys", "entries", "objects", "sources", "choices"]
            .iter()
            .flat_map(|dir| files(&world.path("cache/v1").join(dir)))
            .collect()
    };
    let before = all();
    let ran = run(&world, "one", &["cache", "push", "cache", "--cache-sign-key", &key.secret]).ok();
    assert!(ran.err.contains("3 pushed before"), "{}", ran.err);
    assert_eq!(all(), before);
    // Another build of the same key has other times and logs, and the same content.
    run(&world, "two", &["build", "alpha", "--cache-to", "cache", "--cache-sign-key", &key.secret]).ok();
    assert_eq!(files(&world.path("cache/v1/keys")).len(), 3);
    let verified = run(&world, "one", &["cache", "verify", "cache", "--cache-key", &key.public]).ok();
    assert!(verified.out.contains("3 results, 1 sources") && verified.out.contains("0 unusable"), "{}", verified.out);
    let (_, list) = json(on(&world, "one", &["cache", "ls", "cache", "--cache-key", &key.public, "--json"]));
    crate::support::schema::follows("cache-ls", &list);
    let list = run(&world, "one", &["cache", "ls", "cache"]).ok();
    assert!(list.out.contains("3 results, 0 signed by a trusted key"), "{}", list.out);
}

#[test]
fn two_builds_of_one_key_that_differ_are_a_reproducibility_fault() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    // The steps see another world than that of the first machine.
    run(&world, "two", &["build", "alpha"]).ok();
    let stored = run(&world, "two", &["store", "ls", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&stored.out).unwrap();
    let kernel = list["contents"].as_array().unwrap().iter().find(|it| it["name"] == "alpha/kernel").unwrap();
    assert_eq!(kernel["kind"], "result");
    let store = crossmill::store::Store::open(&world.path("two")).unwrap();
    let found = store
        .keys()
        .unwrap()
        .into_iter()
        .find(|key| store.record::<crossmill::plan::KeyInputs>(key).unwrap().name.as_str() == "alpha/kernel");
    let found = found.unwrap();
    // Published again with one byte changed, as a build that is not reproducible does.
    let record = store.record::<crossmill::plan::KeyInputs>(&found).unwrap();
    let work = store.work_dir(&found);
    fs_err::create_dir_all(&work).unwrap();
    let tree = store.stage_dir(&found).join("tree");
    assert!(Command::new("cp").arg("-a").arg(&tree).arg(work.join("dest")).status().unwrap().success());
    fs_err::write(work.join("dest/share/kernel"), "other").unwrap();
    store.publish(&work, record).unwrap();
    let before = files(&world.path("cache/v1/keys"));
    let ran = run(&world, "two", &["cache", "push", "cache", "--cache-sign-key", &key.secret]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("reproducibility fault: alpha/kernel") && ran.err.contains("1 not pushed"), "{}", ran.err);
    assert_eq!(files(&world.path("cache/v1/keys")), before);
    // Another writer's key is compared too, where it is trusted.
    let other = self::key(&world, "other");
    let ran =
        run(&world, "two", &["cache", "push", "cache", "--cache-sign-key", &other.secret, "--cache-key", &key.public]);
    assert!(ran.err.contains("reproducibility fault: alpha/kernel"), "{}", ran.err);
    assert_eq!(files(&world.path("cache/v1/keys")).len(), before.len() + 2);
}

/// Changes a cache in one way; the build goes on without it, reports why, and nothing of it reaches the store.
fn damaged(why: &[&str], damage: impl FnOnce(&World, &Key)) {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    damage(&world, &key);
    let ran = pull(&world, "two", &key, "cache").ok();
    for why in why {
        assert!(ran.err.contains(why), "`{why}` is missing:\n{}", ran.err);
    }
    assert!(!ran.err.contains(": pulled") || !why.is_empty(), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1, "{}", ran.err);
    run(&world, "two", &["store", "verify"]).ok();
    assert_eq!(kernel(&world, "two"), kernel(&world, "one"));
}

fn each(dir: &Path, change: impl Fn(&Path)) {
    let all = files(dir);
    assert!(!all.is_empty());
    all.iter().for_each(|path| change(path));
}

fn flip(path: &Path) {
    let mut bytes = fs_err::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(path, bytes).unwrap();
}

#[test]
fn an_object_with_one_byte_changed_is_not_used() {
    damaged(&["alpha/kernel: not taken from the cache", "is damaged", "building it"], |world, _| {
        each(&world.path("cache/v1/objects"), flip);
    });
}

#[test]
fn an_object_that_is_cut_short_is_not_used() {
    damaged(&["not taken from the cache", "is damaged"], |world, _| {
        each(&world.path("cache/v1/objects"), |path| {
            let bytes = fs_err::read(path).unwrap();
            fs_err::write(path, &bytes[..bytes.len() / 2]).unwrap();
        });
    });
}

#[test]
fn an_entry_with_one_byte_changed_is_not_used() {
    damaged(&["not taken from the cache", "v1/entries/", "is damaged"], |world, _| {
        each(&world.path("cache/v1/entries"), flip);
    });
}

#[test]
fn a_statement_with_one_byte_changed_is_not_trusted() {
    damaged(&["is not trusted: its signature is bad"], |world, _| {
        each(&world.path("cache/v1/keys"), |path| {
            let text = fs_err::read_to_string(path).unwrap();
            fs_err::write(path, text.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
        });
    });
}

#[test]
fn a_statement_without_a_signature_is_not_trusted() {
    damaged(&["is not trusted"], |world, _| {
        each(&world.path("cache/v1/keys"), |path| {
            let text = fs_err::read_to_string(path).unwrap();
            fs_err::write(path, text.lines().next().unwrap()).unwrap();
        });
    });
}

#[test]
fn a_statement_about_another_key_is_not_trusted() {
    damaged(&["is not trusted: it is about another key"], |world, _| {
        let all = files(&world.path("cache/v1/keys"));
        let texts: Vec<_> = all.iter().map(|path| fs_err::read(path).unwrap()).collect();
        for (at, path) in all.iter().enumerate() {
            fs_err::write(path, &texts[(at + 1) % texts.len()]).unwrap();
        }
    });
}

#[test]
fn what_an_unknown_key_has_signed_is_not_used() {
    damaged(&["is not trusted: it is signed by another key"], |world, key| {
        let other = self::key(world, "other");
        run(world, "one", &["cache", "push", "forged", "--cache-sign-key", &other.secret]).ok();
        let (own, theirs) = (id(world, key), id(world, &other));
        each(&world.path("cache/v1/keys"), |path| {
            let name = path.file_name().unwrap().to_str().unwrap().replace(&own, &theirs);
            fs_err::copy(world.path("forged/v1/keys").join(name), path).unwrap();
        });
    });
    // Under its own name it is not even looked at.
    let world = World::new();
    let (key, other) = (self::key(&world, "key"), self::key(&world, "other"));
    filled(&world, &other, "cache");
    let ran = pull(&world, "two", &key, "cache").ok();
    assert!(ran.err.contains("3 not cached") && !ran.err.contains("not trusted"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
}

#[test]
fn a_cache_that_lost_its_objects_is_no_cache_and_the_next_writer_repairs_it() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    fs_err::remove_dir_all(world.path("cache/v1/objects")).unwrap();
    let verified = run(&world, "one", &["cache", "verify", "cache", "--cache-key", &key.public]);
    assert_eq!(verified.code, Some(5), "{}", verified.out);
    let ran = run(
        &world,
        "two",
        &["build", "alpha", "--cache-from", "cache", "--cache-to", "cache", "--cache-sign-key", &key.secret],
    );
    let ran = ran.ok();
    assert!(ran.err.contains("does not exist, though an entry needs it; building it"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
    run(&world, "one", &["cache", "push", "cache", "--cache-sign-key", &key.secret]).ok();
    run(&world, "one", &["cache", "verify", "cache", "--cache-key", &key.public]).ok();
    world.forget_counts();
    pull(&world, "three", &key, "cache").ok();
    assert_eq!(world.counts(), [""; 0]);
}

#[test]
fn verify_removes_what_cannot_be_used_and_gc_what_is_old() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    flip(&files(&world.path("cache/v1/objects"))[0]);
    let args = ["cache", "verify", "cache", "--cache-key", &key.public];
    let ran = run(&world, "one", &args);
    assert_eq!(ran.code, Some(5), "{}", ran.out);
    assert!(ran.out.contains("unusable: [DIR]/cache/v1/objects/"), "{}", ran.out);
    let ran = run(&world, "one", &[&args[..], &["--remove"]].concat()).ok();
    assert!(ran.out.contains("removed: [DIR]/cache/v1/objects/"), "{}", ran.out);
    run(&world, "one", &args).ok();
    run(&world, "one", &["cache", "push", "cache", "--cache-sign-key", &key.secret]).ok();
    run(&world, "one", &args).ok();
    // Everything was stored now: nothing is old.
    let ran = run(&world, "one", &["cache", "gc", "cache", "--keep-days", "30"]).ok();
    assert!(ran.out.starts_with("0 files"), "{}", ran.out);
    let old = std::time::SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    for dir in ["keys", "entries", "objects"] {
        each(&world.path("cache/v1").join(dir), |path| {
            fs_err::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        });
    }
    let young = files(&world.path("cache/v1/keys"))[0].clone();
    fs_err::File::options().write(true).open(&young).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let dry = run(&world, "one", &["cache", "gc", "cache", "--keep-days", "30", "--dry-run"]).ok();
    assert!(dry.out.contains("would remove: v1/keys/"), "{}", dry.out);
    run(&world, "one", &["cache", "gc", "cache", "--keep-days", "30"]).ok();
    assert_eq!(files(&world.path("cache/v1/keys")), [young]);
    // The remaining entries refer to everything that they need.
    let ran = run(&world, "one", &args).ok();
    assert!(ran.out.starts_with("1 results, 1 sources"), "{}", ran.out);
}

#[test]
fn a_server_that_takes_put_is_a_cache_and_no_file_of_it_is_replaced() {
    let (world, key, server, cache) = served();
    let puts = server.changes();
    let created: Vec<&String> = puts.iter().filter(|(.., status)| *status == 201).map(|(_, path, _)| path).collect();
    let distinct: std::collections::BTreeSet<&String> = created.iter().copied().collect();
    // Two stages of one source store it at the same time: the second gets 412, and nothing is replaced.
    assert!(puts.iter().all(|(method, _, status)| method == "PUT" && [201, 412].contains(status)), "{puts:?}");
    assert_eq!(distinct.len(), created.len(), "{puts:?}");
    pull(&world, "two", &key, &cache).ok();
    assert_eq!(world.counts(), [""; 0]);
    assert_eq!(kernel(&world, "two"), kernel(&world, "one"));
    let ran = run(&world, "two", &["cache", "ls", &cache]);
    assert!(ran.code == Some(2) && ran.err.contains("unsupported: listing"), "{}", ran.err);
}

#[test]
fn a_bucket_is_a_cache() {
    let Some(server) = Moto::start() else { return };
    let world = World::new();
    let key = key(&world, "key");
    let with_s3 = |store: &str, args: &[&str]| {
        let mut command = on(&world, store, args);
        server.configure(&mut command, "hunter2");
        world.ran(command)
    };
    let cache = "s3://bucket/team/cache";
    with_s3("one", &["build", "alpha", "--cache-to", cache, "--cache-sign-key", &key.secret]).ok();
    world.forget_counts();
    let ran = with_s3("two", &["build", "alpha", "--cache-from", cache, "--cache-key", &key.public]).ok();
    assert!(ran.err.contains("pulled from s3://bucket/team/cache") && !ran.err.contains("hunter2"), "{}", ran.err);
    assert_eq!(world.counts(), [""; 0]);
    let again = with_s3("one", &["cache", "push", cache, "--cache-sign-key", &key.secret]).ok();
    assert!(again.err.contains("3 pushed before"), "{}", again.err);
    let verified = with_s3("one", &["cache", "verify", cache, "--cache-key", &key.public]).ok();
    assert!(verified.out.contains("3 results, 1 sources") && verified.out.contains("0 unusable"), "{}", verified.out);
    let gc = with_s3("one", &["cache", "gc", cache, "--keep-days", "1"]).ok();
    assert!(gc.out.starts_with("0 files"), "{}", gc.out);
}

#[test]
fn a_server_that_answers_with_pages_costs_no_build() {
    let (world, key, server, cache) = served();
    for path in server.paths() {
        server.file(&path, b"<html><body>Log in first</body></html>");
    }
    let ran = pull(&world, "two", &key, &cache).ok();
    assert!(ran.err.contains("is not trusted"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
}

#[test]
fn a_cache_that_hangs_costs_seconds_and_no_build() {
    let (world, key, server, cache) = served();
    for path in server.paths() {
        server.answers(&path, std::iter::repeat_n(Answer::Stall(0), 50));
    }
    let began = Instant::now();
    let ran = pull(&world, "two", &key, &cache).ok();
    // The tests share the machine: without the limits it would be minutes.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(
        ran.err.contains("was not used to the end: it failed 3 times") || ran.err.contains("no answer"),
        "{}",
        ran.err
    );
    assert_eq!(world.count("alpha/kernel configure"), 1);
}

#[test]
fn a_cache_that_is_down_or_has_no_credentials_costs_no_build() {
    let world = World::new();
    let key = key(&world, "key");
    // The server has ended, so its port refuses connections.
    let gone = Server::start().url("/cache");
    let args = ["build", "alpha", "--cache-from", &gone, "--cache-to", &gone, "--cache-sign-key", &key.secret];
    let ran = run(&world, "one", &args).ok();
    assert!(ran.err.contains("was not used to the end: it failed 3 times"), "{}", ran.err);
    world.forget_counts();
    let s3 = ["build", "alpha", "--cache-from", "s3://bucket/x", "--cache-key", &key.public];
    let mut command = on(&world, "two", &s3);
    command.env("AWS_ENDPOINT_URL", &gone);
    let ran = world.ran(command).ok();
    assert!(ran.err.contains("there are no credentials for it"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
    let mut command = on(&world, "two", &["cache", "ls", "s3://bucket/x"]);
    command.env("AWS_ENDPOINT_URL", &gone);
    let ran = world.ran(command);
    assert!(ran.code == Some(1) && ran.err.contains("AWS_ACCESS_KEY_ID"), "{}", ran.err);
}

#[test]
fn wrong_options_are_refused_before_anything_starts() {
    let world = World::new();
    let key = key(&world, "key");
    let refused = |args: &[&str]| {
        let ran = run(&world, "one", &[&["build", "alpha"], args].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        ran.err
    };
    let err = refused(&["--cache-from", "gs://bucket", "--cache-key", &key.public]);
    assert!(err.contains("unsupported: a cache at `gs:`"), "{err}");
    let err = refused(&["--cache-from", "az://bucket", "--cache-key", &key.public]);
    assert!(err.contains("unsupported: a cache at `az:`"), "{err}");
    assert!(refused(&["--cache-from", "cache"]).contains("no key is named"));
    assert!(refused(&["--cache-to", "cache"]).contains("no key signs"));
    assert!(refused(&["--cache-from", "cache", "--cache-key", "RWnothing"]).contains("no public key of minisign"));
    assert_eq!(world.counts(), [""; 0]);
    // Credentials are in no message.
    let url = "http://user:hunter2@cache.invalid/x";
    let ran = run(&world, "one", &["build", "alpha", "--cache-from", url, "--cache-key", &key.public]).ok();
    assert!(ran.err.contains("credentials would be sent") && !ran.err.contains("hunter2"), "{}", ran.err);
}

#[test]
fn the_configuration_and_the_environment_name_caches_too() {
    let world = World::new();
    let key = key(&world, "key");
    world.write("crossmill.toml", "[cache]\nto = \"cache\"\nsign-key = \"key.sec\"\n");
    run(&world, "one", &["build", "alpha"]).ok();
    world.forget_counts();
    world.write("crossmill.toml", &format!("[cache]\nfrom = [\"cache\"]\nkeys = [\"{}\"]\n", key.public));
    let ran = run(&world, "off", &["build", "alpha", "--no-remote-cache"]).ok();
    assert!(!ran.err.contains("remote cache"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel configure"), 1);
    world.forget_counts();
    run(&world, "two", &["build", "alpha"]).ok();
    fs_err::remove_file(world.path("crossmill.toml")).unwrap();
    let mut command = on(&world, "three", &["build", "alpha"]);
    command.env("CROSSMILL_CACHE_FROM", "nowhere cache").env("CROSSMILL_CACHE_KEYS", &key.public);
    world.ran(command).ok();
    assert_eq!(world.counts(), [""; 0]);
}

#[test]
fn pull_takes_what_the_cache_has_and_builds_nothing() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    let args = ["cache", "pull", "alpha", "--cache-from", "cache", "--cache-key", &key.public];
    run(&world, "two", &args).ok();
    assert!(kernel(&world, "two").is_some());
    let ran = run(&world, "two", &["cache", "pull", "gamma", "--cache-from", "cache", "--cache-key", &key.public]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("gamma/kernel: blocked by the cache, which does not have it"), "{}", ran.err);
    assert_eq!(world.counts(), [""; 0]);
}

#[test]
fn sources_come_from_the_cache_by_their_digest() {
    let world = World::new();
    let key = key(&world, "key");
    filled(&world, &key, "cache");
    let seen = world.server.seen().len();
    let args = ["fetch", "alpha", "--cache-from", "cache", "--cache-key", &key.public];
    let ran = run(&world, "two", &args).ok();
    assert_eq!(world.server.seen().len(), seen, "{}", ran.err);
    assert!(ran.err.contains("from the cache [DIR]/cache"), "{}", ran.err);
    // A changed source is fetched from its server.
    each(&world.path("cache/v1/sources"), |path| {
        let text = fs_err::read_to_string(path).unwrap();
        fs_err::write(path, text.replace("\"bytes\":", "\"bytes\":9")).unwrap();
    });
    let ran = run(&world, "three", &args).ok();
    assert!(ran.err.contains("is damaged") && world.server.seen().len() > seen, "{}", ran.err);
}

#[test]
fn a_candidate_with_a_digest_beside_a_signed_one_needs_no_server() {
    let world = World::new();
    let key = key(&world, "key");
    let tool = "[tool.gpgv]\nprogram = \"gpgv\"\nwhy = \"checks\"\npackages = { apt = [\"gpgv\"] }\n[manager.apt]";
    world.edit("data/recipes/host-tools.toml", "[manager.apt]", tool);
    world.write("data/recipes/keys/tiny.asc", "no key: the file that it signed does not exist");
    let gone = format!("{}/gone.tar.xz", world.server.base);
    let signed = format!(
        "[[version.source]]\nurl = \"{gone}\"\nsignature = {{ url = \"{gone}.sig\", keyring = \"keys/tiny.asc\" }}\n\
         [[version.source]]"
    );
    for recipe in ["lib", "tool", "kernel"] {
        world.edit(&format!("data/recipes/{recipe}.toml"), "[[version.source]]", &signed);
    }
    filled(&world, &key, "cache");
    let seen = world.server.seen().len();
    let ran = pull(&world, "two", &key, "cache").ok();
    assert!(ran.err.contains("remote cache: 1 pulled"), "{}", ran.err);
    assert_eq!(world.server.seen().len(), seen, "{}", ran.err);
    assert_eq!(world.counts(), [""; 0]);
    assert_eq!(kernel(&world, "two"), kernel(&world, "one"));
}

#[test]
fn eight_clients_at_once_lose_nothing_and_build_and_store_nothing_twice() {
    let world = World::new();
    let key = key(&world, "key");
    let server = Server::start();
    let cache = server.url("/cache");
    let build = |store: &str| {
        let args =
            ["build", "alpha", "gamma", "--cache-from", &cache, "--cache-to", &cache, "--cache-sign-key", &key.secret];
        on(&world, store, &args)
    };
    let children: Vec<_> = (0..8)
        .map(|at| {
            let mut command = build(&format!("s{at}"));
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{err}");
        assert!(!err.contains("not stored") && !err.contains("fault"), "{err}");
    }
    let stages = ["host/lib", "alpha/tool", "alpha/kernel", "gamma/tool", "gamma/kernel"];
    let mut once: Vec<String> = stages
        .iter()
        .flat_map(|stage| ["configure", "build", "build", "install"].map(|step| format!("{stage} {step}")))
        .collect();
    once.sort();
    assert_eq!(world.counts(), once);
    let created = server.changes().into_iter().filter(|(_, _, status)| *status == 201).map(|(_, path, _)| path);
    // Claims come and go.
    let mut created: Vec<String> = created.filter(|path| !path.contains("/v1/claims/")).collect();
    let count = created.len();
    created.sort();
    created.dedup();
    assert_eq!(created.len(), count, "a file was stored twice");
    // A ninth store builds nothing: nothing was lost.
    world.forget_counts();
    world.ran(build("ninth")).ok();
    assert_eq!(world.counts(), [""; 0]);
}

#[test]
fn credentials_are_in_no_file_of_the_store_or_the_cache() {
    let world = World::new();
    let key = key(&world, "key");
    let server = Server::start();
    let cache = server.url("/cache").replace("http://", "http://user:hunter2@");
    let mut command = on(&world, "one", &["build", "alpha", "--cache-to", &cache, "--cache-sign-key", &key.secret]);
    command.env("CROSSMILL_CACHE_TOKEN", "s3cr3t");
    let ran = world.ran(command).ok();
    assert!(!ran.err.contains("hunter2") && !ran.err.contains("s3cr3t"), "{}", ran.err);
    let mut dirs = vec![world.path("one")];
    while let Some(dir) = dirs.pop() {
        for path in files(&dir) {
            match fs_err::symlink_metadata(&path).unwrap() {
                meta if meta.is_dir() => dirs.push(path),
                meta if meta.is_file() => {
                    let text = String::from_utf8_lossy(&fs_err::read(&path).unwrap()).into_owned();
                    assert!(!text.contains("hunter2") && !text.contains("s3cr3t"), "{}", path.display());
                }
                _ => {}
            }
        }
    }
}
