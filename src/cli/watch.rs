//! `crossmill watch`.

use super::build::{self, Building};
use super::report::{Criterion, every_change, is_kernel};
use super::run_log;
use super::version_set::VersionSet;
use super::{CliError, CliResult, exit, print};
use crate::base::{Diagnostic, Key, files, secret};
use crate::plan::Request;
use crate::report::{diff, forms, watched};
use crate::run::log::event::RunEnd;
use crate::run::newest::{self, Newest};
use crate::run::{Goal, Session};
use crate::store::Store;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Build the newest commits of development branches, and report what changed since the last time
///
/// A line is a set of versions with a branch in it, as `gcc=git:master` or a snapshot of the configuration. Of each line the newest
/// commits are built; if they are those of the last time, nothing is done. The report is a mail as the kernel's lists expect
/// it: what failed with its first error, what changed, and how to bisect it. Run it from cron or a scheduled job.
#[derive(Debug, Args)]
pub struct Watch {
    /// A line: a release set, or versions, sources and settings with commas between them
    #[arg(long, value_name = "SET", required = true)]
    line: Vec<String>,
    #[command(flatten)]
    building: Building,
    /// Exit with 1 on any of these: regression, failure, warning, time:10%, size:2%
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<Criterion>,
    /// The form of the report
    #[arg(long, value_enum, value_name = "FORM", default_value = "mail", help_heading = "Output")]
    format: Format,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A mail for each line that has something new
    Mail,
    /// One object for all lines (docs/schema/watch.schema.json)
    Json,
}

/// What was built of a line the last time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    schema: u32,
    // For people: the text whose hash is the name of the file.
    question: String,
    run: String,
    // By package.
    commits: BTreeMap<String, String>,
}

/// The number of the file's form.
const SCHEMA: u32 = 1;

impl Last {
    fn read(path: &Path) -> Result<Option<Self>, CliError> {
        let Some(text) = files::read_if_present(path)? else { return Ok(None) };
        match serde_json::from_slice::<Self>(&text) {
            Ok(last) if last.schema == SCHEMA => Ok(Some(last)),
            other => {
                let why = other.map_or_else(|error| error.to_string(), |last| format!("it has schema {}", last.schema));
                let problem = Diagnostic::new(format!("`{}` cannot be used: {why}", path.display()));
                Err(CliError::new(exit::STORE, problem.hint("remove it: the next report has nothing to compare with")))
            }
        }
    }
}

impl Watch {
    /// Builds and reports.
    pub fn run(self) -> CliResult {
        let session = self.building.session()?;
        let mut requests = Vec::new();
        // All of them, before hours of building for one.
        for line in &self.line {
            let Some(set) = VersionSet::read(&session.config, line)? else {
                return Err(Diagnostic::new(format!("the line `{line}` is no set of versions"))
                    .hint("for example `--line gcc=git:master`, or the name of a release set")
                    .into());
            };
            requests.push((line, set.select(&self.building.select).request(&session, false)?));
        }
        let store = session.store()?;
        store.writable()?;
        let mut reports = Vec::new();
        let mut code = exit::DONE;
        for (line, request) in requests {
            match self.line(&session, &store, line, request)? {
                Ended::Report(report, one) => {
                    reports.extend(report);
                    code = code.max(one);
                }
                Ended::Stopped(code) => {
                    errln!("the same command carries on with {line}");
                    return Ok(code);
                }
            }
        }
        if self.format == Format::Json {
            print(&watched::json(&reports))?;
        }
        Ok(code)
    }

    fn line(&self, session: &Session, store: &Store, line: &str, mut request: Request) -> Result<Ended, CliError> {
        let newest = newest::pin(session, store, &mut request)?;
        let commits: BTreeMap<String, String> =
            newest.iter().map(|one| (one.package.to_string(), one.commit.id.clone())).collect();
        let question = question(line, &request);
        let path = store.root().join("watch").join(format!("{}.json", Key::of(question.as_bytes()).short()));
        let last = Last::read(&path)?;
        if let Some(last) = last.as_ref().filter(|last| !commits.is_empty() && last.commits == commits) {
            errln!("{line}: nothing new since run {}", last.run);
            return Ok(Ended::Report(None, exit::DONE));
        }
        errln!("building {line}");
        let finished = build::execute(session, &request, Goal::Build, &self.building.running, self.building.ccache)?;
        // Of a source that could not be fetched nothing is known: the next command tries again.
        if matches!(finished.summary.end, RunEnd::Interrupted | RunEnd::TimeBudget | RunEnd::SourceFailed) {
            return Ok(Ended::Stopped(exit::of(finished.summary.end)));
        }
        if let Err(error) = &finished.log {
            return Err(CliError::new(exit::STORE, Diagnostic::from_error(error)));
        }
        let after = run_log::find(store, Some(&finished.run))?;
        // `store gc` may have removed the log of the last time.
        let before = last.as_ref().and_then(|last| run_log::find(store, Some(&last.run)).ok());
        let changes = before.as_ref().map(|before| every_change(session, store, before, &after)).transpose()?;
        let moved = moved(&newest, last.as_ref());
        let is_met = |what: &&Criterion| match &changes {
            Some(changes) => what.is_met(changes),
            // The first time there is nothing to compare with, but a failure is one.
            None => **what == Criterion::Failure && finished.summary.end == RunEnd::Failed,
        };
        let met: Vec<String> = self.fail_on.iter().filter(is_met).map(|what| what.name()).collect();
        if self.format == Format::Mail {
            let report = forms::Report {
                name: &after.name,
                model: &after.log.model,
                skipped_lines: after.log.skipped,
                since: before.as_ref().map(|before| &before.log.model).zip(changes.as_ref()),
                is_kernel: &|package| is_kernel(&session.config, package),
                exit_code: exit::of,
            };
            let mail = report.render(forms::Format::Mail);
            let mail = mail.map_err(|error| CliError::new(exit::FAILED, Diagnostic::from_error(&error)))?;
            let targets: Vec<String> = request.targets.iter().map(ToString::to_string).collect();
            let is_check =
                |name: &str| session.config.recipes.values().any(|recipe| recipe.check && recipe.name.as_str() == name);
            let watched = watched::Watched { line, targets: &targets, is_check: &is_check };
            print(&secret::redact(&watched::mail(&mail, &watched, &moved, changes.as_ref())))?;
        }
        let last = Last { schema: SCHEMA, question, run: after.name.clone(), commits };
        let text = serde_json::to_vec_pretty(&last).map_err(std::io::Error::from)?;
        fs_err::create_dir_all(store.root().join("watch"))?;
        files::write_atomic(&path, &text)?;
        let code = if met.is_empty() { exit::DONE } else { exit::FAILED };
        let changes = changes.as_ref().map(|changes| diff::json(changes, &met));
        let before = before.map(|before| before.name);
        let report = watched::Line { line: line.to_owned(), run: after.name, before, moved, changes };
        Ok(Ended::Report(Some(report), code))
    }
}

// How a line ended.
enum Ended {
    // Its report, if there was something new, and its exit code.
    Report(Option<watched::Line>, u8),
    // It was interrupted, with this exit code.
    Stopped(u8),
}

// The commits of now, each with that of the last time.
fn moved(newest: &[Newest], last: Option<&Last>) -> Vec<watched::Moved> {
    let of = |one: &Newest| watched::Moved {
        package: one.package.to_string(),
        repository: one.repository.clone(),
        rev: one.rev.clone(),
        before: last.and_then(|last| last.commits.get(one.package.as_str()).cloned()),
        commit: one.commit.clone(),
    };
    newest.iter().map(of).collect()
}

// What is watched, as text: another target or setting has another last time.
fn question(line: &str, request: &Request) -> String {
    let words = |names: Vec<String>| names.join(" ");
    let targets = words(request.targets.iter().map(ToString::to_string).collect());
    let packages = words(request.packages.iter().map(ToString::to_string).collect());
    let settings = words(request.settings.iter().map(|(name, value)| format!("{name}={value}")).collect());
    format!("watch {line}\ntargets {targets}\npackages {packages}\nprofile {}\nsettings {settings}\n", request.profile)
}
