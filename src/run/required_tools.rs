//! The host tools that the stages of a plan need.

use super::Error;
use super::states::{SchedulerState, States};
use crate::base::{Diagnostic, StageName, suggest};
use crate::config::host_tools::HostTools;
use crate::config::source::{Pin, SourceSpec};
use crate::host::tools::{self, Host, HostReport};
use crate::plan::{Plan, StageId, Work};
use crate::source;
use std::collections::BTreeMap;

/// Returns the names of the tools that `stages` need, sorted.
pub(super) fn of(plan: &Plan, stages: impl Iterator<Item = StageId>) -> Vec<String> {
    let mut names = Vec::new();
    for id in stages {
        match &plan.stage(id).work {
            Work::Fetch(source) if needs_signature(&plan.source(*source).candidates) => {
                names.push(source::signature::PROGRAM.to_owned());
            }
            _ => names.extend(plan.stage(id).job().into_iter().flat_map(|job| job.tools.iter().cloned())),
        }
    }
    names.sort();
    names.dedup();
    names
}

fn needs_signature(candidates: &[SourceSpec]) -> bool {
    candidates.iter().any(|candidate| matches!(candidate.pin, Pin::Signature { .. }))
}

/// Refuses names that no host-tools.toml describes; some depend on the target, so only a plan knows them all.
pub(super) fn check_names(tools: &HostTools, plan: &Plan) -> Result<(), Vec<Diagnostic>> {
    let known: Vec<&str> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
    let mut problems = Vec::new();
    for (stage, job) in plan.stages.iter().filter_map(|stage| Some((stage, stage.job()?))) {
        for tool in job.tools.iter().filter(|tool| !known.contains(&tool.as_str())) {
            let mut problem = Diagnostic::new(format!("{}: unknown host tool `{tool}`", stage.name));
            problem.hints = suggest::hints(tool, "host tools", known.iter().copied());
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Refuses to start where this machine lacks a tool for a build: better at once
/// than after an hour. A check that lacks one is skipped instead; returns which, and why.
pub(super) fn require(
    tools: &HostTools,
    host: &dyn Host,
    plan: &Plan,
    states: &States,
) -> Result<BTreeMap<StageName, String>, Error> {
    let run = plan.ids().filter(|id| matches!(states.get(*id), SchedulerState::Waiting | SchedulerState::Ready));
    let (checks, builds): (Vec<_>, Vec<_>) = run.partition(|id| matches!(plan.stage(*id).work, Work::Check(_)));
    let names = of(plan, builds.into_iter());
    let host_report = tools::examine(tools, &names, host);
    if !names.is_empty() && !host_report.is_good() {
        let missing = suggest::list(lacking(&host_report));
        let mut problem = Diagnostic::new(format!("this machine lacks what the build needs: {missing}"));
        if let Some(command) = &host_report.install {
            problem = problem.hint(format!("install it: `{}`, or `crossmill doctor --install`", command.join(" ")));
        }
        return Err(Error::MissingTools(Box::new(problem.hint("`crossmill doctor` lists every tool"))));
    }
    // Each tool is asked once, however many checks need it.
    let all = tools::examine(tools, &of(plan, checks.iter().copied()), host);
    let mut skips = BTreeMap::new();
    for id in checks {
        let needs = of(plan, std::iter::once(id));
        let mut own = all.clone();
        own.tools.retain(|tool| needs.contains(&tool.name) && !tool.is_good());
        if !own.is_good() {
            skips.insert(plan.stage(id).name.clone(), skip_reason(&own));
        }
    }
    Ok(skips)
}

fn lacking(host_report: &HostReport) -> Vec<&str> {
    host_report.tools.iter().filter(|tool| !tool.is_good()).map(|tool| tool.name.as_str()).collect()
}

// The tools that a check lacks, and how they are installed.
fn skip_reason(host_report: &HostReport) -> String {
    let mut packages: Vec<&str> =
        host_report.tools.iter().flat_map(|tool| &tool.packages).map(String::as_str).collect();
    packages.dedup();
    let (names, manager) = (lacking(host_report), host_report.manager.as_deref());
    let missing = if names.len() == 1 { "is not installed" } else { "are not installed" };
    let how = match manager {
        Some(manager) if !packages.is_empty() => format!(" ({manager}: {})", packages.join(" ")),
        _ => String::new(),
    };
    format!("{} {missing}{how}", suggest::list(names))
}
