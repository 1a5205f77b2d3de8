//! `crossmill runs`.

use super::options::PathArgs;
use super::{CliResult, exit, print};
use crate::base::{Diagnostic, files};
use crate::report::runs::{self as report, Run};
use crate::run::log::event_log;
use clap::Args;

/// List the runs on this store, the newest last
///
/// A run is named by when it started. `crossmill timeline RUN` draws one.
#[derive(Debug, Args)]
pub struct Runs {
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Runs {
    /// Lists them.
    pub fn run(self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let dir = store.root().join("runs");
        let mut runs = Vec::new();
        for name in files::names_in(&dir)? {
            let log = dir.join(&name).join("events.jsonl");
            // A run that was killed before its first event has no log.
            if files::lstat(&log)?.is_some() {
                let model = event_log::read_model(&log).map_err(|error| Diagnostic::from_error(&error));
                runs.push(Run { name, model });
            }
        }
        print(&if self.json { report::json(&runs, exit::of) } else { report::text(&runs) })?;
        Ok(exit::DONE)
    }
}
