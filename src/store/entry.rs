//! Publishing a stage's result and finding it again.

use super::manifest::Manifest;
use super::{Error, Store};
use crate::base::isolation::Isolation;
use crate::base::{Key, StageName, files};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// The record of a result: its inputs, and the time and resources that it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record<M> {
    /// `arm64/gcc`
    pub name: StageName,
    /// The key, which is also the directory's name.
    pub key: Key,
    /// The inputs of the key.
    #[serde(rename = "material")]
    pub inputs: M,
    /// The crossmill version that built it.
    pub crossmill: String,
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds of processor time.
    pub cpu: f64,
    /// The largest process, KiB.
    pub max_rss_kib: u64,
    /// Bytes of the result.
    pub bytes: u64,
    /// The isolation its steps ran in; results of older versions do not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

/// An entry whose files are written, but may not be on the disk yet.
#[derive(Debug)]
pub struct Prepared {
    entry: PathBuf,
    key: Key,
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
    /// Returns the result of `key`, if it exists and is undamaged. Every command judges by this: the list of
    /// names, sizes, modes and times, the content of files whose time alone differs, and the damage that an
    /// earlier [`Store::verify`] noted. Damage is [`Error::Corrupt`], and [`Store::publish`] replaces it.
    pub fn find(&self, key: &Key) -> Result<Option<Stored>, Error> {
        let dir = self.stage_dir(key);
        if let Some(note) = read_note(&dir)? {
            return Err(Error::Corrupt { path: dir.join("tree"), why: note.why });
        }
        self.look(key, false)
    }

    /// Reads every byte of a result. Damage is noted, so that no later run takes the result for good.
    pub fn verify(&self, key: &Key) -> Result<Option<Stored>, Error> {
        let note = self.stage_dir(key).join(NOTE);
        let found = self.look(key, true);
        if self.is_writable() {
            match &found {
                Err(Error::Corrupt { why, .. }) => {
                    files::write_atomic(&note, &to_json(&Note { why: why.clone() })?)?;
                }
                Ok(Some(_)) => remove_note(&note)?,
                _ => {}
            }
        }
        found
    }

    fn look(&self, key: &Key, contents: bool) -> Result<Option<Stored>, Error> {
        let dir = self.stage_dir(key);
        match fs_err::symlink_metadata(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let stored = Stored { tree: dir.join("tree"), logs: dir.join("logs") };
        if let Some(now) = read_manifest(&dir)?.verify(&stored.tree, contents)?
            && self.is_writable()
        {
            // Only saves hashing the next time.
            let _ = write_manifest(&dir, &now);
        }
        Ok(Some(stored))
    }

    /// Reads the record of a result.
    pub fn record<M: DeserializeOwned>(&self, key: &Key) -> Result<Record<M>, Error> {
        read_json(&self.stage_dir(key).join("stage.json"))
    }

    /// Reads the manifest of a result.
    pub fn manifest(&self, key: &Key) -> Result<Manifest, Error> {
        read_manifest(&self.stage_dir(key))
    }

    /// As [`Store::record`]; `None` where there is none, or a damaged one.
    pub fn record_if_whole<M: DeserializeOwned>(&self, key: &Key) -> Result<Option<Record<M>>, Error> {
        match self.record(key) {
            Err(Error::Corrupt { .. }) => Ok(None),
            record => record.map(Some),
        }
    }

    /// Publishes `work/dest` and `work/logs` as the result of `record.key`: [`prepare`](Self::prepare), one flush,
    /// and [`commit`](Self::commit).
    pub fn publish<M: Serialize>(&self, work: &Path, record: Record<M>) -> Result<Stored, Error> {
        let prepared = self.prepare(work, record)?;
        files::flush_disk_of(&prepared.entry)?;
        self.commit(prepared)
    }

    /// Writes the files of an entry beside `work/dest` and `work/logs`, which become part of it. The caller holds the
    /// key's lock, flushes the disk, and then commits.
    pub fn prepare<M: Serialize>(&self, work: &Path, mut record: Record<M>) -> Result<Prepared, Error> {
        let entry = work.join("entry");
        fs_err::create_dir_all(&entry)?;
        fs_err::rename(work.join("dest"), entry.join("tree"))?;
        if files::lstat(&work.join("logs"))?.is_some() {
            fs_err::rename(work.join("logs"), entry.join("logs"))?;
        }
        let manifest = Manifest::of(&entry.join("tree"))?;
        record.bytes = manifest.bytes();
        write_manifest(&entry, &manifest)?;
        files::write_unflushed(&entry.join("stage.json"), &to_json(&record)?)?;
        Ok(Prepared { entry, key: record.key })
    }

    /// Prepares `staged`, an entry that comes from another store, as the result of `key`: every byte of it is compared
    /// with its manifest. `None` if the store has the result. The caller holds the key's lock, flushes the disk, and then
    /// commits.
    pub fn prepare_import(&self, key: &Key, staged: &Path) -> Result<Option<Prepared>, Error> {
        match self.find(key) {
            Ok(Some(_)) => return Ok(None),
            Ok(None) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        // Times are whole seconds now.
        if let Some(now) = read_manifest(staged)?.verify(&staged.join("tree"), true)? {
            write_manifest(staged, &now)?;
        }
        Ok(Some(Prepared { entry: staged.to_owned(), key: *key }))
    }

    /// Makes a prepared entry, whose files are on the disk, the result by one rename.
    pub fn commit(&self, prepared: Prepared) -> Result<Stored, Error> {
        let dir = self.stage_dir(&prepared.key);
        self.discard(&prepared.key)?;
        fs_err::rename(&prepared.entry, &dir)?;
        Ok(Stored { tree: dir.join("tree"), logs: dir.join("logs") })
    }

    /// Removes a result, so that it is never seen half-removed.
    pub fn discard(&self, key: &Key) -> Result<(), Error> {
        self.remove(&self.stage_dir(key))
    }

    /// Removes what killed runs have left of work whose result is there, or
    /// that nobody works on and nothing can continue (half-unpacked sources).
    pub fn sweep(&self) -> Result<(), Error> {
        for entry in fs_err::read_dir(self.root().join("work"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let (key, rest) = name.split_once('.').unwrap_or((&name, ""));
            let Ok(key) = key.parse::<Key>() else { continue };
            let useless = !rest.is_empty() || files::lstat(&self.stage_dir(&key).join("stage.json"))?.is_some();
            if useless && let Ok(_lock) = self.try_lock(&key)? {
                match files::remove_tree(&path) {
                    // Another user's, who removes it with the next run of his own.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Returns the keys of all results.
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        self.keys_in("stages")
    }

    pub(super) fn keys_in(&self, dir: &str) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        for entry in fs_err::read_dir(self.root().join(dir))? {
            keys.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Key>().ok()));
        }
        keys.sort();
        Ok(keys)
    }
}

/// The file that notes what `verify` found.
const NOTE: &str = "damaged.json";

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    why: String,
}

fn read_note(dir: &Path) -> Result<Option<Note>, Error> {
    match fs_err::read(dir.join(NOTE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        // A note that cannot be understood is still one.
        Ok(text) => Ok(Some(serde_json::from_slice(&text).unwrap_or(Note { why: "`verify` found damage".into() }))),
    }
}

fn remove_note(note: &Path) -> Result<(), Error> {
    match fs_err::remove_file(note) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, Error> {
    let path = dir.join("manifest.json");
    Manifest::parse(&path, &read_own(&path)?)
}

pub(super) fn write_manifest(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    // A source of 90,000 files has a long list: without spaces.
    let text = serde_json::to_vec(manifest).map_err(|error| Error::Io(error.into()))?;
    // Flushed with the result it belongs to; that of a source, cut short, means that it is unpacked again.
    Ok(files::write_unflushed(&dir.join("manifest.json"), &text)?)
}

/// Undoes a publication that was cut short before its last rename: what it had
/// moved goes back to where the steps left it.
pub fn take_back(work: &Path) -> std::io::Result<()> {
    let entry = work.join("entry");
    for (moved, home) in [(entry.join("tree"), work.join("dest")), (entry.join("logs"), work.join("logs"))] {
        if files::lstat(&moved)?.is_some() {
            files::remove_tree(&home)?;
            fs_err::rename(&moved, &home)?;
        }
    }
    files::remove_tree(&entry)
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value).map_err(|error| Error::Io(error.into()))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&read_own(path)?)
        .map_err(|error| Error::Corrupt { path: path.to_owned(), why: error.to_string() })
}

// A file that belongs to every entry: one without it is damaged, one where it cannot be read is not.
fn read_own(path: &Path) -> Result<Vec<u8>, Error> {
    fs_err::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::Corrupt { path: path.to_owned(), why: "it is missing".into() }
        }
        _ => Error::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Key) -> Record<String> {
        Record {
            name: StageName::new("host", "x"),
            key,
            inputs: "m".into(),
            crossmill: "0".into(),
            wall: 1.0,
            cpu: 1.0,
            max_rss_kib: 1,
            bytes: 0,
            isolation: None,
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
            store.publish(&work, record(key)).unwrap()
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
