//! The finished results. A result exists completely or not at all: it is built beside the store's
//! tree and published by one rename.
//!
//! ```text
//! STORE/
//!   cache/            downloads, by digest (the source layer's)
//!   sources/KEY/      unpacked and patched trees, read-only: tree/, manifest.json
//!   stages/KEY/       results: tree/, logs/, stage.json, manifest.json; damaged.json if `verify` found damage
//!   work/KEY/         build trees of stages that run or were stopped
//!   locks/KEY         one file each, locked while a process works on KEY; KEY.lease.N beside it on network file systems
//!   names/            the last key of each stage name, for logs and explanations
//!   runs/RUN/         event logs
//!   ccache/           the compiler cache, if a build uses one
//!   results/…         links to the newest results, for people
//!   times.json        durations of stages on this machine
//!   in-use            locked by runs, so that `gc` removes nothing beside them
//! ```
//!
//! A result that cannot be read is neither missing nor damaged: it is an error that names its owner.

pub mod entry;
pub mod gc;
pub mod history;
pub mod lease;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod sources;
pub mod space;

use crate::base::{Diagnose, Key, access, files};
use nix::unistd::{AccessFlags, eaccess};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use entry::{Record, Stored};
use lease::Leases;
pub use lock::Lock;

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the error names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store's path has characters that make and the shell split or expand.
    #[error("the store's path `{path}` has a character that make cannot handle{}", through(.path, .named))]
    Path {
        /// The path, without symbolic links.
        path: PathBuf,
        /// The path as it was named.
        named: PathBuf,
    },
    /// The directory cannot be written.
    #[error("the store `{path}` cannot be written")]
    ReadOnly {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A run uses the store, so nothing can be removed from it.
    #[error("a run on this store has not ended")]
    InUse,
    /// Another machine has taken over the lock of a stage.
    #[error("another machine has taken over this stage: this one did not renew its lease for a minute")]
    LeaseLost,
    /// A manifest was written by a later crossmill.
    #[error("`{path}` was written by a later crossmill (form {schema})")]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its form.
        schema: u32,
    },
    /// A result contains something other than files, links and directories.
    #[error("`{name}` in the result is a named pipe, a socket or a device")]
    Special {
        /// Its path in the result.
        name: String,
    },
    /// Nothing of this name or key is in the store.
    #[error("the store has no result `{name}`")]
    Unknown {
        /// As it was named.
        name: String,
        /// Names that the store has.
        near: Vec<String>,
    },
    /// A finished result is not as it was published.
    #[error("the stored result `{path}` is damaged: {why}")]
    Corrupt {
        /// The entry.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A note about a stage was cut short, or written by another version.
    #[error("`{path}` cannot be understood: {why}")]
    Note {
        /// The file.
        path: PathBuf,
        /// The message of the parser.
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
        /// The free space, formatted.
        free: String,
        /// The required space, formatted.
        needed: String,
    },
}

fn through(path: &Path, named: &Path) -> String {
    if path == named { String::new() } else { format!(" (`{}` is a link to it)", named.display()) }
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io(error) => access::hints(error),
            Self::Path { .. } => {
                vec!["choose another with `--store DIR`: letters, digits and `/ . _ + -` are safe".into()]
            }
            Self::ReadOnly { source, .. } => {
                let mut hints = access::hints(source);
                hints.push("choose another with `--store DIR` or CROSSMILL_STORE".into());
                hints
            }
            Self::InUse => vec!["run the same command again when it has ended".into()],
            Self::LeaseLost => vec![
                "the process was stopped, or the file server did not answer; the same command takes what the other machine builds"
                    .into(),
            ],
            Self::Newer { .. } => vec!["use that crossmill, or another store with `--store DIR`".into()],
            Self::Special { .. } => vec!["let the recipe's install step remove it".into()],
            Self::Unknown { name, near } => {
                crate::base::suggest::hints(name, "results", near.iter().map(String::as_str))
            }
            Self::Corrupt { .. } => vec![
                "the next build that needs it makes it again; `crossmill store repair` removes every damaged result"
                    .into(),
            ],
            Self::Note { .. } => {
                vec!["the next build of the stage writes it again; its result and its logs are not affected".into()]
            }
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

/// The store's directories.
const DIRS: [&str; 8] = ["cache", "sources", "stages", "work", "locks", "names", "runs", "results"];

/// A directory of finished results. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<Path>,
    // Locks between machines, where the file system needs them.
    leases: Option<Arc<Leases>>,
    // Why nothing can be written, where that is so.
    refusal: Option<Arc<io::Error>>,
}

impl Store {
    /// Opens the store and creates what is missing of it. One that cannot be written is opened for reading.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
        // Programs that ask for their directory see the path without links.
        for path in [root.clone(), real_path(&root)?] {
            if !path.to_str().is_some_and(|text| text.chars().all(plain)) {
                return Err(Error::Path { path, named: root });
            }
        }
        match prepare(&root) {
            Ok(()) => Ok(Self { leases: Leases::of(&root)?.map(Arc::new), root: root.into(), refusal: None }),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(Error::Io(error)),
            Err(error) if root.join("stages").is_dir() => {
                Ok(Self { root: root.into(), leases: None, refusal: Some(Arc::new(error)) })
            }
            Err(source) => Err(Error::ReadOnly { path: root, source }),
        }
    }

    /// Refuses a store that was opened for reading only.
    pub fn writable(&self) -> Result<(), Error> {
        match &self.refusal {
            None => Ok(()),
            Some(why) => Err(Error::ReadOnly {
                path: self.root.to_path_buf(),
                source: io::Error::new(why.kind(), why.to_string()),
            }),
        }
    }

    /// Returns whether the store can be written.
    pub fn is_writable(&self) -> bool {
        self.refusal.is_none()
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the source layer keeps downloads.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Returns where a source tree is or will be.
    pub fn source_dir(&self, key: &Key) -> PathBuf {
        self.root.join("sources").join(key.to_string())
    }

    /// Returns where a stage's entry is or will be.
    pub fn stage_dir(&self, key: &Key) -> PathBuf {
        self.root.join("stages").join(key.to_string())
    }

    /// Returns where a stage is built.
    pub fn work_dir(&self, key: &Key) -> PathBuf {
        self.root.join("work").join(key.to_string())
    }

    /// Returns where a run keeps its event log.
    pub fn run_dir(&self, run: &str) -> PathBuf {
        self.root.join("runs").join(run)
    }

    /// Moves `dir` out of sight and removes it, so that it is never seen half-removed.
    fn remove(&self, dir: &Path) -> Result<(), Error> {
        let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        let aside = self.root.join("work").join(format!("{name}.discarded"));
        files::remove_tree(&aside)?;
        make_movable(dir)?;
        match fs_err::rename(dir, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        Ok(files::remove_tree(&aside)?)
    }
}

// A directory can only change its parent while it can be written.
fn make_movable(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs_err::symlink_metadata(dir) {
        Ok(meta) if meta.is_dir() && meta.permissions().mode() & 0o200 == 0 => {
            fs_err::set_permissions(dir, std::fs::Permissions::from_mode(meta.permissions().mode() | 0o700))
        }
        _ => Ok(()),
    }
}

fn prepare(root: &Path) -> io::Result<()> {
    for dir in DIRS.map(|name| root.join(name)) {
        fs_err::create_dir_all(&dir)?;
        eaccess(&dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| {
            let error = io::Error::from(errno);
            io::Error::new(error.kind(), format!("failed to write to `{}`: {error}", dir.display()))
        })?;
    }
    // Access can be granted on a disk that takes no writes.
    let refused =
        |error: io::Error| io::Error::new(error.kind(), format!("failed to write to `{}`: {error}", root.display()));
    files::temporary(root).map_err(refused)?.close().map_err(refused)
}

// The path without symbolic links, as far as it exists.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    for known in path.ancestors() {
        match fs_err::canonicalize(known) {
            Ok(real) if known == path => return Ok(real),
            Ok(real) => return Ok(real.join(path.strip_prefix(known).unwrap_or(Path::new("")))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Creating it gives a better error message.
            Err(_) => return Ok(path.to_owned()),
        }
    }
    Ok(path.to_owned())
}
