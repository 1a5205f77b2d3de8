//! Removing what finished stages leave in the store, beside the run.
//!
//! A tree is renamed to a name that [`crate::store::Store::sweep`] takes for rubbish, and a thread removes it while the next
//! stages run. A build tree of GCC has 50,000 files; on a disk that is mounted with `discard` and has no journal each of
//! them takes up to 3 ms.

use super::Error;
use super::log::Emitter;
use crate::base::files;
use crate::store::Store;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// What is waited for at the end of a run without a word.
const SHORT: Duration = Duration::from_secs(2);

/// The thread that removes trees.
#[derive(Debug)]
pub struct Removal {
    store: Store,
    run: String,
    queue: Mutex<Option<Queue>>,
    // Names so far.
    names: AtomicU64,
    // Bytes that its trees may have.
    pending: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Queue {
    trees: mpsc::Sender<Tree>,
    ended: mpsc::Receiver<Vec<io::Error>>,
}

struct Tree {
    path: PathBuf,
    bytes: u64,
    removed: oneshot::Sender<()>,
}

impl Removal {
    /// One for the work directories of `store`, in the run of that name.
    pub fn new(store: &Store, run: &str) -> Self {
        let (queue, names, pending) = (Mutex::default(), AtomicU64::new(0), Arc::default());
        Self { store: store.clone(), run: run.to_owned(), queue, names, pending }
    }

    /// Removes `path`, a stage's work directory or a part of one, whose lock the caller holds; a missing one is no error.
    /// The caller waits for its end only if `wait`, or where the disk is nearly full: there the next stage may need the
    /// space. `bytes` is what the tree may have.
    ///
    /// # Errors
    /// When it cannot be renamed. What cannot be removed is reported at the end of the run.
    pub async fn remove(&self, path: &Path, bytes: u64, wait: bool) -> Result<(), Error> {
        let work = self.store.root().join("work");
        // `work/KEY`, or below it.
        let Some(stage) = path.strip_prefix(&work).ok().and_then(|below| below.iter().next()) else {
            return Err(Error::Defect(format!("`{}` is no work directory", path.display())));
        };
        let mut name = stage.to_owned();
        name.push(format!(".{}.{}", self.run, self.names.fetch_add(1, Ordering::Relaxed)));
        let aside = work.join(name);
        match fs_err::rename(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        let pending = self.pending.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let (removed, end) = oneshot::channel();
        self.send(Tree { path: aside, bytes, removed })?;
        if wait || is_nearly_full(self.store.free()?, self.store.size()?, pending) {
            // Its end is what counts, not how it ended.
            let _ = end.await;
        }
        Ok(())
    }

    fn send(&self, tree: Tree) -> Result<(), Error> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_none() {
            *queue = Some(self.start()?);
        }
        let sent = queue.as_ref().is_some_and(|queue| queue.trees.send(tree).is_ok());
        if sent { Ok(()) } else { Err(Error::Defect("the thread that removes work directories".to_owned())) }
    }

    fn start(&self) -> io::Result<Queue> {
        let (trees, queue) = mpsc::channel::<Tree>();
        let (end, ended) = mpsc::channel();
        let pending = self.pending.clone();
        let remove = move || {
            let mut errors = Vec::new();
            for tree in queue {
                errors.extend(files::remove_tree(&tree.path).err());
                pending.fetch_sub(tree.bytes, Ordering::Relaxed);
                // Most do not wait for it.
                let _ = tree.removed.send(());
            }
            // Nobody waits after the second Ctrl-C.
            let _ = end.send(errors);
        };
        std::thread::Builder::new().name("removal".to_owned()).spawn(remove)?;
        Ok(Queue { trees, ended })
    }

    /// Waits until everything is removed. Called at the end of a run.
    pub fn finish(&self, emitter: &Emitter) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Queue { trees, ended }) = queue else { return };
        drop(trees);
        let errors = match ended.recv_timeout(SHORT) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                emitter.notice(None, false, "removing the build trees of finished stages");
                ended.recv().map_err(|_| ())
            }
            other => other.map_err(|_| ()),
        };
        let text = match errors.as_deref() {
            Ok([]) => return,
            Ok([first, ..]) => first.to_string(),
            Err(()) => "the thread that removes them panicked".to_owned(),
        };
        emitter.notice(None, true, format!("work directories of finished stages are left: {text}"));
    }
}

// Recipes' figures may be too small, and another tree is about to grow.
fn is_nearly_full(free: u64, size: u64, pending: u64) -> bool {
    free < pending.saturating_mul(4) || free < size / 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Key;

    #[test]
    fn a_run_waits_for_space_only_where_there_is_little() {
        const GIB: u64 = 1 << 30;
        assert!(!is_nearly_full(80 * GIB, 250 * GIB, 2 * GIB));
        assert!(is_nearly_full(80 * GIB, 250 * GIB, 21 * GIB));
        assert!(is_nearly_full(20 * GIB, 250 * GIB, 0));
        assert!(is_nearly_full(0, 0, 1) && is_nearly_full(GIB, GIB, u64::MAX));
    }

    #[tokio::test]
    async fn trees_are_gone_at_the_end_and_rubbish_until_then() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let removal = Removal::new(&store, "r");
        let root = store.work_dir(&Key::of(b"k"));
        for step in 0..3 {
            fs_err::create_dir_all(root.join("build/sub")).unwrap();
            fs_err::write(root.join("build/sub/file"), "x").unwrap();
            fs_err::write(root.join("left"), "x").unwrap();
            let part = if step == 0 { root.join("build") } else { root.clone() };
            removal.remove(&part, 1, step == 1).await.unwrap();
            assert!(!part.exists());
            removal.remove(&part, 1, true).await.unwrap();
        }
        let (emitter, mut events) = Emitter::new();
        removal.finish(&emitter);
        assert_eq!(files::names_in(&dir.path().join("work")).unwrap(), [""; 0]);
        assert!(events.try_recv().is_err(), "a notice");
        // A killed run leaves them to the next one.
        fs_err::create_dir_all(dir.path().join("work").join(format!("{}.r.7/build", Key::of(b"k")))).unwrap();
        store.sweep().unwrap();
        assert_eq!(files::names_in(&dir.path().join("work")).unwrap(), [""; 0]);
        assert!(removal.remove(dir.path(), 1, true).await.is_err());
    }
}
