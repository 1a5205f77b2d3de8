//! `crossmill plan`.

use super::CliResult;
use super::options::Select;
use super::session::Session;
use crate::plan::explain;
use crate::plan::{Material, StageId};
use crate::report::plan as report;
use crate::run::preflight::{self, Sources, Survey};
use clap::Args;

/// Show what a build would do: the graph, what is cached, what runs, and why
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    select: Select,
    /// Say why each stage runs: what changed since it was built last
    #[arg(long)]
    explain: bool,
    /// As JSON
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// As a graph for Graphviz
    #[arg(long)]
    dot: bool,
}

impl Plan {
    /// Plans and prints.
    pub fn run(self) -> CliResult {
        let session = Session::open(&self.select.place)?;
        let request = session.request(&self.select, true)?;
        let store = session.store()?;
        let fetcher = session.fetcher(&store)?;
        let plan = session.plan(&request, &store, &fetcher)?;
        let times = store.times();
        let survey = Survey::of(&plan, &store, &fetcher, Sources::Compared)?;
        let expected = |id| preflight::expected(&plan, &times, &request.profile, id);
        let states = crate::run::states::States::new(&plan, |id: StageId| survey.is_there(id), expected);
        let why = |id: StageId| -> Vec<String> {
            let stage = plan.stage(id);
            if let Some((_, why)) = survey.damaged.iter().find(|(name, _)| *name == stage.name) {
                return vec![why.clone()];
            }
            match store.recall::<Material>(&stage.name) {
                None => vec!["never built here".to_owned()],
                Some(last) if last.key == stage.key => {
                    vec!["started before and not finished, or its result was removed".to_owned()]
                }
                Some(last) => explain::differences(&last.material, &plan.material(id)),
            }
        };
        let rows = report::rows(&plan, &states, &expected, &why);
        let text = if self.json {
            report::json(&rows)
        } else if self.dot {
            report::dot(&plan, &rows)
        } else {
            report::text(&rows, self.explain)
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
