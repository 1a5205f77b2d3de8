//! Writing a bundle.

use super::{HEAD, Head, SCHEMA, TAIL};
use crate::base::{Key, files};
use crate::run::Error;
use crate::store::Store;
use crate::store::names::Named;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The contents of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// Results.
    pub results: usize,
    /// Files and git repositories of the download cache.
    pub downloads: usize,
    /// Bytes of the bundle.
    pub bytes: u64,
}

// Writes and hashes.
struct Hashing<W> {
    out: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

type Builder = tar::Builder<Hashing<BufWriter<fs_err::File>>>;

/// Writes the results `keys`, and with `downloads` the download cache, to `path`, which exists afterwards completely or as
/// it was before. Without any of them nothing is written.
pub fn export(store: &Store, keys: &BTreeSet<Key>, downloads: bool, path: &Path) -> Result<Export, Error> {
    // A damaged result would be refused where it is imported.
    for key in keys {
        store.verify(key)?.ok_or(crate::store::Error::Unknown { name: key.to_string(), near: Vec::new() })?;
    }
    let cached = if downloads { cached(store)? } else { Vec::new() };
    if keys.is_empty() && cached.is_empty() {
        return Ok(Export { results: 0, downloads: 0, bytes: 0 });
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = files::temporary(dir)?;
    let file = fs_err::File::from_parts(temporary.reopen()?, temporary.path());
    let out = Hashing { out: BufWriter::with_capacity(1 << 20, file), hasher: blake3::Hasher::new(), bytes: 0 };
    let mut builder = tar::Builder::new(out);
    builder.follow_symlinks(false);
    let crossmill = env!("CARGO_PKG_VERSION").to_owned();
    let head = Head { schema: SCHEMA, crossmill, results: keys.len(), downloads: cached.len() };
    text(&mut builder, HEAD, &serde_json::to_vec(&head).map_err(io::Error::from)?)?;
    for key in keys {
        tree(&mut builder, store.root(), &store.stage_dir(key))?;
    }
    for path in &cached {
        tree(&mut builder, store.root(), path)?;
    }
    for name in names(store, keys)? {
        tree(&mut builder, store.root(), &name)?;
    }
    let times = store.root().join("times.json");
    if files::lstat(&times)?.is_some() {
        tree(&mut builder, store.root(), &times)?;
    }
    let digest = builder.get_ref().hasher.finalize().to_hex().to_string();
    text(&mut builder, TAIL, digest.as_bytes())?;
    let Hashing { out, bytes, .. } = builder.into_inner()?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    let downloads = cached.iter().filter(|path| path.extension().is_none_or(|suffix| suffix != "json")).count();
    Ok(Export { results: keys.len(), downloads, bytes })
}

fn text(builder: &mut Builder, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    builder.append_data(&mut header, name, content)
}

// A file, or a directory and everything below it, by names relative to the store.
fn tree(builder: &mut Builder, root: &Path, path: &Path) -> Result<(), Error> {
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        let name = path.strip_prefix(root).unwrap_or(&path);
        builder.append_path_with_name(&path, name)?;
        if fs_err::symlink_metadata(&path)?.is_dir() {
            let mut names = files::names_in(&path)?;
            names.reverse();
            todo.extend(names.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(())
}

// Downloaded files with their notes, verified signatures, and git repositories.
fn cached(store: &Store) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for dir in ["blobs", "pins", "git"].map(|name| store.cache().join(name)) {
        if files::lstat(&dir)?.is_some() {
            found.extend(files::names_in(&dir)?.into_iter().map(|name| dir.join(name)));
        }
    }
    Ok(found)
}

// The names that stand for the results, and those of sources, without which no key above them is known.
fn names(store: &Store, keys: &BTreeSet<Key>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for name in store.names()? {
        let is_source = name.starts_with("source/");
        let named: Option<Named<IgnoredAny>> = store.recall_if_whole(&name)?;
        if named.is_some_and(|named| is_source || keys.contains(&named.key)) {
            found.push(store.root().join("names").join(format!("{}.json", name.replace('/', "@"))));
        }
    }
    Ok(found)
}
