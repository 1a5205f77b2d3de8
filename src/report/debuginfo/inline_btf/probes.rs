//! Probe definitions: the text to paste, notes about calls without a probe, and JSON.

use super::{grouped, hex};
use crate::debuginfo::inline_btf::probes::{Format, LeftOut, Plan, Planned, Probe, Refused};
use crate::report::style::harmless;
use serde_json::{Value, json};

/// The schema version of the JSON output.
const SCHEMA: u32 = 1;
/// Refused calls of a function that are named in notes; all are counted.
const MOST_NAMED: usize = 8;

/// Returns the definitions, ready for the tracer.
#[must_use]
pub fn probes_text(plan: &Plan, format: Format) -> String {
    let probes = || plan.functions.iter().flat_map(|function| &function.probes);
    if probes().next().is_none() {
        return String::new();
    }
    std::iter::once(format.head()).chain(probes().map(|probe| probe.definition.as_str())).collect()
}

/// Returns notes about what has no probe, each one line.
#[must_use]
pub fn probes_notes(plan: &Plan) -> Vec<String> {
    plan.functions.iter().flat_map(notes).map(|note| harmless(&note)).collect()
}

fn notes(function: &Planned) -> Vec<String> {
    let name = &function.name;
    let mut notes = Vec::new();
    for (why, title) in [
        ("init", "in init code, which is freed after boot"),
        ("own-copy", "in the function's own copy, where the probe on its symbol is enough"),
        ("same-address", "at the address of another"),
    ] {
        match function.left_out.iter().filter(|left| left.why == why).count() {
            0 => {}
            count => notes.push(format!("note: {name}: {} left out {title}", counted(count, "site"))),
        }
    }
    for refused in function.refused.iter().take(MOST_NAMED) {
        notes.push(format!("refused: {name} at {}: {}", refused.place, refused.why));
    }
    if function.refused.len() > MOST_NAMED {
        let more = grouped((function.refused.len() - MOST_NAMED) as u64);
        notes.push(format!("refused: {name}: {more} more (`--json` has all)"));
    }
    let lacking = function.probes.iter().filter(|probe| !probe.missing.is_empty()).count();
    if lacking > 0 {
        notes.push(format!("note: {name}: {} without every argument", counted(lacking, "probe")));
    }
    if function.withheld > 0 {
        let withheld = counted(function.withheld, "possible probe");
        notes.push(format!(
            "withheld: {name}: {withheld}, because some calls are refused (`--best-effort` defines them)"
        ));
    }
    notes
}

fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// Returns the plan as JSON, ending in a newline.
pub fn probes_json(plan: &Plan, format: Format) -> serde_json::Result<String> {
    let functions: Vec<Value> = plan.functions.iter().map(function).collect();
    let value = json!({ "schema": SCHEMA, "format": format.word(), "head": format.head(), "functions": functions });
    serde_json::to_string_pretty(&value).map(|text| text + "\n")
}

fn function(planned: &Planned) -> Value {
    let refused =
        |refused: &Refused| json!({ "address": hex(refused.address), "place": refused.place, "why": refused.why });
    let left_out = |left: &LeftOut| json!({ "address": hex(left.address), "why": left.why });
    json!({
        "name": planned.name,
        "complete": planned.is_complete(),
        "probes": planned.probes.iter().map(probe).collect::<Vec<_>>(),
        "withheld": planned.withheld,
        "refused": planned.refused.iter().map(refused).collect::<Vec<_>>(),
        "left_out": planned.left_out.iter().map(left_out).collect::<Vec<_>>(),
    })
}

fn probe(probe: &Probe) -> Value {
    let missing = |(name, why): &(String, String)| json!({ "name": name, "why": why });
    json!({
        "event": probe.event,
        "kind": probe.kind,
        "module": probe.module,
        "symbol": probe.symbol,
        "offset": probe.offset,
        "address": hex(probe.address),
        "caller": probe.caller,
        "args": probe.args.iter().map(|(name, value)| json!({ "name": name, "size": value.size })).collect::<Vec<_>>(),
        "missing": probe.missing.iter().map(missing).collect::<Vec<_>>(),
        "definition": probe.definition,
    })
}
