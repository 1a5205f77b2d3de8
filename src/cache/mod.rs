//! A cache of finished stages that several machines share: a bucket, a server that takes PUT, a directory.
//!
//! Nothing that a cache returns is believed: a signature by a named key covers the digest of an entry, the entry the digests
//! of its objects, and the store's manifest every byte of the result. A cache that is slow, down or lying costs seconds and
//! no build. `README.md` beside this file describes the format.

mod circuit;
pub mod claim;
pub mod client;
mod codec;
pub mod divide;
pub mod entry;
pub mod gc;
pub mod layout;
pub mod pull;
pub mod push;
pub mod sources;
pub mod statement;
pub mod stats;
pub mod verify;

pub use client::{Caches, Client, Found, Writer};
pub use stats::Stats;

use crate::base::{Diagnose, Key, units};
use crate::remote::{self, minisign};
use crate::store;
use std::time::Duration;

/// What can go wrong with a cache.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place failed.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// A request took too long.
    #[error("{place}: no answer within {}", units::duration(*.after))]
    Slow {
        /// What was asked for.
        place: String,
        /// The limit.
        after: Duration,
    },
    /// The cache failed too often in this run.
    #[error("the cache {cache} is not used any more: {why}")]
    Off {
        /// The cache.
        cache: String,
        /// The last failure.
        why: String,
    },
    /// Content that is not what its digest promises.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The file.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Not signed by a key that is trusted.
    #[error("{what} is not trusted: {why}")]
    Untrusted {
        /// The file.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// An entry names an object that does not exist.
    #[error("{what} does not exist, though an entry needs it")]
    Missing {
        /// The object.
        what: String,
    },
    /// Two builds of one key differ.
    #[error("reproducibility fault: {0}")]
    Irreproducible(Box<Fault>),
    /// A result that cannot be stored in a cache.
    #[error("{stage} cannot be stored in a cache: {why}")]
    Unfit {
        /// The stage or its key.
        stage: String,
        /// Why.
        why: String,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] minisign::Error),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The options contradict each other, or lack one.
    #[error("{message}")]
    Options {
        /// The problem.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A task ended in a panic, which is a defect.
    #[error("internal error: a task panicked: {0}")]
    Defect(String),
}

/// Two builds of one key that differ.
#[derive(Debug)]
pub struct Fault {
    /// The stage.
    pub stage: String,
    /// Its key.
    pub key: Key,
    /// The digest of the result of this machine.
    pub ours: Key,
    /// That of the cache.
    pub theirs: Key,
    /// The number of the key that signed it.
    pub signer: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stage, key, ours, theirs, signer } = self;
        let (key, ours, theirs) = (key.short(), ours.short(), theirs.short());
        write!(
            f,
            "{stage} (key {key}) was built here with content {ours}, and the cache has {theirs}, signed by {signer}"
        )
    }
}

impl Error {
    /// Returns whether the place itself failed: it did not answer, or refused.
    fn is_outage(&self) -> bool {
        matches!(self, Self::Slow { .. })
            || matches!(self, Self::Remote(remote::Error::Place { .. } | remote::Error::Io(_)))
    }

    /// Returns whether the place answered with something other than what was stored.
    fn is_lie(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Untrusted { .. } | Self::Missing { .. })
    }
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Key(error) => return error.hints(),
            Self::Store(error) => return error.hints(),
            Self::Io(error) => return crate::base::access::hints(error),
            Self::Options { hint, .. } => hint,
            Self::Damaged { .. } | Self::Missing { .. } | Self::Untrusted { .. } => {
                "`crossmill cache verify URL --remove` removes what cannot be used"
            }
            Self::Irreproducible(_) => {
                "the cache keeps what it has; `crossmill package` lists files that are not the same when they are built again"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
