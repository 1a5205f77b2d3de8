//! Resolves a request for archives: which archives, of which stages, under which names.

use super::archive::check_name;
use crate::base::{Diagnostic, TargetName};
use crate::config::Config;
use crate::config::archive::{Archive, Contents};
use crate::config::file::Placed;
use crate::config::recipe::Recipe;
use crate::config::template::Renderer;
use crate::plan::instance::Instance;
use crate::plan::{HostFacts, Request, context, versions};
use crate::run::Summary;
use crate::run::log::event::StageOutcome as State;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An archive to write.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name without an ending.
    pub name: String,
    /// The directory in it.
    pub prefix: PathBuf,
    /// Its directory below a release; empty for the release's own.
    pub directory: PathBuf,
    /// Its parts: one, or those of all targets of a bundle.
    pub parts: Vec<Part>,
}

/// The part of an archive that belongs to one target.
#[derive(Debug, Clone)]
pub struct Part {
    /// The target.
    pub target: TargetName,
    /// The GNU triple that it is published for, where the kind of archive has one.
    pub triple: String,
    /// The stage whose result it is.
    pub stage: String,
    /// The checks that must not fail.
    pub checks: Vec<String>,
    /// The version of each package.
    pub versions: BTreeMap<String, String>,
}

/// Which archives a request comes to, and the targets that have none, each with the reason.
#[derive(Debug, Default)]
pub struct Contained {
    /// In the order of the request's targets.
    pub wanted: Vec<Wanted>,
    /// Targets that were not named and have no such archive.
    pub lacking: Vec<(TargetName, String)>,
}

/// Returns what `archive` means for the targets of `request`. A target that is `named` and has no such archive is an
/// error; one of a group is left out.
pub fn of(
    config: &Config,
    host: &HostFacts,
    request: &Request,
    archive: &Archive,
    named: &[TargetName],
) -> Result<Contained, Vec<Diagnostic>> {
    let mut found = Contained::default();
    let mut problems = Vec::new();
    for target in &request.targets {
        match one(config, host, request, archive, target) {
            Ok(Ok(one)) => add(&mut found.wanted, one, archive.contents),
            Ok(Err(lack)) if named.contains(target) => problems.push(lack.diagnostic(target, archive)),
            Ok(Err(lack)) => found.lacking.push((target.clone(), lack.text())),
            Err(problem) => problems.push(problem),
        }
    }
    if found.wanted.is_empty() && problems.is_empty() {
        problems.push(Diagnostic::new("none of the targets has such an archive"));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn add(wanted: &mut Vec<Wanted>, one: Wanted, contents: Contents) {
    let is_known = |other: &Wanted| other.parts.iter().any(|part| one.parts.iter().any(|own| own.stage == part.stage));
    if contents == Contents::Bundle {
        match wanted.iter_mut().find(|other| other.name == one.name) {
            Some(bundle) => bundle.parts.extend(one.parts),
            None => wanted.push(one),
        }
    // Targets that share a result share its archive.
    } else if !wanted.iter().any(is_known) {
        wanted.push(one);
    }
}

// Why a target has no such archive.
enum Lack {
    // Its recipe does not apply.
    Recipe { when: String },
    // The archive's own reason.
    Reason(String),
}

impl Lack {
    fn text(&self) -> String {
        match self {
            Self::Recipe { when } => format!("its recipe applies when `{when}`"),
            Self::Reason(why) => why.clone(),
        }
    }

    fn diagnostic(self, target: &TargetName, archive: &Archive) -> Diagnostic {
        match self {
            Self::Recipe { when } => {
                let package = &archive.package.0;
                Diagnostic::new(format!("`{target}` has no `{package}`: its recipe applies when `{when}`"))
                    .hint("leave this target out, or set what it lacks in targets.toml or with `--set`")
            }
            Self::Reason(why) => Diagnostic::new(format!("`{target}` has no such archive")).cause(why),
        }
    }
}

fn one(
    config: &Config,
    host: &HostFacts,
    request: &Request,
    archive: &Archive,
    target: &TargetName,
) -> Result<Result<Wanted, Lack>, Diagnostic> {
    let recipe = config.recipe(archive.package.0.as_str())?;
    let whole = Instance::Target(target.clone());
    let Some(instance) = whole.of(recipe.per, &config.matrix) else {
        return Ok(Err(Lack::Reason("nothing is built for one target".to_owned())));
    };
    let versions = versions::of(config, request, &instance);
    let renderer = renderer(config, host, request, recipe, &instance, &versions);
    if let Some(lacks) = &archive.lacks {
        let why = renderer.render(lacks)?;
        if !why.is_empty() {
            return Ok(Err(Lack::Reason(why)));
        }
    }
    if let Some(when) = &recipe.when
        && !renderer.holds(when)?
    {
        return Ok(Err(Lack::Recipe { when: when.text.clone() }));
    }
    let name = named(&renderer, &archive.name)?;
    let path = |template: &Option<Placed>| template.as_ref().map(|template| parts(&renderer, template)).transpose();
    let part = Part {
        target: target.clone(),
        triple: archive.triple.as_ref().map(|triple| named(&renderer, triple)).transpose()?.unwrap_or_default(),
        stage: format!("{}/{}", instance.scope(), recipe.name),
        checks: archive.checks.iter().map(|(check, _)| format!("{target}/{check}")).collect(),
        versions: versions.iter().map(|(name, version)| (name.to_string(), version.to_string())).collect(),
    };
    Ok(Ok(Wanted {
        prefix: path(&archive.prefix)?.unwrap_or_else(|| PathBuf::from(&name)),
        directory: path(&archive.directory)?.unwrap_or_default(),
        name,
        parts: vec![part],
    }))
}

fn renderer(
    config: &Config,
    host: &HostFacts,
    request: &Request,
    recipe: &Recipe,
    instance: &Instance,
    versions: &versions::Versions,
) -> Renderer {
    context::renderer(request, &config.matrix, host, recipe, instance, versions, &[])
}

// A template that must come to a name.
fn named(renderer: &Renderer, template: &Placed) -> Result<String, Diagnostic> {
    let name = renderer.render(template)?;
    check_name(&name).map_err(|error| {
        let hints = Diagnostic::from_error(&error).hints;
        Diagnostic { hints, ..template.error(error.to_string()) }
    })?;
    Ok(name)
}

// A template that must come to a relative path of names.
fn parts(renderer: &Renderer, template: &Placed) -> Result<PathBuf, Diagnostic> {
    let path = renderer.render(template)?;
    for name in path.split('/') {
        check_name(name).map_err(|error| {
            let hints = Diagnostic::from_error(&error).hints;
            Diagnostic { hints, ..template.error(error.to_string()) }
        })?;
    }
    Ok(path.into())
}

/// Results of an archive's checks that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The check.
    pub check: String,
    /// Why it did not run.
    pub why: String,
}

impl Wanted {
    /// Returns the result of each part, or why the archive is not given out.
    pub fn results<'a>(&'a self, summary: &Summary) -> Result<Vec<(&'a Part, PathBuf)>, (String, String)> {
        let result = |part: &'a Part| {
            let refuse = |why: String| (part.stage.clone(), why);
            let tree = summary.results.get(part.stage.as_str()).ok_or_else(|| refuse("it was not built".to_owned()))?;
            for check in &part.checks {
                match summary.states.get(check.as_str()) {
                    Some(State::Failed { why }) => return Err(refuse(format!("its check {check} failed: {why}"))),
                    Some(State::Blocked { .. } | State::Interrupted) => {
                        return Err(refuse(format!("its check {check} did not run")));
                    }
                    _ => {}
                }
            }
            Ok((part, tree.clone()))
        };
        self.parts.iter().map(result).collect()
    }

    /// Returns the checks that this machine cannot run.
    pub fn skipped(&self, summary: &Summary) -> Vec<Skipped> {
        let checks = self.parts.iter().flat_map(|part| &part.checks);
        let skipped = checks.filter_map(|check| match summary.states.get(check.as_str())? {
            State::Skipped { why } => Some(Skipped { check: check.clone(), why: why.clone() }),
            _ => None,
        });
        skipped.collect()
    }
}
