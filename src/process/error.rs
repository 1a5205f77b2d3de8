//! Errors between crossmill and its child processes.

use super::wire;
use crate::base::{Diagnose, files, units};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An error of the process layer. A command that ran and failed is none: that
/// is an [`Outcome`](super::Outcome).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `argv` is empty.
    #[error("the command of step `{step}` is empty")]
    EmptyCommand {
        /// The step.
        step: String,
    },
    /// A name without a slash that no directory of `PATH` has.
    #[error("program `{program}` not found, wanted in `{dir}`")]
    ProgramNotFound {
        /// As it was asked for.
        program: String,
        /// The directory it was to run in.
        dir: PathBuf,
        /// The `PATH` that was searched; empty for a name with a slash.
        path: String,
    },
    /// The file is there but is no executable file.
    #[error("`{program}` is not an executable file, wanted in `{dir}`")]
    NotExecutable {
        /// The file.
        program: PathBuf,
        /// The directory it was to run in.
        dir: PathBuf,
    },
    /// The directory to run in is not there.
    #[error("no directory `{dir}` to run `{program}` in")]
    NoDirectory {
        /// As it was asked for.
        program: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The kernel did not take arguments and environment for their size.
    #[error("the command line of `{program}` is too long in `{dir}`: {arguments} of arguments, {environment} of environment",
            arguments = units::bytes(*arguments as u64), environment = units::bytes(*environment as u64))]
    TooLong {
        /// The program.
        program: String,
        /// The directory it was to run in.
        dir: PathBuf,
        /// Bytes of arguments.
        arguments: usize,
        /// Bytes of environment.
        environment: usize,
    },
    /// Any other reason not to start.
    #[error("failed to start `{program}` in `{dir}`: {what}")]
    Start {
        /// The program.
        program: String,
        /// The directory it was to run in.
        dir: PathBuf,
        /// The failed operation.
        what: String,
        /// The system's reason, if it gave one.
        source: Option<io::Error>,
    },
    /// The supervisor did not start.
    #[error("failed to start the supervisor `{exe}` for `{program}`")]
    Supervisor {
        /// crossmill's own executable.
        exe: PathBuf,
        /// The program to run.
        program: String,
        /// The reason.
        source: io::Error,
    },
    /// The outcome has been asked for again after an error was reported.
    #[error("the outcome of step `{step}` was already reported")]
    Told {
        /// The step.
        step: String,
    },
    /// The job server's pipe failed.
    #[error("the job server failed to {what}")]
    Jobs {
        /// The operation.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A number of jobs that is none.
    #[error("{count} is not a number of jobs: 1 to {most} are possible")]
    JobCount {
        /// The requested value.
        count: usize,
        /// The most.
        most: usize,
    },
    /// A probe that did not run.
    #[error("failed to run `{command}`")]
    Probe {
        /// The whole command line.
        command: String,
        /// The reason.
        source: io::Error,
    },
    /// A probe that failed.
    #[error("`{command}` failed with {status}")]
    ProbeFailed {
        /// The whole command line.
        command: String,
        /// `exit status: 1`
        status: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// A probe that did not come to an end.
    #[error("`{command}` did not end within {}", units::duration(*.limit))]
    ProbeTimeout {
        /// The whole command line.
        command: String,
        /// The time it had.
        limit: Duration,
    },
    /// Processes of an earlier run that do not end.
    #[error("processes of an earlier run still work in `{work}` and cannot be killed: {}", numbers(.pids))]
    Remains {
        /// The directory.
        work: PathBuf,
        /// The processes.
        pids: Vec<i32>,
    },
    /// The kernel's view of processes or memory could not be read.
    #[error("failed to read the state of the machine")]
    Machine {
        /// The reason, which names the file.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::ProgramNotFound { program, path, .. } if path.is_empty() && !program.contains('/') => {
                "the command's environment has no `PATH`".to_owned()
            }
            Self::ProgramNotFound { path, .. } if !path.is_empty() => {
                format!("install it, or check the `PATH` that was searched: {path}")
            }
            Self::ProgramNotFound { .. } => "a name with a slash counts from that directory".to_owned(),
            Self::EmptyCommand { .. } => "give it at least a program".to_owned(),
            Self::NotExecutable { program, .. } => format!("try `chmod +x {}`", program.display()),
            Self::NoDirectory { .. } => "an earlier step makes it, or it was removed meanwhile".to_owned(),
            Self::TooLong { .. } => {
                "one argument or variable may have 128 KiB; pass long lists in a file (`@file`)".to_owned()
            }
            Self::Start { what, source: Some(error), .. }
                if what == wire::EXECUTING && error.kind() == io::ErrorKind::NotFound =>
            {
                "the file is there: what its first line (`#!…`) or its ELF header names as interpreter is not"
                    .to_owned()
            }
            Self::Start { what, source: Some(error), .. }
                if what == wire::EXECUTING && error.kind() == io::ErrorKind::PermissionDenied =>
            {
                "is its file system mounted `noexec`?".to_owned()
            }
            Self::Remains { .. } => "inspect them with `ps`, and start again when they have ended".to_owned(),
            Self::Supervisor { source, .. } | Self::Start { source: Some(source), .. } | Self::Jobs { source, .. }
                if files::hint(source).is_some() =>
            {
                files::hint(source).unwrap_or_default()
            }
            Self::Supervisor { .. } => {
                "was crossmill's own file replaced or removed during the run? start it again".to_owned()
            }
            Self::ProbeFailed { stderr, .. } if !stderr.is_empty() => format!("its output: {stderr}"),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

fn numbers(pids: &[i32]) -> String {
    pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}
