//! The final result as one JSON object, documented in `docs/json.md`.

use crate::run::log::event::{BorrowedToolchain, Failure, Kind, RunEnd, StageOutcome, Usage};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use serde::Serialize;

/// The schema version. Fields may be added without changing it; it changes when a field is removed
/// or its meaning changes.
pub const SCHEMA: u32 = 2;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct RunResult<'a> {
    schema: u32,
    run: &'a str,
    crossmill: &'a str,
    command: &'a [String],
    started: &'a str,
    jobs: usize,
    ok: bool,
    end: Option<RunEnd>,
    exit: Option<u8>,
    totals: Option<Totals>,
    stages: Vec<StageEntry<'a>>,
    borrowed_toolchains: &'a [BorrowedToolchain],
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_cache: Option<crate::cache::Stats>,
    warnings: Vec<Warning<'a>>,
}

#[derive(Debug, Serialize)]
struct Totals {
    wall_seconds: f64,
    cpu_seconds: f64,
    utilisation: Option<f64>,
    busy_wall_seconds: f64,
    busy_cpu_seconds: f64,
    busy_utilisation: Option<f64>,
    peak_memory_kib: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StageEntry<'a> {
    name: &'a str,
    kind: Kind,
    scope: &'a str,
    package: &'a str,
    version: &'a str,
    key: String,
    state: &'static str,
    why: Option<&'a str>,
    started_seconds: Option<f64>,
    usage: Usage,
    steps: Vec<StepEntry<'a>>,
    source: Option<SourceEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pulled: Option<PulledEntry<'a>>,
    failure: Option<&'a Failure>,
    result: Option<&'a str>,
    check: Option<CheckEntry<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckEntry<'a> {
    expected: &'a str,
    verdict: Option<String>,
    summary: Option<&'a str>,
    figures: std::collections::BTreeMap<&'a str, f64>,
    evidence: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct StepEntry<'a> {
    name: &'a str,
    ok: Option<bool>,
    resumed: bool,
    log: &'a str,
    started_seconds: f64,
    usage: Usage,
}

#[derive(Debug, Serialize)]
struct SourceEntry<'a> {
    used: &'a str,
    cached: bool,
    bytes: u64,
    refused: Vec<Refused<'a>>,
}

#[derive(Debug, Serialize)]
struct PulledEntry<'a> {
    cache: &'a str,
    signer: &'a str,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Refused<'a> {
    source: &'a str,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct Warning<'a> {
    stage: Option<&'a str>,
    text: &'a str,
}

/// Returns the result of the run in `model`, finished or not.
pub fn outcome(model: &RunModel, exit_code: fn(RunEnd) -> u8) -> RunResult<'_> {
    let stages: Vec<_> = model.stages.values().map(stage).collect();
    let good = |stage: &Stage| {
        use StageOutcome::{BuiltElsewhere, Cached, Done, KnownFailure, Pulled, Skipped, Unsupported};
        matches!(
            &stage.phase,
            StagePhase::Over(
                Done | Cached | BuiltElsewhere | Pulled | Unsupported { .. } | Skipped { .. } | KnownFailure { .. }
            )
        )
    };
    let end = model.totals.map(|totals| totals.end);
    RunResult {
        schema: SCHEMA,
        run: &model.run.name,
        crossmill: &model.run.version,
        command: &model.run.command,
        started: &model.run.started,
        jobs: model.run.jobs,
        ok: end == Some(RunEnd::Done) && !model.stages.is_empty() && model.stages.values().all(good),
        end,
        exit: end.map(exit_code),
        totals: totals(model),
        stages,
        borrowed_toolchains: &model.run.borrowed,
        remote_cache: model.cache,
        warnings: model
            .notices
            .iter()
            .filter(|notice| notice.warning)
            .map(|notice| Warning { stage: notice.stage.as_deref(), text: &notice.text })
            .collect(),
    }
}

/// Returns the result as text, ending in a newline.
pub fn text(model: &RunModel, exit_code: fn(RunEnd) -> u8) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&outcome(model, exit_code)).map(|text| text + "\n")
}

fn totals(model: &RunModel) -> Option<Totals> {
    let totals = model.totals?;
    let cores = model.run.jobs.max(1) as f64;
    let share = |cpu: f64, wall: f64| (wall > 0.0).then(|| cpu / (wall * cores)).filter(|share| share.is_finite());
    Some(Totals {
        wall_seconds: totals.wall,
        cpu_seconds: totals.cpu,
        utilisation: share(totals.cpu, totals.wall),
        busy_wall_seconds: totals.busy_wall,
        busy_cpu_seconds: totals.busy_cpu,
        busy_utilisation: share(totals.busy_cpu, totals.busy_wall),
        peak_memory_kib: (totals.peak_kib > 0).then_some(totals.peak_kib),
    })
}

fn stage(stage: &Stage) -> StageEntry<'_> {
    let why = match &stage.phase {
        StagePhase::Over(outcome) => outcome.why(),
        StagePhase::Waiting { what } => Some(what.as_str()),
        _ => None,
    };
    StageEntry {
        name: &stage.info.name,
        kind: stage.info.kind,
        scope: &stage.info.scope,
        package: &stage.info.package,
        version: &stage.info.version,
        key: stage.info.key.to_string(),
        state: stage.phase.as_str(),
        why,
        started_seconds: stage.started_ms.map(|ms| ms as f64 / 1000.0),
        usage: stage.usage,
        steps: stage
            .steps
            .iter()
            .map(|step| StepEntry {
                name: &step.name,
                ok: step.ended.map(|(_, ok)| ok),
                resumed: step.resumed,
                log: &step.log,
                started_seconds: step.started_ms as f64 / 1000.0,
                usage: step.usage,
            })
            .collect(),
        source: stage.source.as_ref().map(|used| SourceEntry {
            used: &used.source,
            cached: used.cached,
            bytes: used.bytes,
            refused: stage.retries.iter().map(|r| Refused { source: &r.source, why: &r.why }).collect(),
        }),
        pulled: stage.pulled.as_ref().map(|pulled| PulledEntry {
            cache: &pulled.cache,
            signer: &pulled.signer,
            bytes: pulled.bytes,
        }),
        failure: stage.failure.as_ref(),
        result: stage.result.as_deref(),
        check: stage.info.expectation.as_deref().map(|expected| check(stage, expected)),
    }
}

fn check<'a>(stage: &'a Stage, expected: &'a str) -> CheckEntry<'a> {
    let check_result = stage.check_result.as_ref();
    let figures = check_result.into_iter().flat_map(|check_result| &check_result.figures);
    CheckEntry {
        expected,
        verdict: check_result.map(|check_result| check_result.state.to_string()),
        summary: check_result.and_then(|check_result| check_result.summary.as_deref()),
        figures: figures.map(|(name, number)| (name.as_str(), *number)).collect(),
        evidence: check_result
            .into_iter()
            .flat_map(|check_result| &check_result.evidence)
            .map(String::as_str)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;

    #[test]
    fn the_form_is_the_documented_one() {
        insta::assert_snapshot!(text(&RunModel::of(&sample::run()), |end| u8::from(end != RunEnd::Done)).unwrap());
    }

    #[test]
    fn every_field_is_documented() {
        let documented = include_str!("../../docs/json.md");
        let value =
            serde_json::to_value(outcome(&RunModel::of(&sample::run()), |end| u8::from(end != RunEnd::Done))).unwrap();
        let mut todo = vec![value];
        let mut names = std::collections::BTreeSet::new();
        while let Some(value) = todo.pop() {
            match value {
                serde_json::Value::Object(fields) => {
                    for (name, value) in fields {
                        names.insert(name);
                        todo.push(value);
                    }
                }
                serde_json::Value::Array(items) => todo.extend(items),
                _ => {}
            }
        }
        let missing: Vec<_> = names.iter().filter(|name| !documented.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/json.md does not describe {missing:?}");
    }
}
