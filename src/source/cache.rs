//! Downloaded files, named by their content.
//!
//! | path | content |
//! |---|---|
//! | `blobs/<sha256>` | a whole, verified file; never written in place |
//! | `blobs/<sha256>.json` | what it was called and where it came from |
//! | `partial/<name>` | what has arrived of one, to go on from |
//! | `pins/<blake3>.json` | the digest of a file whose signature was verified |
//! | `local/<blake3>.json` | the digest of a file on this machine, by its size and time |
//! | `git/<blake3>.git` | a bare mirror |
//! | `lock/<name>` | locked while one of them is written |

use super::{Error, Progress, tree};
use crate::base::{Key, Sha256, files, secret};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a lock of another process is tried.
const LOCK_POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

/// Held while a name is worked on. Work that goes on after its future was
/// dropped holds a clone, so that nobody else begins before it ends.
#[derive(Debug, Clone)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] Arc<fs_err::File>);

/// Beside a blob: what it was called.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BlobNote {
    /// The file name it had where it came from.
    pub(super) name: String,
    /// Where it came from.
    pub(super) source: String,
    /// Bytes.
    pub(super) size: u64,
}

/// The result of verifying a signature, or of downloading a file without a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PinRecord {
    /// The signed file.
    pub(super) url: String,
    /// Its digest.
    pub(super) sha256: Sha256,
    /// The key's fingerprint; none for what the user named without a pin.
    pub(super) key: Option<String>,
    /// RFC 3339, UTC.
    pub(super) when: String,
}

/// The identity of a local file when it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalRecord {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) mtime: (i64, i64),
    pub(super) inode: u64,
    pub(super) sha256: Sha256,
}

impl Cache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn blob(&self, sha256: Sha256) -> PathBuf {
        self.root.join("blobs").join(sha256.to_string())
    }

    pub(super) fn partial(&self, name: &str) -> PathBuf {
        self.root.join("partial").join(name)
    }

    pub(super) fn pin(&self, source: &str) -> PathBuf {
        self.root.join("pins").join(format!("{}.json", Key::of(source.as_bytes())))
    }

    pub(super) fn local(&self, path: &Path) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        self.root.join("local").join(format!("{}.json", Key::of(path.as_os_str().as_bytes())))
    }

    pub(super) fn git(&self, url: &str) -> PathBuf {
        self.root.join("git").join(format!("{}.git", Key::of(secret::bare(url).as_bytes()).short()))
    }

    /// Returns the size of a cached blob; one whose size is known to be wrong counts as missing.
    pub(super) fn has(&self, sha256: Sha256, size: Option<u64>) -> Result<Option<u64>, Error> {
        let meta = files::stat(&self.blob(sha256))?;
        let meta = meta.filter(|meta| meta.is_file() && size.is_none_or(|size| size == meta.len()));
        Ok(meta.map(|meta| meta.len()))
    }

    /// Puts a finished file under its name. The data is on the disk before the name is.
    pub(super) async fn publish(&self, partial: &Path, sha256: Sha256, source: &str, lock: &Lock) -> Result<(), Error> {
        let (blob, partial, source) = (self.blob(sha256), partial.to_owned(), source.to_owned());
        let lock = lock.clone();
        blocking(move || {
            let _held = lock;
            let file = fs_err::File::open(&partial)?;
            file.sync_all().map_err(|error| tree::disk(error, &partial))?;
            let size = file.metadata()?.len();
            let name = source.rsplit('/').next().unwrap_or(&source).to_owned();
            write_json(&blob.with_extension("json"), &BlobNote { name, source, size })?;
            fs_err::rename(&partial, &blob)?;
            Ok(())
        })
        .await
    }

    /// Waits until no other process, and no other task of this one, works on `name`.
    pub(super) async fn lock(&self, name: &str, progress: &dyn Progress) -> Result<Lock, Error> {
        let path = self.root.join("lock").join(name);
        fs_err::create_dir_all(self.root.join("lock"))?;
        // flock(2) needs no permission to write, so the lock file of another user serves as well.
        let file = match fs_err::OpenOptions::new().create(true).append(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => fs_err::File::open(&path)?,
            other => other?,
        };
        let mut reported = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(Arc::new(file))),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            }
            if !std::mem::replace(&mut reported, true) {
                progress.waiting(&path);
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }
}

/// Reads a record; `None` for one that is missing or damaged, an error for one that cannot be read.
pub(super) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    Ok(files::read_if_present(path)?.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Writes a record, whole or not at all.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| Error::Io(error.into()))?;
    files::write_atomic(path, &text).map_err(|error| tree::disk(error, path))
}

/// Deletes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs what reads or writes much off the tasks' threads. Dropping the future does not stop it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}
