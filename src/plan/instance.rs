//! What a stage is built for.

use crate::base::TargetName;
use crate::config::matrix::{Matrix, Target};
use crate::config::recipe::Per;

/// What a stage is built for.
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
    /// The instance of a recipe that `self` needs.
    pub fn of(&self, per: Per, matrix: &Matrix) -> Option<Self> {
        match (per, self) {
            (Per::Host, _) => Some(Self::Host),
            (Per::Toolchain, Self::Toolchain(_)) | (Per::Target, Self::Target(_)) => Some(self.clone()),
            (Per::Toolchain, Self::Target(name)) => {
                matrix.targets.get(name).map(|target| Self::Toolchain(target.toolchain.clone()))
            }
            // What serves several cannot need what is made for one.
            (Per::Toolchain, Self::Host) | (Per::Target, Self::Host | Self::Toolchain(_)) => None,
        }
    }

    /// The row of the table, and the first half of a stage's name.
    pub fn row(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::Toolchain(name) | Self::Target(name) => name.as_str(),
        }
    }

    /// The target whose options and settings hold: for a toolchain its owner.
    pub fn target<'a>(&self, matrix: &'a Matrix) -> Option<&'a Target> {
        match self {
            Self::Host => None,
            Self::Toolchain(name) | Self::Target(name) => matrix.targets.get(name),
        }
    }
}
