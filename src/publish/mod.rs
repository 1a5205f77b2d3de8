//! What is given away: a result of the store as one file, the same bytes
//! wherever and whenever it is made of the same result. Never changes the store.

pub mod archive;

use crate::base::Diagnose;
use std::io;
use std::path::PathBuf;

/// What can go wrong with a publication.
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
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                vec!["free some space, or choose another place with `--out DIR`".into()]
            }
            Self::Name { .. } => {
                vec!["letters, digits and `. _ + -` are safe, and a letter or digit at the front".into()]
            }
            Self::Io(_) | Self::Kind { .. } => Vec::new(),
        }
    }
}
