//! A directory of this machine, or one that it has mounted. A file appears complete or not at all.

use super::blob::{Text, published};
use super::{Error, Listed};
use crate::base::files;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A directory.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Creates nothing yet.
    pub fn open(path: &str) -> Result<Self, Error> {
        Ok(Self { root: std::path::absolute(path)? })
    }

    pub(super) fn name(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) async fn get(&self, path: &str, limit: u64) -> Result<Option<Text>, Error> {
        let path = self.root.join(path);
        blocking(move || {
            let Some(meta) = files::stat(&path)? else { return Ok(None) };
            if meta.len() > limit {
                return Err(Error::Place { place: path.display().to_string(), why: super::too_large(limit) });
            }
            Ok(files::read_if_present(&path)?.map(|bytes| Text { bytes, tag: None }))
        })
        .await
    }

    pub(super) async fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        let path = self.root.join(path);
        blocking(move || Ok(files::stat(&path)?.map(|meta| meta.len()))).await
    }

    pub(super) async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let (to, path) = (self.root.join(path), path.to_owned());
        blocking(move || {
            let dir = to.parent().unwrap_or(Path::new("."));
            fs_err::create_dir_all(dir)?;
            let mut file = files::temporary(dir)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&to).map(drop).map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => published(&path),
                _ => error.error.into(),
            })
        })
        .await
    }

    pub(super) async fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let (to, bytes) = (self.root.join(path), bytes.to_owned());
        blocking(move || Ok(files::write_atomic(&to, &bytes)?)).await
    }

    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        let path = self.root.join(path);
        blocking(move || match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        })
        .await
    }

    pub(super) async fn list(&self, dir: &str) -> Result<Vec<Listed>, Error> {
        let dir = self.root.join(dir);
        blocking(move || {
            let mut listed = Vec::new();
            for name in files::names_in(&dir)? {
                // Another writer's file that is not complete yet, or one that was removed meanwhile.
                let Some(meta) = files::stat(&dir.join(&name))?.filter(|_| !name.starts_with('.')) else { continue };
                if meta.is_file() {
                    listed.push(Listed { name, bytes: meta.len(), modified: meta.modified()? });
                }
            }
            Ok(listed)
        })
        .await
    }
}

// On a thread of its own: a directory may be mounted from a server that hangs, and the end of the program must not wait for
// such a thread, as it does for those of tokio.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Whoever waited may be gone.
    std::thread::Builder::new().name("directory".to_owned()).spawn(move || drop(sender.send(work())))?;
    receiver.await.unwrap_or_else(|error| Err(Error::Io(io::Error::other(error))))
}
