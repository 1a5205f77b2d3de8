//! Meaning of a stage's outcome for the code that it builds or checks: the distinction that test result formats make.

use super::model::{Stage, StagePhase};
use crate::run::log::event::{Kind, StageOutcome};

/// The meaning of a stage's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The code that was built or checked is good.
    Pass,
    /// It is faulty.
    Fail,
    /// It is faulty as expected.
    KnownFailure,
    /// The stage itself broke: nothing is known of the code.
    Error,
    /// It does not apply here.
    Skip,
    /// It did not run to its end because of something else.
    Missed,
}

/// Returns what the end of `stage` means.
#[must_use]
pub fn meaning(stage: &Stage) -> Meaning {
    match &stage.phase {
        StagePhase::Over(outcome) => match outcome {
            StageOutcome::Done | StageOutcome::Cached | StageOutcome::BuiltElsewhere | StageOutcome::Pulled => {
                Meaning::Pass
            }
            StageOutcome::Failed { .. } if is_error(stage) => Meaning::Error,
            StageOutcome::Failed { .. } => Meaning::Fail,
            StageOutcome::KnownFailure { .. } => Meaning::KnownFailure,
            StageOutcome::Unsupported { .. } | StageOutcome::Skipped { .. } => Meaning::Skip,
            StageOutcome::Blocked { .. } | StageOutcome::Interrupted => Meaning::Missed,
        },
        StagePhase::Pending | StagePhase::Running | StagePhase::Waiting { .. } => Meaning::Missed,
    }
}

// The surroundings failed, or a check ended before it could judge.
fn is_error(stage: &Stage) -> bool {
    let broke = stage.steps.iter().any(|step| step.ended.is_some_and(|(_, ok)| !ok));
    match stage.info.kind {
        Kind::Fetch | Kind::Unpack => true,
        Kind::Check if broke => true,
        _ => stage.failure.as_ref().is_some_and(|failure| failure.class.is_environment()),
    }
}

/// Returns why a stage ended as it did, in one line; `None` where its state is enough.
#[must_use]
pub fn reason(stage: &Stage) -> Option<String> {
    match &stage.phase {
        StagePhase::Over(StageOutcome::Blocked { by }) => Some(format!("blocked by {by}")),
        StagePhase::Over(StageOutcome::Interrupted) => Some("the run was interrupted".to_owned()),
        StagePhase::Over(outcome) => outcome.why().map(str::to_owned),
        StagePhase::Pending => Some("the run ended before it began".to_owned()),
        StagePhase::Running => Some("the run ended before it was finished".to_owned()),
        StagePhase::Waiting { what } => Some(format!("the run ended while it waited for {what}")),
    }
}
