//! `crossmill check`: the checks of targets.

use super::build::RunArgs;
use super::options::Select;
use super::{CliResult, renamed};
use clap::{Args, Subcommand};
use std::ffi::OsString;

/// Run the checks of targets that are built
///
/// The checks that the matrix names run on cached results; nothing is built. A
/// check whose input does not exist is `blocked`, and the exit code is then 1.
/// Files are checked by `sframe check`, `btf check` and `inline-btf check`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Check {
    #[command(subcommand)]
    renamed: Option<Renamed>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    run: RunArgs,
}

// Spellings before each format had a command of its own. They only name the new one.
#[derive(Debug, Subcommand)]
enum Renamed {
    #[command(hide = true, disable_help_flag = true)]
    Btf(Ignored),
    #[command(hide = true, disable_help_flag = true)]
    Sframe(Ignored),
}

#[derive(Debug, Args)]
struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Check {
    /// Runs the checks.
    pub fn run(self) -> CliResult {
        match self.renamed {
            Some(Renamed::Btf(Ignored { .. })) => Err(renamed("crossmill check btf", "crossmill btf check")),
            Some(Renamed::Sframe(Ignored { args })) if args.iter().any(|arg| arg == "--rows") => {
                Err(renamed("crossmill check sframe --rows", "crossmill sframe rows FUNC FILE"))
            }
            Some(Renamed::Sframe(Ignored { .. })) => Err(renamed("crossmill check sframe", "crossmill sframe check")),
            None => self.run.check(&self.select),
        }
    }
}
