//! Turns the result of a check into the outcome of its stage.

use crate::base::check_result::{CheckResult, Verdict};
use crate::base::files;
use crate::config::expect::Expectation;
use crate::plan::job::JobStep;
use crate::run::context::StageEnd;
use crate::run::expectation::{Judgement, judge};
use crate::run::log::event::{Class, Failure, StageOutcome, Usage};
use jiff::civil::Date;
use std::path::Path;

/// The name of a check's result file.
const RESULT_FILE: &str = "verdict";
/// Lines of evidence shown with a failure.
const EXCERPT: usize = 20;

/// Reads the result of the check in `dest`; a check without a result file has passed.
pub fn read(dest: &Path) -> Result<CheckResult, String> {
    let path = dest.join(RESULT_FILE);
    match files::lstat(&path).map_err(|error| error.to_string())? {
        None => return Ok(CheckResult::default()),
        Some(meta) if meta.is_file() => {}
        // A FIFO would never end, and a dangling link is no pass.
        Some(_) => return Err(format!("its `{RESULT_FILE}` is not a regular file")),
    }
    let text = fs_err::read_to_string(&path).map_err(|error| error.to_string())?;
    CheckResult::parse(&text).map_err(|error| format!("its `{RESULT_FILE}` file cannot be understood: {error}"))
}

/// Returns what a published check reported.
///
/// # Errors
/// Its file was read when it was published, so now it cannot be read: what the check reported is not known.
pub fn recall(tree: &Path) -> Result<CheckResult, String> {
    read(tree).map(|check_result| absolute(check_result, tree))
}

/// With the evidence as absolute paths.
pub fn absolute(mut check_result: CheckResult, dest: &Path) -> CheckResult {
    for file in &mut check_result.evidence {
        *file = dest.join(&*file).display().to_string();
    }
    check_result
}

/// Returns the state of a check's stage, where `good` stands for a pass, and a remark.
pub fn state(
    expect: &Expectation,
    check_result: &CheckResult,
    today: Date,
    good: StageOutcome,
) -> (StageOutcome, Option<String>) {
    match judge(expect, check_result, today) {
        Judgement::Pass => (good, None),
        Judgement::Surprise(remark) => (good, Some(remark)),
        Judgement::Unsupported(why) => (StageOutcome::Unsupported { why }, None),
        Judgement::Skipped(why) => (StageOutcome::Skipped { why }, None),
        Judgement::KnownFailure(why) => (StageOutcome::KnownFailure { why }, None),
        Judgement::Fail(why) => (StageOutcome::Failed { why }, None),
    }
}

/// Returns how a check ends that this machine cannot run.
pub fn skipped(why: String) -> StageEnd {
    let check_result = CheckResult { state: Verdict::Skipped, why: Some(why.clone()), ..CheckResult::default() };
    StageEnd {
        state: StageOutcome::Skipped { why },
        usage: Usage::default(),
        failure: None,
        result: None,
        time: None,
        chosen: None,
        check_result: Some(check_result),
    }
}

/// Returns the details that a user needs to act on a failed check.
pub fn failure(name: &str, step: Option<&JobStep>, check_result: &CheckResult) -> Failure {
    let evidence = check_result.evidence.first().cloned().unwrap_or_default();
    Failure {
        step: step.map(|step| step.name.clone()).unwrap_or_default(),
        ended: check_result.why.clone().unwrap_or_else(|| "its result is `fail`, without a reason".to_owned()),
        class: Class::Other,
        excerpt: excerpt(check_result, &evidence),
        log: evidence,
        reproduce: format!("crossmill reproduce {name}"),
        evidence: Vec::new(),
    }
}

// The findings in words; else the end of a log. The end of a JSON file explains nothing.
fn excerpt(check_result: &CheckResult, evidence: &str) -> Vec<String> {
    let findings = check_result.findings_in_words();
    if !findings.is_empty() || Path::new(evidence).extension().is_some_and(|extension| extension == "json") {
        return findings;
    }
    let text = fs_err::read(evidence).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(EXCERPT)).map(|line| (*line).to_owned()).collect()
}
