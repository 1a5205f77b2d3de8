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

    /// Lets go of the memory behind a part of the bytes; what is not a part of them stays. They
    /// can be read as before, and come from the file again then.
    pub fn forget(&self, part: &[u8]) {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
        let Some(page) = page.and_then(|page| usize::try_from(page).ok()).filter(|page| *page > 0) else { return };
        let Held::Mapped(map) = &self.0 else { return };
        let start = (part.as_ptr() as usize).checked_sub(map.as_ptr() as usize);
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(part.len())?))) else { return };
        // Whole pages only: the others hold neighbours too.
        let (start, end) = (start.next_multiple_of(page), end / page * page);
        if end > map.len() || start >= end {
            return;
        }
        // SAFETY: the map is of a file, private and never written to, so what is dropped is
        // read from the file again. That it fails harms nothing: the memory stays.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
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
