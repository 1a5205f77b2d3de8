//! The shape of the target matrix, exactly as written. Every table denies
//! unknown keys. Nothing here is trusted: [`super::matrix`] and
//! [`super::recipe`] turn it into what the rest of the program sees.

use super::file::{Placed, SourceFile};
use super::version_range::VersionRange;
use crate::base::{PackageName, TargetName, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A string and where it stands in its file.
pub type Text = Spanned<String>;

/// `targets.toml`, and a user's `crossmill.toml` that lies over it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawMatrix {
    /// The version of this format; 1.
    pub schema: Option<u32>,
    /// More recipe directories, relative to the file.
    #[serde(default)]
    pub recipes: Vec<String>,
    /// What is taken when the command line says nothing.
    #[serde(default)]
    pub defaults: RawDefaults,
    /// The environment of every step, and nothing else of the caller's.
    #[serde(default)]
    pub environment: BTreeMap<Text, Text>,
    /// Switches that recipes read and profiles, overlays and `--set` turn.
    #[serde(default)]
    pub setting: BTreeMap<Text, RawSetting>,
    /// What is known of targets for their checks: declared here, given by each target.
    #[serde(default)]
    pub fact: BTreeMap<Text, RawFact>,
    /// Named sets of settings.
    #[serde(default)]
    pub profile: BTreeMap<Text, RawProfile>,
    /// Named sets of versions.
    #[serde(default)]
    pub release_set: BTreeMap<Text, RawReleaseSet>,
    /// What `crossmill package` makes archives of.
    #[serde(default)]
    pub archive: BTreeMap<Text, RawArchive>,
    /// Named lists of targets, beside the tiers.
    #[serde(default)]
    pub group: BTreeMap<Text, Vec<Spanned<TargetName>>>,
    /// The targets.
    #[serde(default)]
    pub target: BTreeMap<Spanned<TargetName>, RawTarget>,
    /// Targets known by name that cannot be built, and why.
    #[serde(default)]
    pub not_built: BTreeMap<Spanned<TargetName>, RawNotBuilt>,
}

/// `[defaults]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawDefaults {
    /// `--profile`
    pub profile: Option<Text>,
    /// `--release-set`
    pub release_set: Option<Text>,
    /// What `crossmill build TARGET` builds.
    pub packages: Option<Vec<Spanned<PackageName>>>,
    /// `-j`
    pub jobs: Option<usize>,
    /// `--store`
    pub store: Option<String>,
    /// `--debian-mirror`
    pub debian_mirror: Option<String>,
    /// `--set`
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// `--with`
    #[serde(default)]
    pub with: BTreeMap<Spanned<PackageName>, Spanned<Version>>,
}

/// `[setting.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSetting {
    /// What it does.
    pub summary: String,
    /// Its value unless something turns it; its type is the setting's.
    pub default: Spanned<toml::Value>,
    /// The values a string setting may have.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// `[fact.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawFact {
    /// What it says of a target.
    pub summary: String,
    /// What holds for a target that does not give it.
    #[serde(default)]
    pub default: String,
}

/// `[profile.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawProfile {
    /// What it is for.
    pub summary: String,
    /// The settings it turns.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
}

/// `[release-set.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawReleaseSet {
    /// What it is for.
    pub summary: String,
    /// Package = version; a version may be a prefix (`7.2` takes the newest 7.2.x).
    pub versions: BTreeMap<Spanned<PackageName>, Spanned<Version>>,
}

/// `[archive.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawArchive {
    /// What it is for.
    pub summary: String,
    /// The package whose result it holds.
    pub package: Spanned<PackageName>,
    /// The archive's name and that of the directory in it (a template).
    pub name: Text,
    /// The settings that its package needs.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// Checks without which it is not given out.
    #[serde(default)]
    pub checks: Vec<Spanned<PackageName>>,
}

/// `[target.NAME]`
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTarget {
    /// One line for people.
    pub summary: Option<String>,
    /// Take every field of this target that is not given here.
    pub inherits: Option<Spanned<TargetName>>,
    /// `primary`, `secondary` or `tertiary`, as in buildall.
    pub tier: Option<Text>,
    /// The GNU triple of the toolchain.
    pub triple: Option<Text>,
    /// Use this target's toolchain instead of building one; `host` is this machine's own compiler.
    pub toolchain: Option<Spanned<TargetName>>,
    /// The kernel's `ARCH`.
    pub arch: Option<Text>,
    /// Other names that people type for it; never inherited.
    #[serde(default)]
    pub aliases: Vec<Text>,
    /// The release set it is built from, where the usual one does not have it.
    pub release_set: Option<Text>,
    /// Versions of single packages that it is built from.
    #[serde(default)]
    pub with: BTreeMap<PackageName, RawPin>,
    /// How its kernel is built.
    pub kernel: Option<RawKernel>,
    /// Extra words for a package's configure or make, each with its reason.
    #[serde(default)]
    pub options: BTreeMap<Spanned<PackageName>, Vec<RawOption>>,
    /// Versions that this target needs.
    #[serde(default)]
    pub requires: Vec<RawRequires>,
    /// What is expected of each check: `pass` or `unsupported`.
    #[serde(default)]
    pub expect: BTreeMap<Spanned<PackageName>, Text>,
    /// Failures of checks that are known.
    #[serde(default)]
    pub known_failure: BTreeMap<Spanned<PackageName>, RawKnownFailure>,
    /// Values of declared facts.
    #[serde(default)]
    pub facts: BTreeMap<Text, Text>,
    /// Settings that this target turns whatever the profile says.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// What is peculiar about it beside options and versions.
    #[serde(default)]
    pub peculiarity: Vec<RawPeculiarity>,
    /// Remarks for people.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl RawTarget {
    /// Notes the places of what is looked at only when it lies among others.
    pub fn place(&mut self, file: &SourceFile) {
        for requires in &mut self.requires {
            let word = &requires.package;
            requires.at = Some(file.placed(&Spanned::new(word.span(), word.get_ref().to_string())));
        }
        for pin in self.with.values_mut() {
            let word = &pin.version;
            pin.at = Some(file.placed(&Spanned::new(word.span(), word.get_ref().to_string())));
        }
    }
}

/// A version in `[target.NAME]` `with`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct RawPin {
    /// The version.
    pub version: Spanned<Version>,
    /// Where it stands: a span alone forgets its file when targets are laid over each other.
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[[target.NAME.peculiarity]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawPeculiarity {
    /// What is different.
    pub what: String,
    /// Why.
    pub why: String,
    /// Who found out, or where it can be read.
    pub from: String,
    /// The versions that it holds for, by package.
    #[serde(default)]
    pub versions: BTreeMap<Spanned<PackageName>, VersionRange>,
}

/// `[target.NAME.kernel]`
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawKernel {
    /// The configuration target that a standard build starts from.
    pub defconfig: Option<Text>,
    /// Config fragments added to it, files of the recipe directory.
    pub fragments: Option<Vec<Text>>,
    /// Config fragments added to `tinyconfig` for a tiny kernel.
    pub tiny_fragments: Option<Vec<Text>>,
    /// The bootable image, relative to the build directory.
    pub image: Option<Text>,
    /// The make target that builds it.
    pub make_target: Option<Text>,
}

/// `[[target.NAME.options.PACKAGE]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawOption {
    /// The options.
    pub add: Vec<String>,
    /// Why this target needs them.
    pub why: String,
    /// Who found out.
    pub from: Option<String>,
    /// The package's versions that they hold for.
    pub versions: Option<VersionRange>,
}

/// `[target.NAME.known-failure.CHECK]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawKnownFailure {
    /// The cause, with its upstream reference.
    pub why: String,
    /// `2027-01-01`: from this day on it counts again.
    pub until: Option<Text>,
    /// The versions that have it, by package.
    #[serde(default)]
    pub versions: BTreeMap<Spanned<PackageName>, VersionRange>,
}

/// `[[target.NAME.requires]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRequires {
    /// Of which package.
    pub package: Spanned<PackageName>,
    /// Which versions work.
    pub versions: VersionRange,
    /// Why the others do not.
    pub why: String,
    /// Who found out.
    pub from: Option<String>,
    /// Where it stands, as [`RawPin::at`].
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[not-built.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawNotBuilt {
    /// Why not.
    pub why: String,
    /// The last versions that had it.
    #[serde(default)]
    pub last: BTreeMap<String, String>,
}
