//! Publishing a stage's result and finding it again.

use super::manifest::Manifest;
use super::{Error, Store};
use crate::base::{Key, files};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// What is kept beside a result: all that determined it, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record<M> {
    /// `arm64/gcc`
    pub name: String,
    /// The key, which is also the directory's name.
    pub key: Key,
    /// What the key was computed from.
    pub material: M,
    /// The crossmill version that made it.
    pub crossmill: String,
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds of processor time.
    pub cpu: f64,
    /// The largest process, KiB.
    pub max_rss_kib: u64,
    /// Bytes of the result.
    pub bytes: u64,
}

/// A result that is there.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The installed tree.
    pub tree: PathBuf,
    /// The logs of its steps.
    pub logs: PathBuf,
}

impl Store {
    /// The result of `key`, if it is there and, at a quick look, undamaged.
    /// A damaged one is an error; [`Store::discard`] makes room for a new one.
    pub fn find(&self, key: &Key) -> Result<Option<Stored>, Error> {
        self.look(key, false)
    }

    /// As [`Store::find`], reading every byte.
    pub fn verify(&self, key: &Key) -> Result<Option<Stored>, Error> {
        self.look(key, true)
    }

    fn look(&self, key: &Key, contents: bool) -> Result<Option<Stored>, Error> {
        let dir = self.stage_dir(key);
        if !dir.exists() {
            return Ok(None);
        }
        let manifest: Manifest = read_json(&dir.join("manifest.json"))?;
        let stored = Stored { tree: dir.join("tree"), logs: dir.join("logs") };
        manifest.verify(&stored.tree, contents)?;
        Ok(Some(stored))
    }

    /// What is kept beside a result.
    pub fn record<M: DeserializeOwned>(&self, key: &Key) -> Result<Record<M>, Error> {
        read_json(&self.stage_dir(key).join("stage.json"))
    }

    /// Publishes `work/dest` and `work/logs` as the result of `record.key`:
    /// all files are written first, then one rename makes them the result.
    /// The build tree goes before that, so that a crash leaves nothing large
    /// behind, unless `keep_build`. The caller holds the key's lock.
    pub fn publish<M: Serialize>(&self, work: &Path, mut record: Record<M>, keep_build: bool) -> Result<Stored, Error> {
        let made = work.join("entry");
        fs_err::create_dir_all(&made)?;
        fs_err::rename(work.join("dest"), made.join("tree"))?;
        if work.join("logs").exists() {
            fs_err::rename(work.join("logs"), made.join("logs"))?;
        }
        let manifest = Manifest::of(&made.join("tree"))?;
        record.bytes = manifest.bytes();
        files::write_atomic(&made.join("manifest.json"), &to_json(&manifest)?)?;
        files::write_atomic(&made.join("stage.json"), &to_json(&record)?)?;
        if !keep_build {
            files::remove_tree(&work.join("build"))?;
        }
        let dir = self.stage_dir(&record.key);
        self.discard(&record.key)?;
        fs_err::rename(&made, &dir)?;
        Ok(Stored { tree: dir.join("tree"), logs: dir.join("logs") })
    }

    /// Removes a result, so that it is never seen half-removed.
    pub fn discard(&self, key: &Key) -> Result<(), Error> {
        let dir = self.stage_dir(key);
        if !dir.exists() {
            return Ok(());
        }
        let aside = self.root().join("work").join(format!("{key}.discarded"));
        files::remove_tree(&aside)?;
        fs_err::rename(&dir, &aside)?;
        files::remove_tree(&aside)?;
        Ok(())
    }

    /// Removes what killed runs have left of work whose result is there, or
    /// that nobody works on and nothing can continue (half-unpacked sources).
    pub fn sweep(&self) -> Result<(), Error> {
        for entry in fs_err::read_dir(self.root().join("work"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let (key, rest) = name.split_once('.').unwrap_or((&name, ""));
            let Ok(key) = key.parse::<Key>() else { continue };
            let useless = !rest.is_empty() || self.stage_dir(&key).join("stage.json").exists();
            if useless && let Ok(_lock) = self.try_lock(&key)? {
                files::remove_tree(&path)?;
            }
        }
        Ok(())
    }

    /// The keys of all results.
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        for entry in fs_err::read_dir(self.root().join("stages"))? {
            keys.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Key>().ok()));
        }
        keys.sort();
        Ok(keys)
    }
}

/// Undoes a publication that was cut short before its last rename: what it had
/// moved goes back to where the steps left it.
pub fn take_back(work: &Path) -> std::io::Result<()> {
    let made = work.join("entry");
    for (moved, home) in [(made.join("tree"), work.join("dest")), (made.join("logs"), work.join("logs"))] {
        if moved.exists() {
            files::remove_tree(&home)?;
            fs_err::rename(&moved, &home)?;
        }
    }
    files::remove_tree(&made)
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value).map_err(|error| Error::Io(error.into()))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let corrupt = |why: String| Error::Corrupt { path: path.to_owned(), why };
    let text = fs_err::read(path).map_err(|error| corrupt(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Key) -> Record<String> {
        Record {
            name: "host/x".into(),
            key,
            material: "m".into(),
            crossmill: "0".into(),
            wall: 1.0,
            cpu: 1.0,
            max_rss_kib: 1,
            bytes: 0,
        }
    }

    #[test]
    fn a_publication_that_was_cut_short_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path();
        fs_err::create_dir_all(work.join("entry/tree")).unwrap();
        fs_err::create_dir_all(work.join("logs")).unwrap();
        fs_err::write(work.join("entry/tree/file"), "finished").unwrap();
        take_back(work).unwrap();
        assert_eq!(fs_err::read_to_string(work.join("dest/file")).unwrap(), "finished");
        assert!(work.join("logs").exists() && !work.join("entry").exists());
        take_back(work).unwrap();
        assert!(work.join("dest/file").exists());
    }

    #[test]
    fn a_result_is_published_found_damaged_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Key::of(b"k");
        let publish = || {
            let work = store.work_dir(&key);
            fs_err::create_dir_all(work.join("dest")).unwrap();
            fs_err::write(work.join("dest/file"), "content").unwrap();
            store.publish(&work, record(key), false).unwrap()
        };
        assert!(store.find(&key).unwrap().is_none());
        let stored = publish();
        assert_eq!(store.record::<String>(&key).unwrap().bytes, 7);
        fs_err::write(stored.tree.join("file"), "").unwrap();
        assert!(matches!(store.find(&key), Err(Error::Corrupt { .. })));
        publish();
        assert!(store.find(&key).unwrap().is_some() && store.verify(&key).unwrap().is_some());
        fs_err::write(store.stage_dir(&key).join("manifest.json"), "{").unwrap();
        assert!(matches!(store.find(&key), Err(Error::Corrupt { .. })));
    }
}
