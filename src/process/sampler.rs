//! Samples the current memory and processor time of all processes of running steps.

use super::{Error, RssSampler, tree};

/// A sample of running steps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsageNow {
    /// Seconds of processor time that living processes and the ended children
    /// they waited for have used.
    pub cpu: f64,
    /// The sum of resident memory, KiB; shared pages count for each process.
    pub rss_kib: u64,
}

/// Samples the processes below supervisors.
#[derive(Debug, Default)]
pub struct UsageSampler {
    rss: RssSampler,
    ticks_a_second: f64,
}

impl UsageSampler {
    /// Returns a sampler.
    pub fn new() -> Self {
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Self { rss: RssSampler::new(), ticks_a_second: ticks as f64 }
    }

    /// Returns the current usage of the processes below `roots`, the roots included.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn sample(&mut self, roots: &[u32]) -> Result<UsageNow, Error> {
        let rss_kib = self.rss.sample(roots)?;
        let all = tree::snapshot().map_err(|source| Error::Machine { source })?;
        let roots: Vec<i32> = roots.iter().filter_map(|root| i32::try_from(*root).ok()).collect();
        let below = tree::descendants(&all, &roots).into_iter().map(|process| process.pid);
        let ticks: u64 = roots.iter().copied().chain(below).filter_map(ticks).sum();
        Ok(UsageNow { cpu: ticks as f64 / self.ticks_a_second, rss_kib })
    }
}

// utime + stime + cutime + cstime, fields 14 to 17 of proc_pid_stat(5).
fn ticks(pid: i32) -> Option<u64> {
    // A process that ended meanwhile has handed its time to its parent.
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<u64> =
        rest.split_ascii_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (fields.len() == 4).then(|| fields.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_time_and_memory() {
        let mut spin = 0u64;
        for number in 0..50_000_000u64 {
            spin = spin.wrapping_mul(31).wrapping_add(std::hint::black_box(number));
        }
        std::hint::black_box(spin);
        let now = UsageSampler::new().sample(&[std::process::id()]).unwrap();
        assert!(now.cpu > 0.0, "{now:?}");
        assert!(ticks(i32::MAX).is_none());
    }
}
