//! What a watched line has that is new, as a mail and as JSON (`docs/schema/watch.schema.json`).

use super::style::harmless;
use crate::run::comparison::{ChangeKind, Comparison};
use crate::run::workspace::quote;
use crate::source::history::Commit;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The number of the JSON form.
const SCHEMA: u32 = 1;

/// A branch, now and the last time.
#[derive(Debug)]
pub struct Moved {
    /// The package.
    pub package: String,
    /// Its repository.
    pub repository: String,
    /// The branch, tag or commit that is watched.
    pub rev: String,
    /// The commit of the last time.
    pub before: Option<String>,
    /// The commit of now.
    pub commit: Commit,
}

/// A line that has something new.
#[derive(Debug)]
pub struct Line {
    /// The line, as the user named it.
    pub line: String,
    /// The run.
    pub run: String,
    /// The run of the last time, if the store has its log.
    pub before: Option<String>,
    /// Its commits.
    pub moved: Vec<Moved>,
    /// What changed, as `diff --json` prints it; `None` the first time.
    pub changes: Option<String>,
}

/// What is watched.
pub struct Watched<'a> {
    /// The line, as the user named it.
    pub line: &'a str,
    /// Its targets.
    pub targets: &'a [String],
    /// Whether a package is a check.
    pub is_check: &'a dyn Fn(&str) -> bool,
}

/// Returns the mail of a run with the commits of its line, and how to bisect what it broke.
#[must_use]
pub fn mail(run: &str, watched: &Watched<'_>, moved: &[Moved], changes: Option<&Comparison>) -> String {
    // Writing to a string cannot fail.
    let mut out = String::new();
    let (head, rest) = run.split_once("\n\n").unwrap_or((run, ""));
    let _ = write!(out, "{head}\n\nline:     {}\n", harmless(watched.line));
    for one in moved {
        let before = one.before.as_deref().map(|id| format!("{}..", short(id))).unwrap_or_default();
        let (package, rev) = (harmless(&one.package), harmless(&one.rev));
        let _ = writeln!(out, "commits:  {package} {before}{} of {rev}", one.commit.short());
        let _ = writeln!(out, "          {} {}", harmless(&one.commit.date), harmless(&one.commit.subject));
    }
    out.push_str(rest);
    let states = changes.iter().flat_map(|changes| &changes.states);
    let broken = states.filter(|change| change.kind == ChangeKind::Regression);
    let commands: Vec<String> =
        broken.flat_map(|change| moved.iter().filter_map(|one| bisect(&change.stage, one, watched))).collect();
    if !commands.is_empty() {
        out.push_str("\nto find the commit:\n");
        for command in commands {
            let _ = writeln!(out, "        {}", harmless(&command));
        }
    }
    out
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

// The command that bisects a stage between the two commits, if both are known and differ.
fn bisect(stage: &str, moved: &Moved, watched: &Watched<'_>) -> Option<String> {
    let before = moved.before.as_ref().filter(|before| **before != moved.commit.id)?;
    let (scope, package) = stage.split_once('/')?;
    // A toolchain may be that of another target.
    let target = watched.targets.iter().find(|target| *target == scope).or_else(|| watched.targets.first())?;
    let range = format!("{}={before}..{}", moved.package, moved.commit.id);
    let what = if (watched.is_check)(package) { "--check" } else { "--package" };
    let words = ["crossmill", "bisect", &range, "--repository", &moved.repository, "--target", target, what, package];
    Some(words.map(quote).join(" "))
}

/// Returns all lines as JSON, ending in a newline.
#[must_use]
pub fn json(lines: &[Line]) -> String {
    let of_line = |line: &Line| {
        let commits = line.moved.iter().map(|one| {
            json!({
                "package": one.package, "repository": one.repository, "rev": one.rev, "before": one.before,
                "commit": one.commit.id, "date": one.commit.date, "subject": one.commit.subject,
            })
        });
        json!({
            "line": line.line, "run": line.run, "before": line.before, "commits": commits.collect::<Vec<_>>(),
            "changes": line.changes.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
        })
    };
    let whole = json!({ "schema": SCHEMA, "lines": lines.iter().map(of_line).collect::<Vec<_>>() });
    format!("{whole:#}\n")
}
