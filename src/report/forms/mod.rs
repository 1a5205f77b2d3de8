//! A finished, failed or killed run in the forms that people, mail programs and CI services read.
//!
//! Everything is drawn from the run's events. Text from outside never reaches a form unescaped: build output may hold
//! control characters, markup, and bytes that are no UTF-8.

mod html;
mod junit;
mod kcidb;
mod ktap;
mod mail;
mod markdown;
mod trace;

use crate::base::Diagnose;
use crate::run::comparison::Comparison;
use crate::run::log::RunModel;
use crate::run::log::event::RunEnd;
use crate::run::log::verdict::{Meaning, meaning};
use clap::ValueEnum;

/// A form of the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A page that needs no other file
    #[default]
    Html,
    /// The timeline as a picture (SVG)
    Svg,
    /// JUnit XML, for the test views of CI services
    Junit,
    /// KTAP version 1: the checks of each target
    Ktap,
    /// Markdown, for the summary of a CI job
    Markdown,
    /// The result as `build --json` prints it
    Json,
    /// KCIDB v5.3: kernels and their checks
    Kcidb,
    /// A plain-text mail with the first error and how to reproduce it
    Mail,
    /// Trace events for Perfetto or chrome://tracing
    Trace,
}

/// A run to report.
pub struct Report<'a> {
    /// The run's name; an event log without a first line has none.
    pub name: &'a str,
    /// Model of the run.
    pub model: &'a RunModel,
    /// Lines of the event log that could not be read.
    pub skipped_lines: usize,
    /// The run that it is compared with, and what differs.
    pub since: Option<(&'a RunModel, &'a Comparison)>,
    /// Whether a package is a kernel: built for each target, and no check.
    pub is_kernel: &'a dyn Fn(&str) -> bool,
    /// The exit code for an end.
    pub exit_code: fn(RunEnd) -> u8,
}

/// Why a form could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// JSON.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// XML.
    #[error("the report cannot be written as JUnit XML")]
    Junit(#[from] quick_junit::SerializeError),
}

impl Diagnose for Error {}

impl Report<'_> {
    /// Returns the report in a form, ending in a newline.
    pub fn render(&self, format: Format) -> Result<String, Error> {
        Ok(match format {
            Format::Html => html::page(self),
            Format::Svg => super::timeline::chart::picture(self.model).into_string(),
            Format::Junit => junit::xml(self)?,
            Format::Ktap => ktap::text(self),
            Format::Markdown => markdown::text(self),
            Format::Json => super::json::text(self.model, self.exit_code)?,
            Format::Kcidb => kcidb::json(self)?,
            Format::Mail => mail::text(self),
            Format::Trace => trace::json(self)?,
        })
    }

    /// Returns whether the run builds a kernel, without which a KCIDB report is empty.
    #[must_use]
    pub fn has_kernel(&self) -> bool {
        self.model.stages.values().any(|stage| kcidb::is_kernel(self, stage))
    }

    // Result of the run as a single word.
    fn end(&self) -> &'static str {
        match &self.model.totals {
            Some(totals) => totals.end.as_str(),
            None => "unfinished",
        }
    }

    // Why the run is no success although none of its stages shows it: nothing was announced, or it ended early.
    // A form that lists stages alone would report nothing wrong.
    fn hidden_problem(&self) -> Option<String> {
        let is_bad = |stage| matches!(meaning(stage), Meaning::Fail | Meaning::Error | Meaning::Missed);
        match &self.model.totals {
            _ if self.model.stages.is_empty() => Some("the event log names no stage".to_owned()),
            None => Some("the run has not ended, or was killed".to_owned()),
            Some(totals) if totals.end != RunEnd::Done && !self.model.stages.values().any(is_bad) => {
                Some(format!("the run ended as: {}", totals.end.as_str()))
            }
            Some(_) => None,
        }
    }

    // Defects of the log itself.
    fn remark(&self) -> Option<String> {
        let lines = if self.skipped_lines == 1 { "1 line".to_owned() } else { format!("{} lines", self.skipped_lines) };
        match (&self.model.totals, self.skipped_lines) {
            (Some(_), 0) => None,
            (None, 0) => Some("the run has not ended, or was killed".to_owned()),
            (Some(_), _) => Some(format!("{lines} of the event log could not be read")),
            (None, _) => {
                Some(format!("the run has not ended, or was killed; {lines} of the event log could not be read"))
            }
        }
    }
}

#[cfg(test)]
mod forms_tests;
