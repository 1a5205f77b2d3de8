//! The scheduler within a time budget and a disk budget.

use super::Scheduler;
use crate::base::{files, units};
use crate::plan::Plan;
use crate::plan::{StageId, Work};
use crate::run::Error;
use crate::run::budget::{DiskBudget, TimeBudget, wall_seconds};
use crate::run::log::Emitter;
use crate::run::states::{Lane, SchedulerState, States};
use crate::run::workspace;
use crate::store::Store;
use crate::store::history::StageTime;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The limits of a run, and what of it they kept from starting.
#[derive(Debug)]
pub(super) struct Budgets {
    pub(super) time: Option<TimeBudget>,
    disk: Option<DiskBudget>,
    forecasts: Vec<StageTime>,
    // Whether the time budget ended the run.
    pub(super) out_of_time: bool,
    started: bool,
    announced: BTreeSet<StageId>,
}

fn is_open(state: SchedulerState) -> bool {
    matches!(state, SchedulerState::Waiting | SchedulerState::Ready | SchedulerState::Running)
}

// The stages that are built from an unpacked source.
fn consumers(plan: &Plan, unpack: StageId) -> impl Iterator<Item = StageId> + '_ {
    plan.ids().filter(move |id| plan.stage(*id).job().is_some_and(|job| job.source == Some(unpack)))
}

// Bytes of the tree that a stage works in; of an unpacked source for its stage.
fn bytes(plan: &Plan, id: StageId) -> u64 {
    match &plan.stage(id).work {
        Work::Fetch(_) => 0,
        Work::Unpack(source) => plan.source(*source).unpacked,
        Work::Build(job) | Work::Check(job) => job.build_bytes.saturating_add(job.result_bytes),
    }
}

impl Budgets {
    /// Returns the expected duration of each stage.
    pub(super) fn forecasts(&self) -> &[StageTime] {
        &self.forecasts
    }

    /// Removes the source trees that the run does not need where the disk is limited, and refuses a limit that is too
    /// small for a stage alone.
    pub(super) fn new(
        (time, disk): (Option<TimeBudget>, Option<u64>),
        forecasts: Vec<StageTime>,
        (plan, states, store): (&Plan, &States, &Store),
    ) -> Result<Self, Error> {
        let mut disk = disk.map(DiskBudget::new);
        if let Some(disk) = &mut disk {
            for id in plan.ids().filter(|id| is_open(states.get(*id))) {
                let source = plan.stage(id).job().and_then(|job| job.source).map_or(0, |source| bytes(plan, source));
                let needed = bytes(plan, id).saturating_add(source);
                if needed > disk.total {
                    let (needed, total) = (units::bytes(needed), units::bytes(disk.total));
                    return Err(Error::DiskBudget { stage: plan.stage(id).name.to_string(), needed, total });
                }
            }
            let cached = |id: &StageId| states.get(*id) == SchedulerState::Cached;
            let kept: Vec<StageId> =
                plan.ids().filter(|id| matches!(plan.stage(*id).work, Work::Unpack(_))).filter(cached).collect();
            for key in store.source_keys()? {
                match kept.iter().find(|id| plan.stage(**id).key == key) {
                    Some(id) => disk.unpacked(*id, bytes(plan, *id)),
                    None => store.discard_source(&key)?,
                }
            }
        }
        Ok(Self { time, disk, forecasts, out_of_time: false, started: false, announced: BTreeSet::new() })
    }
}

impl Scheduler {
    /// Returns the first ready stage that the budgets let start.
    pub(super) fn next_build(&self) -> Option<StageId> {
        self.states.ready(Lane::Work).find(|id| self.is_in_time(*id) && self.is_in_space(*id))
    }

    /// Returns the ready fetches that can end in time.
    pub(super) fn next_fetches(&self, count: usize) -> Vec<StageId> {
        self.states.ready(Lane::Fetch).filter(|id| self.is_in_time(*id)).take(count).collect()
    }

    // The wall-clock seconds that a stage is expected to take beside those that run.
    fn expected(&self, id: StageId) -> f64 {
        let running = self.states.running(Lane::Work);
        let tokens = self.context.options.jobs as f64 / (running + 1) as f64;
        let first = self
            .plan
            .stage(id)
            .job()
            .map_or(0, |job| workspace::steps_begun(&self.context.store.work_dir(&self.plan.stage(id).key), job));
        wall_seconds(&self.budgets.forecasts[id.0 as usize], first, tokens)
    }

    fn is_in_time(&self, id: StageId) -> bool {
        self.budgets.time.is_none_or(|time| time.fits(self.expected(id), Instant::now()))
    }

    // A source is unpacked when something can be built from it at once, so that it does not fill the disk meanwhile.
    fn is_in_space(&self, id: StageId) -> bool {
        let Some(disk) = &self.budgets.disk else { return true };
        if !matches!(self.plan.stage(id).work, Work::Unpack(_)) {
            return disk.fits(bytes(&self.plan, id));
        }
        let next = consumers(&self.plan, id).filter(|other| self.states.lacks_only(*other, id));
        let least = next.map(|other| bytes(&self.plan, other)).min();
        least.is_some_and(|least| disk.fits(bytes(&self.plan, id).saturating_add(least)))
    }

    /// A stage starts and takes its share of the disk.
    pub(super) fn take_space(&mut self, id: StageId) {
        self.budgets.started = true;
        if let Some(disk) = &mut self.budgets.disk {
            match &self.plan.stage(id).work {
                Work::Fetch(_) => {}
                Work::Unpack(_) => disk.unpacked(id, bytes(&self.plan, id)),
                Work::Build(_) | Work::Check(_) => disk.started(id, bytes(&self.plan, id)),
            }
        }
    }

    /// Removes what is not needed any more, after stage `id` ended.
    pub(super) fn free_space(&mut self, id: StageId) -> Result<(), Error> {
        let Some(disk) = &mut self.budgets.disk else { return Ok(()) };
        let store = &self.context.store;
        let is_unpack = matches!(self.plan.stage(id).work, Work::Unpack(_));
        if !is_unpack && !is_open(self.states.get(id)) {
            // Of a stage that failed the logs are kept.
            files::remove_tree(&store.work_dir(&self.plan.stage(id).key).join("build"))?;
            disk.removed(id);
        }
        let useless: Vec<StageId> = disk
            .sources()
            .filter(|unpack| self.states.get(*unpack) != SchedulerState::Running)
            .filter(|unpack| !consumers(&self.plan, *unpack).any(|id| is_open(self.states.get(id))))
            .collect();
        for unpack in useless {
            store.discard_source(&self.plan.stage(unpack).key)?;
            disk.removed(unpack);
        }
        Ok(())
    }

    /// Reports the ready stages that wait for disk space, each once. Returns whether one of them has to start although
    /// it does not fit, because nothing runs whose end could make room.
    pub(super) fn wait_for_space(&mut self, emitter: &Emitter) -> Option<StageId> {
        self.budgets.disk.as_ref()?;
        let waits = |id: &StageId| self.is_in_time(*id) && !self.is_in_space(*id);
        let waiting: Vec<StageId> = self.states.ready(Lane::Work).filter(waits).collect();
        let stuck = self.tasks.is_empty() && self.next_build().is_none() && self.next_fetches(1).is_empty();
        let forced = waiting.iter().copied().find(|_| stuck);
        for id in waiting {
            let needed = bytes(&self.plan, id);
            if !self.budgets.announced.insert(id) || matches!(self.plan.stage(id).work, Work::Unpack(_)) {
                continue;
            }
            let text = format!("waits for {} of the disk budget", units::bytes(needed));
            emitter.notice(Some(&self.plan.stage(id).name), false, text);
        }
        if let Some(id) = forced {
            let text = "starts although it exceeds the disk budget: nothing that runs would make room";
            emitter.notice(Some(&self.plan.stage(id).name), true, text);
        }
        forced
    }

    /// Records that only stages are left that cannot end within the time budget. An error if that is all that the
    /// run could do.
    pub(super) fn note_out_of_time(&mut self) -> Result<(), Error> {
        let Some(time) = self.budgets.time else { return Ok(()) };
        let open: Vec<StageId> =
            [Lane::Fetch, Lane::Work].into_iter().flat_map(|lane| self.states.ready(lane)).collect();
        let shortest = open.iter().copied().min_by(|a, b| self.expected(*a).total_cmp(&self.expected(*b)));
        let Some(shortest) = shortest else { return Ok(()) };
        let expected = units::duration(Duration::try_from_secs_f64(self.expected(shortest)).unwrap_or(Duration::MAX));
        let (stage, total) = (self.plan.stage(shortest).name.to_string(), units::duration(time.total));
        self.budgets.out_of_time = true;
        if !self.budgets.started {
            return Err(Error::TimeBudget { stage, expected, total });
        }
        let left = time.stops().saturating_duration_since(Instant::now());
        let text = format!(
            "the time budget of {total} has {} left, and {stage} is expected to take {expected}: the same command carries on",
            units::duration(left)
        );
        self.context.emitter.notice(None, true, text);
        Ok(())
    }

    /// The time is over: running steps are asked to end.
    pub(super) fn end_of_time(&mut self) {
        let Some(time) = self.budgets.time else { return };
        self.budgets.out_of_time = true;
        let total = units::duration(time.total);
        let text = format!("the time budget of {total} ends: stopping the running steps; the same command carries on");
        self.context.emitter.notice(None, true, text);
        self.ask_to_stop();
    }
}
