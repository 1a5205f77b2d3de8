//! Attempts of a step to change the rest of the machine, as root and as an ordinary user.

use crate::world::World;
use std::os::unix::process::CommandExt as _;

// A user that owns nothing.
const NOBODY: u32 = 65534;

const RECIPE: &str = r#"
schema = 1
name = "probe"
summary = "tries to get out"
per = "host"
[[needs]]
package = "lib"
[[version]]
version = "1.0"
[[version.source]]
url = "@BASE@/tiny-1.0.tar.xz"
sha256 = "@SHA@"
[[step]]
name = "try"
script = """
@SCRIPT@
mkdir -p {{ dest }}
cp said {{ dest }}/said
"""
[access]
write = ["@COUNT@"]
[result]
files = ["said"]
"#;

// Each attempt prints `NAME: refused: …` with the system's message, or `NAME: possible`.
const ATTEMPTS: &str = r#"
try() { name=$1; shift; if "$@" 2>err; then echo "$name: possible"; else echo "$name: refused: $(tail -n 1 err)"; fi >>said; }
try own sh -c 'echo x > own'
try home sh -c 'echo x > ~/x && test "$HOME" != @HOME@'
try real-home sh -c 'echo x > @HOME@/x'
try tmp sh -c 'echo x > /tmp/x && test "$(ls /tmp | grep -cx x)" = 1'
try source sh -c 'echo x >> ../source/configure'
try source-mode chmod 777 ../source/configure
try source-time touch ../source/configure
try source-new sh -c 'echo x > ../source/new'
try result sh -c 'echo x >> {{ deps.lib }}/share/lib'
try result-mode chmod 777 {{ deps.lib }}/share/lib
try outside sh -c 'echo x > @OUTSIDE@/x'
try data sh -c 'echo x >> @DATA@'
try mount mount -o remount,rw,bind /
try device mknod disk b 254 0
try local bash -c ': < /dev/tcp/127.0.0.1/9'
try far bash -c ': < /dev/tcp/192.0.2.1/9'
try udp bash -c 'echo x > /dev/udp/127.0.0.1/9'
"#;

fn world(script: &str) -> World {
    let world = World::new();
    let sha = crossmill::base::Sha256::of(&crate::world::archive()).to_string();
    let recipe = RECIPE
        .replace("@SCRIPT@", script)
        .replace("@BASE@", &world.server.base)
        .replace("@SHA@", &sha)
        .replace("@COUNT@", &world.path("count").display().to_string());
    world.write("data/recipes/probe.toml", &recipe);
    world.edit("data/targets.toml", "lib = \"1.0\"", "lib = \"1.0\", probe = \"1.0\"");
    world
}

// Not below /tmp, of which a step sees nothing.
fn outside() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("isolation-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs_err::set_permissions(dir.path(), mode).unwrap();
    dir
}

fn attempts(as_user: bool) -> String {
    let dir = outside();
    let text = dir.path().display().to_string();
    let data = dir.path().join("data");
    fs_err::write(&data, "kept").unwrap();
    let home = dir.path().join("home");
    fs_err::create_dir(&home).unwrap();
    fs_err::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let attempts = ATTEMPTS.replace("@OUTSIDE@", &text).replace("@DATA@", &data.display().to_string());
    let world = world(&attempts.replace("@HOME@", &home.display().to_string()));
    let mut command = world.command(&["build", "alpha", "--package", "probe", "--isolation", "required"]);
    if as_user {
        world.give_to(NOBODY);
        std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.env("HOME", &home).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs_err::read_dir(&home).unwrap().count(), 0);
    assert_eq!(fs_err::read_to_string(&data).unwrap(), "kept");
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
    world.run(&["store", "verify"]).ok();
    let entry = world.entry("host/probe");
    let record = fs_err::read_to_string(entry.join("stage.json")).unwrap();
    assert!(record.contains("\"state\": \"full\""), "{record}");
    let said = fs_err::read_to_string(entry.join("tree/said")).unwrap();
    // The last words are the system's; what is before them holds paths of this run.
    let lines = said.lines().map(|line| match line.split_once(": refused: ") {
        Some((name, why)) => format!("{name}: {}", why.rsplit(": ").next().unwrap_or(why).trim()),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

const REFUSED: &str = "own: possible
home: possible
real-home: Read-only file system
tmp: possible
source: Read-only file system
source-mode: Read-only file system
source-time: Read-only file system
source-new: Read-only file system
result: Read-only file system
result-mode: Read-only file system
outside: Read-only file system
data: Read-only file system";

fn check(said: &str, refused: &str) {
    let (files, rest) = said.split_at(said.find("\nmount: ").unwrap());
    assert_eq!(files, refused);
    assert!(!rest.contains("possible"), "{rest}");
    assert!(rest.contains("local: Permission denied") || rest.contains("local: Network is unreachable"), "{rest}");
    assert!(rest.contains("udp: Network is unreachable"), "{rest}");
}

#[test]
fn root_reaches_nothing_outside_of_its_work_directory() {
    check(&attempts(false), REFUSED);
}

#[test]
fn a_user_reaches_nothing_outside_of_its_work_directory() {
    // A source tree is not the user's to write even without isolation.
    let mut refused = REFUSED.to_owned();
    for name in ["source", "source-time"] {
        let (by_mount, by_mode) = (format!("{name}: Read-only file system"), format!("{name}: Permission denied"));
        refused = refused.replace(&by_mount, &by_mode);
    }
    check(&attempts(true), &refused);
}

#[test]
fn a_step_that_fails_at_the_isolation_is_told_why() {
    let world = world("echo x >> ../source/configure");
    let ran = world.run(&["build", "alpha", "--package", "probe"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("Read-only file system"), "{}", ran.err);
    assert!(ran.err.contains("isolation: a step writes its own work directory only"), "{}", ran.err);
}

#[test]
fn without_isolation_the_record_says_so() {
    let world = world("echo free > said");
    world.run(&["build", "alpha", "--package", "probe", "--isolation", "off"]).ok();
    let record = fs_err::read_to_string(world.entry("host/probe").join("stage.json")).unwrap();
    assert!(record.contains("\"state\": \"off\""), "{record}");
}

#[test]
fn a_machine_without_user_namespaces_is_named_as_that() {
    let world = world("echo free > said");
    // In a user namespace of its own the limit is this test's alone.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all \"$0\" \"$@\"";
    let inner = world.command(&["build", "alpha", "--package", "probe"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(world.path(""));
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let why = "user namespaces are disabled (user.max_user_namespaces=0)";
    assert!(err.contains(why), "{err}");
    let record = fs_err::read_to_string(world.entry("host/probe").join("stage.json")).unwrap();
    assert!(record.contains("\"state\": \"partial\"") && record.contains(why), "{record}");
}

#[test]
fn access_that_is_no_path_below_its_directory_is_refused() {
    let world = world("echo x > said");
    world.edit(
        "data/recipes/probe.toml",
        "[access]\n",
        "[access]\ndevices = [\"/dev/../etc\", \"kvm\"]\nnetwrk = true\n",
    );
    let ran = world.run(&["plan", "alpha", "--package", "probe"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("unknown key `netwrk`") || ran.err.contains("netwrk"), "{}", ran.err);
    world.edit("data/recipes/probe.toml", "netwrk = true\n", "");
    let ran = world.run(&["plan", "alpha", "--package", "probe"]);
    insta::assert_snapshot!(ran.error());
}

#[test]
fn step_names_and_results_stay_in_their_directories() {
    let world = world("echo x > said");
    world.edit("data/recipes/probe.toml", "name = \"try\"", "name = \"../try\"");
    world.edit("data/recipes/probe.toml", "files = [\"said\"]", "files = [\"../said\", \"/etc/passwd\"]");
    let ran = world.run(&["plan", "alpha", "--package", "probe"]);
    insta::assert_snapshot!(ran.error());
}

// Each exceeds one limit; what is within it is possible.
const EXCESSES: &str = r#"
try() { name=$1; shift; if "$@" 2>err; then echo "$name: possible"; else echo "$name: refused"; fi >>said; }
try small-file sh -c 'head -c 900000 /dev/zero > file'
try large-file sh -c 'head -c 3000000 /dev/zero > file'
try some-files python3 -c 'import os; [os.open("/dev/null", 0) for i in range(20)]'
try many-files python3 -c 'import os; [os.open("/dev/null", 0) for i in range(60)]'
try some-memory python3 -c 'bytearray(60 << 20)'
try much-memory python3 -c 'bytearray(600 << 20)'
try some-processes python3 -c 'import subprocess; [subprocess.Popen(["sleep", "1"]) for i in range(10)]'
sleep 1.2
try many-processes python3 -c 'import subprocess; [subprocess.Popen(["sleep", "1"]) for i in range(60)]'
"#;

fn excesses(as_user: bool) {
    let world = world(EXCESSES);
    let limits = "[limits]\nmemory = \"300 MiB\"\nprocesses = 30\nfile-size = \"1 MiB\"\nopen-files = 50\n[result]";
    world.edit("data/recipes/probe.toml", "[result]", limits);
    let mut command = world.command(&["build", "alpha", "--package", "probe", "--isolation", "required"]);
    if as_user {
        world.give_to(NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = fs_err::read_to_string(world.entry("host/probe").join("tree/said")).unwrap();
    let expected: Vec<String> = ["file", "files", "memory", "processes"]
        .iter()
        .zip([("small", "large"), ("some", "many"), ("some", "much"), ("some", "many")])
        .flat_map(|(what, (less, more))| [format!("{less}-{what}: possible"), format!("{more}-{what}: refused")])
        .collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn root_is_held_to_declared_limits() {
    // The kernel exempts root from the number of processes; only a control group limits them.
    let groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids.max"];
    if !nix::unistd::Uid::effective().is_root() || groups.iter().any(|path| std::path::Path::new(path).exists()) {
        excesses(false);
    }
}

#[test]
fn a_user_is_held_to_declared_limits() {
    if nix::unistd::Uid::effective().is_root() {
        excesses(true);
    }
}

#[test]
fn a_step_that_exceeds_a_limit_is_told_which_and_limits_are_no_part_of_the_key() {
    let world = world("head -c 3000000 /dev/zero > file; echo x > said");
    world.edit("data/recipes/probe.toml", "[result]", "[limits]\nfile-size = \"1 MiB\"\n[result]");
    let ran = world.run(&["build", "alpha", "--package", "probe"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("File size limit exceeded"), "{}", ran.err);
    assert!(ran.err.contains("limits: the recipe declares `[limits] file-size = \"1.0 MiB\"`"), "{}", ran.err);
    world.edit("data/recipes/probe.toml", "file-size = \"1 MiB\"", "file-size = \"9 MiB\"");
    world.run(&["build", "alpha", "--package", "probe"]).ok();
    world.edit("data/recipes/probe.toml", "[limits]\nfile-size = \"9 MiB\"\n", "");
    let plan = world.run(&["plan", "alpha", "--package", "probe"]).ok();
    assert!(plan.out.contains("cached"), "{}", plan.out);
    world.edit("data/recipes/probe.toml", "[result]", "[limits]\nmemory = \"lots\"\nproceses = 1\n[result]");
    let ran = world.run(&["plan", "alpha", "--package", "probe"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("proceses"), "{}", ran.err);
}
