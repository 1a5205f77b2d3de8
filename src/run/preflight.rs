//! The survey before a run: which results exist, which stages have to run, and how long they are
//! expected to take.

use super::engine::submission::Part;
use super::log::event::Kind;
use super::session::Session;
use super::states::{SchedulerState, States};
use super::{Error, Goal};
use crate::base::{Key, Sha256, StageName};
use crate::cache::{self, Caches, Found};
use crate::config::source::{Pin, SourceSpec};
use crate::plan::graph::{Chosen, SourceId, SourceSet};
use crate::plan::{Plan, Request, StageId, Work};
use crate::source::Fetcher;
use crate::store::history::{StageTime, Times};
use crate::store::{self, Store};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The caches of finished stages, and what they have for this run.
    pub remote: Remote,
}

/// What caches of other machines have for a run.
#[derive(Debug, Default)]
pub struct Remote {
    /// The caches.
    pub caches: Caches,
    /// The entries that were found, by the keys of their stages.
    pub found: BTreeMap<Key, Found>,
    /// The keys that were looked up.
    pub asked: BTreeSet<Key>,
    /// The sources whose candidate is that of a cache.
    pub chosen: Vec<SourceId>,
    /// What was wrong with answers, to be reported once.
    pub problems: Vec<String>,
    /// Where connections live.
    pub runtime: Option<tokio::runtime::Runtime>,
}

impl Preflight {
    /// Plans `request` and examines the store. With [`Goal::Fetch`] the sources are the goals.
    pub fn of(session: &Session, request: &Request, goal: Goal, store: Store) -> Result<Self, Error> {
        let fetcher = session.fetcher(&store);
        let mut plan = session.plan(request, &store, &fetcher)?;
        if goal == Goal::Fetch {
            plan.goals = plan.ids().filter(|id| matches!(plan.stage(*id).work, Work::Fetch(_))).collect();
        }
        Self::survey(session, plan, goal, (store, fetcher))
    }

    /// Plans `request` and restricts the plan to the part of a job. An error if the keys are not those submitted.
    pub fn of_part(session: &Session, request: &Request, part: &Part, store: Store) -> Result<Self, Error> {
        let fetcher = session.fetcher(&store);
        let mut plan = session.plan(request, &store, &fetcher)?;
        part.restrict(&mut plan).map_err(|problem| Error::OtherKeys(Box::new(problem)))?;
        Self::survey(session, plan, Goal::Build, (store, fetcher))
    }

    fn survey(
        session: &Session,
        mut plan: Plan,
        goal: Goal,
        (store, fetcher): (Store, Fetcher),
    ) -> Result<Self, Error> {
        let mut remote = Remote { caches: session.caches()?, ..Remote::default() };
        remote.choose_sources(&mut plan)?;
        let survey = Survey::of(&plan, &store, &fetcher)?;
        let forecasts = forecasts(&plan, &store.times()?);
        let expected = |id: StageId| forecasts[id.0 as usize].cpu;
        let mut states = States::new(&plan, |id| survey.is_there(id), expected);
        if matches!(goal, Goal::Build | Goal::Pull) && !remote.caches.from.is_empty() {
            remote.look_up(&plan, &states)?;
            let has = |id: StageId| remote.found.contains_key(&plan.stage(id).key);
            states = States::with_remote(&plan, |id| survey.is_there(id), has, expected);
        }
        Ok(Self { plan, store, fetcher, survey, states, forecasts, remote })
    }
}

impl Remote {
    fn runtime(&mut self) -> Result<&tokio::runtime::Runtime, Error> {
        if self.runtime.is_none() {
            self.runtime = Some(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
        }
        self.runtime.as_ref().ok_or_else(|| Error::Defect("no runtime".to_owned()))
    }

    // Keys are known only with their sources: takes the candidates that those who fill the caches have used.
    fn choose_sources(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.caches.from.is_empty() {
            return Ok(());
        }
        let caches = self.caches.clone();
        let sources = plan.stages.iter().filter_map(|stage| match stage.work {
            Work::Fetch(source) if plan.source(source).chosen.is_none() => {
                let set = plan.source(source);
                Some((source, set.label.clone(), pinned(set)))
            }
            _ => None,
        });
        let sources: Vec<_> = sources.collect();
        let chosen = self.runtime()?.block_on(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for (source, label, pins) in sources {
                let caches = caches.clone();
                tasks.spawn(async move { (source, choice(&caches, &label, &pins).await) });
            }
            tasks.join_all().await
        });
        for (source, chosen) in chosen {
            if let Some(chosen) = chosen {
                plan.choose(source, chosen, |_| false);
                self.chosen.push(source);
            }
        }
        Ok(())
    }

    // Looks up every stage that would run.
    fn look_up(&mut self, plan: &Plan, states: &States) -> Result<(), Error> {
        let known = plan.known();
        let runs = |id: &StageId| matches!(states.get(*id), SchedulerState::Waiting | SchedulerState::Ready);
        let ids = plan.ids().filter(|id| known[id.0 as usize] && plan.stage(*id).job().is_some()).filter(runs);
        let keys: Vec<Key> = ids.map(|id| plan.stage(id).key).collect();
        let caches = self.caches.clone();
        let found = {
            let keys = keys.clone();
            self.runtime()?.block_on(async move { caches.find_all(&keys).await })
        };
        for (key, found) in keys.into_iter().zip(found) {
            self.asked.insert(key);
            match found {
                Ok(Some(found)) => drop(self.found.insert(key, found)),
                Ok(None) => {}
                // That a cache is off is reported once.
                Err(cache::Error::Off { .. }) => {}
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        Ok(())
    }
}

/// Returns the candidates of a source that a recipe pins by digest. Others are known only when they were fetched.
pub(super) fn pinned(set: &SourceSet) -> Vec<(usize, Sha256)> {
    let digest = |(at, candidate): (usize, &SourceSpec)| match candidate.pin {
        Pin::Sha256(sha256) => Some((at, sha256)),
        Pin::Signature { .. } | Pin::AsFound => None,
    };
    set.candidates.iter().enumerate().filter_map(digest).collect()
}

async fn choice(caches: &Caches, label: &str, pins: &[(usize, Sha256)]) -> Option<Chosen> {
    for client in &caches.from {
        for (candidate, sha256) in pins {
            match cache::sources::is_chosen(client, label, *sha256).await {
                Ok(true) => return Some(Chosen { candidate: *candidate, digest: format!("sha256:{sha256}") }),
                Ok(false) => {}
                Err(_) => break,
            }
        }
    }
    None
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
            Work::Build(job) | Work::Check(job) if states.is_remote(id) => bytes += job.result_bytes,
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
