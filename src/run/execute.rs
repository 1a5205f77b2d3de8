//! Executes a request: starts the scheduler, writes the event log, folds the events into a
//! [`RunModel`] and handles signals.

use super::context::{IsolationMode, Options, Summary};
use super::engine::Dispatch;
use super::engine::submission::Part;
use super::log::event::Stamped;
use super::log::{Emitter, RunModel, Sink, event_log};
use super::preflight::Preflight;
use super::session::{self, Session};
use super::{Error, Goal, Scheduler, Stop, required_tools};
use crate::base::{StageName, files};
use crate::host::compiler_launcher;
use crate::plan::Request;
use crate::process::{inherited_ignored, probe};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Options of a run, as the user chose them.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Job tokens; the configuration's, or the number of processors, if not given.
    pub jobs: Option<usize>,
    /// Bytes of memory to plan with.
    pub memory: Option<u64>,
    /// The longest a stage may take.
    pub stage_timeout: Option<Duration>,
    /// The longest that the run may take.
    pub time_budget: Option<Duration>,
    /// Bytes that unpacked sources and work trees may take at a time.
    pub disk_budget: Option<u64>,
    /// Whether the first failure stops everything.
    pub fail_fast: bool,
    /// Whether the build trees of finished stages are kept.
    pub keep_work: bool,
    /// Whether steps are isolated.
    pub isolation: IsolationMode,
    /// Whether the free-space check is skipped.
    pub ignore_space: bool,
    /// Whether a compiler cache comes before the host's compilers.
    pub ccache: bool,
    /// The engine that runs the stages; this machine if there is none.
    pub engine: Option<Dispatch>,
    /// The part of the plan to run: that of a job.
    pub part: Option<Part>,
    /// The command line, for people.
    pub command: Vec<String>,
}

/// Jobs that the job server can count; a cluster may have more processors.
const MOST_JOBS: usize = 4096;

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// Its name.
    pub run: String,
    /// End of the run.
    pub summary: Summary,
    /// Everything that happened, folded as it happened: a full disk does not lose it.
    pub model: RunModel,
    /// Why the event log is incomplete, if it is.
    pub log: Result<(), event_log::Error>,
    /// The store.
    pub store: Store,
    /// The run's directory; `None` where the store cannot be written.
    pub dir: Option<PathBuf>,
}

/// The answer to the question whether to run without the checks that lack tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Run without them.
    Skip,
    /// Tools were installed: examine the machine again.
    Installed,
    /// Run nothing.
    Cancel,
}

/// Plans and runs a request. Every event goes to `sink` as it happens. `ask` gets the checks that would be skipped,
/// as lines of text, before anything is started.
pub fn execute(
    session: &Session,
    request: &Request,
    goal: Goal,
    options: RunOptions,
    sink: Box<dyn Sink + Send>,
    ask: &mut dyn FnMut(&[String]) -> Answer,
) -> Result<Finished, Error> {
    let began = std::time::Instant::now();
    let store = session.store()?;
    // A disk budget removes source trees, which another run may need.
    let _in_use = if options.disk_budget.is_some() { Some(store.use_alone()?) } else { store.use_it()? };
    let mut preflight = match &options.part {
        Some(part) => Preflight::of_part(session, request, part, store.clone())?,
        None => Preflight::of(session, request, goal, store.clone())?,
    };
    let host_tools = &session.config.host_tools;
    let mut lacking = None;
    let skips = loop {
        let require = || required_tools::require(host_tools, &session.machine(), &preflight.plan, &preflight.states);
        let skips = match goal {
            Goal::Fetch | Goal::Pull => BTreeMap::new(),
            // Each node examines itself.
            Goal::Build | Goal::Check if options.engine.is_some() => {
                lacking = require().err();
                BTreeMap::new()
            }
            Goal::Build | Goal::Check => require()?,
        };
        let lines = skipped_checks(&skips, &request.profile);
        match if lines.is_empty() { Answer::Skip } else { ask(&lines) } {
            Answer::Skip => break skips,
            Answer::Installed => {}
            Answer::Cancel => return Err(Error::Cancelled),
        }
    };
    let (emitter, events) = Emitter::new();
    if let Some(error) = lacking {
        emitter.notice(None, true, format!("{error}; nodes without it refuse their jobs"));
    }
    for text in skipped_checks(&skips, &request.profile) {
        emitter.notice(None, true, text);
    }
    let run = run_name(&store)?;
    // A store that cannot be written serves results all the same; nothing of such a run is kept.
    let passing = if store.is_writable() { None } else { Some(tempfile::tempdir()?) };
    let run_dir = passing.as_ref().map_or_else(|| store.run_dir(&run), |dir| dir.path().to_owned());
    let run_dir = options.part.as_ref().map_or(run_dir, |part| part.dir.clone());
    fs_err::create_dir_all(&run_dir)?;
    let launcher = if options.ccache {
        let dir = store.root().join("ccache");
        Some(compiler_launcher::create(host_tools, &session.machine(), &dir, store.root())?)
    } else {
        None
    };
    let options = Options {
        jobs: options
            .engine
            .as_ref()
            .map(|engine| engine.limits.all_cores.min(MOST_JOBS))
            .or(options.jobs)
            .or(session.config.matrix.defaults.jobs)
            .unwrap_or_else(probe::processors),
        memory: options.memory,
        stage_timeout: options.stage_timeout,
        began,
        time_budget: options.time_budget,
        disk_budget: options.disk_budget,
        fail_fast: options.fail_fast,
        keep_work: options.keep_work,
        isolation: options.isolation,
        goal,
        ignore_space: options.ignore_space,
        grace: crate::process::group::GRACE,
        choice: session::choice(request),
        launcher,
        engine: options.engine,
        part: options.part,
        tool_dirs: session.tool_dirs(&preflight.plan),
        skips,
        // The time zone of the machine would take longer to find than a build with nothing to do has.
        today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        borrowed: session.borrowed_toolchains(request, &preflight.plan),
        run: run.clone(),
        command: options.command,
    };
    let log = event_log::Writer::open(&run_dir.join("events.jsonl"));
    let listener = std::thread::spawn(move || listen(events, log, sink));
    // Connections to caches live where they were opened.
    let runtime = match preflight.remote.runtime.take() {
        Some(runtime) => runtime,
        None => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    let ended = schedule(runtime, preflight, emitter, options);
    let Ok((model, log)) = listener.join() else {
        return Err(Error::Defect("the thread that reports events".to_owned()));
    };
    Ok(Finished { run, summary: ended?, model, log, dir: passing.is_none().then_some(run_dir), store })
}

// All emitters are gone when this returns, so the listener ends too.
fn schedule(
    runtime: tokio::runtime::Runtime,
    preflight: Preflight,
    emitter: Emitter,
    options: Options,
) -> Result<Summary, Error> {
    let (stopper, _) = watch::channel(Stop::No);
    let ended = runtime.block_on(async {
        let signals = tokio::spawn(signals(stopper.clone(), emitter.clone()));
        let summary = Scheduler::new(preflight, emitter, options, stopper)?.run().await;
        signals.abort();
        summary
    });
    // Blocking tasks may still have emitters.
    drop(runtime);
    ended
}

// A fresh name: the time, the process for two in one second, and a number for two of one process.
fn run_name(store: &Store) -> std::io::Result<String> {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let name = format!("{now}-{}", std::process::id());
    let mut fresh = name.clone();
    let mut number = 1;
    while files::lstat(&store.run_dir(&fresh))?.is_some() {
        number += 1;
        fresh = format!("{name}-{number}");
    }
    Ok(fresh)
}

// Checks that lack tools are reported before hours of building, not after them.
fn skipped_checks(skips: &BTreeMap<StageName, String>, profile: &str) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (stage, why) in skips {
        by_reason.entry(why).or_default().push(stage);
    }
    let mut lines: Vec<String> =
        by_reason.iter().map(|(why, stages)| format!("{} will be skipped: {why}", stages.join(", "))).collect();
    if !lines.is_empty() {
        let mut targets: Vec<&str> = skips.keys().map(StageName::scope).collect();
        targets.dedup();
        lines.push(format!(
            "`crossmill doctor --install --profile {profile} {}` installs what they need",
            targets.join(" ")
        ));
    }
    lines
}

// Folds, writes and shows every event. The log's disk may be full; the model and the screen go on.
fn listen(
    mut events: mpsc::UnboundedReceiver<Stamped>,
    log: Result<event_log::Writer, event_log::Error>,
    mut sink: Box<dyn Sink + Send>,
) -> (RunModel, Result<(), event_log::Error>) {
    let mut model = RunModel::default();
    let mut log = log;
    while let Some(event) = events.blocking_recv() {
        let event = event.without_secrets();
        model.apply(&event);
        if let Ok(writer) = &mut log
            && let Err(error) = writer.write(&event)
        {
            log = Err(error);
        }
        sink.event(&event);
    }
    sink.finish();
    (model, log.map(|_| ()))
}

// The first signal asks politely, the second does not ask.
async fn signals(stopper: watch::Sender<Stop>, emitter: Emitter) {
    use nix::sys::signal::Signal;
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, mut asked) = mpsc::channel(2);
    let wanted = [
        (Signal::SIGINT, SignalKind::interrupt()),
        (Signal::SIGTERM, SignalKind::terminate()),
        (Signal::SIGHUP, SignalKind::hangup()),
    ];
    // Signals that `nohup` or a shell that starts a job in the background has ignored stay ignored.
    for (_, kind) in wanted.into_iter().filter(|(signal, _)| !inherited_ignored(*signal)) {
        let Ok(mut signal) = signal(kind) else { return };
        let sender = sender.clone();
        tokio::spawn(async move { while signal.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    drop(sender);
    while asked.recv().await.is_some() {
        let again = *stopper.borrow() > Stop::No;
        let (next, text) = if again {
            (Stop::Immediate, "interrupted again: running steps are killed and start afresh in the next run")
        } else {
            (Stop::Graceful, "interrupted: waiting for running steps (press Ctrl-C again to kill them)")
        };
        emitter.notice(None, true, text);
        stopper.send_replace(next);
    }
}

/// Links the results of a run below `place`, as `arm64/gcc`, so that people need no keys.
/// A link is replaced by a rename and is never missing.
pub fn link_results(place: &Path, summary: &Summary) -> std::io::Result<()> {
    for (name, tree) in &summary.results {
        let dir = place.join(name.scope());
        // Most runs change few of them, and each rename is a transaction of the file system.
        if fs_err::read_link(dir.join(name.package())).is_ok_and(|current| current == *tree) {
            continue;
        }
        fs_err::create_dir_all(&dir)?;
        let fresh = dir.join(format!(".{}.{}", name.package(), std::process::id()));
        let _ = fs_err::remove_file(&fresh);
        fs_err::os::unix::fs::symlink(tree, &fresh)?;
        fs_err::rename(&fresh, dir.join(name.package()))?;
    }
    Ok(())
}
