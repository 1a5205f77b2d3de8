//! The processor time of the whole machine, to know whether a step had it for itself.

/// Returns the seconds that all processors together have been busy since the boot, whoever used them; `None` where the
/// kernel does not count it.
#[must_use]
pub fn machine_cpu() -> Option<f64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().filter(|ticks| *ticks > 0)?;
    busy_ticks(&fs_err::read_to_string("/proc/stat").ok()?).map(|busy| busy as f64 / ticks as f64)
}

// user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Option<Vec<u64>> = line.split_ascii_whitespace().take(8).map(|field| field.parse().ok()).collect();
    fields
        .filter(|fields| fields.len() >= 4)
        .map(|fields| fields.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_all_but_idle_and_waiting() {
        let stat = "cpu  10 2 3 1000 500 4 5 6 7 8\ncpu0 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(30));
        assert_eq!(busy_ticks("cpu 1 2"), None);
        assert_eq!(busy_ticks("intr 1"), None);
        let before = machine_cpu().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(100);
        while std::time::Instant::now() < until {}
        assert!(machine_cpu().unwrap() > before);
    }
}
