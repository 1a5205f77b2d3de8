//! The model of a run: a fold over its events, and nothing else.
//!
//! Reads no clock: the current time is passed as milliseconds since the start of the run. Events in
//! any order, even from a truncated log, produce a model.

pub use super::download::Download;
use crate::run::log::event::{
    BorrowedToolchain, CheckResult, Choice, Event, Failure, Kind, RunEnd, StageInfo, StageName, StageOutcome, Stamped,
    Usage,
};
use indexmap::IndexMap;
use std::time::Duration;

/// The state of a run, folded from its events so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunModel {
    /// The announced stages; empty before that.
    pub run: Run,
    /// All stages in the order announced.
    pub stages: IndexMap<StageName, Stage>,
    /// Remarks, oldest first.
    pub notices: Vec<Notice>,
    /// Every load event.
    pub loads: Vec<Load>,
    /// What the caches did, once the run is over.
    pub cache: Option<crate::cache::Stats>,
    /// The last event's totals, once the run is over.
    pub totals: Option<Totals>,
    /// The time of the latest event, milliseconds since the run began.
    pub latest_ms: u64,
}

/// Properties of the run as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// The crossmill version.
    pub version: String,
    /// The command line, for people.
    pub command: Vec<String>,
    /// RFC 3339, UTC.
    pub started: String,
    /// Job tokens.
    pub jobs: usize,
    /// Bytes of memory the scheduler may plan with.
    pub memory: u64,
    /// Cells that stand for another row's stage.
    pub borrowed: Vec<BorrowedToolchain>,
    /// The request; missing in older logs.
    pub choice: Option<Choice>,
}

/// The state of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its announcement.
    pub info: StageInfo,
    /// Phase of the stage.
    pub phase: StagePhase,
    /// When it began.
    pub started_ms: Option<u64>,
    /// When it was over.
    pub ended_ms: Option<u64>,
    /// Its steps so far, the last one is running unless ended.
    pub steps: Vec<Step>,
    /// The current activity of its running step.
    pub activity: Option<String>,
    /// Its download.
    pub download: Option<Download>,
    /// Tries that did not serve.
    pub retries: Vec<Retry>,
    /// Which source served.
    pub source: Option<SourceUsed>,
    /// The cache that its result was taken from.
    pub pulled: Option<Pulled>,
    /// Its total usage, once it has ended.
    pub usage: Usage,
    /// Details of its failure.
    pub failure: Option<Failure>,
    /// Path of the result.
    pub result: Option<String>,
    /// For a check: its result.
    pub check_result: Option<CheckResult>,
}

/// Phase of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagePhase {
    /// Not begun.
    Pending,
    /// Begun and not over.
    Running,
    /// Waits for something that is not its turn.
    Waiting {
        /// To be read after "waiting for".
        what: String,
    },
    /// Over.
    Over(StageOutcome),
}

impl StagePhase {
    /// Returns the word that every output uses.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting { .. } => "waiting",
            Self::Over(outcome) => outcome.as_str(),
        }
    }
}

/// A step of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its log.
    pub log: String,
    /// Whether it was resumed in the tree of an earlier run.
    pub resumed: bool,
    /// When it began.
    pub started_ms: u64,
    /// When it was over, and whether it succeeded.
    pub ended: Option<(u64, bool)>,
    /// Its usage, once it has ended.
    pub usage: Usage,
    /// Pieces of work that its log has reported.
    pub units: u64,
}

/// A try of a download that did not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The source that did not serve.
    pub source: String,
    /// Why.
    pub why: String,
}

/// Which source served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceUsed {
    /// Its label.
    pub source: String,
    /// Whether it was in the cache.
    pub cached: bool,
    /// Bytes that came over the network.
    pub bytes: u64,
}

/// Which cache a result was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The cache.
    pub cache: String,
    /// The number of the key that signed the result.
    pub signer: String,
    /// Bytes of the result.
    pub bytes: u64,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The stage it belongs to, if one.
    pub stage: Option<StageName>,
    /// A warning or only information.
    pub warning: bool,
    /// The remark.
    pub text: String,
}

/// Sample of the machine's load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// When.
    pub at_ms: u64,
    /// Cores kept busy.
    pub cores: f64,
    /// Tokens in use.
    pub tokens: usize,
    /// Memory in use, KiB; 0 when not measured.
    pub memory_kib: u64,
}

/// The totals of a finished run, from its last event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds of processor time of all steps.
    pub cpu: f64,
    /// Seconds outside fetch and the final tail.
    pub busy_wall: f64,
    /// Processor seconds within `busy_wall`.
    pub busy_cpu: f64,
    /// Peak memory of all steps together, KiB; 0 when not measured.
    pub peak_kib: u64,
    /// Its outcome.
    pub end: RunEnd,
}

/// Number of stages in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All stages.
    pub all: usize,
    /// Over, in whatever way.
    pub over: usize,
    /// Begun and not over.
    pub running: usize,
    /// Failed.
    pub failed: usize,
    /// Finished already before this run.
    pub cached: usize,
}

impl RunModel {
    /// Returns the model of all `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut model = Self::default();
        events.into_iter().for_each(|event| model.apply(event));
        model
    }

    /// Takes the next event. One that names an unknown stage changes nothing.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at_ms;
        self.latest_ms = self.latest_ms.max(at);
        match &stamped.event {
            Event::RunStarted { run, version, command, started, jobs, memory, stages, borrowed, choice } => {
                self.run = Run {
                    name: run.clone(),
                    version: version.clone(),
                    command: command.clone(),
                    started: started.clone(),
                    jobs: *jobs,
                    memory: *memory,
                    borrowed: borrowed.clone(),
                    choice: choice.clone(),
                };
                self.stages = stages.iter().map(|info| (info.name.clone(), Stage::new(info.clone()))).collect();
            }
            Event::StagesAdded { stages } => {
                for info in stages {
                    self.stages.entry(info.name.clone()).or_insert_with(|| Stage::new(info.clone()));
                }
            }
            Event::CacheUsed { stats } => self.cache = Some(*stats),
            Event::Load { cores, tokens, memory_kib } => {
                let cores = if cores.is_finite() { cores.max(0.0) } else { 0.0 };
                self.loads.push(Load { at_ms: at, cores, tokens: *tokens, memory_kib: *memory_kib });
            }
            Event::Notice { stage, warning, text } => {
                self.notices.push(Notice { stage: stage.clone(), warning: *warning, text: text.clone() });
            }
            &Event::RunFinished { wall, cpu, busy_wall, busy_cpu, peak_kib, end } => {
                self.totals = Some(Totals { wall, cpu, busy_wall, busy_cpu, peak_kib, end });
            }
            Event::StageStarted { stage }
            | Event::StageWaiting { stage, .. }
            | Event::StepStarted { stage, .. }
            | Event::StepActivity { stage, .. }
            | Event::StepFinished { stage, .. }
            | Event::FetchProgress { stage, .. }
            | Event::FetchRetry { stage, .. }
            | Event::FetchUsed { stage, .. }
            | Event::StagePulled { stage, .. }
            | Event::StageFinished { stage, .. } => {
                if let Some(stage) = self.stages.get_mut(stage) {
                    stage.apply(at, &stamped.event);
                }
            }
        }
    }

    /// Returns how many stages are in which state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { all: self.stages.len(), ..Counts::default() };
        for stage in self.stages.values() {
            match &stage.phase {
                StagePhase::Pending => {}
                StagePhase::Running | StagePhase::Waiting { .. } => counts.running += 1,
                StagePhase::Over(state) => {
                    counts.over += 1;
                    counts.failed += usize::from(matches!(state, StageOutcome::Failed { .. }));
                    counts.cached += usize::from(matches!(state, StageOutcome::Cached));
                }
            }
        }
        counts
    }

    /// Returns the stages that have begun and are not over, the longest running first.
    pub fn running(&self) -> Vec<&Stage> {
        let mut running: Vec<&Stage> = self.stages.values().filter(|stage| stage.is_running()).collect();
        running.sort_by_key(|stage| stage.started_ms);
        running
    }

    /// Returns the last load event, if it is not older than ten seconds at `now_ms`.
    pub fn load(&self, now_ms: u64) -> Option<Load> {
        self.loads.last().copied().filter(|load| now_ms.saturating_sub(load.at_ms) <= 10_000)
    }

    /// Processor seconds of all steps that are over.
    pub fn cpu_seconds(&self) -> f64 {
        self.stages.values().flat_map(|stage| &stage.steps).map(|step| cpu(&step.usage)).sum()
    }

    /// Returns the checks that neither passed nor failed, each with its outcome's word and the reason.
    pub fn set_aside(&self) -> impl Iterator<Item = (&Stage, &'static str, &str)> {
        self.stages.values().filter_map(|stage| match &stage.phase {
            StagePhase::Over(
                outcome @ (StageOutcome::Unsupported { why }
                | StageOutcome::Skipped { why }
                | StageOutcome::KnownFailure { why }),
            ) => Some((stage, outcome.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// Returns the failed stages.
    pub fn failed(&self) -> impl Iterator<Item = &Stage> {
        self.stages.values().filter(|stage| matches!(stage.phase, StagePhase::Over(StageOutcome::Failed { .. })))
    }
}

/// Processor seconds.
pub fn cpu(usage: &Usage) -> f64 {
    let seconds = usage.user + usage.system;
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}

impl Stage {
    fn new(info: StageInfo) -> Self {
        let phase = if info.cached { StagePhase::Over(StageOutcome::Cached) } else { StagePhase::Pending };
        Self {
            info,
            phase,
            started_ms: None,
            ended_ms: None,
            steps: Vec::new(),
            activity: None,
            download: None,
            retries: Vec::new(),
            source: None,
            pulled: None,
            usage: Usage::default(),
            failure: None,
            result: None,
            check_result: None,
        }
    }

    fn apply(&mut self, at: u64, event: &Event) {
        match event {
            Event::StageStarted { .. } => self.begin(at),
            Event::StageWaiting { what, .. } => {
                self.begin(at);
                self.phase = StagePhase::Waiting { what: what.clone() };
            }
            Event::StepStarted { step, log, resumed, .. } => {
                self.begin(at);
                self.activity = None;
                self.steps.push(Step {
                    name: step.clone(),
                    log: log.clone(),
                    resumed: *resumed,
                    started_ms: at,
                    ended: None,
                    usage: Usage::default(),
                    units: 0,
                });
            }
            Event::StepActivity { what, done, .. } => {
                self.activity = Some(what.clone());
                if let Some(step) = self.steps.last_mut() {
                    step.units = step.units.max(*done);
                }
            }
            Event::StepFinished { step, ok, usage, .. } => {
                self.activity = None;
                let open = |found: &&mut Step| found.name == *step && found.ended.is_none();
                if let Some(step) = self.steps.iter_mut().rev().find(open) {
                    step.ended = Some((at, *ok));
                    step.usage = *usage;
                }
            }
            Event::FetchProgress { done, total, .. } => {
                self.begin(at);
                let download = self.download.get_or_insert_with(|| Download::begin(at, *done, *total));
                download.advance(at, *done, *total);
            }
            Event::FetchRetry { source, why, .. } => {
                self.download = None;
                self.retries.push(Retry { source: source.clone(), why: why.clone() });
            }
            Event::FetchUsed { source, cached, bytes, .. } => {
                self.source = Some(SourceUsed { source: source.clone(), cached: *cached, bytes: *bytes });
            }
            Event::StagePulled { cache, signer, bytes, .. } => {
                self.pulled = Some(Pulled { cache: cache.clone(), signer: signer.clone(), bytes: *bytes });
            }
            Event::StageFinished { state, usage, failure, result, check_result, .. } => {
                self.phase = StagePhase::Over(state.clone());
                self.ended_ms = Some(at);
                self.usage = *usage;
                self.failure.clone_from(failure);
                self.result.clone_from(result);
                self.check_result.clone_from(check_result);
                self.activity = None;
            }
            _ => {}
        }
    }

    fn begin(&mut self, at: u64) {
        self.started_ms.get_or_insert(at);
        if !matches!(self.phase, StagePhase::Over(_)) {
            self.phase = StagePhase::Running;
        }
    }

    /// Begun and not over.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, StagePhase::Running | StagePhase::Waiting { .. })
    }

    /// Returns whether it ran, or tried to, in this run.
    pub fn has_run(&self) -> bool {
        self.started_ms.is_some()
    }

    /// Returns the step that runs.
    pub fn step(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.ended.is_none())
    }

    /// Returns how long it has run at `now_ms`, or how long it ran.
    pub fn elapsed(&self, now_ms: u64) -> Duration {
        let wall = Duration::try_from_secs_f64(self.usage.wall).unwrap_or_default();
        match (self.started_ms, self.ended_ms) {
            (_, Some(_)) if !wall.is_zero() => wall,
            (Some(started), ended) => Duration::from_millis(ended.unwrap_or(now_ms).saturating_sub(started)),
            (None, _) => Duration::ZERO,
        }
    }

    /// Returns whether it is a matter of bytes and not of a processor.
    pub fn is_fetch(&self) -> bool {
        self.info.kind == Kind::Fetch
    }
}
