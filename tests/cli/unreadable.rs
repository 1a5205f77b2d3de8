//! Files of the store that the system cannot read: neither missing nor damaged. `/proc/self/mem` answers every read of
//! its first page with EIO, so a link to it is a bad sector, also for root.

use crate::world::World;
use std::path::{Path, PathBuf};

fn break_file(path: &Path) -> PathBuf {
    let kept = path.with_extension("kept");
    fs_err::rename(path, &kept).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", path).unwrap();
    assert!(fs_err::read(path).unwrap_err().to_string().contains("(os error 5)"));
    kept
}

fn mend(path: &Path) {
    fs_err::rename(path.with_extension("kept"), path).unwrap();
}

#[test]
fn a_result_with_a_bad_sector_is_neither_used_nor_replaced() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    let manifest = world.entry("alpha/kernel").join("manifest.json");
    break_file(&manifest);
    let build = world.run(&["build", "alpha"]);
    insta::assert_snapshot!(build.error(), @r#"
    exit 5
    error: failed to read from file `[DIR]/store/stages/[HASH]/manifest.json`: Input/output error (os error 5)
    hint: the disk or the file system reports an error, see `dmesg`; nothing was removed
    "#);
    assert_eq!(world.run(&["plan", "alpha"]).code, Some(5));
    let verify = world.run(&["store", "verify"]);
    assert_eq!(verify.code, Some(5));
    assert!(verify.out.contains("0 damaged, 1 could not be read"), "{}", verify.out);
    assert_eq!(world.run(&["store", "repair"]).code, Some(5));
    assert!(world.counts().is_empty());
    mend(&manifest);
    world.run(&["build", "alpha"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
}

#[test]
fn a_download_that_cannot_be_read_is_not_missing() {
    let world = World::new();
    world.run(&["fetch", "alpha"]).ok();
    let blobs = world.store().join("cache/blobs");
    // Not even its attributes can be read: as root sees it when the directory is a link in a circle.
    fs_err::rename(&blobs, world.path("blobs")).unwrap();
    std::os::unix::fs::symlink("blobs", &blobs).unwrap();
    let build = world.run(&["build", "alpha", "--offline"]);
    assert_eq!(build.code, Some(4), "{}", build.err);
    assert!(build.err.contains("Too many levels of symbolic links"), "{}", build.err);
    assert!(!build.err.contains("not in the cache"), "{}", build.err);
    fs_err::remove_file(&blobs).unwrap();
    fs_err::rename(world.path("blobs"), &blobs).unwrap();
    world.run(&["build", "alpha", "--offline"]).ok();
}

#[test]
fn a_note_that_cannot_be_read_does_not_mean_never_started() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let note = world.store().join("names/alpha@kernel.json");
    break_file(&note);
    for args in [&["log", "alpha/kernel"][..], &["reproduce", "alpha/kernel"], &["store", "discard", "alpha/kernel"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(5), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("names/alpha@kernel.json`: Input/output error"), "{args:?}: {}", ran.err);
    }
    mend(&note);
    // As a power loss leaves it.
    fs_err::write(&note, "").unwrap();
    insta::assert_snapshot!(world.run(&["log", "alpha/kernel"]).error(), @r#"
    exit 5
    error: `[DIR]/store/names/alpha@kernel.json` cannot be understood: EOF while parsing a value at line 1 column 0
    hint: the next build of the stage writes it again; its result and its logs are not affected
    "#);
    world.run(&["store", "discard", "alpha/kernel"]);
    world.edit("data/recipes/kernel.toml", "summary = \"tiny\"", "summary = \"small\"");
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    world.run(&["log", "alpha/kernel"]).ok();
}

#[test]
fn gc_removes_nothing_when_the_log_of_a_run_cannot_be_read() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let before = world.entries("stages");
    let log = world.entries("runs")[0].join("events.jsonl");
    break_file(&log);
    let gc = world.run(&["store", "gc", "--keep-days", "0"]);
    assert_ne!(gc.code, Some(0));
    assert!(gc.err.contains("Input/output error"), "{}", gc.err);
    assert_eq!(world.entries("stages"), before);
    mend(&log);
    // The dependencies in the record of a kept result are not known either.
    let record = world.entry("alpha/kernel").join("stage.json");
    break_file(&record);
    let gc = world.run(&["store", "gc", "--keep-days", "0"]);
    assert_eq!(gc.code, Some(5), "{}", gc.err);
    assert!(gc.err.contains("stage.json`: Input/output error"), "{}", gc.err);
    mend(&record);
    assert_eq!(world.entries("stages"), before);
}

#[test]
fn times_that_cannot_be_read_are_not_overwritten() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let times = world.store().join("times.json");
    let kept = break_file(&times);
    let build = world.run(&["build", "gamma"]);
    assert_eq!(build.code, Some(5), "{}", build.err);
    assert!(fs_err::read_to_string(kept).unwrap().contains("alpha/kernel"));
}
