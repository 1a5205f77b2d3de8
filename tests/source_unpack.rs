//! Archives into trees, honest and malicious ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use crossmill::base::{Diagnostic, Sha256, files};
use crossmill::config::source::{Origin, PatchFrom, PatchSpec, Pin, SourceSpec};
use crossmill::source::{Error, Fetched, Fetcher, Options, Unpacked};
use std::cell::RefCell;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use support::archives::{Entry, deb, tar, xz};

struct World {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Drop for World {
    fn drop(&mut self) {
        // The trees are read-only, which the temporary directory does not expect.
        let _ = files::remove_tree(self.dir.path());
    }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::new(Options::new(dir.path().join("cache")));
        Self { dir, fetcher }
    }

    fn dest(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// Puts `bytes` into the cache as if they had been fetched.
    fn blob(&self, bytes: &[u8]) -> (SourceSpec, Fetched) {
        let path = self.dir.path().join("archive");
        fs_err::write(&path, bytes).unwrap();
        let spec = SourceSpec {
            from: Origin::Local(path),
            pin: Pin::AsFound,
            size: None,
            limit: None,
            member: None,
            strip: 1,
            patches: Vec::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched = runtime.block_on(self.fetcher.fetch(std::slice::from_ref(&spec), &())).unwrap();
        (spec, fetched)
    }

    fn unpack(&self, bytes: &[u8], extra: &[PatchSpec]) -> Result<Unpacked, Error> {
        self.unpack_as(bytes, extra, |_| ())
    }

    fn unpack_as(
        &self,
        bytes: &[u8],
        extra: &[PatchSpec],
        change: impl FnOnce(&mut SourceSpec),
    ) -> Result<Unpacked, Error> {
        let (mut spec, fetched) = self.blob(bytes);
        change(&mut spec);
        files::remove_tree(&self.dest()).unwrap();
        self.fetcher.unpack(&spec, &fetched, extra, None, &self.dest(), &AtomicBool::new(false), &|_, _| ())
    }
}

fn mode(path: &Path) -> u32 {
    fs_err::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn mtime(path: &Path) -> i64 {
    fs_err::symlink_metadata(path).unwrap().mtime()
}

fn refusal(entries: &[Entry<'_>]) -> String {
    let world = World::new();
    let error = world.unpack(&tar(entries), &[]).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    // No file was left beside the tree.
    let beside = fs_err::read_dir(world.dir.path()).unwrap().count();
    assert_eq!(beside, 3, "cache, archive, tree");
    error.to_string()
}

#[test]
fn a_tree_is_normalised_and_read_only() {
    let world = World::new();
    let archive = tar(&[
        Entry::dir("gcc-1/").mode(0o700),
        Entry::dir("gcc-1/sub/").mtime(77),
        Entry::file("gcc-1/sub/configure", b"#!/bin/sh\n").mode(0o4775).mtime(123_456),
        Entry::file("gcc-1/sub/file", b"text").mode(0o666),
        Entry::symlink("gcc-1/link", "sub/../sub/file"),
        Entry::hard_link("gcc-1/again", "gcc-1/sub/file"),
        Entry::file("gcc-1/new/without/dir", b""),
    ]);
    let unpacked = world.unpack(&xz(&archive), &[]).unwrap();
    assert_eq!(unpacked, Unpacked { files: 5, bytes: 14 });
    let dest = world.dest();
    assert_eq!(mode(&dest.join("sub/configure")), 0o555);
    assert_eq!(mode(&dest.join("sub/file")), 0o444);
    assert_eq!([mode(&dest), mode(&dest.join("sub")), mode(&dest.join("new/without"))], [0o555; 3]);
    assert_eq!(mtime(&dest.join("sub/configure")), 123_456);
    assert_eq!(mtime(&dest.join("sub")), 77);
    assert_eq!(mtime(&dest.join("link")), 1_000_000);
    assert_eq!(fs_err::read_to_string(dest.join("link")).unwrap(), "text");
    assert_eq!(fs_err::read_to_string(dest.join("again")).unwrap(), "text");
}

#[test]
fn what_leads_out_is_refused_by_name() {
    let outside = [
        refusal(&[Entry::file("gcc-1/../../evil", b"x")]),
        refusal(&[Entry::file("/etc/evil", b"x")]),
        refusal(&[Entry::dir("gcc-1/../..")]),
        refusal(&[Entry::symlink("gcc-1/link", "/etc/passwd")]),
        refusal(&[Entry::symlink("gcc-1/a/link", "../../evil")]),
        refusal(&[Entry::symlink("gcc-1/here", "."), Entry::symlink("gcc-1/link", "here/here/here/../..")]),
        refusal(&[Entry::symlink("gcc-1/link", "up/x"), Entry::symlink("gcc-1/d/up", "../..")]),
        refusal(&[Entry::hard_link("gcc-1/x", "/etc/passwd")]),
        refusal(&[Entry::hard_link("gcc-1/x", "gcc-1/../../evil")]),
        refusal(&[Entry::hard_link("gcc-1/x", "gcc-1/missing")]),
        refusal(&[Entry::symlink("gcc-1/l", "d"), Entry::hard_link("gcc-1/x", "gcc-1/l")]),
        refusal(&[Entry::symlink("gcc-1/l", "d"), Entry::file("gcc-1/l/evil", b"x")]),
        refusal(&[Entry::symlink("gcc-1/l", "d"), Entry::dir("gcc-1/l/")]),
        refusal(&[Entry::symlink("gcc-1/l", "d"), Entry::file("gcc-1/l", b"x")]),
        refusal(&[Entry::file("gcc-1/f", b"1"), Entry::file("gcc-1/./f", b"2")]),
        refusal(&[Entry::file("gcc-1/f", b"1"), Entry::file("gcc-1/f/g", b"2")]),
        refusal(&[Entry { kind: tar::EntryType::Char, ..Entry::file("gcc-1/null", b"") }]),
        refusal(&[Entry { kind: tar::EntryType::Fifo, ..Entry::file("gcc-1/pipe", b"") }]),
        refusal(&[Entry::file("README", b"x")]),
    ];
    insta::assert_snapshot!(outside.join("\n"));
}

#[test]
fn a_link_that_dangles_or_goes_in_a_circle_is_kept() {
    let world = World::new();
    let archive = tar(&[
        Entry::file("gcc-1/f", b"x"),
        Entry::symlink("gcc-1/a", "b"),
        Entry::symlink("gcc-1/b", "a"),
        Entry::symlink("gcc-1/sub/up", "../not/there"),
    ]);
    assert_eq!(world.unpack(&archive, &[]).unwrap().files, 4);
}

#[test]
fn an_archive_cut_short_or_damaged_is_an_error() {
    let world = World::new();
    let content: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let plain = tar(&[Entry::file("gcc-1/big", &content), Entry::file("gcc-1/small", b"x")]);
    let packed = xz(&plain);
    let mut damaged = packed.clone();
    damaged[packed.len() / 2] ^= 4;
    for bytes in [
        &packed[..packed.len() / 2],
        &packed[..packed.len() - 1],
        &damaged,
        &plain[..200_000],
        // At the end of an entry, without the mark of the archive's end.
        &plain[..plain.len() - 1024],
        b"<html>not here</html>",
        &tar(&[Entry::dir("gcc-1/")]),
        b"",
    ] {
        let error = world.unpack(bytes, &[]).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{error}");
    }
}

#[test]
fn a_damaged_blob_is_told_from_a_bad_archive() {
    let world = World::new();
    let good = xz(&tar(&[Entry::file("gcc-1/f", b"text")]));
    let (spec, fetched) = world.blob(&good);
    let blob = world.dir.path().join("cache/blobs").join(fetched.digest.trim_start_matches("sha256:"));
    let other = xz(&tar(&[Entry::file("gcc-1/f", b"evil")]));
    for bytes in [&other[..], b"rubbish", &good[..good.len() / 2]] {
        fs_err::write(&blob, bytes).unwrap();
        files::remove_tree(&world.dest()).unwrap();
        let error = world
            .fetcher
            .unpack(&spec, &fetched, &[], None, &world.dest(), &AtomicBool::new(false), &|_, _| ())
            .unwrap_err();
        assert!(matches!(&error, Error::CorruptBlob { got, .. } if *got == Sha256::of(bytes)), "{error}");
    }
    world.fetcher.forget(&spec, Some(&fetched)).unwrap();
    assert!(!blob.exists());
}

const DIFF: &str = "--- a/configure\n+++ b/configure\n@@ -1 +1 @@\n-one\n+two\n\
                    --- /dev/null\n+++ b/doc/Makefile.in\n@@ -0,0 +1 @@\n+all:\n";

fn patch(text: &str) -> PatchSpec {
    PatchSpec { from: PatchFrom::File { path: PathBuf::from("recipes/fix.diff"), text: text.to_owned() }, strip: 1 }
}

#[test]
fn patched_files_keep_their_times() {
    let world = World::new();
    let archive = tar(&[
        Entry::file("gmp-6/configure", b"one\n").mode(0o755).mtime(500),
        Entry::file("gmp-6/configure.ac", b"ac\n").mtime(400),
        Entry::file("gmp-6/aclocal.m4", b"m4\n").mtime(900),
    ]);
    world.unpack(&archive, &[patch(DIFF)]).unwrap();
    let dest = world.dest();
    assert_eq!(fs_err::read_to_string(dest.join("configure")).unwrap(), "two\n");
    assert_eq!((mtime(&dest.join("configure")), mode(&dest.join("configure"))), (500, 0o555));
    assert_eq!((mtime(&dest.join("doc/Makefile.in")), mode(&dest.join("doc/Makefile.in"))), (900, 0o444));
    assert_eq!(mode(&dest.join("doc")), 0o555);
    let error = world.unpack(&archive, &[patch(DIFF), patch(DIFF)]).unwrap_err();
    assert!(error.to_string().starts_with("patch `recipes/fix.diff` does not apply: "), "{error}");
}

#[test]
fn a_member_and_its_patch_stream_out_of_a_package() {
    let inner = xz(&tar(&[Entry::file("gcc-16/configure", b"one\n").mtime(500)]));
    let member = |name: &str| PatchSpec { from: PatchFrom::Member(name.to_owned()), strip: 1 };
    let entries = [
        Entry::file("./usr/src/gcc-16/gcc.tar.xz", &inner),
        Entry::file("./usr/src/gcc-16/patches/fix.diff", DIFF.as_bytes()),
        Entry::file("./usr/share/doc/changelog", b"x"),
    ];
    let package = deb(&tar(&entries));
    let world = World::new();
    let unpacked = world.unpack_as(&package, &[], |spec| {
        spec.member = Some("usr/src/gcc-16/gcc.tar.xz".to_owned());
        spec.patches = vec![member("usr/src/gcc-16/patches/fix.diff")];
    });
    assert_eq!(unpacked.unwrap().files, 1);
    assert_eq!(fs_err::read_to_string(world.dest().join("configure")).unwrap(), "two\n");
    let error = world
        .unpack_as(&package, &[], |spec| {
            spec.member = Some("usr/src/gcc-16/gcc.tar.xz".to_owned());
            spec.patches = vec![member("usr/src/gcc-16/patches/fxi.diff")];
        })
        .unwrap_err();
    insta::assert_snapshot!(
        Diagnostic::from_error(&error).to_string().replace(world.dir.path().to_str().unwrap(), "DIR")
    );
}

#[test]
fn unpacking_stops_when_it_is_told_and_says_how_far_it_is() {
    let world = World::new();
    let content: Vec<u8> = (0..2_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (spec, fetched) = world.blob(&tar(&[Entry::file("gcc-1/big", &content)]));
    let cancel = AtomicBool::new(false);
    let reported = RefCell::new(Vec::new());
    let stopped = world.fetcher.unpack(&spec, &fetched, &[], None, &world.dest(), &cancel, &|done, all| {
        reported.borrow_mut().push((done, all));
        cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let reported = reported.into_inner();
    assert!(reported.iter().all(|(done, all)| done <= all && *all > 8_000_000) && reported[0].0 < 8_000_000);
}

#[test]
fn the_destination_must_be_empty() {
    let world = World::new();
    let (spec, fetched) = world.blob(&tar(&[Entry::file("gcc-1/f", b"x")]));
    fs_err::create_dir_all(world.dest().join("there")).unwrap();
    let error = world.fetcher.unpack(&spec, &fetched, &[], None, &world.dest(), &AtomicBool::new(false), &|_, _| ());
    assert!(matches!(error, Err(Error::Refused { .. })));
}

#[test]
fn an_archive_that_grows_far_beyond_its_figure_is_given_up() {
    let world = World::new();
    let zeros = vec![0; 70 << 20];
    let (spec, fetched) = world.blob(&xz(&tar(&[Entry::file("gcc-1/f", &zeros)])));
    let unpack = |declared| {
        files::remove_tree(&world.dest()).unwrap();
        world.fetcher.unpack(&spec, &fetched, &[], declared, &world.dest(), &AtomicBool::new(false), &|_, _| ())
    };
    let error = unpack(Some(1 << 20)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { declared: 1_048_576, .. }), "{error}");
    unpack(Some(70 << 20)).unwrap();
}
