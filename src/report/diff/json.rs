//! The comparison as JSON; `docs/schema/diff.schema.json` describes it.

use crate::run::comparison::code::{CodeChange, Growth};
use crate::run::comparison::{Comparison, Difference};
use serde_json::{Value, json};

/// The number of the form.
const SCHEMA: u32 = 1;

/// Returns the comparison as JSON, ending in a newline; `failed_on` are the criteria that it meets.
#[must_use]
pub fn json(found: &Comparison, failed_on: &[String]) -> String {
    let states: Vec<Value> = found
        .states
        .iter()
        .map(|change| {
            json!({
                "stage": change.stage, "kind": change.kind.as_str(), "before": change.before, "after": change.after,
                "why": change.why, "class": change.class.map(|class| class.as_str()),
            })
        })
        .collect();
    let warnings: Vec<Value> =
        found.warnings.iter().map(|warning| json!({ "stage": warning.stage, "text": warning.text })).collect();
    let figures: Vec<Value> = found
        .figures
        .iter()
        .map(|change| {
            json!({ "stage": change.stage, "figure": change.figure, "before": change.before, "after": change.after })
        })
        .collect();
    let whole = json!({
        "schema": SCHEMA,
        "before": found.before,
        "after": found.after,
        "set_before": found.sets.as_ref().map(|sets| &sets.0),
        "set_after": found.sets.as_ref().map(|sets| &sets.1),
        "states": states,
        "warnings": warnings,
        "times": differences(&found.times, "cpu_seconds"),
        "times_unjudged": found.times_unjudged,
        "sizes": differences(&found.sizes, "bytes"),
        "figures": figures,
        "code": found.code.iter().map(code).collect::<Vec<_>>(),
        "only_before": found.only_before,
        "only_after": found.only_after,
        "failed_on": failed_on,
    });
    format!("{whole:#}\n")
}

fn code(change: &CodeChange) -> Value {
    let growth = |found: &[Growth]| -> Vec<Value> {
        let value = |one: &Growth| json!({ "name": one.name, "bytes_before": one.before, "bytes_after": one.after });
        found.iter().map(value).collect()
    };
    json!({
        "stage": change.stage, "file": change.file, "bytes_before": change.before, "bytes_after": change.after,
        "sections": growth(&change.sections), "functions": growth(&change.functions), "first": change.first,
    })
}

fn differences(found: &[Difference], unit: &str) -> Vec<Value> {
    let value = |change: &Difference| {
        json!({
            "stage": change.stage, format!("{unit}_before"): change.before, format!("{unit}_after"): change.after,
            "change": change.change(), "usual_change": change.usual,
        })
    };
    found.iter().map(value).collect()
}
