//! Results as archives, and archives as a release: the same bytes wherever and
//! whenever they are made of the same result. Never changes the store, decides
//! nothing about builds.

pub mod archive;
pub mod bundle;
pub mod check;
pub mod compare;
mod compress;
pub mod contents;
pub mod describe;
pub mod index;
pub mod ingredients;
pub mod install;
pub mod provenance;
pub mod release;
pub mod sbom;
pub mod sign;
pub mod tarball;
pub mod tree;
pub mod upload;
pub mod verify;

use crate::base::{Diagnose, units};
use crate::process::Tool;
use check::Finding;
use std::io::{self, Read};
use std::path::PathBuf;

/// Errors of packaging, publishing and installing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the error names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a name for a file and for a directory of an archive.
    #[error("`{name}` cannot be the name of an archive")]
    Name {
        /// The name.
        name: String,
    },
    /// Neither a file, a directory nor a link.
    #[error("`{path}` is of a kind that no archive should hold")]
    Kind {
        /// The path.
        path: PathBuf,
    },
    /// Two trees have the same member.
    #[error("`{path}` is in the archive twice")]
    Twice {
        /// The member.
        path: PathBuf,
    },
    /// A symbolic link that is of no use where the archive is unpacked.
    #[error("the symbolic link `{path}` to `{target}` {why}")]
    Link {
        /// The member.
        path: PathBuf,
        /// Target of the link.
        target: PathBuf,
        /// Why that is refused.
        why: String,
    },
    /// A member of the archive would not work elsewhere, or would differ in a rebuild.
    #[error("{}", findings_text(findings))]
    NotPortable {
        /// Defects, by member.
        findings: Vec<Finding>,
    },
    /// A program of this machine cannot be run.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program of this machine failed.
    #[error("`{program}` failed: {why}")]
    Failed {
        /// Its name.
        program: String,
        /// Output of the program.
        why: String,
    },
    /// A key cannot sign.
    #[error("the key `{key}` cannot sign: {why}")]
    Key {
        /// As the user named it.
        key: String,
        /// Why not.
        why: String,
    },
    /// A signature or the lack of one.
    #[error("{what} is not verified: {why}")]
    Unverified {
        /// The file.
        what: String,
        /// Reason, a lowercase fragment.
        why: String,
    },
    /// A public key that cannot be used.
    #[error("the public key `{key}` cannot be used: {why}")]
    PublicKey {
        /// Its file.
        key: String,
        /// Why not.
        why: String,
    },
    /// No key was ever named for a publisher.
    #[error("no key of `{publisher}` is known")]
    NoKey {
        /// The server or directory.
        publisher: String,
    },
    /// Another key was named for a publisher than before.
    #[error("another key of `{publisher}` is trusted than the one that was named")]
    KeyChanged {
        /// The server or directory.
        publisher: String,
        /// The file of the trusted key.
        path: PathBuf,
    },
    /// The index has no such archive.
    #[error("no {kind} for `{target}` is published there")]
    NotOffered {
        /// As the user named it.
        target: String,
        /// The kind of archive.
        kind: String,
        /// The version published instead.
        hints: Vec<String>,
    },
    /// Several archives fit equally well.
    #[error("`{what}` may be any of {all}")]
    Ambiguous {
        /// As the user named it.
        what: String,
        /// The names of the archives.
        all: String,
    },
    /// Something is where an archive belongs.
    #[error("`{path}` {why}")]
    Occupied {
        /// The place.
        path: PathBuf,
        /// Its occupant, as the end of the sentence.
        why: String,
    },
    /// An archive does not fit the disk.
    #[error("`{path}` has {} free, and {} are needed", units::bytes(*free), units::bytes(*need))]
    NoSpace {
        /// A directory on the disk.
        path: PathBuf,
        /// In bytes.
        need: u64,
        /// In bytes.
        free: u64,
    },
    /// A file with other bytes than its index lists.
    #[error("`{path}` has {got}, its index lists {want}")]
    Mismatch {
        /// The file.
        path: String,
        /// As listed: a digest or a size.
        want: String,
        /// As found.
        got: String,
    },
    /// An index that cannot be used.
    #[error("the index `{path}` cannot be used: {why}")]
    Index {
        /// Path or URL of the document.
        path: String,
        /// Reason, a lowercase fragment.
        why: String,
    },
    /// A published file has different bytes.
    #[error("`{path}` is published with other bytes: nothing published is ever replaced")]
    Published {
        /// The path below the destination.
        path: String,
    },
    /// A server or another machine refused.
    #[error("{place}: {why}")]
    Remote {
        /// Which.
        place: String,
        /// Answer of the server.
        why: String,
    },
    /// Not known to this program.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What.
        what: String,
    },
    /// A remote place failed.
    #[error(transparent)]
    Place(crate::remote::Error),
    /// The source layer failed to fetch or unpack.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
}

/// More findings than these help nobody.
const MOST_FINDINGS: usize = 5;

fn findings_text(findings: &[Finding]) -> String {
    let shown = findings.iter().take(MOST_FINDINGS);
    let mut lines: Vec<String> = shown.map(|found| format!("`{}` {}", found.path.display(), found.what)).collect();
    if let Some(more) = findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("; ")
}

impl From<crate::remote::Error> for Error {
    fn from(error: crate::remote::Error) -> Self {
        use crate::remote::Error as Other;
        match error {
            Other::Io(error) => Self::Io(error),
            Other::Exists { path } => Self::Published { path },
            Other::Place { place, why } => Self::Remote { place, why },
            Other::Unsupported { what } => Self::Unsupported { what },
            error @ Other::Changed { .. } => Self::Place(error),
        }
    }
}

impl From<crate::remote::minisign::Error> for Error {
    fn from(error: crate::remote::minisign::Error) -> Self {
        use crate::remote::minisign::Error as Other;
        let program = || "minisign".to_owned();
        match error {
            Other::Io(error) => Self::Io(error),
            Other::Program(source) => Self::Program { program: program(), source },
            Other::Failed(why) => Self::Failed { program: program(), why },
            error @ Other::Public(_) => Self::Failed { program: program(), why: error.to_string() },
        }
    }
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                "free some space, or choose another place with `--out DIR`"
            }
            Self::Name { .. } => "letters, digits and `. _ + -` are safe, and a letter or digit at the front",
            Self::Program { program, source } if source.kind() == io::ErrorKind::NotFound => {
                return vec![format!("install `{program}`")];
            }
            Self::NoKey { .. } => {
                "name the file of the publisher's public key once with `--key FILE`; get it on another way than the archives"
            }
            Self::KeyChanged { path, .. } => {
                return vec![format!("if the publisher has a new key, delete `{}` and name it again", path.display())];
            }
            Self::NotOffered { hints, .. } => return hints.clone(),
            Self::Ambiguous { .. } => "name one of them",
            Self::Occupied { .. } => "remove it, or choose another directory with `--prefix DIR`",
            Self::NoSpace { .. } => "free some space, or choose another directory with `--prefix DIR`",
            Self::Unverified { why, .. } if why.contains(" expired on ") => {
                "if the publisher renewed the key, name the new copy with `--key FILE`"
            }
            Self::Unverified { .. } => "do not use it: it is not what the owner of the key signed",
            Self::Mismatch { .. } => "do not use it: it was damaged or changed after the index was signed",
            Self::Published { .. } => "publish under another name or version",
            Self::Source(error) => return error.hints(),
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

// Runs a program of this machine to its end and returns what it prints.
fn run_tool(program: &str, tool: &Tool, input: impl Read) -> Result<Vec<u8>, Error> {
    let output = tool.run(input).map_err(|source| Error::Program { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    Err(Error::Failed { program: program.to_owned(), why: last.trim().to_owned() })
}
