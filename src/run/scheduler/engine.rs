//! The scheduler with an engine: when all sources are here and every key is known, the stages that are left become jobs.

use super::Scheduler;
use crate::base::{Key, StageName};
use crate::plan::StageId;
use crate::run::Error;
use crate::run::context::StageEnd;
use crate::run::engine::follow::{Adopted, Follower, NewJob, Stage};
use crate::run::engine::packing::{self, Item};
use crate::run::engine::resources::{self, Load, Resources};
use crate::run::engine::submission::{self, JobFile, Submission};
use crate::run::engine::{Dispatch, JobInfo, JobState};
use crate::run::stage::elsewhere;
use crate::run::states::{Lane, SchedulerState};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// The stages that an engine runs.
#[derive(Debug)]
pub(super) struct Dispatched {
    // Of the stages that were not started, in the sense of the scheduler.
    ends: BTreeMap<StageId, oneshot::Receiver<StageEnd>>,
    follower: tokio::task::JoinHandle<()>,
}

impl Scheduler {
    /// Submits everything once nothing is left to be fetched or pulled, and waits for the stages that may run.
    pub(super) fn hand_over(&mut self) -> Result<(), Error> {
        let context = self.context.clone();
        let Some(dispatch) = &context.options.engine else { return Ok(()) };
        if self.dispatched.is_none() {
            let is_busy = |lane| self.states.running(lane) > 0 || self.states.ready(lane).next().is_some();
            if is_busy(Lane::Fetch) || is_busy(Lane::Pull) || self.states.ready(Lane::Work).next().is_none() {
                return Ok(());
            }
            self.dispatched = Some(self.dispatch(dispatch)?);
        }
        for id in self.states.ready(Lane::Work).collect::<Vec<_>>() {
            let Some(end) = self.dispatched.as_mut().and_then(|dispatched| dispatched.ends.remove(&id)) else {
                continue;
            };
            let fetched = (dispatch.own_stores && self.plan.goals.contains(&id)).then(|| self.work(id)).flatten();
            self.states.start(id);
            let context = context.clone();
            let task = async move {
                // Without an end it was neither finished nor did it fail.
                let Ok(end) = end.await else { return Ok(elsewhere::interrupted()) };
                match fetched {
                    Some(work) if end.state.has_result() => elsewhere::pull_built(&context, work, end).await,
                    _ => Ok(end),
                }
            };
            let handle = self.tasks.spawn(async move { (id, task.await) });
            self.running.insert(handle.id(), id);
        }
        Ok(())
    }

    /// Nobody waits for a stage any more.
    pub(super) fn forget(&mut self, id: StageId) {
        if let Some(dispatched) = &mut self.dispatched {
            dispatched.ends.remove(&id);
        }
    }

    /// Waits until the jobs are over, or are given up.
    pub(super) async fn await_jobs(&mut self) -> Result<(), Error> {
        match self.dispatched.take() {
            Some(dispatched) => {
                drop(dispatched.ends);
                dispatched.follower.await.map_err(|error| Error::Defect(error.to_string()))
            }
            None => Ok(()),
        }
    }

    fn dispatch(&self, dispatch: &Dispatch) -> Result<Dispatched, Error> {
        let context = &self.context;
        let dir = match &dispatch.dir {
            Some(dir) => dir.join(&context.options.run),
            None => context.store.run_dir(&context.options.run),
        };
        let runs = |id: &StageId| matches!(self.states.get(*id), SchedulerState::Waiting | SchedulerState::Ready);
        let ids: Vec<StageId> = self.plan.ids().filter(runs).collect();
        let name = |id: &StageId| self.plan.stage(*id).name.clone();
        submission::write_submission(&dir, &dispatch.arguments, &self.plan)?;
        let wanted: Vec<(StageName, Key)> = ids.iter().map(|id| (name(id), self.plan.stage(*id).key)).collect();
        let adopted = adopt(dispatch, &wanted)?;
        let taken: BTreeSet<&StageName> = adopted.iter().flat_map(|job| &job.stages).collect();
        let jobs =
            self.pack(dispatch, &ids.iter().copied().filter(|id| !taken.contains(&name(id))).collect::<Vec<_>>());
        let (mut stages, mut ends) = (Vec::new(), BTreeMap::new());
        for id in ids {
            let (done, end) = oneshot::channel();
            let needs = self.plan.stage(id).needs.iter().filter(|need| runs(need)).map(name).collect();
            stages.push(Stage { name: name(&id), key: self.plan.stage(id).key, needs, done });
            ends.insert(id, end);
        }
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let (all, in_jobs) = (count(stages.len(), "stage"), count(adopted.len() + jobs.len(), "job"));
        context.emitter.notice(None, false, format!("{all} in {in_jobs} of {}", dispatch.engine.name()));
        let shared = (context.emitter.clone(), context.ledger.clone(), context.stop.clone());
        let follower = Follower::new(dispatch.clone(), (dir, std::env::current_exe()?), stages, shared);
        let follower = tokio::task::spawn_blocking(move || follower.run(adopted, jobs));
        Ok(Dispatched { ends, follower })
    }

    fn pack(&self, dispatch: &Dispatch, ids: &[StageId]) -> Vec<NewJob> {
        let forecasts = self.budgets.forecasts();
        let time = |at: usize| &forecasts[ids[at].0 as usize];
        let place: BTreeMap<StageId, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let item = |at: usize| Item {
            needs: self.plan.stage(ids[at]).needs.iter().filter_map(|need| place.get(need).copied()).collect(),
            seconds: resources::seconds(time(at)),
        };
        let items: Vec<Item> = (0..ids.len()).map(item).collect();
        let memory = |at: usize| {
            let job = self.plan.stage(ids[at]).job();
            job.and_then(|job| job.steps.iter().map(|step| step.memory).max()).unwrap_or(0)
        };
        let job = |packed: packing::Packed| {
            let shortest = |at: usize| resources::shortest(time(at), &dispatch.limits);
            let longest = packing::longest_chain(&items, &packed, shortest);
            let loads: Vec<Load<'_>> =
                packed.items.iter().map(|at| Load { time: time(*at), memory: memory(*at) }).collect();
            NewJob {
                resources: resources::of(&loads, longest, &dispatch.limits),
                stages: packed.items.iter().map(|at| self.plan.stage(ids[*at]).name.clone()).collect(),
            }
        };
        packing::pack(&items).into_iter().map(job).collect()
    }
}

// Jobs of earlier runs that build what this one needs; `wanted` is in topological order. One whose files cannot be read is
// left alone.
fn adopt(dispatch: &Dispatch, wanted: &[(StageName, Key)]) -> Result<Vec<Adopted>, Error> {
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    let is_live = |info: &JobInfo| !matches!(info.state, JobState::Over(_));
    for info in dispatch.engine.jobs()?.into_iter().filter(is_live) {
        let Ok(file) = JobFile::read(&info.dir) else { continue };
        let is_ours = Submission::of_job(&info.dir)
            .is_ok_and(|submission| submission.arguments.store == dispatch.arguments.store);
        let ours = |(name, key): &&(StageName, Key)| file.stages.get(name) == Some(key) && !taken.contains(name);
        let stages: Vec<StageName> =
            wanted.iter().filter(|_| is_ours).filter(ours).map(|(name, _)| name.clone()).collect();
        if stages.is_empty() {
            continue;
        }
        taken.extend(stages.iter().cloned());
        let time = dispatch.limits.time.unwrap_or(std::time::Duration::from_secs(24 * 3600));
        let resources = Resources { cores: file.cores, memory: file.memory, time };
        found.push(Adopted { info, stages, resources });
    }
    Ok(found)
}
