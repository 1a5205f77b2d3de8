//! Executes a plan. Prints nothing: everything that happens is an [`log::event::Event`], and the
//! caller decides what to do with them.

pub mod bisection;
pub mod budget;
pub mod build_log;
pub mod bundle;
pub mod comparison;
pub mod context;
pub mod engine;
pub mod execute;
pub mod expectation;
pub mod failure_class;
mod flush;
pub mod host_comparison;
pub mod job_graph;
pub mod last_use;
pub mod log;
pub mod log_tail;
pub mod memory_pressure;
pub mod newest;
pub mod preflight;
pub mod reduction;
mod removal;
mod required_tools;
pub mod scheduler;
pub mod session;
pub mod shards;
pub mod simulation;
mod source_checks;
pub mod stage;
pub mod states;
mod uploads;
pub mod workspace;

pub use context::{IsolationMode, Options, Summary};
pub use execute::{Finished, RunOptions, execute};
pub use log::Emitter;
pub use scheduler::Scheduler;
pub use session::{Session, Setup};

use crate::base::{Diagnose, Diagnostic};
use crate::host::compiler_launcher;
use crate::{process, source, store};

/// The goal of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The packages that were asked for.
    Build,
    /// Their sources alone.
    Fetch,
    /// Checks of results that exist already; nothing is built.
    Check,
    /// What caches have of them; nothing is built.
    Pull,
}

/// Urgency of a request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stop {
    /// Not at all.
    #[default]
    No,
    /// Running steps get SIGTERM and their grace.
    Graceful,
    /// Running steps are killed.
    Immediate,
}

/// Errors that end a stage, or the run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Of a child process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// Of a source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Of a cache of finished stages.
    #[error(transparent)]
    Cache(#[from] crate::cache::Error),
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nothing that is built in the store could be run.
    #[error("the store `{store}` is on a file system that is mounted `noexec`")]
    NoExec {
        /// The store.
        store: std::path::PathBuf,
    },
    /// The configuration or the request is wrong; nothing was started.
    #[error("{}", first(.0))]
    Usage(Vec<Diagnostic>),
    /// This machine lacks tools.
    #[error("{}", .0.message)]
    MissingTools(Box<Diagnostic>),
    /// Of the compiler launcher.
    #[error(transparent)]
    CompilerLauncher(#[from] compiler_launcher::Error),
    /// Steps were to be isolated, and the machine cannot do all of it.
    #[error("steps cannot be isolated as required: {found}")]
    NotIsolated {
        /// Its limit.
        found: String,
    },
    /// A bundle cannot be imported.
    #[error("the bundle `{path}` cannot be imported: {why}")]
    Bundle {
        /// The file.
        path: std::path::PathBuf,
        /// The problem.
        why: String,
    },
    /// No stage can end within the time that the run may take.
    #[error("a time budget of {total} is too short: {stage} alone is expected to take {expected}")]
    TimeBudget {
        /// The stage that takes the least time of those that could start.
        stage: String,
        /// Its requirement.
        expected: String,
        /// The budget.
        total: String,
    },
    /// A stage alone takes more than the disk that the run may take.
    #[error("a disk budget of {total} is too small: {stage} and its source take {needed}")]
    DiskBudget {
        /// The stage.
        stage: String,
        /// Disk space for it and its source.
        needed: String,
        /// The budget.
        total: String,
    },
    /// A task ended in a panic, which is a defect.
    #[error("internal error: a task panicked: {0}")]
    Defect(String),
    /// Of an engine.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// This machine computes other keys than those that were submitted to it.
    #[error("{}", .0.message)]
    OtherKeys(Box<Diagnostic>),
    /// The user decided not to run without checks that lack tools.
    #[error("cancelled: nothing was started")]
    Cancelled,
}

fn first(problems: &[Diagnostic]) -> &str {
    problems.first().map_or("wrong configuration", |problem| problem.message.as_str())
}

impl From<Vec<Diagnostic>> for Error {
    fn from(problems: Vec<Diagnostic>) -> Self {
        Self::Usage(problems)
    }
}

impl From<Diagnostic> for Error {
    fn from(problem: Diagnostic) -> Self {
        Self::Usage(vec![problem])
    }
}

impl Diagnose for Error {
    fn location(&self) -> Option<crate::base::Location> {
        None
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::Process(error) => error.hints(),
            Self::Source(error) => error.hints(),
            Self::Cache(error) => error.hints(),
            Self::Io(error) => crate::base::access::hints(error),
            Self::Usage(problems) => problems.first().map(|problem| problem.hints.clone()).unwrap_or_default(),
            Self::MissingTools(problem) | Self::OtherKeys(problem) => problem.hints.clone(),
            Self::Engine(error) => error.hints(),
            Self::CompilerLauncher(error) => error.hints(),
            Self::Bundle { .. } => vec!["the store was not changed; copy or export the bundle again".into()],
            Self::TimeBudget { .. } => vec!["nothing was started; give more time, or more cores".into()],
            Self::DiskBudget { .. } => vec!["nothing was started; give more, or build fewer packages".into()],
            Self::NoExec { .. } => vec!["choose another with `--store DIR`, or mount it with `exec`".into()],
            Self::NotIsolated { .. } => vec!["`--isolation auto` uses what there is and records it".into()],
            Self::Cancelled => vec!["`crossmill doctor --install` installs the tools that checks need".into()],
            Self::Defect(_) => vec!["please report it; the next run carries on where this one stopped".into()],
        }
    }
}
