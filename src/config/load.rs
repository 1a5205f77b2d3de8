//! Loads the configuration of a run: `targets.toml`, the recipes, and the user's overlays.

use super::file::{Placed, SourceFile};
use super::host_tools::HostTools;
use super::matrix::{Matrix, Target};
use super::raw::RawMatrix;
use super::recipe::{Per, Recipe};
use crate::base::{Diagnostic, PackageName, suggest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The matrix, the recipes and the host tools.
#[derive(Debug, Clone)]
pub struct Config {
    /// The targets, and the settings, profiles and sets declared beside them.
    pub matrix: Matrix,
    /// The recipes by package.
    pub recipes: BTreeMap<PackageName, Recipe>,
    /// The host tools that recipes name.
    pub host_tools: HostTools,
    /// The recipe directories, the user's first.
    pub recipe_dirs: Vec<PathBuf>,
}

/// The file of a recipe directory that describes host tools and is no recipe.
const HOST_TOOLS: &str = "host-tools.toml";

impl Config {
    /// Reads `data/targets.toml` and `data/recipes/`, then the overlays in order, with the recipe
    /// directories that they and `extra_recipes` name. A user's recipe replaces a shipped one of
    /// the same name.
    pub fn load(data: &Path, overlays: &[PathBuf], extra_recipes: &[PathBuf]) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut recipe_dirs: Vec<PathBuf> = extra_recipes.to_vec();
        for path in std::iter::once(&data.join("targets.toml")).chain(overlays) {
            let parsed = SourceFile::read(path).and_then(|file| Ok((file.parse::<RawMatrix>()?, file)));
            match parsed {
                Ok((raw, file)) => {
                    recipe_dirs.extend(raw.recipes.iter().map(|dir| file.dir().join(dir)));
                    files.push((file, raw));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let own = data.join("recipes");
        let host_tools = host_tools(&recipe_dirs, &own).map_err(|more| problems.extend(more));
        recipe_dirs.push(own);
        let matrix = Matrix::of(files).map_err(|more| problems.extend(more));
        let mut recipes: BTreeMap<PackageName, Recipe> = BTreeMap::new();
        for dir in &recipe_dirs {
            for path in recipe_files(dir, &mut problems) {
                match SourceFile::read(&path).map_err(|problem| vec![problem]).and_then(|file| Recipe::load(&file)) {
                    Ok(recipe) => {
                        // The user's directories come first and take precedence.
                        recipes.entry(recipe.name.clone()).or_insert(recipe);
                    }
                    Err(more) => problems.extend(more),
                }
            }
        }
        match (matrix, host_tools) {
            (Ok(matrix), Ok(host_tools)) if problems.is_empty() => {
                let config = Self { matrix, recipes, host_tools, recipe_dirs };
                config.check_names()?;
                Ok(config)
            }
            _ => Err(problems),
        }
    }

    /// Returns the recipe of a package, or an error that suggests the nearest name.
    pub fn recipe(&self, name: &str) -> Result<&Recipe, Diagnostic> {
        self.recipes.get(name).ok_or_else(|| {
            let mut diagnostic = Diagnostic::new(format!("unknown package `{name}`"));
            diagnostic.hints = suggest::hints(name, "packages", self.recipes.keys().map(PackageName::as_str));
            diagnostic
        })
    }

    /// Returns the path of a file that a recipe names, from the first directory that has it.
    pub fn recipe_file(&self, name: &str) -> Option<PathBuf> {
        let inside = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        self.recipe_dirs.iter().map(|dir| dir.join(name)).find(|path| inside && path.is_file())
    }

    // Checks names that are defined in another file.
    fn check_names(&self) -> Result<(), Vec<Diagnostic>> {
        let mut problems = Vec::new();
        for need in self.recipes.values().flat_map(|recipe| &recipe.needs) {
            if let Err(problem) = self.recipe(need.package.as_str()) {
                problems.push(placed(&need.at, problem));
            }
        }
        for (package, at) in self.recipes.values().filter_map(|recipe| recipe.source_of.as_ref()) {
            match self.recipe(package.as_str()) {
                Err(problem) => problems.push(placed(at, problem)),
                Ok(recipe) if recipe.versions.is_empty() => {
                    let with: Vec<&Recipe> =
                        self.recipes.values().filter(|recipe| !recipe.versions.is_empty()).collect();
                    let mut problem = at.error(format!("`{package}` has no source of its own"));
                    problem.hints = suggest::hints("", "packages", with.iter().map(|recipe| recipe.name.as_str()));
                    problems.push(problem);
                }
                Ok(_) => {}
            }
        }
        for archive in self.matrix.archives.values() {
            let checks = archive.checks.iter().map(|named| (named, true));
            let others = archive.driver.iter().chain([&archive.package]).map(|named| (named, false));
            for ((package, at), check) in checks.chain(others) {
                match self.recipe(package.as_str()) {
                    Err(problem) => problems.push(placed(at, problem)),
                    Ok(recipe) if recipe.check != check => {
                        let message =
                            if recipe.check { "is a check, and checks cannot be packaged" } else { "is not a check" };
                        problems.push(at.error(format!("`{package}` {message}")));
                    }
                    Ok(_) => {}
                }
            }
        }
        for (set, release_set) in &self.matrix.release_sets {
            for (package, (version, at)) in &release_set.versions {
                match self.recipe(package.as_str()) {
                    Err(problem) => {
                        let mut placed = at.error(format!("release set `{set}`: {}", problem.message));
                        placed.hints = problem.hints;
                        problems.push(placed);
                    }
                    Ok(recipe) if recipe.release(version).is_none() => {
                        let mut placed = at
                            .error(format!("release set `{set}`: the recipe of `{package}` has no version {version}"));
                        placed.hints = version_hints(recipe, version.as_str());
                        problems.push(placed);
                    }
                    Ok(_) => {}
                }
            }
        }
        super::mentions::check(self, &mut problems);
        self.check_host_tools(&mut problems);
        for target in self.matrix.targets.values() {
            self.check_pins(target, &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    // Names that depend on the target are checked when the plan knows them.
    fn check_host_tools(&self, problems: &mut Vec<Diagnostic>) {
        let names: Vec<&str> = self.host_tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        let recipes = self.recipes.values();
        let used =
            recipes.flat_map(|recipe| recipe.tools.iter().chain(recipe.snapshot.iter().flat_map(|it| &it.tools)));
        let used = used.filter(|tool| !tool.text.contains("{{") && !tool.text.contains("{%"));
        for tool in used.filter(|tool| !names.contains(&tool.text.as_str())) {
            let mut problem = tool.error(format!("unknown host tool `{}`", tool.text));
            problem.hints = suggest::hints(&tool.text, "host tools", names.iter().copied());
            problems.push(problem);
        }
    }

    // A version pinned by a target must exist, and the target must be allowed to choose it.
    fn check_pins(&self, target: &Target, problems: &mut Vec<Diagnostic>) {
        let owner = self.matrix.targets.get(&target.toolchain).unwrap_or(target);
        for (package, pin) in target.pins.iter().filter(|(_, pin)| pin.own) {
            let at_pin = |why: String| pin.at.error(format!("target `{}`: {why}", target.name));
            match self.recipe(package.as_str()) {
                Err(problem) => problems.push(Diagnostic { hints: problem.hints, ..at_pin(problem.message) }),
                Ok(recipe) if recipe.release(&pin.version).is_none() => {
                    let mut problem = at_pin(format!("the recipe of `{package}` has no version {}", pin.version));
                    problem.hints = version_hints(recipe, pin.version.as_str());
                    problems.push(problem);
                }
                Ok(recipe) if recipe.per == Per::Host => {
                    let problem = at_pin(format!("`{package}` is built once for all targets"));
                    problems
                        .push(problem.hint("choose its version for the whole run: `[defaults]` `with`, or `--with`"));
                }
                Ok(recipe)
                    if recipe.per == Per::Toolchain
                        && owner.pins.get(package).is_none_or(|other| other.version != pin.version) =>
                {
                    let problem = at_pin(format!("its `{package}` is that of `{}`", owner.name));
                    problems.push(problem.hint(format!("give the version to `[target.{}]`", owner.name)));
                }
                Ok(_) => {}
            }
        }
    }
}

// Adds a location to a problem.
pub(super) fn placed(at: &Placed, problem: Diagnostic) -> Diagnostic {
    Diagnostic { hints: problem.hints, ..at.error(problem.message) }
}

/// Returns hints that list the versions of a recipe, for a version it does not have.
pub fn version_hints(recipe: &Recipe, wanted: &str) -> Vec<String> {
    let mut hints = suggest::hints(wanted, "versions", recipe.versions.iter().map(|release| release.version.as_str()));
    hints.push(format!("a local source needs no recipe entry: `--source {}=PATH`", recipe.name));
    hints
}

// The tools of `own`, with those that the user's directories add or replace; the first of these wins.
fn host_tools(users: &[PathBuf], own: &Path) -> Result<HostTools, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut merged = HostTools::default();
    let users = users.iter().map(|dir| dir.join(HOST_TOOLS)).filter(|path| path.exists());
    let paths: Vec<PathBuf> = users.chain([own.join(HOST_TOOLS)]).collect();
    for path in paths.iter().rev() {
        let read = SourceFile::read(path).and_then(|file| HostTools::parse(&file, &merged));
        match read {
            Ok(tools) => merged.extend(tools),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

fn recipe_files(dir: &Path, problems: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Diagnostic::new(error.to_string()).hint("recipes are read from this directory"));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| !path.ends_with(HOST_TOOLS))
        .collect();
    files.sort();
    files
}
