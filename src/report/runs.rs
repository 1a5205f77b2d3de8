//! The list of runs.

use crate::base::{Diagnostic, units};
use crate::report::style::{harmless, pad};
use crate::run::log::event::RunEnd;
use crate::run::log::model::RunModel;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

/// A run in the store, or the reason why its log cannot be read.
pub struct Run {
    /// Its name, which is also that of its directory.
    pub name: String,
    /// The model of its event log.
    pub model: Result<RunModel, Diagnostic>,
}

// A run without an end was killed, or is still running: the log does not differ.
fn state(model: &RunModel) -> &'static str {
    match &model.totals {
        Some(totals) => totals.end.as_str(),
        None => "unfinished",
    }
}

/// Returns a line for each run.
#[must_use]
pub fn text(runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        // Writing to a string cannot fail.
        let _ = match &run.model {
            Err(problem) => writeln!(text, "{}  unreadable: {}", run.name, harmless(&problem.message)),
            Ok(model) => {
                let counts = model.counts();
                let wall = Duration::from_millis(model.latest_ms);
                writeln!(
                    text,
                    "{}  {} {} {} of {} stages, {} failed  {}",
                    run.name,
                    pad(state(model), 13),
                    pad(&units::duration(wall), 7),
                    counts.over,
                    counts.all,
                    counts.failed,
                    harmless(&model.run.command.join(" ")),
                )
            }
        };
    }
    if text.is_empty() { "no runs on this store\n".to_owned() } else { text }
}

/// Returns the runs as JSON; docs/json.md describes it.
#[must_use]
pub fn json(runs: &[Run], exit_code: impl Fn(RunEnd) -> u8) -> String {
    let runs: Vec<_> = runs
        .iter()
        .map(|run| match &run.model {
            Err(problem) => json!({ "run": run.name, "state": "unreadable", "error": problem.message }),
            Ok(model) => {
                let counts = model.counts();
                json!({
                    "run": run.name, "state": state(model), "wall_seconds": model.latest_ms as f64 / 1000.0,
                    "exit_code": model.totals.as_ref().map(|totals| exit_code(totals.end)),
                    "stages": counts.all, "stages_finished": counts.over, "stages_failed": counts.failed,
                    "command": model.run.command,
                })
            }
        })
        .collect();
    format!("{:#}\n", json!({ "schema": 1, "runs": runs }))
}
