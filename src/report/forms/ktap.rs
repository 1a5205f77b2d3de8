//! KTAP version 1: a subtest for each row that has checks, a result line for each check.
//! <https://docs.kernel.org/dev-tools/ktap.html>

use super::Report;
use crate::base::text::harmless;
use crate::run::log::event::{Class, Kind};
use crate::run::log::model::Stage;
use crate::run::log::verdict::{Meaning, meaning, reason};
use std::fmt::Write as _;

pub(super) fn text(report: &Report<'_>) -> String {
    let mut rows: Vec<(&str, Vec<&Stage>)> = Vec::new();
    for stage in report.model.stages.values().filter(|stage| stage.info.kind == Kind::Check) {
        match rows.iter_mut().find(|(row, _)| *row == stage.info.scope) {
            Some((_, checks)) => checks.push(stage),
            None => rows.push((&stage.info.scope, vec![stage])),
        }
    }
    let mut out = String::from("KTAP version 1\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# crossmill run {}: {}", plain(report.name), report.end());
    if let Some(remark) = report.remark() {
        let _ = writeln!(out, "# {remark}");
    }
    let _ = writeln!(out, "1..{}", rows.len());
    for (number, (row, checks)) in rows.iter().enumerate() {
        let _ = write!(out, "    KTAP version 1\n    # Subtest: {}\n    1..{}\n", plain(row), checks.len());
        for (number, check) in checks.iter().enumerate() {
            out.push_str(&result(number + 1, check));
        }
        let good = checks.iter().all(|check| is_ok(check));
        let _ = writeln!(out, "{} {} {}", if good { "ok" } else { "not ok" }, number + 1, plain(row));
    }
    out
}

fn is_ok(check: &Stage) -> bool {
    matches!(meaning(check), Meaning::Pass | Meaning::Skip | Meaning::KnownFailure)
}

fn result(number: usize, check: &Stage) -> String {
    let mut out = String::new();
    if !is_ok(check) {
        let lines = check.failure.iter().flat_map(|failure| &failure.excerpt);
        for line in lines {
            let _ = writeln!(out, "    # {}: {}", plain(&check.info.package), harmless(line));
        }
    } else if let Some(summary) = check.account.as_ref().and_then(|account| account.summary.as_deref()) {
        let _ = writeln!(out, "    # {}: {}", plain(&check.info.package), harmless(summary));
    }
    let why = reason(check).map(|why| plain(&why)).unwrap_or_default();
    let late = check.failure.as_ref().is_some_and(|failure| failure.class == Class::Timeout);
    let (word, directive) = match meaning(check) {
        Meaning::Pass => ("ok", String::new()),
        Meaning::Skip => ("ok", format!(" # SKIP {why}")),
        Meaning::KnownFailure => ("ok", format!(" # XFAIL {why}")),
        Meaning::Fail => ("not ok", String::new()),
        Meaning::Error if late => ("not ok", format!(" # TIMEOUT {why}")),
        Meaning::Error | Meaning::Missed => ("not ok", format!(" # ERROR {why}")),
    };
    let _ = writeln!(out, "    {word} {number} {}{directive}", plain(&check.info.package));
    out
}

// A `#` would begin a directive.
fn plain(text: &str) -> String {
    harmless(text).replace('#', "No.")
}
