//! Stores that several users share. These tests change users, so they need root and pass without it.

use crate::world::{Ran, World};
use nix::unistd::Uid;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The group that the two users share.
const GROUP: u32 = 42_000;

pub struct User {
    uid: u32,
    umask: &'static str,
    program: PathBuf,
}

impl User {
    /// A user of the shared group; numbers without a name serve as well as any other.
    fn new(world: &World, uid: u32, umask: &'static str) -> Self {
        Self { uid, umask, program: open(world) }
    }

    /// Who owns nothing.
    pub fn nobody(world: &World) -> Self {
        Self::new(world, 42_999, "022")
    }

    fn command(&self, world: &World, args: &[&str]) -> Command {
        let like = world.command(args);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {}; exec \"$@\"", self.umask), "sh"]).arg(&self.program).args(args);
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(world.path("."));
        if Uid::effective().is_root() {
            command.uid(self.uid).gid(GROUP);
        }
        command
    }

    pub fn run(&self, world: &World, args: &[&str]) -> Ran {
        world.ran(self.command(world, args))
    }
}

/// Opens the world to other users, and returns a program that they can start.
fn open(world: &World) -> PathBuf {
    let mode = |path: &Path, mode| fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&world.path("."), 0o777);
    mode(&world.path("count"), 0o666);
    mode(&world.path("home"), 0o777);
    let program = world.path("crossmill");
    if !program.exists() {
        let built = Path::new(env!("CARGO_BIN_EXE_crossmill"));
        // A hard link where that is possible: the program is large.
        if fs_err::hard_link(built, &program).is_err() {
            fs_err::copy(built, &program).unwrap();
        }
    }
    program
}

/// Takes every write bit of a store.
pub fn read_only(store: &Path) {
    let status = Command::new("chmod").args(["-R", "a-w,a+rX"]).arg(store).status().unwrap();
    assert!(status.success());
}

fn is_root() -> bool {
    let root = Uid::effective().is_root();
    if !root {
        eprintln!("skipped: only root can become two users");
    }
    root
}

/// A store as an administrator prepares it for a group.
fn shared(world: &World) {
    fs_err::create_dir(world.store()).unwrap();
    chown(world.store(), None, Some(GROUP)).unwrap();
    fs_err::set_permissions(world.store(), std::fs::Permissions::from_mode(0o2775)).unwrap();
}

#[test]
fn two_users_share_the_results_of_one_store() {
    if !is_root() {
        return;
    }
    let world = World::new();
    shared(&world);
    let (one, two) = (User::new(&world, 42_001, "002"), User::new(&world, 42_002, "002"));
    one.run(&world, &["build", "alpha"]).ok();
    world.forget_counts();
    let entry = world.entry("alpha/kernel");
    for name in ["manifest.json", "stage.json"] {
        assert_eq!(fs_err::metadata(entry.join(name)).unwrap().mode() & 0o777, 0o664, "{name}");
    }
    two.run(&world, &["build", "alpha"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    two.run(&world, &["log", "alpha/kernel"]).ok();
    two.run(&world, &["store", "verify"]).ok();
    // Each goes on where the other was.
    two.run(&world, &["build", "gamma"]).ok();
    one.run(&world, &["build", "gamma", "beta"]).ok();
    assert_eq!(world.count("gamma/tool configure"), 1);
    assert_eq!(world.count("alpha/tool configure"), 0);
    let private =
        walk(&world.store()).into_iter().filter(|path| fs_err::symlink_metadata(path).unwrap().mode() & 0o040 == 0);
    assert_eq!(private.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn a_result_that_cannot_be_read_is_neither_damaged_nor_lost() {
    if !is_root() {
        return;
    }
    let world = World::new();
    shared(&world);
    let (one, two) = (User::new(&world, 42_001, "002"), User::new(&world, 42_002, "002"));
    one.run(&world, &["build", "alpha"]).ok();
    let entry = world.entry("alpha/kernel");
    fs_err::set_permissions(entry.join("manifest.json"), std::fs::Permissions::from_mode(0o600)).unwrap();
    world.forget_counts();
    let ran = two.run(&world, &["build", "alpha"]);
    insta::assert_snapshot!(ran.error(), @"
    exit 5
    error: failed to open file `[DIR]/store/stages/[HASH]/manifest.json`: Permission denied (os error 13)
    hint: `[DIR]/store/stages/[HASH]/manifest.json` belongs to user 42001 (mode 0600), and you are user 42002
    hint: let user 42001 share it with a group of both: `chmod -R g+rwX [DIR]/store/stages/[HASH]/manifest.json`, and run with umask 002
    ");
    assert!(world.counts().is_empty() && entry.join("tree").is_dir());
    for args in [&["plan", "alpha"][..], &["build", "alpha"]] {
        assert_eq!(two.run(&world, args).code, Some(5), "{args:?}");
    }
    let verify = two.run(&world, &["store", "verify"]);
    assert_eq!(verify.code, Some(5));
    assert!(verify.out.contains("0 damaged, 1 could not be read"), "{}", verify.out);
}

#[test]
fn a_run_as_root_leaves_the_store_to_its_user() {
    if !is_root() {
        return;
    }
    let world = World::new();
    fs_err::create_dir(world.store()).unwrap();
    chown(world.store(), Some(42_001), Some(GROUP)).unwrap();
    let user = User::new(&world, 42_001, "022");
    user.run(&world, &["build", "alpha"]).ok();
    // By mistake.
    world.run(&["build", "alpha", "gamma"]).ok();
    world.forget_counts();
    user.run(&world, &["build", "alpha", "gamma"]).ok();
    user.run(&world, &["store", "verify"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    // A result of root that is damaged is kept, and the message names its owner.
    let entry = world.entry("gamma/kernel");
    fs_err::write(entry.join("tree/share/kernel"), "rotten").unwrap();
    let ran = user.run(&world, &["build", "gamma"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("belongs to root"), "{}", ran.err);
    assert!(ran.err.contains("sudo chown -R"), "{}", ran.err);
    assert!(entry.join("tree").is_dir());
}
