//! `crossmill publish`: to a directory, a server that takes PUT, an rsync daemon and a server of S3.

use crate::install::{XZ, add_newer_version, release, world};
use crate::package::{gpg_key, stop_agent};
use crate::services::{Daemon, Moto, free_port, wait_for};
use crate::support::gpg::Key;
use crate::support::http::Answer;
use crate::world::{Ran, World};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const INDEX: &str = "index.json";

fn publish(world: &World, args: &[&str]) -> Ran {
    world.run(&[&["publish"], args].concat())
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_directory_has_everything_and_the_second_time_nothing_is_written() {
    let world = world();
    release(&world, &Key::new(100));
    let ran = publish(&world, &["d", "--release", "r", "--dry-run"]).ok();
    assert!(ran.err.contains("would upload: index.json") && !world.path("d").exists(), "{}", ran.err);
    let ran = publish(&world, &["d", "--release", "r", "--json"]).ok();
    let done = json(&ran);
    let uploaded = done["uploaded"].as_array().unwrap();
    assert_eq!(uploaded.last().unwrap(), INDEX);
    assert!(uploaded.contains(&XZ.into()) && !uploaded.contains(&"meta/.lock".into()), "{done:#}");
    for path in uploaded {
        let path = path.as_str().unwrap();
        assert_eq!(
            fs_err::read(world.path("d").join(path)).unwrap(),
            fs_err::read(world.path("r").join(path)).unwrap()
        );
    }
    let again = json(&publish(&world, &["d", "--release", "r", "--json"]).ok());
    assert_eq!((&again["uploaded"], &again["bytes"]), (&serde_json::json!([]), &0.into()));
    world.run(&["install", "d", "alpha", "--key", "key.asc", "--prefix", "p"]).ok();
}

#[test]
fn other_bytes_are_never_written_over_what_is_published() {
    let world = world();
    release(&world, &Key::new(100));
    // Before any index is there.
    world.write(&format!("d/{XZ}"), "another archive");
    let ran = publish(&world, &["d", "--release", "r"]);
    insta::assert_snapshot!(ran.error(), @r"
    exit 1
    error: `files/1.0/host-gcc-1.0-nolibc-alpha-tiny.tar.xz` is published with other bytes: nothing published is ever replaced
    hint: publish under another name or version
    ");
    assert!(!world.path("d/index.json").exists());
    fs_err::remove_file(world.path(&format!("d/{XZ}"))).unwrap();
    publish(&world, &["d", "--release", "r"]).ok();
    let index = fs_err::read(world.path("d/index.json")).unwrap();
    // An archive of the same name that was built otherwise.
    world.edit("data/recipes/kit.toml", "head -c 300000", "head -c 300001");
    world.run(&["package", "toolchain", "alpha", "--release", "other"]).ok();
    let ran = publish(&world, &["d", "--release", "other"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("`host-gcc-1.0-nolibc-alpha-tiny` is published with other bytes"), "{}", ran.err);
    assert_eq!(fs_err::read(world.path("d/index.json")).unwrap(), index);
    // A release that is damaged.
    world.write(&format!("r/{XZ}"), "damaged");
    let ran = publish(&world, &["e", "--release", "r"]);
    assert!(ran.err.contains("has SHA-256 [HASH], its index lists SHA-256 [HASH]"), "{}", ran.err);
    assert!(!world.path("e").exists());
    let ran = publish(&world, &["e", "--release", "data"]);
    assert!(ran.err.contains("it is not a release of `crossmill package --release`"), "{}", ran.err);
}

#[test]
fn an_upload_that_dies_is_continued_and_the_index_is_last() {
    let world = world();
    release(&world, &Key::new(100));
    let dest = world.server.url("/pub");
    let second = format!("/pub/{}", XZ.replace("alpha", "gamma"));
    // The first answer is to the question whether it exists.
    world.server.answers(&second, [Answer::Status(404, vec![]), Answer::Status(507, vec![])]);
    let ran = publish(&world, &[&dest, "--release", "r"]);
    insta::assert_snapshot!(ran.error(), @r"
    exit 1
    error: [SERVER]/pub/files/1.0/host-gcc-1.0-nolibc-gamma-tiny.tar.xz: it answered with status 507 Insufficient Storage
    ");
    let names = || world.server.paths().into_iter().filter(|path| path.starts_with("/pub/")).collect::<Vec<_>>();
    assert!(names().contains(&format!("/pub/{XZ}")) && !names().contains(&"/pub/index.json".to_owned()));
    let before = world.server.changes().len();
    publish(&world, &[&dest, "--release", "r"]).ok();
    let changes = world.server.changes().split_off(before);
    assert!(changes.iter().all(|(_, path, status)| *status == 201 && path != &format!("/pub/{XZ}")), "{changes:?}");
    assert_eq!(changes.last().unwrap().1, "/pub/index.json");
    assert_eq!(changes[changes.len() - 2].1, "/pub/index.json.asc");
    world.run(&["install", &dest, "gamma", "--key", "key.asc", "--prefix", "p"]).ok();
    // Somebody else's object under a name of ours, between the question and the upload.
    let other = world.server.url("/race");
    world.server.file(&format!("/race/{XZ}"), b"theirs");
    world.server.answers(&format!("/race/{XZ}"), [Answer::Status(404, vec![])]);
    let ran = publish(&world, &[&other, "--release", "r"]);
    assert!(ran.err.contains("is published with other bytes"), "{}", ran.err);
    let ran = publish(&world, &["http://example.org/x", "--release", "r"]);
    assert!(ran.err.contains("it is not https"), "{}", ran.err);
    let ran = publish(&world, &["gopher://x/y", "--release", "r"]);
    assert!(ran.err.contains("unsupported: publishing to `gopher:`"), "{}", ran.err);
}

#[test]
fn releases_are_merged_and_the_oldest_versions_retired_by_who_may_sign() {
    let world = world();
    gpg_key(&world, "never");
    let key = "release@example.org";
    let package = |args: &[&str]| {
        world.run(&[&["package", "toolchain", "alpha"], args, &["--sign-with", key]].concat()).ok();
    };
    package(&["gamma", "--release", "r"]);
    publish(&world, &["d", "--release", "r"]).ok();
    add_newer_version(&world);
    package(&["--release", "new", "--with", "kernel=1.1"]);
    // The index of both is neither's.
    let ran = publish(&world, &["d", "--release", "new"]);
    assert!(ran.err.contains("name the key with `--sign-with KEY`"), "{}", ran.err);
    let ran = publish(&world, &["d", "--release", "new", "--sign-with", key, "--json"]).ok();
    let names = ["host-gcc-1.0-nolibc-alpha-tiny", "host-gcc-1.0-nolibc-gamma-tiny", "host-gcc-1.1-nolibc-alpha-tiny"];
    assert_eq!(json(&ran)["archives"], serde_json::json!(names));
    world.run(&["install", "d", "gamma", "alpha", "--key", "key.asc", "--prefix", "p"]).ok();
    assert!(world.path("p/gcc-1.1-nolibc/alpha-tiny").is_dir() && world.path("p/gcc-1.0-nolibc/gamma-tiny").is_dir());
    let ran =
        publish(&world, &["d", "--release", "new", "--keep", "1", "--sign-with", key, "--json", "--dry-run"]).ok();
    assert!(json(&ran)["removed"].to_string().contains(XZ) && world.path("d").join(XZ).exists());
    publish(&world, &["d", "--release", "new", "--keep", "1", "--sign-with", key]).ok();
    assert!(!world.path("d").join(XZ).exists() && world.path("d").join(XZ.replace("alpha", "gamma")).exists());
    let sums = fs_err::read_to_string(world.path("d/SHA256SUMS")).unwrap();
    assert!(!sums.contains(XZ) && sums.contains("gcc-1.1-nolibc-alpha"), "{sums}");
    // Nobody has an archive signed by putting it there.
    world.edit("d/index.json", "\"quick\"", "\"quack\"");
    let ran = publish(&world, &["d", "--release", "r", "--sign-with", key]);
    stop_agent(&world);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("the index of the destination is not verified: bad signature"), "{}", ran.err);
}

#[test]
fn rsync_publishes_to_its_daemon() {
    let world = world();
    release(&world, &Key::new(100));
    fs_err::create_dir(world.path("module")).unwrap();
    let port = free_port();
    // A daemon of root's would become nobody.
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let module = world.path("module").display().to_string();
    world.write(
        "rsyncd.conf",
        &format!("use chroot = no\nuid = {uid}\ngid = {gid}\n[m]\npath = {module}\nread only = no\n"),
    );
    let mut command = Command::new("rsync");
    command.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}")]);
    let config = format!("--config={}", world.path("rsyncd.conf").display());
    let _daemon = Daemon(command.arg(config).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_for(port);
    let dest = format!("rsync://127.0.0.1:{port}/m/deep/pub");
    let ran = publish(&world, &[&dest, "--release", "r", "--json"]).ok();
    assert_eq!(json(&ran)["uploaded"].as_array().unwrap().last().unwrap(), INDEX);
    let again = json(&publish(&world, &[&dest, "--release", "r", "--json"]).ok());
    assert_eq!(again["uploaded"], serde_json::json!([]));
    world.run(&["install", "module/deep/pub", "alpha", "--key", "key.asc", "--prefix", "p"]).ok();
    // Without the index, as after an interruption: existing files are compared.
    fs_err::remove_file(world.path("module/deep/pub/index.json")).unwrap();
    let done = json(&publish(&world, &[&dest, "--release", "r", "--json"]).ok());
    assert_eq!(done["uploaded"], serde_json::json!([INDEX]));
    fs_err::remove_file(world.path("module/deep/pub/index.json")).unwrap();
    world.write(&format!("module/deep/pub/{XZ}"), "another archive");
    let ran = publish(&world, &[&dest, "--release", "r"]);
    assert!(ran.err.contains("is published with other bytes"), "{}", ran.err);
    assert_eq!(fs_err::read_to_string(world.path(&format!("module/deep/pub/{XZ}"))).unwrap(), "another archive");
    let ran = publish(&world, &["ssh://-oProxyCommand=x/p", "--release", "r"]);
    assert!(ran.err.contains("~/.ssh/config"), "{}", ran.err);
}

#[test]
fn a_publication_to_s3_that_is_killed_is_continued() {
    let Some(server) = Moto::start() else { return };
    let world = world();
    release(&world, &Key::new(100));
    let command = |args: &[&str]| {
        let mut command = world.command(&[&["publish"], args, &["--release", "r"]].concat());
        server.configure(&mut command, "secret");
        command
    };
    // Killed after the first upload; a machine that is slow to kill gets another try.
    let mut killed = None;
    for attempt in 0..5 {
        let dest = format!("s3://bucket/pub{attempt}");
        let mut child = command(&[&dest]).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("uploaded: files/"), "{line}");
        if server.request(&format!("GET /bucket/pub{attempt}/index.json")) == "404" {
            killed = Some(attempt);
            break;
        }
    }
    let killed = killed.expect("one of five publications is killed midway");
    let dest = format!("s3://bucket/pub{killed}");
    let ran = world.ran(command(&[&dest, "--json"])).ok();
    let done = json(&ran);
    assert!(done["existing"].as_u64() >= Some(1) && !done["uploaded"].to_string().contains(XZ), "{done:#}");
    assert_eq!(done["uploaded"].as_array().unwrap().last().unwrap(), INDEX);
    for path in [INDEX, "index.json.asc", XZ] {
        assert_eq!(server.request(&format!("PUT /bucket/pub{killed}/{path}?acl")), "200");
    }
    let from = server.url(&format!("/bucket/pub{killed}/"));
    world.run(&["install", &from, "alpha", "--key", "key.asc", "--prefix", "p"]).ok();
    // No published file is replaced or uploaded again.
    let again = json(&world.ran(command(&[&dest, "--json"])).ok());
    assert_eq!(again["uploaded"], serde_json::json!([]));
    assert_eq!(server.request(&format!("DELETE /bucket/pub{killed}/index.json")), "204");
    assert_eq!(server.request(&format!("DELETE /bucket/pub{killed}/{XZ}")), "204");
    assert_eq!(server.request(&format!("PUT /bucket/pub{killed}/{XZ}")), "200");
    let ran = world.ran(command(&[&dest]));
    assert!(ran.err.contains("is published with other bytes"), "{}", ran.err);
}
