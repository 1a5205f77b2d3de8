//! The manifest of a published tree, to detect damage: quickly by names, sizes, modes and times before each use,
//! completely by content on request.
//!
//! Every command judges a tree by [`Manifest::verify`]: a file whose time alone differs, as after `cp -r`, is
//! judged by its content.

use super::Error;
use crate::base::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The form of the manifests that are written. Form 1 has no modes of directories.
const SCHEMA: u32 = 2;

/// The files of a tree by their relative path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(default = "first_schema")]
    schema: u32,
    files: BTreeMap<String, Item>,
}

fn first_schema() -> u32 {
    1
}

/// A file, link or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Item {
    /// A directory.
    Dir {
        /// The permissions alone: whether a directory passes on its group depends on where the store is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
    },
    /// A symbolic link.
    Link {
        /// Its target.
        to: String,
    },
    /// A file.
    File {
        /// Its mode.
        mode: u32,
        /// Its size.
        size: u64,
        /// Seconds and nanoseconds: a rewritten file of the same size is noticed.
        mtime: (i64, i64),
        /// The hash of its content.
        blake3: Key,
    },
}

/// The difference between a file and its entry.
enum Difference {
    None,
    /// The time alone: the content is the published one.
    Time,
    Other(String),
}

impl Manifest {
    /// Lists and hashes the tree. Names that are not UTF-8 are refused, since JSON could not carry them.
    pub fn of(tree: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        walk(tree, &mut |name, path, meta| {
            let item = if meta.is_dir() {
                Item::Dir { mode: Some(meta.mode() & 0o777) }
            } else if meta.is_symlink() {
                Item::Link { to: fs_err::read_link(path)?.to_string_lossy().into_owned() }
            } else if !meta.is_file() {
                // Opening a named pipe would wait for ever.
                return Err(Error::Special { name });
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
        Ok(Self { schema: SCHEMA, files })
    }

    /// Reads a manifest's text.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let corrupt = |error: serde_json::Error| Error::Corrupt { path: path.to_owned(), why: error.to_string() };
        #[derive(Deserialize)]
        struct Head {
            #[serde(default = "first_schema")]
            schema: u32,
        }
        let head: Head = serde_json::from_slice(text).map_err(corrupt)?;
        if head.schema > SCHEMA {
            return Err(Error::Newer { path: path.to_owned(), schema: head.schema });
        }
        serde_json::from_slice(text).map_err(corrupt)
    }

    /// Returns the items by their relative path.
    pub fn items(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.files.iter().map(|(name, item)| (name.as_str(), item))
    }

    /// Returns one item.
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.files.get(name)
    }

    /// Returns the hash of everything that two builds of one key must have in common: names, kinds, the modes that
    /// [`Manifest::verify`] compares, targets of links and contents. Times are left out.
    pub fn content_digest(&self) -> Key {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for (name, item) in &self.files {
            add(name);
            match item {
                Item::Dir { mode } => add(&format!("dir {:o}", mode.unwrap_or(0o500) & 0o500)),
                Item::Link { to } => add(&format!("link {to}")),
                Item::File { mode, size, blake3, .. } => add(&format!("file {:o} {size} {blake3}", mode & JUDGED)),
            }
        }
        Key::from_bytes(*hasher.finalize().as_bytes())
    }

    /// Returns the sum of the files' sizes in bytes.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.values().map(|item| if let Item::File { size, .. } = item { *size } else { 0 });
        sizes.sum()
    }

    /// Compares the tree with the list; with `contents`, every byte of it. Returns a list with new times if
    /// nothing but times differs. A file that cannot be read is an I/O error and not damage.
    pub fn verify(&self, tree: &Path, contents: bool) -> Result<Option<Self>, Error> {
        let corrupt = |why: String| Error::Corrupt { path: tree.to_owned(), why };
        if let Err(error) = fs_err::symlink_metadata(tree) {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => corrupt("its files are missing".into()),
                _ => Error::Io(error),
            });
        }
        let mut found = 0;
        let mut moved = Vec::new();
        walk(tree, &mut |name, path, meta| {
            found += 1;
            let item = self.files.get(&name).ok_or_else(|| corrupt(format!("`{name}` does not belong to it")))?;
            match difference(item, path, meta, contents)? {
                Difference::None => Ok(()),
                Difference::Time => {
                    moved.push((name, (meta.mtime(), meta.mtime_nsec())));
                    Ok(())
                }
                Difference::Other(why) => Err(corrupt(format!("`{name}` was changed: {why}"))),
            }
        })?;
        if found != self.files.len() {
            let gone = self.files.keys().find(|name| fs_err::symlink_metadata(tree.join(name)).is_err());
            return Err(corrupt(format!("`{}` is missing", gone.map_or("a file", String::as_str))));
        }
        if moved.is_empty() {
            return Ok(None);
        }
        let mut now = self.clone();
        for (name, time) in moved {
            if let Some(Item::File { mtime, .. }) = now.files.get_mut(&name) {
                *mtime = time;
            }
        }
        Ok(Some(now))
    }
}

/// The bits of a mode that are compared: an administrator may share a store, or take its write bits, by chmod.
const JUDGED: u32 = 0o7500;

fn difference(item: &Item, path: &Path, meta: &std::fs::Metadata, contents: bool) -> Result<Difference, Error> {
    let modes = |now: u32, was: u32| Difference::Other(format!("its mode is {now:04o}, it was {was:04o}"));
    let kind = |was: &str| Difference::Other(format!("it was {was}"));
    Ok(match item {
        Item::Dir { .. } if !meta.is_dir() => kind("a directory"),
        Item::Dir { mode: Some(mode) } if (meta.mode() ^ mode) & 0o500 != 0 => modes(meta.mode() & 0o777, *mode),
        Item::Dir { .. } => Difference::None,
        Item::Link { .. } if !meta.is_symlink() => kind("a link"),
        Item::Link { to } if fs_err::read_link(path)?.to_string_lossy() != to.as_str() => {
            Difference::Other(format!("it was a link to `{to}`"))
        }
        Item::Link { .. } => Difference::None,
        Item::File { .. } if !meta.is_file() => kind("a file"),
        Item::File { mode, .. } if (meta.mode() ^ mode) & JUDGED != 0 => modes(meta.mode() & 0o7777, *mode),
        Item::File { size, .. } if meta.len() != *size => {
            Difference::Other(format!("it has {} bytes, it had {size}", meta.len()))
        }
        Item::File { mtime, blake3, .. } => {
            let same_time = (meta.mtime(), meta.mtime_nsec()) == *mtime;
            if same_time && !contents {
                Difference::None
            } else if hash(path)? != *blake3 {
                Difference::Other("its content differs".into())
            } else if same_time {
                Difference::None
            } else {
                Difference::Time
            }
        }
    })
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
    use std::os::unix::fs::PermissionsExt as _;

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
        assert_eq!(manifest.verify(&tree, true).unwrap(), None);
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
        let manifest = fresh();
        fs_err::set_permissions(tree.join("bin"), std::fs::Permissions::from_mode(0o2570)).unwrap();
        fs_err::set_permissions(tree.join("bin/gcc"), std::fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(manifest.verify(&tree, true).unwrap(), None);
        fs_err::set_permissions(tree.join("bin/gcc"), std::fs::Permissions::from_mode(0o744)).unwrap();
        assert!(why(&manifest, false).contains("`bin/gcc` was changed: its mode is 0744, it was 0644"));
        fs_err::set_permissions(tree.join("bin/gcc"), std::fs::Permissions::from_mode(0o644)).unwrap();
        // Root may still read it.
        fs_err::set_permissions(tree.join("bin"), std::fs::Permissions::from_mode(0o655)).unwrap();
        let error = manifest.verify(&tree, false).unwrap_err().to_string();
        assert!(error.contains("`bin` was changed: its mode is 0655"), "{error}");
        fs_err::set_permissions(tree.join("bin"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let manifest = fresh();
        fs_err::remove_dir_all(&tree).unwrap();
        assert!(why(&manifest, false).contains("its files are missing"));
    }

    #[test]
    fn a_file_with_another_time_is_judged_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("file"), "content").unwrap();
        let manifest = Manifest::of(dir.path()).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        fs_err::File::open(dir.path().join("file")).unwrap().set_modified(old).unwrap();
        let moved = manifest.verify(dir.path(), false).unwrap().unwrap();
        assert_eq!(moved.verify(dir.path(), false).unwrap(), None);
        assert!(manifest.verify(dir.path(), true).unwrap().is_some());
    }

    #[test]
    fn builds_that_differ_in_times_alone_have_the_same_content() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("bin")).unwrap();
        fs_err::write(dir.path().join("bin/file"), "content").unwrap();
        let digest = Manifest::of(dir.path()).unwrap().content_digest();
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs_err::File::open(dir.path().join("bin/file")).unwrap().set_modified(old).unwrap();
        assert_eq!(Manifest::of(dir.path()).unwrap().content_digest(), digest);
        fs_err::set_permissions(dir.path().join("bin/file"), std::fs::Permissions::from_mode(0o744)).unwrap();
        let executable = Manifest::of(dir.path()).unwrap().content_digest();
        assert_ne!(executable, digest);
        fs_err::write(dir.path().join("bin/file"), "c0ntent").unwrap();
        assert_ne!(Manifest::of(dir.path()).unwrap().content_digest(), executable);
        // The cache of finished stages depends on it: a change of its form makes every entry a fault.
        let known =
            Manifest::parse(Path::new("m"), br#"{"files":{"bin":{"type":"dir"},"l":{"type":"link","to":"x"}}}"#);
        assert_eq!(
            known.unwrap().content_digest().to_string(),
            "a7e14acb901baf7032e84db7c722ddf42746955f3bd3be0a2830df161fdeaee6"
        );
    }

    #[test]
    fn a_manifest_of_the_first_form_is_read_and_one_of_the_future_is_not_damage() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("bin")).unwrap();
        let first = Manifest::parse(Path::new("m"), br#"{"files":{"bin":{"type":"dir"}}}"#).unwrap();
        assert_eq!(first.verify(dir.path(), true).unwrap(), None);
        let future = Manifest::parse(Path::new("m"), br#"{"schema":9,"list":[]}"#);
        assert!(matches!(future, Err(Error::Newer { schema: 9, .. })), "{future:?}");
    }
}
