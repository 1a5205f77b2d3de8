//! Limits of a step's resources: those of single processes by setrlimit(2); memory and processes of the whole step by a
//! control group of its own where this user may create one, else by setrlimit(2) as well.
//!
//! As a limit of each process, `memory` counts address space. As a limit of this user, `processes` does not apply to
//! root, whom the kernel exempts; in a user namespace it counts the processes of the step alone.

use crate::config::limits::Limits;
use nix::sys::resource::{Resource, setrlimit};
use std::io;
use std::path::{Path, PathBuf};

/// The processes that crossmill adds to those of a step: the supervisor, and the one that waits for its namespaces.
const OWN: u64 = 2;

/// The control groups of a step, which end with it.
#[derive(Debug, Default)]
pub(super) struct Groups {
    // Each with the group that this process came from.
    dirs: Vec<(PathBuf, PathBuf)>,
    /// Whether the memory of the step is limited by one.
    pub memory: bool,
    /// Whether its processes are.
    pub processes: bool,
}

impl Groups {
    /// Moves this process, and with it all that it starts, into groups with the limits that are declared. A limit
    /// for which there is no group is left to [`restrict`].
    pub fn enter(limits: &Limits) -> Self {
        let mut groups = Self::default();
        let Ok(own) = fs_err::read_to_string("/proc/self/cgroup") else { return groups };
        if let Some(memory) = limits.memory {
            groups.memory =
                groups.add(&own, "memory", &[("memory.max", memory), ("memory.limit_in_bytes", memory)]).is_some();
        }
        if let Some(processes) = limits.processes {
            groups.processes = groups.add(&own, "pids", &[("pids.max", processes.saturating_add(OWN))]).is_some();
        }
        groups
    }

    // The first of `values` whose file exists is written: the two versions of control groups name them differently.
    fn add(&mut self, own: &str, controller: &str, values: &[(&str, u64)]) -> Option<()> {
        let before = group_of(own, controller)?;
        let dir = before.join(format!("crossmill-{}", std::process::id()));
        if !self.dirs.iter().any(|(other, _)| *other == dir) {
            fs_err::create_dir(&dir).ok()?;
            self.dirs.push((dir.clone(), before));
        }
        let (file, value) = values.iter().find(|(file, _)| dir.join(file).exists())?;
        write(&dir.join(file), *value).ok()?;
        write(&dir.join("cgroup.procs"), u64::from(std::process::id())).ok()
    }

    /// Leaves it to another process to remove the groups.
    pub fn forget(&mut self) {
        self.dirs.clear();
    }

    /// Leaves the groups and removes them. Every other process of the step has ended.
    pub fn leave(&mut self) {
        for (dir, before) in self.dirs.drain(..) {
            // A group that cannot be removed is empty and costs only its name.
            let _ = write(&before.join("cgroup.procs"), u64::from(std::process::id()));
            let _ = fs_err::remove_dir(&dir);
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.leave();
    }
}

// An interface file is written in place.
fn write(path: &Path, value: u64) -> io::Result<()> {
    use std::io::Write as _;
    fs_err::OpenOptions::new().write(true).open(path)?.write_all(value.to_string().as_bytes())
}

// cgroups(7): `hierarchy-ID:controller-list:cgroup-path`, of which version 2 has an empty list.
fn group_of(own: &str, controller: &str) -> Option<PathBuf> {
    let mut unified = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?.trim_start_matches('/'));
        if controllers.split(',').any(|name| name == controller) {
            return Some(Path::new("/sys/fs/cgroup").join(controllers).join(path));
        }
        if id == "0" {
            unified = Some(Path::new("/sys/fs/cgroup").join(path));
        }
    }
    unified
}

/// Limits this process and what it becomes. It only makes system calls.
pub(super) fn restrict(limits: &Limits, memory: bool, processes: bool) -> io::Result<()> {
    let by_rlimit = [
        (Resource::RLIMIT_AS, limits.memory.filter(|_| !memory)),
        (Resource::RLIMIT_NPROC, limits.processes.filter(|_| !processes)),
        (Resource::RLIMIT_FSIZE, limits.file_size),
        (Resource::RLIMIT_NOFILE, limits.open_files),
    ];
    for (resource, limit) in by_rlimit {
        if let Some(limit) = limit {
            setrlimit(resource, limit, limit)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_controller_is_found_in_both_versions() {
        let mixed = "9:name=systemd:/\n8:pids:/a\n4:cpu,memory:/b/c\n0::/u\n";
        let at = |controller| group_of(mixed, controller).unwrap();
        assert_eq!(at("pids"), Path::new("/sys/fs/cgroup/pids/a"));
        assert_eq!(at("memory"), Path::new("/sys/fs/cgroup/cpu,memory/b/c"));
        assert_eq!(group_of("0::/user.slice\n", "pids").unwrap(), Path::new("/sys/fs/cgroup/user.slice"));
        assert_eq!(group_of("", "pids"), None);
    }
}
