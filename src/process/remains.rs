//! Processes that an earlier run left in a stage's directory: crossmill and its supervisor were killed together, on a
//! kernel without process-id namespaces.
//!
//! A process is found by its working directory or by the HOME that its step was given. One that changed both is not
//! found.

use super::error::Error;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that killed processes may take to end: writing to a slow disk cannot be interrupted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills what still works in `work` and waits until it has ended. Returns how many there were. It blocks.
///
/// # Errors
/// When some do not end, or `/proc` cannot be read.
pub fn end_remains(work: &Path) -> Result<usize, Error> {
    let began = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let found = working_in(work).map_err(|source| Error::Machine { source })?;
        if found.is_empty() {
            return Ok(killed.len());
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::Remains { work: work.to_owned(), pids: found });
        }
        for pid in found {
            killed.insert(pid);
            let _: nix::Result<()> = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn working_in(work: &Path) -> std::io::Result<Vec<i32>> {
    let home = format!("HOME={}", work.join("home").display());
    let own = std::process::id() as i32;
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != own) else { continue };
        // Neither can be read of a zombie, which does no harm any more, nor of another user's process.
        let inside = std::path::PathBuf::from(format!("/proc/{pid}/cwd"));
        let inside = fs_err::read_link(inside).is_ok_and(|dir| dir.starts_with(work));
        let is_home = |variable: &[u8]| variable == home.as_bytes();
        let environment = || fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if inside || environment().split(|byte| *byte == 0).any(is_home) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Returns whether this process was started with `signal` ignored, as `nohup` does. Ask before any handler is
/// installed.
pub fn inherited_ignored(signal: Signal) -> bool {
    let Ok(status) = fs_err::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as i32 - 1)) != 0
}
