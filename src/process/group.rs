//! The parent's side of a step: starts its supervisor and waits for it.
//!
//! A thread per running step reads the supervisor's reports and reaps it, so
//! that nothing is lost when a `Running` is dropped or its `wait` cancelled,
//! and no runtime is needed for it.

use super::error::Error;
use super::isolation::{Support, View};
use super::jobs::JobServer;
use super::supervise;
use super::tree;
use super::wire::{Outcome, Report, Spec, Status, StopRecord, Usage};
use super::{inherit, probe};
use crate::config::limits::Limits;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The time a step has by default between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// A command of a step, completely: nothing is taken from crossmill's own
/// environment. It runs with umask 022 and no standard input.
#[derive(Debug, Clone)]
pub struct Command {
    /// The step's name, for the stop record and for people who read `ps`.
    pub step: String,
    /// The program and its arguments. A name without a slash is looked up in
    /// the `PATH` of `env`; any other is relative to `dir`.
    pub argv: Vec<String>,
    /// The whole environment. With a job server it has to hold the
    /// `MAKEFLAGS` of [`JobServer::makeflags`].
    pub env: BTreeMap<String, String>,
    /// The directory it runs in.
    pub dir: PathBuf,
    /// Where stdout and stderr go, in the order they are written; appended to.
    pub log: PathBuf,
    /// Where a [`StopRecord`] is written when the step is stopped. One that is
    /// there already is removed at the start.
    pub stop_record: PathBuf,
    /// The time between SIGTERM and SIGKILL; [`GRACE`] is a good one.
    pub grace: Duration,
    /// A file whose `flock` is held until the last process is gone, even if
    /// crossmill is gone before. The command itself does not inherit it.
    pub lock: Option<Arc<File>>,
    /// The isolation that the machine offers and the access of the step; `None` runs it without.
    pub isolation: Option<(Support, View)>,
    /// Its resource limits.
    pub limits: Limits,
}

/// A step whose processes run. Dropping it is a polite stop.
#[derive(Debug)]
pub struct Running {
    control: Option<ChildStdin>,
    /// Taken once it has spoken.
    outcome: Option<oneshot::Receiver<Result<Outcome, Error>>>,
    returned: Option<Outcome>,
    supervisor: u32,
    step: String,
}

impl Running {
    /// Returns the supervisor's process id: all processes of the step are below it.
    pub fn pid(&self) -> u32 {
        self.supervisor
    }

    /// Waits until no process of the step is left.
    ///
    /// Dropping the future loses nothing, and the outcome can be asked for
    /// more than once.
    ///
    /// # Errors
    /// When the command could not be started after all. This is reported once.
    pub async fn wait(&mut self) -> Result<Outcome, Error> {
        if let Some(outcome) = self.returned {
            return Ok(outcome);
        }
        let returned = || Error::Told { step: self.step.clone() };
        let receiver = self.outcome.as_mut().ok_or_else(returned)?;
        let outcome = receiver.await;
        self.outcome = None;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::Told { step: self.step.clone() }))?;
        self.returned = Some(outcome);
        Ok(outcome)
    }

    /// Asks all processes to end: SIGTERM, and SIGKILL after the grace.
    pub fn stop(&mut self) {
        self.request(b's');
    }

    /// Kills all processes at once. Their build tree is torn.
    pub fn kill(&mut self) {
        self.request(b'k');
    }

    fn request(&mut self, byte: u8) {
        if let Some(control) = &mut self.control {
            // Fails when the supervisor is gone, and then there is nothing to
            // stop. The pipe takes thousands of bytes before it could block.
            let _: io::Result<()> = control.write_all(&[byte]);
        }
    }
}

/// Starts `command` below a supervisor, which is `supervisor_exe` (crossmill's
/// own executable; `/proc/self/exe` is right even when the file was replaced
/// meanwhile). With `jobs`, the command inherits the job server.
///
/// # Errors
/// When the program or the directory is not there, the log cannot be opened,
/// or the supervisor does not start. What only `execve` finds out, such as too
/// long a command line, is reported by [`Running::wait`].
pub fn spawn(supervisor_exe: &Path, command: &Command, jobs: Option<&JobServer>) -> Result<Running, Error> {
    let program = find(command)?;
    let returned =
        |source| Error::Supervisor { exe: supervisor_exe.to_owned(), program: command.argv[0].clone(), source };
    let start = |what: &str, source| Error::Start {
        program: command.argv[0].clone(),
        dir: command.dir.clone(),
        what: what.to_owned(),
        source: Some(source),
    };
    let log = fs_err::OpenOptions::new().append(true).create(true).open(&command.log);
    let log = log.map_err(|error| start("opening its log", error))?;
    let spec = Spec {
        step: command.step.clone(),
        program,
        argv: command.argv.clone(),
        env: command.env.clone(),
        dir: absolute(&command.dir).map_err(|error| start("finding its directory", error))?,
        stop_record: absolute(&command.stop_record).map_err(|error| start("finding its stop record", error))?,
        // A day at most, so that no sum of times overflows.
        grace_ms: command.grace.as_millis().min(86_400_000) as u64,
        isolation: command.isolation.clone(),
        limits: command.limits,
        keep: jobs.map(|jobs| jobs.descriptors().to_vec()).unwrap_or_default(),
    };
    let spec = memory_file(&spec).map_err(|error| start("passing it on", error))?;
    let mut supervisor = std::process::Command::new(supervisor_exe);
    supervisor.arg(supervise::ARGUMENT).arg(spec.as_raw_fd().to_string()).arg(&command.step);
    supervisor.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.into_parts().0);
    // In the child already, so that a Ctrl-C finds it in the terminal's group
    // for as short as possible.
    inherit::in_child(&mut supervisor, || Ok(setsid().map(drop)?));
    inherit::pass(&mut supervisor, spec);
    if let Some(lock) = &command.lock {
        inherit::pass(&mut supervisor, Arc::clone(lock));
    }
    if let Some(jobs) = jobs {
        jobs.configure(&mut supervisor)?;
    }
    let mut child = supervisor.spawn().map_err(returned)?;
    let control = child.stdin.take();
    let pid = child.id();
    let (sender, outcome) = oneshot::channel();
    let watched = command.clone();
    let exe = supervisor_exe.to_owned();
    let watcher = move || watch(&exe, &watched, child, sender);
    let alive = SUPERVISORS.enter();
    let watcher = move || {
        let _alive = alive;
        watcher();
    };
    // Should this fail, `control` is dropped: the supervisor stops the step.
    std::thread::Builder::new().name(format!("watch {pid}")).spawn(watcher).map_err(returned)?;
    Ok(Running { control, outcome: Some(outcome), returned: None, supervisor: pid, step: command.step.clone() })
}

/// Returns the file to execute, and that directory and file are there.
fn find(command: &Command) -> Result<PathBuf, Error> {
    let Some(name) = command.argv.first() else {
        return Err(Error::EmptyCommand { step: command.step.clone() });
    };
    if !command.dir.is_dir() {
        return Err(Error::NoDirectory { program: name.clone(), dir: command.dir.clone() });
    }
    let missing =
        |path: &str| Error::ProgramNotFound { program: name.clone(), dir: command.dir.clone(), path: path.to_owned() };
    if !name.contains('/') {
        let path = command.env.get("PATH").map_or("", String::as_str);
        return probe::find_below(name, path, &command.dir).ok_or_else(|| missing(path));
    }
    // `components` drops the `.` of `./configure`.
    let file: PathBuf = command.dir.join(name).components().collect();
    match file.try_exists() {
        Ok(true) if probe::is_executable(&file) => Ok(PathBuf::from(name)),
        Ok(true) => Err(Error::NotExecutable { program: file, dir: command.dir.clone() }),
        _ => Err(missing("")),
    }
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

fn memory_file(spec: &Spec) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"crossmill-command", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    Ok(file)
}

/// Reads a supervisor's reports to the end and reaps it. The outcome of a command is sent as soon as it is reported:
/// by then no process of the step is left, and the supervisor only waits until the kernel has taken its namespaces
/// down, which takes longer than a short step.
fn watch(exe: &Path, command: &Command, mut supervisor: Child, sender: oneshot::Sender<Result<Outcome, Error>>) {
    let began = Instant::now();
    let mut last = None;
    let mut sender = Some(sender);
    let reports = supervisor.stdout.take().map(BufReader::new);
    // The pipe ends with the supervisor: no child of its inherits it.
    for line in reports.into_iter().flat_map(BufReader::lines).map_while(Result::ok) {
        last = serde_json::from_str(&line).ok().or(last);
        if let Some(Report::Ended(outcome)) = last
            && let Some(sender) = sender.take()
        {
            // Nobody may be waiting any more.
            let _: Result<(), _> = sender.send(Ok(outcome));
        }
    }
    let result = match last {
        Some(Report::Ended(outcome)) => Ok(outcome),
        Some(Report::Failed { what, errno }) => Err(start_error(command, what, errno)),
        // Before it is reaped: until then its process id, which is the
        // session's, belongs to nobody else.
        Some(Report::Started) => Ok(torn(command, supervisor.id(), began)),
        // Killed, it may have started the command without having reported it.
        None => {
            let outcome = torn(command, supervisor.id(), began);
            match supervisor.wait() {
                Ok(status) if status.signal().is_some() => Ok(outcome),
                _ => Err(Error::Supervisor {
                    exe: exe.to_owned(),
                    program: command.argv[0].clone(),
                    source: io::Error::other("it ended without a report"),
                }),
            }
        }
    };
    // Its exit code means nothing that was not reported.
    let _: io::Result<_> = supervisor.wait();
    if let Some(sender) = sender {
        let _: Result<(), _> = sender.send(result);
    }
}

/// The supervisors of this process that are not reaped yet. They hold the locks of their stages.
static SUPERVISORS: Supervisors = Supervisors { count: Mutex::new(0), none: Condvar::new() };

struct Supervisors {
    count: Mutex<usize>,
    none: Condvar,
}

/// Counts one supervisor until it is dropped.
struct Alive(&'static Supervisors);

impl Supervisors {
    fn enter(&'static self) -> Alive {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Alive(self)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.none.notify_all();
    }
}

/// Waits until every supervisor of this process has ended, and with it released the lock of its stage; at most
/// `patience`. It blocks.
pub fn await_supervisors(patience: Duration) {
    let count = SUPERVISORS.count.lock().unwrap_or_else(PoisonError::into_inner);
    // Whoever waits goes on either way: a lock that is still held only makes the next run wait.
    let _ = SUPERVISORS.none.wait_timeout_while(count, patience, |count| *count > 0);
}

/// Ends what a killed supervisor left behind: its whole session and what is
/// below that. Only an orphan that had opened a session of its own is not
/// found any more.
fn torn(command: &Command, supervisor: u32, began: Instant) -> Outcome {
    let session = supervisor as i32;
    let mut killed = BTreeSet::new();
    loop {
        let all = tree::snapshot().unwrap_or_default();
        let roots: Vec<i32> = all.iter().filter(|p| p.session == session).map(|p| p.pid).collect();
        let below = tree::descendants(&all, &roots).into_iter().map(|process| process.pid);
        let wanted: BTreeSet<i32> = roots.iter().copied().chain(below).collect();
        let left: Vec<_> = all.iter().filter(|p| p.alive && p.pid != session && wanted.contains(&p.pid)).collect();
        if left.is_empty() {
            break;
        }
        for process in left {
            killed.insert(process.pid);
            let _: nix::Result<()> = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let record = StopRecord { step: command.step.clone(), clean: false };
    // Without a record the tree counts as torn too.
    let _: io::Result<()> = record.write(&command.stop_record);
    let usage = Usage { wall: began.elapsed().as_secs_f64(), ..Usage::default() };
    Outcome { status: Status::Torn, usage, stopped: false, clean: false, stragglers: killed.len() }
}

fn start_error(command: &Command, what: String, errno: Option<i32>) -> Error {
    let (program, dir) = (command.argv[0].clone(), command.dir.clone());
    if errno == Some(Errno::E2BIG as i32) {
        return Error::TooLong {
            program,
            dir,
            arguments: command.argv.iter().map(|arg| arg.len() + 1).sum(),
            environment: command.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum(),
        };
    }
    Error::Start { program, dir, what, source: errno.map(io::Error::from_raw_os_error) }
}
