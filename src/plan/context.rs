//! The variables of a recipe's templates. A recipe that is built once for all targets has no target
//! variables, so that it cannot depend on a target.

use super::host_facts::HostFacts;
use super::instance::Instance;
use super::request::Request;
use super::versions::Versions;
use crate::base::{PackageName, Version};
use crate::config::matrix::{Matrix, Target};
use crate::config::recipe::{Per, Recipe};
use crate::config::setting::Value as Setting;
use crate::config::template::{Renderer, map, placeholder};
use minijinja::Value;
use std::collections::BTreeMap;

/// The variable that expands to the path of this program.
pub const CROSSMILL: &str = "crossmill";

/// Returns the renderer of `recipe` for `instance` with the dependencies `deps`.
pub fn renderer(
    request: &Request,
    matrix: &Matrix,
    host: &HostFacts,
    recipe: &Recipe,
    instance: &Instance,
    versions: &Versions,
    deps: &[PackageName],
) -> Renderer {
    let mut variables: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: &str, value: Value| variables.insert(name.to_owned(), value);
    for place in ["source", "build", "dest", "files", "work", CROSSMILL] {
        add(place, Value::from(placeholder(place)));
    }
    // Earlier results must not determine what is built.
    if recipe.check {
        add("previous", Value::from(placeholder("previous")));
    }
    add("deps", map(deps.iter().map(|name| (name.to_string(), Value::from(placeholder(&format!("dep:{name}")))))));
    add("keys", map(deps.iter().map(|name| (name.to_string(), Value::from(placeholder(&format!("key:{name}")))))));
    add("package", Value::from(recipe.name.as_str()));
    add("profile", Value::from(request.profile.as_str()));
    add("version", Value::from(versions.get(recipe.source_package()).map(Version::as_str).unwrap_or_default()));
    add("versions", map(versions.iter().map(|(name, version)| (name.to_string(), Value::from(version.as_str())))));
    add("host", map([("arch", Value::from(host.arch.as_str()))]));
    let target = instance.target(matrix);
    add("options", texts(&options(target, recipe, versions)));
    let mut settings = request.settings.clone();
    for (name, value) in target.into_iter().flat_map(|target| &target.set) {
        if !request.fixed.contains(name) {
            settings.insert(name.clone(), value.clone());
        }
    }
    add("set", map(settings.into_iter().map(|(name, value)| (name, setting(&value)))));
    if let Some(target) = target {
        if recipe.per != Per::Host {
            add("toolchain", toolchain(target, matrix));
        }
        if recipe.per == Per::Target {
            add("target", target_value(target));
        }
    }
    Renderer::new(variables)
}

/// Returns the extra words that `target` gives to the package whose source `recipe` takes, those that apply to its
/// version.
pub fn options(target: Option<&Target>, recipe: &Recipe, versions: &Versions) -> Vec<String> {
    let version = versions.get(recipe.source_package());
    let given = target.and_then(|target| target.options.get(recipe.source_package())).into_iter().flatten();
    let holds = given.filter(|option| version.is_none_or(|version| option.versions.contains(version)));
    holds.flat_map(|option| option.add.clone()).collect()
}

fn texts(texts: &[String]) -> Value {
    texts.iter().map(|text| Value::from(text.as_str())).collect()
}

fn setting(value: &Setting) -> Value {
    match value {
        Setting::Switch(on) => Value::from(*on),
        Setting::Text(text) => Value::from(text.as_str()),
        Setting::List(items) => texts(items),
    }
}

fn toolchain(target: &Target, matrix: &Matrix) -> Value {
    let owner = matrix.targets.get(&target.toolchain).unwrap_or(target);
    map([
        ("name", Value::from(owner.name.as_str())),
        ("triple", Value::from(owner.triple.as_str())),
        ("host", Value::from(owner.host_toolchain)),
        ("cross", Value::from(if owner.host_toolchain { String::new() } else { format!("{}-", owner.triple) })),
        ("arch", Value::from(owner.arch.as_str())),
    ])
}

fn target_value(target: &Target) -> Value {
    let kernel = target.kernel.clone().unwrap_or_default();
    let kernel = map([
        ("defconfig", Value::from(kernel.defconfig)),
        ("fragments", texts(&kernel.fragments)),
        ("tiny_fragments", texts(&kernel.tiny_fragments)),
        ("image_name", Value::from(kernel.image.rsplit('/').next().unwrap_or_default())),
        ("image", Value::from(kernel.image.as_str())),
        ("make_target", Value::from(kernel.make_target)),
    ]);
    map([
        ("name", Value::from(target.name.as_str())),
        ("triple", Value::from(target.triple.as_str())),
        ("arch", Value::from(target.arch.as_str())),
        ("tier", Value::from(target.tier.as_str())),
        ("kernel", kernel),
        ("facts", map(target.facts.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))))),
    ])
}
