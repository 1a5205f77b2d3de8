//! The isolation of a step: a read-only file system except for its own directories, no network, a private `/tmp` and
//! its own process ids.
//!
//! Two layers, because neither is enough by itself. Namespaces make every other mount read-only and take the network
//! away, but root could mount again; Landlock forbids that, but lets `chmod` and `utimensat` through. Every path stays
//! where it is on the machine, so that results depend on no detour.
//!
//! Mechanisms that the kernel does not offer are found by [`support`] before the first step runs, reported, and left
//! out.

mod rules;
mod support;
mod view;

pub use crate::base::isolation::{Isolation, Mechanism};
pub(super) use support::probe_main;
pub use support::{Support, support};

use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

pub(super) use rules::Rules;
pub(super) use view::{enter, unshare};

/// The access of a step to the machine beyond reading.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The stage's directory: the only part of the file system that is not mounted read-only.
    pub work: PathBuf,
    /// Directories below `work` that the step may change; Landlock keeps it from the rest.
    pub own: Vec<PathBuf>,
    /// Directories whose existing files may be written, but in which nothing can be created: the logs, which
    /// `/dev/stderr` opens.
    pub logs: PathBuf,
    /// The directory that is seen as `/tmp`, `/var/tmp` and `/dev/shm`.
    pub scratch: PathBuf,
    /// Paths that stay visible should they be below a directory that `scratch` hides.
    pub visible: Vec<PathBuf>,
    /// Further directories and files that the recipe declares to write.
    pub write: Vec<PathBuf>,
    /// Devices that the recipe declares to use, beside the harmless ones.
    pub devices: Vec<PathBuf>,
    /// Whether the network is left as it is.
    pub network: bool,
}

/// Names what failed, since the system's error does not.
fn named<E: Into<io::Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    }
}
