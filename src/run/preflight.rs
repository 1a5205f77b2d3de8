//! The survey before a run: which results exist, which stages have to run, and how long they are
//! expected to take.

use super::log::event::Kind;
use super::session::Session;
use super::states::{SchedulerState, States};
use super::{Error, Goal};
use crate::base::StageName;
use crate::plan::{Plan, Request, StageId, Work};
use crate::source::Fetcher;
use crate::store::history::{StageTime, Times};
use crate::store::{self, Store};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// The one examination of the store that `plan` prints and a run starts from.
#[derive(Debug)]
pub struct Preflight {
    /// The graph.
    pub plan: Plan,
    /// The store.
    pub store: Store,
    /// The source layer.
    pub fetcher: Fetcher,
    /// Which results exist.
    pub survey: Survey,
    /// The stages that have to run.
    pub states: States,
    /// The expected duration of each stage.
    pub forecasts: Vec<StageTime>,
}

impl Preflight {
    /// Plans `request` and examines the store. With [`Goal::Fetch`] the sources are the goals.
    pub fn of(session: &Session, request: &Request, goal: Goal, store: Store) -> Result<Self, Error> {
        let fetcher = session.fetcher(&store);
        let mut plan = session.plan(request, &store, &fetcher)?;
        if goal == Goal::Fetch {
            plan.goals = plan.ids().filter(|id| matches!(plan.stage(*id).work, Work::Fetch(_))).collect();
        }
        let survey = Survey::of(&plan, &store, &fetcher)?;
        let forecasts = forecasts(&plan, &store.times()?);
        let states = States::new(&plan, |id| survey.is_there(id), |id| forecasts[id.0 as usize].cpu);
        Ok(Self { plan, store, fetcher, survey, states, forecasts })
    }
}

/// Which stages' results exist, by one rule for every command.
#[derive(Debug)]
pub struct Survey {
    there: Vec<bool>,
    /// Stages whose result or tree is damaged, which counts as missing, and what is wrong with it.
    pub damaged: Vec<(StageName, String)>,
}

impl Survey {
    /// Examines every stage of a plan. A result that cannot be read is an error: it is neither missing nor damaged.
    /// Unpacked sources that a stage without a result needs are compared with their manifests.
    pub fn of(plan: &Plan, store: &Store, fetcher: &Fetcher) -> Result<Self, Error> {
        let mut survey = Self { there: vec![false; plan.stages.len()], damaged: Vec::new() };
        let known = plan.known();
        let is_unpack = |id: &StageId| matches!(plan.stage(*id).work, Work::Unpack(_));
        let (unpacks, others): (Vec<_>, Vec<_>) = plan.ids().filter(|id| known[id.0 as usize]).partition(is_unpack);
        let mut needed = BTreeSet::new();
        // Some dozen system calls a result: most of the time of a run that has nothing to do.
        let found: Vec<Result<bool, Error>> =
            others.par_iter().map(|id| is_finished(plan, *id, store, fetcher)).collect();
        for (id, found) in others.into_iter().zip(found) {
            survey.note(plan, id, found)?;
        }
        // A stage whose key is not known yet may need its source as well.
        let missing = plan.ids().filter(|id| !survey.is_there(*id));
        needed.extend(missing.filter_map(|id| plan.stage(id).job()?.source));
        for id in unpacks {
            let compare = needed.contains(&id);
            let key = &plan.stage(id).key;
            let found = if compare { store.check_source(key, false) } else { store.has_source(key) };
            survey.note(plan, id, found.map_err(Error::from))?;
        }
        Ok(survey)
    }

    fn note(&mut self, plan: &Plan, id: StageId, found: Result<bool, Error>) -> Result<(), Error> {
        self.there[id.0 as usize] = match found {
            Err(Error::Store(error @ store::Error::Corrupt { .. })) => {
                self.damaged.push((plan.stage(id).name.clone(), error.to_string()));
                false
            }
            other => other?,
        };
        Ok(())
    }

    /// Returns whether a stage's result is there.
    pub fn is_there(&self, id: StageId) -> bool {
        self.there[id.0 as usize]
    }
}

// Whether the result of a stage that unpacks nothing exists.
fn is_finished(plan: &Plan, id: StageId, store: &Store, fetcher: &Fetcher) -> Result<bool, Error> {
    let stage = plan.stage(id);
    let Work::Fetch(source) = &stage.work else { return Ok(store.find(&stage.key)?.is_some()) };
    let set = plan.source(*source);
    let chosen = set.chosen.as_ref().and_then(|chosen| set.candidates.get(chosen.candidate));
    let Some(candidate) = chosen else { return Ok(false) };
    Ok(fetcher.cached(std::slice::from_ref(candidate))?.is_some())
}

pub(super) fn kind(work: &Work) -> Kind {
    match work {
        Work::Fetch(_) => Kind::Fetch,
        Work::Unpack(_) => Kind::Unpack,
        Work::Build(_) => Kind::Build,
        Work::Check(_) => Kind::Check,
    }
}

// The last duration of each stage on this machine. A stage that was never built is expected to take its recipe's figure,
// scaled by how much faster or slower than their figures the others were.
fn forecasts(plan: &Plan, times: &Times) -> Vec<StageTime> {
    let known: Vec<Option<&StageTime>> = plan
        .ids()
        .map(|id| times.get(&plan.stage(id).name, &plan.stage(id).version, &plan.configuration(id)))
        .collect();
    let (mut measured, mut figures) = (0.0, 0.0);
    for (id, time) in plan.ids().zip(&known) {
        let figure = plan.stage(id).cost.as_secs_f64();
        if let (Some(time), true) = (time, figure > 0.0) {
            measured += time.cpu;
            figures += figure;
        }
    }
    let speed = if figures > 0.0 { (measured / figures).clamp(0.05, 20.0) } else { 1.0 };
    let of_recipe = |id| StageTime { cpu: plan.stage(id).cost.as_secs_f64() * speed, steps: Vec::new() };
    plan.ids().zip(known).map(|(id, time)| time.cloned().unwrap_or_else(|| of_recipe(id))).collect()
}

/// Bytes a run writes at most: archives and trees that are missing, results, and the largest build trees
/// that stand at the same time, or the `disk_budget` that bounds trees.
pub(super) fn space_needed(plan: &Plan, states: &States, jobs: usize, disk_budget: Option<u64>) -> u64 {
    let (mut bytes, mut unpacked) = (0, 0);
    let mut builds = Vec::new();
    for id in plan.ids().filter(|id| matches!(states.get(*id), SchedulerState::Waiting | SchedulerState::Ready)) {
        match &plan.stage(id).work {
            Work::Fetch(source) => {
                bytes +=
                    plan.source(*source).candidates.iter().filter_map(|candidate| candidate.size).max().unwrap_or(0);
            }
            Work::Unpack(source) => unpacked += plan.source(*source).unpacked,
            Work::Build(job) | Work::Check(job) => {
                bytes += job.result_bytes;
                builds.push(job.build_bytes);
            }
        }
    }
    builds.sort_unstable_by(|a, b| b.cmp(a));
    let trees = unpacked + builds.iter().take(jobs).sum::<u64>();
    bytes + trees.min(disk_budget.unwrap_or(u64::MAX))
}
