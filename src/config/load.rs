//! Everything a run is told, read from where it stands: `targets.toml`, the
//! recipes, and what the user lays over both.

use super::file::{Placed, SourceFile};
use super::matrix::{Matrix, Target};
use super::recipe::{Per, Recipe};
use crate::base::{Diagnostic, PackageName, suggest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The matrix and the recipes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The targets and all that is named beside them.
    pub matrix: Matrix,
    /// The recipes by package.
    pub recipes: BTreeMap<PackageName, Recipe>,
    /// Where recipes and their files are, the user's own directories first.
    pub recipe_dirs: Vec<PathBuf>,
}

/// Files of a recipe directory that are no recipe.
const NOT_RECIPES: [&str; 1] = ["host-tools.toml"];

impl Config {
    /// Reads `data/targets.toml` and `data/recipes/`, then the overlays in
    /// order with the recipe directories they and `extra_recipes` name.
    /// A user's recipe replaces ours of the same name.
    pub fn load(data: &Path, overlays: &[PathBuf], extra_recipes: &[PathBuf]) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut recipe_dirs: Vec<PathBuf> = extra_recipes.to_vec();
        for path in std::iter::once(&data.join("targets.toml")).chain(overlays) {
            match SourceFile::read(path) {
                Ok(file) => {
                    // A file that does not parse is reported by the matrix, once.
                    if let Ok(raw) = file.parse::<super::raw::RawMatrix>() {
                        recipe_dirs.extend(raw.recipes.iter().map(|dir| file.dir().join(dir)));
                    }
                    files.push(file);
                }
                Err(problem) => problems.push(problem),
            }
        }
        recipe_dirs.push(data.join("recipes"));
        let matrix = Matrix::load(&files).map_err(|more| problems.extend(more));
        let mut recipes: BTreeMap<PackageName, Recipe> = BTreeMap::new();
        for dir in &recipe_dirs {
            for path in recipe_files(dir, &mut problems) {
                match SourceFile::read(&path).map_err(|problem| vec![problem]).and_then(|file| Recipe::load(&file)) {
                    Ok(recipe) => {
                        // The user's directories come first and win.
                        recipes.entry(recipe.name.clone()).or_insert(recipe);
                    }
                    Err(more) => problems.extend(more),
                }
            }
        }
        match matrix {
            Ok(matrix) if problems.is_empty() => {
                let config = Self { matrix, recipes, recipe_dirs };
                config.check_names()?;
                Ok(config)
            }
            _ => Err(problems),
        }
    }

    /// The recipe of a package; otherwise the nearest name.
    pub fn recipe(&self, name: &str) -> Result<&Recipe, Diagnostic> {
        self.recipes.get(name).ok_or_else(|| {
            let mut diagnostic = Diagnostic::new(format!("unknown package `{name}`"));
            diagnostic.hints = suggest::hints(name, "packages", self.recipes.keys().map(PackageName::as_str));
            diagnostic
        })
    }

    /// A file that a recipe names, from the first directory that has it.
    pub fn recipe_file(&self, name: &str) -> Option<PathBuf> {
        let inside = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        self.recipe_dirs.iter().map(|dir| dir.join(name)).find(|path| inside && path.is_file())
    }

    // Names that one file uses and another defines.
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
            for (package, at) in archive.checks.iter().chain([&archive.package]) {
                match self.recipe(package.as_str()) {
                    Err(problem) => problems.push(placed(at, problem)),
                    Ok(recipe) if recipe.check != (*package != archive.package.0) => {
                        let said = if recipe.check { "is a check, which no archive is made of" } else { "is no check" };
                        problems.push(at.error(format!("`{package}` {said}")));
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
        for target in self.matrix.targets.values() {
            self.check_pins(target, &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    // What a target names itself must be there and must be its own to choose.
    fn check_pins(&self, target: &Target, problems: &mut Vec<Diagnostic>) {
        let owner = self.matrix.targets.get(&target.toolchain).unwrap_or(target);
        for (package, pin) in target.pins.iter().filter(|(_, pin)| pin.own) {
            let said = |why: String| pin.at.error(format!("target `{}`: {why}", target.name));
            match self.recipe(package.as_str()) {
                Err(problem) => problems.push(Diagnostic { hints: problem.hints, ..said(problem.message) }),
                Ok(recipe) if recipe.release(&pin.version).is_none() => {
                    let mut problem = said(format!("the recipe of `{package}` has no version {}", pin.version));
                    problem.hints = version_hints(recipe, pin.version.as_str());
                    problems.push(problem);
                }
                Ok(recipe) if recipe.per == Per::Host => {
                    let problem = said(format!("`{package}` is built once for all targets"));
                    problems
                        .push(problem.hint("choose its version for the whole run: `[defaults]` `with`, or `--with`"));
                }
                Ok(recipe)
                    if recipe.per == Per::Toolchain
                        && owner.pins.get(package).is_none_or(|other| other.version != pin.version) =>
                {
                    let problem = said(format!("its `{package}` is that of `{}`", owner.name));
                    problems.push(problem.hint(format!("give the version to `[target.{}]`", owner.name)));
                }
                Ok(_) => {}
            }
        }
    }
}

// The same problem, with the place that has it.
pub(super) fn placed(at: &Placed, problem: Diagnostic) -> Diagnostic {
    Diagnostic { hints: problem.hints, ..at.error(problem.message) }
}

/// The versions of a recipe, as hints beside one that it lacks.
pub fn version_hints(recipe: &Recipe, wanted: &str) -> Vec<String> {
    let mut hints = suggest::hints(wanted, "versions", recipe.versions.iter().map(|release| release.version.as_str()));
    hints.push(format!("a local source needs no recipe entry: `--source {}=PATH`", recipe.name));
    hints
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
        .filter(|path| !NOT_RECIPES.iter().any(|name| path.ends_with(name)))
        .collect();
    files.sort();
    files
}
