//! The stages of a simulation, from a plan with recorded times or from a run.

use super::{Step, Task, Width};
use crate::plan::{Plan, StageId};
use crate::run::log::RunModel;
use crate::run::log::model::{Stage, cpu};
use crate::run::states::{SchedulerState, States};
use crate::store::history::{StageTime, StepTime, Times};
use std::collections::BTreeMap;

/// Returns what a run of the plan would have to do. `processors` is the number of those on which times were recorded.
#[must_use]
pub fn of_plan(plan: &Plan, states: &States, forecasts: &[StageTime], times: &Times, processors: usize) -> Vec<Task> {
    let known = Known::of(plan, times);
    let runs: Vec<StageId> =
        plan.ids().filter(|id| matches!(states.get(*id), SchedulerState::Waiting | SchedulerState::Ready)).collect();
    let place: BTreeMap<StageId, usize> = runs.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let task = |id: &StageId| {
        let stage = plan.stage(*id);
        let package = stage.package.to_string();
        let steps = known.steps(&package, &forecasts[id.0 as usize]);
        let recorded = steps.is_some() || stage.job().is_none();
        let whole = || {
            let width = if stage.job().is_some() { Width::Unknown } else { Width::Serial(1.0) };
            vec![Step { name: stage.kind().to_owned(), cpu: forecasts[id.0 as usize].cpu, width }]
        };
        let steps = steps.map(|steps| steps.iter().map(|step| recorded_step(step, processors)).collect());
        Task {
            name: stage.name.to_string(),
            package,
            needs: stage.needs.iter().filter_map(|need| place.get(need).copied()).collect(),
            steps: steps.unwrap_or_else(whole),
            recorded,
        }
    };
    runs.iter().map(task).collect()
}

/// Returns the stages of some targets and what they need.
#[must_use]
pub fn of_targets(tasks: &[Task], targets: &[String]) -> Vec<Task> {
    let is_of = |task: &Task| task.name.split('/').next().is_some_and(|scope| targets.iter().any(|name| name == scope));
    let mut wanted: Vec<bool> = tasks.iter().map(is_of).collect();
    for (at, task) in tasks.iter().enumerate().rev() {
        if wanted[at] {
            task.needs.iter().for_each(|need| wanted[*need] = true);
        }
    }
    let kept: Vec<usize> = (0..tasks.len()).filter(|at| wanted[*at]).collect();
    let place = |old: &usize| kept.binary_search(old).ok();
    let moved = |at: &usize| Task { needs: tasks[*at].needs.iter().filter_map(place).collect(), ..tasks[*at].clone() };
    kept.iter().map(moved).collect()
}

fn recorded_step(step: &StepTime, processors: usize) -> Step {
    let cpu = if step.cpu.is_finite() { step.cpu.max(0.0) } else { 0.0 };
    Step { name: step.name.clone(), cpu, width: Width::measured(step.cores, processors as f64) }
}

// The recorded steps of each package, whatever it was built for.
struct Known(BTreeMap<String, Vec<StepTime>>);

impl Known {
    fn of(plan: &Plan, times: &Times) -> Self {
        let packages = plan.stages.iter().filter(|stage| stage.job().is_some()).map(|stage| stage.package.to_string());
        let mut known: BTreeMap<String, Vec<StepTime>> = packages.map(|package| (package, Vec::new())).collect();
        for (package, steps) in &mut known {
            for time in times.of_package(package) {
                if steps.is_empty() {
                    steps.clone_from(&time.steps);
                }
                for step in steps.iter_mut() {
                    let other = time.steps.iter().find(|other| other.name == step.name);
                    step.cores = step.cores.max(other.map_or(0.0, |other| other.cores));
                }
            }
        }
        known.retain(|_, steps| !steps.is_empty());
        Self(known)
    }

    // The steps of a stage: its own with the best known widths, else those of its package in proportion.
    fn steps(&self, package: &str, time: &StageTime) -> Option<Vec<StepTime>> {
        let known = self.0.get(package)?;
        if time.steps.is_empty() {
            let all: f64 = known.iter().map(|step| step.cpu).sum();
            let part = if all > 0.0 { time.cpu / all } else { 0.0 };
            return Some(known.iter().map(|step| StepTime { cpu: step.cpu * part, ..step.clone() }).collect());
        }
        let width =
            |step: &StepTime| known.iter().find(|other| other.name == step.name).map_or(0.0, |other| other.cores);
        Some(time.steps.iter().map(|step| StepTime { cores: step.cores.max(width(step)), ..step.clone() }).collect())
    }
}

/// Returns what a run did, from its events, and the share of a processor that each of its job tokens really got. A width is
/// known of steps that ran alone.
#[must_use]
pub fn of_run(model: &RunModel) -> (Vec<Task>, f64) {
    let (cores, tokens) = model
        .loads
        .iter()
        .fold((0.0, 0.0), |(cores, tokens), load| (cores + load.cores.max(0.0), tokens + load.tokens as f64));
    let share: f64 = if tokens > 0.0 { (cores / tokens).clamp(0.02, 1.0) } else { 1.0 };
    let ran: Vec<&Stage> = model.stages.values().filter(|stage| stage.has_run() && stage.ended_ms.is_some()).collect();
    let jobs = model.run.jobs.max(1) as f64;
    let task = |stage: &&Stage| {
        let width = |from: u64, to: u64, cpu: f64| {
            let overlaps = |other: &&&Stage| {
                let (begin, end) = (other.started_ms.unwrap_or(0), other.ended_ms.unwrap_or(u64::MAX));
                other.info.name != stage.info.name && begin < to && from < end
            };
            let seconds = to.saturating_sub(from) as f64 / 1000.0;
            let alone = seconds > 1.0 && !ran.iter().any(|other| overlaps(&other));
            Width::measured(if alone { (cpu / seconds / share).min(jobs) } else { 0.0 }, jobs)
        };
        let mut steps: Vec<Step> = stage
            .steps
            .iter()
            .map(|step| {
                let cpu = cpu(&step.usage);
                let end = step.ended.map_or(step.started_ms, |(at, _)| at);
                Step { name: step.name.clone(), cpu, width: width(step.started_ms, end, cpu) }
            })
            .collect();
        if steps.is_empty() {
            // Fetching and unpacking have no steps; unpacking uses one processor.
            let seconds = stage.elapsed(model.latest_ms).as_secs_f64();
            steps.push(Step { name: "all".to_owned(), cpu: seconds * share, width: Width::Serial(1.0) });
        }
        Task {
            name: stage.info.name.to_string(),
            package: stage.info.package.clone(),
            needs: stage
                .info
                .needs
                .iter()
                .filter_map(|need| ran.iter().position(|other| other.info.name == *need))
                .collect(),
            steps,
            recorded: true,
        }
    };
    (ran.iter().map(task).collect(), share)
}
