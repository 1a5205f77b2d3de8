//! `crossmill report` and `crossmill diff`.

use super::options::PathArgs;
use super::run_log::{self, FoundRun};
use super::service::JobFile;
use super::{CliError, CliResult, exit, print};
use crate::base::{Diagnostic, files, secret, suggest};
use crate::config::Config;
use crate::config::recipe::Per;
use crate::report::{self, diff, forms};
use crate::run::Session;
use crate::run::comparison::code::{self, CodeChange, CodeSize};
use crate::run::comparison::{ChangeKind, Comparison, Judging, NothingShared, Subject, compare};
use crate::run::log::event::Kind;
use crate::store::Store;
use clap::Args;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Report a run: as a page, a picture, JUnit, KTAP, Markdown, JSON, KCIDB, a mail or a trace
///
/// A run that failed, was interrupted or was killed gets a report as well, and so does an event log that is damaged.
#[derive(Debug, Args)]
pub struct ReportCommand {
    /// The run, or the path of an event log; the newest run if none is named
    run: Option<String>,
    /// The form
    #[arg(long, value_enum, value_name = "FORM", default_value = "html")]
    format: forms::Format,
    /// Show what changed since this run as well
    #[arg(long, value_name = "RUN")]
    since: Option<String>,
    /// Write it to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Append the Markdown form to the summary of this job of GitHub Actions ($GITHUB_STEP_SUMMARY)
    #[arg(long, conflicts_with_all = ["format", "output"])]
    ci_summary: bool,
    #[command(flatten)]
    paths: PathArgs,
}

/// Compare two runs: what fails now, what works again, new warnings, times and sizes
///
/// Times and sizes are compared with how much they varied in the earlier runs of the store.
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier run, or the path of its event log
    #[arg(value_name = "RUN_A")]
    before: String,
    /// The later run, or the path of its event log
    #[arg(value_name = "RUN_B")]
    after: String,
    /// Exit with 1 on any of these: regression, failure, warning, time, size, size:2%, time:10%
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<Criterion>,
    /// Compare the code of kernels by section and by function too
    #[arg(long)]
    code: bool,
    /// Print JSON (docs/schema/diff.schema.json)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paths: PathArgs,
}

/// A difference that is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Criterion {
    Regression,
    Failure,
    Warning,
    /// Slower beyond the usual spread, or by more than a fraction of the time.
    Time(Option<f64>),
    /// Larger beyond the usual spread, or by more than a fraction of the size.
    Size(Option<f64>),
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, limit) = text.split_once(':').map_or((text, None), |(name, limit)| (name, Some(limit)));
        let limit = limit.map(percent).transpose()?;
        match (name, limit) {
            ("regression", None) => Ok(Self::Regression),
            ("failure", None) => Ok(Self::Failure),
            ("warning", None) => Ok(Self::Warning),
            ("time", limit) => Ok(Self::Time(limit)),
            ("size", limit) => Ok(Self::Size(limit)),
            ("regression" | "failure" | "warning", Some(_)) => Err(format!("`{name}` takes no limit")),
            _ => Err("known are regression, failure, warning, time, size, time:10% and size:2%".to_owned()),
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let valid = number.filter(|number| number.is_finite() && *number >= 0.0);
    valid.map(|number| number / 100.0).ok_or_else(|| format!("`{text}` is not a percentage: write it as `2%`"))
}

impl Criterion {
    pub(super) fn name(self) -> String {
        let limited = |name: &str, limit: Option<f64>| match limit {
            Some(limit) => format!("{name}:{}%", (limit * 1e6).round() / 1e4),
            None => name.to_owned(),
        };
        match self {
            Self::Regression => "regression".to_owned(),
            Self::Failure => "failure".to_owned(),
            Self::Warning => "warning".to_owned(),
            Self::Time(limit) => limited("time", limit),
            Self::Size(limit) => limited("size", limit),
        }
    }

    pub(super) fn is_met(self, found: &Comparison) -> bool {
        let has = |kind| found.states.iter().any(|change| change.kind == kind);
        match self {
            // Stages that the later run did not reach may fail as well.
            Self::Regression => has(ChangeKind::Regression) || has(ChangeKind::NotReached),
            Self::Failure => {
                [ChangeKind::Regression, ChangeKind::NewFailure, ChangeKind::NotReached].into_iter().any(has)
            }
            Self::Warning => !found.warnings.is_empty(),
            Self::Time(limit) => found.times.iter().any(|time| time.change() > limit.unwrap_or(0.0)),
            Self::Size(limit) => found.sizes.iter().any(|size| size.change() > limit.unwrap_or(0.0)),
        }
    }
}

impl ReportCommand {
    /// Prints or writes it.
    pub fn run(self) -> CliResult {
        let session = self.paths.session()?;
        let store = session.store()?;
        let found = run_log::find(&store, self.run.as_deref())?;
        let before = self.since.as_deref().map(|since| run_log::find(&store, Some(since))).transpose()?;
        let changes = before.as_ref().map(|before| compared(&store, before, &found)).transpose()?;
        let report = forms::Report {
            name: &found.name,
            model: &found.log.model,
            skipped_lines: found.log.skipped,
            since: before.as_ref().map(|before| &before.log.model).zip(changes.as_ref()),
            is_kernel: &|package| is_kernel(&session.config, package),
            exit_code: exit::of,
        };
        let format = if self.ci_summary { forms::Format::Markdown } else { self.format };
        if format == forms::Format::Kcidb && !report.has_kernel() {
            errln!("warning: run {} builds no kernel: its KCIDB report has no build and no test", found.name);
        }
        let text =
            report.render(format).map_err(|error| CliError::new(exit::FAILED, Diagnostic::from_error(&error)))?;
        let text = secret::redact(&text);
        match self.output {
            _ if self.ci_summary => JobFile::Summary.append(&text)?,
            Some(path) => fs_err::write(path, text.as_bytes())?,
            None => print(&text)?,
        }
        Ok(exit::DONE)
    }
}

// A package that each target has of its own and that is built from no other such package.
pub(super) fn is_kernel(config: &Config, package: &str) -> bool {
    let recipe = |name: &str| config.recipes.iter().find(|(known, _)| known.as_str() == name).map(|(_, recipe)| recipe);
    let of_target = |name: &str| recipe(name).filter(|recipe| recipe.per == Per::Target && !recipe.check);
    of_target(package).is_some_and(|found| !found.needs.iter().any(|need| of_target(need.package.as_str()).is_some()))
}

fn compared(store: &Store, before: &FoundRun, after: &FoundRun) -> Result<Comparison, CliError> {
    let history = run_log::history(store, &[after.name.as_str()])?;
    let (before, after): (Subject, Subject) = (before.subject(store), after.subject(store));
    compare(&before, &after, Judging::Unusual(&history)).map_err(|error| nothing_shared(&error).into())
}

/// Returns everything that differs between the runs of two sets of versions.
pub(super) fn every_change(
    session: &Session,
    store: &Store,
    before: &FoundRun,
    after: &FoundRun,
) -> Result<Comparison, CliError> {
    let compared = compare(&before.subject(store), &after.subject(store), Judging::Every);
    let mut found = compared.map_err(|error| nothing_shared(&error))?;
    found.code = changed_code(&session.config, store, before, after)?;
    Ok(found)
}

// The changes of the code of each kernel that both runs have a result of.
fn changed_code(
    config: &Config,
    store: &Store,
    before: &FoundRun,
    after: &FoundRun,
) -> Result<Vec<CodeChange>, CliError> {
    let mut changes = Vec::new();
    for (name, stage) in &after.log.model.stages {
        let old = before.log.model.stages.get(name).and_then(run_log::result_key);
        let (Some(old), Some(new)) = (old, run_log::result_key(stage)) else { continue };
        if old == new || stage.info.kind != Kind::Build || !is_kernel(config, name.package()) {
            continue;
        }
        let (Some(old_tree), Some(new_tree)) = (store.find(&old)?, store.find(&new)?) else {
            errln!("warning: the code of {name} is not compared: the store no longer has both results");
            continue;
        };
        for (file, _) in store.manifest(&new)?.items() {
            let size = |tree: &Path| -> Result<Option<CodeSize>, CliError> {
                Ok(files::read_if_present(&tree.join(file))?.and_then(|data| CodeSize::read(&data)))
            };
            // The first bytes show most files to be none.
            if !is_elf(&new_tree.tree.join(file)) || !is_elf(&old_tree.tree.join(file)) {
                continue;
            }
            if let (Some(old), Some(new)) = (size(&old_tree.tree)?, size(&new_tree.tree)?) {
                changes.extend(code::compare(name, file, &old, &new));
            }
        }
    }
    Ok(changes)
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    let is_file = files::lstat(path).is_ok_and(|meta| meta.is_some_and(|meta| meta.is_file()));
    is_file
        && fs_err::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == *b"\x7fELF"
}

fn nothing_shared(error: &NothingShared) -> Diagnostic {
    let list = |rows: &[String]| match rows {
        [] => "nothing".to_owned(),
        rows => suggest::list(rows.iter().map(String::as_str)),
    };
    Diagnostic::new(error.to_string())
        .hint(format!("`{}` has {}", error.before, list(&error.before_rows)))
        .hint(format!("`{}` has {}", error.after, list(&error.after_rows)))
}

impl Diff {
    /// Compares them.
    pub fn run(self) -> CliResult {
        let session = self.paths.session()?;
        let store = session.store()?;
        let before = run_log::find(&store, Some(&self.before))?;
        let after = run_log::find(&store, Some(&self.after))?;
        let mut found = compared(&store, &before, &after)?;
        if self.code {
            found.code = changed_code(&session.config, &store, &before, &after)?;
        }
        show(&found, &self.fail_on, if self.json { diff::Format::Json } else { diff::Format::Text })
    }
}

/// Prints a comparison. The exit code says whether a criterion is met.
pub(super) fn show(found: &Comparison, fail_on: &[Criterion], format: diff::Format) -> CliResult {
    let met: Vec<String> =
        fail_on.iter().filter(|criterion| criterion.is_met(found)).map(|criterion| criterion.name()).collect();
    print(&match format {
        diff::Format::Json => diff::json(found, &met),
        diff::Format::Markdown => diff::markdown(found),
        diff::Format::Text => diff::text(found, report::Style::of(&std::io::stdout())),
    })?;
    Ok(if met.is_empty() { exit::DONE } else { exit::FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_read_as_written() {
        for text in ["regression", "failure", "warning", "time", "size", "size:2%", "time:0.5%"] {
            assert_eq!(text.parse::<Criterion>().unwrap().name(), text);
        }
        for text in ["", "regresion", "size:", "size:2", "size:-1%", "size:NaN%", "warning:2%", "size:inf%"] {
            assert!(text.parse::<Criterion>().is_err(), "{text}");
        }
    }
}
