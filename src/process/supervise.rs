//! The supervisor of one step: `crossmill __supervise <fd>`.
//!
//! It ends only when no process it started, and none that those started, is
//! left; until then it keeps the lock that it inherited. It has one thread, no
//! runtime, and needs nothing from crossmill once it has read its command:
//! when crossmill dies, the control pipe (stdin) closes, and that means stop.
//!
//! | from | means |
//! |---|---|
//! | byte `s`, end of stdin, SIGTERM | stop: TERM to all, KILL after the grace |
//! | byte `k` | KILL to all |
//! | any other signal | nothing: the terminal's are not for a step |

use super::inherit;
use super::isolation::{self, Mechanism, Rules};
use super::limits::{Groups, restrict};
use super::tree::{self, Process};
use super::wire::{self, Outcome, Report, Spec, Status, StopRecord, Usage};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{self, SigHandler, SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::sys::time::TimeValLike as _;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, read};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The first argument that makes a crossmill process a supervisor.
pub const ARGUMENT: &str = "__supervise";

/// Time that processes that are already exiting may take to do so after the
/// command has ended, before they count as stragglers.
const SETTLE: Duration = Duration::from_millis(100);
/// The grace of stragglers of a step that was not asked to stop.
const STRAGGLER_GRACE: Duration = Duration::from_secs(2);
/// How often to look for processes that appeared after the signal was sent.
const LOOK: Duration = Duration::from_millis(50);

/// Requests to the supervisor, in rising order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Nothing,
    Stop,
    Kill,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The command runs, or has just ended.
    Running,
    /// All have been asked to end and have time until then.
    Ending { until: Instant },
    /// All are killed, again and again until none is left.
    Killing,
}

/// Runs a supervisor to its end; `args` are those after [`ARGUMENT`]: the
/// number of the inherited descriptor that holds the command.
///
/// The exit code only reports whether it could do its work; the outcome of the
/// command is on stdout.
pub fn supervise_main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(argument) = args.next() else { return ExitCode::from(64) };
    if let Some(code) = isolation::probe_main(&argument) {
        return code;
    }
    let Some(fd) = argument.into_string().ok().and_then(|arg| arg.parse::<u32>().ok()) else {
        return ExitCode::from(64);
    };
    let role = prepare(fd).and_then(|spec| {
        let groups = Groups::enter(&spec.limits);
        isolate(spec, groups)
    });
    match role {
        Ok(Role::Guardian(child, _groups)) => guard(child),
        Ok(Role::Supervisor(spec, rules, groups)) => {
            match watch_signals().and_then(|signals| run(&spec, rules, &groups, signals)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failed) => report_failure(&failed),
            }
        }
        Err(failed) => report_failure(&failed),
    }
}

fn report_failure(failed: &Report) -> ExitCode {
    report_to_parent(failed);
    ExitCode::FAILURE
}

/// The role of this process after the isolation was set up.
enum Role {
    /// It waits for the supervisor, which is the first process of a namespace of its own.
    Guardian(Pid, Groups),
    /// It runs the command.
    Supervisor(Box<Spec>, Option<Rules>, Groups),
}

/// Sets up what the command is to see of the machine. A process-id namespace begins with a child: that one goes on as
/// the supervisor. When it ends, by whatever means, the kernel kills all that is left in it.
fn isolate(mut spec: Spec, mut groups: Groups) -> Result<Role, Report> {
    let Some((support, view)) = spec.isolation.take() else {
        return Ok(Role::Supervisor(Box::new(spec), None, groups));
    };
    let isolating = "isolating the step";
    let (processes, mounts) = (support.has(Mechanism::Processes), support.has(Mechanism::ReadOnlyView));
    // Through this descriptor the supervisor, and only it, writes its record: it leads out of the read-only view.
    let records = spec.stop_record.parent().map(fs_err::File::open).transpose();
    let records = records.map_err(failed(isolating))?;
    isolation::unshare(&support, view.network).map_err(failed(isolating))?;
    if processes {
        // SAFETY: this process has one thread, so its child may do all that it could.
        if let ForkResult::Parent { child } = unsafe { fork() }.map_err(failed(isolating))? {
            return Ok(Role::Guardian(child, groups));
        }
        // The other process removes them, when this one has ended.
        groups.forget();
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(isolating))?;
    }
    if mounts {
        isolation::enter(&view, processes).map_err(failed(isolating))?;
        if let (Some(records), Some(name)) = (records, spec.stop_record.file_name()) {
            let fd = records.into_parts().0.into_raw_fd();
            spec.stop_record = PathBuf::from(inherit::path_of(fd)).join(name);
        }
    }
    let rules = if support.has(Mechanism::Landlock) {
        Some(Rules::new(&view, mounts).map_err(failed(isolating))?)
    } else {
        None
    };
    Ok(Role::Supervisor(Box::new(spec), rules, groups))
}

/// Waits for the supervisor and passes SIGTERM on. While this process lives it holds the lock, so that it is not
/// released before the namespace is empty.
fn guard(supervisor: Pid) -> ExitCode {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGCHLD);
    wanted.add(Signal::SIGTERM);
    loop {
        match waitpid(supervisor, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, 0)) => return ExitCode::SUCCESS,
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => return ExitCode::FAILURE,
            _ => {}
        }
        if let Ok(Signal::SIGTERM) = wanted.wait() {
            let _: nix::Result<()> = kill(supervisor, Signal::SIGTERM);
        }
    }
}

/// Writes a report for crossmill, which may be gone.
fn report_to_parent(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _: io::Result<()> = io::stdout().write_all(&line);
    }
}

fn failed<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> Report {
    move |error| {
        let error = error.into();
        let what = if error.raw_os_error().is_some() { what.to_owned() } else { format!("{what}: {error}") };
        Report::Failed { what, errno: error.raw_os_error() }
    }
}

fn prepare(fd: u32) -> Result<Spec, Report> {
    let spec = fs_err::read(format!("/proc/self/fd/{fd}")).map_err(failed("reading the command"))?;
    let spec: Spec = serde_json::from_slice(&spec).map_err(failed("reading the command"))?;
    // Also the lock: it stays open here, and only here.
    inherit::keep_only(&spec.keep).map_err(failed("closing descriptors"))?;
    umask(Mode::from_bits_truncate(0o022));
    // Blocked, not ignored: that would be inherited by the command.
    SigSet::all().thread_set_mask().map_err(failed("blocking signals"))?;
    reset(Signal::SIGCHLD).map_err(failed("resetting SIGCHLD"))?;
    Ok(spec)
}

fn watch_signals() -> Result<SignalFd, Report> {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGCHLD);
    wanted.add(Signal::SIGTERM);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&wanted, flags).map_err(failed("watching signals"))?;
    prctl::set_child_subreaper(true).map_err(failed("becoming the subreaper"))?;
    Ok(signals)
}

fn reset(signal: Signal) -> nix::Result<()> {
    // SAFETY: installs no handler, so there is none that could do harm.
    unsafe { signal::signal(signal, SigHandler::SigDfl) }.map(drop)
}

fn start(spec: &Spec, mut rules: Option<Rules>, groups: &Groups) -> Result<Pid, Report> {
    // An old record must not speak for what runs now.
    StopRecord::remove(&spec.stop_record).map_err(failed("removing the last stop record"))?;
    let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(&spec.program);
    if let [name, args @ ..] = &spec.argv[..] {
        command.arg0(name).args(args);
    }
    command.env_clear().envs(&spec.env).current_dir(&spec.dir).process_group(0).stdin(Stdio::null());
    command.stdout(log().map_err(failed("opening the log"))?).stderr(log().map_err(failed("opening the log"))?);
    let supervisor = getpid();
    let (limits, memory, processes) = (spec.limits, groups.memory, groups.processes);
    inherit::in_child(&mut command, move || {
        // Whoever started crossmill may have ignored some (`nohup`, `sh -c 'crossmill &'`).
        for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
            reset(signal)?;
        }
        SigSet::empty().thread_set_mask()?;
        // The last resort, should the supervisor itself be killed.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != supervisor {
            return Err(Errno::ESRCH.into());
        }
        rules.take().map_or(Ok(()), Rules::enforce)?;
        restrict(&limits, memory, processes)
    });
    // Reaped in `Supervisor::reap`, among all others.
    let child = command.spawn().map_err(failed(wire::EXECUTING))?;
    Ok(Pid::from_raw(child.id() as i32))
}

fn run(spec: &Spec, rules: Option<Rules>, groups: &Groups, signals: SignalFd) -> Result<(), Report> {
    let began = Instant::now();
    let command = start(spec, rules, groups)?;
    report_to_parent(&Report::Started);
    let mut supervisor = Supervisor {
        command,
        grace: Duration::from_millis(spec.grace_ms),
        status: None,
        ended: None,
        request: Request::Nothing,
        phase: Phase::Running,
        killed: false,
        reported: BTreeSet::new(),
        stragglers: BTreeSet::new(),
    };
    supervisor.until_none_is_left(&signals);
    let outcome = supervisor.outcome(began.elapsed());
    if outcome.stopped {
        let record = StopRecord { step: spec.step.clone(), clean: outcome.clean };
        if let Err(error) = record.write(&spec.stop_record) {
            // Only the log is left to report it. No record means torn, which is the safe assumption.
            let _: io::Result<()> = writeln!(io::stderr(), "crossmill: no stop record: {error}");
        }
    }
    report_to_parent(&Report::Ended(outcome));
    Ok(())
}

struct Supervisor {
    /// The command's process and group.
    command: Pid,
    grace: Duration,
    /// The command's, once it has ended.
    status: Option<ExitStatus>,
    ended: Option<Instant>,
    request: Request,
    phase: Phase,
    /// Whether a living process was sent SIGKILL.
    killed: bool,
    /// Who has been sent SIGTERM.
    reported: BTreeSet<i32>,
    stragglers: BTreeSet<i32>,
}

impl Supervisor {
    fn until_none_is_left(&mut self, signals: &SignalFd) {
        let stdin = io::stdin();
        let mut control = Some(stdin.as_fd());
        while self.reap() {
            let patience = self.advance(Instant::now());
            self.listen(signals, &mut control, patience);
        }
    }

    /// Takes the status of all that have ended. Whether any are left: as
    /// subreaper this process is the parent of every orphan below it, so
    /// without a child it has no descendant either.
    fn reap(&mut self) -> bool {
        loop {
            let mut status = 0;
            // SAFETY: `status` outlives the call. nix's wrapper has no word for
            // a death by a real-time signal and would lose the status.
            match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }) {
                Ok(0) => return true,
                Ok(pid) if pid == self.command.as_raw() => {
                    self.status = Some(ExitStatus::from_raw(status));
                    self.ended = Some(Instant::now());
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Does what is due and returns the time until the next action, unless something
    /// happens.
    fn advance(&mut self, now: Instant) -> Option<Duration> {
        if self.request == Request::Kill {
            self.phase = Phase::Killing;
        }
        let settled = self.ended.map(|ended| ended + SETTLE);
        if settled.is_some_and(|settled| settled <= now) {
            self.stragglers.extend(living().iter().map(|process| process.pid));
        }
        match self.phase {
            Phase::Running if self.request == Request::Stop => self.ask_all(now + self.grace),
            Phase::Running => match settled {
                None => return None,
                Some(settled) if settled > now => return Some(settled - now),
                Some(_) => self.ask_all(now + self.grace.min(STRAGGLER_GRACE)),
            },
            Phase::Ending { until } if until <= now => self.phase = Phase::Killing,
            Phase::Ending { .. } => self.ask_orphans(),
            Phase::Killing => {}
        }
        match self.phase {
            Phase::Killing => {
                self.kill_all();
                Some(LOOK)
            }
            Phase::Ending { until } => Some(LOOK.min(until.saturating_duration_since(now))),
            Phase::Running => None,
        }
    }

    fn ask_all(&mut self, until: Instant) {
        self.phase = Phase::Ending { until };
        let group = self.status.is_none().then_some(self.command);
        if let Some(group) = group {
            // All at once, so that none sees another die first.
            let _: nix::Result<()> = killpg(group, Signal::SIGTERM);
            let _: nix::Result<()> = killpg(group, Signal::SIGCONT);
        }
        for process in living() {
            if group.is_none_or(|group| group.as_raw() != process.group) {
                ask(process);
            }
            self.reported.insert(process.pid);
        }
    }

    /// Asks those who lost their parent since. What still has one is that
    /// one's affair: it may be cleaning up with it.
    fn ask_orphans(&mut self) {
        if self.status.is_none() {
            return;
        }
        let own = getpid().as_raw();
        for orphan in living().into_iter().filter(|process| process.parent == own) {
            if self.reported.insert(orphan.pid) {
                ask(orphan);
            }
        }
    }

    fn kill_all(&mut self) {
        for process in living() {
            self.killed = true;
            let _: nix::Result<()> = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }

    /// Waits for a signal, a request or the end of `patience`.
    fn listen(&mut self, signals: &SignalFd, control: &mut Option<BorrowedFd<'_>>, patience: Option<Duration>) {
        let timeout = match patience {
            None => PollTimeout::NONE,
            // Rounded up, or the last millisecond would be spent spinning.
            Some(time) => PollTimeout::from(u16::try_from(time.as_millis() + 1).unwrap_or(u16::MAX)),
        };
        let mut watched = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        watched.extend(control.map(|control| PollFd::new(control, PollFlags::POLLIN)));
        if poll(&mut watched, timeout).is_err() {
            return;
        }
        let asked = watched.get(1).is_some_and(|control| control.any() == Some(true));
        while let Ok(Some(info)) = signals.read_signal() {
            if info.ssi_signo == Signal::SIGTERM as u32 {
                self.request = self.request.max(Request::Stop);
            }
        }
        if let Some(fd) = control.filter(|_| asked) {
            let mut bytes = [0; 16];
            let count = match read(fd, &mut bytes) {
                Err(Errno::EINTR | Errno::EAGAIN) => return,
                // A control pipe that cannot be read is one that nobody writes to.
                Ok(0) | Err(_) => {
                    *control = None;
                    self.request = self.request.max(Request::Stop);
                    return;
                }
                Ok(count) => count,
            };
            for byte in bytes.iter().take(count) {
                let request = if *byte == b'k' { Request::Kill } else { Request::Stop };
                self.request = self.request.max(request);
            }
        }
    }

    fn outcome(&self, wall: Duration) -> Outcome {
        let status = match self.status {
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Status::Exited(code),
                (None, Some(signal)) => Status::Signaled(signal),
                (None, None) => Status::Torn,
            },
            None => Status::Torn,
        };
        let stopped = self.request > Request::Nothing;
        // A command that somebody else killed while it was stopping, such as
        // the kernel for its memory, had no time to clean up either.
        let killed_by_others = stopped && status == Status::Signaled(libc::SIGKILL);
        let clean = !self.killed && !killed_by_others;
        let used = getrusage(UsageWho::RUSAGE_CHILDREN);
        let usage = used.map_or_else(
            |_| Usage { wall: wall.as_secs_f64(), ..Usage::default() },
            |used| Usage {
                wall: wall.as_secs_f64(),
                user: used.user_time().num_microseconds() as f64 / 1e6,
                system: used.system_time().num_microseconds() as f64 / 1e6,
                max_rss_kib: u64::try_from(used.max_rss()).unwrap_or(0),
            },
        );
        Outcome { status, usage, stopped, clean, stragglers: self.stragglers.len() }
    }
}

/// Returns all below this process that have not ended.
fn living() -> Vec<Process> {
    // Without /proc there is nobody to be found; the supervisor then waits.
    let all = tree::snapshot().unwrap_or_default();
    let mut found = tree::descendants(&all, &[getpid().as_raw()]);
    found.retain(|process| process.alive);
    found
}

fn ask(process: Process) {
    let pid = Pid::from_raw(process.pid);
    let _: nix::Result<()> = kill(pid, Signal::SIGTERM);
    // A stopped process does not see the signal before it goes on.
    let _: nix::Result<()> = kill(pid, Signal::SIGCONT);
}
