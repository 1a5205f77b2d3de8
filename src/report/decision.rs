//! Which difference between two sets decides, as text and as JSON (`docs/schema/bisect-sets.schema.json`).

use super::bisection::word;
use super::style::{Style, Tone, harmless};
use crate::run::bisection::{Decision, Difference, Part, Subject};
use crate::source::history::Verdict;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The number of the JSON form.
const SCHEMA: u32 = 1;

/// What was asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The good set and the bad one, as the user named them.
    pub sets: &'a [String; 2],
    /// The targets.
    pub targets: &'a [String],
    /// What shows the failure.
    pub subject: &'a Subject,
}

/// Returns the result for people.
#[must_use]
pub fn text(found: &Decision, asked: &Asked<'_>, style: Style) -> String {
    let mut text = String::new();
    let part = |part: &usize| found.differences.get(*part).map(|part| harmless(&part.to_string()));
    let line = match found.decides.and_then(|decides| part(&decides)) {
        Some(decides) => {
            let with: Vec<String> = found.with.iter().filter_map(part).collect();
            let with = if with.is_empty() { String::new() } else { format!(", together with {}", with.join(", ")) };
            style.paint(Tone::Bad, &format!("what decides: {decides}{with}"))
        }
        None => style.paint(Tone::Warn, "what could not be tested hides the difference that decides"),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
    for signature in &found.signatures {
        let _ = writeln!(text, "failure: {}", harmless(&signature.to_string()));
    }
    for step in &found.steps {
        let why = step.why.as_ref().filter(|_| step.verdict == Verdict::Skip);
        let why = why.map(|why| format!(": {}", harmless(why))).unwrap_or_default();
        let _ = writeln!(text, "  {:<8}{}{why}", word(step.verdict), harmless(&step.subject));
    }
    let _ = writeln!(
        text,
        "tested: {} of {} differences between {} and {}",
        tried(found),
        found.differences.len(),
        harmless(&asked.sets[0]),
        harmless(&asked.sets[1])
    );
    text
}

// The differences that were tested alone.
fn tried(found: &Decision) -> usize {
    let alone = |difference: &&Difference| found.steps.iter().any(|step| step.commit == difference.part.name());
    found.differences.iter().filter(alone).count()
}

/// Returns the result as JSON, ending in a newline; `bisected` is the bisection of the commits that came next.
#[must_use]
pub fn json(found: &Decision, asked: &Asked<'_>, bisected: Option<&str>) -> String {
    let (kind, name) = match asked.subject {
        Subject::Build => ("build", None),
        Subject::Check(check) => ("check", Some(check.to_string())),
        Subject::Script(path) => ("script", Some(path.display().to_string())),
    };
    let part = |difference: &Difference| {
        let kind = if matches!(difference.part, Part::Package(_)) { "package" } else { "setting" };
        json!({ "kind": kind, "name": difference.part.name(), "good": difference.good, "bad": difference.bad })
    };
    let named = |index: &usize| found.differences.get(*index).map(|difference| difference.part.name());
    let steps = found.steps.iter().map(|step| {
        json!({
            "exchanged": step.commit, "text": step.subject, "verdict": step.verdict.as_str(), "why": step.why,
            "run": step.run,
        })
    });
    let failures = found.signatures.iter().map(
        |signature| json!({ "stage": signature.stage, "class": signature.class.as_str(), "text": signature.text }),
    );
    let whole = json!({
        "schema": SCHEMA,
        "id": found.id,
        "good": asked.sets[0],
        "bad": asked.sets[1],
        "targets": asked.targets,
        "tested": { "kind": kind, "name": name },
        "differences": found.differences.iter().map(part).collect::<Vec<Value>>(),
        "decides": found.decides.as_ref().and_then(named),
        "with": found.with.iter().filter_map(named).collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
        "bisection": bisected.and_then(|text| serde_json::from_str::<Value>(text).ok()),
    });
    format!("{whole:#}\n")
}
