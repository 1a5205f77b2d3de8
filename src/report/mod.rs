//! Renders runs: on a terminal, as plain log, table, JSON or timeline. Everything is derived from
//! events, so a finished run can be rendered again from its event log. Data goes to stdout,
//! everything else to stderr.

pub mod bisection;
pub mod ci_graph;
pub mod ci_jobs;
pub mod ci_log;
pub mod debuginfo;
pub mod decision;
pub mod diff;
pub mod doctor;
pub mod estimate;
pub mod failure;
pub mod forms;
pub mod host_comparison;
pub mod json;
pub mod meter;
#[cfg(test)]
mod model_tests;
pub mod plain;
pub mod plan;
pub mod release;
pub mod runs;
pub mod simulation;
pub mod style;
pub mod table;
pub mod targets;
pub mod terminal;
pub mod ticker;
pub mod timeline;
pub mod watched;

use std::io::IsTerminal as _;

pub use crate::run::log::{RunModel, Sink};
pub use style::Style;

/// The verbosity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and warnings only.
    Quiet,
    /// Progress for a person to follow.
    #[default]
    Normal,
    /// Every step, with its log.
    Verbose,
}

/// Returns the sink that suits stderr: moving lines on a terminal, plain lines elsewhere.
pub fn for_stderr(verbosity: Verbosity) -> Box<dyn Sink + Send> {
    // A dumb terminal cannot move its cursor.
    let moves = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if moves && verbosity > Verbosity::Quiet {
        Box::new(terminal::Terminal::new(verbosity))
    } else {
        let plain = Box::new(plain::Plain::new(Box::new(std::io::stderr()), verbosity));
        match ci_log::Service::detect(|name| std::env::var(name).ok()) {
            Some(service) => Box::new(ci_log::Annotated::new(plain, service, Box::new(std::io::stderr()))),
            None => plain,
        }
    }
}
