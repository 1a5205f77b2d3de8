//! Sources out of git: the bytes of a commit do not depend on the user's configuration, and a damaged mirror heals.

use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs git without the configuration of this machine; returns what it prints.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", dir);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.org");
        command.env(format!("GIT_{role}_DATE"), "2001-09-09T00:00:00Z");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A repository without commits, with the tiny package as its work tree.
pub fn unpacked(world: &World) -> PathBuf {
    let repo = world.path("repo");
    fs_err::create_dir_all(&repo).unwrap();
    git(&repo, &["init", "-q", "-b", "main"]);
    let mut tar = Command::new("tar");
    tar.args(["-xJ", "--strip-components=1", "-C"]).arg(&repo).arg("-f").arg(world.path("tiny.tar.xz"));
    assert!(tar.status().unwrap().success());
    repo
}

// A repository of the tiny package with a file that every conversion of git would change. Returns its commit.
fn repository(world: &World) -> (PathBuf, String) {
    let repo = unpacked(world);
    fs_err::write(repo.join("text"), "one\ntwo\n$Id$\n").unwrap();
    // Mixed line ends, at which safecrlf gives up.
    fs_err::write(repo.join("mixed"), "one\r\ntwo\n").unwrap();
    fs_err::write(repo.join(".gitattributes"), "text filter=shout\n").unwrap();
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-qm", "1"]);
    let commit = git(&repo, &["rev-parse", "HEAD"]);
    (repo, commit)
}

fn world() -> (World, String) {
    let world = World::new();
    fs_err::write(world.path("tiny.tar.xz"), crate::world::archive()).unwrap();
    let (repo, commit) = repository(&world);
    // The bytes become the result, so that a result made of others shows.
    world.edit(
        "data/recipes/lib.toml",
        "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]",
        "script = \"make install DESTDIR={{ dest }}; cat ../source/text ../source/mixed > {{ dest }}/share/bytes\"",
    );
    (world, format!("lib=git+file://{}#{commit}", repo.display()))
}

const CONFIG: &str = "[core]\n\tautocrlf = true\n\teol = crlf\n\tsafecrlf = true\n\tattributesFile = ~/attributes\n\
[filter \"shout\"]\n\tsmudge = tr a-z A-Z\n\tclean = cat\n\trequired = true\n[init]\n\tdefaultObjectFormat = sha256\n\
[tar]\n\tumask = 077\n[fetch]\n\tprune = true\n";

fn lib_of(world: &World, source: &str) -> (String, String) {
    world.run(&["build", "alpha", "--package", "lib", "--source", source]).ok();
    let entry = world.entry("host/lib");
    let bytes = fs_err::read_to_string(entry.join("tree/share/bytes")).unwrap();
    (entry.file_name().unwrap().to_str().unwrap().to_owned(), bytes)
}

#[test]
fn the_users_configuration_of_git_changes_no_byte_and_no_key() {
    let (world, source) = world();
    let (key, bytes) = lib_of(&world, &source);
    assert_eq!(bytes, "one\ntwo\n$Id$\none\r\ntwo\n");
    // A store of its own, so that it is cloned and unpacked with the configuration in force.
    fs_err::rename(world.store(), world.path("store-before")).unwrap();
    world.write("home/.gitconfig", CONFIG);
    world.write("home/attributes", "* text ident eol=crlf\n");
    world.write("home/.config/git/attributes", "* text ident eol=crlf\n");
    assert_eq!(lib_of(&world, &source), (key, bytes));
}

#[test]
fn a_damaged_mirror_is_cloned_again_by_the_build_that_needs_it() {
    let (world, source) = world();
    lib_of(&world, &source);
    let mirror = world.entries("cache/git").into_iter().find(|path| path.is_dir()).unwrap();
    let mut torn = 0;
    let mut dirs = vec![mirror.join("objects")];
    while let Some(dir) = dirs.pop() {
        for path in fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
            } else if path.parent().is_some_and(|dir| !dir.ends_with("info")) {
                fs_err::remove_file(&path).unwrap();
                fs_err::write(&path, "").unwrap();
                torn += 1;
            }
        }
    }
    assert!(torn > 0);
    // Neither the result nor the unpacked tree is at hand, so the commit is read again.
    world.run(&["store", "discard", "host/lib"]).ok();
    for tree in world.entries("sources") {
        crossmill::base::files::remove_tree(&tree).unwrap();
    }
    world.forget_counts();
    let ran = world.run(&["build", "alpha", "--package", "lib", "--source", &source]).ok();
    assert_eq!(world.count("host/lib configure"), 1, "{}", ran.err);
    // Without the network there is nothing to heal it with, and that is said.
    let mirror = world.entries("cache/git").into_iter().find(|path| path.is_dir()).unwrap();
    crossmill::base::files::remove_tree(&mirror.join("objects")).unwrap();
    fs_err::create_dir_all(mirror.join("objects")).unwrap();
    world.run(&["store", "discard", "host/lib"]).ok();
    for tree in world.entries("sources") {
        crossmill::base::files::remove_tree(&tree).unwrap();
    }
    let ran = world.run(&["build", "alpha", "--package", "lib", "--source", &source, "--offline"]);
    assert_ne!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn a_snapshot_of_the_configuration_is_a_version() {
    let (world, source) = world();
    let (repo, commit) = source.strip_prefix("lib=git+").unwrap().split_once('#').unwrap();
    let snapshot = |name: &str, version: &str, package: &str| {
        format!(
            "[snapshot.{name}]\npackage = \"{package}\"\nversion = \"{version}\"\n\
             [[snapshot.{name}.source]]\ngit = \"{repo}\"\nrev = \"{commit}\"\n"
        )
    };
    let nightly = snapshot("nightly", "2.0-20261020", "lib");
    world.write("crossmill.toml", &nightly);
    let lib = ["build", "alpha", "--package", "lib", "--with"];
    world.run(&[&lib[..], &["lib=nightly"]].concat()).ok();
    let named = world.entry("host/lib");
    assert!(fs_err::read_to_string(named.join("tree/share/bytes")).unwrap().starts_with("one\ntwo\n"));
    // Its version is the same.
    world.forget_counts();
    world.run(&[&lib[..], &["lib=2.0-20261020"]].concat()).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    let other = world.path("other-store").display().to_string();
    let plan = world.run(&["plan", "alpha", "--with", "lib=nightly", "--store", &other]).ok();
    assert!(plan.out.contains("lib-2.0-20261020"), "{}", plan.out);

    let refused = |toml: &str, with: &str| {
        world.write("crossmill.toml", toml);
        let ran = world.run(&[&lib[..], &[with]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        ran.err
    };
    for (toml, with, message) in [
        (nightly.clone(), "lib=nigthly", "did you mean `nightly`?"),
        (nightly.clone(), "tool=nightly", "`nightly` is a snapshot of `lib`"),
        (nightly.clone(), "lib=git:main", "names no repository"),
        (snapshot("n", "1.0", "lib"), "lib=n", "has a version 1.0 already"),
        (snapshot("n", "2.0", "lob"), "lib=1.0", "unknown package `lob`"),
        (snapshot("2n", "2.0", "lib"), "lib=1.0", "does not start with a digit"),
        ("[snapshot.n]\npackage = \"lib\"\nversion = \"2.0\"\n".to_owned(), "lib=n", "has no `[[version.source]]`"),
        (nightly.replace("rev =", "revision ="), "lib=n", "unknown"),
    ] {
        let error = refused(&toml, with);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn a_revision_of_the_publishers_repository_is_built() {
    let (world, source) = world();
    let (repo, commit) = source.strip_prefix("lib=git+").unwrap().split_once('#').unwrap();
    world.edit("data/recipes/lib.toml", "per = \"host\"", &format!("per = \"host\"\nrepository = \"{repo}\""));
    let build = |with: &str| world.run(&["build", "alpha", "--package", "lib", "--with", with]);
    build(&format!("lib=git:{commit}")).ok();
    let entry = world.entry("host/lib");
    assert!(entry.join("tree/share/bytes").is_file());
    world.forget_counts();
    build("lib=git:main").ok();
    assert!(world.counts().is_empty(), "the branch is at this commit: {:?}", world.counts());
    for (with, message) in [("lib=git:", "names no revision"), ("lib=git:gone", "gone")] {
        let refused = build(with);
        assert!(refused.code != Some(0) && refused.err.contains(message), "{with}: {}", refused.err);
    }
}
