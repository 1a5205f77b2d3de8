//! The states of all stages of a run. Pure: given an event, it returns the stages that may start
//! and those that no longer can.
//!
//! ```text
//! Unneeded   nothing wants it, because what needs it is there already
//! Cached     there already
//! Waiting    needs something that is not finished
//! Ready      may start
//! Running    started
//! Done       finished in this run
//! Failed     ended with an error
//! Blocked    can never start, because what it needs failed
//! ```

use crate::plan::{Plan, StageId, Work};
use std::collections::BTreeSet;

/// A stage's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerState {
    /// Nothing wants it.
    Unneeded,
    /// There already.
    Cached,
    /// Needs something unfinished.
    Waiting,
    /// May start.
    Ready,
    /// Started.
    Running,
    /// Finished.
    Done,
    /// Ended with an error.
    Failed,
    /// Can never start.
    Blocked,
}

/// Stages that must finish before a stage starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A connection.
    Fetch,
    /// A job token.
    Work,
    /// A cache that has its result.
    Pull,
}

/// The states of all stages of a plan. Every step of a run takes logarithmic time, however many stages there are.
#[derive(Debug, Clone)]
pub struct States {
    status: Vec<SchedulerState>,
    needs: Vec<Vec<StageId>>,
    wanted_by: Vec<Vec<StageId>>,
    lane: Vec<Lane>,
    // For each stage, how many of its needs are not finished.
    missing: Vec<usize>,
    // The place of each stage in `by_rank`, where the longest chain is first.
    rank: Vec<usize>,
    by_rank: Vec<StageId>,
    // The ranks of the ready stages, by lane.
    ready: [BTreeSet<usize>; 3],
    running: [usize; 3],
    open_fetches: usize,
    // Whether a cache has the result, so that nothing it needs is wanted.
    remote: Vec<bool>,
}

impl States {
    /// Determines the stages that must run for all goals. `cached` returns
    /// whether a stage's result is there; `expected` how many seconds it takes.
    pub fn new(plan: &Plan, cached: impl Fn(StageId) -> bool, expected: impl Fn(StageId) -> f64) -> Self {
        Self::with_remote(plan, cached, |_| false, expected)
    }

    /// Does the same where `remote` says whether a cache has a result that is not there.
    pub fn with_remote(
        plan: &Plan,
        cached: impl Fn(StageId) -> bool,
        remote: impl Fn(StageId) -> bool,
        expected: impl Fn(StageId) -> f64,
    ) -> Self {
        let remote: Vec<bool> = plan.ids().map(|id| remote(id) && !cached(id)).collect();
        let count = plan.stages.len();
        let mut status = vec![SchedulerState::Unneeded; count];
        let mut wanted = vec![false; count];
        for goal in &plan.goals {
            wanted[goal.0 as usize] = true;
        }
        // Dependents come after their dependencies, so a pass from the back knows all of them in time.
        for id in plan.ids().rev().filter(|id| id.0 < count as u32) {
            let at = id.0 as usize;
            if !wanted[at] {
                continue;
            }
            if cached(id) {
                status[at] = SchedulerState::Cached;
                continue;
            }
            status[at] = SchedulerState::Waiting;
            for need in plan.stage(id).needs.iter().filter(|_| !remote[at]) {
                wanted[need.0 as usize] = true;
            }
        }
        let needs: Vec<Vec<StageId>> = plan.stages.iter().map(|stage| stage.needs.clone()).collect();
        let mut wanted_by = vec![Vec::new(); count];
        for id in plan.ids() {
            for need in &needs[id.0 as usize] {
                wanted_by[need.0 as usize].push(id);
            }
        }
        // The longest chain that a stage holds up decides which starts first.
        let mut priority = vec![0.0; count];
        for id in plan.ids().rev() {
            let at = id.0 as usize;
            let after = wanted_by[at].iter().filter(|next| status[next.0 as usize] == SchedulerState::Waiting);
            let after = after.map(|next| priority[next.0 as usize]).fold(0.0, f64::max);
            priority[at] = after + expected(id).max(0.0);
        }
        let lane: Vec<Lane> = plan
            .stages
            .iter()
            .zip(&remote)
            .map(|(stage, remote)| match stage.work {
                _ if *remote => Lane::Pull,
                Work::Fetch(_) => Lane::Fetch,
                _ => Lane::Work,
            })
            .collect();
        let done = |need: &&StageId| status[need.0 as usize] != SchedulerState::Cached;
        let missing = needs.iter().zip(&remote);
        let missing = missing.map(|(needs, remote)| if *remote { 0 } else { needs.iter().filter(done).count() });
        let missing = missing.collect();
        // A source that recipes ask something of is unpacked first: what it cannot satisfy must not be built for.
        let mut asked = vec![false; count];
        for job in plan.stages.iter().filter_map(|stage| stage.job()).filter(|job| !job.source_checks.is_empty()) {
            job.source.into_iter().for_each(|source| asked[source.0 as usize] = true);
        }
        let mut by_rank: Vec<StageId> = plan.ids().collect();
        by_rank.sort_by(|a, b| {
            let (one, other) = (a.0 as usize, b.0 as usize);
            asked[other].cmp(&asked[one]).then(priority[other].total_cmp(&priority[one])).then(a.cmp(b))
        });
        let mut rank = vec![0; count];
        for (at, id) in by_rank.iter().enumerate() {
            rank[id.0 as usize] = at;
        }
        let waits =
            |(status, lane): &(&SchedulerState, &Lane)| **status == SchedulerState::Waiting && **lane == Lane::Fetch;
        let open_fetches = status.iter().zip(&lane).filter(waits).count();
        let (ready, running) = (Default::default(), [0; 3]);
        let mut states =
            Self { status, needs, wanted_by, lane, missing, rank, by_rank, ready, running, open_fetches, remote };
        for id in plan.ids() {
            if states.get(id) == SchedulerState::Waiting && states.missing[id.0 as usize] == 0 {
                states.set(id, SchedulerState::Ready);
            }
        }
        states
    }

    /// Returns a stage's state.
    pub fn get(&self, id: StageId) -> SchedulerState {
        self.status[id.0 as usize]
    }

    fn set(&mut self, id: StageId, status: SchedulerState) {
        let at = id.0 as usize;
        let lane = self.lane[at] as usize;
        let is_open = |status: SchedulerState| {
            matches!(status, SchedulerState::Waiting | SchedulerState::Ready | SchedulerState::Running)
        };
        let before = std::mem::replace(&mut self.status[at], status);
        match before {
            SchedulerState::Ready => {
                self.ready[lane].remove(&self.rank[at]);
            }
            SchedulerState::Running => self.running[lane] -= 1,
            _ => {}
        }
        match status {
            SchedulerState::Ready => {
                self.ready[lane].insert(self.rank[at]);
            }
            SchedulerState::Running => self.running[lane] += 1,
            _ => {}
        }
        if self.lane[at] == Lane::Fetch {
            self.open_fetches = self.open_fetches + usize::from(is_open(status)) - usize::from(is_open(before));
        }
    }

    /// Returns the stages in a state.
    pub fn all(&self, status: SchedulerState) -> impl Iterator<Item = StageId> + '_ {
        let found = self.status.iter().enumerate().filter(move |(_, other)| **other == status);
        found.map(|(at, _)| StageId(at as u32))
    }

    /// Returns the ready stages of a lane, longest chain first.
    pub fn ready(&self, lane: Lane) -> impl Iterator<Item = StageId> + '_ {
        self.ready[lane as usize].iter().map(|rank| self.by_rank[*rank])
    }

    /// Returns how many stages are ready.
    pub fn runnable(&self) -> usize {
        self.ready.iter().map(BTreeSet::len).sum()
    }

    /// Returns how many stages of a lane run.
    pub fn running(&self, lane: Lane) -> usize {
        self.running[lane as usize]
    }

    /// Returns whether a source is still to be fetched.
    pub fn is_fetching(&self) -> bool {
        self.open_fetches > 0
    }

    /// Returns whether nothing runs and nothing can start.
    pub fn is_over(&self) -> bool {
        self.runnable() == 0 && self.running == [0; 3]
    }

    /// Returns whether a stage could start if it were not for `need`.
    pub fn lacks_only(&self, id: StageId, need: StageId) -> bool {
        self.get(id) == SchedulerState::Waiting
            && self.missing[id.0 as usize] == 1
            && self.needs[id.0 as usize].contains(&need)
    }

    /// Returns whether a stage is to be taken from a cache.
    pub fn is_remote(&self, id: StageId) -> bool {
        self.remote[id.0 as usize]
    }

    /// The result of a running stage cannot be taken from the cache, so it is built, with what it needs. Returns the stages
    /// that nothing wanted before, and those that can never start, because something below them failed. A cache may have
    /// the results of the former as well.
    pub fn build_after_all(&mut self, id: StageId, cached: impl Fn(StageId) -> bool) -> (Vec<StageId>, Vec<StageId>) {
        self.set(id, SchedulerState::Waiting);
        self.remote[id.0 as usize] = false;
        // What has no result but for the cache is never a download.
        self.lane[id.0 as usize] = Lane::Work;
        let mut wanted = Vec::new();
        let mut open = vec![id];
        let mut next = 0;
        while let Some(id) = open.get(next).copied() {
            next += 1;
            for need in self.needs[id.0 as usize].clone() {
                if self.get(need) != SchedulerState::Unneeded {
                    continue;
                }
                wanted.push(need);
                if cached(need) {
                    self.set(need, SchedulerState::Cached);
                } else {
                    self.set(need, SchedulerState::Waiting);
                    open.push(need);
                }
                if self.is_remote(need) {
                    open.retain(|other| *other != need);
                    self.missing[need.0 as usize] = 0;
                    self.set(need, SchedulerState::Ready);
                }
            }
        }
        // What needs a stage comes after it.
        open.sort();
        let mut blocked = Vec::new();
        for id in open {
            let is_lost = |need: &StageId| matches!(self.get(*need), SchedulerState::Failed | SchedulerState::Blocked);
            if self.needs[id.0 as usize].iter().any(is_lost) {
                self.set(id, SchedulerState::Blocked);
                blocked.push(id);
                blocked.extend(self.block_above(id));
                continue;
            }
            let has = |need: &&StageId| matches!(self.get(**need), SchedulerState::Cached | SchedulerState::Done);
            let needs = &self.needs[id.0 as usize];
            let missing = needs.len() - needs.iter().filter(has).count();
            self.missing[id.0 as usize] = missing;
            if missing == 0 {
                self.set(id, SchedulerState::Ready);
            }
        }
        wanted.sort();
        (wanted, blocked)
    }

    /// A ready stage starts.
    pub fn start(&mut self, id: StageId) {
        debug_assert_eq!(self.get(id), SchedulerState::Ready);
        self.set(id, SchedulerState::Running);
    }

    /// Records that a stage is finished. Returns the stages that may start now.
    pub fn finish(&mut self, id: StageId) -> Vec<StageId> {
        self.set(id, SchedulerState::Done);
        let next = self.wanted_by[id.0 as usize].clone();
        let mut ready = Vec::new();
        for next in next {
            let missing = &mut self.missing[next.0 as usize];
            *missing = missing.saturating_sub(1);
            if *missing == 0 && self.get(next) == SchedulerState::Waiting {
                self.set(next, SchedulerState::Ready);
                ready.push(next);
            }
        }
        ready
    }

    /// Returns a stage failed; answers what can never start now.
    pub fn fail(&mut self, id: StageId) -> Vec<StageId> {
        self.set(id, SchedulerState::Failed);
        self.block_above(id)
    }

    // Blocks what needs a stage that has no result and never will.
    fn block_above(&mut self, id: StageId) -> Vec<StageId> {
        let mut blocked = Vec::new();
        let mut next = self.wanted_by[id.0 as usize].clone();
        while let Some(id) = next.pop() {
            if matches!(self.get(id), SchedulerState::Waiting | SchedulerState::Ready) {
                self.set(id, SchedulerState::Blocked);
                blocked.push(id);
                next.extend(self.wanted_by[id.0 as usize].iter().copied());
            }
        }
        blocked.sort();
        blocked
    }

    /// Gives up what waits and is needed by no goal that can still be reached. Answers what that is.
    pub fn prune(&mut self, goals: &[StageId]) -> Vec<StageId> {
        let open = |status: SchedulerState| {
            matches!(status, SchedulerState::Waiting | SchedulerState::Ready | SchedulerState::Running)
        };
        let mut wanted = vec![false; self.status.len()];
        for goal in goals.iter().filter(|goal| open(self.get(**goal))) {
            wanted[goal.0 as usize] = true;
        }
        let mut useless = Vec::new();
        for at in (0..self.status.len()).rev() {
            if wanted[at] {
                for need in &self.needs[at] {
                    wanted[need.0 as usize] = true;
                }
            } else if matches!(self.status[at], SchedulerState::Waiting | SchedulerState::Ready) {
                useless.push(StageId(at as u32));
            }
        }
        for id in &useless {
            self.set(*id, SchedulerState::Blocked);
        }
        useless.reverse();
        useless
    }

    /// Keeps only the stages that `keep` selects. Returns those that can never
    /// start, because something it needs is not there, and what that is.
    pub fn only(&mut self, keep: impl Fn(StageId) -> bool) -> Vec<(StageId, StageId)> {
        let open = |status: SchedulerState| matches!(status, SchedulerState::Waiting | SchedulerState::Ready);
        let all: Vec<_> = (0..self.status.len() as u32).map(StageId).filter(|id| open(self.get(*id))).collect();
        let mut blocked = Vec::new();
        for id in all.iter().copied().filter(|id| keep(*id)) {
            let missing = self.needs[id.0 as usize].iter().copied().find(|need| open(self.get(*need)) && !keep(*need));
            blocked.extend(missing.map(|need| (id, need)));
        }
        for id in all.into_iter().filter(|id| !keep(*id)) {
            self.set(id, SchedulerState::Unneeded);
        }
        for (id, _) in &blocked {
            self.set(*id, SchedulerState::Blocked);
        }
        blocked
    }

    /// A running stage goes back to where it can start again.
    pub fn put_back(&mut self, id: StageId) {
        self.set(id, SchedulerState::Ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Key, PackageName};
    use crate::plan::graph::{SourceId, Stage, Work};
    use crate::plan::key_inputs::KeyInputs;
    use proptest::prelude::*;
    use std::time::Duration;

    fn plan(needs: &[&[u32]], goals: &[u32]) -> Plan {
        let stage = |(at, needs): (usize, &&[u32])| Stage {
            name: crate::base::StageName::new("s", at),
            scope: "s".into(),
            package: PackageName::new("p").unwrap(),
            version: String::new(),
            needs: needs.iter().map(|need| StageId(*need)).collect(),
            own: KeyInputs::new(),
            work: Work::Fetch(SourceId(0)),
            expect: None,
            cost: Duration::ZERO,
            key: Key::of(b""),
        };
        Plan {
            stages: needs.iter().enumerate().map(stage).collect(),
            sources: Vec::new(),
            goals: goals.iter().map(|goal| StageId(*goal)).collect(),
        }
    }

    fn ready(states: &States) -> Vec<StageId> {
        states.ready(Lane::Fetch).collect()
    }

    fn ids(ids: &[u32]) -> Vec<StageId> {
        ids.iter().map(|id| StageId(*id)).collect()
    }

    #[test]
    fn what_a_cached_goal_needs_is_not_wanted() {
        let plan = plan(&[&[], &[0], &[1], &[0]], &[2, 3]);
        let states = States::new(&plan, |id| id == StageId(2), |_| 1.0);
        assert_eq!(states.get(StageId(1)), SchedulerState::Unneeded);
        assert_eq!(ready(&states), ids(&[0]));
    }

    #[test]
    fn the_longest_chain_starts_first_and_a_failure_blocks_only_what_needs_it() {
        // 0 -> 2 -> 3 is long, 1 -> 4 short.
        let plan = plan(&[&[], &[], &[0], &[2], &[1]], &[3, 4]);
        let mut states = States::new(&plan, |_| false, |id| if id == StageId(2) { 100.0 } else { 1.0 });
        assert_eq!(ready(&states), ids(&[0, 1]));
        states.start(StageId(0));
        states.start(StageId(1));
        assert_eq!(states.fail(StageId(0)), ids(&[2, 3]));
        assert_eq!(states.finish(StageId(1)), ids(&[4]));
        states.start(StageId(4));
        assert!(states.finish(StageId(4)).is_empty() && states.is_over());
    }

    #[test]
    fn what_a_cache_has_needs_nothing_until_it_turns_out_to_be_unusable() {
        // 0 -> 1 -> 2 -> 4, 3 -> 4; the cache has 1, 2 and 4; 3 is there.
        let plan = plan(&[&[], &[0], &[1], &[], &[2, 3]], &[4]);
        let there = |id: StageId| id == StageId(3);
        let remote = |id: StageId| [1, 2, 3, 4].contains(&id.0);
        let mut states = States::with_remote(&plan, there, remote, |_| 1.0);
        let pulls = |states: &States| -> Vec<StageId> { states.ready(Lane::Pull).collect() };
        assert_eq!(pulls(&states), ids(&[4]));
        assert_eq!(states.get(StageId(2)), SchedulerState::Unneeded);
        states.start(StageId(4));
        assert_eq!(states.build_after_all(StageId(4), there), (ids(&[2, 3]), ids(&[])));
        assert_eq!((states.get(StageId(3)), pulls(&states)), (SchedulerState::Cached, ids(&[2])));
        states.start(StageId(2));
        assert_eq!(states.build_after_all(StageId(2), there), (ids(&[1]), ids(&[])));
        states.start(StageId(1));
        assert!(!states.is_over() && ready(&states).is_empty());
        assert_eq!(states.build_after_all(StageId(1), there), (ids(&[0]), ids(&[])));
        let mut done = Vec::new();
        for (id, lane) in [(0, Lane::Fetch), (1, Lane::Work), (2, Lane::Work), (4, Lane::Work)] {
            assert_eq!(states.ready(lane).collect::<Vec<_>>(), ids(&[id]));
            states.start(StageId(id));
            done.push(states.finish(StageId(id)));
        }
        assert_eq!(done, [ids(&[1]), ids(&[2]), ids(&[4]), ids(&[])]);
        assert!(states.is_over());
    }

    #[test]
    fn only_what_has_all_it_needs_is_left() {
        // 0 -> 1 (check), 2 (cached) -> 3 (check)
        let plan = plan(&[&[], &[0], &[], &[2]], &[1, 3]);
        let mut states = States::new(&plan, |id| id == StageId(2), |_| 1.0);
        let check = |id: StageId| id == StageId(1) || id == StageId(3);
        assert_eq!(states.only(check), vec![(StageId(1), StageId(0))]);
        assert_eq!(ready(&states), ids(&[3]));
        assert_eq!(states.get(StageId(0)), SchedulerState::Unneeded);
        assert_eq!(states.get(StageId(1)), SchedulerState::Blocked);
    }

    proptest! {
        // Whatever fails, every stage ends in a final state and none starts before its needs.
        #[test]
        fn every_run_comes_to_an_end(edges in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..20),
                                     failing in prop::collection::vec(any::<bool>(), 20),
                                     cached in prop::collection::vec(any::<bool>(), 20)) {
            let needs: Vec<Vec<u32>> = edges.iter().enumerate().map(|(at, edges)| {
                let mut needs: Vec<u32> = if at == 0 { vec![] } else { edges.iter().map(|edge| edge.index(at) as u32).collect() };
                needs.sort_unstable();
                needs.dedup();
                needs
            }).collect();
            let slices: Vec<&[u32]> = needs.iter().map(Vec::as_slice).collect();
            let plan = plan(&slices, &[needs.len() as u32 - 1]);
            let mut states = States::new(&plan, |id| cached[id.0 as usize], |_| 1.0);
            for _ in 0..=needs.len() {
                for id in ready(&states) {
                    states.start(id);
                    for need in &needs[id.0 as usize] {
                        prop_assert!(matches!(states.get(StageId(*need)), SchedulerState::Done | SchedulerState::Cached));
                    }
                    if failing[id.0 as usize] { states.fail(id); } else { states.finish(id); }
                }
            }
            prop_assert!(states.is_over());
            prop_assert_eq!(states.all(SchedulerState::Waiting).count(), 0);
        }
    }
}
