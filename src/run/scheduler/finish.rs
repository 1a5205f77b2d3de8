//! The end of a run: its summary, and what the store keeps of it.

use super::Scheduler;
use crate::base::StageName;
use crate::base::text::with_causes;
use crate::plan::Work;
use crate::process;
use crate::run::context::Summary;
use crate::run::log::event::{Event, RunEnd, StageOutcome};
use crate::run::states::SchedulerState;
use crate::run::{Error, Goal, Stop};
use crate::store;
use std::collections::BTreeMap;
use std::time::Duration;

impl Scheduler {
    pub(super) fn finish(mut self, fatal: Option<Error>) -> Result<Summary, Error> {
        // They hold the locks of their stages for some milliseconds after the last step.
        process::await_supervisors(Duration::from_secs(5));
        self.keep_times_and_sweep();
        let mut states = BTreeMap::new();
        let mut results = BTreeMap::new();
        for id in self.plan.ids() {
            let stage = self.plan.stage(id);
            let state = match (self.states.get(id), self.ended.get(&id)) {
                (SchedulerState::Unneeded, _) => continue,
                (_, Some(state)) => state.clone(),
                (_, None) => StageOutcome::Interrupted,
            };
            if state.has_result() && stage.job().is_some() {
                results.insert(stage.name.clone(), self.context.store.stage_dir(&stage.key).join("tree"));
            }
            states.insert(stage.name.clone(), state);
        }
        let end = self.end(&states);
        let (cpu, peak_kib) = self.context.ledger.totals();
        let (busy_wall, busy_cpu) = self.context.ledger.busy();
        let wall = self.context.emitter.elapsed();
        self.report_caches();
        self.context.emitter.emit(Event::RunFinished { wall, cpu, busy_wall, busy_cpu, peak_kib, end });
        match fatal {
            Some(error) => Err(error),
            None => Ok(Summary { states, results, end }),
        }
    }

    // On a full disk neither may cost the run its summary: estimates get worse, and rubbish stays. The next run removes
    // what is left when somebody has pressed Ctrl-C twice.
    fn keep_times_and_sweep(&mut self) {
        let store = &self.context.store;
        let notice = |what: &str, error: store::Error| {
            self.context.emitter.notice(None, true, format!("{what}: {}", with_causes(&error)));
        };
        if let Err(error) = store.add_times(std::mem::take(&mut self.times)) {
            notice("the times of this run's stages were not kept", error);
        }
        if *self.context.stop.borrow() == Stop::Immediate {
            return;
        }
        self.context.removal.finish(&self.context.emitter);
        if !self.context.options.keep_work
            && store.is_writable()
            && let Err(error) = store.sweep()
        {
            notice("unfinished work of earlier runs was not removed", error);
        }
    }

    // A failure counts for more than a failed fetch, and both for more than an interruption.
    fn end(&self, outcomes: &BTreeMap<StageName, StageOutcome>) -> RunEnd {
        let mut end = RunEnd::Done;
        for id in self.plan.ids() {
            let stage = self.plan.stage(id);
            let fetch = matches!(stage.work, Work::Fetch(_));
            match outcomes.get(&stage.name) {
                Some(StageOutcome::Failed { .. }) if !fetch => return RunEnd::Failed,
                Some(StageOutcome::Failed { .. }) => end = RunEnd::SourceFailed,
                Some(StageOutcome::Interrupted) if end != RunEnd::SourceFailed => {
                    end = if self.budgets.out_of_time { RunEnd::TimeBudget } else { RunEnd::Interrupted };
                }
                Some(StageOutcome::Blocked { .. })
                    if end == RunEnd::Done
                        && (matches!(self.context.options.goal, Goal::Check | Goal::Pull)
                            || self.context.options.part.is_some()) =>
                {
                    end = RunEnd::Failed;
                }
                _ => {}
            }
        }
        end
    }
}
