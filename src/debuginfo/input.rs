//! Files to be checked, mapped into memory: a kernel with debug information is
//! larger than what should be copied. Compressed files, as modules of
//! distributions are, are decompressed into memory.

use crate::base::{Diagnose, Diagnostic, decode};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes that a compressed file may unpack to: 4 GiB, the largest that 32-bit DWARF can describe.
const MOST_UNPACKED: u64 = 4 << 30;

/// Why a file cannot be read.
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
    /// It is compressed, and damaged or cut short.
    #[error("cannot decompress {path} ({compression})")]
    Compressed {
        /// The file.
        path: PathBuf,
        /// `xz`, `gzip`, `bzip2` or `zstd`.
        compression: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It unpacks to more than is read into memory.
    #[error("{path} ({compression}) unpacks to more than {most} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        compression: &'static str,
        /// The limit.
        most: u64,
    },
    /// It is a directory, a pipe, …
    #[error("{path} is not a regular file")]
    Kind {
        /// The rejected path.
        path: PathBuf,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::TooLarge { .. } => vec!["decompress it to a file and name that: files are not read whole".to_owned()],
            Self::Compressed { compression, path, .. } => {
                vec![format!("`{compression} -t {}` tests it too; download or build it again", path.display())]
            }
            Self::Read { .. } | Self::Kind { .. } => Vec::new(),
        }
    }
}

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
    Unpacked(Vec<u8>),
}

impl Input {
    /// Maps the file, or decompresses it. The compression is recognised by the first bytes, not by the name.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_within(path, MOST_UNPACKED)
    }

    fn open_within(path: &Path, most: u64) -> Result<Self, Error> {
        let plain = Self::open_as_stored(path)?;
        let Some(compression) = plain.bytes().get(..6).and_then(decode::compression) else { return Ok(plain) };
        let fail = |source| Error::Compressed { path: path.to_owned(), compression, source };
        let mut bytes = Vec::new();
        let reader = decode::decoder(plain.bytes()).map_err(fail)?;
        reader.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > most {
            return Err(Error::TooLarge { path: path.to_owned(), compression, most });
        }
        Ok(Self(Held::Unpacked(bytes)))
    }

    /// Returns whether the file on the disk is compressed: other programs may not read it.
    #[must_use]
    pub fn was_compressed(&self) -> bool {
        matches!(self.0, Held::Unpacked(_))
    }

    /// Maps the file and leaves it as it is, compressed or not.
    pub fn open_as_stored(path: &Path) -> Result<Self, Error> {
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

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Mapped(map) => map,
            Held::Read(bytes) | Held::Unpacked(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.ko.xz");
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&vec![0; 1 << 20]).unwrap();
        fs_err::write(&path, xz.finish().unwrap()).unwrap();
        assert_eq!(Input::open_within(&path, 1 << 20).unwrap().bytes().len(), 1 << 20);
        let error = Input::open_within(&path, (1 << 20) - 1).unwrap_err();
        assert!(matches!(error, Error::TooLarge { compression: "xz", .. }), "{error}");
    }
}
