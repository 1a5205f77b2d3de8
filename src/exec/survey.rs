//! What is there before a run starts, and what the rest will take.

use super::event::Kind;
use super::states::{States, Status};
use crate::plan::{Plan, StageId, Work};
use crate::source::Fetcher;
use crate::store::Store;
use crate::store::history::Times;

/// Whether a stage's result is there, at a quick look; what is damaged counts
/// as missing and is named in `damaged`.
pub fn is_there(
    plan: &Plan,
    store: &Store,
    fetcher: &Fetcher,
    id: StageId,
    damaged: &mut Vec<(String, String)>,
) -> bool {
    if !plan.is_known(id) {
        return false;
    }
    let stage = plan.stage(id);
    match &stage.work {
        Work::Fetch(source) => {
            let set = plan.source(*source);
            let chosen = set.chosen.as_ref().and_then(|chosen| set.candidates.get(chosen.candidate));
            chosen.is_some_and(|candidate| fetcher.cached(std::slice::from_ref(candidate)).is_some())
        }
        Work::Unpack(_) => store.has_source(&stage.key),
        Work::Build(_) | Work::Check(_) => match store.find(&stage.key) {
            Ok(found) => found.is_some(),
            Err(error) => {
                damaged.push((stage.name.clone(), error.to_string()));
                false
            }
        },
    }
}

pub(super) fn kind(work: &Work) -> Kind {
    match work {
        Work::Fetch(_) => Kind::Fetch,
        Work::Unpack(_) => Kind::Unpack,
        Work::Build(_) => Kind::Build,
        Work::Check(_) => Kind::Check,
    }
}

pub(super) fn time_name(plan: &Plan, label: &str, id: StageId) -> String {
    let stage = plan.stage(id);
    format!("{} {} {label}", stage.name, stage.version)
}

/// The seconds of processor time a stage is expected to take: what it took
/// here, else what its recipe says.
pub fn expected(plan: &Plan, times: &Times, label: &str, id: StageId) -> f64 {
    times.get(&time_name(plan, label, id)).unwrap_or(plan.stage(id).cost.as_secs_f64())
}

/// Bytes a run writes at most: archives and trees that are missing, results, and the largest build trees
/// that stand at the same time.
pub(super) fn space_needed(plan: &Plan, states: &States, jobs: usize) -> u64 {
    let mut bytes = 0;
    let mut builds = Vec::new();
    for id in plan.ids().filter(|id| matches!(states.get(*id), Status::Waiting | Status::Ready)) {
        match &plan.stage(id).work {
            Work::Fetch(source) => {
                bytes +=
                    plan.source(*source).candidates.iter().filter_map(|candidate| candidate.size).max().unwrap_or(0);
            }
            Work::Unpack(source) => bytes += plan.source(*source).unpacked,
            Work::Build(job) | Work::Check(job) => {
                bytes += job.result_bytes;
                builds.push(job.build_bytes);
            }
        }
    }
    builds.sort_unstable_by(|a, b| b.cmp(a));
    bytes + builds.iter().take(jobs).sum::<u64>()
}
