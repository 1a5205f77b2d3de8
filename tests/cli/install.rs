//! `crossmill install`, `upgrade` and `remove`, against a real server and real signatures.

use crate::support::gpg::Key;
use crate::support::http::Answer;
use crate::world::{Ran, World};
use std::path::Path;
use std::process::Command;

const ARCHIVE: &str = "[archive.toolchain]\nsummary = \"a test\"\npackage = \"kit\"\n\
                       name = \"host-gcc-{{ version }}-nolibc-{{ target.triple }}\"\n\
                       prefix = \"gcc-{{ version }}-nolibc/{{ target.triple }}\"\ndirectory = \"files/{{ version }}\"\n\
                       triple = \"{{ target.triple }}\"\n[not-built.vax]";

// A world that releases a compiler of one line.
pub fn world() -> World {
    let world = World::new();
    world.edit("data/targets.toml", "[not-built.vax]", ARCHIVE);
    world.write(
        "data/recipes/kit.toml",
        "schema = 1\nname = \"kit\"\nsummary = \"a test\"\nper = \"target\"\nsource-of = \"kernel\"\n\
         tools = [\"cc\"]\n[[step]]\nname = \"kit\"\nscript = '''\n\
         mkdir '{{ dest }}/bin'\necho '#!/bin/sh\necho {{ target.triple }} {{ version }}' > '{{ dest }}/bin/{{ target.triple }}-gcc'\n\
         chmod 755 '{{ dest }}/bin/{{ target.triple }}-gcc'\nln -s '{{ target.triple }}-gcc' '{{ dest }}/bin/cc'\n\
         head -c 300000 /dev/zero > '{{ dest }}/zeros'\nln -s . '{{ dest }}/round'\n'''\n[result]\nfiles = [\"bin\"]\n",
    );
    world
}

// Writes a release of both triples to `r` and signs it with gpg's means, as `--sign-with` does.
pub fn release(world: &World, key: &Key) {
    world.run(&["package", "toolchain", "alpha", "gamma", "--release", "r"]).ok();
    sign(world, key);
}

pub fn sign(world: &World, key: &Key) {
    let index = fs_err::read(world.path("r/index.json")).unwrap();
    fs_err::write(world.path("r/index.json.asc"), key.sign(&index)).unwrap();
    world.write("key.asc", &key.armored());
}

fn serve(world: &World, dir: &str, below: &str) {
    let root = world.path(dir);
    let mut pending = vec![root.clone()];
    while let Some(dir) = pending.pop() {
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                world.server.file(&format!("{below}/{name}"), &fs_err::read(&path).unwrap());
            }
        }
    }
}

fn install(world: &World, args: &[&str]) -> Ran {
    world.run(&[&["install"], args, &["--prefix", "p"]].concat())
}

#[track_caller]
fn nothing_is_installed(world: &World) {
    let left: Vec<_> =
        fs_err::read_dir(world.path("p")).into_iter().flatten().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == ".crossmill"), "{left:?}");
    assert!(!world.path("p/.crossmill/installed").exists());
}

pub const XZ: &str = "files/1.0/host-gcc-1.0-nolibc-alpha-tiny.tar.xz";

#[test]
fn a_released_compiler_is_installed_used_and_removed() {
    let world = world();
    let key = Key::new(100);
    release(&world, &key);
    serve(&world, "r", "/rel");
    let url = world.server.url("/rel/");
    let ran = install(&world, &[&url, "alpha", "--key", "key.asc"]).ok();
    insta::assert_snapshot!(ran.out, @r#"
    export PATH=[DIR]/p/gcc-1.0-nolibc/alpha-tiny/bin:"$PATH"
    export CROSS_COMPILE=alpha-tiny-
    "#);
    let script = format!("{}\n${{CROSS_COMPILE}}gcc", ran.out.replace("[DIR]", &world.path("").display().to_string()));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "alpha-tiny 1.0\n");
    // The key was named once; the triple and a URL of the index are as good.
    let ran = install(&world, &[&format!("{url}index.json"), "alpha-tiny", "gamma-tiny", "--json"]).ok();
    assert!(ran.err.contains("installed before: host-gcc-1.0-nolibc-alpha-tiny"), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out.replace("[HASH]", &"0".repeat(64))).unwrap();
    assert_eq!(json["installed"][0]["signed_by"], key.fingerprint.as_str());
    assert_eq!((&json["cross_compile"], json["path"].as_array().unwrap().len()), (&serde_json::Value::Null, 2));
    let schema = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/install.schema.json"));
    let schema = serde_json::from_str(&schema.unwrap()).unwrap();
    let faults: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&json).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new(), "{json:#}");
    let ran = install(&world, &["--list"]).ok();
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    // Unpacked files belong to the user, who may remove them by other means.
    assert!(!fs_err::metadata(world.path("p/gcc-1.0-nolibc/alpha-tiny/zeros")).unwrap().permissions().readonly());
    world.run(&["remove", "alpha", "--prefix", "p"]).ok();
    assert!(!world.path("p/gcc-1.0-nolibc/alpha-tiny").exists() && world.path("p/gcc-1.0-nolibc/gamma-tiny").exists());
    world.run(&["remove", "gamma-tiny", "--prefix", "p"]).ok();
    assert!(!world.path("p/gcc-1.0-nolibc").exists());
    let ran = world.run(&["remove", "gamma-tiny", "--prefix", "p"]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: `gamma-tiny` is not installed
    ");
}

#[test]
fn what_a_release_has_is_listed_and_the_nearest_name_suggested() {
    let world = world();
    release(&world, &Key::new(100));
    let ran = install(&world, &["r", "--list", "--key", "key.asc"]);
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split("  ").collect()).collect();
    assert_eq!(lines[1][0..2], ["gamma-tiny", "1.0"], "{}{}", ran.out, ran.err);
    insta::assert_snapshot!(install(&world, &["r", "alpha-tin"]).message(), @r"
    exit 2
    error: no toolchain for `alpha-tin` is published there
    hint: did you mean `alpha-tiny`?
    hint: valid targets are `alpha-tiny`, `gamma-tiny`
    ");
    let ran = install(&world, &["r", "alpha-tiny", "--version", "2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("hint: it has version 1.0 for "), "{}", ran.err);
    assert_eq!(install(&world, &["r", "alpha-tiny", "--host", "vax"]).code, Some(2));
    nothing_is_installed(&world);
}

#[test]
fn a_download_that_breaks_is_resumed() {
    let world = world();
    release(&world, &Key::new(100));
    serve(&world, "r", "/rel");
    let path = format!("/rel/{XZ}");
    world.server.answers(&path, [Answer::Truncate(100)]);
    install(&world, &[&world.server.url("/rel"), "alpha", "--key", "key.asc"]).ok();
    let seen: Vec<_> = world.server.seen().into_iter().filter(|it| it.path == path).collect();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].sent, seen[1].range.as_deref()), (100, Some("bytes=100-")));
}

#[test]
fn a_changed_byte_is_refused_on_both_ways() {
    let world = world();
    release(&world, &Key::new(100));
    serve(&world, "r", "/rel");
    let path = format!("/rel/{XZ}");
    world.server.answers(&path, [Answer::Corrupt, Answer::Corrupt, Answer::Corrupt]);
    let ran = install(&world, &[&world.server.url("/rel"), "alpha", "--key", "key.asc"]);
    insta::assert_snapshot!(ran.error(), @r"
    exit 4
    error: `files/1.0/host-gcc-1.0-nolibc-alpha-tiny.tar.xz` has SHA-256 [HASH], its index lists SHA-256 [HASH]
    hint: do not use it: it was damaged or changed after the index was signed
    ");
    nothing_is_installed(&world);
    let mut bytes = fs_err::read(world.path(&format!("r/{XZ}"))).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(world.path(&format!("r/{XZ}")), bytes).unwrap();
    let ran = install(&world, &["r", "alpha", "--key", "key.asc"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("its index lists SHA-256 [HASH]"), "{}", ran.err);
    nothing_is_installed(&world);
}

#[test]
fn only_a_key_that_was_named_and_is_valid_counts() {
    let world = world();
    let key = Key::new(1000);
    release(&world, &key);
    insta::assert_snapshot!(install(&world, &["r", "alpha"]).message(), @r"
    exit 2
    error: no key of `[DIR]/r` is known
    hint: name the file of the publisher's public key once with `--key FILE`; get it on another way than the archives
    ");
    // Another key, which is not kept.
    world.write("other.asc", &Key::new(10).armored());
    let ran = install(&world, &["r", "alpha", "--key", "other.asc"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("is not verified: signed by a key that is not in the keyring"), "{}", ran.err);
    // No key at all.
    world.write("none.asc", "none");
    insta::assert_snapshot!(install(&world, &["r", "alpha", "--key", "none.asc"]).message(), @r"
    exit 2
    error: the public key `none.asc` cannot be used: it is not a public key of OpenPGP (armored) or minisign
    ");
    // The index is changed after it was signed.
    let index = fs_err::read_to_string(world.path("r/index.json")).unwrap();
    world.write("r/index.json", &index.replace("\"quick\"", "\"quack\""));
    let ran = install(&world, &["r", "alpha", "--key", "key.asc"]);
    assert!(ran.err.contains("is not verified: bad signature"), "{}", ran.err);
    world.write("r/index.json", &index);
    // Signed while the key was valid; expired now.
    world.write("expired.asc", &key.expiring(990, 900));
    let ran = install(&world, &["r", "alpha", "--key", "expired.asc"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("expired on "), "{}", ran.err);
    // Good, and from now on any other is refused.
    let fresh = world_with_fresh_key(&world);
    install(&world, &["r", "alpha", "--key", "key.asc"]).ok();
    let ran = install(&world, &["r", "gamma", "--key", "other.asc"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("error: another key of `[DIR]/r` is trusted than the one that was named"), "{}", ran.err);
    assert!(ran.err.contains("delete `[DIR]/home/.config/crossmill/keys/r-"), "{}", ran.err);
    // Revoked meanwhile, as the renewed copy of the same key shows.
    world.write("revoked.asc", &fresh.revoked());
    let ran = install(&world, &["r", "gamma", "--key", "revoked.asc"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("is revoked"), "{}", ran.err);
    // Without its signature.
    fs_err::remove_file(world.path("r/index.json.asc")).unwrap();
    insta::assert_snapshot!(install(&world, &["r", "gamma"]).message(), @r"
    exit 4
    error: [DIR]/r/index.json is not verified: there is no `index.json.asc` beside it
    hint: do not use it: it is not what the owner of the key signed
    ");
    let ran = install(&world, &["r", "gamma", "--no-signature"]).ok();
    assert!(ran.err.contains("was not verified"), "{}", ran.err);
}

fn world_with_fresh_key(world: &World) -> Key {
    let key = Key::new(100);
    sign(world, &key);
    key
}

// An index with a good signature that does not describe its archives.
#[test]
fn an_index_that_lies_is_refused() {
    let world = world();
    let key = Key::new(100);
    release(&world, &key);
    let good = fs_err::read_to_string(world.path("r/index.json")).unwrap();
    let lied = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in {good}");
        world.write("r/index.json", &good.replacen(from, to, 1));
        sign(&world, &key);
        let ran = install(&world, &["r", "alpha", "--key", "key.asc"]);
        assert_eq!(ran.code, Some(4), "{}", ran.err);
        nothing_is_installed(&world);
        ran.error()
    };
    let value: serde_json::Value = serde_json::from_str(&good).unwrap();
    let entry = &value["archives"][0];
    let field = |value: &serde_json::Value| value.to_string();
    let tar = field(&entry["tar"]["sha256"]);
    insta::assert_snapshot!(lied(&tar, &tar.replace(&tar[1..5], "0000")), @r"
    exit 4
    error: `host-gcc-1.0-nolibc-alpha-tiny.tar` has SHA-256 [HASH], its index lists SHA-256 [HASH]
    hint: do not use it: it was damaged or changed after the index was signed
    ");
    let bytes = format!("\"bytes\": {}", entry["tar"]["bytes"]);
    assert!(lied(&bytes, "\"bytes\": 512").contains("host-gcc-1.0-nolibc-alpha-tiny.tar"));
    insta::assert_snapshot!(lied("gcc-1.0-nolibc/alpha-tiny", "gcc-1.0-nolibc/beta"), @r"
    exit 4
    error: host-gcc-1.0-nolibc-alpha-tiny is not verified: it should contain `gcc-1.0-nolibc/beta` and nothing else
    hint: do not use it: it is not what the owner of the key signed
    ");
    insta::assert_snapshot!(lied("gcc-1.0-nolibc/alpha-tiny", "../alpha-tiny"), @r"
    exit 4
    error: the index `[DIR]/r/index.json` cannot be used: the path `../alpha-tiny` leads out of the release
    ");
    insta::assert_snapshot!(lied("gcc-1.0-nolibc/alpha-tiny", ".crossmill/alpha-tiny"), @r"
    exit 4
    error: the index `[DIR]/r/index.json` cannot be used: `.crossmill/alpha-tiny` is not a directory for an archive
    ");
}

// Version 1.1 of the kernel, and so of the compiler of one line.
pub fn add_newer_version(world: &World) {
    let recipe = fs_err::read_to_string(world.path("data/recipes/kernel.toml")).unwrap();
    let version = &recipe[recipe.find("[[version]]").unwrap()..recipe.find("[[step]]").unwrap()];
    let newer = format!("{}{version}[[step]]", version.replace("version = \"1.0\"", "version = \"1.1\""));
    let at = recipe.find("[[version]]").unwrap();
    let rest = recipe[recipe.find("[[step]]").unwrap()..].strip_prefix("[[step]]").unwrap();
    world.write("data/recipes/kernel.toml", &format!("{}{newer}{rest}", &recipe[..at]));
}

#[test]
fn a_newer_version_replaces_the_older_one() {
    let world = world();
    let key = Key::new(100);
    release(&world, &key);
    install(&world, &["r", "alpha", "--key", "key.asc"]).ok();
    let ran = world.run(&["upgrade", "--prefix", "p"]).ok();
    assert!(ran.err.contains("nothing newer is published"), "{}", ran.err);
    add_newer_version(&world);
    world.run(&["package", "toolchain", "alpha", "--release", "r", "--with", "kernel=1.1"]).ok();
    sign(&world, &key);
    let ran = world.run(&["upgrade", "alpha", "--prefix", "p"]).ok();
    assert!(
        ran.err.contains("upgraded: host-gcc-1.0-nolibc-alpha-tiny to host-gcc-1.1-nolibc-alpha-tiny"),
        "{}",
        ran.err
    );
    assert!(world.path("p/gcc-1.1-nolibc/alpha-tiny/bin").is_dir() && !world.path("p/gcc-1.0-nolibc").exists());
    // An older one only by its name; then the triple alone means both.
    install(&world, &["r", "alpha", "--version", "1.0"]).ok();
    insta::assert_snapshot!(world.run(&["remove", "alpha", "--prefix", "p"]).message(), @r"
    exit 2
    error: `alpha` may be any of `host-gcc-1.0-nolibc-alpha-tiny`, `host-gcc-1.1-nolibc-alpha-tiny`
    hint: name one of them
    ");
}

#[test]
fn a_prefix_that_cannot_take_it_is_left_alone() {
    let world = world();
    release(&world, &Key::new(100));
    let link = |to: &str, at: &str| fs_err::os::unix::fs::symlink(to, world.path(at)).unwrap();
    // A link in a circle instead of the prefix.
    link("p", "p");
    insta::assert_snapshot!(install(&world, &["r", "alpha", "--key", "key.asc"]).message(), @r"
    exit 1
    error: failed to create directory `[DIR]/p/.crossmill/`: Too many levels of symbolic links (os error 40)
    ");
    fs_err::remove_file(world.path("p")).unwrap();
    // On the way to the archive's place: in a circle, and to elsewhere.
    fs_err::create_dir(world.path("p")).unwrap();
    link("gcc-1.0-nolibc", "p/gcc-1.0-nolibc");
    insta::assert_snapshot!(install(&world, &["r", "alpha", "--key", "key.asc"]).message(), @r"
    exit 1
    error: `[DIR]/p/gcc-1.0-nolibc` is a symbolic link
    hint: remove it, or choose another directory with `--prefix DIR`
    ");
    fs_err::remove_file(world.path("p/gcc-1.0-nolibc")).unwrap();
    fs_err::create_dir(world.path("elsewhere")).unwrap();
    link("../elsewhere", "p/gcc-1.0-nolibc");
    assert_eq!(install(&world, &["r", "alpha"]).code, Some(1));
    assert_eq!(fs_err::read_dir(world.path("elsewhere")).unwrap().count(), 0);
    fs_err::remove_file(world.path("p/gcc-1.0-nolibc")).unwrap();
    // The user's own files.
    world.write("p/gcc-1.0-nolibc/alpha-tiny/mine", "mine");
    insta::assert_snapshot!(install(&world, &["r", "alpha"]).message(), @r"
    exit 1
    error: `[DIR]/p/gcc-1.0-nolibc/alpha-tiny` exists and was not installed by crossmill
    hint: remove it, or choose another directory with `--prefix DIR`
    ");
    assert_eq!(fs_err::read_to_string(world.path("p/gcc-1.0-nolibc/alpha-tiny/mine")).unwrap(), "mine");
}

#[test]
fn a_disk_that_is_too_small_is_named_and_nothing_stays() {
    let world = world();
    release(&world, &Key::new(100));
    fs_err::create_dir(world.path("p")).unwrap();
    // Needs the rights to mount; where a user namespace gives them.
    let run = |size: &str, index: bool| {
        if !index {
            // The index understates what is unpacked, so the space ends midway.
            let text = fs_err::read_to_string(world.path("r/index.json")).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let bytes = format!("\"unpacked_bytes\": {}", value["archives"][0]["unpacked_bytes"]);
            world.write("r/index.json", &text.replace(&bytes, "\"unpacked_bytes\": 1"));
        }
        let script = format!("mount -t tmpfs -o size={size} none p && \"$@\"; code=$?; ls -A p >&2; exit $code");
        let own = world.command(&["install", "r", "alpha", "--prefix", "p", "--no-signature"]);
        let mut command = world.command(&[]);
        let mut wrapped = Command::new("unshare");
        wrapped.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        wrapped.arg(own.get_program()).args(own.get_args());
        for (name, value) in own.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            wrapped.env(name, value);
        }
        wrapped.current_dir(world.path(""));
        std::mem::swap(&mut command, &mut wrapped);
        world.ran(command)
    };
    let ran = run("100k", true);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("free, and "), "{}", ran.err);
    let ran = run("100k", false);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("no space left on the device while writing"), "{}", ran.err);
    assert!(ran.err.trim_end().ends_with("\n.crossmill"), "{}", ran.err);
}

// kernel.org's own shape: archives and a clear-signed list beside them.
#[test]
fn a_directory_in_kernel_orgs_shape_is_an_origin() {
    let world = world();
    let key = Key::new(100);
    release(&world, &key);
    let name = XZ.rsplit('/').next().unwrap().replace("host-", "x86_64-");
    fs_err::create_dir_all(world.path("k")).unwrap();
    fs_err::copy(world.path(&format!("r/{XZ}")), world.path(&format!("k/{name}"))).unwrap();
    let sum = crossmill::base::Sha256::of(&fs_err::read(world.path(&format!("k/{name}"))).unwrap());
    let list = format!("{sum}  {name}\n");
    let signed = key.sign_with(list.as_bytes(), crate::support::gpg::now(), &["--clear-sign"]);
    fs_err::write(world.path("k/sha256sums.asc"), &signed).unwrap();
    serve(&world, "k", "/k");
    let url = world.server.url("/k/");
    let args = ["alpha-tiny", "--host", "x86_64"];
    let ran = install(&world, &[&[&url[..]], &args[..], &["--key", "key.asc"]].concat()).ok();
    assert!(ran.out.contains("CROSS_COMPILE=alpha-tiny-"), "{}", ran.out);
    assert!(world.path("p/gcc-1.0-nolibc/alpha-tiny/bin/alpha-tiny-gcc").is_file());
    world.run(&["remove", "alpha-tiny", "--prefix", "p"]).ok();
    // Text outside of the signed part does not count, nor does a changed list.
    let text = String::from_utf8(signed).unwrap();
    let other = text.replace(&sum.to_string(), &"0".repeat(64));
    world.server.file("/k/sha256sums.asc", other.as_bytes());
    let ran = install(&world, &[&[&url[..]], &args[..]].concat());
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("is not verified: bad signature"), "{}", ran.err);
    world.server.file("/k/sha256sums.asc", list.as_bytes());
    assert_eq!(install(&world, &[&[&url[..]], &args[..]].concat()).code, Some(4));
    let before = format!("{}  x86_64-gcc-9.0-nolibc-alpha-tiny.tar.xz\n{text}", "0".repeat(64));
    world.server.file("/k/sha256sums.asc", before.as_bytes());
    let ran = install(&world, &[&url, "--list", "--host", "x86_64"]);
    assert!(!ran.out.contains("9.0"), "{}", ran.out);
    nothing_is_installed_but_records(&world);
}

fn nothing_is_installed_but_records(world: &World) {
    assert!(!world.path("p/gcc-1.0-nolibc").exists());
    assert_eq!(fs_err::read_dir(world.path("p/.crossmill/installed")).unwrap().count(), 0);
}

#[test]
fn a_place_without_an_index_is_named() {
    let world = world();
    world.write("key.asc", &Key::new(100).armored());
    let ran = install(&world, &[&world.server.url("/nothing/"), "alpha", "--key", "key.asc"]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 4
    error: [SERVER]/nothing/: it has neither `index.json` nor `sha256sums.asc`
    ");
    insta::assert_snapshot!(install(&world, &["data", "alpha", "--key", "key.asc"]).message(), @r"
    exit 4
    error: [DIR]/data: it has neither `index.json` nor `sha256sums.asc`
    ");
    insta::assert_snapshot!(install(&world, &["http://example.org/", "alpha", "--key", "key.asc"]).message(), @r"
    exit 4
    error: `http://example.org/index.json` is not https
    hint: write it with https
    ");
    insta::assert_snapshot!(install(&world, &["data"]).message(), @r"
    exit 2
    error: no target is named
    hint: `crossmill install data --list` lists them
    ");
}
