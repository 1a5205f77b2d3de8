//! `crossmill __job`, which `crossmill submit` makes an engine start on a node.

use super::build::exit_code;
use super::options::CacheArgs;
use super::{CliError, CliResult, credentials, exit};
use crate::base::Diagnostic;
use crate::plan::Request;
use crate::report::{self, Verbosity};
use crate::run::engine::slurm;
use crate::run::engine::submission::{JobFile, Part, Refusal};
use crate::run::execute::Answer;
use crate::run::session::CacheChoice;
use crate::run::{self, Goal, IsolationMode, RunOptions, Session, Setup};
use clap::{Args, ValueEnum as _};
use std::path::PathBuf;
use std::time::Duration;

/// Run the stages of a job that `crossmill submit` has submitted
#[derive(Debug, Args)]
pub struct Job {
    /// The job's directory
    dir: PathBuf,
    #[command(flatten)]
    cache: CacheArgs,
}

impl Job {
    /// Runs them. An error is left for the submitter as well.
    pub fn run(self) -> CliResult {
        let (part, file) = Part::read(&self.dir, slurm::restarts()).map_err(run::Error::from)?;
        let dir = part.dir.clone();
        self.build(part, &file).inspect_err(|error| {
            let problem = error.diagnostics.first().cloned().unwrap_or_else(|| Diagnostic::new("it failed"));
            let node = nix::sys::utsname::uname().map(|name| name.nodename().to_string_lossy().into_owned());
            let elsewhere = matches!(error.exit, exit::HOST | exit::STORE);
            let refusal = Refusal::new(node.unwrap_or_default(), elsewhere, &problem);
            if let Err(error) = refusal.write(&dir) {
                errln!("warning: the submitter does not learn of this: {error}");
            }
        })
    }

    fn build(&self, part: Part, file: &JobFile) -> CliResult {
        let arguments = part.arguments().clone();
        std::env::set_current_dir(&arguments.cwd)
            .map_err(|error| CliError::usage(format!("cannot change to {}: {error}", arguments.cwd.display())))?;
        let cache = CacheChoice { none: arguments.no_cache, ..self.cache.choice() };
        let session = Session::open(Setup { cache: Some(cache), ..arguments.setup() })?;
        credentials::of_config(&session.config);
        let request = Request::new(&session.config, &arguments.request())?;
        let isolation = IsolationMode::from_str(&arguments.isolation, false).map_err(CliError::usage)?;
        let options = RunOptions {
            jobs: Some(file.cores),
            memory: file.memory,
            stage_timeout: arguments.stage_timeout.map(Duration::from_secs),
            time_budget: None,
            disk_budget: None,
            fail_fast: false,
            keep_work: arguments.keep_work,
            isolation,
            ignore_space: arguments.ignore_space,
            ccache: arguments.ccache,
            engine: None,
            part: Some(part),
            command: std::env::args().collect(),
        };
        let sink = report::for_stderr(Verbosity::Normal);
        let finished = run::execute(&session, &request, Goal::Build, options, sink, &mut |_| Answer::Skip)?;
        errln!("\n{}", report::table::text(&finished.model, report::Style::of(&std::io::stderr())));
        Ok(exit_code(&finished))
    }
}
