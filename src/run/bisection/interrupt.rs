//! Signals between the runs of a bisection. A run handles its own, and once it has, a signal no longer ends the process.

use crate::process::inherited_ignored;
use nix::sys::signal::Signal;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Receives SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub struct Interrupts {
    runtime: Runtime,
    came: Arc<(AtomicBool, Notify)>,
}

impl Interrupts {
    /// Begins to receive them.
    pub fn receive() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let came = Arc::new((AtomicBool::new(false), Notify::new()));
        for (number, kind) in [
            (Signal::SIGINT, SignalKind::interrupt()),
            (Signal::SIGTERM, SignalKind::terminate()),
            (Signal::SIGHUP, SignalKind::hangup()),
        ] {
            // As `nohup` or a shell left it.
            if inherited_ignored(number) {
                continue;
            }
            let _context = runtime.enter();
            let mut signals = signal(kind)?;
            let came = came.clone();
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    came.0.store(true, Ordering::Relaxed);
                    came.1.notify_one();
                }
            });
        }
        Ok(Self { runtime, came })
    }

    /// Returns whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.came.0.load(Ordering::Relaxed)
    }

    /// Completes `work`; `None` if a signal came first.
    pub fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                () = self.came.1.notified() => None,
            }
        })
    }
}
