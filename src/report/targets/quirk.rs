//! Every difference of a target from the common case in one form: what, why,
//! the source, and the versions affected.

use crate::base::PackageName;
use crate::config::expect::KnownFailure;
use crate::config::matrix::Target;
use crate::config::version_range::VersionRange;
use std::collections::BTreeMap;

/// A quirk as rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirk {
    /// `gcc --disable-multilib`
    pub what: String,
    /// Why.
    pub why: String,
    /// Who found out; empty where the file has none.
    pub from: String,
    /// `gcc >=14`, or `all versions`; empty where `what` includes them.
    pub versions: String,
}

const ALL: &str = "all versions";

/// Returns all quirks of a target.
pub fn all(target: &Target) -> Vec<Quirk> {
    let mut found = Vec::new();
    for (package, options) in &target.options {
        found.extend(options.iter().map(|option| Quirk {
            what: format!("{package} {}", option.add.join(" ")),
            why: option.why.clone(),
            from: option.from.clone().unwrap_or_default(),
            versions: range(package, &option.versions),
        }));
    }
    found.extend(target.requires.iter().map(|requires| Quirk {
        what: format!("needs {} {}", requires.package, requires.versions),
        why: requires.why.clone(),
        from: requires.from.clone().unwrap_or_default(),
        versions: String::new(),
    }));
    found.extend(target.quirks.iter().map(|quirk| Quirk {
        what: quirk.what.clone(),
        why: quirk.why.clone(),
        from: quirk.from.clone(),
        versions: ranges(&quirk.versions),
    }));
    found.extend(target.known_failures.iter().map(|(check, known)| Quirk {
        what: format!("{check} is known to fail{}", until(known)),
        why: known.why.clone(),
        from: String::new(),
        versions: ranges(&known.versions),
    }));
    found
}

fn until(known: &KnownFailure) -> String {
    known.until.map(|day| format!(" until {day}")).unwrap_or_default()
}

fn range(package: &PackageName, versions: &VersionRange) -> String {
    let text = versions.to_string();
    if text.is_empty() { ALL.to_owned() } else { format!("{package} {text}") }
}

fn ranges(versions: &BTreeMap<PackageName, VersionRange>) -> String {
    if versions.is_empty() {
        return ALL.to_owned();
    }
    versions.iter().map(|(package, versions)| range(package, versions)).collect::<Vec<_>>().join("; ")
}
