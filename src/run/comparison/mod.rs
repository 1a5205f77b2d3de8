//! Two runs compared: what failed, what works again, which warnings are new, what takes longer or is larger.
//!
//! Whether a difference of times or sizes matters is judged by how much they varied in earlier runs
//! ([`spread`]), not by a constant.

pub mod code;
pub mod spread;

use super::build_log::Class;
use super::log::RunModel;
use super::log::event::{Kind, StageName, StageOutcome};
use super::log::model::{Stage, StagePhase, cpu};
use crate::base::Key;
use spread::{History, Measure};
use std::collections::{BTreeMap, BTreeSet};

/// A run and the sizes of its results, where they are known.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The run's name.
    pub name: String,
    /// Model of the run.
    pub model: RunModel,
    /// Bytes of the results, by stage.
    pub sizes: BTreeMap<StageName, u64>,
    /// The keys of the results and the processor seconds that building them took, in whichever run that was.
    pub built: BTreeMap<StageName, (Key, f64)>,
}

/// The differences of times and sizes that are of interest.
#[derive(Debug, Clone, Copy)]
pub enum Judging<'a> {
    /// Those beyond what earlier runs have shown to be usual: of two runs of the same.
    Unusual(&'a History),
    /// Those of all results that differ: of two sets of versions.
    Every,
}

/// Change of a stage's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It did not fail before and fails now.
    Regression,
    /// It fails now, and the earlier run did not get to it.
    NewFailure,
    /// It did not fail before, and this run did not get to it: blocked, interrupted or killed.
    NotReached,
    /// It failed before and does not now.
    Fixed,
    /// Its state differs in another way: a known failure, a skipped check, an interrupted run.
    Other,
}

impl ChangeKind {
    /// Returns the word that every output uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::NewFailure => "new-failure",
            Self::NotReached => "not-reached",
            Self::Fixed => "fixed",
            Self::Other => "other",
        }
    }
}

/// A stage whose state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Which.
    pub stage: StageName,
    /// In which way.
    pub kind: ChangeKind,
    /// The state before; `None` if the earlier run has no such stage.
    pub before: Option<&'static str>,
    /// The state now.
    pub after: &'static str,
    /// The reason of the state now.
    pub why: Option<String>,
    /// The class of the failure, if it fails now and a step failed.
    pub class: Option<Class>,
}

/// A time or a size that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Of which stage.
    pub stage: StageName,
    /// Before: processor seconds or bytes.
    pub before: f64,
    /// Now.
    pub after: f64,
    /// The largest usual change as a fraction, 0.05 for 5 %; `None` if there are too few runs.
    pub usual: Option<f64>,
}

impl Difference {
    /// Returns the change as a fraction of the value before: 0.02 for 2 % more.
    #[must_use]
    pub fn change(&self) -> f64 {
        if self.before > 0.0 { self.after / self.before - 1.0 } else { 0.0 }
    }
}

/// A figure of a check that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureChange {
    /// The check's stage.
    pub stage: StageName,
    /// The figure's name.
    pub figure: String,
    /// Before.
    pub before: f64,
    /// Now.
    pub after: f64,
}

/// A warning, or a finding of a check, that the earlier run did not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewWarning {
    /// The stage that it belongs to, if one.
    pub stage: Option<StageName>,
    /// The text.
    pub text: String,
}

/// The differences between two runs.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The earlier run's name.
    pub before: String,
    /// The later run's name.
    pub after: String,
    /// The two sets of versions, where that is what the runs are for.
    pub sets: Option<(String, String)>,
    /// States, regressions first.
    pub states: Vec<StateChange>,
    /// Warnings that are new.
    pub warnings: Vec<NewWarning>,
    /// Processor times beyond their usual spread.
    pub times: Vec<Difference>,
    /// Times that could not be judged because too few earlier runs measured them.
    pub times_unjudged: usize,
    /// Sizes of results beyond their usual spread, or that changed where no spread is known.
    pub sizes: Vec<Difference>,
    /// Figures of checks that changed.
    pub figures: Vec<FigureChange>,
    /// Changes of the code of kernels, where they were asked for.
    pub code: Vec<code::CodeChange>,
    /// Stages of the earlier run alone.
    pub only_before: Vec<StageName>,
    /// Stages of the later run alone.
    pub only_after: Vec<StageName>,
}

/// Why two runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("runs `{before}` and `{after}` have no target in common")]
pub struct NothingShared {
    /// The earlier run.
    pub before: String,
    /// Its targets.
    pub before_rows: Vec<String>,
    /// The later run.
    pub after: String,
    /// Its targets.
    pub after_rows: Vec<String>,
}

/// Compares `after` with `before`.
pub fn compare(before: &Subject, after: &Subject, judging: Judging<'_>) -> Result<Comparison, NothingShared> {
    let (old_rows, new_rows) = (rows(&before.model), rows(&after.model));
    if old_rows.is_disjoint(&new_rows) {
        let list = |rows: BTreeSet<&str>| rows.into_iter().map(str::to_owned).collect();
        return Err(NothingShared {
            before: before.name.clone(),
            before_rows: list(old_rows),
            after: after.name.clone(),
            after_rows: list(new_rows),
        });
    }
    let mut found = Comparison { before: before.name.clone(), after: after.name.clone(), ..Comparison::default() };
    let (old, new) = (&before.model.stages, &after.model.stages);
    let only = |these: &RunModel, others: &RunModel| {
        let missing = these.stages.values().filter(|stage| !others.stages.contains_key(&stage.info.name));
        // Two sets have other sources by intention.
        let counts = |stage: &&Stage| match judging {
            Judging::Unusual(_) => true,
            Judging::Every => matches!(stage.info.kind, Kind::Build | Kind::Check),
        };
        missing.filter(counts).map(|stage| stage.info.name.clone()).collect()
    };
    found.only_before = only(&before.model, &after.model);
    found.only_after = only(&after.model, &before.model);
    for (name, stage) in new {
        let earlier = old.get(name);
        found.states.extend(state_change(earlier, stage));
        let Some(earlier) = earlier else { continue };
        found.figures.extend(figures(earlier, stage));
        let Judging::Unusual(history) = judging else {
            found.every(name, before, after);
            continue;
        };
        if let Some((old, new)) = spread::cpu(earlier).zip(spread::cpu(stage)) {
            let usual = history.usual(Measure::Cpu, &stage.info.name, &stage.info.version);
            let difference = Difference { stage: name.clone(), before: old, after: new, usual };
            match usual {
                None => found.times_unjudged += 1,
                Some(usual) if spread::is_beyond(&difference, usual) => found.times.push(difference),
                Some(_) => {}
            }
        }
        if let (Some(old), Some(new)) = (before.sizes.get(name), after.sizes.get(name)) {
            let usual = history.usual(Measure::Size, &stage.info.name, &stage.info.version);
            let difference = Difference { stage: name.clone(), before: *old as f64, after: *new as f64, usual };
            if old != new && usual.is_none_or(|usual| spread::is_beyond(&difference, usual)) {
                found.sizes.push(difference);
            }
        }
    }
    found.states.sort_by_key(|change| change.kind);
    found.times.sort_by(|a, b| b.change().total_cmp(&a.change()));
    found.sizes.sort_by(|a, b| b.change().total_cmp(&a.change()));
    found.warnings = new_warnings(&before.model, &after.model);
    Ok(found)
}

impl Comparison {
    // The time and the size of a stage whose results differ.
    fn every(&mut self, name: &StageName, before: &Subject, after: &Subject) {
        let (Some((old, old_cpu)), Some((new, new_cpu))) = (before.built.get(name), after.built.get(name)) else {
            return;
        };
        if old == new {
            return;
        }
        let difference = |before: f64, after: f64| Difference { stage: name.clone(), before, after, usual: None };
        if old_cpu.max(*new_cpu) >= spread::LEAST_SECONDS {
            self.times.push(difference(*old_cpu, *new_cpu));
        }
        if let (Some(old), Some(new)) = (before.sizes.get(name), after.sizes.get(name)) {
            self.sizes.extend((old != new).then(|| difference(*old as f64, *new as f64)));
        }
    }
}

// The rows that hold a goal of a run: not its sources, nor the libraries of the host that every run has.
fn rows(model: &RunModel) -> BTreeSet<&str> {
    let builds = |stage: &&Stage| matches!(stage.info.kind, Kind::Build | Kind::Check);
    let rows = model.stages.values().filter(builds).map(|stage| stage.info.scope.as_str());
    let rows: BTreeSet<&str> = rows.chain(model.run.borrowed.iter().map(|cell| cell.scope.as_str())).collect();
    let targets: BTreeSet<&str> = rows.iter().copied().filter(|row| *row != crate::config::matrix::HOST).collect();
    // A run of host libraries or of sources alone has no other row.
    if !targets.is_empty() {
        return targets;
    }
    if rows.is_empty() { model.stages.values().map(|stage| stage.info.scope.as_str()).collect() } else { rows }
}

// Whether a stage's outcome is known, and whether it is a failure.
fn fails(phase: &StagePhase) -> Option<bool> {
    match phase {
        StagePhase::Over(StageOutcome::Failed { .. }) => Some(true),
        StagePhase::Over(StageOutcome::Blocked { .. } | StageOutcome::Interrupted) => None,
        StagePhase::Over(_) => Some(false),
        StagePhase::Pending | StagePhase::Running | StagePhase::Waiting { .. } => None,
    }
}

// Done, cached and shared differ in when a result was built, not in what it is.
fn state(stage: &Stage) -> &'static str {
    match &stage.phase {
        StagePhase::Over(outcome) if outcome.has_result() => "passed",
        phase => phase.as_str(),
    }
}

fn state_change(before: Option<&Stage>, after: &Stage) -> Option<StateChange> {
    let old = before.map(state);
    let (new, failing) = (state(after), fails(&after.phase));
    let kind = match (before.and_then(|stage| fails(&stage.phase)), failing) {
        (Some(false), Some(true)) => ChangeKind::Regression,
        (None, Some(true)) => ChangeKind::NewFailure,
        (Some(false), None) => ChangeKind::NotReached,
        (Some(true), Some(false)) => ChangeKind::Fixed,
        _ if old.is_some_and(|old| old != new) => ChangeKind::Other,
        _ => return None,
    };
    let why = match &after.phase {
        StagePhase::Over(outcome) => outcome.why().map(str::to_owned),
        _ => None,
    };
    let class = after.failure.as_ref().map(|failure| failure.class);
    Some(StateChange { stage: after.info.name.clone(), kind, before: old, after: new, why, class })
}

fn figures(before: &Stage, after: &Stage) -> Vec<FigureChange> {
    let (Some(old), Some(new)) = (&before.check_result, &after.check_result) else { return Vec::new() };
    let changed = new.figures.iter().filter_map(|(name, after_value)| {
        let before_value = old.figures.iter().find(|(other, _)| other == name)?.1;
        (before_value != *after_value).then(|| FigureChange {
            stage: after.info.name.clone(),
            figure: name.clone(),
            before: before_value,
            after: *after_value,
        })
    });
    changed.collect()
}

// Numbers in a warning change from run to run: free space, times, addresses.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            c => shape.push(c),
        }
    }
    shape
}

fn warnings(model: &RunModel) -> impl Iterator<Item = NewWarning> {
    let notices = model.notices.iter().filter(|notice| notice.warning);
    let notices = notices.map(|notice| NewWarning { stage: notice.stage.clone(), text: notice.text.clone() });
    let findings = model.stages.values().flat_map(|stage| {
        let findings = stage.check_result.iter().flat_map(|check_result| &check_result.findings);
        findings.map(|text| NewWarning { stage: Some(stage.info.name.clone()), text: text.clone() })
    });
    notices.chain(findings)
}

fn new_warnings(before: &RunModel, after: &RunModel) -> Vec<NewWarning> {
    let known: BTreeSet<(Option<StageName>, String)> =
        warnings(before).map(|warning| (warning.stage, shape(&warning.text))).collect();
    let mut seen = known;
    warnings(after).filter(|warning| seen.insert((warning.stage.clone(), shape(&warning.text)))).collect()
}

/// Returns the processor seconds of all steps of a run, by stage; for a total.
#[must_use]
pub fn cpu_seconds(model: &RunModel) -> f64 {
    model.stages.values().map(|stage| cpu(&stage.usage)).sum()
}

#[cfg(test)]
mod comparison_tests;
