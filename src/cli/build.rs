//! `crossmill build` and `crossmill fetch`.

use super::ccache;
use super::options::Select;
use super::session::{self, Session};
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, PackageName, units};
use crate::plan::Request;
use crate::process::{inherited_ignored, probe};
use crate::report::{self, Verbosity};
use crate::run::log::event::Stamped;
use crate::run::{Emitter, IsolationMode, Options, Scheduler, Stop, Summary};
use crate::store::Store;
use clap::Args;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Build toolchains and kernels, from sources to installed results
///
/// What is finished is kept and never built twice. A run can be stopped at any
/// moment, by Ctrl-C or by kill -9: the same command carries on.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    run: RunOptions,
    /// Add the results to docs/matrix.json and docs/matrix.md, as `crossmill record` does
    #[arg(long, help_heading = "Output")]
    record: bool,
    /// Let ccache remember what the host's compilers make: pays when a target is built again after a small change
    #[arg(long, help_heading = "Running")]
    ccache: bool,
}

/// Download all sources for an offline build
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    run: RunOptions,
}

/// How a run is done and what is made of its results.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    running: Running,
    /// Links to the results are put here as well
    #[arg(long, short, value_name = "DIR", help_heading = "Places")]
    out: Option<PathBuf>,
    /// The result as JSON on stdout
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// How a run is done.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// How many jobs run at a time, over all targets together
    #[arg(short, long, value_name = "N", help_heading = "Running")]
    jobs: Option<NonZeroUsize>,
    /// Plan with this much memory, as `8 GiB`
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes, help_heading = "Running")]
    memory: Option<u64>,
    /// End a stage that takes longer, as `45m`
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, help_heading = "Running")]
    stage_timeout: Option<Duration>,
    /// Stop everything after the first failure
    #[arg(long, conflicts_with = "keep_going", help_heading = "Running")]
    fail_fast: bool,
    /// Let no failing target stop another (the default)
    #[arg(long, help_heading = "Running")]
    keep_going: bool,
    /// Whether steps see the machine read-only and without network
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto", help_heading = "Running")]
    isolation: IsolationMode,
    /// Keep the build trees of finished stages
    #[arg(long, help_heading = "Running")]
    keep_work: bool,
    /// Skip the free-space check
    #[arg(long, help_heading = "Running")]
    ignore_space: bool,
    /// Only failures and the table
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
    /// Say more
    #[arg(long, short, help_heading = "Output")]
    verbose: bool,
}

impl Build {
    /// Builds.
    pub fn run(self) -> CliResult {
        start(&self.select, &self.run, What::Build { record: self.record, ccache: self.ccache })
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Everything.
    Build {
        /// Whether its results are recorded.
        record: bool,
        /// Whether a compiler cache stands before the host's compilers.
        ccache: bool,
    },
    /// The sources alone.
    Fetch,
    /// The checks alone, on what is built already.
    Check,
}

impl Fetch {
    /// Fetches.
    pub fn run(self) -> CliResult {
        start(&self.select, &self.run, What::Fetch)
    }
}

pub(super) fn start(select: &Select, options: &RunOptions, what: What) -> CliResult {
    let fetch_only = what == What::Fetch;
    let session = Session::open(&select.place)?;
    let record = matches!(what, What::Build { record: true, .. });
    if record {
        super::record::docs(&session, None)?;
    }
    let mut request = session.request(select, fetch_only)?;
    if what == What::Check {
        let is_check = |name: &PackageName| session.config.recipes.get(name).is_some_and(|recipe| recipe.check);
        request.packages.retain(is_check);
        if request.packages.is_empty() {
            return Err(CliError::usage("none of the packages asked for is a check"));
        }
    }
    let ran = execute(&session, &request, &options.running, what)?;
    if options.json {
        let text = report::json::text(&ran.picture, exit::of).map_err(|error| CliError::usage(error.to_string()))?;
        super::print(&text)?;
    }
    if !fetch_only {
        show_results(&ran, &request, options.out.as_deref())?;
    }
    if record {
        super::record::record(&session, &ran.run)?;
    }
    Ok(exit::of(ran.summary.end))
}

// Says where the results of a run are.
fn show_results(ran: &Ran, request: &Request, out: Option<&Path>) -> Result<(), CliError> {
    let flavour = format!("{}-{}", request.release_set, request.profile);
    let own = ran.store.root().join("results").join(&flavour);
    let mut places = Vec::new();
    if ran.store.is_writable() {
        match link_results(&own, &ran.summary) {
            Ok(()) => places.push(own),
            // Another user's links; the results are there all the same.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                errln!("warning: the links to the results are not renewed: {error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(out) = out {
        link_results(out, &ran.summary)?;
        places.push(out.to_owned());
    }
    if ran.summary.results.is_empty() {
        return Ok(());
    }
    match (places.last(), &ran.timeline) {
        (Some(place), Some(timeline)) => {
            errln!("results: {}/TARGET/PACKAGE; timeline: {}", place.display(), timeline.display());
        }
        (Some(place), None) => errln!("results: {}/TARGET/PACKAGE", place.display()),
        (None, _) => {
            for (name, tree) in &ran.summary.results {
                errln!("result: {name} in {}", tree.display());
            }
        }
    }
    Ok(())
}

/// A run that is over.
pub(super) struct Ran {
    /// Its name.
    pub run: String,
    /// How it came out.
    pub summary: Summary,
    /// All that happened.
    pub picture: report::RunModel,
    /// Where its results are.
    pub store: Store,
    /// Its picture for a browser, where the store can keep it.
    pub timeline: Option<PathBuf>,
}

/// Plans and runs what is asked for, and shows it on stderr.
pub(super) fn execute(session: &Session, request: &Request, options: &Running, what: What) -> Result<Ran, CliError> {
    let fetch_only = what == What::Fetch;
    let cached = matches!(what, What::Build { ccache: true, .. });
    let store = session.store()?;
    let _in_use = store.use_it()?;
    let fetcher = session.fetcher(&store)?;
    let plan = session.plan(request, &store, &fetcher)?;
    let skips = if fetch_only { BTreeMap::new() } else { session.require_tools(&plan, &store, &fetcher)? };
    let tool_dirs = session.tool_dirs(&plan);
    let (emitter, events) = Emitter::new();
    for text in skipped_checks(&skips, &request.profile) {
        emitter.notice(None, true, text);
    }
    let run = session::run_name();
    // A store that cannot be written serves results all the same; of such a run nothing is kept.
    let passing = if store.is_writable() { None } else { Some(tempfile::tempdir()?) };
    let run_dir = passing.as_ref().map_or_else(|| store.run_dir(&run), |dir| dir.path().to_owned());
    fs_err::create_dir_all(&run_dir)?;
    let defaults = &session.config.matrix.defaults;
    let engine_options = Options {
        jobs: options.jobs.map(NonZeroUsize::get).or(defaults.jobs).unwrap_or_else(probe::processors),
        memory: options.memory,
        stage_timeout: options.stage_timeout,
        fail_fast: options.fail_fast,
        keep_work: options.keep_work,
        isolation: options.isolation,
        fetch_only,
        ignore_space: options.ignore_space,
        grace: crate::process::group::GRACE,
        label: request.profile.clone(),
        choice: session::choice(request),
        wrapper: if cached { Some(ccache::wrapper(session, &store)?) } else { None },
        tool_dirs,
        skips,
        checks_only: what == What::Check,
        today: jiff::Zoned::now().date(),
        shared: session.shared_cells(request, &plan),
        run: run.clone(),
        command: std::env::args().collect(),
    };
    let verbosity = match (options.quiet, options.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let listener = std::thread::spawn({
        let log = run_dir.join("events.jsonl");
        move || listen(events, &log, verbosity)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (stopper, _) = watch::channel(Stop::No);
    let ended: Result<Summary, CliError> = runtime.block_on(async {
        let signals = tokio::spawn(signals(stopper.clone(), emitter.clone()));
        let engine = Scheduler::new(plan, store.clone(), fetcher, emitter, engine_options, stopper)?;
        let summary = engine.run().await;
        signals.abort();
        Ok(summary?)
    });
    // Blocking tasks may still hold emitters; the listener ends when they do.
    drop(runtime);
    let heard =
        listener.join().unwrap_or_else(|_| Err(CliError::usage("the reporter stopped; the results are not affected")));
    let summary = ended?;
    heard?;
    let picture = crate::run::log::event_log::picture(&run_dir.join("events.jsonl"))
        .map_err(|error| Diagnostic::from_error(&error))?;
    let timeline = store.is_writable().then(|| run_dir.join("timeline.html"));
    if let Some(timeline) = &timeline {
        fs_err::write(timeline, report::timeline::html(&picture))?;
    }
    errln!("\n{}", report::table::text(&picture, report::Style::of(&std::io::stderr())));
    Ok(Ran { run, summary, picture, store, timeline })
}

// What is skipped for want of tools is reported before hours of building, not after them.
fn skipped_checks(skips: &BTreeMap<String, String>, profile: &str) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (stage, why) in skips {
        by_reason.entry(why).or_default().push(stage);
    }
    let mut lines: Vec<String> =
        by_reason.iter().map(|(why, stages)| format!("{} will be skipped: {why}", stages.join(", "))).collect();
    if !lines.is_empty() {
        let mut targets: Vec<&str> = skips.keys().filter_map(|name| Some(name.split_once('/')?.0)).collect();
        targets.dedup();
        lines.push(format!(
            "`crossmill doctor --install --profile {profile} {}` installs what they need",
            targets.join(" ")
        ));
    }
    lines
}

fn listen(mut events: mpsc::UnboundedReceiver<Stamped>, log: &Path, verbosity: Verbosity) -> Result<(), CliError> {
    let mut sink = report::for_stderr(verbosity);
    let mut writer = crate::run::log::event_log::Writer::open(log).map_err(|error| Diagnostic::from_error(&error))?;
    let mut written = Ok(());
    while let Some(event) = events.blocking_recv() {
        // The screen goes on even when the log's disk is full.
        if written.is_ok() {
            written = writer.write(&event);
        }
        sink.event(&event);
    }
    sink.finish();
    written.map_err(|error| CliError::new(exit::STORE, Diagnostic::from_error(&error)))
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
    // What `nohup` or a shell that starts a job in the background has ignored stays ignored.
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

// `results/latest-quick/arm64/toolchain` and the same below `--out`: links, so
// that people need no keys. A link is replaced by a rename, never missing.
fn link_results(place: &Path, summary: &Summary) -> std::io::Result<()> {
    for (name, tree) in &summary.results {
        let Some((row, package)) = name.split_once('/') else { continue };
        let dir = place.join(row);
        fs_err::create_dir_all(&dir)?;
        let fresh = dir.join(format!(".{package}.{}", std::process::id()));
        let _ = fs_err::remove_file(&fresh);
        fs_err::os::unix::fs::symlink(tree, &fresh)?;
        fs_err::rename(&fresh, dir.join(package))?;
    }
    Ok(())
}
