//! `crossmill build` and `crossmill fetch`.

use super::options::{CacheArgs, NetworkArgs, Select};
use super::{CliError, CliResult, exit};
use crate::base::text::harmless;
use crate::base::{Diagnostic, PackageName, units};
use crate::plan::Request;
use crate::report::{self, Verbosity};
use crate::run::engine::Dispatch;
use crate::run::engine::submission::Arguments;
use crate::run::execute::Answer;
use crate::run::{self, Finished, Goal, IsolationMode, Session};
use clap::Args;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Build toolchains and kernels, from sources to installed results
///
/// Finished stages are kept and never built twice. A run can be interrupted at any time, with
/// Ctrl-C or kill -9: the same command continues it.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Add the results to docs/matrix.json and docs/matrix.md, as `crossmill record` does
    #[arg(long, help_heading = "Output")]
    record: bool,
    /// Use ccache for the host's compilers: saves time when a target is rebuilt after a small change
    #[arg(long, help_heading = "Running")]
    ccache: bool,
}

/// Download all sources for an offline build
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What commands that build several times have in common.
#[derive(Debug, Args)]
pub(super) struct Building {
    #[command(flatten)]
    pub(super) select: Select,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
    #[command(flatten)]
    pub(super) running: Running,
    /// Use ccache for the host's compilers: most files are the same as in the build before
    #[arg(long, help_heading = "Running")]
    pub(super) ccache: bool,
}

impl Building {
    /// Reads the configuration.
    pub(super) fn session(&self) -> Result<Session, CliError> {
        self.select.session_cached(&self.network, &self.cache)
    }
}

/// Options of a run and of its results.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    running: Running,
    /// Also create links to the results in this directory
    #[arg(long, short, value_name = "DIR", help_heading = "Places")]
    out: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Options of a run.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// Number of concurrent jobs, over all targets
    #[arg(short, long, value_name = "N", help_heading = "Running")]
    jobs: Option<NonZeroUsize>,
    /// Limit of memory to plan with (8GiB)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes, help_heading = "Running")]
    memory: Option<u64>,
    /// End a stage that takes longer (45m)
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, help_heading = "Running")]
    stage_timeout: Option<Duration>,
    /// Start no stage that cannot finish in this time, and end before it is over (5h30m; exit code 6)
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, help_heading = "Running")]
    time_budget: Option<Duration>,
    /// Limit of what unpacked sources and build trees take at a time (12GiB)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes, conflicts_with = "keep_work", help_heading = "Running")]
    disk_budget: Option<u64>,
    /// Stop everything after the first failure
    #[arg(long, conflicts_with = "keep_going", help_heading = "Running")]
    fail_fast: bool,
    /// Continue with other targets after a failure (the default)
    #[arg(long, help_heading = "Running")]
    keep_going: bool,
    /// Run steps with a read-only view of the machine and without network
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto", help_heading = "Running")]
    isolation: IsolationMode,
    /// Keep the build trees of finished stages
    #[arg(long, help_heading = "Running")]
    keep_work: bool,
    /// Skip the free-space check
    #[arg(long, help_heading = "Running")]
    ignore_space: bool,
    /// Show only failures and the table
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
    /// Show more
    #[arg(long, short, help_heading = "Output")]
    verbose: bool,
}

impl Running {
    /// Returns the options of a run on this machine.
    pub(super) fn options(&self, ccache: bool) -> run::RunOptions {
        run::RunOptions {
            jobs: self.jobs.map(NonZeroUsize::get),
            memory: self.memory,
            stage_timeout: self.stage_timeout,
            time_budget: self.time_budget,
            disk_budget: self.disk_budget,
            fail_fast: self.fail_fast,
            keep_work: self.keep_work,
            isolation: self.isolation,
            ignore_space: self.ignore_space,
            ccache,
            engine: None,
            part: None,
            command: std::env::args().collect(),
        }
    }

    /// Refuses the options that have no meaning for jobs of a service.
    pub(super) fn for_jobs(&self) -> Result<(), CliError> {
        let refused = [("--time-budget", self.time_budget.is_some()), ("--disk-budget", self.disk_budget.is_some())];
        match refused.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                Err(Diagnostic::new(format!("`{option}` is for one machine, and `submit` uses several"))
                    .hint("`--stage-timeout TIME` ends a stage; `--engine-option=--time=TIME` limits every job")
                    .into())
            }
            None => Ok(()),
        }
    }

    /// Returns what a job does as `build` would.
    pub(super) fn job_arguments(&self) -> Arguments {
        use clap::ValueEnum as _;
        Arguments {
            stage_timeout: self.stage_timeout.map(|time| time.as_secs()),
            isolation: self.isolation.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default(),
            keep_work: self.keep_work,
            ignore_space: self.ignore_space,
            ..Arguments::default()
        }
    }

    /// Returns the limit of memory.
    pub(super) fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Returns the job tokens that the user asked for.
    pub(super) fn jobs(&self) -> Option<usize> {
        self.jobs.map(NonZeroUsize::get)
    }

    /// Returns the options that a rebuild of the same has as well.
    pub(super) fn rebuild_args(&self) -> Vec<String> {
        use clap::ValueEnum as _;
        let isolation = self.isolation.to_possible_value().map(|value| format!("--isolation={}", value.get_name()));
        isolation.into_iter().chain(self.ignore_space.then(|| "--ignore-space".to_owned())).collect()
    }

    /// Returns how much is shown.
    pub(super) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

impl Build {
    /// Builds.
    pub fn run(self) -> CliResult {
        let session = self.select.session_cached(&self.network, &self.cache)?;
        if self.record {
            super::record::docs(&session, None)?;
        }
        let request = self.select.request(&session, false)?;
        let (exit, run) = self.run.start(&session, &request, Goal::Build, self.ccache)?;
        if self.record {
            super::record::record(&session, &run)?;
        }
        Ok(exit)
    }
}

impl Fetch {
    /// Fetches.
    pub fn run(self) -> CliResult {
        let session = self.select.session_cached(&self.network, &self.cache)?;
        let request = self.select.request(&session, true)?;
        Ok(self.run.start(&session, &request, Goal::Fetch, false)?.0)
    }
}

impl RunArgs {
    /// Runs the checks that a request names.
    pub(super) fn check(&self, select: &Select) -> CliResult {
        let session = select.session()?;
        let mut request = select.request(&session, false)?;
        let is_check = |name: &PackageName| session.config.recipes.get(name).is_some_and(|recipe| recipe.check);
        request.packages.retain(is_check);
        if request.packages.is_empty() {
            return Err(Diagnostic::new("no check is selected")
                .hint("`crossmill targets show TARGET` lists the checks of a target")
                .into());
        }
        Ok(self.start(&session, &request, Goal::Check, false)?.0)
    }

    /// Takes what caches have of a request.
    pub(super) fn pull(&self, session: &Session, request: &Request) -> CliResult {
        Ok(self.start(session, request, Goal::Pull, false)?.0)
    }

    fn start(&self, session: &Session, request: &Request, goal: Goal, ccache: bool) -> Result<(u8, String), CliError> {
        self.start_with(session, request, goal, self.running.options(ccache))
    }

    /// Returns the options of the run.
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Runs the stages of a request as jobs of a service.
    pub(super) fn submit(&self, session: &Session, request: &Request, engine: Dispatch) -> CliResult {
        // What is isolated is examined on each node.
        let options =
            run::RunOptions { engine: Some(engine), isolation: IsolationMode::Off, ..self.running.options(false) };
        Ok(self.start_with(session, request, Goal::Build, options)?.0)
    }

    fn start_with(
        &self,
        session: &Session,
        request: &Request,
        goal: Goal,
        options: run::RunOptions,
    ) -> Result<(u8, String), CliError> {
        let finished = execute_with(session, request, goal, &self.running, options)?;
        if self.json {
            let text = report::json::text(&finished.model, exit::of);
            super::print(&text.map_err(|error| CliError::usage(error.to_string()))?)?;
        }
        if goal != Goal::Fetch {
            show_results(&finished, request, self.out.as_deref())?;
        }
        Ok((exit_code(&finished), finished.run))
    }
}

/// Runs a request and shows it on stderr, up to the table.
pub(super) fn execute(
    session: &Session,
    request: &Request,
    goal: Goal,
    running: &Running,
    ccache: bool,
) -> Result<Finished, CliError> {
    execute_with(session, request, goal, running, running.options(ccache))
}

fn execute_with(
    session: &Session,
    request: &Request,
    goal: Goal,
    running: &Running,
    options: run::RunOptions,
) -> Result<Finished, CliError> {
    // Those of the configuration, beside those that the command line has.
    super::credentials::mask();
    let sink = report::for_stderr(running.verbosity());
    let mut ask = |lines: &[String]| ask(session, request, running, lines);
    let finished = run::execute(session, request, goal, options, sink, &mut ask)?;
    errln!("\n{}", report::table::text(&finished.model, report::Style::of(&std::io::stderr())));
    if let Err(error) = &finished.log {
        errln!(
            "{}",
            Diagnostic::from_error(error)
                .hint("the results are not affected, but `runs` and `timeline` lack the rest of this run")
        );
    }
    Ok(finished)
}

// A person is asked before hours of building; CI and scripts get the checks' names as warnings.
fn ask(session: &Session, request: &Request, running: &Running, skipped: &[String]) -> Answer {
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    if running.quiet || ci || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Answer::Skip;
    }
    for line in skipped {
        errln!("{}", harmless(line));
    }
    loop {
        errln!("install the tools (i), continue without these checks (c), or quit (q)?");
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(0) | Err(_) => return Answer::Cancel,
            Ok(_) => {}
        }
        match answer.trim() {
            "i" | "install" => match super::doctor::install_for(session, request) {
                Ok(()) => return Answer::Installed,
                Err(error) => error.print(),
            },
            "c" | "continue" => return Answer::Skip,
            "q" | "quit" => return Answer::Cancel,
            _ => {}
        }
    }
}

/// Returns the exit code of a run; one whose event log could not be written is not a success.
pub(super) fn exit_code(finished: &Finished) -> u8 {
    match exit::of(finished.summary.end) {
        exit::DONE if finished.log.is_err() => exit::STORE,
        code => code,
    }
}

// Shows where the results of a run are.
fn show_results(finished: &Finished, request: &Request, out: Option<&Path>) -> Result<(), CliError> {
    let timeline = timeline(finished);
    let flavour = format!("{}-{}", request.release_set, request.profile);
    let own = finished.store.root().join("results").join(&flavour);
    let mut places = Vec::new();
    if finished.store.is_writable() {
        match run::execute::link_results(&own, &finished.summary) {
            Ok(()) => places.push(own),
            // Another user's links; the results exist all the same.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                errln!("warning: the links to the results were not renewed: {error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(out) = out {
        run::execute::link_results(out, &finished.summary)?;
        places.push(out.to_owned());
    }
    if finished.summary.results.is_empty() {
        return Ok(());
    }
    match (places.last(), timeline) {
        (Some(place), Some(timeline)) => {
            errln!("results: {}/TARGET/PACKAGE; timeline: {}", place.display(), timeline.display());
        }
        (Some(place), None) => errln!("results: {}/TARGET/PACKAGE", place.display()),
        (None, _) => {
            for (name, tree) in &finished.summary.results {
                errln!("result: {name} in {}", tree.display());
            }
        }
    }
    Ok(())
}

// Draws the run for a browser. Losing the picture must not lose the run's result.
fn timeline(finished: &Finished) -> Option<PathBuf> {
    let path = finished.dir.as_ref()?.join("timeline.html");
    match fs_err::write(&path, report::timeline::html(&finished.model)) {
        Ok(()) => Some(path),
        Err(error) => {
            errln!("warning: the timeline was not written: {error}");
            None
        }
    }
}
