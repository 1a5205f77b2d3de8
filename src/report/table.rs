//! The final table: a row per target, a column per package, each cell with outcome and time; totals
//! below.

use super::failure;
use super::plain::reason;
use super::style::{Style, Tone, harmless, pad};
use crate::base::text::escape;
use crate::base::units;
use crate::run::log::event::{Kind, StageOutcome};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// The content of the table before rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Packages in order of first appearance.
    pub columns: Vec<String>,
    /// Rows in order of first appearance, with a cell for each column.
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
}

/// A cell of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its text: `done 3m05s`, `= x86_64`.
    pub text: String,
    /// The tone of its outcome.
    pub tone: Tone,
}

impl Table {
    /// Returns the table of a run.
    pub fn of(model: &RunModel) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut rows: Vec<String> = Vec::new();
        let announced = model.stages.values().map(|stage| (&stage.info.scope, &stage.info.package));
        let borrowed = model.run.borrowed.iter().map(|borrowed| (&borrowed.scope, &borrowed.package));
        for (row, column) in announced.chain(borrowed) {
            if !rows.contains(row) {
                rows.push(row.clone());
            }
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let rows = rows
            .into_iter()
            .map(|row| {
                let cells = columns.iter().map(|column| cell(model, &row, column)).collect();
                (harmless(&row), cells)
            })
            .collect();
        // The names come from a log, which anybody may have written.
        Self { columns: columns.iter().map(|column| harmless(column)).collect(), rows }
    }
}

// A cell stands for every stage of its scope and package: fetching and unpacking share one.
fn cell(model: &RunModel, row: &str, column: &str) -> Option<Cell> {
    let here: Vec<&Stage> =
        model.stages.values().filter(|stage| stage.info.scope == row && stage.info.package == column).collect();
    // The worst outcome is shown.
    let Some(worst) = here.iter().max_by_key(|stage| weight(&stage.phase)) else {
        let borrowed =
            model.run.borrowed.iter().find(|borrowed| borrowed.scope == row && borrowed.package == column)?;
        return Some(Cell { text: format!("= {}", harmless(&borrowed.owner)), tone: Tone::Dim });
    };
    let took: Duration = here.iter().filter(|stage| stage.has_run()).map(|stage| stage.elapsed(model.latest_ms)).sum();
    let (word, tone) = word(&worst.phase);
    if worst.info.kind == Kind::Check
        && let StagePhase::Over(state) = &worst.phase
    {
        let passed = state.has_result();
        let summary = worst.check_result.as_ref().and_then(|check_result| check_result.summary.as_deref());
        return Some(match (passed, summary) {
            (true, summary) => Cell { text: harmless(summary.unwrap_or("pass")), tone: Tone::Good },
            (false, _) => Cell { text: word.to_owned(), tone },
        });
    }
    let timed = !took.is_zero() && !matches!(worst.phase, StagePhase::Over(StageOutcome::Blocked { .. }));
    let text = if timed { format!("{word} {}", units::duration(took)) } else { word.to_owned() };
    Some(Cell { text, tone })
}

fn weight(phase: &StagePhase) -> u8 {
    match phase {
        StagePhase::Over(StageOutcome::Cached) => 0,
        StagePhase::Over(StageOutcome::BuiltElsewhere | StageOutcome::Pulled) => 1,
        StagePhase::Over(StageOutcome::Done) => 2,
        StagePhase::Over(
            StageOutcome::Unsupported { .. } | StageOutcome::Skipped { .. } | StageOutcome::KnownFailure { .. },
        ) => 3,
        StagePhase::Pending => 4,
        StagePhase::Waiting { .. } => 5,
        StagePhase::Running => 6,
        StagePhase::Over(StageOutcome::Interrupted) => 7,
        StagePhase::Over(StageOutcome::Blocked { .. }) => 8,
        StagePhase::Over(StageOutcome::Failed { .. }) => 9,
    }
}

/// Returns the word for a stage's phase, a failure's in capitals, and its tone.
pub(super) fn word(phase: &StagePhase) -> (&'static str, Tone) {
    let tone = match phase {
        StagePhase::Over(StageOutcome::Done | StageOutcome::BuiltElsewhere | StageOutcome::Pulled) => Tone::Good,
        StagePhase::Over(StageOutcome::Cached | StageOutcome::Unsupported { .. }) => Tone::Dim,
        StagePhase::Over(StageOutcome::Failed { .. }) => return ("FAILED", Tone::Bad),
        StagePhase::Over(StageOutcome::Blocked { .. }) => Tone::Bad,
        StagePhase::Pending | StagePhase::Running | StagePhase::Waiting { .. } => Tone::Warn,
        StagePhase::Over(
            StageOutcome::Interrupted | StageOutcome::Skipped { .. } | StageOutcome::KnownFailure { .. },
        ) => Tone::Warn,
    };
    (phase.as_str(), tone)
}

/// Returns the table and the totals for a terminal or a plain log, ending in a newline.
pub fn text(model: &RunModel, style: Style) -> String {
    let table = Table::of(model);
    let mut out = String::new();
    if !table.rows.is_empty() {
        draw(&table, style, &mut out);
        out.push('\n');
    }
    for line in totals(model) {
        out.push_str(&line);
        out.push('\n');
    }
    for (stage, word, why) in model.set_aside() {
        let _ =
            writeln!(out, "{} {}: {}", style.paint(Tone::Warn, &format!("{word}:")), stage.info.name, harmless(why));
    }
    for (stage, why) in troubles(model) {
        let _ = writeln!(out, "{} {stage}: {why}", style.paint(Tone::Bad, "failed:"));
        if has_log(model, stage) {
            let _ = writeln!(out, "  {} {}", style.paint(Tone::Dim, "see:"), failure::log_command(stage));
        }
    }
    out
}

// A stage that failed before any step ran has none.
fn has_log(model: &RunModel, stage: &str) -> bool {
    let failure = model.stages.values().find(|other| other.info.name == stage).and_then(|found| found.failure.as_ref());
    failure.is_some_and(|failure| !failure.log.is_empty())
}

fn draw(table: &Table, style: Style, out: &mut String) {
    let text = |cell: &Option<Cell>| cell.as_ref().map_or("-", |cell| cell.text.as_str()).to_owned();
    let first = table.rows.iter().map(|(row, _)| row.width()).max().unwrap_or(0);
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = table.rows.iter().filter_map(|(_, cells)| cells.get(at)).map(|cell| text(cell).width());
            cells.max().unwrap_or(0).max(column.width())
        })
        .collect();
    let mut line = pad("", first);
    for (column, width) in table.columns.iter().zip(&widths) {
        line.push_str("  ");
        line.push_str(&style.paint(Tone::Strong, &pad(column, *width)));
    }
    let _ = writeln!(out, "{}", line.trim_end());
    for (row, cells) in &table.rows {
        let mut line = style.paint(Tone::Strong, &pad(row, first));
        for (cell, width) in cells.iter().zip(&widths) {
            let tone = cell.as_ref().map_or(Tone::Dim, |cell| cell.tone);
            line.push_str("  ");
            line.push_str(&style.paint(tone, &pad(&text(cell), *width)));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Returns the table and the totals as GitHub-flavoured Markdown.
pub fn markdown(model: &RunModel) -> String {
    let table = Table::of(model);
    let mut out = String::new();
    if !table.rows.is_empty() {
        let columns: Vec<String> = table.columns.iter().map(|column| escape(column)).collect();
        let _ = writeln!(out, "| | {} |", columns.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
        for (row, cells) in &table.rows {
            let cells: Vec<String> =
                cells.iter().map(|cell| cell.as_ref().map_or(String::new(), |cell| escape(&cell.text))).collect();
            let _ = writeln!(out, "| **{}** | {} |", escape(row), cells.join(" | "));
        }
        out.push('\n');
    }
    for line in totals(model) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    for (stage, word, why) in model.set_aside() {
        let _ = writeln!(out, "- {word} {}: {}", escape(&stage.info.name), escape(why));
    }
    for (stage, why) in troubles(model) {
        let _ = writeln!(out, "- **failed** {}: {} (`{}`)", escape(stage), escape(&why), failure::log_command(stage));
    }
    out
}

/// Every failed stage with its reason.
fn troubles(model: &RunModel) -> Vec<(&str, String)> {
    model
        .failed()
        .filter_map(|stage| match &stage.phase {
            StagePhase::Over(StageOutcome::Failed { why }) => Some((stage.info.name.as_str(), harmless(why))),
            _ => None,
        })
        .collect()
}

/// Returns the lines below the table: time, processors, memory, sources.
pub(super) fn totals(model: &RunModel) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(totals) = &model.totals {
        let seconds = |seconds: f64| units::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let jobs = model.run.jobs.max(1) as f64;
        let mut line = format!("time {}, CPU {:.0} s", seconds(totals.wall), totals.cpu);
        if let Some(share) = share(totals.cpu, totals.wall, jobs) {
            let _ = write!(line, ", {share} of {} cores", model.run.jobs);
        }
        if let Some(share) = share(totals.busy_cpu, totals.busy_wall, jobs) {
            let _ = write!(line, ", {share} outside fetch and final tail");
        }
        if totals.peak_kib > 0 {
            let _ = write!(line, ", peak memory {}", units::bytes(totals.peak_kib.saturating_mul(1024)));
        }
        lines.push(line);
    }
    lines.extend(model.cache.map(|stats| stats.line()));
    lines.extend(sources(model));
    lines
}

/// `97 %` of what `cores` could have done in `wall` seconds.
fn share(cpu: f64, wall: f64, cores: f64) -> Option<String> {
    let share = 100.0 * cpu / (wall * cores);
    (wall > 0.0 && share.is_finite()).then(|| format!("{share:.0} %"))
}

/// Returns which source served, where it came over the network or was not the first asked.
fn sources(model: &RunModel) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in model.stages.values() {
        let Some(used) = &stage.source else { continue };
        if used.cached && stage.retries.is_empty() {
            continue;
        }
        let source = format!("{} {}: {}", stage.info.package, stage.info.version, used.source);
        let mut line = format!("source {}", harmless(&source));
        if !used.cached {
            let _ = write!(line, ", {}", units::bytes(used.bytes));
        }
        let others: Vec<_> = stage.retries.iter().filter(|retry| retry.source != used.source).collect();
        if let Some(retry) = others.first() {
            let _ = write!(line, " (instead of {}: {})", harmless(&retry.source), reason(&retry.source, &retry.why));
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;

    #[test]
    fn the_table_tells_the_whole_run() {
        let model = RunModel::of(&sample::run());
        insta::assert_snapshot!("text", text(&model, Style::PLAIN));
        insta::assert_snapshot!("markdown", markdown(&model));
    }

    #[test]
    fn a_run_that_was_killed_shows_what_was_not_run() {
        let events = sample::run();
        let torn = events.iter().take_while(|event| event.at_ms < 300_000);
        insta::assert_snapshot!("torn", text(&RunModel::of(torn), Style::PLAIN));
    }

    #[test]
    fn markdown_takes_no_text_for_its_own() {
        assert_eq!(escape("a|b_<c>\n"), "a\\|b\\_&lt;c> ");
    }

    #[test]
    fn nothing_is_shown_of_nothing() {
        assert_eq!(text(&RunModel::default(), Style::PLAIN), "");
    }
}
