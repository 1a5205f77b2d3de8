//! What is signed: that the result of a key is one entry. A file of two parts: the statement as one line of JSON, and
//! minisign's signature of that line.

use super::Error;
use crate::base::Key;
use crate::remote::minisign::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};

/// The kind of the statement: a signature of anything else is no signature of this.
const KIND: &str = "crossmill cache entry";
const SCHEMA: u32 = 1;
/// The trusted comment of the signatures.
const COMMENT: &str = "crossmill cache";

/// Returns a file of a line and its signature.
pub(super) fn sign(line: &str, secret: &SecretKey) -> Result<String, Error> {
    let signature = secret.sign(line.as_bytes(), COMMENT)?;
    Ok(format!("{line}\n{signature}"))
}

/// Returns the line of such a file that `signer` has signed; `what` is for the message.
pub(super) fn verified<'a>(what: &str, file: &'a [u8], signer: &PublicKey) -> Result<&'a str, Error> {
    let untrusted = |why: String| Error::Untrusted { what: what.to_owned(), why };
    let text = std::str::from_utf8(file).map_err(|_| untrusted("it is no text".to_owned()))?;
    let (line, signature) = text.split_once('\n').ok_or_else(|| untrusted("it has no signature".to_owned()))?;
    signer.verify(line.as_bytes(), signature).map_err(untrusted)?;
    Ok(line)
}

/// The statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    kind: String,
    schema: u32,
    /// The key of the stage.
    pub key: Key,
    /// The name of the stage where it was built.
    pub stage: String,
    /// The digest of the result's content, which every build of the key must have.
    pub result: Key,
    /// The digest of the entry's text.
    pub entry: Key,
    /// Bytes of the entry's text.
    pub entry_bytes: u64,
    /// Bytes of the result.
    pub bytes: u64,
}

impl Statement {
    /// Returns the statement that the result of `key` is the entry with the digest `entry`.
    #[must_use]
    pub fn new(key: Key, stage: &str, result: Key, entry: Key, entry_bytes: u64, bytes: u64) -> Self {
        Self { kind: KIND.to_owned(), schema: SCHEMA, key, stage: stage.to_owned(), result, entry, entry_bytes, bytes }
    }

    /// Returns its file.
    pub fn signed(&self, secret: &SecretKey) -> Result<String, Error> {
        sign(&serde_json::to_string(self).map_err(std::io::Error::from)?, secret)
    }

    /// Reads a file that must be about `key` and signed by `signer`; `what` is for the message.
    pub fn read(what: &str, file: &[u8], key: &Key, signer: &PublicKey) -> Result<Self, Error> {
        let untrusted = |why: String| Error::Untrusted { what: what.to_owned(), why };
        let statement = Self::unverified(what, verified(what, file, signer)?)?;
        if statement.key != *key {
            return Err(untrusted(format!("it is about another key, {}", statement.key.short())));
        }
        Ok(statement)
    }

    /// Reads the statement of a file whose signature does not matter.
    pub fn unverified(what: &str, text: &str) -> Result<Self, Error> {
        let untrusted = |why: String| Error::Untrusted { what: what.to_owned(), why };
        let line = text.lines().next().unwrap_or_default();
        let statement: Self = serde_json::from_str(line).map_err(|error| untrusted(error.to_string()))?;
        if statement.kind != KIND || statement.schema != SCHEMA {
            return Err(untrusted(format!(
                "it is a statement of kind `{}`, form {}",
                statement.kind, statement.schema
            )));
        }
        Ok(statement)
    }
}
