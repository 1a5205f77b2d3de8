//! Files through which a job of a CI service hands on what it knows: GitHub names them in variables.

use super::{CliError, exit};
use crate::base::Diagnostic;
use crate::report::ci_log::Service;
use std::io::Write as _;
use std::path::PathBuf;

/// GitHub shows no summary of a step above this size
/// (<https://docs.github.com/actions/reference/workflow-commands>, "Step isolation and limits").
const MOST_SUMMARY: u64 = 1 << 20;

/// A file that GitHub Actions names in a variable.
#[derive(Debug, Clone, Copy)]
pub(super) enum JobFile {
    /// Markdown that the page of the run shows.
    Summary,
    /// Outputs of the step, as `NAME=VALUE`.
    Output,
}

impl JobFile {
    fn variable(self) -> &'static str {
        match self {
            Self::Summary => "GITHUB_STEP_SUMMARY",
            Self::Output => "GITHUB_OUTPUT",
        }
    }

    // What to do in a job of a service without such a file.
    fn elsewhere(self, service: Service) -> &'static str {
        match (self, service) {
            (Self::Summary, Service::Buildkite) => {
                "`crossmill report --format markdown | buildkite-agent annotate --context crossmill` shows it there"
            }
            (Self::Summary, _) => "write it to a file (`--format html -o report.html`) and keep that as an artifact",
            (Self::Output, _) => "leave `--output` out: the jobs are printed to stdout",
        }
    }

    /// Appends text to it.
    pub(super) fn append(self, text: &str) -> Result<(), CliError> {
        let path = self.path()?;
        let failed = |error: std::io::Error| {
            let problem = Diagnostic::new(format!("cannot write the file that {} names: {error}", self.variable()));
            CliError::new(exit::FAILED, Diagnostic { hints: crate::base::access::hints(&error), ..problem })
        };
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if matches!(self, Self::Summary) && size > MOST_SUMMARY {
            errln!("warning: the summary of this step has {size} bytes; GitHub shows none of more than {MOST_SUMMARY}");
        }
        Ok(())
    }

    // An empty name is as useless as none: `>> ""` fails in every shell.
    fn path(self) -> Result<PathBuf, CliError> {
        let variable = self.variable();
        let problem = match std::env::var_os(variable) {
            Some(path) if !path.is_empty() => return Ok(path.into()),
            Some(_) => Diagnostic::new(format!("{variable} is empty")),
            None => Diagnostic::new(format!("{variable} is not set")),
        };
        let hint = match Service::detect(|name| std::env::var(name).ok()) {
            Some(Service::Github) => {
                format!(
                    "a step of GitHub Actions has {variable}; `sudo`, `env -i` and a container must pass it on, with the file"
                )
            }
            Some(other) => format!("this is a job of {other}: {}", self.elsewhere(other)),
            None => format!(
                "only a job of GitHub Actions has it (GITHUB_ACTIONS is not `true`): {}",
                self.elsewhere(Service::Github)
            ),
        };
        Err(CliError::new(exit::USAGE, problem.hint(hint)))
    }
}
