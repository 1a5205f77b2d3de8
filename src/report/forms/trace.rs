//! Trace events as Perfetto and chrome://tracing read them: a process for each row, a thread for each stage, a slice
//! for each step, and counters of the load.
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>

use super::{Error, Report};
use crate::base::text::harmless;
use crate::run::log::event::Kind;
use crate::run::log::model::{RunModel, Stage};
use serde_json::{Value, json};

pub(super) fn json(report: &Report<'_>) -> Result<String, Error> {
    let model = report.model;
    let mut events = vec![name_event("process_name", 0, 0, "load")];
    let mut rows: Vec<&str> = Vec::new();
    for (index, stage) in model.stages.values().enumerate().filter(|(_, stage)| stage.has_run()) {
        let known = rows.iter().position(|row| *row == stage.info.scope);
        let pid = known.unwrap_or(rows.len()) + 1;
        if known.is_none() {
            rows.push(&stage.info.scope);
            events.push(name_event("process_name", pid, 0, &stage.info.scope));
        }
        let tid = index + 1;
        events.push(name_event("thread_name", pid, tid, &format!("{} {}", stage.info.package, word(stage.info.kind))));
        events.extend(slices(model, stage, pid, tid));
    }
    for load in &model.loads {
        let cores = if load.cores.is_finite() { load.cores } else { 0.0 };
        for (name, value) in [
            ("cores", json!({ "busy": cores })),
            ("job tokens", json!({ "in use": load.tokens })),
            ("memory", json!({ "MiB": load.memory_kib / 1024 })),
        ] {
            events
                .push(json!({ "name": name, "ph": "C", "pid": 0, "tid": 0, "ts": micros(load.at_ms), "args": value }));
        }
    }
    let whole = json!({
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": { "run": report.name, "crossmill": model.run.version, "started": model.run.started },
    });
    Ok(serde_json::to_string(&whole)? + "\n")
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Fetch => "fetch",
        Kind::Unpack => "unpack",
        Kind::Build => "build",
        Kind::Check => "check",
    }
}

fn micros(ms: u64) -> u64 {
    ms.saturating_mul(1000)
}

fn name_event(what: &str, pid: usize, tid: usize, name: &str) -> Value {
    json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": { "name": harmless(name) } })
}

// The stage, and its steps within it.
fn slices(model: &RunModel, stage: &Stage, pid: usize, tid: usize) -> Vec<Value> {
    let from = stage.started_ms.unwrap_or(0);
    let to = stage.ended_ms.unwrap_or(model.latest_ms).max(from);
    let slice = |name: &str, category: &str, from: u64, to: u64, args: Value| {
        json!({
            "name": harmless(name), "cat": category, "ph": "X", "pid": pid, "tid": tid,
            "ts": micros(from), "dur": micros(to.saturating_sub(from)), "args": args,
        })
    };
    let state = json!({ "state": stage.phase.as_str(), "version": harmless(&stage.info.version) });
    let mut slices = vec![slice(&stage.info.name, word(stage.info.kind), from, to, state)];
    for step in &stage.steps {
        // Times of a damaged log must not leave the stage.
        let begin = step.started_ms.clamp(from, to);
        let (end, ok) = step.ended.map_or((to, None), |(at, ok)| (at.clamp(begin, to), Some(ok)));
        let usage = &step.usage;
        let args = json!({
            "ok": ok, "user_seconds": usage.user, "system_seconds": usage.system, "max_rss_kib": usage.max_rss_kib,
            "log": harmless(&step.log),
        });
        slices.push(slice(&step.name, "step", begin, end, args));
    }
    slices
}
