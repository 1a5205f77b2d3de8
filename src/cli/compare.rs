//! `crossmill compare`.

use super::build::{self, Running};
use super::options::{CacheArgs, NetworkArgs, Select};
use super::report::{Criterion, changed_code, nothing_shared, show};
use super::run_log::{self, FoundRun};
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, suggest};
use crate::report::diff;
use crate::run::comparison::{Judging, compare};
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
    select: Select,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    running: Running,
    /// Use ccache for the host's compilers
    #[arg(long, help_heading = "Running")]
    ccache: bool,
    /// Exit with 1 on any of these: regression, failure, warning, time:10%, size:2%
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<Criterion>,
    /// The form of the comparison
    #[arg(long, value_enum, value_name = "FORM", default_value = "text", help_heading = "Output")]
    format: diff::Format,
}

/// What a word of the command line stands for.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    ReleaseSet,
    Versions { with: Vec<String>, source: Vec<String>, set: Vec<String> },
    Run,
}

impl Side {
    fn of(session: &Session, word: &str) -> Result<Self, CliError> {
        if session.config.matrix.release_sets.contains_key(word) {
            return Ok(Self::ReleaseSet);
        }
        if !word.contains('=') {
            return Ok(Self::Run);
        }
        let (mut with, mut source, mut set) = (Vec::new(), Vec::new(), Vec::new());
        for part in word.split(',') {
            match part.split_once('=') {
                Some((package, place)) if !package.is_empty() && !place.is_empty() => {
                    let list = if session.config.matrix.settings.contains_key(package) {
                        &mut set
                    // `git:REVISION` and versions are for `--with`; a revision may have a slash.
                    } else if !place.starts_with("git:") && (place.starts_with("git+") || place.contains('/')) {
                        &mut source
                    } else {
                        &mut with
                    };
                    list.push(part.to_owned());
                }
                _ => {
                    return Err(Diagnostic::new(format!("`{part}` of `{word}` names no version of a package"))
                        .hint("for example gcc=15.3.0,binutils=2.46")
                        .into());
                }
            }
        }
        Ok(Self::Versions { with, source, set })
    }
}

impl Compare {
    /// Builds and compares.
    pub fn run(self) -> CliResult {
        let session = self.select.session_cached(&self.network, &self.cache)?;
        let sides = [Side::of(&session, &self.before)?, Side::of(&session, &self.after)?];
        if self.before == self.after {
            return Err(CliError::usage(format!("`{}` is compared with itself", self.before)));
        }
        // Both, before hours of building for one of them.
        for (side, word) in sides.iter().zip([&self.before, &self.after]) {
            match side {
                Side::Run => drop(self.recorded(&session, word)?),
                _ => drop(self.select(side, word).request(&session, false)?),
            }
        }
        let [before, after] = &sides;
        let before = match self.side(&session, before, &self.before)? {
            Ok(run) => run,
            Err(code) => return Ok(code),
        };
        let after = match self.side(&session, after, &self.after)? {
            Ok(run) => run,
            Err(code) => return Ok(code),
        };
        let store = session.store()?;
        let compared = compare(&before.subject(&store), &after.subject(&store), Judging::Every);
        let mut found = compared.map_err(|error| nothing_shared(&error))?;
        found.sets = Some((self.before, self.after));
        found.code = changed_code(&session.config, &store, &before, &after)?;
        show(&found, &self.fail_on, self.format)
    }

    // The options of the build of one set.
    fn select(&self, side: &Side, word: &str) -> Select {
        let mut select = self.select.clone();
        match side {
            Side::Run => {}
            Side::ReleaseSet => select.release_set = Some(word.to_owned()),
            Side::Versions { with, source, set } => {
                select.set.extend_from_slice(set);
                select.with.extend_from_slice(with);
                select.source.extend_from_slice(source);
            }
        }
        select
    }

    fn recorded(&self, session: &Session, word: &str) -> Result<FoundRun, CliError> {
        run_log::find(&session.store()?, Some(word)).map_err(|error| {
            let sets = suggest::list(session.config.matrix.release_sets.keys().map(String::as_str));
            error.hint(format!("a set is one of {sets}, a run, or versions as gcc=15.3.0"))
        })
    }

    // The run of one set, or the exit code of a run that did not end by itself.
    fn side(&self, session: &Session, side: &Side, word: &str) -> Result<Result<FoundRun, u8>, CliError> {
        if *side == Side::Run {
            return Ok(Ok(self.recorded(session, word)?));
        }
        let request = self.select(side, word).request(session, false)?;
        errln!("building {word}");
        let finished = build::execute(session, &request, Goal::Build, &self.running, self.ccache)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Setup;

    #[test]
    fn a_set_is_a_release_set_versions_or_a_run() {
        let data = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let session = Session::open(Setup { data: Some(data), ..Setup::default() }).unwrap();
        let side = |word| Side::of(&session, word);
        assert_eq!(side("lts").unwrap(), Side::ReleaseSet);
        assert_eq!(side("20261127-101112-1").unwrap(), Side::Run);
        let versions = Side::Versions {
            with: vec!["gcc=15.3.0".into(), "mpfr=git:a/b".into()],
            source: vec!["linux=git+file:///x#v7.2".into(), "binutils=./tree".into()],
            set: vec!["lto=false".into()],
        };
        assert_eq!(
            side("gcc=15.3.0,mpfr=git:a/b,lto=false,linux=git+file:///x#v7.2,binutils=./tree").unwrap(),
            versions
        );
        for wrong in ["gcc=", "=1", "gcc=1,", "gcc=1,binutils"] {
            assert!(side(wrong).is_err(), "{wrong}");
        }
    }
}
