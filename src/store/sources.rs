//! Unpacked sources, published with a manifest, so that a damaged or edited tree is never built.

use super::entry::{read_manifest, write_manifest};
use super::manifest::Manifest;
use super::{Error, Store, make_movable};
use crate::base::{Key, files};
use std::path::{Path, PathBuf};

impl Store {
    /// Returns whether a source tree with its manifest is there, without looking into it. A tree without one
    /// was left by an early crossmill or a power loss, and is unpacked again.
    pub fn has_source(&self, key: &Key) -> Result<bool, Error> {
        let dir = self.source_dir(key);
        for name in ["tree", "manifest.json"] {
            match fs_err::symlink_metadata(dir.join(name)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
        Ok(true)
    }

    /// Compares a source tree with its manifest, with `contents` byte by byte. Returns whether it is there;
    /// damage is [`Error::Corrupt`].
    pub fn check_source(&self, key: &Key, contents: bool) -> Result<bool, Error> {
        if !self.has_source(key)? {
            return Ok(false);
        }
        let dir = self.source_dir(key);
        if let Some(now) = read_manifest(&dir)?.verify(&dir.join("tree"), contents)? {
            // Only saves hashing the next time.
            let _ = write_manifest(&dir, &now);
        }
        Ok(true)
    }

    /// Publishes `unpacked`, a directory on the same file system, as a source tree. It is not flushed to the disk:
    /// a file that a power loss cut short is found by its size, and the tree is unpacked again.
    pub fn publish_source(&self, key: &Key, unpacked: &Path) -> Result<PathBuf, Error> {
        write_manifest(unpacked, &Manifest::of(&unpacked.join("tree"))?)?;
        let dir = self.source_dir(key);
        let aside = self.root().join("work").join(format!("{key}.old-source"));
        files::remove_tree(&aside)?;
        if fs_err::symlink_metadata(&dir).is_ok() {
            make_movable(&dir)?;
            fs_err::rename(&dir, &aside)?;
        }
        fs_err::rename(unpacked, &dir)?;
        files::remove_tree(&aside)?;
        Ok(dir.join("tree"))
    }

    /// Returns the keys of all source trees.
    pub fn source_keys(&self) -> Result<Vec<Key>, Error> {
        self.keys_in("sources")
    }

    /// Removes a source tree; it is unpacked again when it is needed.
    pub fn discard_source(&self, key: &Key) -> Result<(), Error> {
        self.remove(&self.source_dir(key))
    }
}
