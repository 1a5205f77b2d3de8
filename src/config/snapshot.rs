//! `[snapshot.NAME]`: versions that the user's configuration adds to a recipe, such as a commit of a development branch or
//! a weekly snapshot.

use super::file::{SourceFile, Text};
use super::raw_recipe::{RawSnapshotVersion, RawVersion};
use super::recipe::Recipe;
use crate::base::{Diagnostic, PackageName, Version, suggest};
use std::collections::BTreeMap;
use toml::Spanned;

/// The packages and versions that names of snapshots stand for.
pub type Snapshots = BTreeMap<String, (PackageName, Version)>;

/// Adds snapshots to the recipes; one of a later file replaces one of the same name.
pub(super) fn add(
    files: Vec<(SourceFile, BTreeMap<Text, RawSnapshotVersion>)>,
    recipes: &mut BTreeMap<PackageName, Recipe>,
    problems: &mut Vec<Diagnostic>,
) -> Snapshots {
    let mut last: BTreeMap<String, (SourceFile, Text, RawSnapshotVersion)> = BTreeMap::new();
    for (file, snapshots) in files {
        last.extend(snapshots.into_iter().map(|(name, raw)| (name.get_ref().clone(), (file.clone(), name, raw))));
    }
    let mut known = Snapshots::new();
    for (name, (file, at, raw)) in last {
        // It stands where a version could.
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            problems.push(file.error(&at, "a snapshot's name does not start with a digit: versions do"));
        }
        let RawSnapshotVersion { package, version, unpacked, source } = raw;
        let text = Spanned::new(package.span(), package.get_ref().to_string());
        let Some(recipe) = recipes.get_mut(package.get_ref()) else {
            let mut problem = file.error(&text, format!("unknown package `{}`", package.get_ref()));
            problem.hints =
                suggest::hints(package.get_ref().as_str(), "packages", recipes.keys().map(PackageName::as_str));
            problems.push(problem);
            continue;
        };
        if let Some((owner, _)) = &recipe.source_of {
            let problem = file.error(&text, format!("`{}` is built from the source of `{owner}`", package.get_ref()));
            problems.push(problem.hint(format!("write `package = \"{owner}\"`")));
            continue;
        }
        let named = version.get_ref().clone();
        if recipe.versions.iter().any(|release| release.version == named) {
            let text = Spanned::new(version.span(), named.to_string());
            let problem = file.error(&text, format!("`{}` has a version {named} already", package.get_ref()));
            problems.push(problem.hint("add the date or the revision, as in `17.0-20261020`"));
            continue;
        }
        match Recipe::release_of(&file, &RawVersion { version, unpacked, source }) {
            Ok(release) => {
                recipe.versions.push(release);
                known.insert(name, (package.into_inner(), named));
            }
            Err(more) => problems.extend(more),
        }
    }
    known
}
