//! Why a bisection cannot begin, or cannot go on.

use super::outcome::Surroundings;
use crate::base::Diagnose;
use crate::{run, source, store};
use std::path::PathBuf;

/// Why a bisection cannot begin, or cannot go on. What was tested is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no such commit.
    #[error("`{repository}` has no revision `{rev}`")]
    NoRevision {
        /// The revision.
        rev: String,
        /// The repository.
        repository: String,
    },
    /// The repository cannot be read.
    #[error("the history of `{repository}` cannot be read")]
    Unreachable {
        /// The repository.
        repository: String,
        /// Why.
        source: Box<source::Error>,
    },
    /// Both ends are one commit.
    #[error("`{good}` and `{bad}` are the same commit")]
    Empty {
        /// The good end.
        good: String,
        /// The bad end.
        bad: String,
    },
    /// Two sets are the same.
    #[error("`{good}` and `{bad}` have the same versions and settings")]
    SameSets {
        /// The good set.
        good: String,
        /// The bad set.
        bad: String,
    },
    /// The good end is not an ancestor of the bad one.
    #[error("`{good}` is not an ancestor of `{bad}`")]
    NotAncestor {
        /// The good end.
        good: String,
        /// The bad end.
        bad: String,
        /// Advice.
        hint: String,
    },
    /// The bad end does not fail.
    #[error("the bad end `{rev}` has no failure: {what} passes")]
    BadPasses {
        /// The bad end.
        rev: String,
        /// What passes.
        what: String,
    },
    /// The good end fails.
    #[error("the good end `{rev}` fails: {why}")]
    GoodFails {
        /// The good end.
        rev: String,
        /// Its failure.
        why: String,
    },
    /// An end cannot be tested.
    #[error("the {end} end `{rev}` cannot be tested: {why}")]
    Untestable {
        /// `good` or `bad`.
        end: &'static str,
        /// The end.
        rev: String,
        /// Why.
        why: String,
    },
    /// The machine, and no commit, is at fault.
    #[error("the bisection stopped: {} failed for a reason that is not in the code: {}", .0.stage, .0.why)]
    Surroundings(Surroundings),
    /// The time budget ended.
    #[error("the time budget ended")]
    TimeBudget,
    /// Ctrl-C, or another signal.
    #[error("the bisection was interrupted")]
    Interrupted,
    /// Another process works on it.
    #[error("another process works on this bisection: {0}")]
    InUse(String),
    /// The kept progress is damaged, or that of another version.
    #[error("the progress in `{path}` cannot be used: {why}")]
    Progress {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The script cannot be run.
    #[error("the script `{path}` cannot be run: {why}")]
    Script {
        /// The script.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Of a run.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Of git.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Diagnose for Error {
    fn location(&self) -> Option<crate::base::Location> {
        None
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Run(error) => return error.hints(),
            Self::Io(error) => return crate::base::access::hints(error),
            Self::Source(error) => return error.hints(),
            Self::Store(error) => return error.hints(),
            Self::NoRevision { .. } => {
                "write the range as GOOD..BAD, each a tag, a branch or a commit of the repository"
            }
            Self::Unreachable { .. } => {
                "name a repository with `--repository URL_OR_DIR`; `--offline` uses what was fetched before"
            }
            Self::Empty { .. } => "the good end is a commit before the failure, the bad end one that has it",
            Self::SameSets { .. } => "name sets that differ: what they share cannot bring a failure of one of them",
            Self::NotAncestor { hint, .. } => hint,
            Self::BadPasses { .. } => "name a commit that fails as the bad end; nothing else was tested",
            Self::GoodFails { .. } => "name an older commit as the good end; the failure may be older than the range",
            Self::Untestable { .. } => {
                "name another commit as this end, or leave `--check` out to bisect a build failure"
            }
            Self::Surroundings(_) => {
                "correct it, then run the same command: it carries on with the commit that was being tested"
            }
            Self::TimeBudget | Self::Interrupted => "run the same command to carry on",
            Self::InUse(_) => "wait for it; only one process at a time can carry on a bisection",
            Self::Progress { .. } => "`--restart` begins again; finished stages are kept",
            Self::Script { .. } => {
                "name an executable file: exit code 0 is good, 125 skips the commit, any other below 128 is bad"
            }
        };
        vec![hint.to_owned()]
    }
}
