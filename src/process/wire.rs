//! The messages between crossmill and a supervisor, and the record that a stopped step leaves for
//! the next run.
//!
//! All of it is JSON: the command in a memory file the supervisor inherits, so
//! that its size is not bounded by what fits into an `execve`; the reports one
//! a line on the supervisor's stdout; the stop record in a file.

use super::isolation::{Support, View};
use crate::base::files;
use crate::config::limits::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// Its supervisor was killed, so nobody knows. What was found of it has
    /// been killed too and its build tree cannot be trusted.
    Torn,
}

impl Status {
    /// Returns whether it exited with 0.
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => write!(f, "killed by signal {signal}"),
            Self::Torn => write!(f, "lost with its supervisor"),
        }
    }
}

/// The resources that a command and all its descendants have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds in user mode.
    pub user: f64,
    /// Seconds in kernel mode.
    pub system: f64,
    /// The largest single process, KiB.
    pub max_rss_kib: u64,
}

/// How a step ended, all its processes included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the command itself ended.
    pub status: Status,
    /// The usage of it and all its descendants.
    pub usage: Usage,
    /// Whether it was asked to stop before it was over. It may still have
    /// ended well: see `status`.
    pub stopped: bool,
    /// Whether every process ended without a SIGKILL. After a clean stop a
    /// build tree of make's is sound, for make deletes partial targets.
    pub clean: bool,
    /// Processes that lived on when the command had ended, and were ended.
    pub stragglers: usize,
}

/// The command of a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    /// For the stop record.
    pub step: String,
    /// The program, relative to `dir` where it is not absolute.
    pub program: PathBuf,
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub dir: PathBuf,
    pub stop_record: PathBuf,
    pub grace_ms: u64,
    /// The isolation that the machine offers and the view of the command; `None` runs it without.
    pub isolation: Option<(Support, View)>,
    /// The limits of the command.
    pub limits: Limits,
    /// The inherited descriptors the command inherits too: the job server's.
    pub keep: Vec<RawFd>,
}

/// The `what` of a [`Report::Failed`] for a program that the kernel refused.
pub(super) const EXECUTING: &str = "executing it";

/// A line of a supervisor's stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The command runs.
    Started,
    /// The command could not be started. Nothing runs.
    Failed { what: String, errno: Option<i32> },
    /// Everything is over.
    Ended(Outcome),
}

/// The record that a stopped step leaves, so that the next run knows whether its
/// build tree is sound.
///
/// It is removed when the step starts. A started step without a record and
/// without a result was killed together with its supervisor (power loss, the
/// OOM killer), so a missing record means the same as `clean: false`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    /// The step that was stopped.
    pub step: String,
    /// Whether all its processes ended without a SIGKILL.
    pub clean: bool,
}

impl StopRecord {
    /// Reads a record; `None` when there is none or when it is not one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs_err::read(path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it atomically.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        files::write_atomic(path, &text)
    }

    /// Removes what an earlier run left, if it left any.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
