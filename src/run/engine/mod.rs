//! Runs of stages on other machines, by a service that has a queue of its own. crossmill divides the stages of a plan
//! among jobs (`packing.rs`, `resources.rs`), submits them with their dependencies, and follows the event logs that the
//! jobs write (`follow.rs`). A job is crossmill again, restricted to its stages (`submission.rs`).
//!
//! ```text
//! scheduler/engine.rs ──> packing ──> Follower ── Engine::submit, jobs, cancel ──> Slurm
//!    states, keys         resources      │                                          │
//!        ^                               │  DIR/jobs/N/RESTART/events.jsonl         │
//!        └───────── StageEnd ────────────┴──────────────────────── crossmill __job ─┘
//! ```
//!
//! Times of two machines are never compared: events of a job count from its own beginning, and get this machine's time
//! when they are read.

pub mod follow;
mod job_log;
pub mod packing;
pub mod resources;
pub mod slurm;
pub mod submission;

use crate::base::Diagnose;
use resources::{Limits, Resources};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A service with a queue of jobs. Calls block, for seconds at most.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Returns its name, for messages.
    fn name(&self) -> &'static str;
    /// Returns what a job may ask for. Also establishes that the service answers.
    fn limits(&self) -> Result<Limits, Error>;
    /// Submits a job.
    fn submit(&self, job: &JobRequest) -> Result<JobId, Error>;
    /// Returns the user's own jobs that crossmill submitted: those that are queued or run, and some that are over.
    fn jobs(&self) -> Result<Vec<JobInfo>, Error>;
    /// Ends jobs, queued or running; `at_once` leaves them no time. One that is over is no error.
    fn cancel(&self, jobs: &[JobId], at_once: bool) -> Result<(), Error>;
}

/// The service's own name of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A job to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// Its name, for people.
    pub name: String,
    /// Its directory, by which its submitter finds it again.
    pub dir: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Variables beside those of the environment.
    pub env: Vec<(String, String)>,
    /// The jobs that must have ended, in whatever way, before it starts.
    pub after: Vec<JobId>,
    /// What it needs.
    pub resources: Resources,
    /// Nodes that it must not run on.
    pub exclude: Vec<String>,
}

/// A job as the service reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    /// Its name.
    pub id: JobId,
    /// Its directory, as submitted.
    pub dir: PathBuf,
    /// Its state.
    pub state: JobState,
    /// The node that it runs or ran on; empty while it is queued.
    pub node: String,
    /// Why it waits, in the service's words.
    pub reason: String,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// In the queue, also when it runs again after its node was lost.
    Queued,
    /// In the queue until somebody releases it.
    Held,
    /// On a node.
    Running,
    /// Over, with the service's word for how it ended.
    Over(End),
}

/// How a job ended, as far as its submitter acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Its program ended by itself, with whatever code.
    Exited,
    /// Its time was over.
    TimeLimit,
    /// It used more memory than it asked for.
    OutOfMemory,
    /// Somebody cancelled it.
    Cancelled,
    /// Something else ended it: `NODE_FAIL`.
    Other(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exited => "it ended without a report",
            Self::TimeLimit => "its time limit",
            Self::OutOfMemory => "out of memory",
            Self::Cancelled => "cancelled",
            Self::Other(word) => word,
        })
    }
}

/// How a run hands its stages to an engine.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// What a job may ask for.
    pub limits: Limits,
    /// The directory of the jobs' files, which every node sees; the run's directory if none is named.
    pub dir: Option<PathBuf>,
    /// What a job needs to know of the command line.
    pub arguments: submission::Arguments,
    /// Variables of each job.
    pub env: Vec<(String, String)>,
    /// Whether nodes have stores of their own, so that results come by a cache.
    pub own_stores: bool,
}

/// Errors of an engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The commands of the service are not installed.
    #[error("{engine} cannot be used here: `{program}` is not installed")]
    NotInstalled {
        /// The engine.
        engine: &'static str,
        /// The program.
        program: &'static str,
    },
    /// The service does not answer.
    #[error("{engine} does not answer: {why}")]
    Down {
        /// The engine.
        engine: &'static str,
        /// Its message.
        why: String,
    },
    /// The service refuses.
    #[error("`{command}` failed: {why}")]
    Refused {
        /// What was run.
        command: String,
        /// Its message.
        why: String,
    },
    /// Its answer is none that was expected.
    #[error("`{command}` printed something unexpected: `{line}`")]
    Answer {
        /// What was run.
        command: String,
        /// The line.
        line: String,
    },
    /// A path that the service would take for something else.
    #[error("the path `{path}` has a character that job files cannot have")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A file of a submission.
    #[error("`{path}` cannot be understood: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotInstalled { .. } => vec![
                "run it on a login node of the cluster, or install the commands (Debian and Ubuntu: `apt-get install slurm-client munge`)"
                    .into(),
                "`crossmill build` with the same arguments builds on this machine".into(),
            ],
            Self::Down { .. } => vec![
                "`scontrol ping` shows whether the controller runs; SLURM_CONF names another configuration".into(),
                "nothing that was finished is lost: the same command carries on when it answers".into(),
            ],
            Self::Refused { .. } => {
                vec!["`--engine-option` passes options to sbatch: account, partition, constraints".into()]
            }
            Self::Path { .. } => vec!["letters, digits and `/ . _ + -` are safe; `--job-dir DIR` names another".into()],
            Self::File { .. } => vec!["another crossmill may have written it: submit again".into()],
            Self::Answer { .. } => Vec::new(),
            Self::Io(error) => crate::base::access::hints(error),
        }
    }
}
