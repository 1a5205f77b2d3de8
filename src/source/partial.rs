//! A file on its way here: its bytes so far, their hash, and what the server
//! said about it, so that a later run goes on where this one stopped.

use super::cache::{self, blocking};
use super::{Error, tree};
use crate::base::{Sha256, secret};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The validators that show whether the server still has the same file (RFC 9110 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    /// Where the bytes came from.
    pub(super) url: String,
    /// `ETag`, as it was sent.
    pub(super) etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub(super) last_modified: Option<String>,
}

impl Validators {
    /// The validator for `If-Range`, which must not be a weak tag (RFC 9110 13.1.5).
    fn if_range(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// How a request may go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// From here, if the file is still the one with this validator.
    If(String),
    /// Continue here: the digest decides.
    Blindly,
}

#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: fs_err::File,
    hasher: sha2::Sha256,
    len: u64,
    validators: Validators,
    /// Whether bytes of an earlier attempt are in it.
    continued: bool,
}

impl Partial {
    /// Opens the existing part of `path` and hashes it.
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        blocking(move || {
            if let Some(dir) = path.parent() {
                fs_err::create_dir_all(dir)?;
            }
            let mut file = fs_err::OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            let mut hasher = sha2::Sha256::new();
            let mut buffer = vec![0; 4 * crate::base::decode::CHUNK];
            let mut len = 0;
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    count => {
                        hasher.update(buffer.get(..count).unwrap_or_default());
                        len += count as u64;
                    }
                }
            }
            let validators = cache::read_json(&note(&path))?.unwrap_or_default();
            Ok(Self { path, file, hasher, len, validators, continued: len > 0 })
        })
        .await
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the hash of the bytes so far.
    pub(super) fn digest(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Returns whether bytes of an earlier attempt are in it.
    pub(super) fn is_continued(&self) -> bool {
        self.continued
    }

    /// Returns how `url` may be asked for the rest. `None`: it must send everything.
    pub(super) fn resume(&self, url: &str, pinned: bool) -> Option<Resume> {
        if self.len == 0 {
            return None;
        }
        let same = self.validators.if_range().filter(|_| self.validators.url == secret::redact(url));
        match same {
            Some(validator) => Some(Resume::If(validator.to_owned())),
            // Another server's bytes of the same file are as good, if a digest verifies them.
            None => pinned.then_some(Resume::Blindly),
        }
    }

    /// The following bytes continue the existing part.
    pub(super) fn go_on(&mut self) {
        self.continued = true;
    }

    /// Forgets all bytes; what follows is the file from its beginning.
    pub(super) fn restart(&mut self, validators: Validators) -> Result<(), Error> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher = sha2::Sha256::new();
        self.len = 0;
        self.continued = false;
        cache::write_json(&note(&self.path), &validators)?;
        self.validators = validators;
        Ok(())
    }

    /// Appends bytes as they arrive, so that nothing is lost when the task is dropped.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| tree::disk(error, &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// Deletes a partial file and its note.
pub(super) fn discard(path: &Path) -> Result<(), Error> {
    cache::remove(path)?;
    cache::remove(&note(path))
}

/// Deletes the note alone, when the file has become a blob.
pub(super) fn discard_note(path: &Path) -> Result<(), Error> {
    cache::remove(&note(path))
}

fn note(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}
