//! Trouble on the way: servers, disks, damage, other runs.

use crate::support::gpg::Key;
use crate::support::http::Answer;
use crate::world::{World, archive};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let world = World::new();
    world.server.answers("/tiny-1.0.tar.xz", [Answer::Truncate(100), Answer::Status(503, vec![])]);
    let ran = world.run(&["build", "alpha"]).ok();
    assert!(ran.err.contains("again in"), "{}", ran.err);
    let seen = world.server.seen();
    assert_eq!(seen.last().unwrap().range.as_deref(), Some("bytes=100-"), "{seen:?}");
}

#[test]
fn a_wrong_hash_names_both_and_keeps_nothing() {
    let world = World::new();
    world.server.answers("/tiny-1.0.tar.xz", [Answer::Corrupt, Answer::Corrupt, Answer::Corrupt]);
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("checksum mismatch") && ran.err.matches("[HASH]").count() >= 2, "{}", ran.err);
    let blobs: Vec<_> = world.entries("cache/blobs");
    assert!(blobs.is_empty(), "{blobs:?}");
}

#[test]
fn a_source_that_is_gone_falls_to_the_next() {
    let world = World::new();
    let recipe = fs_err::read_to_string(world.path("data/recipes/lib.toml")).unwrap();
    let at = recipe.find("[[version.source]]").unwrap();
    let end = recipe.find("[[step]]").unwrap();
    let gone = recipe[at..end].replace("tiny-1.0.tar.xz", "gone.tar.xz");
    world.write("data/recipes/lib.toml", &format!("{}{gone}{}", &recipe[..at], &recipe[at..]));
    // Alone: another package of the same archive could bring it first.
    let ran = world.run(&["build", "alpha", "--package", "lib"]).ok();
    assert!(ran.err.contains("next source"), "{}", ran.err);
}

#[test]
fn offline_without_a_cache_says_what_is_missing() {
    let world = World::new();
    let ran = world.run(&["build", "alpha", "--offline"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("not in the cache, and `--offline` forbids the network"), "{}", ran.err);
    assert!(world.server.seen().is_empty());
}

#[test]
fn a_corrupt_archive_in_the_cache_is_fetched_again() {
    let world = World::new();
    world.run(&["fetch", "alpha"]).ok();
    let blob = world.entries("cache/blobs").into_iter().find(|path| path.extension().is_none()).unwrap();
    let mut bytes = fs_err::read(&blob).unwrap();
    bytes[50] ^= 1;
    fs_err::set_permissions(&blob, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&blob, bytes).unwrap();
    let ran = world.run(&["build", "alpha"]).ok();
    assert!(ran.err.contains("fetching it again"), "{}", ran.err);
}

#[test]
fn a_damaged_result_is_found_and_built_anew() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    fs_err::write(world.entry("alpha/kernel").join("tree/share/kernel"), "rotten").unwrap();
    let verify = world.run(&["store", "verify"]);
    assert_eq!(verify.code, Some(5), "{}", verify.out);
    assert!(verify.out.contains("`share/kernel` was changed"), "{}", verify.out);
    let ran = world.run(&["build", "alpha"]).ok();
    assert!(
        ran.err.contains("is damaged: `share/kernel` was changed: it has 6 bytes, it had 54; it will be replaced"),
        "{}",
        ran.err
    );
    assert_eq!(world.count("alpha/kernel configure"), 1);
    assert_eq!(world.count("alpha/tool configure"), 0);
    world.run(&["store", "verify"]).ok();
}

#[test]
fn a_read_only_store_is_refused() {
    let world = World::new();
    // Root may write anywhere, but not where no file can be: below a file.
    world.write("file", "");
    let ran = world.run(&["build", "alpha", "--store", "file/store"]);
    insta::assert_snapshot!(ran.error(), @r#"
    exit 5
    error: the store `[DIR]/file/store` cannot be written
    cause: failed to create directory `[DIR]/file/store/cache`: Not a directory (os error 20)
    hint: choose another with `--store DIR` or CROSSMILL_STORE
    "#);
}

#[test]
fn a_disk_that_fills_up_midway_is_told_and_loses_nothing_finished() {
    let world = World::new();
    world.run(&["build", "alpha", "--package", "lib"]).ok();
    world.forget_counts();
    // A full disk as a step sees it: /dev/full answers every write with ENOSPC.
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "script = \"cat Makefile > /dev/full\"");
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("No space left on device"), "{}", ran.err);
    world.edit("data/recipes/tool.toml", "script = \"cat Makefile > /dev/full\"", "run = [\"make\"]");
    world.run(&["build", "alpha"]).ok();
    assert_eq!(world.count("host/lib configure"), 0);
}

#[test]
fn steps_that_leave_no_result_are_a_failure() {
    let world = World::new();
    world.edit("data/recipes/lib.toml", "share/lib", "share/other");
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("left no `share/other`"), "{}", ran.err);
    assert!(world.entries("stages").is_empty());
}

#[test]
fn two_runs_on_one_store_share_the_work() {
    let world = World::new();
    let start = || world.command(&["build", "alpha", "gamma"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let (one, two) = (start(), start());
    for child in [one, two] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for name in ["host/lib", "alpha/tool", "gamma/tool", "alpha/kernel", "gamma/kernel"] {
        assert_eq!(world.count(&format!("{name} configure")), 1, "{name}");
    }
}

#[test]
fn a_stage_that_takes_too_long_is_ended() {
    let world = World::new();
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", "run = [\"sleep\", \"1000\"]");
    let ran = world.run(&["build", "alpha", "--stage-timeout", "1s"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("time limit of"), "{}", ran.err);
}

#[test]
fn a_signed_source_asks_for_gpgv_and_is_verified_by_it() {
    let world = World::new();
    let key = Key::new(1000);
    let tool = "[tool.gpgv]\nprogram = \"gpgv\"\nwhy = \"checks\"\npackages = { apt = [\"gpgv\"], apk = [\"gpgv\"] }\n[manager.apt]";
    world.edit("data/recipes/host-tools.toml", "[manager.apt]", tool);
    assert!(!world.run(&["doctor", "alpha"]).ok().out.contains("gpgv"));

    world.write("data/recipes/keys/tiny.asc", &key.armored());
    let pin = format!("sha256 = \"{}\"", crossmill::base::Sha256::of(&archive()));
    let url = format!("{}/tiny-1.0.tar.xz.sig", world.server.base);
    let signature = format!("signature = {{ url = \"{url}\", keyring = \"keys/tiny.asc\" }}");
    world.edit("data/recipes/lib.toml", &pin, &signature);
    assert!(world.run(&["doctor", "alpha"]).ok().out.contains("gpgv"));

    // Refused before anything is fetched.
    world.edit("data/recipes/host-tools.toml", "program = \"gpgv\"", "program = \"gpgv-of-nowhere\"");
    let ran = world.run(&["build", "alpha", "--package", "lib"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("lacks") && ran.err.contains("gpgv"), "{}", ran.err);
    assert!(world.server.seen().is_empty());
    world.edit("data/recipes/host-tools.toml", "program = \"gpgv-of-nowhere\"", "program = \"gpgv\"");

    world.server.file("/tiny-1.0.tar.xz.sig", &key.sign(b"another archive"));
    let ran = world.run(&["build", "alpha", "--package", "lib"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("bad signature (key "), "{}", ran.err);
    world.server.file("/tiny-1.0.tar.xz.sig", &key.sign(&archive()));
    world.run(&["build", "alpha", "--package", "lib"]).ok();
    // A verified signature is not requested again.
    world.edit("data/recipes/host-tools.toml", "program = \"gpgv\"", "program = \"gpgv-of-nowhere\"");
    world.run(&["build", "alpha", "--package", "lib"]).ok();
}

#[test]
fn an_event_log_that_cannot_be_written_loses_neither_table_nor_results() {
    let world = World::new();
    let args = ["build", "alpha", "--isolation", "off", "--json"];
    let plain = world.command(&args);
    // A file system of two pages: the log's first event fits, the rest does not.
    let mut command = std::process::Command::new("unshare");
    command.env_clear();
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg("mkdir -p store/runs && mount -t tmpfs -o size=8k none store/runs && exec \"$@\"").arg("sh");
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap());
    let ran = world.ran(command);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("alpha") && ran.err.contains("done"), "the table is missing: {}", ran.err);
    assert!(ran.err.contains("cannot use the event log") && ran.err.contains("No space left"), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["end"], "done", "{}", ran.out);
    assert!(world.path("store/results").exists() || !world.entries("stages").is_empty());
    // The results are good: the next run has nothing to do.
    world.forget_counts();
    world.run(&["build", "alpha"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
}

// A result with something that is neither a file nor a link nor a directory: opening it could wait for ever.
fn special(create: &str) -> String {
    let world = World::new();
    let install = "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]";
    let script = format!("script = \"make install DESTDIR={{{{ dest }}}}; cd {{{{ dest }}}}/share; {create}\"");
    world.edit("data/recipes/lib.toml", install, &script);
    let began = std::time::Instant::now();
    // Without isolation, since it forbids devices before publishing could.
    let ran = world.run(&["build", "alpha", "--package", "lib", "--isolation", "off"]);
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}", ran.err);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(world.entries("stages").is_empty());
    // The next run starts the install step again and does not trip over what is left.
    world.edit("data/recipes/lib.toml", &script, install);
    world.run(&["build", "alpha", "--package", "lib"]).ok();
    ran.err.lines().find(|line| line.contains("named pipe")).unwrap_or(&ran.err).to_owned()
}

#[test]
fn a_named_pipe_in_a_result_is_refused_by_name() {
    let said = special("mkfifo pipe");
    assert!(said.contains("`share/pipe` in the result is a named pipe, a socket or a device"), "{said}");
}

#[test]
fn a_socket_in_a_result_is_refused_by_name() {
    let said = special("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(chr(115))'");
    assert!(said.contains("`share/s` in the result is"), "{said}");
}

#[test]
fn a_device_in_a_result_is_refused_by_name() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let said = special("mknod disk b 7 200");
    assert!(said.contains("`share/disk` in the result is"), "{said}");
}
