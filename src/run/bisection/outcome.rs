//! The outcome of one run of a bisection: whether the failure is in it.

use super::signature::Signature;
use crate::base::PackageName;
use crate::run::build_log::Class;
use crate::run::log::RunModel;
use crate::run::log::event::{Kind, StageOutcome};
use crate::run::log::model::{Stage, StagePhase};

/// The outcome of a run, or of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing failed.
    Pass,
    /// These failures; never empty.
    Fail(Vec<Signature>),
    /// It shows nothing of the failure, for this reason.
    Untestable(String),
}

/// A failure of the machine or its surroundings, which says nothing of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The stage.
    pub stage: String,
    /// The reason.
    pub why: String,
}

/// Returns what failed for a reason that is not in the code. Memory may run out because of the code, so that is only one of
/// them where `out_of_memory` is not what is looked for.
#[must_use]
pub fn surroundings(model: &RunModel, out_of_memory: bool) -> Option<Surroundings> {
    let of_machine = |stage: &&Stage| {
        let class = stage.failure.as_ref().map(|failure| failure.class);
        match class {
            Some(Class::OutOfMemory) => !out_of_memory,
            Some(Class::NoSpace | Class::Network | Class::MissingTool) => true,
            _ => stage.info.kind == Kind::Fetch,
        }
    };
    let stage = model.failed().find(of_machine)?;
    Some(Surroundings { stage: stage.info.name.to_string(), why: why(stage) })
}

/// Returns the outcome of a run: of the stages of `check`, or of all if none is named.
#[must_use]
pub fn of_run(model: &RunModel, check: Option<&PackageName>) -> Outcome {
    let is_checked = |stage: &&Stage| check.is_none_or(|check| stage.info.package == check.as_str());
    let mut failures = Vec::new();
    for stage in model.stages.values().filter(is_checked) {
        match &stage.phase {
            StagePhase::Over(StageOutcome::Failed { why }) => failures.push(Signature::of(stage, why)),
            // A check that is bisected by name is bisected although its failure is expected.
            StagePhase::Over(StageOutcome::KnownFailure { why }) if check.is_some() => {
                failures.push(Signature::of(stage, why));
            }
            _ => {}
        }
    }
    if !failures.is_empty() {
        return Outcome::Fail(failures);
    }
    let mut seen = 0;
    for stage in model.stages.values().filter(is_checked) {
        seen += 1;
        match (&stage.phase, check) {
            (StagePhase::Over(outcome), _) if outcome.has_result() => {}
            // What nothing needed was not begun.
            (StagePhase::Pending, None) => {}
            (
                StagePhase::Over(
                    StageOutcome::Unsupported { .. } | StageOutcome::Skipped { .. } | StageOutcome::KnownFailure { .. },
                ),
                None,
            ) => {}
            (StagePhase::Over(StageOutcome::Blocked { by }), _) => return Outcome::Untestable(blocked(model, by)),
            (phase, _) => {
                let reason = if let StagePhase::Over(outcome) = phase { outcome.why() } else { None };
                let reason = reason.map(|why| format!(": {why}")).unwrap_or_default();
                return Outcome::Untestable(format!("{} is {}{reason}", stage.info.name, phase.as_str()));
            }
        }
    }
    if seen == 0 { Outcome::Untestable("the run has no such check".to_owned()) } else { Outcome::Pass }
}

fn blocked(model: &RunModel, by: &str) -> String {
    match model.failed().next() {
        Some(stage) => format!("{} does not build: {}", stage.info.name, why(stage)),
        None => format!("blocked by {by}"),
    }
}

fn why(stage: &Stage) -> String {
    let why = match &stage.phase {
        StagePhase::Over(outcome) => outcome.why().unwrap_or_default(),
        _ => "",
    };
    Signature::of(stage, why).text
}

/// Returns the one outcome of repeated runs. Runs that differ show nothing.
#[must_use]
pub fn of_all(outcomes: Vec<Outcome>) -> Outcome {
    let count = outcomes.len();
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Fail(_))).count();
    let untestable = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Untestable(_)));
    match untestable.or(outcomes.first()) {
        Some(outcome @ Outcome::Untestable(_)) => outcome.clone(),
        Some(_) if failed > 0 && failed < count => {
            Outcome::Untestable(format!("the outcome varies: {failed} of {count} runs failed"))
        }
        Some(outcome) => outcome.clone(),
        None => Outcome::Untestable("it was not run".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail() -> Outcome {
        Outcome::Fail(vec![Signature { stage: "alpha/boot".into(), class: Class::Other, text: "panic".into() }])
    }

    #[test]
    fn runs_that_differ_show_nothing() {
        assert_eq!(of_all(vec![Outcome::Pass, Outcome::Pass]), Outcome::Pass);
        assert_eq!(of_all(vec![fail(), fail()]), fail());
        let varies = Outcome::Untestable("the outcome varies: 1 of 3 runs failed".into());
        assert_eq!(of_all(vec![Outcome::Pass, fail(), Outcome::Pass]), varies);
        assert_eq!(of_all(vec![Outcome::Untestable("x".into())]), Outcome::Untestable("x".into()));
    }
}
