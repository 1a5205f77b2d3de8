//! Builds without faults.

use crate::world::World;

#[test]
fn a_build_makes_each_thing_once_and_a_second_does_nothing() {
    let world = World::new();
    let ran = world.run(&["build", "alpha", "beta", "gamma"]).ok();
    assert!(ran.err.contains("= alpha"), "beta shares alpha's tool: {}", ran.err);
    let steps = |name: &str| ["build", "configure", "install"].map(|step| format!("{name} {step}"));
    let mut expected: Vec<String> =
        ["alpha/kernel", "alpha/tool", "beta/kernel", "gamma/kernel", "gamma/tool", "host/lib"]
            .iter()
            .flat_map(|name| steps(name))
            .collect();
    // `install` depends on `all`, whose first word prints `build` once more.
    expected.extend(expected.clone().into_iter().filter(|line| line.ends_with(" build")));
    expected.sort();
    assert_eq!(world.counts(), expected);
    world.forget_counts();
    let ran = world.run(&["build", "alpha", "beta", "gamma"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
    assert!(!ran.err.contains("started"), "{}", ran.err);
    assert_eq!(world.server.seen().iter().filter(|seen| seen.path == "/tiny-1.0.tar.xz").count(), 1);
}

#[test]
fn nothing_of_the_callers_environment_reaches_a_step() {
    let world = World::new();
    world.edit(
        "data/recipes/lib.toml",
        "[[step]]\nname = \"build\"",
        "[[step]]\nname = \"look\"\nrun = [\"env\"]\n[[step]]\nname = \"build\"",
    );
    world.run(&["build", "alpha", "--package", "lib"]).ok();
    let log = world.run(&["log", "host/lib", "look"]).ok().out;
    let mut names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=').map(|(name, _)| name)).collect();
    names.retain(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "MAKEFLAGS", "PATH", "TMPDIR"], "{log}");
    assert!(log.contains("--jobserver-auth=") && !log.contains("leaked"), "{log}");
}

#[test]
fn results_have_links_logs_scripts_and_json() {
    let world = World::new();
    let ran = world.run(&["build", "gamma", "--json", "--out", "out"]).ok();
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["schema"], 2);
    let shared = fs_err::read_to_string(world.path("out/gamma/kernel/share/kernel")).unwrap();
    assert!(shared.starts_with("--level=one\n") && shared.contains("object"), "{shared}");
    let tool = fs_err::read_to_string(world.store().join("results/now-quick/gamma/tool/share/tool")).unwrap();
    assert!(tool.contains("--with-gamma"), "{tool}");
    let log = world.run(&["log", "gamma/tool", "configure"]).ok().out;
    assert!(log.contains("checking for gamma/tool... yes"), "{log}");
    world.run(&["reproduce", "gamma/tool", "-o", "again.sh"]).ok();
    let again =
        std::process::Command::new("sh").args(["again.sh", "again"]).current_dir(world.path("")).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(fs_err::read_to_string(world.path("again/dest/share/tool")).unwrap(), tool);
    let page = world.run(&["timeline"]).ok().out;
    assert!(page.contains("<svg") && page.contains("gamma/tool"));
}

#[test]
fn a_fetched_cache_serves_an_offline_build() {
    let world = World::new();
    world.run(&["fetch", "alpha"]).ok();
    assert!(world.counts().is_empty());
    let before = world.server.seen().len();
    world.run(&["build", "alpha", "--offline"]).ok();
    assert_eq!(world.server.seen().len(), before);
}

#[test]
fn a_failing_target_stops_no_other() {
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"echo 'x.c:1:1: error: no such luck'; test {{ toolchain.name }} != gamma && make\"",
    );
    let ran = world.run(&["build", "alpha", "gamma"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("x.c:1:1: error: no such luck"), "{}", ran.err);
    assert!(ran.err.contains("crossmill reproduce gamma/tool"), "{}", ran.err);
    assert_eq!((world.count("alpha/kernel install"), world.count("gamma/kernel configure")), (1, 0));
    assert!(ran.err.contains("blocked"), "{}", ran.err);
    // It is tried again, and nothing else is.
    world.forget_counts();
    assert_eq!(world.run(&["build", "alpha", "gamma"]).code, Some(1));
    assert_eq!(world.counts(), ["gamma/tool configure"]);
}

#[test]
fn a_local_source_replaces_the_recipes_and_is_seen_when_it_changes() {
    let world = World::new();
    let unpacked = std::process::Command::new("tar")
        .args(["-xJf", "-", "-C"])
        .arg(world.path(""))
        .stdin(std::process::Stdio::piped())
        .spawn();
    let mut tar = unpacked.unwrap();
    std::io::Write::write_all(&mut tar.stdin.take().unwrap(), &crate::world::archive()).unwrap();
    assert!(tar.wait().unwrap().success());
    let args = ["build", "alpha", "--package", "lib", "--source", "lib=tiny-1.0"];
    world.run(&args).ok();
    world.run(&args).ok();
    assert_eq!(world.count("host/lib configure"), 1);
    assert!(world.server.seen().is_empty());
    world.edit("tiny-1.0/configure", "echo object", "echo changed");
    world.run(&args).ok();
    assert_eq!(world.count("host/lib configure"), 2);
}

#[test]
fn a_shell_has_the_targets_tools_on_its_path() {
    let world = World::new();
    let ran = world.run(&["env", "gamma"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("hint: build it: `crossmill build gamma`"), "{}", ran.err);
    world.run(&["build", "gamma"]).ok();
    let ran = world.run(&["shell", "gamma", "--", "sh", "-c", "echo $ARCH $CROSS_COMPILE; echo ${PATH%%:*}"]).ok();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines, ["gamma gamma-tiny-", "[DIR]/store/stages/[HASH]/tree/bin"]);
}

// A compiler cache that leaves a word and hands on to the compiler behind it on the PATH.
const CCACHE: &str = r#"#!/bin/sh
case ${0##*/} in tiny-ccache) echo 'ccache version 4.8'; exit 0;; esac
echo "cached ${0##*/} in ${CCACHE_DIR##*/} below ${CCACHE_BASEDIR##*/}" >> @COUNT@
PATH=${PATH#*:}
exec "${0##*/}" "$@"
"#;

#[test]
fn a_compiler_cache_stands_before_the_compilers_and_is_no_part_of_any_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let describe = "[tool.ccache]\nprogram = \"tiny-ccache\"\nversion-args = [\"--version\"]\nwraps = [\"cc\", \"nocc\"]\n\
                    cache-variable = \"CCACHE_DIR\"\nbase-variable = \"CCACHE_BASEDIR\"\nwhy = \"remembers\"\npackages = { apt = [\"ccache\"] }\n[manager.apt]";
    world.edit("data/recipes/host-tools.toml", "[manager.apt]", describe);
    let path = format!("PATH = \"{}:/usr/local/bin:/usr/bin:/bin\"", world.path("tools").display());
    world.edit("data/targets.toml", "PATH = \"/usr/local/bin:/usr/bin:/bin\"", &path);
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "run = [\"sh\", \"-c\", \"cc --version && make\"]");
    let ran = world.run(&["build", "gamma", "--ccache"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("`ccache` is not installed") && world.counts().is_empty(), "{}", ran.err);
    world.write("tools/tiny-ccache", &CCACHE.replace("@COUNT@", &world.path("count").display().to_string()));
    fs_err::set_permissions(world.path("tools/tiny-ccache"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(world.run(&["doctor", "gamma", "--ccache"]).ok().out.contains("ccache"));
    assert!(!world.run(&["doctor", "gamma"]).ok().out.contains("ccache"));
    world.run(&["build", "gamma", "--ccache"]).ok();
    assert_eq!(world.count("cached cc in cache below store"), 1, "{:?}", world.counts());
    assert!(!world.store().join("ccache/bin/nocc").exists());
    assert!(!world.run(&["reproduce", "gamma/tool"]).ok().out.contains("ccache"));
    // The same key without it: nothing is left to do.
    world.forget_counts();
    world.run(&["build", "gamma"]).ok();
    assert!(world.counts().is_empty(), "{:?}", world.counts());
}
