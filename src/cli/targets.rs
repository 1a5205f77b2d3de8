//! `crossmill targets`.

use super::Outcome;
use super::options::Place;
use super::session::Session;
use crate::report::targets as report;
use clap::Args;

/// List the targets of the matrix, or all that is known of one
#[derive(Debug, Args)]
pub struct Targets {
    /// Everything known of this one
    target: Option<String>,
    /// List the settings that `--set` turns, the profiles and the release sets
    #[arg(long, conflicts_with = "target")]
    settings: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Targets {
    /// Lists.
    pub fn run(self) -> Outcome {
        let session = Session::open(&self.place)?;
        let matrix = &session.config.matrix;
        let text = match (&self.target, self.settings) {
            (Some(name), _) => report::one(matrix.target(name)?, self.json),
            (None, true) => report::settings(matrix, self.json),
            (None, false) => report::list(matrix, self.json),
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
