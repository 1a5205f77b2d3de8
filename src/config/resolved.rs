//! The configuration of a run as the other layers see it: every name in it is defined.

use super::host_tools::HostTools;
use super::matrix::Matrix;
use super::recipe::Recipe;
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

impl Config {
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
}

/// Returns hints that list the versions of a recipe, for a version it does not have.
pub fn version_hints(recipe: &Recipe, wanted: &str) -> Vec<String> {
    let mut hints = suggest::hints(wanted, "versions", recipe.versions.iter().map(|release| release.version.as_str()));
    hints.push(format!("a local source needs no recipe entry: `--source {}=PATH`", recipe.name));
    hints
}
