//! `crossmill compare`.

use super::build::{self, Building};
use super::report::{Criterion, every_change, show};
use super::run_log::{self, FoundRun};
use super::version_set::VersionSet;
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, suggest};
use crate::report::diff;
use crate::run::log::event::RunEnd;
use crate::run::{Goal, Session};
use clap::Args;

/// Build two sets of versions for the same targets and compare them
///
/// A and B are release sets, runs, or versions and sources of packages: `gcc=15.3.0`, `gcc=16.2.0,binutils=2.47`,
/// `gcc=git:REVISION`, `linux=git+URL#REVISION`; settings as `host_cflags=-O1` are allowed too. What a set does not name is as for `build`; what both share is built once. The comparison has
/// the outcomes, the times, the sizes and the figures of checks of everything that differs, and the code of kernels by
/// section and by function. An interrupted command is continued by the same command.
#[derive(Debug, Args)]
pub struct Compare {
    /// The first set: SET, RUN, or PACKAGE=VERSION and PACKAGE=PLACE with commas between them
    #[arg(value_name = "A")]
    before: String,
    /// The second set
    #[arg(value_name = "B")]
    after: String,
    #[command(flatten)]
    building: Building,
    /// Exit with 1 on any of these: regression, failure, warning, time:10%, size:2%
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<Criterion>,
    /// The form of the comparison
    #[arg(long, value_enum, value_name = "FORM", default_value = "text", help_heading = "Output")]
    format: diff::Format,
}

impl Compare {
    /// Builds and compares.
    pub fn run(self) -> CliResult {
        let session = self.building.session()?;
        let read = |word| VersionSet::read(&session.config, word);
        let sides = [read(&self.before)?, read(&self.after)?];
        if self.before == self.after {
            return Err(CliError::usage(format!("`{}` is compared with itself", self.before)));
        }
        // Both, before hours of building for one of them.
        for (side, word) in sides.iter().zip([&self.before, &self.after]) {
            match side {
                None => drop(self.recorded(&session, word)?),
                Some(set) => drop(set.select(&self.building.select).request(&session, false)?),
            }
        }
        let [before, after] = &sides;
        let before = match self.side(&session, before.as_ref(), &self.before)? {
            Ok(run) => run,
            Err(code) => return Ok(code),
        };
        let after = match self.side(&session, after.as_ref(), &self.after)? {
            Ok(run) => run,
            Err(code) => return Ok(code),
        };
        let store = session.store()?;
        let mut found = every_change(&session, &store, &before, &after)?;
        found.sets = Some((self.before, self.after));
        show(&found, &self.fail_on, self.format)
    }

    fn recorded(&self, session: &Session, word: &str) -> Result<FoundRun, CliError> {
        run_log::find(&session.store()?, Some(word)).map_err(|error| {
            let sets = suggest::list(session.config.matrix.release_sets.keys().map(String::as_str));
            error.hint(format!("a set is one of {sets}, a run, or versions as gcc=15.3.0"))
        })
    }

    // The run of one set, or that of a run's name, or the exit code of a run that did not end by itself.
    fn side(&self, session: &Session, set: Option<&VersionSet>, word: &str) -> Result<Result<FoundRun, u8>, CliError> {
        let Some(set) = set else { return Ok(Ok(self.recorded(session, word)?)) };
        let request = set.select(&self.building.select).request(session, false)?;
        errln!("building {word}");
        let finished = build::execute(session, &request, Goal::Build, &self.building.running, self.building.ccache)?;
        if matches!(finished.summary.end, RunEnd::Interrupted | RunEnd::TimeBudget) {
            errln!("the same command carries on with {word}");
            return Ok(Err(exit::of(finished.summary.end)));
        }
        // Its event log is what the other commands read of it.
        if let Err(error) = &finished.log {
            return Err(CliError::new(exit::STORE, Diagnostic::from_error(error)));
        }
        Ok(Ok(run_log::find(&finished.store, Some(&finished.run))?))
    }
}
