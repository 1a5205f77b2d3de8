//! The kernel's table of processes, read as one snapshot.

use std::collections::HashMap;
use std::io;

/// A process as described by `/proc/<pid>/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// Not a zombie.
    pub alive: bool,
}

/// Returns all processes of the machine that this one sees.
pub(super) fn snapshot() -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().filter(|name| name.starts_with(|c: char| c.is_ascii_digit())) else {
            continue;
        };
        // A process that ended meanwhile is no error.
        if let Ok(stat) = fs_err::read(format!("/proc/{pid}/stat")) {
            all.extend(parse_stat(&stat));
        }
    }
    Ok(all)
}

/// `None` where the text is no stat line.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    // The name is in parentheses and may contain some itself, and spaces, and
    // bytes that are not text.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = stat.split(|byte| *byte == b' ').next()?;
    let pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse().ok();
    Some(Process {
        pid,
        parent: number()?,
        group: number()?,
        session: number()?,
        alive: !matches!(state, "Z" | "X" | "x"),
    })
}

/// Returns the processes below `roots`, without the roots themselves, parents first.
pub(super) fn descendants(all: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(*process);
    }
    // Taking the entry out keeps the walk finite for any snapshot: it
    // is not taken in one moment, so a reused id could close a circle.
    let mut found: Vec<Process> = roots.iter().flat_map(|root| children.remove(root).unwrap_or_default()).collect();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let below = children.remove(&process.pid).unwrap_or_default();
        found.extend(below);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process { pid, parent, group: 1, session: 1, alive: true }
    }

    #[test]
    fn names_with_parentheses_and_spaces_are_skipped() {
        let got = parse_stat(b"42 (a) R 7 (\xff) Z 1 40 39 0 -1 4194304 0").unwrap();
        assert_eq!(got, Process { pid: 42, parent: 1, group: 40, session: 39, alive: false });
        assert_eq!(parse_stat(b"42 (sh"), None);
        assert_eq!(parse_stat(b"42 (sh) S 1"), None);
        assert_eq!(parse_stat(b""), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(name in proptest::collection::vec(0_u8.., 0..40), cut in 0_usize..80) {
            let mut line = b"42 (".to_vec();
            line.extend(&name);
            line.extend(b") S 1 40 39 0 -1");
            proptest::prop_assert_eq!(parse_stat(&line).map(|process| process.session), Some(39));
            parse_stat(&line[..cut.min(line.len())]);
            parse_stat(&name);
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_circles_end() {
        let all =
            [process(5, 4), process(3, 2), process(4, 3), process(9, 1), process(2, 1), process(7, 8), process(8, 7)];
        let pids: Vec<i32> = descendants(&all, &[2]).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [3, 4, 5]);
        assert_eq!(descendants(&all, &[7]).len(), 2);
    }

    #[test]
    fn this_process_is_in_the_snapshot() {
        let own = std::process::id() as i32;
        let found = snapshot().unwrap().into_iter().find(|process| process.pid == own).unwrap();
        assert!(found.alive);
        assert_eq!(found.parent, std::os::unix::process::parent_id() as i32);
    }
}
