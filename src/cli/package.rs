//! `crossmill package`: what an archive holds, which settings it needs and which
//! checks must not fail before is data, `[archive.NAME]` of `targets.toml`.

use super::build::{Running, execute, exit_code};
use super::options::Select;
use super::{CliError, CliResult};
use crate::base::{Diagnostic, TargetName};
use crate::config::matrix::Archive;
use crate::config::recipe::Recipe;
use crate::plan::Request;
use crate::plan::context;
use crate::plan::instance::Instance;
use crate::plan::versions;
use crate::publish::archive;
use crate::run::Session;
use crate::run::log::event::StageOutcome;
use crate::run::{Goal, Summary};
use clap::Args;
use std::path::PathBuf;

/// Create redistributable archives of tested results
///
/// What is missing is built first; then each target's archive is written with
/// its SHA-256 beside it. One whose checks fail is not written. The same result
/// makes the same bytes, wherever and whenever.
#[derive(Debug, Args)]
pub struct Package {
    #[command(flatten)]
    what: Contents,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    running: Running,
    /// Where the archives go, instead of the working directory
    #[arg(long, short, value_name = "DIR", default_value = ".", hide_default_value = true, help_heading = "Places")]
    out: PathBuf,
    /// What was written, as JSON on stdout
    #[arg(long, help_heading = "Output")]
    json: bool,
}

// One flag for each kind of archive; the word is that of its `[archive.NAME]`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Contents {
    /// What kernel modules are built with outside the kernel's tree (docs/module-kit.md)
    #[arg(long, help_heading = "Archives")]
    module_kit: bool,
}

impl Contents {
    fn name(&self) -> &'static str {
        let Self { module_kit: _ } = self;
        "module-kit"
    }
}

// An archive to make: whose, of which stage, under which name.
struct Wanted {
    target: TargetName,
    stage: String,
    name: String,
    checks: Vec<String>,
}

impl Package {
    /// Builds, checks and archives.
    pub fn run(self) -> CliResult {
        let session = self.select.session()?;
        let archive = session.config.matrix.archive(self.what.name())?.clone();
        let recipe = session.config.recipe(archive.package.0.as_str())?.clone();
        let request = selected(&self.select, &archive)?.request(&session, false)?;
        let wanted = wanted(&session, &request, &archive, &recipe)?;
        let ran = execute(&session, &request, Goal::Build, &self.running, false)?;
        let mut written = Vec::new();
        for archive in &wanted {
            let tree = match fit(archive, &ran.summary) {
                Ok(tree) => tree,
                Err(why) => {
                    errln!("not packaged: {}: {why}", archive.stage);
                    continue;
                }
            };
            let made = archive::write(&tree, &archive.name, &self.out, date(&session))?;
            errln!("packaged: {} ({} bytes, sha256 {})", made.path.display(), made.bytes, made.sha256);
            let skipped = skipped(archive, &ran.summary);
            for (check, why) in &skipped {
                errln!("warning: {check} did not look at it: {why}");
            }
            let skipped: Vec<&str> = skipped.iter().map(|(check, _)| *check).collect();
            written.push(serde_json::json!({
                "target": archive.target.as_str(), "stage": archive.stage, "path": made.path.display().to_string(),
                "sha256": made.sha256, "bytes": made.bytes, "result": tree.display().to_string(), "skipped": skipped,
            }));
        }
        if self.json {
            let exit = exit_code(&ran);
            let value = serde_json::json!({ "schema": 1, "exit": exit, "archives": written });
            super::print(&format!("{value:#}\n"))?;
        }
        Ok(exit_code(&ran))
    }
}

// The archive's package and checks, with the settings that it needs; the
// user's own settings come after them and win.
fn selected(select: &Select, archive: &Archive) -> Result<Select, CliError> {
    if !select.package.is_empty() {
        return Err(CliError::usage("an archive has its own packages: `--package` is for `crossmill build`"));
    }
    let needed = archive.set.iter().map(|(name, value)| format!("{name}={value}"));
    let packages = archive.checks.iter().map(|(check, _)| check.to_string());
    Ok(Select {
        set: needed.chain(select.set.iter().cloned()).collect(),
        package: std::iter::once(archive.package.0.to_string()).chain(packages).collect(),
        ..select.clone()
    })
}

fn wanted(
    session: &Session,
    request: &Request,
    contents: &Archive,
    recipe: &Recipe,
) -> Result<Vec<Wanted>, Vec<Diagnostic>> {
    let matrix = &session.config.matrix;
    let host = session.host_facts();
    let mut found: Vec<Wanted> = Vec::new();
    let mut problems = Vec::new();
    for target in &request.targets {
        let Some(instance) = Instance::Target(target.clone()).of(recipe.per, matrix) else { continue };
        let versions = versions::of(&session.config, request, &instance);
        let renderer = context::renderer(request, matrix, &host, recipe, &instance, &versions, &[]);
        let applies = recipe.when.as_ref().map_or(Ok(true), |when| renderer.holds(when));
        let name = applies.and_then(|applies| match (applies, &recipe.when) {
            (false, Some(when)) => {
                let said = format!("`{target}` has no `{}`: its recipe applies when `{}`", recipe.name, when.text);
                Err(Diagnostic::new(said)
                    .hint("leave this target out, or set what it lacks in targets.toml or with `--set`"))
            }
            _ => {
                let name = renderer.render(&contents.name)?;
                archive::check_name(&name).map_err(|error| {
                    let hints = Diagnostic::from_error(&error).hints;
                    Diagnostic { hints, ..contents.name.error(error.to_string()) }
                })?;
                Ok(name)
            }
        });
        match name {
            Ok(name) => {
                let stage = format!("{}/{}", instance.scope(), recipe.name);
                // Targets that share a toolchain share its archive.
                if found.iter().all(|other| other.stage != stage) {
                    let checks = contents.checks.iter().map(|(check, _)| format!("{target}/{check}"));
                    found.push(Wanted { target: target.clone(), stage, name, checks: checks.collect() });
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

// The result to archive, or why it is not given out.
fn fit(wanted: &Wanted, summary: &Summary) -> Result<PathBuf, String> {
    let Some(tree) = summary.results.get(&wanted.stage) else { return Err("it was not built".to_owned()) };
    for check in &wanted.checks {
        match summary.states.get(check) {
            Some(StageOutcome::Failed { why }) => return Err(format!("its check {check} failed: {why}")),
            Some(StageOutcome::Blocked { .. } | StageOutcome::Interrupted) => {
                return Err(format!("its check {check} did not run"));
            }
            _ => {}
        }
    }
    Ok(tree.clone())
}

// Checks that this machine cannot run, and why.
fn skipped<'a>(wanted: &'a Wanted, summary: &'a Summary) -> Vec<(&'a str, &'a str)> {
    let states = wanted.checks.iter().filter_map(|check| Some((check.as_str(), summary.states.get(check)?)));
    states
        .filter_map(
            |(check, state)| if let StageOutcome::Skipped { why } = state { Some((check, why.as_str())) } else { None },
        )
        .collect()
}

// The date of every member is the one that builds write into results.
fn date(session: &Session) -> u64 {
    let given = session.config.matrix.environment.get("SOURCE_DATE_EPOCH");
    given.and_then(|text| text.parse().ok()).unwrap_or_default()
}
