//! What is expected of a check for a target, and failures that are known.

use super::file::SourceFile;
use super::matrix_load::unknown;
use super::raw::{RawKnownFailure, RawTarget};
use super::version_range::VersionRange;
use crate::base::{Diagnostic, PackageName, Version};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// What a check is expected to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// That all is as it should be; so unless something else is said.
    #[default]
    Pass,
    /// That the target has no such thing.
    Unsupported,
}

impl Word {
    /// All words, for messages.
    pub const ALL: [&str; 2] = ["pass", "unsupported"];

    /// From TOML.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pass" => Some(Self::Pass),
            "unsupported" => Some(Self::Unsupported),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Unsupported => "unsupported",
        })
    }
}

/// A failure that is known: it does not fail a run until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFailure {
    /// The cause, with its upstream reference.
    pub why: String,
    /// The day from which it counts as a failure again.
    pub until: Option<Date>,
    /// The versions that have it; with any other it counts as a failure.
    pub versions: BTreeMap<PackageName, VersionRange>,
}

/// What is expected of one check stage, for the versions that are built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// What the check should say.
    pub word: Word,
    /// A failure that is known.
    pub known: Option<Known>,
}

/// A known failure for the versions that are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The cause.
    pub why: String,
    /// The day from which it counts as a failure again.
    pub until: Option<Date>,
    /// The version that is outside of what has it: `gcc 16.3.0`.
    pub outside: Option<String>,
}

impl KnownFailure {
    /// This failure where `versions` are built.
    pub fn with(&self, versions: &BTreeMap<PackageName, Version>) -> Known {
        let outside = self.versions.iter().find_map(|(package, range)| {
            let version = versions.get(package)?;
            (!range.contains(version)).then(|| format!("{package} {version}"))
        });
        Known { why: self.why.clone(), until: self.until, outside }
    }
}

impl Known {
    /// Why it does not hold any more, if so.
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

/// The words that a target gives; wrong ones are added to `problems`.
pub fn words(file: &SourceFile, raw: &RawTarget, problems: &mut Vec<Diagnostic>) -> BTreeMap<PackageName, Word> {
    let mut words = BTreeMap::new();
    for (check, text) in &raw.expect {
        if let Some(word) = Word::parse(text.get_ref()) {
            words.insert(check.get_ref().clone(), word);
        } else {
            let problem = unknown(file, text, "expectation", Word::ALL);
            problems.push(problem.hint("a failure is declared by `[target.NAME.known-failure.CHECK]`"));
        }
    }
    words
}

/// The known failures that a target gives; wrong ones are added to `problems`.
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
                let said = format!("known failure of `{}`: {why}", check.get_ref());
                problems.push(file.error(&word, said).hint(hint));
            }
        }
    }
    known
}

// A failure without an end would hide for ever what it once excused.
fn known_failure(raw: &RawKnownFailure) -> Result<KnownFailure, (String, &'static str)> {
    const ENDS: &str = "give it `until = \"2027-01-01\"`, or `versions = { gcc = \"<17\" }`";
    let until = match &raw.until {
        Some(day) => {
            let parsed = day.get_ref().parse();
            Some(parsed.map_err(|_| (format!("`{}` is no date", day.get_ref()), "dates are written as 2027-01-01"))?)
        }
        None => None,
    };
    if until.is_none() && raw.versions.is_empty() {
        return Err(("it has no end".to_owned(), ENDS));
    }
    let versions = raw.versions.iter().map(|(package, range)| (package.get_ref().clone(), range.clone())).collect();
    Ok(KnownFailure { why: raw.why.clone(), until, versions })
}
