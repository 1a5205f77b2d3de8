//! Reading a bundle.

use super::{HEAD, Head, SCHEMA, TAIL, TAIL_BYTES, refused};
use crate::base::decode::CHUNK;
use crate::base::{Key, Sha256, files};
use crate::plan::KeyInputs;
use crate::run::Error;
use crate::store::history::Times;
use crate::store::{self, Record, Store};
use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The effect of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Results that the store did not have.
    pub results: usize,
    /// Results that it had.
    pub known_results: usize,
    /// Downloads that it did not have.
    pub downloads: usize,
    /// Downloads that it had.
    pub known_downloads: usize,
}

/// Adds what a bundle has to the store. A bundle that is damaged, cut short or of another form changes nothing.
pub fn import(store: &Store, path: &Path) -> Result<Imported, Error> {
    store.writable()?;
    let _in_use = store.use_it()?;
    let (digest, head) = checked(path)?;
    let staged = store.root().join("work").join(format!("{digest}.import"));
    // The same bundle is imported by one process at a time; what a killed one left is swept away.
    let _lock = lock(store, &digest)?;
    files::remove_tree(&staged)?;
    let done = unpack(store, path, &staged).and_then(|()| publish(store, path, &staged));
    files::remove_tree(&staged)?;
    done.map(|done| Imported { known_results: head.results.saturating_sub(done.results), ..done })
}

fn lock(store: &Store, key: &Key) -> Result<store::Lock, Error> {
    loop {
        if let Ok(lock) = store.try_lock(key)? {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

// Reads the whole file and compares it with the digest at its end, which is returned.
fn checked(path: &Path) -> Result<(Key, Head), Error> {
    let mut file = BufReader::with_capacity(1 << 20, fs_err::File::open(path)?);
    let size = file.get_ref().metadata()?.len();
    let head = {
        let mut archive = tar::Archive::new(&mut file);
        let first = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
        let mut first = first.filter(|entry| entry.path_bytes().as_ref() == HEAD.as_bytes());
        let mut text = Vec::new();
        if let Some(entry) = &mut first {
            entry.take(1 << 16).read_to_end(&mut text)?;
        }
        serde_json::from_slice::<Head>(&text).map_err(|_| refused(path, "it is no bundle of a crossmill store"))?
    };
    if head.schema != SCHEMA {
        return Err(refused(path, format!("it has form {}, and this crossmill reads form {SCHEMA}", head.schema)));
    }
    file.rewind()?;
    let damaged = || refused(path, "it is damaged or cut short: its digest differs");
    let body = size.checked_sub(TAIL_BYTES).ok_or_else(damaged)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut (&mut file).take(body), &mut hasher)?;
    let digest = Key::from_bytes(*hasher.finalize().as_bytes());
    let mut archive = tar::Archive::new(file);
    let mut entries = archive.entries()?;
    let tail = entries.next().and_then(Result::ok).filter(|entry| entry.path_bytes().as_ref() == TAIL.as_bytes());
    let mut text = String::new();
    if let Some(entry) = tail {
        // Anything may be here.
        let _ = entry.take(64).read_to_string(&mut text);
    }
    if text == digest.to_string() { Ok((digest, head)) } else { Err(damaged()) }
}

// Unpacks what the store does not have. Only names that a store has are accepted, and nothing below a link.
fn unpack(store: &Store, path: &Path, staged: &Path) -> Result<(), Error> {
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, fs_err::File::open(path)?));
    archive.set_preserve_permissions(true);
    let mut links: BTreeSet<PathBuf> = BTreeSet::new();
    let mut dirs: Vec<(PathBuf, u32)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if name == Path::new(HEAD) || name == Path::new(TAIL) {
            continue;
        }
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        let below_link = name.ancestors().skip(1).any(|above| links.contains(above));
        if !plain || below_link || !is_ours(&name) {
            return Err(refused(path, format!("`{}` does not belong in a store", name.display())));
        }
        let to = staged.join(&name);
        if is_known(store, &name)? {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs_err::create_dir_all(parent)?;
        }
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                fs_err::create_dir_all(&to)?;
                dirs.push((to, entry.header().mode()? & 0o7777));
            }
            tar::EntryType::Symlink => {
                links.insert(name);
                entry.unpack(&to)?;
            }
            tar::EntryType::Regular => {
                entry.unpack(&to)?;
            }
            _ => return Err(refused(path, format!("`{}` is no file, link or directory", name.display()))),
        }
    }
    // A directory that may not be written is closed after what is in it.
    for (dir, mode) in dirs.into_iter().rev() {
        fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn parts(name: &Path) -> Vec<&str> {
    name.components().filter_map(|part| part.as_os_str().to_str()).collect()
}

fn is_ours(name: &Path) -> bool {
    let is_key = |text: &str| text.parse::<Key>().is_ok();
    match parts(name)[..] {
        ["times.json"] | ["names", _] | ["cache", "blobs" | "pins", _] | ["cache", "git", ..] => true,
        ["stages", key] => is_key(key),
        ["stages", key, "tree" | "logs", ..] | ["stages", key, "manifest.json" | "stage.json" | "cache.json"] => {
            is_key(key)
        }
        _ => false,
    }
}

fn is_known(store: &Store, name: &Path) -> Result<bool, Error> {
    Ok(match parts(name)[..] {
        ["stages", key, ..] => match key.parse::<Key>().map(|key| store.find(&key)) {
            Ok(Err(store::Error::Corrupt { .. })) | Err(_) => false,
            Ok(found) => found?.is_some(),
        },
        _ => false,
    })
}

fn publish(store: &Store, bundle: &Path, staged: &Path) -> Result<Imported, Error> {
    let mut done = Imported::default();
    let list = |dir: &str| {
        let dir = staged.join(dir);
        let names = if files::lstat(&dir)?.is_some() { files::names_in(&dir)? } else { Vec::new() };
        Ok::<_, io::Error>(names.into_iter().map(move |name| (dir.join(&name), name)))
    };
    let mut results = Vec::new();
    for (from, name) in list("stages")? {
        let key: Key = name.parse().map_err(|_| refused(bundle, format!("`{name}` is no key")))?;
        let lock = lock(store, &key)?;
        check_record(bundle, &from, &key)?;
        let prepared = store.prepare_import(&key, &from).map_err(|error| match error {
            store::Error::Corrupt { why, .. } => {
                refused(bundle, format!("the result {} is damaged: {why}", key.short()))
            }
            other => other.into(),
        })?;
        results.extend(prepared.map(|prepared| (prepared, lock)));
    }
    for (from, name) in list("cache/blobs")?.filter(|(_, name)| !name.ends_with(".json")) {
        let wanted: Sha256 = name.parse().map_err(|_| refused(bundle, format!("`{name}` is no digest")))?;
        if sha256(&from)? != wanted {
            return Err(refused(bundle, format!("the download {name} is damaged")));
        }
    }
    files::flush_disk_of(staged)?;
    for (prepared, _lock) in results {
        store.commit(prepared)?;
        done.results += 1;
    }
    for dir in ["cache/blobs", "cache/pins", "cache/git", "names"] {
        fs_err::create_dir_all(store.root().join(dir))?;
        for (from, name) in list(dir)? {
            let counts = dir != "names" && dir != "cache/pins" && !name.ends_with(".json");
            let to = store.root().join(dir).join(name);
            if files::lstat(&to)?.is_some() {
                done.known_downloads += usize::from(counts);
                continue;
            }
            fs_err::rename(from, to)?;
            done.downloads += usize::from(counts);
        }
    }
    if let Some(times) = files::read_if_present(&staged.join("times.json"))?.as_deref().and_then(Times::parse) {
        store.add_times(times)?;
    }
    Ok(done)
}

// The record of a result shows that the key is that of its inputs.
fn check_record(bundle: &Path, staged: &Path, key: &Key) -> Result<(), Error> {
    let text = files::read_if_present(&staged.join("stage.json"))?.unwrap_or_default();
    let record: Option<Record<KeyInputs>> = serde_json::from_slice(&text).ok();
    match record {
        Some(record) if record.key == *key && record.inputs.key() == *key => Ok(()),
        _ => Err(refused(bundle, format!("the record of the result {} does not belong to it", key.short()))),
    }
}

fn sha256(path: &Path) -> io::Result<Sha256> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}
