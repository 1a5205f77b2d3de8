//! `crossmill check`: is what is there as it should be?

mod btf;
mod sframe;

use super::Outcome;
use super::build::{RunOptions, What, start};
use super::options::Select;
use clap::{Args, Subcommand};

/// Prove what was built: run the checks of targets, or look at a file
///
/// With targets, the checks that the matrix names run on what is built
/// already; nothing is built. A check that finds nothing to look at is
/// `blocked`, and the exit code is then 1.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Check {
    #[command(subcommand)]
    what: Option<Files>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    run: RunOptions,
}

// Checks of files, whoever made them.
#[derive(Debug, Subcommand)]
enum Files {
    Btf(btf::CheckBtf),
    Sframe(sframe::Sframe),
}

impl Check {
    /// Checks.
    pub fn run(self) -> Outcome {
        match self.what {
            Some(Files::Btf(command)) => command.run(),
            Some(Files::Sframe(command)) => command.run(),
            None => start(&self.select, &self.run, What::Check),
        }
    }
}
