//! Checks every use of a name that another file defines: packages, checks, versions, host tools. Undefined names are
//! errors everywhere: an option of `binutil` would otherwise be dropped silently.

use super::file::Placed;
use super::matrix::Target;
use super::recipe::Per;
use super::resolved::{Config, version_hints};
use crate::base::{Diagnostic, suggest};

/// Returns the undefined names of the configuration, with their locations.
pub(super) fn check(config: &Config) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    needs(config, &mut problems);
    archives(config, &mut problems);
    release_sets(config, &mut problems);
    mentions(config, &mut problems);
    host_tools(config, &mut problems);
    for target in config.matrix.targets.values() {
        pins(config, target, &mut problems);
    }
    problems
}

// Packages that recipes need, or whose source they share.
fn needs(config: &Config, problems: &mut Vec<Diagnostic>) {
    for need in config.recipes.values().flat_map(|recipe| &recipe.needs) {
        if let Err(problem) = config.recipe(need.package.as_str()) {
            problems.push(placed(&need.at, problem));
        }
    }
    for (package, at) in config.recipes.values().filter_map(|recipe| recipe.source_of.as_ref()) {
        match config.recipe(package.as_str()) {
            Err(problem) => problems.push(placed(at, problem)),
            Ok(recipe) if recipe.versions.is_empty() => {
                let with = config.recipes.values().filter(|recipe| !recipe.versions.is_empty());
                let mut problem = at.error(format!("`{package}` has no source of its own"));
                problem.hints = suggest::hints("", "packages", with.map(|recipe| recipe.name.as_str()));
                problems.push(problem);
            }
            Ok(_) => {}
        }
    }
}

fn archives(config: &Config, problems: &mut Vec<Diagnostic>) {
    for archive in config.matrix.archives.values() {
        let checks = archive.checks.iter().map(|named| (named, true));
        let others = archive.driver.iter().chain([&archive.package]).map(|named| (named, false));
        for ((package, at), check) in checks.chain(others) {
            match config.recipe(package.as_str()) {
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
}

fn release_sets(config: &Config, problems: &mut Vec<Diagnostic>) {
    for (set, release_set) in &config.matrix.release_sets {
        for (package, (version, at)) in &release_set.versions {
            let at_set = |why: String| at.error(format!("release set `{set}`: {why}"));
            match config.recipe(package.as_str()) {
                Err(problem) => problems.push(Diagnostic { hints: problem.hints, ..at_set(problem.message) }),
                Ok(recipe) if recipe.release(version).is_none() => {
                    let mut problem = at_set(format!("the recipe of `{package}` has no version {version}"));
                    problem.hints = version_hints(recipe, version.as_str());
                    problems.push(problem);
                }
                Ok(_) => {}
            }
        }
    }
}

// Names in targets and defaults, as written in each file.
fn mentions(config: &Config, problems: &mut Vec<Diagnostic>) {
    for mention in &config.matrix.mentions {
        match config.recipe(&mention.at.text) {
            Err(problem) => problems.push(placed(&mention.at, problem)),
            Ok(recipe) if mention.check && !recipe.check => {
                problems.push(mention.at.error(format!("`{}` is not a check", recipe.name)));
            }
            Ok(_) => {}
        }
    }
}

// Names that depend on the target are checked when the plan knows them.
fn host_tools(config: &Config, problems: &mut Vec<Diagnostic>) {
    let names: Vec<&str> = config.host_tools.tools.iter().map(|tool| tool.name.as_str()).collect();
    let recipes = config.recipes.values();
    let used = recipes.flat_map(|recipe| recipe.tools.iter().chain(recipe.snapshot.iter().flat_map(|it| &it.tools)));
    let used = used.filter(|tool| !tool.text.contains("{{") && !tool.text.contains("{%"));
    for tool in used.filter(|tool| !names.contains(&tool.text.as_str())) {
        let mut problem = tool.error(format!("unknown host tool `{}`", tool.text));
        problem.hints = suggest::hints(&tool.text, "host tools", names.iter().copied());
        problems.push(problem);
    }
}

// A version pinned by a target must exist, and the target must be allowed to choose it.
fn pins(config: &Config, target: &Target, problems: &mut Vec<Diagnostic>) {
    let owner = config.matrix.targets.get(&target.toolchain).unwrap_or(target);
    for (package, pin) in target.pins.iter().filter(|(_, pin)| pin.own) {
        let at_pin = |why: String| pin.at.error(format!("target `{}`: {why}", target.name));
        match config.recipe(package.as_str()) {
            Err(problem) => problems.push(Diagnostic { hints: problem.hints, ..at_pin(problem.message) }),
            Ok(recipe) if recipe.release(&pin.version).is_none() => {
                let mut problem = at_pin(format!("the recipe of `{package}` has no version {}", pin.version));
                problem.hints = version_hints(recipe, pin.version.as_str());
                problems.push(problem);
            }
            Ok(recipe) if recipe.per == Per::Host => {
                let problem = at_pin(format!("`{package}` is built once for all targets"));
                problems.push(problem.hint("choose its version for the whole run: `[defaults]` `with`, or `--with`"));
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

// Adds a location to a problem.
fn placed(at: &Placed, problem: Diagnostic) -> Diagnostic {
    Diagnostic { hints: problem.hints, ..at.error(problem.message) }
}
