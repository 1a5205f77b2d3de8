//! The sources of a version, as declared by its recipe.
//!
//! Every candidate has its own pin, because a distributor's repacked archive has a digest different
//! from the publisher's.

use crate::base::{Sha256, secret};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A candidate for a source, with the pin that verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSpec {
    /// The path.
    pub from: Origin,
    /// The pin that the downloaded bytes must match.
    pub pin: Pin,
    /// The archive's size in bytes, for the progress display and the disk check.
    pub size: Option<u64>,
    /// Bytes it cannot have more of, by the size of its unpacked tree; for one whose size is not known.
    pub limit: Option<u64>,
    /// For a `.deb`: the path of the real archive inside it.
    pub member: Option<String>,
    /// Leading path components dropped when unpacking; 1 for the usual `gcc-16.2.0/`.
    pub strip: u32,
    /// Patches that belong to this candidate alone, applied in order before the recipe's.
    pub patches: Vec<PatchSpec>,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A URL of the publisher or a mirror of it (https, or http to the loopback in tests).
    Url(String),
    /// A path below the base of the Debian mirror that this host's apt uses: `pool/main/g/gmp/…`.
    Debian(String),
    /// A file or a directory on this machine.
    Local(PathBuf),
    /// A git repository (a URL or a path) and a revision: a commit, tag or branch.
    Git {
        /// The argument of `git clone`.
        url: String,
        /// The argument of `git rev-parse`.
        rev: String,
    },
}

/// The identity of the correct bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pin {
    /// The SHA-256 of the file as downloaded.
    Sha256(Sha256),
    /// A detached OpenPGP signature by a key of a committed keyring.
    Signature {
        /// Where the signature is.
        url: String,
        /// The armoured keyring's text (its path is only for messages).
        keyring: Keyring,
        /// Whether the signature is over the decompressed archive, as kernel.org's are.
        uncompressed: bool,
    },
    /// Nothing: a source given on the command line is used as it is, and its digest is recorded.
    AsFound,
}

/// A keyring as committed beside the recipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keyring {
    /// For messages.
    pub path: PathBuf,
    /// ASCII-armoured public keys, one or several blocks.
    pub armored: String,
}

/// A patch and how to apply it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatchSpec {
    /// Where the text is.
    pub from: PatchFrom,
    /// `patch -p`.
    pub strip: u32,
}

impl PatchSpec {
    /// Returns its file's name without directory and extension.
    pub fn stem(&self) -> String {
        let path = match &self.from {
            PatchFrom::Member(member) => Path::new(member),
            PatchFrom::File { path, .. } => path,
        };
        path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Where a patch's text is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchFrom {
    /// A member of the same `.deb` as the source (so covered by its digest).
    Member(String),
    /// A file of the recipe directory.
    File {
        /// For messages.
        path: PathBuf,
        /// The patch itself.
        text: String,
    },
}

impl SourceSpec {
    /// Returns the candidate's name in the summary: `https://…`, `debian:pool/…`, a path, `git+…`. It has no credentials.
    pub fn label(&self) -> String {
        match &self.from {
            Origin::Url(url) => secret::redact(url).into_owned(),
            Origin::Debian(path) => format!("debian:{path}"),
            Origin::Local(path) => path.display().to_string(),
            Origin::Git { url, rev } => format!("git+{}#{rev}", secret::redact(url)),
        }
    }
}
