//! All that differs in a target from what is common, in one form: what, why,
//! who found out, and the versions that it holds for.

use crate::base::PackageName;
use crate::config::expect::KnownFailure;
use crate::config::matrix::Target;
use crate::config::version_range::VersionRange;
use std::collections::BTreeMap;

/// One peculiarity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peculiar {
    /// `gcc --disable-multilib`
    pub what: String,
    /// Why.
    pub why: String,
    /// Who found out; empty where the file does not tell.
    pub from: String,
    /// `gcc >=14`, or `all versions`; empty where `what` tells.
    pub versions: String,
}

const ALL: &str = "all versions";

/// All of a target's.
pub fn all(target: &Target) -> Vec<Peculiar> {
    let mut found = Vec::new();
    for (package, options) in &target.options {
        found.extend(options.iter().map(|option| Peculiar {
            what: format!("{package} {}", option.add.join(" ")),
            why: option.why.clone(),
            from: option.from.clone().unwrap_or_default(),
            versions: range(package, &option.versions),
        }));
    }
    found.extend(target.requires.iter().map(|requires| Peculiar {
        what: format!("needs {} {}", requires.package, requires.versions),
        why: requires.why.clone(),
        from: requires.from.clone().unwrap_or_default(),
        versions: String::new(),
    }));
    found.extend(target.peculiarities.iter().map(|told| Peculiar {
        what: told.what.clone(),
        why: told.why.clone(),
        from: told.from.clone(),
        versions: ranges(&told.versions),
    }));
    found.extend(target.known_failures.iter().map(|(check, known)| Peculiar {
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
