//! Markdown for the summary of a CI job.

use super::Report;
use crate::base::text::escape;
use crate::report::{diff, failure, table};
use crate::run::log::event::Failure;
use std::fmt::Write as _;

/// GitHub refuses a job summary of more than 1 MiB.
const MOST: usize = 1_000_000;
/// Failures that are shown with their excerpt.
const FAILURES: usize = 40;

pub(super) fn text(report: &Report<'_>) -> String {
    // Writing to a string cannot fail.
    let mut out = format!("## crossmill run {}: {}\n\n", escape(report.name), report.end());
    if let Some(remark) = report.remark() {
        let _ = write!(out, "> {}\n\n", escape(&remark));
    }
    out.push_str(&table::markdown(report.model));
    for stage in report.model.failed().take(FAILURES) {
        if let Some(failure) = &stage.failure {
            out.push_str(&one_failure(&stage.info.name, failure));
        }
    }
    let warnings: Vec<_> = report.model.notices.iter().filter(|notice| notice.warning).collect();
    if !warnings.is_empty() {
        out.push_str("\n### Warnings\n\n");
        for warning in warnings {
            let stage = warning.stage.as_ref().map(|stage| format!("{}: ", escape(stage))).unwrap_or_default();
            let _ = writeln!(out, "- {stage}{}", escape(&warning.text));
        }
    }
    if let Some((_, changes)) = report.since {
        let _ = write!(out, "\n### Since run {}\n\n", escape(&changes.before));
        for line in diff::lines(changes) {
            let _ = writeln!(out, "- {}", escape(&line));
        }
    }
    cut(out)
}

fn one_failure(stage: &str, failure: &Failure) -> String {
    let mut out = format!(
        "\n<details><summary>{}: {} ({})</summary>\n\n",
        escape(stage),
        escape(&failure.ended),
        failure.class.words()
    );
    let lines: Vec<String> = failure.excerpt.iter().map(|line| crate::base::text::harmless(line)).collect();
    if !lines.is_empty() {
        let fence = fence(&lines);
        let _ = write!(out, "{fence}\n{}\n{fence}\n\n", lines.join("\n"));
    }
    if !failure.log.is_empty() {
        let _ = write!(out, "`{}`, `{}`\n\n", failure::log_command(stage), failure::reproduce_command(stage));
    }
    out.push_str("</details>\n");
    out
}

// Longer than every run of backticks inside, so that nothing ends the block early.
fn fence(lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn cut(mut text: String) -> String {
    if text.len() > MOST {
        let mut end = MOST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n\n… cut: a job summary may have 1 MiB\n");
    }
    text
}
