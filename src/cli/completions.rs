//! `crossmill completions`.

use super::{Cli, CliResult, exit, stream};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: `crossmill completions bash > /etc/bash_completion.d/crossmill`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the output.
    pub fn run(self) -> CliResult {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "crossmill", &mut script);
        stream(|out| out.write_all(&script))?;
        Ok(exit::DONE)
    }
}
