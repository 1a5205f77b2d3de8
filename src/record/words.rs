//! The state of a target in a few words.

use super::{Outcome, StageResult, TargetResults};

/// Overall state of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `built, checks pass`, `gcc failed`
    pub state: String,
    /// The day: `2026-11-25`.
    pub day: String,
}

/// Returns the overall state of a target.
pub fn standing(results: &TargetResults) -> Standing {
    let of = |check: bool, wanted: &[Outcome]| -> Vec<&StageResult> {
        results.stages.iter().filter(|stage| stage.check == check && wanted.contains(&stage.state)).collect()
    };
    let names =
        |stages: &[&StageResult]| stages.iter().map(|stage| stage.package.as_str()).collect::<Vec<_>>().join(", ");
    let (failed, failing) = (of(false, &[Outcome::Failed]), of(true, &[Outcome::Failed]));
    let mut parts = Vec::new();
    if !failed.is_empty() {
        parts.push(format!("{} failed", names(&failed)));
    } else if !of(false, &[Outcome::Blocked]).is_empty() {
        parts.push("blocked".to_owned());
    } else if !of(false, &[Outcome::Built]).is_empty() || results.stages.iter().any(|stage| stage.check) {
        parts.push("built".to_owned());
    }
    let passing = of(true, &[Outcome::Pass]);
    match (passing.is_empty(), failing.is_empty()) {
        (true, true) => {}
        (false, true) => parts.push(format!("{} pass", names(&passing))),
        (_, false) => parts.push(format!("{} fail", names(&failing))),
    }
    let known = of(true, &[Outcome::KnownFailure]);
    if !known.is_empty() {
        parts.push(format!("{} known to fail", names(&known)));
    }
    Standing { state: parts.join(", "), day: day(&results.tested).to_owned() }
}

/// Returns the day of a moment.
pub(super) fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or_default()
}
