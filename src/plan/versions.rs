//! Which version of each package is built for what. A run has one version of
//! a package, but for the targets that name their own; what several targets
//! share has the versions of the one that owns it.

use super::instance::Instance;
use super::request::Request;
use crate::base::{PackageName, Version};
use crate::config::Config;
use crate::config::matrix::Target;
use crate::config::recipe::{Per, Recipe};
use std::collections::BTreeMap;

/// The version of each package that has one.
pub type Versions = BTreeMap<PackageName, Version>;

/// The versions with which things are built for `instance`.
pub fn of(config: &Config, request: &Request, instance: &Instance) -> Versions {
    let mut versions = request.versions.clone();
    let Some(target) = instance.target(&config.matrix) else { return versions };
    let owner = config.matrix.targets.get(&target.toolchain).unwrap_or(target);
    for recipe in config.recipes.values() {
        let decides = match recipe.per {
            // One build serves every target, whatever a release set of one of them says.
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

// What the user named holds. A release set named for the whole run holds as
// far as the target can be built from it: `--all --release-set lts` is a wish
// about the targets that have a choice.
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
    // A prefix such as `7.2` means a release; that there is one is checked where the recipes are read.
    Some(recipe.release(&pin.version).map_or_else(|| pin.version.clone(), |release| release.version.clone()))
}
