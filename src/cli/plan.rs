//! `crossmill plan`.

use super::CliResult;
use super::options::Select;
use crate::plan::explain;
use crate::plan::{KeyInputs, StageId};
use crate::report::plan as report;
use crate::run::Goal;
use crate::run::preflight::Preflight;
use clap::Args;

/// Show what a build would do: the graph, what is cached, what runs, and why
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    select: Select,
    /// Explain why each stage runs: what changed since it was built last
    #[arg(long)]
    explain: bool,
    /// Show also what is not needed because its result or what depends on it is cached
    #[arg(long, short)]
    verbose: bool,
    /// Print JSON (docs/json.md)
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// As a graph for Graphviz
    #[arg(long)]
    dot: bool,
}

impl Plan {
    /// Plans and prints.
    pub fn run(self) -> CliResult {
        let session = self.select.session()?;
        let request = self.select.request(&session, true)?;
        let Preflight { plan, store, survey, states, forecasts, .. } =
            Preflight::of(&session, &request, Goal::Build, session.store()?)?;
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
        let rows = report::rows(&plan, &states, &expected, &why);
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
}
