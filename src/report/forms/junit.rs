//! JUnit XML: a suite for each row of the table, a test case for each stage.

use super::{Error, Report};
use crate::base::text::harmless;
use crate::run::log::event::{Class, StageOutcome};
use crate::run::log::model::{Stage, StagePhase};
use crate::run::log::verdict::{Meaning, meaning, reason};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

pub(super) fn xml(report: &Report<'_>) -> Result<String, Error> {
    let mut all = quick_junit::Report::new(format!("crossmill {}", harmless(report.name)));
    all.set_time(Duration::from_millis(report.model.latest_ms));
    let mut rows: Vec<&str> = Vec::new();
    for stage in report.model.stages.values() {
        if !rows.contains(&stage.info.scope.as_str()) {
            rows.push(&stage.info.scope);
        }
    }
    for row in rows {
        let mut suite = TestSuite::new(harmless(row));
        let stages = report.model.stages.values().filter(|stage| stage.info.scope == row);
        suite.add_test_cases(stages.map(|stage| case(stage, report.model.latest_ms)));
        all.add_test_suite(suite);
    }
    if let Some(why) = report.hidden_problem() {
        let mut suite = TestSuite::new("run");
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(harmless(&why)).set_type("not-run");
        suite.add_test_case(TestCase::new("run", status));
        all.add_test_suite(suite);
    }
    Ok(all.to_string()?)
}

fn case(stage: &Stage, latest_ms: u64) -> TestCase {
    let mut case = TestCase::new(harmless(&stage.info.name), status(stage));
    case.set_classname(harmless(&format!("{}.{}", stage.info.scope, stage.info.package)));
    case.set_time(stage.elapsed(latest_ms));
    case.add_property((String::from("version"), harmless(&stage.info.version)));
    if let Some(check_result) = &stage.check_result {
        for (name, value) in &check_result.figures {
            case.add_property((harmless(name), value.to_string()));
        }
    }
    case
}

fn status(stage: &Stage) -> TestCaseStatus {
    let why = reason(stage).map(|why| harmless(&why)).unwrap_or_default();
    let blocked = matches!(stage.phase, StagePhase::Over(StageOutcome::Blocked { .. }));
    match meaning(stage) {
        Meaning::Pass => TestCaseStatus::success(),
        Meaning::Skip => skipped(why),
        Meaning::KnownFailure => skipped(format!("known failure: {why}")),
        // The stage that blocks it is shown as the failure.
        Meaning::Missed if blocked => skipped(why),
        Meaning::Missed => problem(NonSuccessKind::Error, why, "not-run", stage),
        Meaning::Fail => problem(NonSuccessKind::Failure, why, class(stage), stage),
        Meaning::Error => problem(NonSuccessKind::Error, why, class(stage), stage),
    }
}

fn class(stage: &Stage) -> &'static str {
    stage.failure.as_ref().map_or(Class::Other, |failure| failure.class).as_str()
}

fn skipped(why: String) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn problem(kind: NonSuccessKind, why: String, class: &str, stage: &Stage) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(why).set_type(class);
    if let Some(failure) = &stage.failure {
        let mut lines: Vec<String> = failure.excerpt.iter().map(|line| harmless(line)).collect();
        lines.extend([
            format!("log: {}", harmless(&failure.log)),
            format!("reproduce: {}", harmless(&failure.reproduce)),
        ]);
        status.set_description(lines.join("\n"));
    }
    status
}
