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
pub struct Input(Option<memmap2::Mmap>);

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
            return Ok(Self(None));
        }
        // SAFETY: a file that somebody truncates while it is read ends this process with
        // SIGBUS; reading gigabytes into memory for that case would cost every other run.
        let map = unsafe { memmap2::Mmap::map(file.file()) }.map_err(fail)?;
        Ok(Self(Some(map)))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
