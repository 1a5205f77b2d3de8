//! Runs that are stopped, politely or not, and what the next one makes of it.

use crate::world::{World, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Stdio};
use std::time::Duration;

fn start(world: &World, args: &[&str]) -> Child {
    world.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

// Processes whose working directory or command line is in the world.
fn processes_of(world: &World) -> Vec<String> {
    let dir = world.path("").display().to_string();
    let dir = dir.trim_end_matches('/').to_owned();
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
        let cwd = fs_err::read_link(path.join("cwd")).map(|cwd| cwd.display().to_string()).unwrap_or_default();
        let line = fs_err::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != std::process::id() && !line.is_empty() && (cwd.starts_with(&dir) || line.contains(&dir)) {
            found.push(format!("{pid} {line}"));
        }
    }
    found
}

// Slow enough to be caught in the middle.
fn slow(world: &World) {
    for name in ["lib", "tool", "kernel"] {
        world.edit(&format!("data/recipes/{name}.toml"), "run = [\"make\"]", "run = [\"make\", \"DELAY=0.15\"]");
    }
}

#[test]
fn killed_at_random_moments_the_next_run_always_carries_on() {
    let world = World::new();
    slow(&world);
    let mut finished = Vec::new();
    for round in 0..10_u64 {
        let mut child = start(&world, &["build", "alpha", "gamma", "-j", "2"]);
        std::thread::sleep(Duration::from_millis(120 + (round * 7919) % 600));
        send(&child, Signal::SIGKILL);
        child.wait().unwrap();
        // Finished results are still complete.
        world.run(&["store", "verify"]).ok();
        let now: Vec<_> = world.entries("stages");
        assert!(finished.iter().all(|entry| now.contains(entry)), "a finished stage is gone");
        finished = now;
    }
    until("no process is left", || processes_of(&world).is_empty());
    world.run(&["build", "alpha", "gamma"]).ok();
    world.run(&["store", "verify"]).ok();
    for name in ["host/lib", "alpha/tool", "gamma/tool", "alpha/kernel", "gamma/kernel"] {
        // An interrupted install is done again; a finished stage never is.
        assert!(world.count(&format!("{name} install")) <= 11, "{name}");
        let whole = fs_err::read_to_string(world.entry(name).join("tree/share").join(name.rsplit('/').next().unwrap()));
        assert_eq!(whole.unwrap().matches("object").count(), 6, "{name}");
    }
    assert!(world.entries("work").is_empty(), "{:?}", world.entries("work"));
    world.forget_counts();
    world.run(&["build", "alpha", "gamma"]).ok();
    assert!(world.counts().is_empty());
}

#[test]
fn a_polite_stop_goes_on_where_it_was() {
    let world = World::new();
    slow(&world);
    let mut child = start(&world, &["build", "alpha", "--package", "lib", "-j", "1"]);
    until("make has made something", || world.entries("work").iter().any(|work| work.join("build/two.o").exists()));
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(processes_of(&world).is_empty(), "{:?}", processes_of(&world));
    let ran = world.run(&["build", "alpha", "--package", "lib", "-v"]).ok();
    assert_eq!(world.count("host/lib configure"), 1, "{}", ran.err);
    let log = world.run(&["log", "host/lib", "build"]).ok().out;
    assert_eq!(log.matches("CC      one.o").count(), 1, "what make had finished was made again: {log}");
}

#[test]
fn the_next_run_waits_for_the_remains_of_a_killed_one() {
    let world = World::new();
    // Takes a moment to end, as a compiler that writes its last file would.
    let stubborn = "script = \"trap 'sleep 3; echo late >> {{ files }}/../late; exit 1' TERM; sleep 5 & wait; wait\"";
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", stubborn);
    let mut child = start(&world, &["build", "alpha", "--package", "lib"]);
    until("the step runs", || world.entries("work").iter().any(|work| work.join("logs/02-build.log").exists()));
    std::thread::sleep(Duration::from_millis(200));
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let ran = world.run(&["build", "alpha", "--package", "lib", "--stage-timeout", "1s"]);
    assert!(ran.err.contains("works on the same stage"), "it did not wait: {}", ran.err);
    until("no process is left", || processes_of(&world).is_empty());
}

#[test]
fn terminating_leaves_nothing_behind() {
    let world = World::new();
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", "script = \"setsid sleep 1000 & sleep 1000\"");
    let mut child = start(&world, &["build", "alpha"]);
    until("the step runs", || processes_of(&world).iter().any(|line| line.contains("sleep 1000")));
    send(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(processes_of(&world).is_empty(), "{:?}", processes_of(&world));
}

// A step that writes until `go` is in the world's count file, and then does its work.
fn until_told(world: &World, before: &str) {
    let count = world.path("count").display().to_string();
    let script = format!("script = \"\"\"\ngrep -q '^go$' {count} || {{ {before} ; }}\nmake\n\"\"\"");
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", &script);
}

fn go(world: &World) {
    let count = fs_err::read_to_string(world.path("count")).unwrap();
    world.write("count", &format!("{count}go\n"));
}

// Kills crossmill and its supervisors so that none sees the other die.
fn kill_with_supervisors(child: &mut Child) {
    send(child, Signal::SIGSTOP);
    let own = child.id();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok()) else { continue };
        let stat = fs_err::read_to_string(path.join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap_or_default().to_owned();
        if parent == own.to_string() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
    }
    send(child, Signal::SIGKILL);
    child.wait().unwrap();
}

#[test]
fn killed_with_its_supervisor_nothing_lives_on_where_process_ids_are_isolated() {
    let world = World::new();
    until_told(&world, "(setsid sh -c 'while :; do echo x >> grow; sleep 0.05; done') & wait");
    let mut child = start(&world, &["build", "alpha", "--package", "lib", "--isolation", "required"]);
    until("the step writes", || world.entries("work").iter().any(|work| work.join("build/grow").exists()));
    kill_with_supervisors(&mut child);
    until("no process is left", || processes_of(&world).is_empty());
    go(&world);
    world.run(&["build", "alpha", "--package", "lib"]).ok();
}

#[test]
fn what_a_killed_supervisor_left_is_ended_by_the_next_run() {
    let world = World::new();
    until_told(&world, "(setsid sh -c 'while :; do echo x >> grow; sleep 0.05; done') & wait");
    let mut child = start(&world, &["build", "alpha", "--package", "lib", "--isolation", "off"]);
    until("the step writes", || world.entries("work").iter().any(|work| work.join("build/grow").exists()));
    kill_with_supervisors(&mut child);
    assert!(!processes_of(&world).is_empty(), "nothing is left to be found");
    go(&world);
    let ran = world.run(&["build", "alpha", "--package", "lib"]).ok();
    assert!(ran.err.contains("of an earlier run still worked on it; they were killed"), "{}", ran.err);
    assert!(processes_of(&world).is_empty(), "{:?}", processes_of(&world));
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_ends_nothing() {
    let world = World::new();
    until_told(&world, "touch waits; for i in $(seq 100); do sleep 0.02; done");
    let inner = world.command(&["build", "alpha", "--package", "lib"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.current_dir(world.path("")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the step runs", || world.entries("work").iter().any(|work| work.join("build/waits").exists()));
    send(&child, Signal::SIGHUP);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_continued_step_that_fails_is_done_afresh_in_the_same_run() {
    let world = World::new();
    until_told(&world, "touch half; sleep 1000");
    world.edit("data/recipes/lib.toml", "\nmake\n", "\nif test -e half; then exit 7; fi\nmake\n");
    let mut child = start(&world, &["build", "alpha", "--package", "lib"]);
    until("the step runs", || world.entries("work").iter().any(|work| work.join("build/half").exists()));
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    go(&world);
    let ran = world.run(&["build", "alpha", "--package", "lib"]).ok();
    assert!(ran.err.contains("in a build tree that an earlier run left; building it afresh"), "{}", ran.err);
    assert_eq!(world.count("host/lib configure"), 2);
}

#[test]
fn a_step_that_fills_the_job_server_stops_nobody() {
    let world = World::new();
    let script = "script = \"head -c 150000 /dev/zero > /proc/self/fd/${MAKEFLAGS##*,}; make\"";
    world.edit("data/recipes/lib.toml", "run = [\"make\"]", script);
    let ran = world.run(&["build", "alpha", "-j", "2"]).ok();
    assert!(ran.err.contains("bytes to the job server that are no tokens"), "{}", ran.err);
}
