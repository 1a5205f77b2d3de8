//! Files to be checked, mapped into memory: a kernel with debug information is
//! larger than what should be copied.

use crate::base::{Diagnose, Diagnostic};
use std::path::{Path, PathBuf};

/// Why a file cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or mapped.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a directory, a pipe, …
    #[error("{path} is not a regular file")]
    Kind {
        /// What was given.
        path: PathBuf,
    },
}

impl Diagnose for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

/// A file's bytes.
#[derive(Debug)]
pub struct Input(Held);

#[derive(Debug)]
enum Held {
    Mapped(memmap2::Mmap),
    Read(Vec<u8>),
}

impl Input {
    /// Maps the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Read { path: path.to_owned(), source };
        let file = fs_err::File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::Kind { path: path.to_owned() });
        }
        // mmap refuses an empty file, which is a file to report like any other.
        if metadata.len() == 0 {
            return Ok(Self(Held::Read(Vec::new())));
        }
        // SAFETY: a file that somebody truncates while it is read ends this process with
        // SIGBUS; reading gigabytes into memory for that case would cost every other run.
        match unsafe { memmap2::Mmap::map(file.file()) } {
            Ok(map) => Ok(Self(Held::Mapped(map))),
            // Files of sysfs, such as a kernel's own BTF, cannot be mapped.
            Err(_) => fs_err::read(path).map(|bytes| Self(Held::Read(bytes))).map_err(fail),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Mapped(map) => map,
            Held::Read(bytes) => bytes,
        }
    }
}
