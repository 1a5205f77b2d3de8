//! `crossmill check`: is what is there as it should be?

use super::Outcome;
use super::check_sframe::Sframe;
use clap::{Args, Subcommand};

/// Check results and files.
#[derive(Debug, Args)]
pub struct Check {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Sframe(Sframe),
}

impl Check {
    pub fn run(self) -> Outcome {
        match self.what {
            What::Sframe(command) => command.run(),
        }
    }
}
