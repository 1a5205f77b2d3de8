//! Targets divided among jobs, so that each job takes about as long.
//!
//! Targets that share a toolchain stay together: apart, each would build it again.

use std::cmp::Reverse;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Targets that share a toolchain, and what they take together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Their names.
    pub targets: Vec<String>,
    /// Processor seconds.
    pub seconds: f64,
}

/// The targets of one job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shard {
    /// The targets, in the order of the matrix.
    pub targets: Vec<String>,
    /// Processor seconds, without what every job builds.
    pub seconds: f64,
}

/// A part of several: `2/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: usize,
    /// Number of shards.
    pub of: NonZeroUsize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a shard: write it as `2/5`, from `1/5` to `5/5`");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let of: NonZeroUsize = of.parse().map_err(|_| wrong())?;
        let number: usize = number.parse().map_err(|_| wrong())?;
        if (1..=of.get()).contains(&number) { Ok(Self { number, of }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Divides groups among at most `count` shards. The longest group goes first, each to the shard with the least work:
/// no shard takes more than 4/3 of what the best division takes. Shards without a target are left out.
#[must_use]
pub fn divide(groups: &[Group], count: NonZeroUsize) -> Vec<Shard> {
    let work = |seconds: f64| if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|a, b| work(groups[*b].seconds).total_cmp(&work(groups[*a].seconds)).then(a.cmp(b)));
    let mut members: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); count.get().min(groups.len())];
    for index in order {
        let least = members.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.len().cmp(&b.1.len())));
        if let Some((seconds, indices)) = least {
            *seconds += work(groups[index].seconds);
            indices.push(index);
        }
    }
    // The longest job first: it should start first.
    members.sort_by_key(|(seconds, indices)| (Reverse((seconds * 1000.0) as u64), indices.iter().min().copied()));
    let shard = |(seconds, mut indices): (f64, Vec<usize>)| {
        indices.sort_unstable();
        Shard { targets: indices.into_iter().flat_map(|index| groups[index].targets.clone()).collect(), seconds }
    };
    members.into_iter().map(shard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups(seconds: &[f64]) -> Vec<Group> {
        let group = |(index, seconds): (usize, &f64)| Group { targets: vec![format!("t{index}")], seconds: *seconds };
        seconds.iter().enumerate().map(group).collect()
    }

    #[test]
    fn the_longest_is_alone() {
        let shards = divide(&groups(&[10.0, 61.0, 20.0, 30.0]), NonZeroUsize::new(2).unwrap());
        assert_eq!(shards[0], Shard { targets: vec!["t1".into()], seconds: 61.0 });
        assert_eq!(shards[1], Shard { targets: vec!["t0".into(), "t2".into(), "t3".into()], seconds: 60.0 });
    }

    #[test]
    fn a_part_is_read_as_written() {
        assert_eq!("2/5".parse::<Part>().unwrap().to_string(), "2/5");
        for wrong in ["", "1", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/3", "1/"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_target_is_in_one_shard(seconds in prop::collection::vec(any::<f64>(), 0..40), count in 1_usize..50) {
            let shards = divide(&groups(&seconds), NonZeroUsize::new(count).unwrap());
            prop_assert!(shards.len() <= count && shards.iter().all(|shard| !shard.targets.is_empty()));
            let mut all: Vec<String> = shards.into_iter().flat_map(|shard| shard.targets).collect();
            all.sort();
            let mut wanted: Vec<String> = (0..seconds.len()).map(|index| format!("t{index}")).collect();
            wanted.sort();
            prop_assert_eq!(all, wanted);
        }

        #[test]
        fn no_shard_takes_four_thirds_of_the_bound(
            seconds in prop::collection::vec(1.0_f64..1e4, 1..40), count in 1_usize..10,
        ) {
            let shards = divide(&groups(&seconds), NonZeroUsize::new(count).unwrap());
            let longest = shards.iter().map(|shard| shard.seconds).fold(0.0, f64::max);
            // The best division takes at least the mean, and at least the longest group; list scheduling stays
            // below their sum.
            let bound = seconds.iter().sum::<f64>() / count as f64 + seconds.iter().copied().fold(0.0, f64::max);
            prop_assert!(longest <= bound + 1e-6);
        }
    }
}
