//! A thread that calls back at a constant rate, because a step that hangs sends no events.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Calls back until dropped; the drop waits for a call that is under way.
#[derive(Debug)]
pub struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Calls `tick` every `pace`. Without a thread there are no calls.
    pub fn start(pace: Duration, mut tick: impl FnMut() + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(pace) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        };
        let thread = std::thread::Builder::new().name("report".to_owned()).spawn(run).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already printed its message.
            let _ = thread.join();
        }
    }
}
