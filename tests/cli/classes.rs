//! Failures and their classes, each provoked by a real program.

use crate::world::World;

#[test]
fn a_stage_without_memory_is_built_once_more_with_one_job() {
    let world = World::new();
    // More than one job is too much: a process is killed as the kernel does it.
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"case $MAKEFLAGS in *jobserver*) printf 'all:\\\\n\\\\t@kill -9 $$$$\\\\n' > Oom; make -f Oom;; *) make;; esac\"",
    );
    let ran = world.run(&["build", "alpha"]).ok();
    assert!(ran.err.contains("out of memory; building it afresh with one job"), "{}", ran.err);
    assert_eq!(world.count("alpha/tool configure"), 2);
    // Not for ever.
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"printf 'all:\\\\n\\\\t@kill -9 $$$$\\\\n' > Oom; make -f Oom\"",
    );
    let ran = world.run(&["build", "alpha"]);
    assert_eq!((ran.code, world.count("alpha/tool configure")), (Some(1), 2), "{}", ran.err);
    assert!(ran.err.contains("build failed: exit code 2 (out of memory)"), "{}", ran.err);
}

#[test]
fn a_failure_has_its_class_everywhere() {
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"printf 'int main(void) { return f(); }\\\\n' > x.c; gcc -w x.c -o x\"",
    );
    let ran = world.run(&["build", "alpha", "--json"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("build failed: exit code 1 (link error)"), "{}", ran.err);
    assert!(ran.out.contains("\"class\": \"link-error\""), "{}", ran.out);
    // A source that no server has.
    let world = World::new();
    world.edit("data/recipes/lib.toml", &world.server.base.clone(), "http://127.0.0.1:9");
    // Alone: another package of the same archive could bring it first.
    let ran = world.run(&["build", "alpha", "--package", "lib", "--json"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.out.contains("\"class\": \"network\""), "{}", ran.out);
    let script = "script = \"sleep 30\"";
    let world = World::new();
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", script);
    let ran = world.run(&["build", "alpha", "--json", "--stage-timeout", "2s"]);
    assert!(ran.out.contains("\"class\": \"timeout\""), "{}", ran.out);
}

#[test]
fn a_compiler_that_crashes_leaves_its_command_and_source() {
    let world = World::new();
    // A driver whose compiler proper dies, as in a real crash; the preprocessor is the real one.
    let crash = "printf '#define ANSWER 42\\\\nint x = ANSWER;\\\\n' > x.c; mkdir -p bin; \
                 printf '#!/bin/sh\\\\ncase \\\"$*\\\" in *-E*) exec $(gcc -print-prog-name=cc1) \\\"$@\\\";; esac; kill -SEGV $$\\\\n' > bin/cc1; \
                 chmod +x bin/cc1; printf 'x.o: x.c\\\\n\\\\tgcc -B bin/ -c x.c -o x.o\\\\n' > Crash; make -f Crash";
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", &format!("script = \"{crash}\""));
    let ran = world.run(&["build", "alpha", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let stages = json["stages"].as_array().unwrap();
    let failure = &stages.iter().find(|stage| stage["name"] == "alpha/tool").unwrap()["failure"];
    assert_eq!(failure["class"], "internal-compiler-error", "{failure:#}");
    let evidence =
        world.entries("work").iter().map(|work| work.join("logs")).find(|logs| logs.join("compiler-crash.sh").exists());
    let evidence = evidence.unwrap_or_else(|| panic!("{failure:#}"));
    let script = fs_err::read_to_string(evidence.join("compiler-crash.sh")).unwrap();
    assert!(script.ends_with("gcc -B bin/ -c x.c -o x.o\n"), "{script}");
    assert!(fs_err::read_to_string(evidence.join("compiler-crash.i")).unwrap().contains("int x = 42;"));
    assert_eq!(failure["evidence"].as_array().unwrap().len(), 2);
}

/// A control group of a test, removed with it.
struct MemoryGroup(std::path::PathBuf);

impl MemoryGroup {
    // `None` where no group with a limit can be created: not root, or no memory controller.
    fn new(bytes: u64) -> Option<Self> {
        let name = format!("crossmill-test-{}", std::process::id());
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let group = Self(std::path::Path::new(root).join(&name));
            if fs_err::create_dir(&group.0).is_ok() && fs_err::write(group.0.join(limit), bytes.to_string()).is_ok() {
                return Some(group);
            }
        }
        None
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir(&self.0);
    }
}

#[test]
fn the_kernel_kills_a_step_of_a_control_group_for_want_of_memory() {
    let Some(group) = MemoryGroup::new(256 << 20) else {
        eprintln!("unsupported: no control group with a memory limit can be created here");
        return;
    };
    let world = World::new();
    // The input of `tail` has no line feed, so it keeps all of it. Its log does not show how it ended.
    let eat = "script = \"(head -c 900M /dev/zero | tail > /dev/null) 2> /dev/null || exit 3\"";
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", eat);
    let mut build = world.command(&[]);
    let program = build.get_program().to_owned();
    let mut inside = std::process::Command::new("sh");
    inside.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&group.0).arg(program);
    inside.args(["build", "alpha", "--json"]).env_clear();
    inside.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside.current_dir(build.current_dir(world.path("")).get_current_dir().unwrap());
    let ran = world.ran(inside);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("out of memory; building it afresh with one job"), "{}", ran.err);
    assert!(ran.err.contains("build failed: exit code 3 (out of memory)"), "{}", ran.err);
    assert!(ran.out.contains("\"class\": \"out-of-memory\""), "{}", ran.out);
}

/// A program that fails in each way, its class, and how the failure is reported. Where it is not a step that fails, the
/// script is empty.
const PROVOKED: [(&str, &str, &str); 6] = [
    (
        "compile-error",
        "printf 'all:\\\\n\\\\tgcc -c x.c\\\\n' > M; printf 'int f(void) { return x; }\\\\n' > x.c; make -f M",
        "build failed: exit code 2 (compile error)",
    ),
    (
        "link-error",
        "printf 'int main(void) { return f(); }\\\\n' > x.c; gcc -w x.c -o x",
        "build failed: exit code 1 (link error)",
    ),
    (
        "missing-tool",
        "printf 'all:\\\\n\\\\tflex-2.99 scan.l\\\\n' > M; make -f M",
        "build failed: exit code 2 (missing tool)",
    ),
    // The test of a compiler that every configure script begins with.
    (
        "configure",
        "printf 'int main(void) { return 0; }\\\\n' > conftest.c; \
         if ! gcc -Wl,--no-such-option conftest.c 2> config.log; then \
         echo 'configure: error: C compiler cannot create executables' >&2; exit 77; fi",
        "build failed: exit code 77 (configure)",
    ),
    (
        "network",
        "python3 -c 'import urllib.request as r; r.urlopen(\\\"http://127.0.0.1:9/\\\")'",
        "build failed: exit code 1 (network)",
    ),
    ("other", "exit 3", "build failed: exit code 3"),
];

#[test]
fn what_programs_fail_with_is_recognised() {
    for (class, script, printed) in PROVOKED {
        let world = World::new();
        world.edit("data/recipes/tool.toml", "run = [\"make\"]", &format!("script = \"{script}\""));
        // Isolation would refuse the connection before the network could.
        let ran = world.run(&["build", "alpha", "--json", "--isolation", "off"]);
        assert_eq!(ran.code, Some(1), "{class}: {}", ran.err);
        assert!(ran.err.contains(printed), "{class}: {}", ran.err);
        assert!(ran.out.contains(&format!("\"class\": \"{class}\"")), "{class}: {}", ran.out);
    }
}

#[test]
fn a_patch_that_does_not_apply_is_recognised() {
    let world = World::new();
    let patch = "why\n\n--- a/configure\n+++ b/configure\n@@ -1,2 +1,2 @@\n-#!/bin/zsh\n-set -k\n+#!/bin/sh\n+set -e\n";
    world.write("data/recipes/fix.diff", patch);
    let kernel = fs_err::read_to_string(world.path("data/recipes/kernel.toml")).unwrap();
    world.write(
        "data/recipes/kernel.toml",
        &format!("{kernel}[[patch]]\nfile = \"fix.diff\"\nwhy = \"a test wants it\"\n"),
    );
    let ran = world.run(&["build", "alpha", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("fix.diff` does not apply: ") && ran.err.contains("Hunk #1 FAILED"), "{}", ran.err);
    assert!(ran.out.contains("\"class\": \"patch\""), "{}", ran.out);
}

#[test]
fn a_disk_that_is_full_is_recognised() {
    let world = World::new();
    // The log is elsewhere: on the full disk it would lose the message.
    let small = world.path("small");
    let write = format!("script = \"head -c 30000000 /dev/zero > {}/object.o\"", small.display());
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", &write);
    let plain = world.command(&["build", "alpha", "--isolation", "off", "--ignore-space", "--json"]);
    let mut command = std::process::Command::new("unshare");
    command.env_clear();
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg("mkdir small && mount -t tmpfs -o size=1m none small && exec \"$@\"").arg("sh");
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap());
    let ran = world.ran(command);
    assert!(ran.err.contains("build failed: exit code 1 (disk full)"), "{}", ran.err);
    assert!(ran.out.contains("\"class\": \"no-space\""), "{}", ran.out);
}

// The store itself is on the disk that a step fills: what is kept at the end of a run cannot be written either.
#[test]
fn a_full_store_costs_the_times_and_not_the_table() {
    let world = World::new();
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "script = \"head -c 30000000 /dev/zero > object.o\"");
    let plain = world.command(&["build", "alpha", "--isolation", "off", "--ignore-space"]);
    let mut command = std::process::Command::new("unshare");
    command.env_clear();
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg("mkdir -p store && mount -t tmpfs -o size=4m none store && exec \"$@\"").arg("sh");
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap());
    let ran = world.ran(command);
    assert_ne!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("warning: the times of this run's stages were not kept: "), "{}", ran.err);
    let table = ran.err.lines().find(|line| line.trim_start().starts_with("alpha ")).unwrap_or_default();
    assert!(table.contains("FAILED") || table.contains("failed"), "{}", ran.err);
}

#[test]
fn the_table_of_provocations_has_every_class_and_only_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs_err::read_to_string(root.join(path)).unwrap();
    let (docs, tests) = (read("docs/reports.md"), read("tests/cli/classes.rs") + &read("tests/buildlog.rs"));
    let table = docs.split_once("\n| class | provoked by |").unwrap().1;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let classes: Vec<&str> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    let all = crossmill::run::build_log::Class::ALL;
    for class in all {
        let own: Vec<&&str> =
            rows.iter().zip(&classes).filter(|(_, of)| **of == class.as_str()).map(|(row, _)| row).collect();
        assert!(!own.is_empty(), "{} is not in the table", class.as_str());
        for row in own {
            assert!(row.contains(&format!("({})", class.words())) || class.as_str() == "other", "{row}");
            let test = row.split('`').nth_back(3).unwrap();
            assert!(tests.contains(&format!("fn {test}()")), "no test `{test}`: {row}");
        }
    }
    assert!(classes.iter().all(|class| all.iter().any(|known| known.as_str() == *class)), "{classes:?}");
}
