//! What of a machine is in keys. Machines of one image have the same facts: nothing here is a path, a time or a number of
//! one machine alone.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The properties of a machine that planning needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// The processor architecture, as in GNU triples: `x86_64`.
    pub arch: String,
    /// Identity of each host tool that is part of keys: `gcc (Debian …) 12.2.0`.
    pub tools: BTreeMap<String, String>,
    /// Identity of this program: a check that crossmill itself performs is repeated by another
    /// version.
    pub crossmill: String,
}

/// One of the facts of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The processor architecture.
    Arch,
    /// A host tool, by its name.
    Tool(String),
    /// This program.
    Crossmill,
}

impl Fact {
    /// Returns its name for people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Arch => "architecture",
            Self::Tool(name) => name,
            Self::Crossmill => "crossmill",
        }
    }
}

impl HostFacts {
    /// Returns a fact; `None` for a tool that the machine lacks.
    #[must_use]
    pub fn get(&self, fact: &Fact) -> Option<&str> {
        match fact {
            Fact::Arch => Some(&self.arch),
            Fact::Tool(name) => self.tools.get(name).map(String::as_str),
            Fact::Crossmill => Some(&self.crossmill),
        }
    }

    /// Returns these facts with one of another machine's.
    #[must_use]
    pub fn with(&self, fact: &Fact, other: &Self) -> Self {
        let mut facts = self.clone();
        match fact {
            Fact::Arch => facts.arch.clone_from(&other.arch),
            Fact::Crossmill => facts.crossmill.clone_from(&other.crossmill),
            Fact::Tool(name) => match other.tools.get(name) {
                Some(identity) => drop(facts.tools.insert(name.clone(), identity.clone())),
                None => drop(facts.tools.remove(name)),
            },
        }
        facts
    }

    /// Returns the facts in which two machines differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Fact> {
        let names: BTreeSet<&String> = self.tools.keys().chain(other.tools.keys()).collect();
        let tools = names.into_iter().map(|name| Fact::Tool(name.clone()));
        let all = [Fact::Arch].into_iter().chain(tools).chain([Fact::Crossmill]);
        all.filter(|fact| self.get(fact) != other.get(fact)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(tools: &[(&str, &str)]) -> HostFacts {
        let tools = tools.iter().map(|(name, identity)| ((*name).to_owned(), (*identity).to_owned())).collect();
        HostFacts { arch: "x86_64".into(), tools, crossmill: "1".into() }
    }

    #[test]
    fn with_every_difference_taken_over_nothing_differs() {
        let here = facts(&[("cc", "gcc 12"), ("ld", "ld 2.40"), ("clang", "clang 14")]);
        let there =
            HostFacts { arch: "aarch64".into(), ..facts(&[("cc", "gcc 14"), ("ld", "ld 2.40"), ("xz", "5.4")]) };
        let differences = here.differences(&there);
        let tool = |name: &str| Fact::Tool(name.to_owned());
        assert_eq!(differences, [Fact::Arch, tool("cc"), tool("clang"), tool("xz")]);
        let all = differences.iter().fold(here.clone(), |facts, fact| facts.with(fact, &there));
        assert_eq!(all, there);
        assert!(there.differences(&all).is_empty());
    }
}
