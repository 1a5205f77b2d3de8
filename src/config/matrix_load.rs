//! Turns `targets.toml` and its overlays into the matrix. Values are checked against their
//! declarations, and all problems are reported, not only the first.

use super::expect;
use super::file::{SourceFile, unknown};
use super::matrix::{
    Defaults, ExtraOption, Fact, HOST, Kernel, Matrix, NotBuilt, Pin, Profile, Quirk, ReleaseSet, Requires, TIERS,
    Target,
};
use super::mentions;
use super::overlay;
use super::raw::{RawKernel, RawMatrix, RawTarget};
use super::setting::{Setting, Value};
use crate::base::{Diagnostic, PackageName, TargetName};
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

type RawGroups = BTreeMap<Spanned<String>, Vec<Spanned<TargetName>>>;

/// Facts that older versions had, with the present names.
const RENAMED_FACTS: [(&str, &str); 1] = [("btf_min_all", "btf_min_complete")];

/// The problems found so far.
pub(super) struct Loader {
    problems: Vec<Diagnostic>,
}

impl Matrix {
    /// Reads the base file and its overlays, in order. Every problem is reported, not only the first.
    pub fn load(files: &[SourceFile]) -> Result<Self, Vec<Diagnostic>> {
        let mut parsed = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            match file.parse() {
                Ok(raw) => parsed.push((file.clone(), raw)),
                Err(problem) => problems.push(problem),
            }
        }
        let matrix = Loader::load(parsed);
        match matrix {
            Ok(matrix) if problems.is_empty() => Ok(matrix),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }
}

impl Loader {
    /// Returns the matrix of `files`; the later ones override the earlier.
    pub fn load(files: Vec<(SourceFile, RawMatrix)>) -> Result<Matrix, Vec<Diagnostic>> {
        let mut loader = Self { problems: Vec::new() };
        let matrix = loader.all(files);
        if loader.problems.is_empty() { Ok(matrix) } else { Err(loader.problems) }
    }

    fn all(&mut self, files: Vec<(SourceFile, RawMatrix)>) -> Matrix {
        let mut matrix = Matrix {
            targets: BTreeMap::new(),
            not_built: BTreeMap::new(),
            groups: BTreeMap::new(),
            settings: BTreeMap::new(),
            facts: BTreeMap::new(),
            profiles: BTreeMap::new(),
            release_sets: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            archives: BTreeMap::new(),
            environment: BTreeMap::new(),
            defaults: Defaults::default(),
            mentions: Vec::new(),
        };
        let mut raw_targets: BTreeMap<TargetName, (RawTarget, SourceFile, std::ops::Range<usize>)> = BTreeMap::new();
        let mut groups = Vec::new();
        for (file, raw) in files {
            if raw.schema.is_some_and(|schema| schema != 1) {
                let message = Diagnostic::new(format!("{}: unsupported `schema`", file.path().display()));
                self.problems.push(message.hint("this crossmill reads `schema = 1`"));
            }
            self.settings_and_profiles(&mut matrix, &file, &raw);
            matrix.mentions.extend(mentions::of(&file, &raw));
            for (name, value) in &raw.environment {
                matrix.environment.insert(name.get_ref().clone(), value.get_ref().clone());
            }
            for (name, known) in raw.not_built {
                matrix.not_built.insert(name.into_inner(), NotBuilt { why: known.why, last: known.last });
            }
            for (name, mut target) in raw.target {
                target.place(&file);
                let span = name.span();
                let name = name.into_inner();
                let merged = match raw_targets.remove(&name) {
                    Some((below, _, _)) => overlay::target(&below, target),
                    None => target,
                };
                raw_targets.insert(name, (merged, file.clone(), span));
            }
            groups.push((file, raw.group));
        }
        for name in raw_targets.keys().cloned().collect::<Vec<_>>() {
            if let Some(target) = self.target(&name, &raw_targets, &matrix) {
                matrix.targets.insert(name, target);
            }
        }
        self.toolchains(&matrix, &raw_targets);
        self.aliases(&matrix, &raw_targets);
        self.groups(&mut matrix, groups);
        matrix
    }

    fn settings_and_profiles(&mut self, matrix: &mut Matrix, file: &SourceFile, raw: &RawMatrix) {
        for (name, setting) in &raw.setting {
            match Value::from_toml(setting.default.get_ref()) {
                Ok(default) => {
                    let declared =
                        Setting { summary: setting.summary.clone(), default, choices: setting.choices.clone() };
                    matrix.settings.insert(name.get_ref().clone(), declared);
                }
                Err(why) => self.problems.push(file.error(&setting.default, why)),
            }
        }
        for (name, fact) in &raw.fact {
            let declared = Fact { summary: fact.summary.clone(), default: fact.default.clone() };
            matrix.facts.insert(name.get_ref().clone(), declared);
        }
        for (name, profile) in &raw.profile {
            let set = self.values(matrix, file, &profile.set);
            matrix.profiles.insert(name.get_ref().clone(), Profile { summary: profile.summary.clone(), set });
        }
        for (name, set) in &raw.release_set {
            let versions = set
                .versions
                .iter()
                .map(|(package, version)| {
                    let text = Spanned::new(version.span(), version.get_ref().to_string());
                    (package.get_ref().clone(), (version.get_ref().clone(), file.placed(&text)))
                })
                .collect();
            matrix.release_sets.insert(name.get_ref().clone(), ReleaseSet { summary: set.summary.clone(), versions });
        }
        for (name, archive) in &raw.archive {
            let set = self.values(matrix, file, &archive.set);
            let archive = super::archive::parse(file, archive, set, &mut self.problems);
            matrix.archives.insert(name.get_ref().clone(), archive);
        }
        let defaults = &mut matrix.defaults;
        let given = &raw.defaults;
        if let Some(profile) = &given.profile {
            if !matrix.profiles.contains_key(profile.get_ref()) {
                let choices = matrix.profiles.keys().map(String::as_str);
                self.problems.push(unknown(file, profile, "profile", choices));
            }
            defaults.profile.clone_from(profile.get_ref());
        }
        if let Some(set) = &given.release_set {
            if !matrix.release_sets.contains_key(set.get_ref()) {
                let choices = matrix.release_sets.keys().map(String::as_str);
                self.problems.push(unknown(file, set, "release set", choices));
            }
            defaults.release_set.clone_from(set.get_ref());
        }
        if let Some(packages) = &given.packages {
            defaults.packages = packages.iter().map(|package| package.get_ref().clone()).collect();
        }
        defaults.jobs = given.jobs.or(defaults.jobs);
        defaults.store = given.store.clone().or(defaults.store.take());
        defaults.debian_mirror = given.debian_mirror.clone().or(defaults.debian_mirror.take());
        let cache = &mut defaults.cache;
        cache.from = raw.cache.from.clone().unwrap_or(std::mem::take(&mut cache.from));
        cache.to = raw.cache.to.clone().or(cache.to.take());
        cache.keys = raw.cache.keys.clone().unwrap_or(std::mem::take(&mut cache.keys));
        cache.sign_key = raw.cache.sign_key.clone().or(cache.sign_key.take());
        for (package, version) in &given.with {
            defaults.with.insert(package.get_ref().clone(), version.get_ref().clone());
        }
        let set = self.values(matrix, file, &given.set);
        matrix.defaults.set.extend(set);
    }

    fn values(
        &mut self,
        matrix: &Matrix,
        file: &SourceFile,
        given: &BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    ) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        for (name, value) in given {
            let Some(setting) = matrix.settings.get(name.get_ref()) else {
                self.problems.push(unknown(file, name, "setting", matrix.settings.keys().map(String::as_str)));
                continue;
            };
            let checked = Value::from_toml(value.get_ref())
                .map_err(|why| (why, Vec::new()))
                .and_then(|value| setting.check(&value).map(|()| value));
            match checked {
                Ok(value) => {
                    values.insert(name.get_ref().clone(), value);
                }
                Err((why, hints)) => {
                    let mut problem = file.error(value, format!("setting `{}`: {why}", name.get_ref()));
                    problem.hints = hints;
                    self.problems.push(problem);
                }
            }
        }
        values
    }

    fn target(
        &mut self,
        name: &TargetName,
        all: &BTreeMap<TargetName, (RawTarget, SourceFile, std::ops::Range<usize>)>,
        matrix: &Matrix,
    ) -> Option<Target> {
        let (own, file, span) = all.get(name)?;
        let at = Spanned::new(span.clone(), name.to_string());
        let mut raw = own.clone();
        let mut seen = BTreeSet::from([name.clone()]);
        while let Some(parent) = raw.inherits.take() {
            if !seen.insert(parent.get_ref().clone()) {
                self.problems.push(file.error(&at, format!("target `{name}` inherits from itself")));
                return None;
            }
            let Some((above, _, _)) = all.get(parent.get_ref()) else {
                let word = Spanned::new(parent.span(), parent.get_ref().to_string());
                self.problems.push(unknown(file, &word, "target", all.keys().map(TargetName::as_str)));
                return None;
            };
            raw = overlay::target(above, raw);
        }
        let mut missing = |key: &str, value: &Option<Spanned<String>>| match value {
            Some(value) => Some(value.get_ref().clone()),
            None => {
                let problem = file.error(&at, format!("target `{name}` lacks `{key}`"));
                self.problems.push(
                    problem.hint(format!("add `{key} = \"…\"`, or `inherits = \"…\"` from a target that has it")),
                );
                None
            }
        };
        let (tier, triple) = (missing("tier", &raw.tier), missing("triple", &raw.triple));
        let arch = missing("arch", &raw.arch);
        let (tier, triple, arch) = (tier?, triple?, arch?);
        if !is_triple(&triple)
            && let Some(word) = &raw.triple
        {
            let problem = file.error(word, format!("`{triple}` is not a GNU triple"));
            self.problems.push(problem.hint("it is written CPU-VENDOR-OS or CPU-OS, as `aarch64-linux-gnu`"));
        }
        if !TIERS.contains(&tier.as_str())
            && let Some(word) = &raw.tier
        {
            self.problems.push(unknown(file, word, "tier", TIERS));
        }
        let set = self.values(matrix, file, &raw.set);
        let expect = expect::words(file, &raw, &mut self.problems);
        let known_failures = expect::known_failures(file, &raw, &mut self.problems);
        let facts = self.facts(matrix, file, &raw);
        let pins = self.pins(matrix, file, &raw);
        Some(Target {
            name: name.clone(),
            summary: raw.summary.unwrap_or_default(),
            tier,
            triple,
            host_toolchain: raw.toolchain.as_ref().is_some_and(|owner| owner.get_ref().as_str() == HOST),
            toolchain: raw
                .toolchain
                .map(Spanned::into_inner)
                .filter(|owner| owner.as_str() != HOST)
                .unwrap_or_else(|| name.clone()),
            arch,
            aliases: own.aliases.iter().map(|alias| alias.get_ref().clone()).collect(),
            kernel: raw.kernel.as_ref().map(kernel),
            release_set: raw.release_set.map(Spanned::into_inner),
            pins,
            options: raw
                .options
                .into_iter()
                .map(|(package, options)| {
                    let options = options.into_iter().map(|option| ExtraOption {
                        add: option.add,
                        why: option.why,
                        from: option.from,
                        versions: option.versions.unwrap_or_default(),
                    });
                    (package.into_inner(), options.collect())
                })
                .collect(),
            requires: raw
                .requires
                .into_iter()
                .map(|requires| Requires {
                    package: requires.package.into_inner(),
                    versions: requires.versions,
                    why: requires.why,
                    from: requires.from,
                    at: requires.at.expect("noted when its file was read"),
                })
                .collect(),
            expect,
            known_failures,
            facts,
            set,
            quirks: raw
                .quirk
                .into_iter()
                .map(|quirk| Quirk {
                    what: quirk.what,
                    why: quirk.why,
                    from: quirk.from,
                    versions: quirk.versions.into_iter().map(|(name, range)| (name.into_inner(), range)).collect(),
                })
                .collect(),
            notes: raw.notes,
        })
    }

    fn facts(&mut self, matrix: &Matrix, file: &SourceFile, raw: &RawTarget) -> BTreeMap<String, String> {
        let mut facts: BTreeMap<_, _> =
            matrix.facts.iter().map(|(name, fact)| (name.clone(), fact.default.clone())).collect();
        for (name, value) in &raw.facts {
            if facts.insert(name.get_ref().clone(), value.get_ref().clone()).is_none() {
                let problem = match RENAMED_FACTS.iter().find(|(old, _)| old == name.get_ref()) {
                    Some((old, new)) => {
                        file.error(name, format!("the fact `{old}` was renamed")).hint(format!("use `{new}`"))
                    }
                    None => unknown(file, name, "fact", matrix.facts.keys().map(String::as_str)),
                };
                self.problems.push(problem);
            }
        }
        facts
    }

    // The target's own versions override those of its release set.
    fn pins(&mut self, matrix: &Matrix, file: &SourceFile, raw: &RawTarget) -> BTreeMap<PackageName, Pin> {
        let mut pins = BTreeMap::new();
        if let Some(name) = &raw.release_set {
            match matrix.release_sets.get(name.get_ref()) {
                Some(set) => pins.extend(set.versions.iter().map(|(package, (version, at))| {
                    (package.clone(), Pin { version: version.clone(), own: false, at: at.clone() })
                })),
                None => {
                    let choices = matrix.release_sets.keys().map(String::as_str);
                    self.problems.push(unknown(file, name, "release set", choices));
                }
            }
        }
        for (package, pin) in &raw.with {
            let at = pin.at.clone().expect("noted when its file was read");
            pins.insert(package.clone(), Pin { version: pin.version.get_ref().clone(), own: true, at });
        }
        pins
    }

    // Only the target that builds a toolchain can lend it.
    fn toolchains(
        &mut self,
        matrix: &Matrix,
        raw: &BTreeMap<TargetName, (RawTarget, SourceFile, std::ops::Range<usize>)>,
    ) {
        for target in matrix.targets.values().filter(|target| target.toolchain != target.name) {
            let Some((RawTarget { toolchain: Some(owner), .. }, file, _)) = raw.get(&target.name) else { continue };
            let word = Spanned::new(owner.span(), owner.get_ref().to_string());
            match matrix.targets.get(owner.get_ref()) {
                None => {
                    self.problems.push(unknown(file, &word, "target", matrix.targets.keys().map(TargetName::as_str)));
                }
                Some(lender) if lender.toolchain != lender.name => {
                    let message = format!("target `{}` has no toolchain of its own to share", lender.name);
                    self.problems.push(file.error(&word, message).hint(format!("name `{}` instead", lender.toolchain)));
                }
                Some(lender) if lender.triple != target.triple => {
                    let message = format!("`{}` cannot use a toolchain for `{}`", target.name, lender.triple);
                    self.problems
                        .push(file.error(&word, message).hint(format!("give it `triple = \"{}\"`", lender.triple)));
                }
                Some(_) => {}
            }
        }
    }

    // An alias belongs to one target and is not the name of another.
    fn aliases(
        &mut self,
        matrix: &Matrix,
        raw: &BTreeMap<TargetName, (RawTarget, SourceFile, std::ops::Range<usize>)>,
    ) {
        let mut owners: BTreeMap<&str, &TargetName> = matrix.targets.keys().map(|name| (name.as_str(), name)).collect();
        for (name, (target, file, _)) in raw {
            for alias in &target.aliases {
                if let Some(owner) = owners.insert(alias.get_ref(), name) {
                    let message = format!("alias `{}` of `{name}` is a name of `{owner}` already", alias.get_ref());
                    self.problems.push(file.error(alias, message));
                }
            }
        }
    }

    fn groups(&mut self, matrix: &mut Matrix, given: Vec<(SourceFile, RawGroups)>) {
        for tier in TIERS {
            let members = matrix.targets.values().filter(|target| target.tier == tier);
            matrix.groups.insert(tier.to_owned(), members.map(|target| target.name.clone()).collect());
        }
        matrix.groups.insert("all".to_owned(), matrix.targets.keys().cloned().collect());
        for (file, groups) in given {
            for (name, members) in groups {
                for member in &members {
                    if !matrix.targets.contains_key(member.get_ref()) {
                        let word = Spanned::new(member.span(), member.get_ref().to_string());
                        let choices = matrix.targets.keys().map(TargetName::as_str);
                        self.problems.push(unknown(&file, &word, "target", choices));
                    }
                }
                let members = members.into_iter().map(Spanned::into_inner).collect();
                matrix.groups.insert(name.into_inner(), members);
            }
        }
    }
}

fn kernel(raw: &RawKernel) -> Kernel {
    let one = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default();
    let many = |texts: &Option<Vec<Spanned<String>>>| {
        texts.iter().flatten().map(|text| text.get_ref().clone()).collect::<Vec<_>>()
    };
    Kernel {
        defconfig: one(&raw.defconfig),
        fragments: many(&raw.fragments),
        tiny_fragments: many(&raw.tiny_fragments),
        image: one(&raw.image),
        make_target: one(&raw.make_target),
    }
}

// A shape that config.sub may accept: two to four words. config.sub itself checks it when binutils is configured.
fn is_triple(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c))
    };
    (2..=4).contains(&text.split('-').count()) && text.split('-').all(word)
}
