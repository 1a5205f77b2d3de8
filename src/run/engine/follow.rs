//! Submits the jobs of a run and follows them until every stage has ended. A thread of its own: calls of an engine block.
//!
//! What a stage did comes from the event log of its job, never from the service: that only says whether a job is over.
//! A job that is over while some of its stages have no end was lost, and these are submitted once more.

mod ends;
mod queue;

use super::job_log::{JobLog, Read};
use super::resources::Resources;
use super::{Dispatch, End, JobId, JobInfo, JobState};
use crate::base::{Key, StageName};
use crate::run::Stop;
use crate::run::context::StageEnd;
use crate::run::log::Emitter;
use crate::run::log::event::{Event, Kind, StageOutcome, Usage};
use crate::run::memory_pressure::UsageLedger;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Interval between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Interval between two reports of the load.
const LOAD_EVERY: Duration = Duration::from_secs(3);
/// Tries of a job that the service ended.
const TRIES: u32 = 3;
/// How long cancelled jobs may take to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long jobs may take to end after their last stage.
const GOODBYE: Duration = Duration::from_secs(15);

/// A stage that the engine runs.
#[derive(Debug)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Its key.
    pub key: Key,
    /// The stages of this run that it needs.
    pub needs: Vec<StageName>,
    /// Receives its end.
    pub done: oneshot::Sender<StageEnd>,
}

/// A job to submit.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its stages, each after those that it needs.
    pub stages: Vec<StageName>,
    /// What it needs.
    pub resources: Resources,
}

/// A job of an earlier run that has not ended.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The job.
    pub info: JobInfo,
    /// Its stages that this run needs.
    pub stages: Vec<StageName>,
    /// What it asked for.
    pub resources: Resources,
}

// How a job was submitted.
#[derive(Debug, Clone)]
struct How {
    resources: Resources,
    exclude: Vec<String>,
    // Tries, with this one.
    tries: u32,
}

impl How {
    fn first(resources: Resources) -> Self {
        Self { resources, exclude: Vec::new(), tries: 1 }
    }
}

#[derive(Debug)]
struct Job {
    id: JobId,
    dir: PathBuf,
    stages: Vec<StageName>,
    how: How,
    log: JobLog,
    state: JobState,
    node: String,
    // Looks that did not find it in the queue.
    unseen: u32,
    requeued: u32,
    load: Option<(f64, usize, u64)>,
    // Ends that count once the job is over, where results travel by a cache.
    ends: Vec<(StageName, StageEnd)>,
    over: bool,
}

/// The jobs of a run.
#[derive(Debug)]
pub struct Follower {
    dispatch: Dispatch,
    dir: PathBuf,
    program: PathBuf,
    emitter: Emitter,
    ledger: UsageLedger,
    stop: watch::Receiver<Stop>,
    keys: BTreeMap<StageName, Key>,
    needs: BTreeMap<StageName, Vec<StageName>>,
    // Stages that have no end yet.
    open: BTreeMap<StageName, oneshot::Sender<StageEnd>>,
    failed: BTreeSet<StageName>,
    // The last job of each stage.
    holder: BTreeMap<StageName, usize>,
    jobs: Vec<Job>,
    // Jobs that are still to be submitted.
    queue: VecDeque<NewJob>,
    submitted: usize,
    said: BTreeSet<String>,
    reported: Instant,
    last_end: Instant,
    cancelled: Option<(Instant, Stop)>,
}

fn end(state: StageOutcome) -> StageEnd {
    StageEnd {
        state,
        usage: Usage::default(),
        failure: None,
        result: None,
        time: None,
        chosen: None,
        check_result: None,
    }
}

impl Follower {
    /// Prepares to run `stages`; `dir` is where the jobs' files are.
    #[must_use]
    pub fn new(
        dispatch: Dispatch,
        (dir, program): (PathBuf, PathBuf),
        stages: Vec<Stage>,
        (emitter, ledger, stop): (Emitter, UsageLedger, watch::Receiver<Stop>),
    ) -> Self {
        let mut follower = Self {
            dispatch,
            dir,
            program,
            emitter,
            ledger,
            stop,
            keys: BTreeMap::new(),
            needs: BTreeMap::new(),
            open: BTreeMap::new(),
            failed: BTreeSet::new(),
            holder: BTreeMap::new(),
            jobs: Vec::new(),
            queue: VecDeque::new(),
            submitted: 0,
            said: BTreeSet::new(),
            reported: Instant::now(),
            last_end: Instant::now(),
            cancelled: None,
        };
        for stage in stages {
            follower.keys.insert(stage.name.clone(), stage.key);
            follower.needs.insert(stage.name.clone(), stage.needs);
            follower.open.insert(stage.name, stage.done);
        }
        follower
    }

    /// Runs until every job is over. `jobs` are in an order in which each comes after those that it needs.
    pub fn run(mut self, adopted: Vec<Adopted>, jobs: Vec<NewJob>) {
        for Adopted { info, stages, resources } in adopted {
            let text = format!("job {} of an earlier run is taken up: {}", info.id, listed(&stages));
            self.emitter.notice(None, false, text);
            self.follow(info.id, info.dir, stages, How::first(resources));
        }
        self.queue.extend(jobs);
        loop {
            self.submit_queue();
            self.cancel_if_asked();
            self.look();
            let is_done = self.open.values().all(oneshot::Sender::is_closed) && self.last_end.elapsed() > GOODBYE;
            if is_done || (self.queue.is_empty() && self.jobs.iter().all(|job| job.over)) {
                return;
            }
            self.pause();
        }
    }

    fn pause(&self) {
        let began = Instant::now();
        let known = *self.stop.borrow();
        while began.elapsed() < LOOK && *self.stop.borrow() == known {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow() > Stop::No
    }

    fn look(&mut self) {
        // First the states and then the logs: a job that is over has written all of its log.
        match self.dispatch.engine.jobs() {
            Ok(infos) => {
                self.said.remove("down");
                self.update(&infos);
            }
            Err(error) if self.said.insert("down".to_owned()) => {
                self.emitter.notice(None, true, format!("{error}; jobs that run go on"));
            }
            Err(_) => {}
        }
        for at in 0..self.jobs.len() {
            if !self.jobs[at].over {
                self.read_log(at);
            }
        }
        for at in 0..self.jobs.len() {
            if !self.jobs[at].over && matches!(self.jobs[at].state, JobState::Over(_)) {
                self.ended(at);
            }
        }
        let late = self.cancelled.is_some_and(|(at, how)| how == Stop::Immediate || at.elapsed() > PATIENCE);
        if late {
            let left = self.jobs.iter_mut().filter(|job| !job.over);
            left.for_each(|job| job.over = true);
            let open: Vec<StageName> = self.open.keys().cloned().collect();
            open.iter().for_each(|name| self.deliver(name, end(StageOutcome::Interrupted)));
        }
        self.cancel_useless();
        self.report_load();
    }

    fn update(&mut self, infos: &[JobInfo]) {
        let by_id: BTreeMap<&JobId, &JobInfo> = infos.iter().map(|info| (&info.id, info)).collect();
        for at in 0..self.jobs.len() {
            if self.jobs[at].over {
                continue;
            }
            let Some(info) = by_id.get(&self.jobs[at].id) else {
                // The service forgets jobs some minutes after their end.
                self.jobs[at].unseen += 1;
                if self.jobs[at].unseen > 1 {
                    self.jobs[at].state = JobState::Over(End::Exited);
                }
                continue;
            };
            let job = &mut self.jobs[at];
            job.unseen = 0;
            let before = std::mem::replace(&mut job.state, info.state.clone());
            if before == JobState::Running && matches!(info.state, JobState::Queued | JobState::Held) {
                job.requeued += 1;
                self.requeued(at);
            }
            if !info.node.is_empty() {
                self.jobs[at].node.clone_from(&info.node);
            }
            self.report_waiting(at, info);
        }
    }

    // Only what somebody has to do something about: a queue is for waiting.
    fn report_waiting(&mut self, at: usize, info: &JobInfo) {
        const USUAL: [&str; 9] =
            ["", "None", "Priority", "Resources", "Dependency", "BeginTime", "Cleaning", "Prolog", "Reservation"];
        let held = info.state == JobState::Held;
        if !held && (info.state != JobState::Queued || USUAL.contains(&info.reason.as_str())) {
            return;
        }
        if self.said.insert(format!("{} {}", info.id, info.reason)) {
            let stages = listed(&self.jobs[at].stages);
            let hint = if held { format!("; `scontrol release {}` lets it run", info.id) } else { String::new() };
            let text = format!("job {} ({stages}) waits: {}{hint}", info.id, info.reason);
            self.emitter.notice(None, held, text);
        }
    }

    fn requeued(&mut self, at: usize) {
        let job = &mut self.jobs[at];
        job.load = None;
        job.ends.clear();
        let node = if job.node.is_empty() { "its node".to_owned() } else { job.node.clone() };
        let (id, stages) = (job.id.clone(), job.stages.clone());
        let engine = self.dispatch.engine.name();
        let text = format!("job {id} ({}) lost {node} or was pre-empted: {engine} runs it again", listed(&stages));
        self.emitter.notice(None, true, text);
        for stage in stages.into_iter().filter(|stage| self.open.contains_key(stage)) {
            self.emitter.emit(Event::StageWaiting { stage, what: format!("{engine}, which runs its job {id} again") });
        }
    }

    fn read_log(&mut self, at: usize) {
        match self.jobs[at].log.read() {
            Ok(found) => {
                for read in found {
                    match read {
                        Read::Started(start) if start > self.jobs[at].requeued => {
                            self.jobs[at].requeued = start;
                            self.requeued(at);
                        }
                        Read::Started(_) => self.jobs[at].ends.clear(),
                        Read::Event(event) => self.event(at, *event),
                    }
                }
            }
            Err(error) => {
                let text = format!("the event log of job {} cannot be read: {error}", self.jobs[at].id);
                if self.said.insert(text.clone()) {
                    self.emitter.notice(None, true, text);
                }
            }
        }
    }

    fn is_open(&self, at: usize, stage: &StageName) -> bool {
        self.open.contains_key(stage)
            && self.jobs[at].stages.contains(stage)
            && !self.jobs[at].ends.iter().any(|(other, _)| other == stage)
    }

    fn event(&mut self, at: usize, event: Event) {
        match event {
            // The end of a check that ran before follows as an event.
            Event::RunStarted { stages, .. } => {
                for info in stages.into_iter().filter(|info| info.cached && info.kind != Kind::Check) {
                    self.stage_ended(at, &info.name, end(StageOutcome::BuiltElsewhere));
                }
            }
            Event::StageFinished { stage, state, usage, failure, result, check_result } => {
                let state = match state {
                    // It has no end yet.
                    StageOutcome::Interrupted | StageOutcome::Blocked { .. } => return,
                    // The engine ends all processes of a cancelled job at once. Where the supervisor of a step
                    // is the first of them, the step looks as if it had failed.
                    StageOutcome::Failed { .. } if self.cancelled.is_some() => return,
                    StageOutcome::Cached => StageOutcome::BuiltElsewhere,
                    state => state,
                };
                let result = result.map(PathBuf::from);
                let end = StageEnd { usage, failure, result, check_result, ..end(state) };
                self.stage_ended(at, &stage, end);
            }
            Event::Load { cores, tokens, memory_kib } => self.jobs[at].load = Some((cores, tokens, memory_kib)),
            Event::Notice { stage: None, warning, text } => {
                // Of each job the same, and that it is interrupted is reported here.
                if !self.is_stopping() && self.jobs[at].state == JobState::Running && self.said.insert(text.clone()) {
                    self.emitter.notice(None, warning, text);
                }
            }
            Event::StageStarted { ref stage }
            | Event::StageWaiting { ref stage, .. }
            | Event::StepStarted { ref stage, .. }
            | Event::StepActivity { ref stage, .. }
            | Event::StepFinished { ref stage, .. }
            | Event::FetchProgress { ref stage, .. }
            | Event::FetchRetry { ref stage, .. }
            | Event::FetchUsed { ref stage, .. }
            | Event::StagePulled { ref stage, .. }
            | Event::Notice { stage: Some(ref stage), .. } => {
                if self.is_open(at, stage) {
                    self.emitter.emit(event);
                }
            }
            Event::StagesAdded { .. } | Event::CacheUsed { .. } | Event::RunFinished { .. } => {}
        }
    }

    fn report_load(&mut self) {
        if self.reported.elapsed() < LOAD_EVERY {
            return;
        }
        self.reported = Instant::now();
        let loads: Vec<_> =
            self.jobs.iter().filter(|job| job.state == JobState::Running).filter_map(|job| job.load).collect();
        if !loads.is_empty() {
            let sum = |total: (f64, usize, u64), load: &(f64, usize, u64)| {
                (total.0 + load.0, total.1 + load.1, total.2 + load.2)
            };
            let (cores, tokens, memory_kib) = loads.iter().fold((0.0, 0, 0), sum);
            self.emitter.emit(Event::Load { cores, tokens, memory_kib });
        }
    }
}

// `arm64/gcc`, or `arm64/gcc and 12 more`.
fn listed(stages: &[StageName]) -> String {
    match stages {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
