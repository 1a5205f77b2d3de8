//! Commands below real supervisors: how they end, and that nothing outlives them.

mod process_common;

use crossmill::base::Diagnostic;
use crossmill::process::{Error, Status, StopRecord, spawn};
use process_common::{Bench, SUPERVISOR, ended, eventually, gone, read, wait_for};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn exit_codes_and_signals_come_through() {
    let bench = Bench::new();
    for (script, status) in [
        ("exit 0", Status::Exited(0)),
        ("exit 7", Status::Exited(7)),
        ("kill -9 $$", Status::Signaled(9)),
        ("kill -ABRT $$", Status::Signaled(6)),
        // A real-time signal, for which nix has no name.
        ("kill -40 $$", Status::Signaled(40)),
    ] {
        let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(script), None).unwrap();
        let outcome = running.wait().await.unwrap();
        assert_eq!(outcome.status, status, "{script}");
        assert!(!outcome.stopped && outcome.clean && outcome.stragglers == 0, "{script}: {outcome:?}");
        assert_eq!(running.wait().await.unwrap(), outcome, "an outcome can be asked for again");
    }
    assert!(!bench.record().exists());
}

#[tokio::test]
async fn usage_counts_all_descendants() {
    let bench = Bench::new();
    let busy = "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done' & wait";
    let outcome = bench.run(&bench.shell(busy)).await;
    assert!(outcome.usage.user > 0.0 && outcome.usage.wall > 0.0, "{:?}", outcome.usage);
    assert!(outcome.usage.max_rss_kib > 100, "{:?}", outcome.usage);
}

#[tokio::test]
async fn the_log_keeps_the_order_and_is_appended_to() {
    let bench = Bench::new();
    fs_err::write(bench.path("log"), "before\n").unwrap();
    bench.run(&bench.shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; cat; umask")).await;
    assert_eq!(read(&bench.path("log")), "before\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n0022\n");
}

#[tokio::test]
async fn the_environment_and_the_signals_are_exactly_as_told() {
    let bench = Bench::new();
    let mut command = bench.command(&["/usr/bin/env"]);
    command.env = [("B", "two = 2"), ("A", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    bench.run(&command).await;
    assert_eq!(read(&bench.path("log")), "A=\nB=two = 2\n");
    // SAFETY: installs no handler; every supervisor resets it for its command.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGHUP, nix::sys::signal::SigHandler::SigIgn) }.unwrap();
    let mut command = bench.shell("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    command.log = bench.path("signals");
    bench.run(&command).await;
    let masks: Vec<u64> = read(&bench.path("signals"))
        .lines()
        .map(|line| u64::from_str_radix(line.split_ascii_whitespace().last().unwrap(), 16).unwrap() & 0x7fff_ffff)
        .collect();
    assert_eq!(masks, [0, 0], "blocked and ignored, real-time signals aside");
}

#[tokio::test]
async fn the_name_of_a_relative_program_stays_as_written() {
    let bench = Bench::new();
    bench.script("configure", "#!/bin/sh\necho $0 $1\n");
    bench.run(&bench.command(&["./configure", "--prefix=/x"])).await;
    assert_eq!(read(&bench.path("log")), "./configure --prefix=/x\n");
}

#[tokio::test]
async fn a_daemon_that_left_the_session_is_ended_and_counted() {
    let bench = Bench::new();
    // Forked twice, in a session of its own, deaf to SIGTERM and without the log.
    let daemon = "setsid sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' >/dev/null 2>&1 &";
    let mut command = bench.shell(&format!("({daemon}); while [ ! -s pid ]; do sleep 0.01; done; exit 4"));
    command.grace = Duration::from_millis(300);
    let outcome = bench.run(&command).await;
    assert_eq!(outcome.status, Status::Exited(4));
    assert!(outcome.stragglers >= 1 && !outcome.clean && !outcome.stopped, "{outcome:?}");
    assert!(gone(bench.pid("pid")));
    assert!(!bench.record().exists(), "only a stop leaves a record");
}

#[tokio::test]
async fn a_polite_stop_is_clean_and_recorded() {
    let bench = Bench::new();
    let script = "setsid sh -c 'trap \"echo bye > far; exit\" TERM; echo > up; while :; do sleep 0.02; done' &
                  trap 'echo bye > near; wait; exit 3' TERM; echo > ready; while :; do sleep 0.02; done";
    let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(script), None).unwrap();
    wait_for(&bench.path("up"));
    wait_for(&bench.path("ready"));
    running.stop();
    running.stop();
    let outcome = running.wait().await.unwrap();
    assert_eq!(outcome.status, Status::Exited(3));
    assert!(outcome.stopped && outcome.clean, "{outcome:?}");
    assert!(bench.path("near").exists() && bench.path("far").exists());
    let record = StopRecord { step: "test/step".to_owned(), clean: true };
    assert_eq!(StopRecord::read(&bench.record()).unwrap(), Some(record));
    // It does not speak for the next start.
    bench.run(&bench.shell("true")).await;
    assert_eq!(StopRecord::read(&bench.record()).unwrap(), None);
}

#[tokio::test]
async fn a_stubborn_step_is_killed_after_the_grace_and_not_clean() {
    let bench = Bench::new();
    let mut command = bench.shell("trap '' TERM; echo > ready; while :; do sleep 0.05; done");
    command.grace = Duration::from_millis(200);
    let mut running = spawn(Path::new(SUPERVISOR), &command, None).unwrap();
    wait_for(&bench.path("ready"));
    running.stop();
    let outcome = running.wait().await.unwrap();
    assert_eq!(outcome.status, Status::Signaled(9));
    assert!(outcome.stopped && !outcome.clean, "{outcome:?}");
    assert!(!StopRecord::read(&bench.record()).unwrap().unwrap().clean);
}

#[tokio::test]
async fn a_stopped_process_hears_the_polite_signal() {
    let bench = Bench::new();
    let stopped =
        |name: &str| format!("trap 'exit 0' TERM; echo $$ > {name}; kill -STOP $$; while :; do sleep 0.02; done");
    bench.script("far", &stopped("inner"));
    let script = format!("setsid sh ./far & {}", stopped("pid"));
    let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(&script), None).unwrap();
    for name in ["pid", "inner"] {
        let status = format!("/proc/{}/status", bench.pid(name));
        eventually("it has stopped", || read(Path::new(&status)).contains("T (stopped)"));
    }
    running.stop();
    assert!(running.wait().await.unwrap().clean);
}

#[tokio::test]
async fn a_supervisor_takes_only_sigterm_for_a_stop() {
    use nix::sys::signal::Signal;
    let bench = Bench::new();
    let script = "trap 'exit 0' TERM; echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo > near; while :; do sleep 0.02; done";
    let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(script), None).unwrap();
    bench.pid("pid");
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1] {
        process_common::signal(running.pid() as i32, signal);
    }
    fs_err::write(bench.path("go"), "").unwrap();
    wait_for(&bench.path("near"));
    process_common::signal(running.pid() as i32, Signal::SIGTERM);
    let outcome = running.wait().await.unwrap();
    assert!(outcome.stopped && outcome.clean && outcome.status.success(), "{outcome:?}");
}

#[tokio::test]
async fn kill_does_not_wait_for_the_grace() {
    let bench = Bench::new();
    let mut command = bench.shell("trap '' TERM; echo > ready; while :; do sleep 0.05; done");
    command.grace = Duration::from_secs(100_000);
    let mut running = spawn(Path::new(SUPERVISOR), &command, None).unwrap();
    wait_for(&bench.path("ready"));
    running.stop();
    running.kill();
    let outcome = running.wait().await.unwrap();
    assert!(outcome.status == Status::Signaled(9) && !outcome.clean, "{outcome:?}");
}

#[tokio::test]
async fn dropping_a_step_or_its_wait_loses_nothing() {
    let bench = Bench::new();
    let script = "trap 'exit 0' TERM; echo $$ > pid; while :; do sleep 0.02; done";
    let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(script), None).unwrap();
    let (pid, supervisor) = (bench.pid("pid"), running.pid());
    for _ in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(1), running.wait()).await.is_err());
    }
    drop(running);
    eventually("the step is gone and its supervisor reaped", || gone(pid) && gone(supervisor as i32));
    assert!(StopRecord::read(&bench.record()).unwrap().unwrap().clean);
}

#[tokio::test]
async fn a_step_whose_supervisor_is_killed_is_torn() {
    let bench = Bench::new();
    let script = "sh -c 'trap \"\" TERM; echo $$ > inner; while :; do sleep 1; done' & echo $$ > pid; wait";
    let mut running = spawn(Path::new(SUPERVISOR), &bench.shell(script), None).unwrap();
    let (outer, inner) = (bench.pid("pid"), bench.pid("inner"));
    process_common::signal(running.pid() as i32, nix::sys::signal::Signal::SIGKILL);
    let outcome = running.wait().await.unwrap();
    assert!(outcome.status == Status::Torn && !outcome.clean, "{outcome:?}");
    assert!(ended(outer) && ended(inner));
    assert!(!StopRecord::read(&bench.record()).unwrap().unwrap().clean);
}

#[tokio::test]
async fn the_command_does_not_inherit_the_lock() {
    let bench = Bench::new();
    let lock = fs_err::File::create(bench.path("lock")).unwrap().into_parts().0;
    lock.lock().unwrap();
    let mut command = bench.shell("echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; ls -l /proc/self/fd");
    command.lock = Some(Arc::new(lock));
    let mut running = spawn(Path::new(SUPERVISOR), &command, None).unwrap();
    drop(command);
    bench.pid("pid");
    let again = fs_err::File::open(bench.path("lock")).unwrap().into_parts().0;
    assert!(again.try_lock().is_err(), "the supervisor holds what crossmill has closed");
    fs_err::write(bench.path("go"), "").unwrap();
    assert!(running.wait().await.unwrap().status.success());
    // Another test's child may hold a copy between its fork and its exec.
    eventually("the lock is free", || again.try_lock().is_ok());
    assert!(!read(&bench.path("log")).contains("lock"));
}

#[tokio::test]
async fn children_started_at_once_get_nothing_of_each_other() {
    let bench = Arc::new(Bench::new());
    // An open file that is not close-on-exec, as some terminals leave them.
    let leaky = fs_err::File::create(bench.path("leaky")).unwrap();
    let _leaky = nix::unistd::dup(leaky.file()).unwrap();
    let starting = (0..200).map(|index| {
        let bench = Arc::clone(&bench);
        tokio::task::spawn_blocking(move || {
            let mut command = bench.shell("ls -l /proc/$$/fd; true");
            command.log = bench.path(&format!("log.{index}"));
            spawn(Path::new(SUPERVISOR), &command, None).unwrap()
        })
    });
    let starting: Vec<_> = starting.collect();
    for (index, started) in starting.into_iter().enumerate() {
        assert!(started.await.unwrap().wait().await.unwrap().status.success());
        let log = bench.path(&format!("log.{index}"));
        let listing = read(&log);
        let open: Vec<&str> = listing.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
        assert_eq!(open, ["/dev/null", log.to_str().unwrap(), log.to_str().unwrap()], "{listing}");
    }
}

#[tokio::test]
async fn what_cannot_run_is_said_with_its_reason() {
    let bench = Bench::new();
    let printed = |command: &crossmill::process::Command| {
        let error = spawn(Path::new(SUPERVISOR), command, None).unwrap_err();
        Diagnostic::from_error(&error).to_string().replace(&bench.path("").display().to_string(), "DIR/")
    };
    let mut command = bench.command(&["no-such-tool"]);
    command.env.insert("PATH".to_owned(), "/nowhere".to_owned());
    insta::assert_snapshot!(printed(&command), @r#"
    error: program `no-such-tool` not found, wanted in `DIR/build`
    hint: install it, or check the `PATH` that was searched: /nowhere
    "#);
    command.env.clear();
    insta::assert_snapshot!(printed(&command), @r#"
    error: program `no-such-tool` not found, wanted in `DIR/build`
    hint: the command's environment has no `PATH`
    "#);
    insta::assert_snapshot!(printed(&bench.command(&["./configure"])), @r#"
    error: program `./configure` not found, wanted in `DIR/build`
    hint: a name with a slash counts from that directory
    "#);
    fs_err::write(bench.path("build/plain"), "").unwrap();
    insta::assert_snapshot!(printed(&bench.command(&["./plain"])), @r#"
    error: `DIR/build/plain` is not an executable file, wanted in `DIR/build`
    hint: try `chmod +x DIR/build/plain`
    "#);
    insta::assert_snapshot!(printed(&bench.command(&[])), @r#"
    error: the command of step `test/step` is empty
    hint: give it at least a program
    "#);
    let mut command = bench.shell("true");
    command.dir = bench.path("missing");
    insta::assert_snapshot!(printed(&command), @r#"
    error: no directory `DIR/missing` to run `sh` in
    hint: an earlier step makes it, or it was removed meanwhile
    "#);
    let mut command = bench.shell("true");
    command.log = bench.path("missing/log");
    insta::assert_snapshot!(printed(&command), @r#"
    error: failed to start `sh` in `DIR/build`: opening its log
    cause: failed to open file `DIR/missing/log`: No such file or directory (os error 2)
    "#);
}

#[tokio::test]
async fn what_only_execve_finds_out_is_told_by_wait() {
    let bench = Bench::new();
    let mut command = bench.shell("true");
    command.env.insert("LONG".to_owned(), "x".repeat(200_000));
    let error = spawn(Path::new(SUPERVISOR), &command, None).unwrap().wait().await.unwrap_err();
    assert!(matches!(error, Error::TooLong { environment: 200_000.., .. }), "{error}");
    bench.script("lost", "#!/no/such/interpreter\n");
    let mut running = spawn(Path::new(SUPERVISOR), &bench.command(&["./lost"]), None).unwrap();
    let error = running.wait().await.unwrap_err();
    let shown = Diagnostic::from_error(&error).to_string();
    insta::assert_snapshot!(shown.replace(&bench.path("").display().to_string(), "DIR/"), @r#"
    error: failed to start `./lost` in `DIR/build`: executing it
    cause: No such file or directory (os error 2)
    hint: the file is there: what its first line (`#!…`) or its ELF header names as interpreter is not
    "#);
    assert!(matches!(running.wait().await, Err(Error::Told { .. })));
    let error = spawn(Path::new("/bin/true"), &bench.shell("true"), None).unwrap().wait().await.unwrap_err();
    insta::assert_snapshot!(Diagnostic::from_error(&error), @r#"
    error: failed to start the supervisor `/bin/true` for `sh`
    cause: it ended without a report
    hint: was crossmill's own file replaced or removed during the run? start it again
    "#);
}
