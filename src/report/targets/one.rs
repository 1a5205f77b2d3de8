//! Renders everything known about one target.

use super::{expectations, last_results, quirk};
use crate::base::text::escape;
use crate::base::units;
use crate::config::matrix::{Matrix, Target};
use crate::record::{Outcome, Record, StageResult, TargetResults};
use crate::report::style::{harmless, pad};
use std::time::Duration;

// Name and value, without empty values.
fn properties(target: &Target, record: &Record) -> Vec<(&'static str, String)> {
    let kernel = target.kernel.clone().unwrap_or_default();
    let pins = target.pins.iter().filter(|(_, pin)| pin.own || target.release_set.is_none());
    let pins: Vec<String> = pins.map(|(package, pin)| format!("{package} {}", pin.version)).collect();
    let set: Vec<String> = target.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let rows = [
        ("triple", target.triple.clone()),
        ("tier", target.tier.clone()),
        ("ARCH", target.arch.clone()),
        ("toolchain", if target.toolchain == target.name { "its own".into() } else { target.toolchain.to_string() }),
        ("release set", target.release_set.clone().unwrap_or_default()),
        ("built from", pins.join(", ")),
        ("settings", set.join(" ")),
        ("defconfig", kernel.defconfig),
        ("fragments", kernel.fragments.join(" ")),
        ("tiny", kernel.tiny_fragments.join(" ")),
        ("make target", kernel.make_target),
        ("image", kernel.image),
        ("expected", expectations(target)),
        ("tested", last_results(record, target)),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

// Facts that are not as they are for every target.
fn facts<'a>(target: &'a Target, matrix: &'a Matrix) -> Vec<(&'a str, &'a str, &'a str)> {
    let given = target.facts.iter().filter_map(|(name, value)| {
        let fact = matrix.facts.get(name).filter(|fact| fact.default != *value)?;
        Some((name.as_str(), value.as_str(), fact.summary.as_str()))
    });
    given.collect()
}

fn outcome(stage: &StageResult) -> String {
    let word = match stage.state {
        Outcome::Built => "built",
        Outcome::Pass => "pass",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked",
        Outcome::Unsupported => "unsupported",
        Outcome::Skipped => "skipped",
        Outcome::KnownFailure => "known-failure",
    };
    let took = Duration::try_from_secs_f64(stage.wall).unwrap_or_default();
    let more = stage.summary.as_ref().or(stage.why.as_ref());
    let mut text = word.to_owned();
    if !stage.version.is_empty() {
        text += &format!(" {}", stage.version);
    }
    if !took.is_zero() {
        text += &format!(" in {}", units::duration(took));
    }
    if let Some(more) = more {
        text += &format!(": {}", harmless(more));
    }
    text
}

fn results<'a>(target: &Target, record: &'a Record) -> Vec<&'a TargetResults> {
    record.newest(target.name.as_str())
}

/// Text output.
pub fn text(target: &Target, matrix: &Matrix, record: &Record) -> String {
    let mut out = format!("{}: {}\n", target.name, target.summary);
    let mut line = |what: &str, value: &str| out += &format!("  {} {value}\n", pad(what, 12));
    for (name, value) in properties(target, record) {
        line(name, &value);
    }
    for note in &target.notes {
        line("note", note);
    }
    let quirks = quirk::all(target);
    if !quirks.is_empty() {
        out += "\nquirks:\n";
    }
    for quirk in quirks {
        out += &format!("  {}\n", quirk.what);
        for (name, value) in [("why", quirk.why.as_str()), ("from", &quirk.from), ("for", &quirk.versions)] {
            if !value.is_empty() {
                out += &format!("    {} {value}\n", pad(name, 5));
            }
        }
    }
    let facts = facts(target, matrix);
    if !facts.is_empty() {
        out += "\nfacts for its checks:\n";
    }
    for (name, value, summary) in facts {
        out += &format!("  {} {}  ({summary})\n", pad(name, 14), pad(value, 12));
    }
    for results in results(target, record) {
        out += &format!("\nresults of {} ({}, run {}):\n", results.label(), results.tested, results.run);
        for stage in &results.stages {
            out += &format!("  {} {}\n", pad(&stage.package, 12), outcome(stage));
        }
    }
    out
}

/// Markdown.
pub fn markdown(target: &Target, matrix: &Matrix, record: &Record) -> String {
    let mut out = format!("# {}: {}\n\n| | |\n|---|---|\n", escape(target.name.as_str()), escape(&target.summary));
    for (name, value) in properties(target, record) {
        out += &format!("| {name} | {} |\n", escape(&value));
    }
    if !target.notes.is_empty() {
        out.push('\n');
    }
    for note in &target.notes {
        out += &format!("- {}\n", escape(note));
    }
    let quirks = quirk::all(target);
    if !quirks.is_empty() {
        out += "\n## Quirks\n\n| what | why | from | for |\n|---|---|---|---|\n";
    }
    for quirk in quirks {
        let cells = [&quirk.what, &quirk.why, &quirk.from, &quirk.versions].map(|cell| escape(cell));
        out += &format!("| {} |\n", cells.join(" | "));
    }
    let facts = facts(target, matrix);
    if !facts.is_empty() {
        out += "\n## Facts for its checks\n\n| fact | value | |\n|---|---|---|\n";
    }
    for (name, value, summary) in facts {
        out += &format!("| {} | {} | {} |\n", escape(name), escape(value), escape(summary));
    }
    for results in results(target, record) {
        let (label, tested) = (escape(&results.label()), escape(&results.tested));
        out += &format!("\n## Results of {label}, {tested}\n\n| | |\n|---|---|\n");
        for stage in &results.stages {
            out += &format!("| {} | {} |\n", escape(&stage.package), escape(&outcome(stage)));
        }
    }
    out
}
