//! Loads the configuration of a run: `targets.toml`, the recipes, and the user's overlays.

use super::check_names;
use super::file::SourceFile;
use super::host_tools::HostTools;
use super::matrix_load::Loader;
use super::raw::RawMatrix;
use super::recipe::Recipe;
use super::resolved::Config;
use super::snapshot;
use crate::base::{Diagnostic, PackageName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file of a recipe directory that describes host tools and is no recipe.
const HOST_TOOLS: &str = "host-tools.toml";

impl Config {
    /// Reads `data/targets.toml` and `data/recipes/`, then the overlays in order, with the recipe
    /// directories that they and `extra_recipes` name. A user's recipe replaces a shipped one of
    /// the same name.
    pub fn load(data: &Path, overlays: &[PathBuf], extra_recipes: &[PathBuf]) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut snapshots = Vec::new();
        let mut recipe_dirs: Vec<PathBuf> = extra_recipes.to_vec();
        for path in std::iter::once(&data.join("targets.toml")).chain(overlays) {
            let parsed = SourceFile::read(path).and_then(|file| Ok((file.parse::<RawMatrix>()?, file)));
            match parsed {
                Ok((mut raw, file)) => {
                    snapshots.push((file.clone(), std::mem::take(&mut raw.snapshot)));
                    recipe_dirs.extend(raw.recipes.iter().map(|dir| file.dir().join(dir)));
                    files.push((file, raw));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let own = data.join("recipes");
        let host_tools = host_tools(&recipe_dirs, &own).map_err(|more| problems.extend(more));
        recipe_dirs.push(own);
        let matrix = Loader::load(files).map_err(|more| problems.extend(more));
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
        let snapshots = snapshot::add(snapshots, &mut recipes, &mut problems);
        match (matrix, host_tools) {
            (Ok(mut matrix), Ok(host_tools)) if problems.is_empty() => {
                matrix.snapshots = snapshots;
                let config = Self { matrix, recipes, host_tools, recipe_dirs };
                let problems = check_names::check(&config);
                if problems.is_empty() { Ok(config) } else { Err(problems) }
            }
            _ => Err(problems),
        }
    }
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
