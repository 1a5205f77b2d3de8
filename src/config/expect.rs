//! Expected results of checks, and known failures.

use super::file::{SourceFile, unknown};
use super::raw::{RawKnownFailure, RawTarget};
use super::version_range::VersionRange;
use crate::base::{Diagnostic, PackageName, Version};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// The expected result of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It passes; the default.
    #[default]
    Pass,
    /// The target does not support what is checked.
    Unsupported,
}

impl Expected {
    /// All values, for messages.
    pub const ALL: [&str; 2] = ["pass", "unsupported"];

    /// Parses a TOML value.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pass" => Some(Self::Pass),
            "unsupported" => Some(Self::Unsupported),
            _ => None,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Unsupported => "unsupported",
        })
    }
}

/// A known failure, which does not fail a run until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFailure {
    /// The cause, with its upstream reference.
    pub why: String,
    /// The day on which it expires.
    pub until: Option<Date>,
    /// The affected versions; any other version fails the run.
    pub versions: BTreeMap<PackageName, VersionRange>,
}

/// The expectation of one check stage, for the versions being built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The expected result.
    pub word: Expected,
    /// A known failure.
    pub known: Option<ActiveKnownFailure>,
}

/// A known failure, for the versions being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveKnownFailure {
    /// The cause.
    pub why: String,
    /// The day on which it expires.
    pub until: Option<Date>,
    /// A version outside the affected range: `gcc 16.3.0`.
    pub outside: Option<String>,
}

impl KnownFailure {
    /// Returns this failure for the versions being built.
    pub fn with(&self, versions: &BTreeMap<PackageName, Version>) -> ActiveKnownFailure {
        let outside = self.versions.iter().find_map(|(package, range)| {
            let version = versions.get(package)?;
            (!range.contains(version)).then(|| format!("{package} {version}"))
        });
        ActiveKnownFailure { why: self.why.clone(), until: self.until, outside }
    }
}

impl ActiveKnownFailure {
    /// Returns why it has expired, if it has.
    pub fn expired(&self, today: Date) -> Option<String> {
        if let Some(outside) = &self.outside {
            return Some(format!("it was known for other versions than {outside}"));
        }
        self.until.filter(|until| today >= *until).map(|until| format!("it was known until {until}"))
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.known {
            None => self.word.fmt(f),
            Some(known) => write!(f, "known failure: {}", known.why),
        }
    }
}

/// Parses the expected results of a target; problems are appended to `problems`.
pub fn words(file: &SourceFile, raw: &RawTarget, problems: &mut Vec<Diagnostic>) -> BTreeMap<PackageName, Expected> {
    let mut words = BTreeMap::new();
    for (check, text) in &raw.expect {
        if let Some(word) = Expected::parse(text.get_ref()) {
            words.insert(check.get_ref().clone(), word);
        } else {
            let problem = unknown(file, text, "expectation", Expected::ALL);
            problems.push(problem.hint("a failure is declared by `[target.NAME.known-failure.CHECK]`"));
        }
    }
    words
}

/// Parses the known failures of a target; problems are appended to `problems`.
pub fn known_failures(
    file: &SourceFile,
    raw: &RawTarget,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<PackageName, KnownFailure> {
    let mut known = BTreeMap::new();
    for (check, failure) in &raw.known_failure {
        match known_failure(failure) {
            Ok(failure) => {
                known.insert(check.get_ref().clone(), failure);
            }
            Err((why, hint)) => {
                let word = Spanned::new(check.span(), check.get_ref().to_string());
                let message = format!("known failure of `{}`: {why}", check.get_ref());
                problems.push(file.error(&word, message).hint(hint));
            }
        }
    }
    known
}

// A known failure that never expires would hide new failures for ever.
fn known_failure(raw: &RawKnownFailure) -> Result<KnownFailure, (String, &'static str)> {
    const ENDS: &str = "give it `until = \"2027-01-01\"`, or `versions = { gcc = \"<17\" }`";
    let until = match &raw.until {
        Some(day) => {
            let parsed = day.get_ref().parse();
            Some(
                parsed
                    .map_err(|_| (format!("`{}` is not a date", day.get_ref()), "dates are written as 2027-01-01"))?,
            )
        }
        None => None,
    };
    if until.is_none() && raw.versions.is_empty() {
        return Err(("it has no end".to_owned(), ENDS));
    }
    let versions = raw.versions.iter().map(|(package, range)| (package.get_ref().clone(), range.clone())).collect();
    Ok(KnownFailure { why: raw.why.clone(), until, versions })
}
