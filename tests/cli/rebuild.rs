//! `crossmill package … --verify-reproducible`: two builds from nothing, compared.

use crate::package::world;
use crate::world::{Ran, World};
use std::os::unix::fs::PermissionsExt as _;

fn set_mode(path: std::path::PathBuf, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn verify(world: &World, more: &[&str]) -> Ran {
    fs_err::create_dir_all(world.path("scratch")).unwrap();
    // As root the second build is another user's.
    set_mode(world.path("count"), 0o666);
    let args = ["package", "module-kit", "alpha", "--verify-reproducible", "--scratch", "scratch", "--json"];
    world.run(&[&args[..], more].concat())
}

#[track_caller]
fn assert_nothing_is_left(world: &World) {
    let left: Vec<_> = fs_err::read_dir(world.path("scratch")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!world.path("kit-1.0-alpha.tar.xz").exists());
}

#[test]
fn a_reproducible_archive_is_confirmed_with_its_digest() {
    let world = world("test -s '{{ deps.kit }}/key'");
    let ran = verify(&world, &[]).ok();
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["reproducible"], &json["archives"][0]["difference"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(json["archives"][0]["name"], "kit-1.0-alpha.tar.xz");
    assert!(ran.err.contains("\nreproducible: kit-1.0-alpha.tar.xz (tar sha256 [HASH])"), "{}", ran.err);
    assert!(ran.err.contains("varied: directory, jobs ("), "{}", ran.err);
    // Everything was built twice.
    assert_eq!((world.count("alpha/kernel configure"), world.count("host/lib configure")), (2, 2));
    assert_nothing_is_left(&world);
}

#[test]
fn what_differs_is_named_with_its_bytes() {
    let world = world("true");
    // Something like a time of the build.
    let stamp = "echo \"built at $(date +%s.%N)\" > '{{ dest }}/stamp'\n'''\n[result]";
    world.edit("data/recipes/kit.toml", "'''\n[result]", stamp);
    let ran = verify(&world, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let begin = "\nnot reproducible: kit-1.0-alpha.tar.xz: `kit-1.0-alpha/stamp` differs from byte ";
    assert!(ran.err.contains(begin), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["reproducible"], false);
    let shown = json["archives"][0]["difference"].as_str().unwrap();
    assert!(shown.starts_with("`kit-1.0-alpha/stamp` differs from byte "), "{shown}");
    assert_nothing_is_left(&world);
}

#[test]
fn a_build_that_fails_compares_nothing_and_leaves_nothing() {
    let world = world("true");
    world.edit("data/recipes/kit.toml", "'''\n[result]", "exit 3\n'''\n[result]");
    let ran = verify(&world, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    assert!(ran.err.contains("error: the first build failed: nothing was compared"), "{}", ran.err);
    assert!(!ran.err.contains("reproducible: kit"), "{}", ran.err);
    assert_nothing_is_left(&world);
    let refused = world.run(&["package", "module-kit", "alpha", "--verify-reproducible", "--out", "out"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
}

#[test]
fn another_user_builds_the_second_time_where_that_is_possible() {
    let world = world("true");
    // Who builds it is in the result.
    world.edit("data/recipes/kit.toml", "'''\n[result]", "id -u > '{{ dest }}/user'\n'''\n[result]");
    if !nix::unistd::Uid::effective().is_root() {
        let ran = verify(&world, &[]).ok();
        assert!(ran.err.contains("not varied: user (only root can change it)"), "{}", ran.err);
        return;
    }
    set_mode(world.path("data"), 0o700);
    let ran = verify(&world, &[]).ok();
    assert!(ran.err.contains("not varied: user (another user cannot read the configuration: error: "), "{}", ran.err);
    set_mode(world.path("data"), 0o755);
    let ran = verify(&world, &[]);
    assert!(ran.err.contains("\nvaried: user\n"), "{}", ran.err);
    assert!(ran.err.contains("`kit-1.0-alpha/user` differs from byte 0 on: 30 0a `0.` and 36 35"), "{}", ran.err);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_nothing_is_left(&world);
}
