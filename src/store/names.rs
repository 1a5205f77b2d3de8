//! The last key of each stage name with its inputs: for `log`, `reproduce` and `plan --explain`,
//! and to keep using the same candidate of a source.

use super::{Error, Store};
use crate::base::{Key, StageName, files};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The last of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named<M> {
    /// The name.
    pub name: StageName,
    /// The key.
    pub key: Key,
    /// The inputs of the key.
    #[serde(rename = "material")]
    pub inputs: M,
    /// The key it stood for before this one.
    #[serde(default)]
    pub previous: Option<Key>,
}

impl Store {
    fn name_path(&self, name: &str) -> std::path::PathBuf {
        self.root().join("names").join(format!("{}.json", name.replace('/', "@")))
    }

    /// Remembers the key of a name, where the store can be written.
    pub fn remember<M: Serialize>(&self, named: &Named<M>) -> Result<(), Error> {
        if !self.is_writable() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(named).map_err(|error| Error::Io(error.into()))?;
        // Losing it loses an explanation.
        Ok(files::write_unflushed(&self.name_path(&named.name), &text)?)
    }

    /// Returns what a name stood for last; `None` if it was never remembered. A file that does not parse is
    /// [`Error::Note`].
    pub fn recall<M: DeserializeOwned>(&self, name: &str) -> Result<Option<Named<M>>, Error> {
        let path = self.name_path(name);
        let Some(text) = files::read_if_present(&path)? else { return Ok(None) };
        let noted = |error: serde_json::Error| Error::Note { path, why: error.to_string() };
        serde_json::from_slice(&text).map(Some).map_err(noted)
    }

    /// As [`Store::recall`], for a run: it writes a file that does not parse again, so such a file is ignored.
    pub fn recall_if_whole<M: DeserializeOwned>(&self, name: &str) -> Result<Option<Named<M>>, Error> {
        match self.recall(name) {
            Err(Error::Note { .. }) => Ok(None),
            other => other,
        }
    }

    /// Returns all names.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let found = files::names_in(&self.root().join("names"))?;
        Ok(found.iter().filter_map(|name| Some(name.strip_suffix(".json")?.replace('@', "/"))).collect())
    }
}
