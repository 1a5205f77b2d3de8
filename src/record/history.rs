//! The run that built each result, and its cost: a run that found a result ready
//! knows neither.

use crate::base::Key;
use crate::run::log::event::{StageOutcome, Usage};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use std::collections::BTreeMap;

/// The results that runs built, by key.
#[derive(Debug, Clone, Default)]
pub struct History {
    built: BTreeMap<Key, Made>,
}

/// The run that built a result, and the cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The run that finished it.
    pub run: String,
    /// The cost, including earlier runs whose build tree it continued.
    pub usage: Usage,
}

impl History {
    /// Of runs in the order they began.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a RunModel>) -> Self {
        let mut history = Self::default();
        // An interrupted build: its first step, and its cost.
        let mut stopped: BTreeMap<Key, (String, Usage)> = BTreeMap::new();
        for model in runs {
            for stage in model.stages.values() {
                let key = key_of(stage);
                let Some(first) = stage.steps.first() else {
                    // Every step was done by a run that then missed something in the result.
                    if stage.phase == StagePhase::Over(StageOutcome::Done)
                        && let Some((_, usage)) = stopped.remove(&key)
                    {
                        history.built.insert(key, Made { run: model.run.name.clone(), usage });
                    }
                    continue;
                };
                let before = stopped.remove(&key).filter(|(name, _)| first.resumed || *name != first.name);
                let mut usage = used(stage);
                let mut began_with = first.name.clone();
                if let Some((name, more)) = before {
                    usage = sum(usage, more);
                    began_with = name;
                }
                match &stage.phase {
                    StagePhase::Over(StageOutcome::Done | StageOutcome::Unsupported { .. }) => {
                        history.built.insert(key, Made { run: model.run.name.clone(), usage });
                    }
                    // Stopped, killed or failed; a failed step is never continued, which its first step shows.
                    _ => {
                        stopped.insert(key, (began_with, usage));
                    }
                }
            }
        }
        history
    }

    /// Returns how a result was built, if a log has it.
    pub fn get(&self, key: &Key) -> Option<&Made> {
        self.built.get(key)
    }
}

/// Returns the key a stage had in the end. The one announced is provisional where a source was not
/// yet here; the directories of its logs and result are named by the final one.
pub fn key_of(stage: &Stage) -> Key {
    let paths = stage.result.iter().chain(stage.steps.iter().map(|step| &step.log));
    let named = paths.flat_map(|path| path.split('/')).find_map(|part| part.parse().ok());
    named.unwrap_or(stage.info.key)
}

// A stage that was killed with its run has no sum of its steps.
fn used(stage: &Stage) -> Usage {
    let steps = stage.steps.iter().fold(Usage::default(), |all, step| sum(all, step.usage));
    if stage.usage.wall > 0.0 { stage.usage } else { steps }
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        wall: a.wall + b.wall,
        user: a.user + b.user,
        system: a.system + b.system,
        max_rss_kib: a.max_rss_kib.max(b.max_rss_kib),
    }
}
