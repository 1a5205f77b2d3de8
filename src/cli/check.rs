//! `crossmill check`: is what is there as it should be?

mod btf;

use super::Outcome;
use clap::{Args, Subcommand};

/// Check results and files.
#[derive(Debug, Args)]
pub struct Check {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Btf(btf::CheckBtf),
}

impl Check {
    pub fn run(self) -> Outcome {
        match self.what {
            What::Btf(command) => command.run(),
        }
    }
}
