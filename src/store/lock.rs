//! A lock for each key, so that two runs on one store wait for each other
//! only where they would build the same thing.

use super::lease::Lease;
use super::{Error, Store};
use crate::base::Key;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

/// A held lock; dropping it releases it, unless a child inherited the file.
#[derive(Debug, Clone)]
pub struct Lock {
    // Given up before the file is: the other way round, the next process of this machine would find it.
    lease: Option<Arc<Lease>>,
    file: Arc<File>,
}

impl Lock {
    /// Returns the locked file, for a child that must hold the lock as long as it lives.
    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Refuses to go on where another machine has taken the lock over.
    pub fn still_held(&self) -> Result<(), Error> {
        match &self.lease {
            Some(lease) if lease.is_lost() => Err(Error::LeaseLost),
            _ => Ok(()),
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Store {
    /// Takes the lock of `key`; otherwise returns its holder.
    pub fn try_lock(&self, key: &Key) -> Result<Result<Lock, String>, Error> {
        let path = self.root().join("locks").join(key.to_string());
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {
                let lease = match &self.leases {
                    Some(leases) => match leases.try_take(&self.root().join("locks"), key)? {
                        Ok(lease) => Some(Arc::new(lease)),
                        Err(holder) => return Ok(Err(holder)),
                    },
                    None => None,
                };
                // Only for people: whose lock it is. Nothing depends on it.
                let note = format!("process {}\n", std::process::id());
                let _ = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(note.as_bytes()));
                Ok(Ok(Lock { lease, file: Arc::new(file) }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                let _ = file.read_to_string(&mut note);
                let holder = note.lines().next().filter(|line| !line.is_empty()).unwrap_or("another process");
                Ok(Err(holder.to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(Error::Io(error)),
        }
    }
}

/// Opens a lock file. flock(2) needs no permission to write, so the file of another user serves as well.
pub(super) fn open_lock(path: &Path) -> Result<File, Error> {
    let open = fs_err::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let open = match open {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => fs_err::File::open(path),
        other => other,
    };
    Ok(open?.into_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_who_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Key::of(b"x");
        let held = store.try_lock(&key).unwrap().unwrap();
        assert_eq!(store.try_lock(&key).unwrap().unwrap_err(), format!("process {}", std::process::id()));
        assert!(store.try_lock(&Key::of(b"y")).unwrap().is_ok());
        drop(held);
        assert!(store.try_lock(&key).unwrap().is_ok());
    }
}
