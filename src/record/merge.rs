//! Merges the results of a run into the record.

use super::{Gathered, Outcome, Record, StageResult, TargetResults};
use std::collections::{BTreeMap, BTreeSet};

/// Adds the results of a run to the record; returns notes about results that were not taken.
/// Runs are given in the order they began: the newest takes precedence.
///
/// Each profile and release set of a target has results of its own. A target without new results
/// keeps its record, and so does each of its stages, as long as the same versions and settings were
/// built again.
pub fn merge(record: &mut Record, run: Gathered) -> Vec<String> {
    let mut notes = Vec::new();
    for row in &run.unknown {
        notes.push(format!("{}: `{row}` is not a target of the matrix", run.run));
    }
    lay(&mut record.host, run.host);
    for (name, new) in run.targets {
        let kept = record.targets.entry(name.clone()).or_default();
        let label = new.label();
        match kept.get_mut(&label) {
            None => {
                kept.insert(label, new);
            }
            Some(old) if old.tested > new.tested => {}
            Some(old) if same(old, &new) => {
                let mut stages = std::mem::take(&mut old.stages);
                lay(&mut stages, new.stages);
                let mut versions = std::mem::take(&mut old.versions);
                versions.extend(new.versions);
                *old = TargetResults { stages, versions, ..new };
            }
            Some(old) if covers(&new, old) => *old = new,
            Some(old) => notes.push(format!(
                "{}: `{name}` keeps its {label} results of {}, which are from other versions or settings and have more stages",
                run.run, old.run
            )),
        }
    }
    record.runs.insert(run.run, run.figures);
    forget_runs(record);
    notes
}

// Existing entries keep their place, new ones come last.
fn lay(stages: &mut Vec<StageResult>, new: Vec<StageResult>) {
    for stage in new {
        match stages.iter_mut().find(|other| other.package == stage.package) {
            // That this machine could not look does not undo that another did.
            Some(other) if stage.state == Outcome::Skipped && other.key == stage.key => {}
            Some(other) => *other = stage,
            None => stages.push(stage),
        }
    }
}

// A property that only one of them has is no difference: a run of checks alone has no compiler's version, and a
// setting that was declared since then is, by default, what was done before.
fn same(old: &TargetResults, new: &TargetResults) -> bool {
    agree(&old.versions, &new.versions)
        && agree(&old.set, &new.set)
        && old.toolchain == new.toolchain
        && old.profile == new.profile
}

fn agree<V: PartialEq>(old: &BTreeMap<String, V>, new: &BTreeMap<String, V>) -> bool {
    new.iter().all(|(name, value)| old.get(name).is_none_or(|was| was == value))
}

fn covers(new: &TargetResults, old: &TargetResults) -> bool {
    old.stages.iter().all(|stage| new.stages.iter().any(|other| other.package == stage.package))
}

fn forget_runs(record: &mut Record) {
    let named: BTreeSet<String> = record.stages().filter_map(|(_, stage)| stage.run.clone()).collect();
    record.runs.retain(|name, _| named.contains(name));
}
