//! Why a source is not here.

use crate::base::text::with_causes;
use crate::base::{Diagnose, Sha256};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A candidate that failed.
#[derive(Debug)]
pub struct Failure {
    /// The candidate, as [`SourceSpec::label`](crate::config::source::SourceSpec::label) names it.
    pub source: String,
    /// Why.
    pub error: Error,
}

/// Why a source could not be fetched, verified or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(io::Error),
    /// No space is left where `path` is; what has arrived is kept.
    #[error("no space left on the device while writing `{path}`")]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// Every candidate failed.
    #[error("no source could be fetched{}", list_failures(.failures))]
    Exhausted {
        /// Each candidate in order, with its reason.
        failures: Vec<Failure>,
    },
    /// Nothing may be fetched and the cache has none of the candidates.
    #[error("not in the cache, and `--offline` forbids the network{}", list(.sources))]
    Offline {
        /// The acceptable alternatives.
        sources: Vec<String>,
    },
    /// The server answered with a status that is no success.
    #[error("`{url}` answered with status {status}")]
    Status {
        /// Asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The connection failed or broke, and the retries are used up.
    #[error("cannot download `{url}`: {why}")]
    Network {
        /// Asked for.
        url: String,
        /// The innermost reason.
        why: String,
    },
    /// This host has failed in this run already.
    #[error("`{host}` could not be reached before in this run: {why}")]
    HostDead {
        /// Host and port.
        host: String,
        /// The error of that attempt.
        why: String,
    },
    /// The connection is open and nothing arrives.
    #[error("`{url}` sent nothing for {}", crate::base::units::duration(*.after))]
    Stalled {
        /// Asked for.
        url: String,
        /// For how long.
        after: Duration,
    },
    /// So little arrives that the end will not be seen.
    #[error("`{url}` sent only {got} bytes in {}", crate::base::units::duration(*.within))]
    Slow {
        /// Asked for.
        url: String,
        /// Bytes that arrived.
        got: u64,
        /// In what time.
        within: Duration,
    },
    /// An archive unpacks to more than its recipe declares.
    #[error("`{archive}` unpacks to more than {}, but its recipe declares {}", crate::base::units::bytes(*.limit), crate::base::units::bytes(*.declared))]
    TooLarge {
        /// The archive.
        archive: String,
        /// Bytes at which unpacking ended.
        limit: u64,
        /// Bytes by the recipe, or estimated from the size of the archive.
        declared: u64,
    },
    /// The connection was closed before everything had arrived.
    #[error("`{url}` ended after {got} of {want} bytes")]
    Short {
        /// Asked for.
        url: String,
        /// Bytes announced.
        want: u64,
        /// Bytes that arrived.
        got: u64,
    },
    /// The file differs in size from its recipe.
    #[error("`{url}` has {got} bytes, but its recipe declares {want}")]
    Size {
        /// Asked for.
        url: String,
        /// Bytes by the recipe.
        want: u64,
        /// Bytes by the server.
        got: u64,
    },
    /// The file has no end, or one beyond what the recipe makes possible. Nothing of it is kept.
    #[error("`{url}` has more than {}, which is more than its recipe allows", crate::base::units::bytes(*.limit))]
    Endless {
        /// Asked for.
        url: String,
        /// Bytes at which it was given up.
        limit: u64,
    },
    /// The file is not the one the recipe means. Nothing of it is kept.
    #[error("checksum mismatch for `{url}`: want sha256 {want}, got {got}")]
    Mismatch {
        /// Where it came from.
        url: String,
        /// By the recipe.
        want: Sha256,
        /// Digest or size of the received data.
        got: Sha256,
    },
    /// The file is not the one whose signature was verified before. Nothing of it is kept.
    #[error("`{url}` has changed since its signature was verified: it was sha256 {want}, now it is {got}")]
    PinChanged {
        /// Where it came from.
        url: String,
        /// The recorded digest.
        want: Sha256,
        /// Digest or size of the received data.
        got: Sha256,
        /// The record.
        record: PathBuf,
    },
    /// Neither https, nor the Debian mirror, nor this machine.
    #[error("`{url}` is not https")]
    Insecure {
        /// The URL.
        url: String,
    },
    /// The host's apt names no mirror of the Debian archive.
    #[error("no Debian mirror is configured in `{apt_dir}`")]
    NoDebianMirror {
        /// The place that was searched.
        apt_dir: PathBuf,
    },
    /// The signature or its key is not valid.
    #[error("the signature of `{url}` is not good: {problem}")]
    Signature {
        /// The signed file.
        url: String,
        /// Why.
        problem: super::signature::Problem,
        /// The keyring.
        keyring: PathBuf,
    },
    /// A file of the cache does not match its name. The caller deletes it and fetches again.
    #[error("`{path}` in the cache is damaged: it should be sha256 {want}, it is {got}")]
    CorruptBlob {
        /// The file.
        path: PathBuf,
        /// By its name.
        want: Sha256,
        /// Plain.
        got: Sha256,
    },
    /// The archive cannot be read to its end.
    #[error("cannot unpack `{archive}`")]
    Archive {
        /// The archive, or the member of one.
        archive: String,
        /// The message of its decoder.
        source: io::Error,
    },
    /// The archive contains an entry that is not allowed in a source tree.
    #[error("refused to unpack `{entry}`: {why}")]
    Refused {
        /// The entry as the archive spells it, or its path in the tree.
        entry: String,
        /// The reason.
        why: String,
    },
    /// The package does not contain the file that the recipe names.
    #[error("`{archive}` has no member `{member}`")]
    NoMember {
        /// The package.
        archive: String,
        /// The path asked for.
        member: String,
        /// Members with similar names.
        near: Vec<String>,
    },
    /// A patch does not apply.
    #[error("patch `{patch}` does not apply: {reject}")]
    Patch {
        /// The patch.
        patch: String,
        /// The first complaint of `patch`.
        reject: String,
    },
    /// A program that is needed could not be started.
    #[error("cannot run `{program}`")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// git failed.
    #[error("git cannot {doing} `{url}`: {why}")]
    Git {
        /// `clone`, `fetch`, `find <rev> in`, `archive`.
        doing: String,
        /// The repository.
        url: String,
        /// Its last words.
        why: String,
    },
    /// git lacks what the mirror in the cache should have. The caller forgets it and fetches again.
    #[error("the mirror of `{url}` in the cache is damaged: {why}")]
    DamagedMirror {
        /// The repository.
        url: String,
        /// git's last words.
        why: String,
    },
    /// A commit has submodules, which `git archive` leaves out.
    #[error("`{url}` has submodules, which are not fetched: {}", .paths.join(", "))]
    Submodules {
        /// The repository.
        url: String,
        /// Destination directory.
        paths: Vec<String>,
    },
    /// The path that the user gave is neither a file nor a directory.
    #[error("`{path}` is neither a file nor a directory")]
    NotASource {
        /// As named.
        path: PathBuf,
    },
    /// The content of a directory has changed since it was hashed.
    #[error("`{path}` has changed since this run began: it was {want}, now it is {got}")]
    TreeChanged {
        /// The directory.
        path: PathBuf,
        /// The digest then.
        want: String,
        /// The digest now.
        got: String,
    },
    /// The run was stopped.
    #[error("stopped")]
    Cancelled,
}

fn list(sources: &[String]) -> String {
    sources.iter().map(|source| format!("\n  - {source}")).collect()
}

fn list_failures(failures: &[Failure]) -> String {
    failures.iter().map(|Failure { source, error }| format!("\n  - {source}: {}", with_causes(error))).collect()
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Error {
    /// Returns whether the next candidate has no better chance, so that trying it would only hide
    /// this.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::Cancelled | Self::Io(_) | Self::Program { .. })
    }

    fn is_network(&self) -> bool {
        matches!(
            self,
            Self::Network { .. }
                | Self::HostDead { .. }
                | Self::Stalled { .. }
                | Self::Slow { .. }
                | Self::Short { .. }
        )
    }
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        let own_copy = "name a copy of your own with `--source NAME=PATH`";
        let hints: &[&str] = match self {
            Self::Io(error) => return crate::base::access::hints(error),
            Self::DiskFull { .. } => &["free some space and run again: the download goes on where it stopped"],
            Self::Exhausted { failures } => {
                let mut hints = Vec::new();
                if failures.iter().all(|failure| failure.error.is_network()) {
                    hints.push("is this machine connected? a proxy is taken from `https_proxy`".to_owned());
                }
                for failure in failures {
                    for hint in failure.error.hints() {
                        if !hints.contains(&hint) {
                            hints.push(hint);
                        }
                    }
                }
                if !hints.iter().any(|hint| hint == own_copy) {
                    hints.push(own_copy.to_owned());
                }
                return hints;
            }
            Self::Offline { .. } => &["run once without `--offline`", own_copy],
            Self::Mismatch { .. } | Self::Size { .. } => {
                &["the server, or something on the way, does not send the file that the recipe's author saw"]
            }
            Self::PinChanged { record, .. } => {
                return vec![
                    "a release that was published does not change: find out why before you trust it".to_owned(),
                    format!("to forget what was verified before, delete `{}`", record.display()),
                ];
            }
            Self::Endless { .. } => {
                &["if that is right, give the version `unpacked = \"SIZE\"`, or the source `size`, in the recipe"]
            }
            Self::TooLarge { .. } => &["if that is right, give the version `unpacked = \"SIZE\"` in the recipe"],
            Self::Insecure { .. } => &["write it with https"],
            Self::NoDebianMirror { .. } => &["name one with `--debian-mirror URL`"],
            Self::Signature { problem, keyring, .. } => return vec![problem.hint(keyring)],
            Self::CorruptBlob { .. } => &["delete it and run again; if it happens twice, check the disk"],
            Self::NoMember { near, .. } if !near.is_empty() => {
                return vec![format!("it has {}", crate::base::suggest::list(near.iter().map(String::as_str)))];
            }
            Self::Patch { .. } => &["the patch belongs to another version of the source"],
            Self::Program { program: "patch", .. } => &["install GNU patch"],
            Self::Program { program: "git", .. } => &["install git"],
            Self::Program { program: super::signature::PROGRAM, .. } => {
                &["install gpgv (GnuPG): without it no signature can be checked"]
            }
            Self::Submodules { .. } => {
                &["clone it with `git clone --recurse-submodules` and name that directory: `--source NAME=DIR`"]
            }
            Self::TreeChanged { .. } => &["leave the directory alone while it is being read, and run again"],
            _ => &[],
        };
        hints.iter().map(|hint| (*hint).to_owned()).collect()
    }
}
