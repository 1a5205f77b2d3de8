//! Which key a stage's name stood for last, with all that determined it: for
//! `log`, `reproduce` and `plan --explain`, and to keep using the same one of
//! a package's sources.

use super::{Error, Store};
use crate::base::{Key, files};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The last of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named<M> {
    /// The name.
    pub name: String,
    /// The key.
    pub key: Key,
    /// What it was computed from.
    pub material: M,
    /// The key it stood for before this one.
    #[serde(default)]
    pub previous: Option<Key>,
}

impl Store {
    fn name_path(&self, name: &str) -> std::path::PathBuf {
        self.root().join("names").join(format!("{}.json", name.replace('/', "@")))
    }

    /// Remembers what a name stands for, where the store can be written.
    pub fn remember<M: Serialize>(&self, named: &Named<M>) -> Result<(), Error> {
        if !self.is_writable() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(named).map_err(|error| Error::Io(error.into()))?;
        // Losing it loses an explanation.
        Ok(files::write_unflushed(&self.name_path(&named.name), &text)?)
    }

    /// What a name stood for last, if it is known.
    pub fn recall<M: DeserializeOwned>(&self, name: &str) -> Option<Named<M>> {
        serde_json::from_slice(&fs_err::read(self.name_path(name)).ok()?).ok()
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.root().join("names")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.replace('@', "/")))
            .collect();
        names.sort();
        names
    }
}
