//! Removes results that no run needs any more.

use super::entry::Record;
use super::lock::open_lock;
use super::{Error, Store};
use crate::base::{Key, StageName, files};
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A result, a source tree or an unfinished build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `result`, `source` or `unfinished`.
    pub kind: &'static str,
    /// Its key.
    pub key: Key,
    /// The stage's name, for a result whose record can be read.
    pub name: Option<StageName>,
    /// The bytes of its files.
    pub bytes: u64,
}

/// The kinds of contents, and where each is.
const KINDS: [(&str, &str); 3] = [("result", "stages"), ("source", "sources"), ("unfinished", "work")];

impl Content {
    fn path(&self, root: &Path) -> PathBuf {
        let dir = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("work", |(_, dir)| dir);
        root.join(dir).join(self.key.to_string())
    }
}

impl Store {
    /// Marks the store as used by a run as long as the file is open; `None` where nothing can be written.
    /// Waits while another process removes unused results.
    pub fn use_it(&self) -> Result<Option<File>, Error> {
        if !self.is_writable() {
            return Ok(None);
        }
        let file = open_lock(&self.root().join("in-use"))?;
        file.lock_shared()?;
        Ok(Some(file))
    }

    /// Removes every result, source tree and unfinished build whose key is not in `keep`, and returns what it
    /// removed. With `dry_run` it only returns it. Refuses while a run uses the store.
    pub fn gc(&self, keep: &BTreeSet<Key>, dry_run: bool) -> Result<Vec<Content>, Error> {
        let _alone = if dry_run { None } else { Some(self.use_alone()?) };
        let mut removed = Vec::new();
        for unused in self.contents()?.into_iter().filter(|content| !keep.contains(&content.key)) {
            if !dry_run {
                let Ok(_lock) = self.try_lock(&unused.key)? else { continue };
                self.remove(&unused.path(self.root()))?;
            }
            removed.push(unused);
        }
        Ok(removed)
    }

    /// Returns every result, source tree and unfinished build.
    pub fn contents(&self) -> Result<Vec<Content>, Error> {
        let mut found = Vec::new();
        for (kind, dir) in KINDS {
            for key in self.keys_in(dir)? {
                let record: Option<Record<IgnoredAny>> =
                    if kind == "result" { self.record_if_whole(&key)? } else { None };
                let mut content = Content { kind, key, name: record.map(|record| record.name), bytes: 0 };
                content.bytes = size(&content.path(self.root()))?;
                found.push(content);
            }
        }
        Ok(found)
    }

    /// Returns the lock that no run holds beside it.
    pub(crate) fn use_alone(&self) -> Result<File, Error> {
        self.writable()?;
        let file = open_lock(&self.root().join("in-use"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::InUse),
            Err(TryLockError::Error(error)) => Err(Error::Io(error)),
        }
    }

    /// Removes every result and source tree that is damaged, after reading every byte of it. Returns what it
    /// removed, with the reason.
    pub fn repair(&self) -> Result<Vec<(PathBuf, String)>, Error> {
        let _alone = self.use_alone()?;
        let mut removed = Vec::new();
        for key in self.keys()? {
            if let Err(Error::Corrupt { why, .. }) = tolerant(self.verify(&key).map(drop))? {
                self.discard(&key)?;
                removed.push((self.stage_dir(&key), why));
            }
        }
        for key in self.source_keys()? {
            if let Err(Error::Corrupt { why, .. }) = tolerant(self.check_source(&key, true).map(drop))? {
                self.discard_source(&key)?;
                removed.push((self.source_dir(&key), why));
            }
        }
        Ok(removed)
    }
}

// Damage is a finding; everything else ends the repair.
fn tolerant(checked: Result<(), Error>) -> Result<Result<(), Error>, Error> {
    match checked {
        Err(error @ Error::Corrupt { .. }) => Ok(Err(error)),
        other => other.map(Ok),
    }
}

fn size(path: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for dir in files::directories(path)? {
        for entry in fs_err::read_dir(&dir)? {
            let meta = fs_err::symlink_metadata(entry?.path())?;
            bytes += if meta.is_file() { meta.len() } else { 0 };
        }
    }
    Ok(bytes)
}
