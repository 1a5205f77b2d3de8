//! A step whose crossmill is killed with SIGKILL.
#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "its helpers are parts of tests")]

mod process_common;

use crossmill::process::{StopRecord, spawn};
use nix::sys::signal::Signal;
use process_common::{Bench, SUPERVISOR, ended, eventually, gone, signal, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const HELPER: &str = "CROSSMILL_TEST_BENCH";

/// Stands for crossmill: starts a step that holds a lock, and waits for it.
#[tokio::test]
#[ignore = "not a test: the process that the tests below start and kill"]
async fn crossmill_that_will_be_killed() {
    let Some(bench) = std::env::var_os(HELPER) else { return };
    let bench = Bench::at(Path::new(&bench));
    let lock = fs_err::File::create(bench.path("lock")).unwrap().into_parts().0;
    lock.lock().unwrap();
    let mut command = bench.shell(
        "setsid sh -c 'trap \"sleep 0.2; exit\" TERM; echo $$ > inner; while :; do sleep 0.02; done' &
         trap 'echo going; sleep 0.2; echo > near; exit' TERM
         echo $$ > pid; while :; do sleep 0.02; echo still writing; done",
    );
    command.lock = Some(Arc::new(lock));
    let mut running = spawn(Path::new(SUPERVISOR), &command, None).unwrap();
    fs_err::write(bench.path("supervisor"), format!("{}\n", running.pid())).unwrap();
    running.wait().await.unwrap();
}

fn start_crossmill(bench: &Bench) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crossmill_that_will_be_killed", "--ignored"])
        .env(HELPER, bench.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_command_dies_with_its_supervisor_and_leaves_no_record() {
    let bench = Bench::new();
    let mut crossmill = start_crossmill(&bench);
    let [command, far, supervisor] = ["pid", "inner", "supervisor"].map(|name| bench.pid(name));
    // Stopped, so that it cannot act on crossmill's death.
    signal(supervisor, Signal::SIGSTOP);
    crossmill.kill().unwrap();
    crossmill.wait().unwrap();
    signal(supervisor, Signal::SIGKILL);
    eventually("the command has ended", || ended(command));
    assert!(!bench.path("near").exists(), "it was killed, not asked");
    assert_eq!(StopRecord::read(&bench.record()).unwrap(), None);
    // No supervisor is left to end processes that had left the session.
    signal(far, Signal::SIGKILL);
}

#[test]
fn a_killed_crossmill_leaves_nothing_but_a_record_and_then_the_lock() {
    let bench = Bench::new();
    let mut crossmill = start_crossmill(&bench);
    let pids = [bench.pid("pid"), bench.pid("inner"), bench.pid("supervisor")];
    let lock = fs_err::File::open(bench.path("lock")).unwrap().into_parts().0;
    assert!(lock.try_lock().is_err());
    crossmill.kill().unwrap();
    crossmill.wait().unwrap();

    let mut held = 0;
    eventually("the lock is free", || {
        let free = lock.try_lock().is_ok();
        held += usize::from(!free);
        free
    });
    // The traps take their time, so the lock was held by the remains alone.
    assert!(held > 0);
    assert!(gone(pids[0]) && gone(pids[1]), "a process outlived the lock");
    wait_for(&bench.path("near"));
    let record = StopRecord { step: "test/step".to_owned(), clean: true };
    assert_eq!(StopRecord::read(&bench.record()).unwrap(), Some(record), "the record is there before the lock is free");
    eventually("the supervisor has ended", || ended(pids[2]));
}
