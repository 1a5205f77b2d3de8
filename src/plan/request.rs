//! The resolved request: what to build, from the command line and the overlays.

use crate::base::suggest;
use crate::base::{Diagnostic, PackageName, TargetName, Version};
use crate::config::Config;
use crate::config::resolved::version_hints;
use crate::config::setting::Value;
use crate::config::source::{Origin, Pin, SourceSpec};
use std::collections::BTreeMap;
use std::path::Path;

/// The resolved request.
#[derive(Debug, Clone)]
pub struct Request {
    /// In the order given, without repeats.
    pub targets: Vec<TargetName>,
    /// The packages to build for each target.
    pub packages: Vec<PackageName>,
    /// The profile's name.
    pub profile: String,
    /// The release set's name.
    pub release_set: String,
    /// A value for every declared setting.
    pub settings: BTreeMap<String, Value>,
    /// The settings given by the user, which no target may override.
    pub fixed: Vec<String>,
    /// The version of each package that has versions, where a target does not name its own: [`super::versions`].
    pub versions: BTreeMap<PackageName, Version>,
    /// The packages whose version or source the user gave, which no target may override.
    pub fixed_versions: Vec<PackageName>,
    /// Whether the user selected the release set.
    pub set_named: bool,
    /// Sources named on the command line.
    pub sources: BTreeMap<PackageName, SourceSpec>,
}

/// The arguments of the command line, not yet resolved.
#[derive(Debug, Clone, Default)]
pub struct RequestArgs<'a> {
    /// Target names.
    pub targets: &'a [String],
    /// Group names.
    pub groups: &'a [String],
    /// `--profile`
    pub profile: Option<&'a str>,
    /// `--release-set`
    pub release_set: Option<&'a str>,
    /// `--with package=version`
    pub with: &'a [String],
    /// `--set name=value`
    pub set: &'a [String],
    /// `--source package=location`
    pub source: &'a [String],
    /// `--package`
    pub packages: &'a [String],
}

impl Request {
    /// Resolves the arguments against the configuration.
    pub fn new(config: &Config, args: &RequestArgs<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let matrix = &config.matrix;
        let mut targets = Vec::new();
        for group in args.groups {
            match matrix.group(group) {
                Ok(members) => targets.extend(members.iter().cloned()),
                Err(problem) => problems.push(problem),
            }
        }
        for name in args.targets {
            match matrix.target(name) {
                Ok(target) => targets.push(target.name.clone()),
                Err(problem) => problems.push(problem),
            }
        }
        let mut seen = Vec::new();
        targets.retain(|target| {
            !seen.contains(target) && {
                seen.push(target.clone());
                true
            }
        });
        let mut packages = Vec::new();
        for name in args.packages {
            match config.recipe(name) {
                Ok(recipe) => packages.push(recipe.name.clone()),
                Err(problem) => problems.push(problem),
            }
        }
        if packages.is_empty() {
            packages.clone_from(&matrix.defaults.packages);
        }
        if packages.is_empty() && problems.is_empty() {
            let problem = Diagnostic::new("no package is named: `[defaults]` `packages` is empty");
            problems.push(problem.hint("list some there, or name them with `--package PACKAGE`"));
        }
        let profile = args.profile.unwrap_or(&matrix.defaults.profile).to_owned();
        let mut settings: BTreeMap<_, _> =
            matrix.settings.iter().map(|(name, setting)| (name.clone(), setting.default.clone())).collect();
        match matrix.profiles.get(&profile) {
            Some(profile) => settings.extend(profile.set.clone()),
            None => problems.push(unknown("profile", &profile, matrix.profiles.keys().map(String::as_str))),
        }
        settings.extend(matrix.defaults.set.clone());
        let mut fixed: Vec<String> = matrix.defaults.set.keys().cloned().collect();
        for word in args.set {
            match set_one(config, word) {
                Ok((name, value)) => {
                    fixed.push(name.clone());
                    settings.insert(name, value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let release_set = args.release_set.unwrap_or(&matrix.defaults.release_set).to_owned();
        let mut versions = BTreeMap::new();
        match matrix.release_sets.get(&release_set) {
            Some(set) => {
                versions.extend(set.versions.iter().map(|(name, (version, _))| (name.clone(), version.clone())))
            }
            None => problems.push(unknown("release set", &release_set, matrix.release_sets.keys().map(String::as_str))),
        }
        versions.extend(matrix.defaults.with.clone());
        let mut fixed_versions: Vec<PackageName> = matrix.defaults.with.keys().cloned().collect();
        let mut words: Vec<String> = args.source.to_vec();
        for word in args.with {
            match commit_of(config, word) {
                Ok(None) => {}
                Ok(Some(source)) => {
                    words.push(source);
                    continue;
                }
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            }
            match with_one(config, word) {
                Ok((name, version)) => {
                    fixed_versions.push(name.clone());
                    versions.insert(name, version);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut sources = BTreeMap::new();
        for word in &words {
            match source_one(config, word) {
                Ok((name, source)) => {
                    match version_of(config, &name, &source, fixed_versions.contains(&name).then(|| &versions[&name])) {
                        Ok(version) => versions.extend(version.map(|version| (name.clone(), version))),
                        Err(problem) => problems.push(problem),
                    }
                    fixed_versions.push(name.clone());
                    sources.insert(name, source);
                }
                Err(problem) => problems.push(problem),
            }
        }
        // A prefix such as `7.2` is replaced by its release, so that names and keys do not depend
        // on the spelling.
        for (name, version) in &mut versions {
            let Some(recipe) = config.recipes.get(name) else { continue };
            match recipe.release(version) {
                Some(release) => *version = release.version.clone(),
                None if sources.contains_key(name) => {}
                None => {
                    let mut problem = Diagnostic::new(format!("the recipe of `{name}` has no version {version}"));
                    problem.hints = version_hints(recipe, version.as_str());
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty() {
            Ok(Self {
                targets,
                packages,
                profile,
                release_set,
                settings,
                fixed,
                versions,
                fixed_versions,
                set_named: args.release_set.is_some(),
                sources,
            })
        } else {
            Err(problems)
        }
    }
}

impl Request {
    /// Takes the source of `name` from a commit of a git repository; `version` is the one that the commit records.
    pub fn take_commit(&mut self, name: &PackageName, url: &str, commit: &str, version: Option<Version>) {
        let from = Origin::Git { url: url.to_owned(), rev: commit.to_owned() };
        self.sources.insert(name.clone(), as_found(from));
        self.versions.extend(version.map(|version| (name.clone(), version)));
        self.fixed_versions.push(name.clone());
    }
}

fn as_found(from: Origin) -> SourceSpec {
    SourceSpec { from, pin: Pin::AsFound, size: None, limit: None, member: None, strip: 1, patches: Vec::new() }
}

fn unknown<'a>(what: &str, word: &str, choices: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let mut problem = Diagnostic::new(format!("unknown {what} `{word}`"));
    problem.hints = suggest::hints(word, &format!("{what}s"), choices);
    problem
}

fn halves<'a>(option: &str, word: &'a str, example: &str) -> Result<(&'a str, &'a str), Diagnostic> {
    word.split_once('=').ok_or_else(|| {
        Diagnostic::new(format!("`{option} {word}` lacks its `=`")).hint(format!("write `{option} {example}`"))
    })
}

fn set_one(config: &Config, word: &str) -> Result<(String, Value), Diagnostic> {
    let (name, text) = halves("--set", word, "name=value")?;
    let settings = &config.matrix.settings;
    let Some(setting) = settings.get(name) else {
        return Err(unknown("setting", name, settings.keys().map(String::as_str)));
    };
    match setting.parse(text) {
        Ok(value) => Ok((name.to_owned(), value)),
        Err((why, hints)) => {
            let mut problem = Diagnostic::new(format!("setting `{name}`: {why}"));
            problem.hints = hints;
            Err(problem)
        }
    }
}

// `gcc=git:REVISION` as the source that it stands for: that commit of the publisher's repository.
fn commit_of(config: &Config, word: &str) -> Result<Option<String>, Diagnostic> {
    let Some((name, rev)) = word.split_once("=git:") else { return Ok(None) };
    let recipe = config.recipe(name)?;
    match &recipe.repository {
        _ if rev.is_empty() => Err(Diagnostic::new(format!("`--with {word}` names no revision"))
            .hint("write a commit, a tag or a branch behind `git:`")),
        Some(repository) => Ok(Some(format!("{name}=git+{repository}#{rev}"))),
        None => Err(Diagnostic::new(format!("`--with {word}`: the recipe of `{name}` names no repository"))
            .hint(format!("name one with `--source {name}=git+URL#{rev}`"))),
    }
}

fn with_one(config: &Config, word: &str) -> Result<(PackageName, Version), Diagnostic> {
    let (name, text) = halves("--with", word, "gcc=15.3.0")?;
    let recipe = config.recipe(name)?;
    let snapshots = &config.matrix.snapshots;
    if let Some((package, version)) = snapshots.get(text) {
        return match *package == recipe.name {
            true => Ok((package.clone(), version.clone())),
            false => Err(Diagnostic::new(format!("`--with {word}`: `{text}` is a snapshot of `{package}`"))),
        };
    }
    let version = Version::new(text).map_err(|error| {
        let of_package = snapshots.iter().filter(|(_, (package, _))| *package == recipe.name);
        let mut problem = Diagnostic::new(format!("`--with {word}`: {error}"));
        problem.hints = suggest::hints(text, "snapshots", of_package.map(|(name, _)| name.as_str()));
        problem
    })?;
    Ok((recipe.name.clone(), version))
}

// Reads the version of a source directory. A version given by the user must agree with it, because the recipe's
// conditions depend on it.
fn version_of(
    config: &Config,
    name: &PackageName,
    source: &SourceSpec,
    named: Option<&Version>,
) -> Result<Option<Version>, Diagnostic> {
    let (Some(from), Origin::Local(dir)) = (&config.recipe(name.as_str())?.version_from, &source.from) else {
        return Ok(None);
    };
    if !dir.is_dir() {
        return Ok(None);
    }
    let file = dir.join(&from.file);
    let text = match fs_err::read_to_string(&file) {
        Ok(text) => text,
        // The tree does not record its version: use the requested one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Diagnostic::new(error.to_string())),
    };
    let Some(version) = from.read(&text) else {
        return Err(Diagnostic::new(format!("`{}` does not contain the version of `{name}`", file.display())));
    };
    match named {
        Some(named) if !version.is_within(named) && version != *named => {
            let message = format!("`--with {name}={named}`, but `{}` is {name} {version}", dir.display());
            Err(Diagnostic::new(message).hint("leave `--with` out: the version is read from the tree"))
        }
        _ => Ok(Some(version)),
    }
}

fn source_one(config: &Config, word: &str) -> Result<(PackageName, SourceSpec), Diagnostic> {
    let (name, place) = halves("--source", word, "gcc=/path/to/gcc")?;
    let recipe = config.recipe(name)?;
    if let Some((owner, _)) = &recipe.source_of {
        return Err(Diagnostic::new(format!("`--source {word}`: `{name}` is built from the source of `{owner}`"))
            .hint(format!("write `--source {owner}={place}`")));
    }
    let from = match place.strip_prefix("git+") {
        Some(git) => {
            let (url, rev) = git.rsplit_once('#').unwrap_or((git, "HEAD"));
            Origin::Git { url: url.to_owned(), rev: rev.to_owned() }
        }
        None => {
            let path = std::path::absolute(Path::new(place))
                .map_err(|error| Diagnostic::new(format!("`{place}`: {error}")))?;
            if !path.exists() {
                return Err(Diagnostic::new(format!("`--source {word}`: there is no `{}`", path.display()))
                    .hint("name a directory, an archive, or `git+URL#REVISION`"));
            }
            Origin::Local(path)
        }
    };
    Ok((recipe.name.clone(), as_found(from)))
}
