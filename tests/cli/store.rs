//! Results that a store keeps, judges and removes.

use crate::world::{World, until};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Writes to a file that was published read-only, and gives it back its mode and times.
fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let meta = fs_err::metadata(path).unwrap();
    let mut bytes = fs_err::read(path).unwrap();
    change(&mut bytes);
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(path, bytes).unwrap();
    fs_err::File::options().write(true).open(path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    fs_err::set_permissions(path, meta.permissions()).unwrap();
}

fn flip(bytes: &mut [u8]) {
    bytes[0] ^= 1;
}

#[test]
fn a_flipped_byte_that_verify_found_is_not_used_by_the_next_build() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    overwrite(&world.entry("alpha/kernel").join("tree/share/kernel"), |bytes| flip(bytes));
    // A quick look cannot see it.
    world.run(&["build", "alpha"]).ok();
    assert!(world.counts().is_empty());
    let verify = world.run(&["store", "verify"]);
    assert_eq!(verify.code, Some(5));
    insta::assert_snapshot!(format!("{}\n{}", verify.out.trim_end(), verify.err), @"
    damaged: the stored result `[DIR]/store/stages/[HASH]/tree` is damaged: `share/kernel` was changed: its content differs
    3 results, 3 source trees, 1 damaged
    hint: `crossmill store repair` removes what is damaged; the next build that needs it makes it again
    ");
    let plan = world.run(&["plan", "alpha", "--explain"]).ok();
    assert!(plan.out.contains("its content differs"), "{}", plan.out);
    let build = world.run(&["build", "alpha"]).ok();
    assert!(build.err.contains("its content differs; it will be replaced"), "{}", build.err);
    assert_eq!(
        world.counts(),
        ["alpha/kernel build", "alpha/kernel build", "alpha/kernel configure", "alpha/kernel install"]
    );
    world.run(&["store", "verify"]).ok();
}

#[test]
fn a_damaged_toolchain_is_refused_by_the_shell_and_repaired() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    overwrite(&world.entry("alpha/tool").join("tree/share/tool"), |bytes| flip(bytes));
    assert_eq!(world.run(&["store", "verify"]).code, Some(5));
    let shell = world.run(&["shell", "alpha", "--", "true"]);
    assert_eq!(shell.code, Some(5), "{}", shell.err);
    assert!(shell.err.contains("is damaged"), "{}", shell.err);
    let repair = world.run(&["store", "repair"]).ok();
    assert!(repair.out.ends_with("1 removed\n") || repair.out.ends_with("1 removed"), "{}", repair.out);
    world.run(&["store", "verify"]).ok();
    world.run(&["build", "alpha", "--package", "tool"]).ok();
    world.run(&["shell", "alpha", "--", "true"]).ok();
}

#[test]
fn an_entry_without_its_tree_is_built_again() {
    for gone in ["tree", "manifest.json", "tree/share"] {
        let world = World::new();
        world.run(&["build", "alpha"]).ok();
        world.forget_counts();
        let path = world.entry("alpha/kernel").join(gone);
        if path.is_dir() {
            fs_err::remove_dir_all(&path).unwrap()
        } else {
            fs_err::remove_file(&path).unwrap()
        }
        let build = world.run(&["build", "alpha"]).ok();
        assert!(build.err.contains("missing"), "{gone}: {}", build.err);
        assert_eq!(world.count("alpha/kernel configure"), 1, "{gone}");
        world.run(&["store", "verify"]).ok();
    }
}

#[test]
fn a_copied_store_is_judged_alike_by_every_command() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    let copied =
        std::process::Command::new("cp").arg("-r").arg(world.store()).arg(world.path("copy")).status().unwrap();
    assert!(copied.success());
    for args in [&["store", "verify"][..], &["build", "alpha"], &["shell", "alpha", "--", "true"], &["store", "verify"]]
    {
        let ran = world.run(&[args, &["--store", "copy"]].concat().iter().map(|arg| &**arg).collect::<Vec<_>>()[..]);
        assert!(!format!("{}{}", ran.out, ran.err).contains("is damaged"), "{args:?}: {}{}", ran.out, ran.err);
    }
    assert!(world.counts().is_empty(), "{:?}", world.counts());
}

#[test]
fn a_torn_or_edited_source_is_unpacked_again() {
    let empty: fn(&Path) = |path| overwrite(path, Vec::clear);
    let edit: fn(&Path) = |path| {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::write(path, "#!/bin/sh\nexit 0\n").unwrap();
    };
    let remove: fn(&Path) = |path| {
        fs_err::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::remove_file(path).unwrap();
    };
    let no_list: fn(&Path) = |path| {
        overwrite(path, Vec::clear);
        fs_err::remove_file(path.parent().unwrap().with_file_name("manifest.json")).unwrap();
    };
    for damage in [empty, edit, remove, no_list] {
        let world = World::new();
        world.run(&["build", "alpha"]).ok();
        world.run(&["store", "verify"]).ok();
        world.entries("sources").iter().for_each(|source| damage(&source.join("tree/configure")));
        // With all results cached the source is not needed.
        world.run(&["build", "alpha"]).ok();
        world.run(&["build", "gamma"]).ok();
        assert_eq!(world.count("gamma/tool configure"), 1);
        // That of the library was not needed.
        world.run(&["store", "repair"]).ok();
        world.run(&["store", "verify"]).ok();
    }
}

#[test]
fn verify_reads_every_byte_of_a_source_and_repair_removes_it() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    overwrite(&world.entries("sources")[0].join("tree/configure"), |bytes| flip(bytes));
    let verify = world.run(&["store", "verify"]);
    assert_eq!(verify.code, Some(5), "{}", verify.out);
    assert!(verify.out.contains("`configure` was changed: its content differs"), "{}", verify.out);
    world.run(&["store", "repair"]).ok();
    assert_eq!(world.entries("sources").len(), 2);
    world.run(&["build", "gamma"]).ok();
}

#[test]
fn after_another_boot_unfinished_work_starts_afresh() {
    let world = World::new();
    // The install step fails once the build step has finished.
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", "run = [\"make\", \"all\"]");
    let stop = world.path("stop");
    world.edit(
        "data/recipes/lib.toml",
        "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]",
        &format!(
            "script = \"while test -e {}; do sleep 0.1; done; make install DESTDIR={{{{ dest }}}}\"",
            stop.display()
        ),
    );
    fs_err::write(&stop, "").unwrap();
    // The step looks at a file outside its work directory, which isolation hides from it.
    let build = ["build", "alpha", "--package", "lib", "--isolation", "off"];
    let mut run = world.command(&build).spawn().unwrap();
    let installs = |dir: &PathBuf| {
        fs_err::read_to_string(dir.join("progress.jsonl")).is_ok_and(|text| text.contains("{\"started\":\"install\"}"))
    };
    until("the install step runs", || world.entries("work").iter().any(installs));
    let work = world.entries("work").into_iter().find(installs).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    fs_err::remove_file(&stop).unwrap();
    // The state after a power loss: files cut to nothing, with their times, and another boot.
    overwrite(&work.join("build/one.o"), Vec::clear);
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let progress = fs_err::read_to_string(work.join("progress.jsonl")).unwrap();
    assert!(progress.contains(boot.trim()), "{progress}");
    let other = progress.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    fs_err::write(work.join("progress.jsonl"), other).unwrap();
    world.run(&build).ok();
    assert_eq!(world.count("host/lib configure"), 2);
    let made = fs_err::read_to_string(world.entry("host/lib").join("tree/share/lib")).unwrap();
    assert_eq!(made.matches("object").count(), 6, "{made}");
}

#[test]
fn one_result_can_be_discarded_by_name_or_key() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    world.run(&["store", "discard", "alpha/kernel"]).ok();
    world.run(&["build", "alpha"]).ok();
    assert_eq!(world.count("alpha/kernel configure"), 1);
    let key = world.entry("alpha/kernel").file_name().unwrap().to_str().unwrap()[..12].to_owned();
    world.run(&["store", "discard", &key]).ok();
    let gone = world.run(&["store", "discard", "alpha/kernal"]);
    insta::assert_snapshot!(gone.error(), @"
    exit 5
    error: the store has no result `alpha/kernal`
    hint: did you mean `alpha/kernel`?
    hint: valid results are `alpha/kernel`, `alpha/tool`, `host/lib`
    ");
}

#[test]
fn gc_removes_what_no_recent_run_used_and_keeps_what_that_was_built_with() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    let all = world.entries("stages").len();
    // Only the last run counts, which found everything cached and so names the kernel alone.
    world.run(&["build", "alpha"]).ok();
    let keep = ["store", "gc", "--keep-days", "0", "--keep-runs", "1"];
    let dry = world.run(&[&keep[..], &["--dry-run"]].concat()).ok();
    assert_eq!(dry.out.matches("would remove: result").count(), all - 3, "{}", dry.out);
    assert_eq!(world.entries("stages").len(), all);
    world.run(&keep).ok();
    assert_eq!(world.entries("stages").len(), 3);
    world.forget_counts();
    world.run(&["build", "alpha"]).ok();
    world.run(&["shell", "alpha", "--", "true"]).ok();
    assert!(world.counts().is_empty());
}

#[test]
fn gc_removes_nothing_beside_a_run() {
    let world = World::new();
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", "run = [\"sleep\", \"1000\"]");
    let mut run = world.command(&["build", "alpha"]).spawn().unwrap();
    until("a step runs", || !world.entries("work").is_empty());
    let gc = world.run(&["store", "gc", "--keep-days", "0", "--keep-runs", "0"]);
    insta::assert_snapshot!(gc.error(), @"
    exit 5
    error: a run on this store has not ended
    hint: run the same command again when it has ended
    ");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    run.wait().unwrap();
}

#[test]
fn a_read_only_store_serves_everything_that_changes_nothing() {
    use crate::store_users::{User, read_only};
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    world.forget_counts();
    read_only(&world.store());
    for args in [
        &["build", "alpha"][..],
        &["plan", "alpha"],
        &["log", "alpha/kernel"],
        &["env", "alpha"],
        &["shell", "alpha", "--", "true"],
        &["store", "verify"],
        &["timeline"],
    ] {
        let ran = User::nobody(&world).run(&world, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.out, ran.err);
    }
    assert!(world.counts().is_empty());
    let ran = User::nobody(&world).run(&world, &["build", "gamma"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("error: the store `[DIR]/store` cannot be written"), "{}", ran.err);
}

#[test]
fn a_store_behind_a_link_is_judged_by_its_real_path() {
    let world = World::new();
    fs_err::create_dir_all(world.path("my disk")).unwrap();
    std::os::unix::fs::symlink(world.path("my disk"), world.path("link")).unwrap();
    let ran = world.run(&["build", "alpha", "--store", "link/store"]);
    insta::assert_snapshot!(ran.error(), @"
    exit 5
    error: the store's path `[DIR]/my disk/store` has a character that make cannot handle (`[DIR]/link/store` is a link to it)
    hint: choose another with `--store DIR`: letters, digits and `/ . _ + -` are safe
    ");
}

#[test]
fn a_place_for_the_store_is_home_or_is_named() {
    let world = World::new();
    let mut command = world.command(&["store", "path"]);
    command.env_remove("CROSSMILL_STORE").env_remove("HOME");
    insta::assert_snapshot!(world.ran(command).error(), @"
    exit 2
    error: the store's usual place is in the home directory, and HOME names none
    hint: set HOME, or name the store with `--store DIR` or CROSSMILL_STORE
    ");
    let mut command = world.command(&["store", "path"]);
    command.env("CROSSMILL_STORE", "~/mine");
    assert_eq!(world.ran(command).ok().out.trim(), "[DIR]/home/mine");
    let mut command = world.command(&["store", "path"]);
    command.env("CROSSMILL_STORE", "");
    let ran = world.ran(command);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("the directory is empty; omit `--store`"), "{}", ran.err);
}

#[test]
fn a_log_cannot_steer_the_terminal() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let log = world.entry("alpha/kernel").join("logs/02-build.log");
    fs_err::write(&log, b"a\x1b[2Jb\x07c\td \xc3\xa9 \xc2\x9b31m \xc2\xa0 \r\n").unwrap();
    let ran = world.run(&["log", "alpha/kernel", "build"]).ok();
    let shown = ran.out.split_once("<==").unwrap().1.trim_start();
    assert_eq!(shown.trim_end(), "a^[[2Jb^Gc\td \u{e9} M-^[31m \u{a0} ^M");
}

#[test]
fn a_stage_whose_lease_another_machine_has_is_waited_for() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let key = world.entry("alpha/tool").file_name().unwrap().to_str().unwrap().to_owned();
    world.run(&["store", "discard", "alpha/tool"]).ok();
    world.run(&["store", "discard", "alpha/kernel"]).ok();
    world.forget_counts();
    let lease = world.store().join(format!("locks/{key}.lease.0"));
    let terms = r#"{"place":"another","host":"there","pid":7,"started":1,"nonce":"x","beat":1}"#;
    fs_err::write(&lease, terms).unwrap();
    let mut command = world.command(&["build", "alpha"]);
    command.env("CROSSMILL_LEASES", "always").stderr(fs_err::File::create(world.path("err")).unwrap().into_file());
    let mut run = command.spawn().unwrap();
    let said = "alpha/tool: waiting for process 7 on there, which works on the same stage";
    until("it waits", || fs_err::read_to_string(world.path("err")).unwrap().contains(said));
    assert_eq!(world.counts().len(), 0);
    fs_err::remove_file(lease).unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!(world.count("alpha/tool install"), 1);
    let left: Vec<_> =
        world.entries("locks").into_iter().filter(|path| path.to_str().unwrap().contains("lease")).collect();
    assert!(left.is_empty(), "{left:?}");
}
