//! A bundle: results and downloads of a store in one file, for machines without a network and for the jobs of a matrix
//! that was divided.
//!
//! A tar archive with the store's own paths. Its first member, `bundle.json`, names the form; its last one, `blake3`, is
//! the digest of everything before it. An import reads the whole file before it changes anything, compares every result
//! with its manifest and every download with its name, and publishes each by one rename. An import that was interrupted
//! is repeated.

mod export;
mod import;

pub use export::{Export, export};
pub use import::{Imported, import};

use serde::{Deserialize, Serialize};
use std::path::Path;

/// The form of the bundles that are written and read.
const SCHEMA: u32 = 1;
/// The first member.
const HEAD: &str = "bundle.json";
/// The last member.
const TAIL: &str = "blake3";
/// Bytes of the last member and of the archive's end: a header, a padded block, and two empty blocks.
const TAIL_BYTES: u64 = 2048;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    schema: u32,
    crossmill: String,
    results: usize,
    downloads: usize,
}

fn refused(path: &Path, why: impl Into<String>) -> super::Error {
    super::Error::Bundle { path: path.to_owned(), why: why.into() }
}
