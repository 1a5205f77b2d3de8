//! KTAP version 1: a test for each target, with a subtest for each of its checks. A target without checks is skipped,
//! and one that was not built is not ok.
//! <https://docs.kernel.org/dev-tools/ktap.html>

use super::Report;
use crate::base::text::harmless;
use crate::config::matrix::HOST;
use crate::run::log::event::{Class, Kind};
use crate::run::log::model::Stage;
use crate::run::log::verdict::{Meaning, meaning, reason};
use std::fmt::Write as _;

pub(super) fn text(report: &Report<'_>) -> String {
    let rows = rows(report);
    let mut out = String::from("KTAP version 1\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# crossmill run {}: {}", plain(report.name), report.end());
    if let Some(remark) = report.remark() {
        let _ = writeln!(out, "# {remark}");
    }
    if rows.is_empty() {
        // A plan of 0 tests would pass as a success.
        let result = match report.hidden_problem() {
            Some(why) => format!("not ok 1 run # ERROR {}", plain(&why)),
            None if report.model.failed().next().is_some() => "not ok 1 run".to_owned(),
            None => "ok 1 run # SKIP the run has no check".to_owned(),
        };
        let _ = writeln!(out, "1..1\n{result}");
        return out;
    }
    let _ = writeln!(out, "1..{}", rows.len());
    for (number, row) in rows.iter().enumerate() {
        out.push_str(&row.text(number + 1));
    }
    out
}

// A target: its checks, and the builds that they depend on.
#[derive(Default)]
struct Row<'a> {
    name: &'a str,
    checks: Vec<&'a Stage>,
    builds: Vec<&'a Stage>,
}

// Every target of the run, whether it has checks or not. The host's libraries are part of what they are built for.
fn rows<'a>(report: &Report<'a>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for stage in report.model.stages.values().filter(|stage| stage.info.scope != HOST) {
        let is_check = match stage.info.kind {
            Kind::Fetch | Kind::Unpack => continue,
            Kind::Build => false,
            Kind::Check => true,
        };
        let known = rows.iter().position(|row| row.name == stage.info.scope);
        let at = known.unwrap_or_else(|| {
            rows.push(Row { name: &stage.info.scope, ..Row::default() });
            rows.len() - 1
        });
        if is_check { &mut rows[at].checks } else { &mut rows[at].builds }.push(stage);
    }
    rows
}

impl Row<'_> {
    fn text(&self, number: usize) -> String {
        let mut out = String::new();
        if !self.checks.is_empty() {
            let name = plain(self.name);
            let _ = write!(out, "    KTAP version 1\n    # Subtest: {name}\n    1..{}\n", self.checks.len());
        }
        for (number, check) in self.checks.iter().enumerate() {
            out.push_str(&result(number + 1, check));
        }
        let broken: Vec<&&Stage> = self.builds.iter().filter(|build| !is_ok(build)).collect();
        for build in &broken {
            let why = reason(build).map(|why| plain(&why)).unwrap_or_default();
            let _ = writeln!(out, "# {}: {} is not built: {why}", plain(self.name), plain(&build.info.package));
        }
        let is_skip = |check: &&Stage| meaning(check) == Meaning::Skip;
        let (word, directive) = if !broken.is_empty() || !self.checks.iter().all(|check| is_ok(check)) {
            ("not ok", "")
        } else if self.checks.is_empty() {
            ("ok", " # SKIP the run has no check of it")
        } else if self.checks.iter().all(is_skip) {
            ("ok", " # SKIP every check was skipped")
        } else {
            ("ok", "")
        };
        let _ = writeln!(out, "{word} {number} {}{directive}", plain(self.name));
        out
    }
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
    } else if let Some(summary) = check.check_result.as_ref().and_then(|check_result| check_result.summary.as_deref()) {
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
