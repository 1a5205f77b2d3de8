//! The instance of a recipe: `host`, a toolchain or a target.

use crate::base::TargetName;
use crate::config::matrix::{Matrix, Target};
use crate::config::recipe::Per;

/// The instance that a stage is built for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instance {
    /// This machine.
    Host,
    /// The toolchain that this target owns.
    Toolchain(TargetName),
    /// This target.
    Target(TargetName),
}

impl Instance {
    /// Returns the instance of a recipe that `self` needs.
    pub fn of(&self, per: Per, matrix: &Matrix) -> Option<Self> {
        match (per, self) {
            (Per::Host, _) => Some(Self::Host),
            (Per::Toolchain, Self::Toolchain(_)) | (Per::Target, Self::Target(_)) => Some(self.clone()),
            (Per::Toolchain, Self::Target(name)) => {
                matrix.targets.get(name).map(|target| Self::Toolchain(target.toolchain.clone()))
            }
            // A stage shared by several targets cannot need one that is built for a single target.
            (Per::Toolchain, Self::Host) | (Per::Target, Self::Host | Self::Toolchain(_)) => None,
        }
    }

    /// Returns the scope: the first half of a stage's name.
    pub fn scope(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::Toolchain(name) | Self::Target(name) => name.as_str(),
        }
    }

    /// Returns the target whose options and settings apply: for a toolchain its owner.
    pub fn target<'a>(&self, matrix: &'a Matrix) -> Option<&'a Target> {
        match self {
            Self::Host => None,
            Self::Toolchain(name) | Self::Target(name) => matrix.targets.get(name),
        }
    }
}
