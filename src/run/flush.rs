//! Flushing the store's disk, shared by the stages that wait for it at the same time.
//!
//! Invariant: [`Flusher::flush`] returns only after a syncfs(2) that began after it was called.

use super::Error;
use crate::base::files;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The disk of a store.
#[derive(Debug)]
pub struct Flusher {
    dir: PathBuf,
    // Number of requests.
    asked: AtomicU64,
    // Number of requests that a flush has served.
    served: tokio::sync::Mutex<u64>,
}

impl Flusher {
    /// A flusher of the file system that has `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), asked: AtomicU64::new(0), served: tokio::sync::Mutex::new(0) }
    }

    /// Waits until everything that was written before is on the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn flush(&self) -> Result<(), Error> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= own {
            return Ok(());
        }
        // All that asked until now have written what they wait for.
        let asked = self.asked.load(Ordering::SeqCst);
        let dir = self.dir.clone();
        let flushed = tokio::task::spawn_blocking(move || files::flush_disk_of(&dir)).await;
        flushed.map_err(|error| Error::Defect(error.to_string()))??;
        *served = asked;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn those_who_wait_together_are_served_together() {
        let dir = tempfile::tempdir().unwrap();
        let flusher = Arc::new(Flusher::new(dir.path()));
        let held = flusher.served.lock().await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let flusher = flusher.clone();
                tokio::spawn(async move { flusher.flush().await })
            })
            .collect();
        while flusher.asked.load(Ordering::SeqCst) < 20 {
            tokio::task::yield_now().await;
        }
        drop(held);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        // The first flush served all of them.
        assert_eq!(*flusher.served.lock().await, 20);
        flusher.flush().await.unwrap();
        assert_eq!(*flusher.served.lock().await, 21);
    }

    #[tokio::test]
    async fn a_disk_that_is_gone_is_an_error_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let flusher = Flusher::new(&dir.path().join("gone"));
        assert!(flusher.flush().await.is_err());
        assert!(flusher.flush().await.is_err());
    }
}
