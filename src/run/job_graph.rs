//! A request as jobs of an engine that has dependencies of its own: a job for what all share, one for each toolchain, and
//! one for the kernel and the checks of each target. Jobs share a cache and nothing else.

use crate::base::{Diagnostic, TargetName};
use crate::config::Config;
use crate::config::recipe::Per;
use crate::plan::{Plan, Request, StageId, Work};
use std::collections::{BTreeMap, BTreeSet};

/// What a job builds. In this order jobs can run one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is built once for this machine.
    Host,
    /// The toolchain that this target owns.
    Toolchain(TargetName),
    /// The rest of a target.
    Target(TargetName),
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its part.
    pub part: Part,
    /// The target to name: of a toolchain any that uses it.
    pub target: TargetName,
    /// The packages to name: everything else in the job is needed by one of them.
    pub packages: Vec<String>,
    /// The jobs that come before it, as places in the list of jobs.
    pub needs: Vec<usize>,
    /// Processor seconds that it is expected to take.
    pub seconds: f64,
}

/// Divides a request among jobs, each after those that it needs. `expected` returns the processor seconds of a stage.
///
/// # Errors
/// When a toolchain needs something of a target.
pub fn divide(
    config: &Config,
    request: &Request,
    plan: &Plan,
    expected: impl Fn(StageId) -> f64,
) -> Result<Vec<Job>, Diagnostic> {
    let parts: Vec<Option<Part>> = plan.ids().map(|id| part(config, request, plan, id)).collect();
    let of = |id: StageId| parts.get(id.0 as usize).and_then(Option::as_ref);
    let mut order: Vec<&Part> = parts.iter().flatten().collect();
    // Targets in the order of the request.
    let rank = |part: &Part| match part {
        Part::Host => (0, 0),
        Part::Toolchain(name) => (1, place(config, request, name)),
        Part::Target(name) => (2, place(config, request, name)),
    };
    order.sort_by_key(|part| (rank(part), (*part).clone()));
    order.dedup();
    let numbers: BTreeMap<&Part, usize> = order.iter().enumerate().map(|(at, part)| (*part, at)).collect();
    let mut jobs = Vec::new();
    for part in &order {
        let stages: Vec<StageId> = plan.ids().filter(|id| of(*id) == Some(part)).collect();
        let needed: BTreeSet<StageId> = stages.iter().flat_map(|id| plan.stage(*id).needs.clone()).collect();
        let needs: BTreeSet<usize> =
            needed.iter().filter_map(|id| of(*id)).filter(|other| other != part).map(|other| numbers[other]).collect();
        if let Some(late) = needs.iter().find(|other| **other >= numbers[part]) {
            let (first, second) = (name(part), name(order[*late]));
            return Err(Diagnostic::new(format!("the request cannot be divided: {first} needs something of {second}"))
                .hint("`crossmill ci SERVICE` without `--graph` keeps targets that share a toolchain in one job"));
        }
        let tops = stages.iter().filter(|id| !needed.contains(id));
        let packages: BTreeSet<String> = tops.map(|id| plan.stage(*id).package.to_string()).collect();
        jobs.push(Job {
            part: (*part).clone(),
            target: target(config, request, part),
            packages: packages.into_iter().collect(),
            needs: needs.into_iter().collect(),
            seconds: stages.iter().map(|id| expected(*id)).sum(),
        });
    }
    Ok(jobs)
}

// The part of a stage; none for a source, which every job fetches.
fn part(config: &Config, request: &Request, plan: &Plan, id: StageId) -> Option<Part> {
    let stage = plan.stage(id);
    stage.job()?;
    let per = config.recipes.get(&stage.package)?.per;
    let named = |text: &str| config.matrix.targets.get_key_value(text).map(|(name, _)| name.clone());
    let is_check = matches!(stage.work, Work::Check(_));
    Some(match (per, is_check) {
        (Per::Host, false) => Part::Host,
        (Per::Toolchain, false) => Part::Toolchain(named(&stage.scope)?),
        (Per::Target, _) => Part::Target(named(&stage.scope)?),
        // A check that several targets share is done with the first of them.
        (Per::Toolchain, true) => Part::Target(user(config, request, &named(&stage.scope)?)?),
        (Per::Host, true) => Part::Target(request.targets.first()?.clone()),
    })
}

// The first target of the request that uses a toolchain.
fn user(config: &Config, request: &Request, owner: &TargetName) -> Option<TargetName> {
    let uses = |name: &&TargetName| config.matrix.targets.get(*name).is_some_and(|target| target.toolchain == *owner);
    request.targets.iter().find(uses).cloned()
}

fn place(config: &Config, request: &Request, name: &TargetName) -> usize {
    let first = request.targets.iter().position(|other| other == name);
    let first = first.or_else(|| {
        let user = user(config, request, name)?;
        request.targets.iter().position(|other| *other == user)
    });
    first.unwrap_or(usize::MAX)
}

fn target(config: &Config, request: &Request, part: &Part) -> TargetName {
    match part {
        Part::Host => request.targets[0].clone(),
        Part::Toolchain(owner) => user(config, request, owner).unwrap_or_else(|| owner.clone()),
        Part::Target(name) => name.clone(),
    }
}

fn name(part: &Part) -> String {
    match part {
        Part::Host => "the host".to_owned(),
        Part::Toolchain(name) => format!("the toolchain of {name}"),
        Part::Target(name) => name.to_string(),
    }
}
