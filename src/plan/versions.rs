//! Selects the version of each package. A run uses one version of a package, except for targets
//! that pin their own; a shared stage uses the versions of the target that owns it.

use super::instance::Instance;
use super::request::Request;
use crate::base::{PackageName, Version};
use crate::config::Config;
use crate::config::matrix::Target;
use crate::config::recipe::{Per, Recipe};
use std::collections::BTreeMap;

/// Versions by package.
pub type Versions = BTreeMap<PackageName, Version>;

/// Returns the versions used for `instance`.
pub fn of(config: &Config, request: &Request, instance: &Instance) -> Versions {
    let mut versions = request.versions.clone();
    let Some(target) = instance.target(&config.matrix) else { return versions };
    let owner = config.matrix.targets.get(&target.toolchain).unwrap_or(target);
    for recipe in config.recipes.values() {
        let decides = match recipe.per {
            // One build serves every target, regardless of their release sets.
            Per::Host => continue,
            Per::Toolchain => owner,
            Per::Target => target,
        };
        if let Some(version) = pinned(request, recipe, decides) {
            versions.insert(recipe.name.clone(), version);
        }
    }
    versions
}

// The user's choice takes precedence. A release set given for the whole run applies to targets that
// can be built from it: `--all --release-set lts` concerns the targets that have a choice.
fn pinned(request: &Request, recipe: &Recipe, target: &Target) -> Option<Version> {
    let pin = target.pins.get(&recipe.name)?;
    if request.fixed_versions.contains(&recipe.name) {
        return None;
    }
    if request.set_named
        && request.versions.get(&recipe.name).is_some_and(|version| {
            let mut wanted = target.requires.iter().filter(|requires| requires.package == recipe.name);
            wanted.all(|requires| requires.versions.contains(version))
        })
    {
        return None;
    }
    // A prefix such as `7.2` means a release, whose existence is checked when the recipes are loaded.
    Some(recipe.release(&pin.version).map_or_else(|| pin.version.clone(), |release| release.version.clone()))
}
