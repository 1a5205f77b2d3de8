//! The names of files in a cache, and their limits.
//!
//! Names are part of the format: `v1` changes when an older crossmill could not read what is written.

use crate::base::{Key, Sha256};

/// Signed statements: `KEY.SIGNER`.
pub const KEYS: &str = "v1/keys";
/// Entries, by the digest of their uncompressed text.
pub const ENTRIES: &str = "v1/entries";
/// Contents, by the digest of their uncompressed bytes.
pub const OBJECTS: &str = "v1/objects";
/// Downloads, by their SHA-256: the list of their objects.
pub const SOURCES: &str = "v1/sources";
/// Which candidates of a source were used, by the digest of its label and theirs.
pub const CHOICES: &str = "v1/choices";
/// Who builds what is missing: `KEY.N`.
pub const CLAIMS: &str = "v1/claims";

/// The largest object before it is compressed. A request for one ends soon even on a slow line, and a part is what a task
/// holds in memory.
pub const PART: u64 = 8 << 20;
/// Larger is no statement with its signature, no claim, and no choice.
pub const MOST_STATEMENT: u64 = 16 << 10;
/// Larger is no entry, compressed.
pub const MOST_ENTRY: u64 = 64 << 20;
/// Larger is no entry's text.
pub const MOST_ENTRY_TEXT: u64 = 512 << 20;

/// Returns the path of the statement about `key` by the key with the number `signer`.
#[must_use]
pub fn statement(key: &Key, signer: &str) -> String {
    format!("{KEYS}/{key}.{signer}")
}

/// Reads the name of a statement.
#[must_use]
pub fn parse_statement(name: &str) -> Option<(Key, &str)> {
    let (key, signer) = name.split_once('.')?;
    Some((key.parse().ok()?, signer))
}

/// Returns the path of the claim `number` to build `key`.
#[must_use]
pub fn claim(key: &Key, number: u32) -> String {
    format!("{CLAIMS}/{key}.{number}")
}

/// Returns whether a file of [`CLAIMS`] is a claim by its name.
#[must_use]
pub fn is_claim(name: &str) -> bool {
    name.split_once('.').is_some_and(|(key, number)| key.parse::<Key>().is_ok() && number.parse::<u32>().is_ok())
}

/// Returns the path of an entry.
#[must_use]
pub fn entry(digest: &Key) -> String {
    format!("{ENTRIES}/{digest}")
}

/// Returns the path of an object.
#[must_use]
pub fn object(digest: &Key) -> String {
    format!("{OBJECTS}/{digest}")
}

/// Returns the path of a download's list.
#[must_use]
pub fn source(sha256: &Sha256) -> String {
    format!("{SOURCES}/{sha256}")
}

/// Returns the most that `bytes` bytes take compressed, whatever they are.
#[must_use]
pub fn most_stored(bytes: u64) -> u64 {
    bytes + bytes / 64 + 4096
}
