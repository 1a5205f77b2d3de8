//! What is finished. A result is there whole or not at all: it is made beside
//! the store's tree and published by one rename.
//!
//! ```text
//! STORE/
//!   cache/            downloads, by digest (the source layer's)
//!   sources/KEY/      unpacked and patched trees, read-only
//!   stages/KEY/       results: tree/, logs/, stage.json, manifest.json
//!   work/KEY/         build trees of stages that run or were stopped
//!   locks/KEY         one file each, locked while a process works on KEY
//!   names/            the last key of each stage name, for logs and explanations
//!   runs/RUN/         event logs
//!   ccache/           what a compiler cache remembers, if a build was told to use one
//!   results/…         links to the newest results, for people
//!   times.json        how long stages took here
//! ```

pub mod entry;
pub mod history;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod space;

use crate::base::{Diagnose, Key, files};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use entry::{Record, Stored};
pub use lock::Lock;

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the error names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store's path has characters that make and the shell split or expand.
    #[error("the store's path `{path}` has a character that make cannot handle")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The directory cannot be written.
    #[error("the store `{path}` cannot be written")]
    ReadOnly {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A finished result is not as it was published.
    #[error("the stored result `{path}` is damaged: {why}")]
    Corrupt {
        /// The entry.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file the steps should have left is missing.
    #[error("the steps ended without an error but left no `{file}`")]
    Missing {
        /// Which.
        file: String,
    },
    /// There is less room than the run needs.
    #[error("{path} has {free} free, this run needs about {needed}")]
    Space {
        /// The file system's path.
        path: PathBuf,
        /// What is free, for people.
        free: String,
        /// What is needed, for people.
        needed: String,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                vec!["free some space and run the same command again: what is finished is kept".into()]
            }
            Self::Io(_) => Vec::new(),
            Self::Path { .. } => {
                vec!["choose another with `--store DIR`: letters, digits and `/ . _ + -` are safe".into()]
            }
            Self::ReadOnly { .. } => vec!["choose another with `--store DIR` or CROSSMILL_STORE".into()],
            Self::Corrupt { .. } => vec!["the next build replaces it".into()],
            Self::Missing { .. } => {
                vec!["the recipe's `[result]` lists it: its install step and that list disagree".into()]
            }
            Self::Space { .. } => vec![
                "free some space, or choose another place with `--store DIR`".into(),
                "`--ignore-space` starts anyway: what gets finished is kept".into(),
            ],
        }
    }
}

/// A directory of finished results. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<Path>,
}

impl Store {
    /// Opens the store, making what is missing of it.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
        if !root.to_str().is_some_and(|text| text.chars().all(plain)) {
            return Err(Error::Path { path: root });
        }
        let store = Self { root: root.as_path().into() };
        for dir in ["cache", "sources", "stages", "work", "locks", "names", "runs", "results"] {
            fs_err::create_dir_all(root.join(dir)).map_err(|source| Error::ReadOnly { path: root.clone(), source })?;
        }
        // Making a directory that exists succeeds on a read-only disk.
        tempfile::tempfile_in(&root).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull => Error::Io(source),
            _ => Error::ReadOnly { path: root.clone(), source },
        })?;
        Ok(store)
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the source layer keeps downloads.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Where a source tree is or will be.
    pub fn source_dir(&self, key: &Key) -> PathBuf {
        self.root.join("sources").join(key.to_string())
    }

    /// Where a stage's entry is or will be.
    pub fn stage_dir(&self, key: &Key) -> PathBuf {
        self.root.join("stages").join(key.to_string())
    }

    /// Where a stage is built.
    pub fn work_dir(&self, key: &Key) -> PathBuf {
        self.root.join("work").join(key.to_string())
    }

    /// Where a run keeps its event log.
    pub fn run_dir(&self, run: &str) -> PathBuf {
        self.root.join("runs").join(run)
    }

    /// Whether a source tree is there.
    pub fn has_source(&self, key: &Key) -> bool {
        self.source_dir(key).join("tree").is_dir()
    }

    /// Publishes `made`, a directory on the same file system, as a source tree.
    pub fn publish_source(&self, key: &Key, made: &Path) -> Result<PathBuf, Error> {
        let dir = self.source_dir(key);
        files::remove_tree(&dir)?;
        fs_err::rename(made, &dir)?;
        Ok(dir.join("tree"))
    }
}
