//! Build and check stages: runs the steps in order, each as a process group, then renames the
//! result into the store.

use super::{check, pull};
use crate::base::{Key, StageName, files, units};
use crate::cache::Found;
use crate::cache::claim::Claim;
use crate::config::expect::Expectation;
use crate::plan::KeyInputs;
use crate::plan::job::{Job, JobStep};
use crate::process::isolation::{Isolation, Support};
use crate::process::machine_cpu::machine_cpu;
use crate::process::{self, Outcome, Token};
use crate::run::build_log::{self, Class};
use crate::run::context::{RunContext, StageEnd};
use crate::run::log::event::{Event, Failure, StageOutcome, Usage};
use crate::run::log_tail::LogTail;
use crate::run::memory_pressure::Grant;
use crate::run::workspace::{self, Begin, StageInputs, Workspace};
use crate::run::{Error, Stop, failure_class};
use crate::store::history::{self, StageTime, StepTime};
use crate::store::names::Named;
use crate::store::{self, Lock, Record, Stored};
use std::path::Path;
use std::time::{Duration, Instant};

/// Everything a stage needs, taken from the plan when it starts.
#[derive(Debug)]
pub struct StageWork {
    /// `arm64/gcc`
    pub name: StageName,
    /// Its final key.
    pub key: Key,
    /// The inputs of the key.
    pub key_inputs: KeyInputs,
    /// Its steps.
    pub job: Job,
    /// The results and sources that it sees of the store.
    pub inputs: StageInputs,
    /// For a check: what is expected of it.
    pub expect: Option<Expectation>,
    /// Processor time that it is expected to take.
    pub expected: Duration,
}

/// Interval between reads of a running step's log.
const LOOK: Duration = Duration::from_millis(250);
/// The file with the steps to take by hand.
const REPRODUCE: &str = "reproduce.sh";
/// Lines of an excerpt.
const EXCERPT: usize = 30;

/// Runs the stage. The token is given back when it is over.
pub async fn run(context: &RunContext, work: StageWork, token: Token) -> Result<StageEnd, Error> {
    let mut runner = Runner {
        context,
        work,
        token: Some(token),
        usage: Usage::default(),
        began: Instant::now(),
        times: Vec::new(),
        one_job: false,
        claim: None,
    };
    let ended = runner.run().await;
    // Nothing was built that others could take.
    if let Some(claim) = runner.claim.take() {
        claim.release().await;
    }
    ended
}

/// The stage of a result that a cache has; it needs no token. An error means that it cannot be taken from there.
pub async fn pull(context: &RunContext, work: StageWork, found: Found) -> Result<StageEnd, Error> {
    let (usage, times, began) = (Usage::default(), Vec::new(), Instant::now());
    let mut runner = Runner { context, work, token: None, usage, began, times, one_job: false, claim: None };
    let (name, key) = (runner.work.name.clone(), runner.work.key);
    let Some(_lock) = context.lock_alone(&name, &key).await? else {
        return Ok(runner.end(StageOutcome::Interrupted, None));
    };
    let (stored, state) = match context.store.find(&key) {
        Ok(Some(stored)) => (Some(stored), StageOutcome::BuiltElsewhere),
        Ok(None) | Err(store::Error::Corrupt { .. }) => {
            (pull::take(context, &name, key, &found).await?, StageOutcome::Pulled)
        }
        Err(error) => return Err(error.into()),
    };
    let Some(stored) = stored else { return Ok(runner.end(StageOutcome::Interrupted, None)) };
    runner.remember()?;
    Ok(runner.found(&stored.tree, state))
}

/// Whose turn a stage is among the clients of a cache.
#[derive(Debug)]
pub(super) enum Turn {
    /// This client's. The claim keeps others from it, where there is one.
    Here(Option<Claim>),
    /// Nobody's any more: another client has built it.
    Done(Stored),
    /// The run is asked to stop.
    Stopped,
}

pub(super) struct Runner<'a> {
    pub(super) context: &'a RunContext,
    pub(super) work: StageWork,
    token: Option<Token>,
    usage: Usage,
    began: Instant,
    times: Vec<StepTime>,
    // Whether it lacked memory for more jobs.
    pub(super) one_job: bool,
    // Keeps other clients of the cache from the stage until its result is there.
    claim: Option<Claim>,
}

enum StepEnd {
    Done,
    Ended(StageOutcome, Option<Failure>),
}

impl Runner<'_> {
    async fn run(&mut self) -> Result<StageEnd, Error> {
        let (store, key) = (&self.context.store, self.work.key);
        let Some((lock, waited)) = self.context.lock(&self.work.name, &key, &mut self.token).await? else {
            return Ok(self.end(StageOutcome::Interrupted, None));
        };
        match store.find(&key) {
            Ok(Some(stored)) => {
                // The previous holder of the lock has built it.
                let state = if waited { StageOutcome::BuiltElsewhere } else { StageOutcome::Cached };
                self.remember()?;
                return Ok(self.found(&stored.tree, state));
            }
            // The run reported damage when it began; the new result replaces it.
            Ok(None) | Err(store::Error::Corrupt { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(stored) = pull::look(self.context, &self.work.name, key).await? {
            self.remember()?;
            return Ok(self.found(&stored.tree, StageOutcome::Pulled));
        }
        match self.turn().await? {
            Turn::Here(claim) => self.claim = claim,
            Turn::Done(stored) => {
                self.remember()?;
                return Ok(self.found(&stored.tree, StageOutcome::Pulled));
            }
            Turn::Stopped => return Ok(self.end(StageOutcome::Interrupted, None)),
        }
        self.build(&lock).await
    }

    async fn build(&mut self, lock: &Lock) -> Result<StageEnd, Error> {
        let (store, key) = (&self.context.store, self.work.key);
        self.remember()?;
        let root = store.work_dir(&key);
        self.end_remains(&root)?;
        let (mut space, mut begin) = Workspace::prepare(&root, &self.work.job, &self.work.inputs)?;
        let script = workspace::reproduce(&self.work.name, &key, &self.work.job, &self.work.inputs);
        fs_err::write(root.join(REPRODUCE), &script)?;
        let mut ended = self.steps(&mut space, lock, begin).await?;
        if let StepEnd::Ended(StageOutcome::Failed { why }, _) = &ended
            && begin.resumed
            && !self.is_late()
        {
            // Interrupted files may be incomplete even after a clean stop, as automake's `.deps` are.
            let text = format!("{why}, in a build tree that an earlier run left; building it afresh");
            self.context.emitter.notice(Some(&self.work.name), true, text);
            (space, begin) = Workspace::prepare(&root, &self.work.job, &self.work.inputs)?;
            fs_err::write(root.join(REPRODUCE), &script)?;
            ended = self.steps(&mut space, lock, begin).await?;
        }
        if let StepEnd::Ended(StageOutcome::Failed { why }, Some(Failure { class: Class::OutOfMemory, .. })) = &ended
            && !self.is_late()
        {
            let text = format!("{why}: out of memory; building it afresh with one job");
            self.context.emitter.notice(Some(&self.work.name), true, text);
            self.one_job = true;
            (space, begin) = Workspace::prepare(&root, &self.work.job, &self.work.inputs)?;
            fs_err::write(root.join(REPRODUCE), &script)?;
            ended = self.steps(&mut space, lock, begin).await?;
        }
        lock.still_held()?;
        if let StepEnd::Ended(state, failure) = ended {
            return match (&self.work.expect, state) {
                (Some(_), StageOutcome::Failed { why }) => self.failed_check(&mut space, why, failure),
                (_, state) => Ok(self.end(state, failure)),
            };
        }
        if self.work.expect.is_some() {
            return self.checked(&mut space, begin).await;
        }
        self.publish(&space, begin).await
    }

    async fn steps(&mut self, space: &mut Workspace, lock: &Lock, begin: Begin) -> Result<StepEnd, Error> {
        let steps = self.work.job.steps.clone();
        for (index, step) in steps.iter().enumerate().skip(begin.step) {
            let resumed = begin.resumed && index == begin.step;
            let ended = self.step(space, lock, index, step, resumed).await?;
            if matches!(ended, StepEnd::Ended(..)) {
                return Ok(ended);
            }
        }
        Ok(StepEnd::Done)
    }

    fn is_late(&self) -> bool {
        self.context.options.stage_timeout.is_some_and(|limit| self.began.elapsed() >= limit)
    }

    // A killed run whose supervisor was killed too may have left processes that write here.
    fn end_remains(&self, root: &Path) -> Result<(), Error> {
        if files::lstat(root)?.is_none() {
            return Ok(());
        }
        let killed = process::end_remains(root)?;
        if killed > 0 {
            let text = format!("{killed} processes of an earlier run still worked on it; they were killed");
            self.context.emitter.notice(Some(&self.work.name), true, text);
        }
        Ok(())
    }

    fn found(&mut self, tree: &Path, state: StageOutcome) -> StageEnd {
        let check_result = self.work.expect.as_ref().map(|_| check::recall(tree));
        let state = match &check_result {
            Some(Ok(check_result)) => self.judged(check_result, state),
            Some(Err(why)) => StageOutcome::Failed { why: why.clone() },
            None => state,
        };
        let check_result = check_result.and_then(Result::ok);
        StageEnd { result: Some(tree.to_owned()), check_result, ..self.end(state, None) }
    }

    // Remembers what the stage's name stands for now, and finds the result it stood for before.
    fn remember(&mut self) -> Result<(), Error> {
        let (work, store) = (&mut self.work, &self.context.store);
        let last = store.recall_if_whole::<KeyInputs>(&work.name)?;
        let previous = last.and_then(|last| if last.key == work.key { last.previous } else { Some(last.key) });
        let tree = previous.map(|key| store.stage_dir(&key).join("tree"));
        work.inputs.previous = None;
        if let Some(tree) = tree
            && files::lstat(&tree)?.is_some()
        {
            work.inputs.previous = Some(tree);
        }
        let named = Named { name: work.name.clone(), key: work.key, inputs: work.key_inputs.clone(), previous };
        Ok(store.remember(&named)?)
    }

    async fn memory(&mut self, step: &JobStep) -> Result<Option<Grant>, Error> {
        if let Some(grant) = self.context.budget.try_take(step.memory) {
            return Ok(Some(grant));
        }
        self.token = None;
        let what = format!("{} of memory", units::bytes(step.memory));
        self.context.emitter.emit(Event::StageWaiting { stage: self.work.name.clone(), what });
        tokio::select! {
            grant = self.context.budget.take(step.memory) => {
                self.token = Some(self.context.jobs.acquire().await?);
                Ok(Some(grant))
            }
            () = self.context.asked_to_stop(Stop::No) => Ok(None),
        }
    }

    async fn step(
        &mut self,
        space: &mut Workspace,
        lock: &Lock,
        index: usize,
        step: &JobStep,
        resumed: bool,
    ) -> Result<StepEnd, Error> {
        let stopping = *self.context.stop.borrow() > Stop::No;
        let grant = if stopping { None } else { self.memory(step).await? };
        let Some(_grant) = grant else { return Ok(StepEnd::Ended(StageOutcome::Interrupted, None)) };
        let log = space.log(index, step);
        space.started(step)?;
        let name = self.work.name.clone();
        self.context.emitter.emit(Event::StepStarted {
            stage: name.clone(),
            step: step.name.clone(),
            log: log.display().to_string(),
            resumed,
        });
        for dir in self.caches() {
            // It is mounted for the step, so it must exist.
            fs_err::create_dir_all(dir)?;
        }
        let command = self.command(space, lock, step, &log);
        let kills = process::oom::kills();
        let mut running = process::spawn(Path::new("/proc/self/exe"), &command, Some(&self.context.jobs))?;
        let (before, machine) = (self.context.ledger.used(), machine_cpu());
        let ended = self.attend(&mut running, &log).await;
        let cpu = ended.as_ref().map_or(0.0, |ended| ended.outcome.usage.user + ended.outcome.usage.system);
        // Of the run, and of everybody on this machine.
        let others = machine_cpu().zip(machine).map_or(0.0, |(now, before)| now - before);
        let all = (self.context.ledger.used() - before).max(others);
        self.context.ledger.end(cpu);
        let attended = ended?;
        self.times.push(attended.time(&step.name, all));
        let Attended { outcome, late, .. } = attended;
        self.add(&outcome);
        let ok = outcome.status.success() && !late;
        self.context.emitter.emit(Event::StepFinished {
            stage: name.clone(),
            step: step.name.clone(),
            ok,
            usage: outcome.usage,
        });
        if outcome.stragglers > 0 && !outcome.stopped {
            let text = format!("step {} left {} processes behind; they were ended", step.name, outcome.stragglers);
            self.context.emitter.notice(Some(&name), true, text);
        }
        if ok {
            space.finished()?;
            return Ok(StepEnd::Done);
        }
        if outcome.stopped && !late {
            return Ok(StepEnd::Ended(StageOutcome::Interrupted, None));
        }
        space.failed()?;
        let ended = match (late, self.context.options.stage_timeout) {
            (true, Some(limit)) => format!("time limit of {}", units::duration(limit)),
            _ => outcome.status.to_string(),
        };
        let found = fs_err::File::open(&log)
            .ok()
            .and_then(|file| build_log::read(std::io::BufReader::new(file), EXCERPT).ok())
            .unwrap_or_default();
        let killed = process::oom::kills().zip(kills).is_some_and(|(now, before)| now > before);
        let class = if late { Class::Timeout } else { failure_class::of_step(found.class, outcome.status, killed) };
        let evidence = match class {
            Class::InternalCompilerError => self.crash_evidence(space, lock, step, &log).await,
            _ => Vec::new(),
        };
        let excerpt = self.with_refusal(found.excerpt);
        let failure = Failure {
            step: step.name.clone(),
            ended: ended.clone(),
            class,
            excerpt,
            log: log.display().to_string(),
            reproduce: format!("crossmill reproduce {name}"),
            evidence,
        };
        Ok(StepEnd::Ended(StageOutcome::Failed { why: format!("{}: {ended}", step.name) }, Some(failure)))
    }

    // Waits for the step and reports what it does.
    pub(super) async fn attend(&self, running: &mut process::Running, log: &Path) -> Result<Attended, Error> {
        let mut handled = Stop::No;
        let mut late = false;
        let mut tail = LogTail::new(log.to_owned());
        let mut last = String::new();
        let begun = Instant::now();
        let mut marks: Vec<(u64, f64)> = Vec::new();
        let limit = self.context.options.stage_timeout.map(|limit| self.began + limit);
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                outcome = running.wait() => {
                    tail.advance();
                    let seconds = begun.elapsed().as_secs_f64();
                    return Ok(Attended { outcome: outcome?, late, units: tail.units(), marks, seconds });
                }
                () = self.context.asked_to_stop(handled) => {
                    handled = *self.context.stop.borrow();
                    if handled == Stop::Immediate { running.kill() } else { running.stop() }
                }
                _ = look.tick() => {
                    if !late && limit.is_some_and(|limit| Instant::now() >= limit) {
                        late = true;
                        running.stop();
                    }
                    if let Some(what) = tail.advance() && what != last {
                        last.clone_from(&what);
                        marks.push((tail.units(), begun.elapsed().as_secs_f64()));
                        let (stage, done) = (self.work.name.clone(), tail.units());
                        self.context.emitter.emit(Event::StepActivity { stage, what, done });
                    }
                }
            }
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        self.usage.user += outcome.usage.user;
        self.usage.system += outcome.usage.system;
        self.usage.max_rss_kib = self.usage.max_rss_kib.max(outcome.usage.max_rss_kib);
    }

    pub(super) async fn publish(&mut self, space: &Workspace, begin: Begin) -> Result<StageEnd, Error> {
        for file in &self.work.job.result {
            if files::lstat(&space.root().join("dest").join(file))?.is_none() {
                let error = store::Error::Missing { file: file.clone() };
                return Ok(self.end(StageOutcome::Failed { why: error.to_string() }, None));
            }
        }
        fs_err::rename(space.root().join(REPRODUCE), space.root().join("logs").join(REPRODUCE))?;
        let store = &self.context.store;
        let cpu = self.usage.user + self.usage.system;
        let record = Record {
            name: self.work.name.clone(),
            key: self.work.key,
            inputs: self.work.key_inputs.clone(),
            crossmill: env!("CARGO_PKG_VERSION").to_owned(),
            wall: self.began.elapsed().as_secs_f64(),
            cpu,
            max_rss_kib: self.usage.max_rss_kib,
            bytes: 0,
            isolation: Some(self.context.isolation.as_ref().map_or_else(Isolation::off, Support::isolation)),
        };
        let options = &self.context.options;
        // A disk budget counts them until they are gone.
        let wait = options.disk_budget.is_some();
        let tree = space.root().join("build");
        // Before the flush, which would write its files.
        if !options.keep_work && !files::names_in(&tree)?.is_empty() {
            self.context.removal.remove(&tree, self.work.job.build_bytes, wait).await?;
        }
        let prepared = store.prepare(space.root(), record)?;
        // Waiting for the disk takes no processor: another stage may start meanwhile.
        self.token = None;
        self.context.flusher.flush().await?;
        let stored = store.commit(prepared)?;
        if !options.keep_work {
            self.context.removal.remove(space.root(), 0, wait).await?;
        }
        let (context, name) = (self.context, &self.work.name);
        context.uploads.result(&context.caches, store, &context.emitter, (name, self.work.key), self.claim.take());
        let end = self.end(StageOutcome::Done, None);
        // A resumed stage's time is not what the whole takes.
        let whole = begin.step == 0 && !begin.resumed;
        let time = whole.then(|| StageTime { cpu, steps: std::mem::take(&mut self.times) });
        Ok(StageEnd { result: Some(stored.tree), time, ..end })
    }

    /// Lets another stage have the token.
    pub(super) fn give_token(&mut self) {
        self.token = None;
    }

    /// Takes a token if it has none. `false` when the run is asked to stop.
    pub(super) async fn take_token(&mut self) -> Result<bool, Error> {
        if self.token.is_none() {
            tokio::select! {
                token = self.context.jobs.acquire() => self.token = Some(token?),
                () = self.context.asked_to_stop(Stop::No) => return Ok(false),
            }
        }
        Ok(true)
    }

    pub(super) fn end(&mut self, state: StageOutcome, failure: Option<Failure>) -> StageEnd {
        self.usage.wall = self.began.elapsed().as_secs_f64();
        StageEnd { state, usage: self.usage, failure, result: None, time: None, chosen: None, check_result: None }
    }
}

// A step that is over.
pub(super) struct Attended {
    pub(super) outcome: Outcome,
    // Whether the time limit ended it.
    late: bool,
    units: u64,
    marks: Vec<(u64, f64)>,
    seconds: f64,
}

impl Attended {
    // `all` is the processor time of the whole run meanwhile, and of the machine.
    fn time(&self, step: &str, all: f64) -> StepTime {
        let cpu = self.outcome.usage.user + self.outcome.usage.system;
        // Beside another stage, or other programs, it had fewer processors than it could use.
        let alone = cpu > 0.85 * all && self.seconds > 1.0;
        StepTime {
            name: step.to_owned(),
            cpu,
            cores: if alone { cpu / self.seconds } else { 0.0 },
            units: self.units,
            curve: history::curve(&self.marks, self.units, self.seconds),
        }
    }
}
