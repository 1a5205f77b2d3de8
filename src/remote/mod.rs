//! Places that hold files for other machines: a directory, a bucket of S3, a server that takes PUT. A file is created, and
//! what exists is replaced only where the caller says so.
//!
//! Credentials are sent and never shown: errors and names are without them.

pub mod blob;
pub mod directory;
pub mod http;
pub mod minisign;
pub mod s3;

use blob::{Blob, Text};
use reqwest::Url;
use std::time::{Duration, SystemTime};

/// What can go wrong with a remote place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It exists, and what exists is never replaced.
    #[error("`{path}` exists already")]
    Exists {
        /// The path below the place.
        path: String,
    },
    /// Somebody else replaced it meanwhile.
    #[error("{place}: it was changed meanwhile: another writer is at work")]
    Changed {
        /// The file.
        place: String,
    },
    /// A server refused, did not answer, or cannot be used.
    #[error("{place}: {why}")]
    Place {
        /// Which.
        place: String,
        /// What it answered.
        why: String,
    },
    /// Not known to this program.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What.
        what: String,
    },
}

/// How a place is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// A token for servers that take PUT.
    pub token: Option<String>,
    /// Whether http to another machine is allowed, where no credentials are sent: what is read there must be verified.
    pub plain_http: bool,
    /// The longest that connecting may take.
    pub connect: Duration,
    /// A server that neither takes nor sends anything for so long is given up.
    pub stall: Duration,
    /// The longest that one request to a bucket may take.
    pub whole: Duration,
    /// How often a request to a bucket is tried again.
    pub retries: usize,
}

impl Access {
    /// Returns the times of an upload that a person waits for.
    #[must_use]
    pub fn patient(token: Option<String>) -> Self {
        Self {
            token,
            plain_http: false,
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(120),
            whole: Duration::from_secs(1800),
            retries: 10,
        }
    }
}

/// A file of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the directory that was listed.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// A place.
#[derive(Debug)]
pub enum Remote {
    /// A directory of this machine.
    Directory(directory::Directory),
    /// A bucket of S3.
    Bucket(s3::Bucket),
    /// A server that takes PUT.
    Server(http::Server),
}

impl Remote {
    /// Parses a URL or the path of a directory; `what` is for the message about a scheme that is not supported.
    pub fn open(text: &str, what: &str, access: &Access) -> Result<Self, Error> {
        match text.split_once("://") {
            None => Ok(Self::Directory(directory::Directory::open(text)?)),
            Some(("file", path)) => Ok(Self::Directory(directory::Directory::open(path)?)),
            Some(("s3", _)) => Ok(Self::Bucket(s3::Bucket::open(text, access)?)),
            Some(("http" | "https", _)) => Ok(Self::Server(http::Server::open(text, access)?)),
            Some((scheme, _)) => Err(Error::Unsupported { what: format!("{what} `{scheme}:`") }),
        }
    }

    /// Returns its name for messages and logs, without credentials.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) => directory.name(),
            Self::Bucket(bucket) => bucket.name().to_owned(),
            Self::Server(server) => server.place("").trim_end_matches('/').to_owned(),
        }
    }

    /// Returns whether the network is needed to reach it.
    #[must_use]
    pub fn is_network(&self) -> bool {
        !matches!(self, Self::Directory(_))
    }

    /// Returns a file of `limit` bytes at most, or none where it does not exist.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Option<Text>, Error> {
        match self {
            Self::Directory(directory) => directory.get(path, limit).await,
            Self::Bucket(bucket) => bucket.text(path, limit).await,
            Self::Server(server) => server.text(path, limit).await,
        }
    }

    /// Returns the size of a file, or none where it does not exist.
    pub async fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        match self {
            Self::Directory(directory) => directory.size(path).await,
            Self::Bucket(bucket) => bucket.size(path).await,
            Self::Server(server) => server.size(path).await,
        }
    }

    /// Creates a file. [`Error::Exists`] if there is one.
    pub async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let blob = || Blob {
            path: path.to_owned(),
            sha256: crate::base::Sha256::of(&bytes),
            bytes: bytes.len() as u64,
            is_fixed: true,
        };
        match self {
            Self::Directory(directory) => directory.create(path, bytes).await,
            Self::Bucket(bucket) => {
                let blob = blob();
                bucket.upload(&blob, bytes).await
            }
            Self::Server(server) => {
                let blob = blob();
                server.upload(&blob, bytes).await
            }
        }
    }

    /// Replaces a file, if it still is `before`.
    pub async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
        match self {
            Self::Directory(directory) => directory.replace(path, bytes).await,
            Self::Bucket(bucket) => bucket.replace(path, bytes, before).await,
            Self::Server(server) => server.replace(path, bytes, before).await,
        }
    }

    /// Removes a file that may be missing.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        match self {
            Self::Directory(directory) => directory.remove(path).await,
            Self::Bucket(bucket) => bucket.remove(path).await,
            Self::Server(server) => server.remove(path).await,
        }
    }

    /// Returns the files directly below `dir`, in no order.
    pub async fn list(&self, dir: &str) -> Result<Vec<Listed>, Error> {
        match self {
            Self::Directory(directory) => directory.list(dir).await,
            Self::Bucket(bucket) => bucket.list(dir).await,
            Self::Server(server) => {
                Err(Error::Unsupported { what: format!("listing {}: HTTP has no form for it", server.place("")) })
            }
        }
    }
}

/// Returns the URL without user, password and query.
fn redacted(mut url: Url) -> Url {
    // A URL without a host has no user either.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url
}

fn too_large(limit: u64) -> String {
    format!("it has more than the {} that such a file may have", crate::base::units::bytes(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_credentials() {
        let access = Access::patient(None);
        let open = |text| Remote::open(text, "a cache at", &access);
        assert_eq!(open("https://user:secret@host/a?sig=1").unwrap().name(), "https://host/a");
        let refused = open("http://user:secret@host/a").unwrap_err().to_string();
        assert!(refused.contains("not https") && !refused.contains("secret"), "{refused}");
        let lenient = Access { plain_http: true, ..Access::patient(None) };
        assert!(Remote::open("http://host/a", "", &lenient).is_ok());
        let refused = Remote::open("http://user:secret@host/a", "", &lenient).unwrap_err().to_string();
        assert!(refused.contains("credentials") && !refused.contains("secret"), "{refused}");
        let refused = open("gs://bucket").unwrap_err().to_string();
        assert_eq!(refused, "unsupported: a cache at `gs:`");
    }
}
