//! Available memory, and the memory used by a set of processes.
//!
//! The numbers are the kernel's at one moment; callers must leave a margin.

use super::error::Error;
use super::tree;
use std::io;
use std::path::{Path, PathBuf};

/// Memory of the machine, or of the control group where that has less. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Total memory.
    pub total: u64,
    /// Memory available without swapping, by the kernel's estimate.
    pub available: u64,
}

impl Memory {
    /// Reads `/proc/meminfo` and, where control groups of version 2 are
    /// mounted, this process's group and those above it.
    ///
    /// # Errors
    /// When `/proc/meminfo` cannot be read or has an unknown format.
    pub fn now() -> Result<Self, Error> {
        let machine = fs_err::read_to_string("/proc/meminfo").map_err(|source| Error::Machine { source })?;
        let machine = parse_meminfo(&machine).ok_or_else(|| Error::Machine {
            source: io::Error::new(io::ErrorKind::InvalidData, "no `MemTotal` or `MemAvailable` in `/proc/meminfo`"),
        })?;
        let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let Some(group) = parse_cgroup(&groups) else { return Ok(machine) };
        let root = Path::new("/sys/fs/cgroup");
        let own = root.join(group.trim_start_matches('/'));
        Ok(own.ancestors().take_while(|dir| dir.starts_with(root)).filter_map(group_memory).fold(machine, Self::least))
    }

    fn least(self, other: Self) -> Self {
        Self { total: self.total.min(other.total), available: self.available.min(other.available) }
    }
}

/// Returns the memory of one control group, if it has a bound.
fn group_memory(dir: &Path) -> Option<Memory> {
    let text = |name: &str| fs_err::read_to_string(dir.join(name)).ok();
    parse_group(&text("memory.max")?, &text("memory.current")?, &text("memory.stat").unwrap_or_default())
}

/// `MemTotal` and `MemAvailable` of proc_meminfo(5).
fn parse_meminfo(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(Memory { total: field("MemTotal")?, available: field("MemAvailable")? })
}

/// Returns the path of the version 2 group in `/proc/<pid>/cgroup` (cgroups(7)).
fn parse_cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// `memory.max`, `memory.current` and `memory.stat` of a version 2 group
/// (the kernel's `cgroup-v2.rst`). `None` where there is no bound.
fn parse_group(max: &str, current: &str, stat: &str) -> Option<Memory> {
    let total: u64 = max.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    // Cached files count as used there, though the kernel drops them on demand.
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok()).unwrap_or(0);
    Some(Memory { total, available: total.saturating_sub(current.saturating_sub(cached)) })
}

/// Watches how much memory the processes below some roots use together.
#[derive(Debug, Default)]
pub struct RssSampler {
    peak: u64,
}

impl RssSampler {
    /// Returns a sampler that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// KiB in use now by `roots` and everything below them.
    ///
    /// That is what each process has for itself, plus what they share counted
    /// once at its largest: forty compilers map the same `cc1`. It reads some
    /// lines of `/proc` per process of the machine; every other second is fine.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn sample(&mut self, roots: &[u32]) -> Result<u64, Error> {
        let all = tree::snapshot().map_err(|source| Error::Machine { source })?;
        let roots: Vec<i32> = roots.iter().filter_map(|root| i32::try_from(*root).ok()).collect();
        let below = tree::descendants(&all, &roots).into_iter().map(|process| process.pid);
        let pages = roots.iter().copied().chain(below).filter_map(|pid| {
            // A process that has ended meanwhile uses nothing.
            let text = fs_err::read_to_string(PathBuf::from(format!("/proc/{pid}/statm"))).ok()?;
            parse_statm(&text)
        });
        let (own, shared) = pages.fold((0_u64, 0), |(own, most), (private, shared)| (own + private, shared.max(most)));
        let kib = (own + shared) * page_kib();
        self.peak = self.peak.max(kib);
        Ok(kib)
    }

    /// Returns the most that any sample saw, KiB.
    pub fn peak_kib(&self) -> u64 {
        self.peak
    }
}

/// Private and shared resident pages of `/proc/<pid>/statm` (proc_pid_statm(5)).
fn parse_statm(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let resident = fields.next()?.ok()?;
    let shared = fields.next()?.ok()?;
    Some((resident.saturating_sub(shared), shared))
}

fn page_kib() -> u64 {
    let bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).map_or(4, |bytes| bytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:       16384 kB\nMemFree:  9 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(parse_meminfo(text), Some(Memory { total: 16 << 20, available: 8 << 20 }));
        assert_eq!(parse_meminfo("MemTotal: 1 kB\n"), None);
        assert_eq!(parse_meminfo("MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n"), None);
    }

    #[test]
    fn a_control_group_bounds_only_when_it_has_a_number() {
        assert_eq!(parse_group("max\n", "5\n", ""), None);
        let stat = "anon 10\ninactive_file 300\n";
        assert_eq!(parse_group("1000\n", "800\n", stat), Some(Memory { total: 1000, available: 500 }));
        assert_eq!(parse_group("1000\n", "2000\n", ""), Some(Memory { total: 1000, available: 0 }));
        assert_eq!(parse_cgroup("4:memory:/x\n0::/user.slice/a\n"), Some("/user.slice/a"));
        assert_eq!(parse_cgroup("4:memory:/x\n"), None);
    }

    #[test]
    fn statm_is_split_into_private_and_shared() {
        assert_eq!(parse_statm("900 300 100 1 0 50 0\n"), Some((200, 100)));
        assert_eq!(parse_statm("900 300"), None);
    }

    #[test]
    fn this_process_uses_memory_and_the_machine_has_more() {
        let mut sampler = RssSampler::new();
        let kib = sampler.sample(&[std::process::id()]).unwrap();
        assert!(kib > 0 && sampler.peak_kib() == kib);
        let memory = Memory::now().unwrap();
        assert!(memory.total >= memory.available && memory.total / 1024 > kib);
    }
}
