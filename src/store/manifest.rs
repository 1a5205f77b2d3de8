//! What a published tree consists of, so that damage is found: quickly by
//! names, sizes and times before each use, wholly by content on request.

use super::Error;
use crate::base::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The files of a tree by their relative path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    files: BTreeMap<String, Item>,
}

/// One file, link or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
enum Item {
    Dir,
    Link {
        to: String,
    },
    File {
        mode: u32,
        size: u64,
        // Nanoseconds too: a rewritten file of the same size is noticed.
        mtime: (i64, i64),
        blake3: Key,
    },
}

impl Manifest {
    /// Lists and hashes the tree. Names that are not UTF-8 are refused, since
    /// JSON could not carry them.
    pub fn of(tree: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        walk(tree, &mut |name, path, meta| {
            let item = if meta.is_dir() {
                Item::Dir
            } else if meta.is_symlink() {
                Item::Link { to: fs_err::read_link(path)?.to_string_lossy().into_owned() }
            } else {
                Item::File {
                    mode: meta.mode() & 0o7777,
                    size: meta.len(),
                    mtime: (meta.mtime(), meta.mtime_nsec()),
                    blake3: hash(path)?,
                }
            };
            files.insert(name, item);
            Ok(())
        })?;
        Ok(Self { files })
    }

    /// The sum of the files' sizes in bytes.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.values().map(|item| if let Item::File { size, .. } = item { *size } else { 0 });
        sizes.sum()
    }

    /// Holds the tree against the list; with `contents` every byte of it.
    pub fn verify(&self, tree: &Path, contents: bool) -> Result<(), Error> {
        let corrupt = |why: String| Error::Corrupt { path: tree.to_owned(), why };
        let mut found = 0;
        walk(tree, &mut |name, path, meta| {
            found += 1;
            let same = match self.files.get(&name) {
                None => return Err(corrupt(format!("`{name}` does not belong to it"))),
                Some(Item::Dir) => meta.is_dir(),
                Some(Item::Link { to }) => {
                    meta.is_symlink() && fs_err::read_link(path)?.to_string_lossy() == to.as_str()
                }
                Some(Item::File { mode, size, mtime, blake3 }) => {
                    meta.is_file()
                        && meta.mode() & 0o7777 == *mode
                        && meta.len() == *size
                        && (contents || (meta.mtime(), meta.mtime_nsec()) == *mtime)
                        && (!contents || hash(path)? == *blake3)
                }
            };
            if same { Ok(()) } else { Err(corrupt(format!("`{name}` was changed"))) }
        })?;
        if found != self.files.len() {
            let gone = self.files.keys().find(|name| fs_err::symlink_metadata(tree.join(name)).is_err());
            return Err(corrupt(format!("`{}` is missing", gone.map_or("a file", String::as_str))));
        }
        Ok(())
    }
}

fn hash(path: &Path) -> Result<Key, Error> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut fs_err::File::open(path)?, &mut hasher)?;
    Ok(Key::from_bytes(*hasher.finalize().as_bytes()))
}

type Visit<'a> = dyn FnMut(String, &Path, &std::fs::Metadata) -> Result<(), Error> + 'a;

// Without recursion: a tree may be as deep as its maker liked.
fn walk(tree: &Path, visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut dirs = vec![tree.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(&dir)? {
            let path = entry?.path();
            let meta = fs_err::symlink_metadata(&path)?;
            let relative = path.strip_prefix(tree).unwrap_or(&path);
            let Some(name) = relative.to_str() else {
                let why = format!("the name `{}` is not UTF-8", relative.display());
                return Err(Error::Corrupt { path: tree.to_owned(), why });
            };
            visit(name.to_owned(), &path, &meta)?;
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_damage_is_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let fresh = || {
            let _ = fs_err::remove_dir_all(&tree);
            fs_err::create_dir_all(tree.join("bin")).unwrap();
            fs_err::write(tree.join("bin/gcc"), "compiler").unwrap();
            std::os::unix::fs::symlink("gcc", tree.join("bin/cc")).unwrap();
            Manifest::of(&tree).unwrap()
        };
        let why = |manifest: &Manifest, contents| manifest.verify(&tree, contents).unwrap_err().to_string();
        let manifest = fresh();
        manifest.verify(&tree, true).unwrap();
        assert_eq!(manifest.bytes(), 8);
        fs_err::write(tree.join("bin/gcc"), "c0mpiler").unwrap();
        assert!(why(&manifest, false).contains("`bin/gcc` was changed"));
        assert!(why(&manifest, true).contains("`bin/gcc` was changed"));
        let manifest = fresh();
        fs_err::remove_file(tree.join("bin/cc")).unwrap();
        assert!(why(&manifest, false).contains("`bin/cc` is missing"));
        let manifest = fresh();
        fs_err::write(tree.join("new"), "").unwrap();
        assert!(why(&manifest, false).contains("`new` does not belong"));
    }
}
