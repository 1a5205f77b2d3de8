//! The keys that the user trusts, one file for each publisher in the user's configuration directory.

use super::super::Error;
use super::super::verify::PublicKey;
use super::origin::Origin;
use crate::base::files;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A file of the directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trusted {
    schema: u32,
    publisher: String,
    key: String,
}

const SCHEMA: u32 = 1;

/// The key of one publisher.
#[derive(Debug)]
pub struct Trust {
    /// The key that signatures are verified with.
    pub key: PublicKey,
    // Path of the stored key, once it has verified something.
    keep: Option<(PathBuf, String)>,
}

impl Trust {
    /// Returns the key for `origin`: the one in the file `named`, else the one that was kept in `dir`.
    ///
    /// # Errors
    /// When neither exists, or `named` is another key than the one that was kept.
    pub fn find(dir: &Path, origin: &Origin, named: Option<&Path>) -> Result<Self, Error> {
        let path = dir.join(origin.publisher_file());
        let known = read(&path, origin)?;
        match (named.map(PublicKey::read).transpose()?, known) {
            (None, Some(key)) => Ok(Self { key, keep: None }),
            (None, None) => Err(Error::NoKey { publisher: origin.publisher() }),
            (Some(named), Some(known)) if !named.is_same(&known) => {
                Err(Error::KeyChanged { publisher: origin.publisher(), path })
            }
            (Some(named), known) => {
                let is_new = known.is_none_or(|known| known.text != named.text);
                Ok(Self { key: named, keep: is_new.then(|| (path, origin.publisher())) })
            }
        }
    }

    /// Keeps a key that was named and has verified something.
    pub fn keep(&self) -> Result<(), Error> {
        let Some((path, publisher)) = &self.keep else { return Ok(()) };
        let trusted = Trusted { schema: SCHEMA, publisher: publisher.clone(), key: self.key.text.clone() };
        let text = serde_json::to_string_pretty(&trusted).map_err(std::io::Error::other)?;
        Ok(files::write_atomic(path, format!("{text}\n").as_bytes())?)
    }
}

fn read(path: &Path, origin: &Origin) -> Result<Option<PublicKey>, Error> {
    let Some(text) = files::read_if_present(path)? else { return Ok(None) };
    let refuse = |why: String| Error::PublicKey { key: path.display().to_string(), why };
    let trusted: Trusted = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    if trusted.schema != SCHEMA || trusted.publisher != origin.publisher() {
        return Err(refuse(format!("it is not a key of `{}`", origin.publisher())));
    }
    PublicKey::parse(&trusted.key).map(Some).map_err(refuse)
}
