//! `crossmill plan`.

use super::options::{CacheArgs, NetworkArgs, Select};
use super::{CliError, CliResult};
use crate::plan::Request;
use crate::plan::explain;
use crate::plan::{KeyInputs, StageId};
use crate::report::host_comparison as report_host;
use crate::report::plan as report;
use crate::report::simulation::Simulation;
use crate::run::Goal;
use crate::run::Session;
use crate::run::host_comparison;
use crate::run::preflight::Preflight;
use crate::run::shards::divide;
use crate::run::simulation::{self, Machine, Schedule, Task};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Show what a build would do: the graph, what is cached, what runs, and why
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    cache: CacheArgs,
    /// Explain why each stage runs: what changed since it was built last
    #[arg(long)]
    explain: bool,
    /// Show also what is not needed because its result or what depends on it is cached
    #[arg(long, short)]
    verbose: bool,
    /// Print JSON (docs/json.md)
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Print what of this machine is in keys, and the keys, as JSON for `--explain-host` on another machine
    #[arg(long, conflicts_with_all = ["explain", "verbose", "dot", "simulate_cores"])]
    export_host: bool,
    /// Explain why keys differ from those of the machine that wrote FILE with `--export-host`; exit code 1 if they do
    #[arg(long, value_name = "FILE", conflicts_with_all = ["export_host", "explain", "verbose", "dot", "simulate_cores"])]
    explain_host: Option<PathBuf>,
    /// As a graph for Graphviz
    #[arg(long)]
    dot: bool,
    /// Compute what the run would take on a machine of N cores, from recorded times
    #[arg(long, value_name = "N", conflicts_with_all = ["dot", "explain"])]
    simulate_cores: Option<NonZeroUsize>,
    /// Divide the targets among this many such machines, as `crossmill ci` does
    #[arg(long, value_name = "N", requires = "simulate_cores")]
    nodes: Option<NonZeroUsize>,
}

impl Plan {
    /// Plans and prints.
    pub fn run(self) -> CliResult {
        let session = self.select.session_cached(&NetworkArgs::default(), &self.cache)?;
        let request = self.select.request(&session, true)?;
        if self.export_host || self.explain_host.is_some() {
            return self.host(&session, &request);
        }
        let preflight = Preflight::of(&session, &request, Goal::Build, session.store()?)?;
        if let Some(cores) = self.simulate_cores {
            let nodes = self.nodes.unwrap_or(NonZeroUsize::MIN);
            let simulation = simulation(&session, &request, &preflight, (cores, nodes))?;
            super::print(&if self.json { simulation.json() } else { simulation.text() })?;
            return Ok(super::exit::DONE);
        }
        for problem in &preflight.remote.problems {
            errln!("warning: {problem}");
        }
        for client in preflight.remote.caches.clients() {
            if let Some(why) = client.off() {
                errln!("warning: the cache {} is not used: {why}", client.name());
            }
        }
        let Preflight { plan, store, survey, states, forecasts, remote, .. } = preflight;
        let cache = |id: StageId| Some(remote.found.get(&plan.stage(id).key)?.client.name().to_owned());
        let expected = |id: StageId| forecasts[id.0 as usize].cpu;
        let why = |id: StageId| -> Vec<String> {
            let stage = plan.stage(id);
            if let Some((_, why)) = survey.damaged.iter().find(|(name, _)| *name == stage.name) {
                return vec![why.clone()];
            }
            match store.recall::<KeyInputs>(&stage.name) {
                Err(error) => vec![format!("what it was built from is not known: {error}")],
                Ok(None) => vec!["never built here".to_owned()],
                Ok(Some(last)) if last.key == stage.key => {
                    vec!["started before and not finished, or its result was removed".to_owned()]
                }
                Ok(Some(last)) => explain::differences(&last.inputs, &plan.key_inputs(id)),
            }
        };
        let rows = report::rows(&plan, &states, &expected, &cache, &why);
        let text = if self.json {
            report::json(&rows)
        } else if self.dot {
            report::dot(&plan, &rows)
        } else {
            report::text(&rows, self.explain, self.verbose)
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }

    fn host(&self, session: &Session, request: &Request) -> CliResult {
        let store = session.store()?;
        let Some(file) = &self.explain_host else {
            let export = host_comparison::Export::of(session, request, &store)?;
            let json = serde_json::to_string_pretty(&export).map_err(std::io::Error::from)?;
            super::print(&format!("{json}\n"))?;
            return Ok(super::exit::DONE);
        };
        let other = host_comparison::Export::read(file)?;
        let comparison = host_comparison::compare(session, request, &store, &other)?;
        let text = if self.json { report_host::json(&comparison) } else { report_host::text(&comparison) };
        super::print(&text)?;
        Ok(if comparison.differing.is_empty() { super::exit::DONE } else { super::exit::FAILED })
    }
}

// With several machines: that of the one that ends last.
fn simulation(
    session: &Session,
    request: &Request,
    preflight: &Preflight,
    (cores, nodes): (NonZeroUsize, NonZeroUsize),
) -> Result<Simulation, CliError> {
    let Preflight { plan, states, forecasts, .. } = preflight;
    let all = simulation::tasks::of_plan(
        plan,
        states,
        forecasts,
        &preflight.store.times()?,
        crate::process::probe::processors(),
    );
    let machine = Machine { cores: cores.get(), share: 1.0 };
    let parts: Vec<Vec<Task>> = if nodes.get() == 1 {
        vec![all]
    } else {
        let shards = divide(&super::ci::groups(session, request, preflight).groups, nodes);
        shards.iter().map(|shard| simulation::tasks::of_targets(&all, &shard.targets)).collect()
    };
    let (stages, unrecorded) = parts
        .iter()
        .flatten()
        .fold((0, 0), |(stages, unrecorded), task| (stages + 1, unrecorded + usize::from(!task.recorded)));
    let simulated = parts.into_iter().map(|tasks| (simulation::simulate(&tasks, machine), tasks));
    let simulated: Vec<(Schedule, Vec<Task>)> = simulated.collect();
    let cpu = simulated.iter().map(|(schedule, _)| schedule.cpu).sum();
    let last = simulated.into_iter().max_by(|(a, _), (b, _)| a.wall.total_cmp(&b.wall));
    let (schedule, tasks) = last.unwrap_or_default();
    let savings = simulation::savings(&tasks, machine, &schedule);
    Ok(Simulation { machine, nodes: nodes.get(), tasks, schedule, savings, cpu, stages, unrecorded })
}
