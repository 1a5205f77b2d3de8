//! Renders the matrix as text, Markdown and JSON.

mod json;
mod list;
mod one;
mod quirk;
mod settings;

use crate::config::matrix::{Matrix, Target};
use crate::record::{Record, standing};

pub use settings::settings;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text output.
    Text,
    /// Markdown.
    Markdown,
    /// JSON.
    Json,
}

/// Returns the whole matrix, one line per target, with its last recorded results.
pub fn list(matrix: &Matrix, record: &Record, form: Form) -> String {
    match form {
        Form::Text => list::text(matrix, record),
        Form::Markdown => list::markdown(matrix, record),
        Form::Json => json::list(matrix, record),
    }
}

/// Renders everything known about one target.
pub fn one(target: &Target, matrix: &Matrix, record: &Record, form: Form) -> String {
    match form {
        Form::Text => one::text(target, matrix, record),
        Form::Markdown => one::markdown(target, matrix, record),
        Form::Json => json::one(target, record),
    }
}

// `built, boot pass, 2026-11-25`, or nothing.
fn last_results(record: &Record, target: &Target) -> String {
    let standing = record.newest(target.name.as_str()).first().map(|results| standing(results));
    standing.map_or_else(String::new, |standing| format!("{} {}", standing.day, standing.state))
}

// Expected results of checks that are not expected to pass.
fn expectations(target: &Target) -> String {
    let words = target.expect.iter().filter(|(_, word)| **word != crate::config::expect::Expected::Pass);
    let words = words.map(|(check, word)| format!("{check} {word}"));
    let known = target.known_failures.keys().map(|check| format!("{check} known to fail"));
    words.chain(known).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
