//! The job server, held against real makes and a real compiler.
#![expect(clippy::unwrap_used, reason = "its helpers are parts of tests")]

mod process_common;

use crossmill::process::{Command, Error, JobServer, Running, Token, spawn};
use process_common::{Bench, SUPERVISOR, eventually, read};
use std::path::Path;
use std::time::Duration;

/// A job that prints how many of its kind run now, itself included.
const JOB: &str = "\tmkdir $(RUNNING)/$(NAME).$@ && ls $(RUNNING) | wc -l >> $(COUNTS) && sleep 0.02 && rmdir $(RUNNING)/$(NAME).$@\n";

/// Eight such jobs below a make below a make. The first two wait for each
/// other, so that it ends only if they run at once.
fn makefile(bench: &Bench, name: &str) {
    let meet = |own: &str, other: &str| {
        format!(
            "{own}:\n{JOB}\ttouch {name}.{own}; for i in $$(seq 3000); do test -e {name}.{other} && exit; sleep 0.02; done; exit 1\n"
        )
    };
    let text = format!(
        "all: ; +$(MAKE) -f {name}.mk jobs\njobs: a b c d e f g h\n{}{}c d e f g h:\n{JOB}",
        meet("a", "b"),
        meet("b", "a"),
    );
    fs_err::write(bench.path("build").join(format!("{name}.mk")), text).unwrap();
}

fn make(bench: &Bench, name: &str, jobs: &JobServer) -> Command {
    fs_err::create_dir_all(bench.path("running")).unwrap();
    let running = format!("RUNNING={}", bench.path("running").display());
    let counts = format!("COUNTS={}", bench.path("counts").display());
    let mut command = bench.command(&["make", "-f", &format!("{name}.mk"), &running, &counts, &format!("NAME={name}")]);
    command.env.insert("MAKEFLAGS".to_owned(), jobs.makeflags());
    command.log = bench.path(&format!("{name}.log"));
    command
}

async fn start(command: &Command, jobs: &JobServer) -> (Token, Running) {
    let token = jobs.acquire().await.unwrap();
    (token, spawn(Path::new(SUPERVISOR), command, Some(jobs)).unwrap())
}

fn most_at_once(bench: &Bench) -> usize {
    read(&bench.path("counts")).lines().map(|count| count.trim().parse().unwrap()).max().unwrap()
}

fn assert_no_complaint(bench: &Bench, name: &str) {
    let log = read(&bench.path(&format!("{name}.log")));
    for complaint in ["jobserver", "warning", "-j"] {
        assert!(!log.contains(complaint), "make complains:\n{log}");
    }
}

#[tokio::test]
async fn a_make_runs_as_many_jobs_as_there_are_tokens() {
    let bench = Bench::new();
    let jobs = JobServer::new(2).unwrap();
    makefile(&bench, "one");
    let (token, mut running) = start(&make(&bench, "one", &jobs), &jobs).await;
    let outcome = running.wait().await.unwrap();
    assert!(outcome.status.success(), "{}", read(&bench.path("one.log")));
    assert_eq!(read(&bench.path("counts")).lines().count(), 8);
    assert!(most_at_once(&bench) <= 2);
    assert_no_complaint(&bench, "one");
    drop(token);
    assert_eq!(jobs.available().unwrap(), 2);
}

#[tokio::test]
async fn two_makes_share_the_tokens() {
    let bench = Bench::new();
    // A token for each make and one shared, which each needs for its first two jobs.
    let jobs = JobServer::new(3).unwrap();
    makefile(&bench, "one");
    makefile(&bench, "two");
    let (one, mut first) = start(&make(&bench, "one", &jobs), &jobs).await;
    let (two, mut second) = start(&make(&bench, "two", &jobs), &jobs).await;
    assert!(first.wait().await.unwrap().status.success(), "{}", read(&bench.path("one.log")));
    drop(one);
    assert!(second.wait().await.unwrap().status.success(), "{}", read(&bench.path("two.log")));
    drop(two);
    assert_eq!(read(&bench.path("counts")).lines().count(), 16);
    assert!(most_at_once(&bench) <= 3);
    assert_no_complaint(&bench, "one");
    assert_no_complaint(&bench, "two");
    assert_eq!(jobs.available().unwrap(), 3);
    // make 4.3 has set O_NONBLOCK on its file, which must not be ours.
    let flags = jobs.makeflags();
    let end = flags.rsplit_once('=').unwrap().1.split(',').next().unwrap();
    let info = read(Path::new(&format!("/proc/self/fdinfo/{end}")));
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    assert_eq!(i32::from_str_radix(flags.trim(), 8).unwrap() & nix::libc::O_NONBLOCK, 0);
}

#[tokio::test]
async fn tokens_leaked_by_a_killed_make_are_put_back() {
    let bench = Bench::new();
    let jobs = JobServer::new(4).unwrap();
    let text = "all: a b c d\na b c d: ; touch $@.runs; sleep 1000\n";
    fs_err::write(bench.path("build/long.mk"), text).unwrap();
    let (token, mut running) = start(&make(&bench, "long", &jobs), &jobs).await;
    let runs = |job: &&str| bench.path("build").join(format!("{job}.runs")).exists();
    eventually("four jobs run", || ["a", "b", "c", "d"].iter().all(runs));
    assert!(jobs.try_acquire().unwrap().is_none());
    running.kill();
    assert!(!running.wait().await.unwrap().clean);
    assert_eq!(jobs.available().unwrap(), 0);
    // The one this test holds is not leaked.
    assert_eq!(jobs.recount().unwrap(), 3);
    drop(token);
    assert_eq!((jobs.available().unwrap(), jobs.recount().unwrap()), (4, 0));
}

#[tokio::test]
async fn tokens_that_are_too_many_are_taken_away() {
    let bench = Bench::new();
    let jobs = JobServer::new(2).unwrap();
    let flags = jobs.makeflags();
    let end = flags.rsplit_once(',').unwrap().1;
    let command = bench.shell(&format!("printf +++ > /proc/self/fd/{end}"));
    let (token, mut running) = start(&command, &jobs).await;
    assert!(running.wait().await.unwrap().status.success());
    assert_eq!(jobs.recount().unwrap(), -3);
    drop(token);
    assert_eq!(jobs.available().unwrap(), 2);
}

#[tokio::test]
async fn a_politely_stopped_make_gives_its_tokens_back() {
    let bench = Bench::new();
    let jobs = JobServer::new(3).unwrap();
    let text = "all: a b c\na b c: ; echo half > $@; touch $@.runs; sleep 1000; echo whole > $@\n";
    fs_err::write(bench.path("build/long.mk"), text).unwrap();
    let (token, mut running) = start(&make(&bench, "long", &jobs), &jobs).await;
    let file = |name: String| bench.path("build").join(name);
    eventually("three jobs run", || ["a", "b", "c"].iter().all(|job| file(format!("{job}.runs")).exists()));
    running.stop();
    assert!(running.wait().await.unwrap().clean);
    for target in ["a", "b", "c"] {
        assert!(!file(target.to_owned()).exists(), "make deletes its half-made targets");
    }
    drop(token);
    assert_eq!(jobs.available().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_waits_lose_no_token() {
    let jobs = JobServer::new(3).unwrap();
    let tasks = (0..8_u32).map(|seed| {
        let jobs = jobs.clone();
        tokio::spawn(async move {
            let mut had = 0;
            for round in 0..125 {
                // From "not even polled twice" to "long enough to get one".
                let patience = Duration::from_micros(u64::from((seed * 31 + round * 17) % 200));
                tokio::select! {
                    token = jobs.acquire() => {
                        had += 1;
                        tokio::task::yield_now().await;
                        drop(token.unwrap());
                    }
                    () = tokio::time::sleep(patience) => {}
                }
            }
            had
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut had = 0;
    for task in tasks {
        had += task.await.unwrap();
    }
    assert!(had > 0);
    assert_eq!((jobs.available().unwrap(), jobs.recount().unwrap()), (3, 0));
}

#[tokio::test]
async fn a_wait_cancelled_while_none_is_free_does_not_take_the_next() {
    let jobs = JobServer::new(1).unwrap();
    let token = jobs.acquire().await.unwrap();
    for _ in 0..1000 {
        tokio::select! {
            biased;
            _ = jobs.acquire() => panic!("there was none"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(token);
    assert_eq!(jobs.available().unwrap(), 1);
    let _token = jobs.acquire().await.unwrap();
}

#[tokio::test]
async fn a_waiting_step_gets_the_token_that_is_given_back() {
    let jobs = JobServer::new(2).unwrap();
    let held = [jobs.acquire().await.unwrap(), jobs.acquire().await.unwrap()];
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let jobs = jobs.clone();
            tokio::spawn(async move { drop(jobs.acquire().await.unwrap()) })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(held);
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(jobs.available().unwrap(), 2);
}

#[tokio::test]
async fn withheld_tokens_are_never_all() {
    let jobs = JobServer::new(3).unwrap();
    let withheld = jobs.withhold(99).await.unwrap();
    assert_eq!((withheld.len(), jobs.available().unwrap(), jobs.recount().unwrap()), (2, 1, 0));
    drop(withheld);
    assert_eq!(jobs.available().unwrap(), 3);
}

#[tokio::test]
async fn the_count_is_within_what_a_pipe_holds() {
    assert!(matches!(JobServer::new(0), Err(Error::JobCount { count: 0, .. })));
    assert!(JobServer::new(4097).is_err());
    assert_eq!(JobServer::new(4096).unwrap().available().unwrap(), 4096);
}

#[tokio::test]
async fn a_link_with_lto_finds_the_job_server() {
    let bench = Bench::new();
    let jobs = JobServer::new(2).unwrap();
    fs_err::write(bench.path("build/a.c"), "int f(int); int main(void) { return f(0); }").unwrap();
    fs_err::write(bench.path("build/b.c"), "int f(int x) { return x; }").unwrap();
    let mut command = bench.command(&["gcc", "-O1", "-flto=jobserver", "-v", "a.c", "b.c", "-o", "a.out"]);
    command.env.insert("MAKEFLAGS".to_owned(), jobs.makeflags());
    let (token, mut running) = start(&command, &jobs).await;
    let outcome = running.wait().await.unwrap();
    let log = read(&bench.path("log"));
    assert!(outcome.status.success(), "{log}");
    assert!(!log.contains("jobserver is not available") && !log.contains("warning"), "{log}");
    drop(token);
    assert_eq!(jobs.available().unwrap(), 2);
}
