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
    // What `tail` reads has no line, so it keeps all of it. Its log shows nothing of its end.
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
