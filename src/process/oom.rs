//! Number of processes that the kernel killed for lack of memory, from the counters of the control group or the machine.

use std::path::{Path, PathBuf};

/// Returns the number of processes that were killed so far: in this process's control group (version 2, or the memory
/// controller of version 1), else on the whole machine; `None` where the kernel counts nothing.
#[must_use]
pub fn kills() -> Option<u64> {
    let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let in_group = files(&groups).into_iter().find_map(|file| count(&fs_err::read_to_string(file).ok()?));
    in_group.or_else(|| count(&fs_err::read_to_string("/proc/vmstat").ok()?))
}

// The files that count for a process with this `/proc/<pid>/cgroup`. In a container the group's own path is the root
// of what is mounted.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (roots, file): (&[&str], _) = if controllers.is_empty() {
            (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            (&["/sys/fs/cgroup/memory"], "memory.oom_control")
        } else {
            continue;
        };
        for root in roots {
            let root = Path::new(root);
            files.extend([root.join(path.trim_start_matches('/')).join(file), root.join(file)]);
        }
    }
    files
}

// `oom_kill 3` in `memory.events`, `memory.oom_control` and `/proc/vmstat`.
fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_known() {
        let text = |files: Vec<PathBuf>| files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        assert_eq!(text(files("0::/user.slice/a\n"))[0], "/sys/fs/cgroup/user.slice/a/memory.events");
        let first = text(files("5:cpu,cpuacct:/\n4:memory:/docker/b\n"));
        assert_eq!(
            first,
            ["/sys/fs/cgroup/memory/docker/b/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"]
        );
        assert!(files("").is_empty() && files("x\n::").len() < 5);
    }

    #[test]
    fn the_count_is_read_from_each_form() {
        assert_eq!(count("low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\noom_group_kill 0\n"), Some(3));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}
