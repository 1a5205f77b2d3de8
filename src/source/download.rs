//! Requests to a server.

use super::route::Trust;
use crate::base::Sha256;
use std::path::Path;

/// A file to download.
#[derive(Debug)]
pub(super) struct Download<'a> {
    pub(super) url: &'a str,
    pub(super) trust: Trust,
    /// Where its bytes are collected.
    pub(super) path: &'a Path,
    /// Its pin, if known.
    pub(super) want: Option<Sha256>,
    /// Its size, if that is known.
    pub(super) size: Option<u64>,
    /// More is refused.
    pub(super) limit: u64,
}
