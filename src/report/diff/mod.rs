//! The differences between two runs, as text and as JSON.

mod code;
mod json;
mod markdown;

pub use json::json;
pub use markdown::markdown;

use super::style::{Style, Tone, harmless};
use crate::base::units;
use crate::run::build_log::Class;
use crate::run::comparison::{ChangeKind, Comparison, Difference, StateChange};
use std::time::Duration;

/// A form of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Lines, the most important first
    #[default]
    Text,
    /// Tables
    Markdown,
    /// JSON (docs/schema/diff.schema.json)
    Json,
}

/// Returns a line for each difference, the most important first; one line where there is none.
#[must_use]
pub fn lines(found: &Comparison) -> Vec<String> {
    toned(found, true).into_iter().map(|(_, line)| line).collect()
}

/// Returns the same without the figures of checks, for a page that shows them in a table.
#[must_use]
pub fn lines_without_figures(found: &Comparison) -> Vec<String> {
    toned(found, false).into_iter().map(|(_, line)| line).collect()
}

/// Returns a figure of a check: whole numbers grouped, others with three decimals.
#[must_use]
pub fn number(value: f64) -> String {
    let whole = value.fract() == 0.0 && (0.0..1e15).contains(&value);
    if whole { units::grouped(value as u64) } else { format!("{value:.3}") }
}

/// Returns the differences for a terminal or a plain log, ending in a newline.
#[must_use]
pub fn text(found: &Comparison, style: Style) -> String {
    let (before, after) = names(found);
    let mut text = format!("{} -> {}\n", harmless(&before), harmless(&after));
    for (tone, line) in toned(found, true) {
        text.push_str(&style.paint(tone, &line));
        text.push('\n');
    }
    text
}

// The sets of versions with their runs, or the runs alone.
fn names(found: &Comparison) -> (String, String) {
    match &found.sets {
        Some((before, after)) => (format!("{before} (run {})", found.before), format!("{after} (run {})", found.after)),
        None => (found.before.clone(), found.after.clone()),
    }
}

fn toned(found: &Comparison, with_figures: bool) -> Vec<(Tone, String)> {
    let mut lines: Vec<(Tone, String)> = found.states.iter().map(state).collect();
    lines.extend(found.warnings.iter().map(|warning| {
        let stage = warning.stage.as_ref().map(|stage| format!("{}: ", harmless(stage))).unwrap_or_default();
        (Tone::Warn, format!("new warning: {stage}{}", harmless(&warning.text)))
    }));
    let cpu = |value: f64| units::duration(Duration::try_from_secs_f64(value).unwrap_or_default());
    let size = |value: f64| units::bytes(value as u64);
    let judged = found.sets.is_none();
    lines.extend(found.times.iter().map(|time| difference(time, ("slower", "faster"), judged, &cpu)));
    lines.extend(found.sizes.iter().map(|change| difference(change, ("larger", "smaller"), judged, &size)));
    lines.extend(found.figures.iter().filter(|_| with_figures).map(|change| {
        let (stage, figure) = (harmless(&change.stage), harmless(&change.figure));
        (Tone::Plain, format!("figure {stage} {figure}: {} -> {}", number(change.before), number(change.after)))
    }));
    lines.extend(found.code.iter().flat_map(code::lines).map(|line| (Tone::Plain, line)));
    for (stages, run) in [(&found.only_before, &found.before), (&found.only_after, &found.after)] {
        if !stages.is_empty() {
            let names: Vec<String> = stages.iter().map(|name| harmless(name)).collect();
            lines.push((Tone::Dim, format!("only in {}: {}", harmless(run), names.join(", "))));
        }
    }
    if lines.is_empty() {
        lines.push((Tone::Good, "no difference".to_owned()));
    }
    if found.times_unjudged > 0 {
        let text = format!("{} times were not compared: too few earlier runs measured them", found.times_unjudged);
        lines.push((Tone::Dim, text));
    }
    lines
}

fn state(change: &StateChange) -> (Tone, String) {
    let (tone, word) = match change.kind {
        ChangeKind::Regression => (Tone::Bad, "PASS->FAIL"),
        ChangeKind::NewFailure => (Tone::Bad, "new failure"),
        ChangeKind::NotReached => (Tone::Bad, "not reached"),
        ChangeKind::Fixed => (Tone::Good, "FAIL->PASS"),
        ChangeKind::Other => (Tone::Plain, "changed"),
    };
    let mut line = format!("{word} {}: {} -> {}", harmless(&change.stage), change.before.unwrap_or("-"), change.after);
    if let Some(why) = &change.why {
        line.push_str(&format!(": {}", harmless(why)));
    }
    if let Some(class) = change.class.filter(|class| *class != Class::Other) {
        line.push_str(&format!(" ({})", class.words()));
    }
    (tone, line)
}

fn difference(
    change: &Difference,
    (more, less): (&str, &str),
    judged: bool,
    shown: &dyn Fn(f64) -> String,
) -> (Tone, String) {
    let share = change.change();
    let (tone, word) = if share > 0.0 { (Tone::Warn, more) } else { (Tone::Good, less) };
    let usual = match change.usual {
        Some(usual) => format!(", usually within {:.1} %", usual * 100.0),
        None if judged => ", usual spread unknown".to_owned(),
        None => String::new(),
    };
    let (before, after) = (shown(change.before), shown(change.after));
    let stage = harmless(&change.stage);
    (tone, format!("{word} {stage}: {before} -> {after} ({:+.1} %{usual})", share * 100.0))
}
