//! The scheduler. It alone changes the states and the plan; stages are tasks that report their end.
//!
//! A build starts when it has a job token; `make` takes more of them from the
//! same job server as it can use them. So a serial `configure` of one target
//! overlaps the compiling of another, and never more than `-j` jobs run.

mod budgets;
mod engine;
mod finish;
mod part;
mod remote;

use super::budget::TimeBudget;
use super::context::{IsolationMode, Options, RunContext, StageEnd, Summary, WAITING};
use super::flush::Flusher;
use super::log::Emitter;
use super::log::event::{Event, Failure, StageInfo, StageOutcome, Usage};
use super::memory_pressure::{self, Budget};
use super::preflight::{Preflight, Survey, kind, space_needed};
use super::removal::Removal;
use super::source_checks;
use super::stage::build::StageWork;
use super::stage::{build, check, fetch, unpack};
use super::states::{Lane, SchedulerState, States};
use super::uploads::Uploads;
use super::workspace::StageInputs;
use super::{Error, Goal, Stop, failure_class};
use crate::base::{Diagnostic, Key, StageName};
use crate::cache::Found;
use crate::plan::{Plan, StageId, Work};
use crate::process::isolation::Support;
use crate::process::{JobServer, Memory, Token};
use crate::store::Store;
use crate::store::history::{StageTime, Times};
use crate::store::names::Named;
use budgets::Budgets;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

// The announcement of a stage.
fn info(plan: &Plan, states: &States, forecasts: &[StageTime], id: StageId) -> StageInfo {
    let stage = plan.stage(id);
    let wanted = |need: &&StageId| states.get(**need) != SchedulerState::Unneeded && !states.is_remote(id);
    let forecast = forecasts.get(id.0 as usize).filter(|_| !states.is_remote(id));
    StageInfo {
        name: stage.name.clone(),
        kind: kind(&stage.work),
        scope: stage.scope.clone(),
        package: stage.package.to_string(),
        version: stage.version.clone(),
        key: stage.key,
        expected: forecast.map_or(0.0, |forecast| forecast.cpu),
        cached: states.get(id) == SchedulerState::Cached,
        expectation: stage.expect.as_ref().map(ToString::to_string),
        needs: stage.needs.iter().filter(wanted).map(|need| plan.stage(*need).name.clone()).collect(),
        steps: forecast.map(|forecast| forecast.steps.clone()).unwrap_or_default(),
    }
}

// Only polled where there is a deadline.
async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Number of concurrent downloads.
const DOWNLOADS: usize = 4;

/// A run.
#[derive(Debug)]
pub struct Scheduler {
    plan: Plan,
    states: States,
    context: Arc<RunContext>,
    stopper: channel::Sender<Stop>,
    tasks: JoinSet<(StageId, Result<StageEnd, Error>)>,
    running: BTreeMap<tokio::task::Id, StageId>,
    ended: BTreeMap<StageId, StageOutcome>,
    times: Times,
    // What the store had when the run began.
    survey: Survey,
    // What the caches have, by key.
    found: BTreeMap<Key, Found>,
    // Unpacked sources that were not compared yet with what recipes ask of them.
    unchecked: Vec<StageId>,
    budgets: Budgets,
    // What an engine runs.
    dispatched: Option<engine::Dispatched>,
}

fn can_not_execute(store: &Store) -> bool {
    let found = nix::sys::statvfs::statvfs(store.root());
    found.is_ok_and(|found| found.flags().contains(nix::sys::statvfs::FsFlags::ST_NOEXEC))
}

// Available isolation, examined only before a step runs.
fn isolation(
    plan: &Plan,
    states: &States,
    store: &Store,
    mode: IsolationMode,
    emitter: &Emitter,
) -> Result<Option<Support>, Error> {
    let runs = |id: &StageId| !matches!(states.get(*id), SchedulerState::Cached | SchedulerState::Unneeded);
    let has_steps = plan.ids().any(|id| runs(&id) && plan.stage(id).job().is_some());
    if has_steps && can_not_execute(store) {
        return Err(Error::NoExec { store: store.root().to_owned() });
    }
    if mode == IsolationMode::Off || !has_steps {
        return Ok(None);
    }
    let support = crate::process::isolation::support(std::path::Path::new("/proc/self/exe"))?;
    if !support.missing.is_empty() {
        let found = support.isolation().to_string();
        if mode == IsolationMode::Required {
            return Err(Error::NotIsolated { found });
        }
        emitter.notice(None, true, format!("isolation: {found}"));
    }
    Ok(Some(support))
}

impl Scheduler {
    /// Prepares a run: announces its stages and checks that the store and the disk can hold it.
    /// `stopper` is the channel whose value asks the run to end.
    pub fn new(
        preflight: Preflight,
        emitter: Emitter,
        options: Options,
        stopper: channel::Sender<Stop>,
    ) -> Result<Self, Error> {
        let Preflight { plan, store, fetcher, survey, states, forecasts, remote } = preflight;
        let memory = match options.memory {
            Some(memory) => memory,
            None => Memory::now()?.available,
        };
        let stages = plan.ids().filter(|id| states.get(*id) != SchedulerState::Unneeded);
        let stages = stages.map(|id| info(&plan, &states, &forecasts, id));
        emitter.emit(Event::RunStarted {
            run: options.run.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: options.command.clone(),
            started: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
            jobs: options.jobs,
            memory,
            stages: stages.collect(),
            borrowed: options.borrowed.clone(),
            choice: Some(options.choice.clone()),
        });
        let is_busy = |id: StageId| matches!(states.get(id), SchedulerState::Waiting | SchedulerState::Ready);
        let busy: Vec<_> = plan.ids().filter(|id| is_busy(*id)).map(|id| &plan.stage(id).name).collect();
        if !busy.is_empty() {
            store.writable()?;
        }
        for problem in &remote.problems {
            emitter.notice(None, true, problem.clone());
        }
        remote::remember_choices(&plan, &store, &remote)?;
        for (stage, why) in survey.damaged.iter().filter(|(stage, _)| busy.contains(&stage)) {
            emitter.notice(Some(stage), true, format!("{why}; it will be replaced"));
        }
        let elsewhere = options.engine.as_ref().is_some_and(|engine| engine.own_stores);
        if !options.ignore_space && !busy.is_empty() && !elsewhere {
            store.require(space_needed(&plan, &states, options.jobs, options.disk_budget))?;
        }
        let time = options.time_budget.map(|total| TimeBudget::new(options.began, total, options.grace));
        let budgets = Budgets::new((time, options.disk_budget), forecasts, (&plan, &states, &store))?;
        let isolation = isolation(&plan, &states, &store, options.isolation, &emitter)?;
        let context = RunContext {
            isolation,
            jobs: JobServer::new(options.jobs)?,
            flusher: Flusher::new(store.root()),
            removal: Removal::new(&store, &options.run),
            caches: remote.caches,
            asked: remote.asked,
            uploads: Uploads::default(),
            waiting: tokio::sync::Semaphore::new(WAITING),
            budget: Budget::new(memory),
            repair: tokio::sync::Mutex::default(),
            ledger: memory_pressure::UsageLedger::default(),
            stop: stopper.subscribe(),
            store,
            fetcher,
            emitter,
            options,
        };
        Ok(Self {
            plan,
            states,
            context: Arc::new(context),
            stopper,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            times: Times::default(),
            survey,
            found: remote.found,
            unchecked: Vec::new(),
            budgets,
            dispatched: None,
        })
    }

    /// Runs until every goal is there, has failed, or the run is asked to end.
    pub async fn run(mut self) -> Result<Summary, Error> {
        let context = self.context.clone();
        // Jobs of an engine report their own load.
        let watcher = context.options.engine.is_none().then(|| {
            tokio::spawn(memory_pressure::watch(context.ledger.clone(), context.jobs.clone(), context.emitter.clone()))
        });
        for id in self.states.all(SchedulerState::Cached).collect::<Vec<_>>() {
            self.ended.insert(id, StageOutcome::Cached);
            self.recall(id);
            if matches!(self.plan.stage(id).work, Work::Unpack(_)) {
                self.unchecked.push(id);
            }
        }
        if context.options.goal == Goal::Check {
            for (id, by) in self.states.only(|id| matches!(self.plan.stage(id).work, Work::Check(_))) {
                self.block(id, &format!("{}, which is not built", self.plan.stage(by).name));
            }
        }
        if context.options.goal == Goal::Pull {
            let remote: BTreeSet<StageId> =
                self.plan.goals.iter().copied().filter(|id| self.states.is_remote(*id)).collect();
            let runs = |id: &StageId| matches!(self.states.get(*id), SchedulerState::Waiting | SchedulerState::Ready);
            let lacking = |id: &StageId| runs(id) && !self.states.is_remote(*id);
            let missing: Vec<StageId> = self.plan.goals.iter().copied().filter(lacking).collect();
            let blocked = self.states.only(|id| remote.contains(&id));
            debug_assert!(blocked.is_empty(), "what a cache has needs nothing");
            for id in missing {
                self.states.fail(id);
                self.block(id, "the cache, which does not have it");
            }
        }
        if let Some(part) = &context.options.part {
            self.keep_part(part);
        }
        let mut stop = context.stop.clone();
        let mut fatal = None;
        loop {
            let stopping = *stop.borrow() > Stop::No;
            if !stopping && let Err(error) = self.check_sources().await {
                fatal.get_or_insert(error);
                self.ask_to_stop();
                continue;
            }
            if !stopping {
                self.start_fetches();
                self.start_pulls();
                if let Err(error) = self.hand_over() {
                    fatal.get_or_insert(error);
                    self.ask_to_stop();
                    continue;
                }
            }
            if self.tasks.is_empty() && (stopping || self.states.is_over()) {
                break;
            }
            let forced = if stopping { None } else { self.wait_for_space(&context.emitter) };
            let builds_here = context.options.engine.is_none();
            let next = forced.or_else(|| self.next_build()).filter(|_| builds_here);
            if self.tasks.is_empty() && next.is_none() {
                fatal = fatal.or(self.note_out_of_time().err());
                break;
            }
            self.note_phase();
            let wants_token = !stopping && next.is_some();
            let deadline = self.budgets.time.filter(|_| !stopping).map(|time| time.stops());
            tokio::select! {
                // A finished stage first: it may make a longer chain ready.
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    if let Err(error) = self.ended(ended) {
                        fatal.get_or_insert(error);
                        self.ask_to_stop();
                    }
                }
                token = context.jobs.acquire(), if wants_token => self.start_build(token?, forced),
                () = until(deadline), if deadline.is_some() => self.end_of_time(),
                _ = stop.changed() => {}
            }
        }
        if let Some(watcher) = watcher {
            watcher.abort();
        }
        if let Err(error) = self.await_jobs().await {
            fatal.get_or_insert(error);
        }
        context.uploads.finish(context.stop.clone(), &context.emitter).await;
        self.finish(fatal)
    }

    // Fails the stages that cannot be built from a source that has just been unpacked, and what is needed by nothing else.
    async fn check_sources(&mut self) -> Result<(), Error> {
        while let Some(unpack) = self.unchecked.pop() {
            let open = |id: &StageId| matches!(self.states.get(*id), SchedulerState::Waiting | SchedulerState::Ready);
            let stages: Vec<_> = source_checks::asking(&self.plan, unpack).into_iter().filter(open).collect();
            if stages.is_empty() {
                continue;
            }
            let tree = self.context.store.source_dir(&self.plan.stage(unpack).key).join("tree");
            for (id, why) in source_checks::refused(&self.context, &self.plan, &tree, &stages).await? {
                let name = self.plan.stage(id).name.clone();
                let state = StageOutcome::Failed { why };
                self.context.emitter.emit(Event::StageFinished {
                    stage: name.clone(),
                    state: state.clone(),
                    usage: Usage::default(),
                    failure: None,
                    result: None,
                    check_result: None,
                });
                self.ended.insert(id, state);
                for blocked in self.states.fail(id) {
                    self.block(blocked, &name);
                }
                for useless in self.states.prune(&self.plan.goals) {
                    self.block(useless, &format!("{name}, which alone needs it"));
                }
                if self.context.options.fail_fast {
                    self.ask_to_stop();
                }
            }
        }
        Ok(())
    }

    fn ask_to_stop(&self) {
        self.stopper.send_if_modified(|stop| {
            let changed = *stop == Stop::No;
            if changed {
                *stop = Stop::Graceful;
            }
            changed
        });
    }

    fn note_phase(&self) {
        let runnable = self.states.runnable() + self.states.running(Lane::Fetch) + self.states.running(Lane::Work);
        self.context.ledger.set_phase(runnable, self.states.is_fetching());
    }

    fn start_fetches(&mut self) {
        let free = DOWNLOADS.saturating_sub(self.states.running(Lane::Fetch));
        for id in self.next_fetches(free) {
            let Work::Fetch(source) = self.plan.stage(id).work else { continue };
            let (context, set) = (self.context.clone(), self.plan.source(source).clone());
            self.start(id, async move { fetch::fetch(&context, &set).await });
        }
    }

    // Everything that a build or check needs.
    fn work(&self, id: StageId) -> Option<StageWork> {
        let (stage, store) = (self.plan.stage(id), &self.context.store);
        let job = stage.job()?;
        let dir = |id: StageId| store.stage_dir(&self.plan.stage(id).key).join("tree");
        let tool_dirs = &self.context.options.tool_dirs;
        let inputs = StageInputs {
            source: job.source.map(|source| store.source_dir(&self.plan.stage(source).key).join("tree")),
            deps: job.deps.iter().map(|dep| (dep.package.to_string(), dir(dep.stage))).collect(),
            tools: job.tools.iter().filter_map(|tool| tool_dirs.get(tool).cloned()).collect(),
            keys: job.deps.iter().map(|dep| (dep.package.to_string(), self.plan.stage(dep.stage).key)).collect(),
            previous: None,
        };
        let (expect, key_inputs) = (stage.expect.clone(), self.plan.key_inputs(id));
        let expected = self.budgets.forecasts().get(id.0 as usize).map_or(0.0, |forecast| forecast.cpu);
        Some(StageWork {
            name: stage.name.clone(),
            key: stage.key,
            key_inputs,
            job: job.clone(),
            inputs,
            expect,
            expected: Duration::try_from_secs_f64(expected).unwrap_or_default(),
        })
    }

    fn start_build(&mut self, token: Token, forced: Option<StageId>) {
        let Some(id) = forced.or_else(|| self.next_build()) else { return };
        let stage = self.plan.stage(id);
        let (name, key) = (stage.name.clone(), stage.key);
        let context = self.context.clone();
        match &stage.work {
            Work::Fetch(_) => {}
            Work::Unpack(source) => {
                let set = self.plan.source(*source).clone();
                self.start(id, async move { unpack::unpack(&context, &name, key, &set, token).await });
            }
            Work::Build(_) | Work::Check(_) => {
                let Some(work) = self.work(id) else { return };
                if let Some(why) = context.options.skips.get(&work.name).cloned() {
                    drop(token);
                    self.start(id, async move { Ok(check::skipped(why)) });
                } else {
                    self.start(id, async move { build::run(&context, work, token).await });
                }
            }
        }
    }

    fn start(&mut self, id: StageId, task: impl Future<Output = Result<StageEnd, Error>> + Send + 'static) {
        self.states.start(id);
        self.take_space(id);
        self.context.emitter.emit(Event::StageStarted { stage: self.plan.stage(id).name.clone() });
        let handle = self.tasks.spawn(async move { (id, task.await) });
        self.running.insert(handle.id(), id);
    }

    #[expect(clippy::type_complexity, reason = "the type of tokio's JoinSet")]
    fn ended(
        &mut self,
        ended: Result<(tokio::task::Id, (StageId, Result<StageEnd, Error>)), tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let (id, end) = match ended {
            Ok((task, (id, end))) => {
                self.running.remove(&task);
                (id, end)
            }
            Err(error) => {
                let Some(id) = self.running.remove(&error.id()) else { return Err(Error::Defect(error.to_string())) };
                (id, Err(Error::Defect(error.to_string())))
            }
        };
        let may_build = self.context.options.goal == Goal::Build;
        if let (true, Err(error)) = (may_build && self.states.is_remote(id), &end) {
            self.build_after_all(id, error);
            return Ok(());
        }
        // An error of ours fails its stage and no other.
        let end = end.unwrap_or_else(|error| {
            let diagnostic = Diagnostic::from_error(&error);
            let class = failure_class::of_error(&error);
            let text = diagnostic.to_string();
            let why = diagnostic.message.lines().next().unwrap_or_default().to_owned();
            StageEnd {
                state: StageOutcome::Failed { why: why.clone() },
                usage: Usage::default(),
                failure: Some(Failure {
                    // No step ran, or its end is not what failed.
                    step: String::new(),
                    ended: why,
                    class,
                    // The first line is the message, which stands above already.
                    excerpt: text.lines().skip(1).map(str::to_owned).collect(),
                    log: String::new(),
                    reproduce: String::new(),
                    evidence: Vec::new(),
                }),
                result: None,
                time: None,
                chosen: None,
                check_result: None,
            }
        });
        if let (Work::Fetch(source), Some(chosen)) = (&self.plan.stage(id).work, &end.chosen) {
            let (source, label) = (*source, self.plan.source(*source).label.clone());
            self.plan.choose(source, chosen.clone(), |id| self.ended.contains_key(&id));
            if let Some(part) = &self.context.options.part {
                part.check(&self.plan).map_err(|problem| Error::OtherKeys(Box::new(problem)))?;
            }
            let named = Named {
                name: StageName::new("source", &label),
                key: self.plan.stage(id).key,
                inputs: chosen.clone(),
                previous: None,
            };
            self.context.store.remember(&named)?;
        }
        let name = self.plan.stage(id).name.clone();
        if let Some(time) = end.time {
            let version = &self.plan.stage(id).version;
            self.times.set(&name, version, &self.plan.configuration(id), time);
        }
        self.context.emitter.emit(Event::StageFinished {
            stage: name.clone(),
            state: end.state.clone(),
            usage: end.usage,
            failure: end.failure,
            result: end.result.map(|path| path.display().to_string()),
            check_result: end.check_result,
        });
        self.ended.insert(id, end.state.clone());
        match end.state {
            StageOutcome::Done | StageOutcome::Cached | StageOutcome::BuiltElsewhere | StageOutcome::Pulled => {
                self.states.finish(id);
                // Nodes compare what they unpack themselves.
                if matches!(self.plan.stage(id).work, Work::Unpack(_)) && self.context.options.engine.is_none() {
                    self.unchecked.push(id);
                }
                if self.states.running(Lane::Fetch) + self.states.running(Lane::Work) == 0 {
                    // make leaks its tokens when it is killed: nothing runs, so all must be there.
                    self.context.jobs.recount()?;
                }
            }
            StageOutcome::Interrupted => self.states.put_back(id),
            StageOutcome::Failed { .. }
            | StageOutcome::Blocked { .. }
            | StageOutcome::Unsupported { .. }
            | StageOutcome::Skipped { .. }
            | StageOutcome::KnownFailure { .. } => {
                for blocked in self.states.fail(id) {
                    self.block(blocked, &name);
                }
                if self.context.options.fail_fast && matches!(end.state, StageOutcome::Failed { .. }) {
                    self.ask_to_stop();
                }
            }
        }
        self.free_space(id)
    }

    fn block(&mut self, id: StageId, by: &str) {
        self.forget(id);
        let state = StageOutcome::Blocked { by: by.to_owned() };
        self.context.emitter.emit(Event::StageFinished {
            stage: self.plan.stage(id).name.clone(),
            state: state.clone(),
            usage: Usage::default(),
            failure: None,
            result: None,
            check_result: None,
        });
        self.ended.insert(id, state);
    }

    // The result of a check, from whenever it ran, is compared with what is expected of it today.
    fn recall(&mut self, id: StageId) {
        let stage = self.plan.stage(id);
        let Some(expect) = &stage.expect else { return };
        let tree = self.context.store.stage_dir(&stage.key).join("tree");
        let (name, emitter) = (stage.name.clone(), &self.context.emitter);
        let (state, remark, check_result) = match check::recall(&tree) {
            Ok(check_result) => {
                let (state, remark) =
                    check::state(expect, &check_result, self.context.options.today, StageOutcome::Cached);
                (state, remark, Some(check_result))
            }
            Err(why) => (StageOutcome::Failed { why }, None, None),
        };
        if let Some(remark) = remark {
            emitter.notice(Some(&name), true, remark);
        }
        emitter.emit(Event::StageFinished {
            stage: name,
            state: state.clone(),
            usage: Usage::default(),
            failure: None,
            result: Some(tree.display().to_string()),
            check_result,
        });
        self.ended.insert(id, state);
    }
}
