//! The events of a run. The event log contains them, one JSON object per line, and all output about
//! a run is derived from them alone.

use crate::base::Key;
pub use crate::base::StageName;
pub use crate::base::check_result::CheckResult;
pub use crate::process::Usage;
pub use crate::run::build_log::Class;
pub use crate::store::history::StepTime;
use serde::{Deserialize, Serialize};

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// The event.
    pub event: Event,
}

/// The kind of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Brings a verified archive into the cache.
    Fetch,
    /// Unpacks and patches it into a read-only tree.
    Unpack,
    /// Runs a recipe's steps and publishes what they installed.
    Build,
    /// Runs a recipe's steps to check a result.
    Check,
}

/// Outcome of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum StageOutcome {
    /// It ran in this run and is finished.
    Done,
    /// Its result was in the store.
    Cached,
    /// Another crossmill process built it while this one waited.
    #[serde(rename = "shared")]
    BuiltElsewhere,
    /// Its result was taken from a cache that other machines fill.
    Pulled,
    /// It ran and failed.
    Failed {
        /// A line for the table.
        why: String,
    },
    /// It could not run because what it needs failed.
    Blocked {
        /// The stage that failed or is not built, with a remark where that alone does not explain it.
        by: String,
    },
    /// The run was stopped before it was finished.
    Interrupted,
    /// It cannot be done for this target, which is no fault.
    Unsupported {
        /// The reason.
        why: String,
    },
    /// A check that this machine cannot run.
    Skipped {
        /// The missing parts, and how to get them.
        why: String,
    },
    /// A check that failed as the matrix expects.
    KnownFailure {
        /// The cause.
        why: String,
    },
}

impl StageOutcome {
    /// Returns the word that every output uses: the table, JSON, the record.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cached => "cached",
            Self::BuiltElsewhere => "shared",
            Self::Pulled => "pulled",
            Self::Failed { .. } => "failed",
            Self::Blocked { .. } => "blocked",
            Self::Interrupted => "interrupted",
            Self::Unsupported { .. } => "unsupported",
            Self::Skipped { .. } => "skipped",
            Self::KnownFailure { .. } => "known-failure",
        }
    }

    /// Returns the reason, or the stage that it is blocked by.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Failed { why } | Self::Unsupported { why } | Self::Skipped { why } | Self::KnownFailure { why } => {
                Some(why)
            }
            Self::Blocked { by } => Some(by),
            Self::Done | Self::Cached | Self::BuiltElsewhere | Self::Pulled | Self::Interrupted => None,
        }
    }

    /// Returns whether the stage's result exists.
    #[must_use]
    pub fn has_result(&self) -> bool {
        matches!(self, Self::Done | Self::Cached | Self::BuiltElsewhere | Self::Pulled)
    }
}

/// End of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every goal exists.
    Done,
    /// A stage failed.
    Failed,
    /// Nothing failed but a fetch.
    SourceFailed,
    /// It was asked to stop.
    Interrupted,
    /// Its time budget ended.
    TimeBudget,
}

impl RunEnd {
    /// Returns the word that every output uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::SourceFailed => "source-failed",
            Self::Interrupted => "interrupted",
            Self::TimeBudget => "time-budget",
        }
    }
}

// Event logs had the exit code until this type came.
fn run_end<'de, D: serde::Deserializer<'de>>(from: D) -> Result<RunEnd, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum WordOrCode {
        Word(RunEnd),
        Code(u8),
    }
    Ok(match WordOrCode::deserialize(from)? {
        WordOrCode::Word(end) => end,
        WordOrCode::Code(0) => RunEnd::Done,
        WordOrCode::Code(4) => RunEnd::SourceFailed,
        WordOrCode::Code(6) => RunEnd::TimeBudget,
        WordOrCode::Code(130) => RunEnd::Interrupted,
        WordOrCode::Code(_) => RunEnd::Failed,
    })
}

/// A stage, as announced at the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageInfo {
    /// Its name.
    pub name: StageName,
    /// Its kind.
    pub kind: Kind,
    /// The row of the table it belongs to: a target, or `host`, or `sources`.
    #[serde(alias = "row")]
    pub scope: String,
    /// The column of the table: a package.
    #[serde(alias = "column")]
    pub package: String,
    /// The version it builds.
    pub version: String,
    /// Its key, as far as it is known before the sources are here.
    pub key: Key,
    /// Seconds it is expected to take on this machine.
    pub expected: f64,
    /// Whether it is finished already.
    pub cached: bool,
    /// For a check: what is expected of it.
    #[serde(default)]
    pub expectation: Option<String>,
    /// The stages of this run that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StageName>,
    /// The durations of its steps when they last ran; empty if unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
}

/// A row that has no stage of its own for a column: i386 uses the GCC of x86_64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BorrowedToolchain {
    /// The row without a stage: `i386`.
    #[serde(alias = "row")]
    pub scope: String,
    /// The column: `gcc`.
    #[serde(alias = "column")]
    pub package: String,
    /// The row that has it: `x86_64`.
    #[serde(alias = "with")]
    pub owner: String,
}

/// The parts of the request that are not in a stage's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The profile.
    pub profile: Option<String>,
    /// The release set.
    pub release_set: Option<String>,
    /// Every setting, as text.
    pub set: std::collections::BTreeMap<String, String>,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Event {
    /// The first event.
    RunStarted {
        /// The run's name: also its directory's.
        run: String,
        /// The crossmill version.
        version: String,
        /// The command line, for people.
        command: Vec<String>,
        /// RFC 3339, UTC.
        started: String,
        /// Job tokens.
        jobs: usize,
        /// Bytes of memory the scheduler may plan with.
        memory: u64,
        /// All stages of the run.
        stages: Vec<StageInfo>,
        /// Cells of the table that stand for another row's stage.
        #[serde(default, alias = "shared")]
        borrowed: Vec<BorrowedToolchain>,
        /// The request; missing in older logs.
        #[serde(default)]
        choice: Option<Choice>,
    },
    /// Stages that became necessary because a cache did not have what it was expected to have.
    StagesAdded {
        /// The stages.
        stages: Vec<StageInfo>,
    },
    /// The result of a stage was taken from a cache.
    StagePulled {
        /// Which.
        stage: StageName,
        /// The cache, without credentials.
        cache: String,
        /// The number of the key that signed the result.
        signer: String,
        /// Bytes of the result.
        bytes: u64,
    },
    /// What the caches did, at the end of a run that used any.
    CacheUsed {
        /// The statistics.
        stats: crate::cache::Stats,
    },
    /// A stage has begun.
    StageStarted {
        /// Which.
        stage: StageName,
    },
    /// A stage waits for something that is not its turn: a lock of another process, memory.
    StageWaiting {
        /// Which.
        stage: StageName,
        /// For what, to be read after "waiting for".
        what: String,
    },
    /// A step of a stage has begun.
    StepStarted {
        /// Which stage.
        stage: StageName,
        /// The step's name.
        step: String,
        /// The log file.
        log: String,
        /// Whether it was resumed in the build tree of an earlier run that was stopped gracefully.
        resumed: bool,
    },
    /// The current activity of a running step, at most a few times a second (`gcc/tree-vrp.cc`).
    StepActivity {
        /// Which stage.
        stage: StageName,
        /// What.
        what: String,
        /// Number of work items that its log has reported so far; older logs lack it.
        #[serde(default)]
        done: u64,
    },
    /// A step is over.
    StepFinished {
        /// Which stage.
        stage: StageName,
        /// The step's name.
        step: String,
        /// Whether it succeeded.
        ok: bool,
        /// Its usage.
        usage: Usage,
    },
    /// Bytes of a download.
    FetchProgress {
        /// Which stage.
        stage: StageName,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, when known.
        total: Option<u64>,
    },
    /// A source did not serve and the next try or the next source follows.
    FetchRetry {
        /// Which stage.
        stage: StageName,
        /// The source that did not serve.
        source: String,
        /// Why.
        why: String,
        /// The next action, to be read after a comma (`again in 1.2s`, `next source`).
        next: String,
    },
    /// Which source was used.
    FetchUsed {
        /// Which stage.
        stage: StageName,
        /// The source that served.
        source: String,
        /// Whether it was in the cache.
        cached: bool,
        /// Bytes that came over the network.
        bytes: u64,
    },
    /// Load of the machine by the steps, sampled every few seconds while any runs.
    Load {
        /// Processor cores the steps kept busy on average since the last of these events.
        cores: f64,
        /// Job tokens in use now.
        tokens: usize,
        /// Memory the steps use now, KiB; 0 when not measured.
        memory_kib: u64,
    },
    /// A remark for people that belongs to a stage or to the run.
    Notice {
        /// Which stage, if one.
        stage: Option<StageName>,
        /// A warning or only information.
        warning: bool,
        /// The remark.
        text: String,
    },
    /// A stage is over.
    StageFinished {
        /// Which.
        stage: StageName,
        /// How.
        state: StageOutcome,
        /// The usage of all its steps in this run.
        usage: Usage,
        /// For a failure: the cause from the log and the next steps.
        failure: Option<Failure>,
        /// Path of the result.
        result: Option<String>,
        /// For a check: its result; files are absolute paths.
        #[serde(default)]
        #[serde(rename = "account")]
        check_result: Option<CheckResult>,
    },
    /// The last event.
    RunFinished {
        /// Seconds of wall-clock time.
        wall: f64,
        /// Seconds of processor time of all steps.
        cpu: f64,
        /// Seconds in which steps could run: outside fetch and the final tail.
        busy_wall: f64,
        /// Processor seconds used within `busy_wall`.
        busy_cpu: f64,
        /// The largest sum of memory seen in use by steps, KiB; 0 when not measured.
        peak_kib: u64,
        /// End of the run. Older logs have the exit code instead.
        #[serde(alias = "exit", deserialize_with = "run_end")]
        end: RunEnd,
    },
}

/// The details that a user needs to act on a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub step: String,
    /// End of the step: `exit code 2`, `killed by signal 9`, `time limit of 45m`.
    pub ended: String,
    /// Why, as far as the exit status, the machine and the log show; older logs lack it.
    #[serde(default)]
    pub class: Class,
    /// The first real error lines with context.
    pub excerpt: Vec<String>,
    /// The full log.
    pub log: String,
    /// The command that shows it again.
    pub reproduce: String,
    /// Files that show it: of a compiler that crashed the command and the preprocessed source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}
