//! The scheduler and the remote caches: stages whose results are pulled instead of built.

use super::{Scheduler, info};
use crate::base::{Key, StageName};
use crate::cache;
use crate::plan::{Plan, StageId, Work};
use crate::run::Error;
use crate::run::log::event::{Event, StageOutcome};
use crate::run::preflight::Remote;
use crate::run::stage::build;
use crate::run::states::{Lane, SchedulerState};
use crate::store::Store;
use crate::store::names::Named;
use std::collections::BTreeSet;

/// Number of results pulled at a time, each by several requests.
const PULLS: usize = 4;

// Without the candidates that a cache has chosen, the next run would not know the keys of what it has taken from there.
pub(super) fn remember_choices(plan: &Plan, store: &Store, remote: &Remote) -> Result<(), Error> {
    for stage in &plan.stages {
        let Work::Fetch(source) = stage.work else { continue };
        let set = plan.source(source);
        if let (true, Some(chosen)) = (remote.chosen.contains(&source), &set.chosen) {
            let (name, key, inputs) = (StageName::new("source", &set.label), stage.key, chosen.clone());
            store.remember(&Named { name, key, inputs, previous: None })?;
        }
    }
    Ok(())
}

impl Scheduler {
    pub(super) fn start_pulls(&mut self) {
        let free = PULLS.saturating_sub(self.states.running(Lane::Pull));
        for id in self.states.ready(Lane::Pull).take(free).collect::<Vec<_>>() {
            let context = self.context.clone();
            let (work, found) = (self.work(id), self.found.get(&self.plan.stage(id).key).cloned());
            self.start(id, async move {
                let gone = || cache::Error::Missing { what: "the entry of another key".to_owned() };
                let (Some(work), Some(found)) = (work, found) else { return Err(gone().into()) };
                build::pull(&context, work, found).await
            });
        }
    }

    // A stage's result cannot be taken from the cache: it is built, with what it needs.
    pub(super) fn build_after_all(&mut self, id: StageId, error: &Error) {
        let name = self.plan.stage(id).name.clone();
        if !matches!(error, Error::Cache(cache::Error::Off { .. })) {
            self.context.emitter.notice(Some(&name), true, format!("not taken from the cache: {error}; building it"));
        }
        let (added, blocked) = self.states.build_after_all(id, |need| self.survey.is_there(need));
        let stages = added.iter().map(|id| info(&self.plan, &self.states, self.budgets.forecasts(), *id)).collect();
        self.context.emitter.emit(Event::StagesAdded { stages });
        for id in added.into_iter().filter(|id| self.states.get(*id) == SchedulerState::Cached) {
            self.ended.insert(id, StageOutcome::Cached);
            if matches!(self.plan.stage(id).work, Work::Unpack(_)) {
                self.unchecked.push(id);
            }
        }
        for id in blocked {
            self.block(id, "a stage that failed");
        }
    }

    pub(super) fn report_caches(&self) {
        let caches = &self.context.caches;
        if caches.is_empty() {
            return;
        }
        for client in caches.clients() {
            if let Some(why) = client.off() {
                let text = format!("the cache {} was not used to the end: {why}", client.name());
                self.context.emitter.notice(None, true, text);
            }
        }
        // What another client has stored meanwhile was not cached, and is no miss.
        let pulled = self.ended.iter().filter(|(_, outcome)| **outcome == StageOutcome::Pulled);
        let pulled: BTreeSet<Key> = pulled.map(|(id, _)| self.plan.stage(*id).key).collect();
        let is_missed = |key: &&Key| !self.found.contains_key(key) && !pulled.contains(key);
        let missed = self.context.asked.iter().filter(is_missed).count() as u64;
        let missed = caches.stats().missed + missed;
        let stats = cache::Stats { missed, ..caches.stats() };
        self.context.emitter.emit(Event::CacheUsed { stats });
    }
}
