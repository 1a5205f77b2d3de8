//! Destinations of a release: a directory, a bucket, a server that takes PUT, a directory behind rsync.

use super::super::Error;
use super::{published, rsync};
use crate::base::files;
use crate::remote::blob::{Blob, Presence, Text};
use crate::remote::{Access, http, s3};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const TOKEN: &str = "CROSSMILL_PUBLISH_TOKEN";
/// Larger is no index and no page of a release.
const MAX_TEXT: u64 = 256 << 20;

/// A place that releases are published at.
#[derive(Debug)]
pub enum Destination {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket of S3.
    Bucket(s3::Bucket),
    /// A server that takes PUT.
    Server(http::Server),
    /// A directory that rsync reaches.
    Rsync(rsync::Remote),
}

impl Destination {
    /// Parses what the user named.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let access = Access::patient(std::env::var(TOKEN).ok().filter(|token| !token.is_empty()));
        match text.split_once("://") {
            None => Ok(Self::Directory(std::path::absolute(text)?)),
            Some(("s3", _)) => Ok(Self::Bucket(s3::Bucket::open(text, &access)?)),
            Some(("http" | "https", _)) => Ok(Self::Server(http::Server::open(text, &access)?)),
            Some(("rsync" | "ssh", _)) => Ok(Self::Rsync(rsync::Remote::open(text)?)),
            Some((scheme, _)) => Err(Error::Unsupported { what: format!("publishing to `{scheme}:`") }),
        }
    }

    /// Returns a small file, or none where it does not exist.
    pub async fn text(&self, path: &str) -> Result<Option<Text>, Error> {
        match self {
            Self::Directory(dir) => Ok(files::read_if_present(&dir.join(path))?.map(|bytes| Text { bytes, tag: None })),
            Self::Bucket(bucket) => Ok(bucket.text(path, MAX_TEXT).await?),
            Self::Server(server) => Ok(server.text(path, MAX_TEXT).await?),
            Self::Rsync(remote) => remote.text(path),
        }
    }

    /// Returns what it has of each blob, in order.
    pub async fn presence(&self, release: &Path, blobs: &[Blob]) -> Result<Vec<Presence>, Error> {
        let mut found = Vec::new();
        match self {
            Self::Rsync(remote) => return remote.presence(release, blobs),
            Self::Directory(dir) => {
                for blob in blobs {
                    found.push(on_disk(&dir.join(&blob.path), blob)?);
                }
            }
            Self::Bucket(bucket) => {
                for blob in blobs {
                    found.push(bucket.presence(blob).await?);
                }
            }
            Self::Server(server) => {
                for blob in blobs {
                    found.push(server.presence(blob).await?);
                }
            }
        }
        Ok(found)
    }

    /// Uploads a blob. One that must not be replaced fails if it exists meanwhile.
    pub async fn upload(&self, release: &Path, blob: &Blob) -> Result<(), Error> {
        let from = release.join(&blob.path);
        match self {
            Self::Directory(dir) => on_disk_new(&from, &dir.join(&blob.path), blob),
            Self::Bucket(bucket) => Ok(bucket.upload(blob, fs_err::read(from)?).await?),
            Self::Server(server) => Ok(server.upload(blob, fs_err::read(from)?).await?),
            Self::Rsync(remote) => remote.upload(release, &blob.path, blob.is_fixed),
        }
    }

    /// Replaces a small file, if it still is `before`.
    pub async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
        match self {
            Self::Directory(dir) => Ok(files::write_atomic(&dir.join(path), bytes)?),
            Self::Bucket(bucket) => Ok(bucket.replace(path, bytes, before).await?),
            Self::Server(server) => Ok(server.replace(path, bytes, before).await?),
            Self::Rsync(remote) => remote.replace(path, bytes),
        }
    }

    /// Removes a file that may be missing.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        match self {
            Self::Directory(dir) => match fs_err::remove_file(dir.join(path)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            },
            Self::Bucket(bucket) => Ok(bucket.remove(path).await?),
            Self::Server(server) => Ok(server.remove(path).await?),
            Self::Rsync(remote) => remote.remove(path),
        }
    }
}

fn on_disk(path: &Path, blob: &Blob) -> Result<Presence, Error> {
    let Some(meta) = files::stat(path)? else { return Ok(Presence::Missing) };
    let is_same = meta.is_file()
        && meta.len() == blob.bytes
        && super::super::tree::sha256_of(path).is_ok_and(|sha256| sha256 == blob.sha256);
    Ok(if is_same { Presence::Same } else { Presence::Other })
}

fn on_disk_new(from: &Path, to: &Path, blob: &Blob) -> Result<(), Error> {
    let dir = to.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(dir)?;
    let mut file = files::temporary(dir)?;
    std::io::copy(&mut fs_err::File::open(from)?, &mut file)?;
    file.as_file().sync_all()?;
    if !blob.is_fixed {
        return file.persist(to).map(drop).map_err(|error| error.error.into());
    }
    file.persist_noclobber(to).map(drop).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => published(&blob.path),
        _ => error.error.into(),
    })
}
