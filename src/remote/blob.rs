//! The files that are uploaded, and what a remote place has of them.

use super::Error;
use crate::base::Sha256;

/// A file that is published once and never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its path below the place.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// Whether a rebuild has the same bytes. Provenance and signatures have times in them, so one that no index lists yet may
    /// be replaced.
    pub is_fixed: bool,
}

/// State of a blob at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Missing,
    /// The same bytes.
    Same,
    /// Other bytes.
    Other,
}

/// A small file of a destination, with what identifies its version there.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The entity tag, where there are such tags.
    pub tag: Option<String>,
}

/// Returns the error of an object that somebody else published meanwhile.
pub(super) fn published(path: &str) -> Error {
    Error::Exists { path: path.to_owned() }
}

/// Returns the error of a file that somebody else replaced meanwhile.
pub(super) fn raced(place: &str) -> Error {
    Error::Changed { place: place.to_owned() }
}
