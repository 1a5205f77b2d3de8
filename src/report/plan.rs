//! Renders a plan: what is cached, what runs and why; as text, JSON, or a graph for Graphviz.

use super::style::harmless;
use crate::base::{Key, StageName, units};
use crate::plan::{Plan, StageId};
use crate::run::states::{SchedulerState, States};
use serde::Serialize;
use std::time::Duration;

/// A stage of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `arm64/gcc`
    pub stage: StageName,
    /// `fetch`, `unpack`, `build` or `check`.
    pub kind: &'static str,
    /// The version, where there is one.
    pub version: String,
    /// `cached`, `pull`, `run` or `not-needed`.
    pub state: &'static str,
    /// The key; it is final when `known`.
    pub key: Key,
    /// Whether the digest of every source that it depends on is known.
    pub known: bool,
    /// Seconds of processor time it is expected to take.
    pub expected_seconds: f64,
    /// The stages it needs.
    pub needs: Vec<StageName>,
    /// The cache that has its result, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Why it runs: what changed since it was built last.
    pub why: Vec<String>,
}

/// Returns the rows of a plan, what is needed first.
pub fn rows(
    plan: &Plan,
    states: &States,
    expected: &dyn Fn(StageId) -> f64,
    cache: &dyn Fn(StageId) -> Option<String>,
    why: &dyn Fn(StageId) -> Vec<String>,
) -> Vec<Row> {
    let known = plan.known();
    let row = |id: StageId| {
        let stage = plan.stage(id);
        let state = match states.get(id) {
            SchedulerState::Cached => "cached",
            SchedulerState::Unneeded => "not-needed",
            _ if states.is_remote(id) => "pull",
            _ => "run",
        };
        let explained = state == "run" && stage.job().is_some();
        Row {
            stage: stage.name.clone(),
            kind: stage.kind(),
            version: stage.version.clone(),
            state,
            key: stage.key,
            known: known[id.0 as usize],
            expected_seconds: expected(id),
            needs: stage.needs.iter().map(|need| plan.stage(*need).name.clone()).collect(),
            cache: if state == "pull" { cache(id) } else { None },
            why: if explained { why(id) } else { Vec::new() },
        }
    };
    plan.ids().map(row).collect()
}

/// Returns a table, with reasons below each row where they are asked for, and what is not needed only where `all` is.
pub fn text(rows: &[Row], explain: bool, all: bool) -> String {
    let shown = || rows.iter().filter(|row| all || row.state != "not-needed");
    let width = shown().map(|row| row.stage.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in shown() {
        let time = if row.state == "run" {
            units::duration(Duration::from_secs_f64(row.expected_seconds))
        } else {
            String::new()
        };
        let key = if row.known { row.key.short() } else { "(source not fetched)".to_owned() };
        let from = row.cache.as_ref().map(|cache| format!("  {}", harmless(cache))).unwrap_or_default();
        let line = format!("{:width$}  {:10}  {:>8}  {key}{from}", row.stage, row.state, time);
        text += line.trim_end();
        text.push('\n');
        if explain {
            row.why.iter().for_each(|why| text += &format!("    {why}\n"));
        }
    }
    let run: Vec<_> = rows.iter().filter(|row| row.state == "run").collect();
    let seconds: f64 = run.iter().map(|row| row.expected_seconds).sum();
    let cached = rows.iter().filter(|row| row.state == "cached").count();
    let time = units::duration(Duration::from_secs_f64(seconds));
    let pulled = rows.iter().filter(|row| row.state == "pull").count();
    let pulled = if pulled == 0 { String::new() } else { format!(", {pulled} from a cache") };
    text + &format!("{} to run (about {time} of processor time){pulled}, {cached} cached\n", run.len())
}

/// `{"schema": 2, "stages": […]}`
pub fn json(rows: &[Row]) -> String {
    let value = serde_json::json!({ "schema": 2, "stages": rows });
    format!("{value:#}\n")
}

/// Returns a graph for `dot -Tsvg`.
pub fn dot(plan: &Plan, rows: &[Row]) -> String {
    let mut text =
        "digraph crossmill {\n  rankdir=LR;\n  node [shape=box, style=filled, fontname=\"sans-serif\"];\n".to_owned();
    for (row, stage) in rows.iter().zip(&plan.stages) {
        let colour = match row.state {
            "cached" => "palegreen",
            "pull" => "khaki",
            "run" => "lightskyblue",
            _ => "gray90",
        };
        text += &format!("  \"{}\" [fillcolor={colour}];\n", row.stage);
        for need in &stage.needs {
            text += &format!("  \"{}\" -> \"{}\";\n", plan.stage(*need).name, row.stage);
        }
    }
    text + "}\n"
}
