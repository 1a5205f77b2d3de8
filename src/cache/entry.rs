//! An entry: the record, the manifest and the list of objects of one result. Everything that a reader writes is checked here
//! first.

use super::divide::{Copy, Piece};
use super::{Error, layout};
use crate::base::Key;
use crate::plan::KeyInputs;
use crate::store::Record;
use crate::store::manifest::{Item, Manifest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

const SCHEMA: u32 = 1;

/// The directory of the result in an entry.
pub const TREE: &str = "tree";
/// The directory of the logs.
pub const LOGS: &str = "logs";

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    schema: u32,
    /// The key of the result.
    pub key: Key,
    /// The text of `stage.json`.
    pub record: String,
    /// The text of `manifest.json`.
    pub manifest: String,
    /// The logs, which no manifest lists, with their sizes.
    pub logs: BTreeMap<String, u64>,
    /// The objects.
    pub objects: Vec<Object>,
    /// Files with the content of another one.
    pub copies: Vec<Copy>,
}

/// An object and what it contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// The digest of its bytes.
    pub digest: Key,
    /// Its pieces, one after the other.
    pub pieces: Vec<Piece>,
}

impl Object {
    /// Returns its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes))
    }
}

/// An entry whose parts agree.
#[derive(Debug)]
pub struct Checked {
    /// The entry.
    pub entry: Entry,
    /// Its manifest.
    pub manifest: Manifest,
    /// Each piece's file and the place in it, by object.
    pub places: Vec<Vec<Place>>,
    /// The size of every file.
    pub sizes: BTreeMap<String, u64>,
}

/// Where a piece belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path in the entry.
    pub file: String,
    /// The offset in it.
    pub offset: u64,
    /// The length.
    pub bytes: u64,
}

impl Entry {
    /// Returns an entry.
    #[must_use]
    pub fn new(
        key: Key,
        record: String,
        manifest: String,
        logs: BTreeMap<String, u64>,
        objects: Vec<Object>,
        copies: Vec<Copy>,
    ) -> Self {
        Self { schema: SCHEMA, key, record, manifest, logs, objects, copies }
    }

    /// Reads an entry that must be the result of `key` with content `result`; `what` is for the message.
    pub fn check(what: &str, text: &[u8], key: &Key, result: &Key) -> Result<Checked, Error> {
        let damaged = |why: String| Error::Damaged { what: what.to_owned(), why };
        let entry: Self = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if entry.schema != SCHEMA || entry.key != *key {
            return Err(damaged(format!("it is the entry of key {} in form {}", entry.key.short(), entry.schema)));
        }
        let record: Record<KeyInputs> =
            serde_json::from_str(&entry.record).map_err(|error| damaged(format!("its record: {error}")))?;
        if record.key != *key || record.inputs.key() != *key {
            return Err(damaged("its record does not belong to its key".to_owned()));
        }
        let manifest = Manifest::parse(Path::new(what), entry.manifest.as_bytes())?;
        if manifest.content_digest() != *result {
            return Err(damaged("its manifest is not that of the signed result".to_owned()));
        }
        let mut sizes = tree_sizes(&manifest).map_err(damaged)?;
        for (name, bytes) in &entry.logs {
            if !is_plain(name) || name.contains('/') {
                return Err(damaged(format!("`{name}` cannot be the name of a log")));
            }
            sizes.insert(format!("{LOGS}/{name}"), *bytes);
        }
        let places = places(&entry, &sizes).map_err(damaged)?;
        Ok(Checked { entry, manifest, places, sizes })
    }
}

fn is_plain(name: &str) -> bool {
    let path = Path::new(name);
    !name.is_empty()
        && !name.ends_with('/')
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && path.components().count() == name.split('/').count()
}

// The sizes of the files of a tree in which everything is below a directory that the manifest lists: nothing is written
// through a link.
fn tree_sizes(manifest: &Manifest) -> Result<BTreeMap<String, u64>, String> {
    let mut sizes = BTreeMap::new();
    for (name, item) in manifest.items() {
        let parent = name.rsplit_once('/').map(|(parent, _)| parent);
        let is_below = parent.is_none_or(|parent| matches!(manifest.get(parent), Some(Item::Dir { .. })));
        if !is_plain(name) || !is_below {
            return Err(format!("`{name}` is no path of a result"));
        }
        match item {
            Item::File { mode, .. } if mode & 0o7000 != 0 => {
                return Err(format!("`{name}` has mode {mode:04o}, which no result from another machine may have"));
            }
            Item::File { size, .. } => {
                sizes.insert(format!("{TREE}/{name}"), *size);
            }
            Item::Dir { .. } | Item::Link { .. } => {}
        }
    }
    Ok(sizes)
}

// Where each piece belongs; every file must be filled by pieces, or be the copy of one that is.
fn places(entry: &Entry, sizes: &BTreeMap<String, u64>) -> Result<Vec<Vec<Place>>, String> {
    let mut filled: BTreeMap<&str, u64> = BTreeMap::new();
    let mut places = Vec::new();
    for object in &entry.objects {
        if object.bytes() > layout::PART || object.bytes() == 0 {
            return Err(format!("its object {} has {} bytes", object.digest.short(), object.bytes()));
        }
        let mut own = Vec::new();
        for piece in &object.pieces {
            let offset = filled.entry(&piece.file).or_default();
            own.push(Place { file: piece.file.clone(), offset: *offset, bytes: piece.bytes });
            *offset = offset.saturating_add(piece.bytes);
        }
        places.push(own);
    }
    for copy in &entry.copies {
        let bytes = filled.get(copy.of.as_str()).copied().unwrap_or(0);
        if filled.insert(&copy.file, bytes).is_some() {
            return Err(format!("`{}` is in it twice", copy.file));
        }
    }
    for (name, bytes) in &filled {
        if sizes.get(*name) != Some(bytes) {
            return Err(format!("`{name}` has {bytes} bytes in its objects, and another size in its manifest or none"));
        }
    }
    match sizes.iter().find(|(name, bytes)| **bytes > 0 && !filled.contains_key(name.as_str())) {
        Some((name, _)) => Err(format!("no object has `{name}`")),
        None => Ok(places),
    }
}
