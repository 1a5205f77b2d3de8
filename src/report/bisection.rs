//! The result of a bisection, as text, as JSON (`docs/schema/bisect.schema.json`), and as a script.

use super::diff;
use super::style::{Style, Tone, harmless};
use crate::run::bisection::{Report, Subject};
use crate::source::history::{Commit, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The number of the JSON form.
const SCHEMA: u32 = 1;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs (docs/schema/bisect.schema.json)
    Json,
}

/// What was asked, and how to ask again.
#[derive(Debug)]
pub struct Question<'a> {
    /// The package.
    pub package: &'a str,
    /// Its repository.
    pub repository: &'a str,
    /// The targets.
    pub targets: Vec<String>,
    /// What shows the failure.
    pub subject: &'a Subject,
    /// Lines of a shell: at the good commit, and at the first bad one.
    pub commands: &'a [Vec<String>],
    /// The script with them.
    pub script: &'a Path,
}

/// Returns the verdict as a word in a sentence.
#[must_use]
pub fn word(verdict: Verdict) -> &'static str {
    if verdict == Verdict::Skip { "skipped" } else { verdict.as_str() }
}

/// Returns the result for people.
#[must_use]
pub fn text(found: &Report, question: &Question<'_>, style: Style) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match found.first_bad() {
        Some(commit) => writeln!(text, "{}", style.paint(Tone::Bad, &format!("first bad commit: {}", commit.id))),
        None => {
            let count = found.candidates.len();
            let line = format!("skipped commits hide the first bad commit: it is one of these {count}, oldest first");
            writeln!(text, "{}", style.paint(Tone::Warn, &line))
        }
    };
    match found.first_bad() {
        Some(commit) => text.push_str(&log(commit, &found.files)),
        None => {
            for commit in &found.candidates {
                let step = found.steps.iter().find(|step| step.commit == commit.id);
                let verdict = step.map(|step| word(step.verdict)).unwrap_or_default();
                let why = step.and_then(|step| step.why.as_deref()).map(|why| format!(": {why}")).unwrap_or_default();
                let _ =
                    writeln!(text, "  {} {} ({verdict}{})", commit.short(), harmless(&commit.subject), harmless(&why));
            }
        }
    }
    for signature in &found.signatures {
        let _ = writeln!(text, "failure: {}", harmless(&signature.to_string()));
    }
    let _ = writeln!(text, "good before it: {} {}", found.before.short(), harmless(&found.before.subject));
    if let Some(comparison) = &found.comparison {
        for line in diff::lines(comparison) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !found.evidence.is_empty() {
        let _ = writeln!(text, "difference of the evidence:");
        found.evidence.lines().for_each(|line| {
            let _ = writeln!(text, "  {}", harmless(line));
        });
    }
    let count = |verdict| found.steps.iter().filter(|step| step.verdict == verdict).count();
    let (good, bad, skipped) = (count(Verdict::Good), count(Verdict::Bad), count(Verdict::Skip));
    let _ = writeln!(text, "tested: {} commits ({good} good, {bad} bad, {skipped} skipped)", found.steps.len());
    let _ = writeln!(text, "reproduce: sh {}", question.script.display());
    text
}

// As `git log` does.
fn log(commit: &Commit, files: &str) -> String {
    let mut text = format!(
        "Author: {}\nDate:   {}\n\n    {}\n",
        harmless(&commit.author),
        harmless(&commit.date),
        harmless(&commit.subject)
    );
    if !commit.body.is_empty() {
        text.push('\n');
    }
    for line in commit.body.lines() {
        text.push_str(format!("    {}", harmless(line)).trim_end());
        text.push('\n');
    }
    text.push('\n');
    for line in files.lines().filter(|line| !line.is_empty()) {
        text.push_str(&harmless(line));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Returns the script that reproduces the failure.
#[must_use]
pub fn reproduce(found: &Report, question: &Question<'_>) -> String {
    let mut text = "#!/bin/sh\n".to_owned();
    let bad = found.candidates.last().unwrap_or(&found.bad);
    for signature in &found.signatures {
        let _ = writeln!(text, "# {}", harmless(&signature.to_string()));
    }
    for ((commit, verdict), lines) in [(&found.before, "good"), (bad, "bad")].into_iter().zip(question.commands) {
        let _ = writeln!(text, "\n# {verdict}: {} {}", commit.short(), harmless(&commit.subject));
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// Returns the result as JSON, ending in a newline.
#[must_use]
pub fn json(found: &Report, question: &Question<'_>) -> String {
    let (kind, name) = match question.subject {
        Subject::Build => ("build", None),
        Subject::Check(check) => ("check", Some(check.to_string())),
        Subject::Script(path) => ("script", Some(path.display().to_string())),
    };
    let signatures = found.signatures.iter().map(
        |signature| json!({ "stage": signature.stage, "class": signature.class.as_str(), "text": signature.text }),
    );
    let steps = found.steps.iter().map(|step| {
        json!({
            "commit": step.commit, "subject": step.subject, "verdict": step.verdict.as_str(), "why": step.why,
            "run": step.run,
        })
    });
    let whole = json!({
        "schema": SCHEMA,
        "id": found.id,
        "package": question.package,
        "repository": question.repository,
        "targets": question.targets,
        "tested": { "kind": kind, "name": name },
        "good": commit(&found.good),
        "bad": commit(&found.bad),
        "failures": signatures.collect::<Vec<_>>(),
        "first_bad": found.first_bad().map(commit),
        "candidates": found.candidates.iter().map(commit).collect::<Vec<_>>(),
        "good_before": commit(&found.before),
        "steps": steps.collect::<Vec<_>>(),
        "changes": found.comparison.as_ref().map(diff::lines).unwrap_or_default(),
        "evidence_diff": found.evidence,
        "reproduce": { "script": question.script, "good": question.commands.first(), "bad": question.commands.last() },
    });
    format!("{whole:#}\n")
}

fn commit(commit: &Commit) -> Value {
    json!({
        "commit": commit.id, "parents": commit.parents, "author": commit.author, "date": commit.date,
        "subject": commit.subject, "body": commit.body,
    })
}
