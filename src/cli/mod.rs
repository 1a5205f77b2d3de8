//! The command line: one file a command, whose argument struct's doc comment
//! is its help text. Errors, causes and hints are printed here and nowhere else.

#[macro_use]
mod output;

mod bisect;
mod btf;
mod build;
mod cache;
mod check;
mod ci;
mod compare;
mod completions;
mod credentials;
mod doctor;
mod env;
mod help;
mod inline_btf;
mod install;
mod job;
mod log;
mod options;
mod package;
mod plan;
mod publish;
mod rebuild;
mod recipe;
mod record;
mod reduce;
mod report;
mod run_log;
mod runs;
mod service;
mod sframe;
mod store;
mod submit;
mod targets;
mod version_set;
mod watch;

use crate::base::{Diagnose, Diagnostic, secret};
use crate::report::style::{self, Color};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use output::{print, stream};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes, as `crossmill --help` and README.md list them.
pub mod exit {
    /// Everything requested exists.
    pub const DONE: u8 = 0;
    /// A stage failed.
    pub const FAILED: u8 = 1;
    /// The command line, `targets.toml` or a recipe is wrong; nothing was started.
    pub const USAGE: u8 = 2;
    /// This machine lacks a tool, or `doctor` found one missing.
    pub const HOST: u8 = 3;
    /// A source could not be fetched.
    pub const SOURCE: u8 = 4;
    /// The store cannot be used: read-only, full, damaged.
    pub const STORE: u8 = 5;
    /// The time budget ended; the same command carries on.
    pub const TIME_BUDGET: u8 = 6;
    /// Skipped commits hide the first bad one.
    pub const CANDIDATES: u8 = 7;
    /// Stopped by Ctrl-C or SIGTERM; what is finished is kept.
    pub const STOPPED: u8 = 130;

    /// Returns the exit code for the end of a run.
    pub fn of(end: crate::run::log::event::RunEnd) -> u8 {
        use crate::run::log::event::RunEnd;
        match end {
            RunEnd::Done => DONE,
            RunEnd::Failed => FAILED,
            RunEnd::SourceFailed => SOURCE,
            RunEnd::Interrupted => STOPPED,
            RunEnd::TimeBudget => TIME_BUDGET,
        }
    }
}

/// Build cross toolchains and Linux kernels for a matrix of targets, and check them
#[derive(Debug, Parser)]
#[command(
    name = "crossmill",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 a stage failed, 2 wrong usage or configuration, 3 this machine lacks a tool, \
                  4 a source could not be fetched, 5 the store cannot be used, 6 the time budget ended, \
                  7 a bisection ended with several commits, 130 stopped (what is finished is kept)."
)]
struct Cli {
    /// Change to this directory before doing anything
    #[arg(short = 'C', value_name = "DIR")]
    directory: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, global = true)]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bisect(bisect::Bisect),
    Btf(btf::BtfCommand),
    Build(build::Build),
    Cache(cache::CacheCommand),
    Check(check::Check),
    Ci(ci::Ci),
    Compare(compare::Compare),
    Fetch(build::Fetch),
    Package(package::Package),
    Publish(publish::Publish),
    Install(install::Install),
    Upgrade(install::Upgrade),
    Remove(install::Remove),
    Plan(plan::Plan),
    Log(log::Log),
    Reproduce(log::Reproduce),
    Timeline(log::Timeline),
    Shell(env::Shell),
    Env(env::Env),
    Doctor(doctor::Doctor),
    InlineBtf(inline_btf::InlineBtf),
    Sframe(sframe::SframeCommand),
    Targets(targets::Targets),
    Recipe(recipe::Recipe),
    Record(record::RecordCommand),
    Reduce(reduce::Reduce),
    Report(report::ReportCommand),
    Diff(report::Diff),
    Runs(runs::Runs),
    Completions(completions::Completions),
    Store(store::StoreCommand),
    Submit(submit::Submit),
    Watch(watch::Watch),
    #[command(name = "__job", hide = true)]
    Job(job::Job),
}

impl Command {
    // Whether it contacts a server or starts programs whose output goes to the log of a job.
    fn uses_credentials(&self) -> bool {
        matches!(
            self,
            Self::Build(_)
                | Self::Bisect(_)
                | Self::Compare(_)
                | Self::Watch(_)
                | Self::Submit(_)
                | Self::Job(_)
                | Self::Check(_)
                | Self::Fetch(_)
                | Self::Package(_)
                | Self::Publish(_)
                | Self::Install(_)
                | Self::Upgrade(_)
        )
    }
}

/// An error that ends a command: the message and the exit code.
#[derive(Debug)]
struct CliError {
    diagnostics: Vec<Diagnostic>,
    exit: u8,
}

type CliResult = Result<u8, CliError>;

impl CliError {
    fn new(exit: u8, diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic], exit }
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        if let Some(last) = self.diagnostics.pop() {
            self.diagnostics.push(last.hint(text));
        }
        self
    }

    fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, Diagnostic::new(message))
    }
}

impl From<Vec<Diagnostic>> for CliError {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, exit: exit::USAGE }
    }
}

impl From<Diagnostic> for CliError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::new(exit::USAGE, diagnostic)
    }
}

impl From<crate::store::Error> for CliError {
    fn from(error: crate::store::Error) -> Self {
        Self::new(exit::STORE, Diagnostic::from_error(&error))
    }
}

impl From<crate::source::Error> for CliError {
    fn from(error: crate::source::Error) -> Self {
        Self::new(exit::SOURCE, Diagnostic::from_error(&error))
    }
}

impl From<crate::publish::Error> for CliError {
    fn from(error: crate::publish::Error) -> Self {
        Self::new(exit::FAILED, Diagnostic::from_error(&error))
    }
}

impl From<crate::cache::Error> for CliError {
    fn from(error: crate::cache::Error) -> Self {
        use crate::cache::Error;
        let exit = match &error {
            Error::Options { .. } | Error::Key(_) | Error::Remote(crate::remote::Error::Unsupported { .. }) => {
                exit::USAGE
            }
            Error::Store(_) => exit::STORE,
            _ => exit::FAILED,
        };
        Self::new(exit, Diagnostic::from_error(&error))
    }
}

impl From<crate::process::Error> for CliError {
    fn from(error: crate::process::Error) -> Self {
        Self::new(exit::HOST, Diagnostic::from_error(&error))
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let hints = crate::base::access::hints(&error);
        Self::new(exit::FAILED, Diagnostic { hints, ..Diagnostic::new(error.to_string()) })
    }
}

impl From<crate::run::bisection::Error> for CliError {
    fn from(error: crate::run::bisection::Error) -> Self {
        use crate::run::bisection::Error;
        let exit = match error {
            Error::Run(error) => return error.into(),
            Error::Io(error) => return error.into(),
            Error::Source(error) => return error.into(),
            Error::Store(error) => return error.into(),
            Error::Surroundings(_) => exit::HOST,
            Error::Unreachable { .. } => exit::SOURCE,
            Error::InUse(_) | Error::Progress { .. } => exit::STORE,
            Error::TimeBudget => exit::TIME_BUDGET,
            Error::Interrupted => exit::STOPPED,
            _ => exit::USAGE,
        };
        Self::new(exit, Diagnostic::from_error(&error))
    }
}

impl From<crate::run::reduction::Error> for CliError {
    fn from(error: crate::run::reduction::Error) -> Self {
        use crate::run::reduction::Error;
        let exit = match &error {
            Error::NoEvidence { .. } => exit::USAGE,
            Error::NotInstalled { .. } => exit::HOST,
            Error::NoCrash { .. } | Error::Failed(_) | Error::Io(_) => exit::FAILED,
        };
        Self::new(exit, Diagnostic::from_error(&error))
    }
}

impl From<crate::run::Error> for CliError {
    fn from(error: crate::run::Error) -> Self {
        let exit = match &error {
            crate::run::Error::Usage(problems) => return problems.clone().into(),
            crate::run::Error::MissingTools(problem) | crate::run::Error::OtherKeys(problem) => {
                return Self::new(exit::HOST, (**problem).clone());
            }
            crate::run::Error::Engine(
                crate::run::engine::Error::File { .. } | crate::run::engine::Error::Path { .. },
            ) => exit::USAGE,
            crate::run::Error::Engine(crate::run::engine::Error::Io(_)) => exit::FAILED,
            crate::run::Error::Engine(_) => exit::HOST,
            crate::run::Error::CompilerLauncher(_) | crate::run::Error::Cancelled => exit::HOST,
            crate::run::Error::Store(_) => exit::STORE,
            crate::run::Error::Cache(_) => exit::USAGE,
            crate::run::Error::Source(_) => exit::SOURCE,
            crate::run::Error::NoExec { .. } | crate::run::Error::Bundle { .. } => exit::STORE,
            crate::run::Error::TimeBudget { .. } | crate::run::Error::DiskBudget { .. } => exit::USAGE,
            crate::run::Error::Process(_) | crate::run::Error::NotIsolated { .. } => exit::HOST,
            crate::run::Error::Io(_) | crate::run::Error::Defect(_) => exit::FAILED,
        };
        Self::new(exit, Diagnostic { hints: error.hints(), ..Diagnostic::from_error(&error) })
    }
}

/// Print at most a screen of messages.
const MOST_PRINTED: usize = 12;

/// Returns the whole program.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // This program may have been started as a supervisor, which must not do anything else first.
    if args.next().is_some_and(|arg| arg == "__supervise") {
        return crate::process::supervise::supervise_main(args);
    }
    credentials::of_process();
    let outcome = parse().and_then(|cli| {
        style::choose(cli.color);
        if let Some(directory) = &cli.directory {
            std::env::set_current_dir(directory)
                .map_err(|error| CliError::usage(format!("cannot change to {}: {error}", directory.display())))?;
        }
        run(cli.command)
    });
    ExitCode::from(outcome.unwrap_or_else(|trouble| {
        trouble.print();
        trouble.exit
    }))
}

impl CliError {
    /// Prints at most a screen of its messages to stderr.
    fn print(&self) {
        for (index, diagnostic) in self.diagnostics.iter().take(MOST_PRINTED).enumerate() {
            if index > 0 {
                errln!();
            }
            errln!("{diagnostic}");
        }
        if self.diagnostics.len() > MOST_PRINTED {
            errln!("\n… and {} more like these", self.diagnostics.len() - MOST_PRINTED);
        }
    }
}

/// Returns the answer to a spelling that has a new name.
fn renamed(old: &str, new: &str) -> CliError {
    Diagnostic::new(format!("`{old}` was renamed")).hint(format!("use `{new}`")).into()
}

// clap prints its own messages and ends the program, except for commands that have another name now.
fn parse() -> Result<Cli, CliError> {
    let first = std::env::args().nth(1);
    if let Some((old, new)) = first.as_deref().and_then(|word| Some((word, help::renamed(word)?))) {
        return Err(renamed(&format!("crossmill {old}"), &format!("crossmill {new}")));
    }
    let matches = help::grouped(Cli::command()).try_get_matches().map_err(refused)?;
    Cli::from_arg_matches(&matches).map_err(refused)
}

// clap quotes the arguments that it refuses.
fn refused(error: clap::Error) -> CliError {
    let text = error.render().to_string();
    if matches!(secret::redact(&text), std::borrow::Cow::Borrowed(_)) {
        error.exit();
    }
    let message = text.trim_start_matches("error: ").trim_end();
    CliError { diagnostics: vec![Diagnostic::new(message)], exit: exit::USAGE }
}

fn run(command: Command) -> CliResult {
    if command.uses_credentials() {
        credentials::mask();
    }
    match command {
        Command::Bisect(command) => command.run(),
        Command::Btf(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Cache(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Ci(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Fetch(command) => command.run(),
        Command::Package(command) => command.run(),
        Command::Publish(command) => command.run(),
        Command::Install(command) => command.run(),
        Command::Upgrade(command) => command.run(),
        Command::Remove(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Reproduce(command) => command.run(),
        Command::Timeline(command) => command.run(),
        Command::Shell(command) => command.run(),
        Command::Env(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::InlineBtf(command) => command.run(),
        Command::Sframe(command) => command.run(),
        Command::Targets(command) => command.run(),
        Command::Recipe(command) => command.run(),
        Command::Record(command) => command.run(),
        Command::Reduce(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Store(command) => command.run(),
        Command::Runs(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Submit(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Job(command) => command.run(),
    }
}
