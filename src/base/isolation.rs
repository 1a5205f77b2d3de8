//! Degree of isolation of a stage's steps from the rest of the machine.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A part of the isolation, each with its own kernel mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// A mount namespace: everything but the work directory is read-only, `/tmp` is private.
    ReadOnlyView,
    /// A network namespace without interfaces.
    Network,
    /// A process-id namespace: no process outlives the step, not even after `kill -9`.
    Processes,
    /// Landlock: files, TCP, signals and abstract sockets, for root as well.
    Landlock,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Self; 4] = [Self::ReadOnlyView, Self::Network, Self::Processes, Self::Landlock];

    /// Returns what a step gets from it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnlyView => "read-only view",
            Self::Network => "network isolation",
            Self::Processes => "private process ids",
            Self::Landlock => "Landlock",
        }
    }
}

/// Degree of isolation of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Every mechanism.
    Full,
    /// Some are missing.
    Partial,
    /// The kernel offers none to this user.
    None,
    /// Not asked for.
    Off,
}

/// The isolation in which a result was built, as recorded beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The level.
    pub state: State,
    /// Unavailable mechanisms, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<Mechanism, String>,
}

impl Isolation {
    /// Not asked for.
    pub fn off() -> Self {
        Self { state: State::Off, missing: BTreeMap::new() }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<&str> = self.missing.values().map(String::as_str).collect();
        reasons.dedup();
        match self.state {
            State::Full => {
                let all: Vec<_> = Mechanism::ALL.iter().map(|mechanism| mechanism.as_str()).collect();
                write!(f, "full: {}", all.join(", "))
            }
            State::Off => write!(f, "off"),
            State::None => write!(f, "none: {}", reasons.join("; ")),
            State::Partial => {
                reasons.sort_unstable();
                reasons.dedup();
                let groups = reasons.iter().map(|reason| {
                    let missing = self.missing.iter().filter(|(_, why)| why == reason);
                    let names: Vec<_> = missing.map(|(mechanism, _)| mechanism.as_str()).collect();
                    format!("without {}: {reason}", names.join(", "))
                });
                write!(f, "partial: {}", groups.collect::<Vec<_>>().join("; "))
            }
        }
    }
}
