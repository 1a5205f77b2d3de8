//! Which stages ride together in a job. Pure.
//!
//! A long stage has a job of its own. Short ones share jobs: those that need each other, and those that wait for the
//! same jobs, so that none waits for what it does not need. Jobs never need each other in a circle, because each belongs
//! to a *level*, and needs only jobs of lower levels.

use std::collections::{BTreeMap, BTreeSet};

/// A stage to run, in topological order.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Indices of the items that it needs.
    pub needs: Vec<usize>,
    /// Processor seconds that it is expected to take.
    pub seconds: f64,
}

/// Stages that run in one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Indices of the items, ascending.
    pub items: Vec<usize>,
    /// Indices of the jobs that must have ended, ascending; each is lower than that of this job.
    pub after: Vec<usize>,
}

/// A stage that takes more processor seconds has a job of its own.
pub const SHORT: f64 = 60.0;
/// Processor seconds that stages of one job take together, roughly.
const FULL: f64 = 300.0;
/// Stages of a job at most: a lost node costs all that had not ended.
const MOST: usize = 500;

/// Divides items among jobs. Every item is in one job, and a job comes after those that it needs.
#[must_use]
pub fn pack(items: &[Item]) -> Vec<Packed> {
    let mut packing = Packing { items, job_of: vec![None; items.len()], jobs: Vec::new() };
    for members in levels(items) {
        packing.level(members);
    }
    packing.jobs
}

fn is_short(item: &Item) -> bool {
    item.seconds <= SHORT
}

// A step between two short stages stays on its level; any other leads to the next.
fn levels(items: &[Item]) -> Vec<Vec<usize>> {
    let mut level = vec![0_usize; items.len()];
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let above = |need: &usize| level[*need] + usize::from(!is_short(item) || !is_short(&items[*need]));
        level[at] = item.needs.iter().map(above).max().unwrap_or(0);
        levels.resize(levels.len().max(level[at] + 1), Vec::new());
        levels[level[at]].push(at);
    }
    levels
}

struct Packing<'a> {
    items: &'a [Item],
    job_of: Vec<Option<usize>>,
    jobs: Vec<Packed>,
}

impl Packing<'_> {
    fn level(&mut self, members: Vec<usize>) {
        let (mut short, long): (Vec<usize>, Vec<usize>) =
            members.into_iter().partition(|at| is_short(&self.items[*at]));
        // Long ones of a level need none of its short ones, nor the other way round.
        for at in long {
            self.close(vec![at]);
        }
        while !short.is_empty() {
            let components = self.components(&short);
            let is_full = |component: &Vec<usize>| component.len() > 1 && self.is_full(component);
            let (full, fitting): (Vec<_>, Vec<_>) = components.into_iter().partition(is_full);
            self.share(fitting);
            // What everything else needs comes first, and what is left falls into smaller parts.
            let (mut roots, mut rest) = (Vec::new(), Vec::new());
            for at in full.into_iter().flatten() {
                let needs_open = self.items[at].needs.iter().any(|need| self.job_of[*need].is_none());
                if needs_open { rest.push(at) } else { roots.push(vec![at]) }
            }
            self.share(roots);
            rest.sort_unstable();
            short = rest;
        }
    }

    fn seconds(&self, members: &[usize]) -> f64 {
        members.iter().map(|at| self.items[*at].seconds.max(0.0)).sum()
    }

    fn is_full(&self, members: &[usize]) -> bool {
        members.len() > MOST || self.seconds(members) > FULL
    }

    // Sets of items that need each other, directly or by way of others of the set.
    fn components(&self, short: &[usize]) -> Vec<Vec<usize>> {
        let place: BTreeMap<usize, usize> = short.iter().enumerate().map(|(place, at)| (*at, place)).collect();
        let mut root: Vec<usize> = (0..short.len()).collect();
        fn find(root: &mut [usize], mut at: usize) -> usize {
            while root[at] != at {
                root[at] = root[root[at]];
                at = root[at];
            }
            at
        }
        for (own, at) in short.iter().enumerate() {
            for other in self.items[*at].needs.iter().filter_map(|need| place.get(need)) {
                let (a, b) = (find(&mut root, own), find(&mut root, *other));
                root[a.max(b)] = a.min(b);
            }
        }
        let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (own, at) in short.iter().enumerate() {
            found.entry(find(&mut root, own)).or_default().push(*at);
        }
        found.into_values().collect()
    }

    fn after(&self, members: &[usize]) -> BTreeSet<usize> {
        members.iter().flat_map(|at| &self.items[*at].needs).filter_map(|need| self.job_of[*need]).collect()
    }

    // Components that wait for the same jobs share jobs until these are full.
    fn share(&mut self, components: Vec<Vec<usize>>) {
        let mut by_needs: BTreeMap<BTreeSet<usize>, Vec<Vec<usize>>> = BTreeMap::new();
        for component in components {
            by_needs.entry(self.after(&component)).or_default().push(component);
        }
        for components in by_needs.into_values() {
            let mut open: Vec<usize> = Vec::new();
            for component in components {
                let together: Vec<usize> = open.iter().chain(&component).copied().collect();
                if !open.is_empty() && self.is_full(&together) {
                    self.close(std::mem::take(&mut open));
                }
                open.extend(component);
            }
            self.close(open);
        }
    }

    fn close(&mut self, mut members: Vec<usize>) {
        if members.is_empty() {
            return;
        }
        members.sort_unstable();
        let after = self.after(&members).into_iter().collect();
        for at in &members {
            self.job_of[*at] = Some(self.jobs.len());
        }
        self.jobs.push(Packed { items: members, after });
    }
}

/// Returns the expected time of the longest chain of stages in a job, in seconds; `shortest` returns that of one.
#[must_use]
pub fn longest_chain(items: &[Item], job: &Packed, shortest: impl Fn(usize) -> f64) -> f64 {
    let mut ends: BTreeMap<usize, f64> = BTreeMap::new();
    for at in &job.items {
        let begins = items[*at].needs.iter().filter_map(|need| ends.get(need)).copied().fold(0.0, f64::max);
        ends.insert(*at, begins + shortest(*at));
    }
    ends.into_values().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(needs: &[usize], seconds: f64) -> Item {
        Item { needs: needs.to_vec(), seconds }
    }

    fn job(items: &[usize], after: &[usize]) -> Packed {
        Packed { items: items.to_vec(), after: after.to_vec() }
    }

    #[test]
    fn short_stages_ride_together_and_long_ones_alone() {
        // Two sources and a host library, two toolchains that need them, a check for each.
        let items = [
            item(&[], 5.0),
            item(&[], 9.0),
            item(&[0], 30.0),
            item(&[1, 2], 900.0),
            item(&[1, 2], 900.0),
            item(&[3], 2.0),
            item(&[4], 2.0),
            item(&[4], 3.0),
        ];
        let jobs = pack(&items);
        assert_eq!(jobs, [job(&[0, 1, 2], &[]), job(&[3], &[0]), job(&[4], &[0]), job(&[5], &[1]), job(&[6, 7], &[2])]);
        assert_eq!(longest_chain(&items, &jobs[0], |at| items[at].seconds), 35.0);
    }

    #[test]
    fn many_short_stages_of_one_source_are_divided() {
        let mut items = vec![item(&[], 5.0)];
        items.extend((0..2000).map(|_| item(&[0], 1.0)));
        let jobs = pack(&items);
        assert_eq!(jobs[0], job(&[0], &[]));
        assert!(
            jobs.len() >= 7 && jobs[1..].iter().all(|job| job.items.len() <= 300 && job.after == [0]),
            "{}",
            jobs.len()
        );
    }

    proptest! {
        #[test]
        fn every_stage_is_in_one_job_after_those_that_it_needs(
            edges in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0.0_f64..200.0), 1..60),
        ) {
            let items: Vec<Item> = edges.iter().enumerate().map(|(at, (needs, seconds))| {
                let needs: BTreeSet<usize> = if at == 0 { BTreeSet::new() } else { needs.iter().map(|need| need.index(at)).collect() };
                Item { needs: needs.into_iter().collect(), seconds: *seconds }
            }).collect();
            let jobs = pack(&items);
            let mut job_of = vec![None; items.len()];
            for (number, packed) in jobs.iter().enumerate() {
                for at in &packed.items {
                    prop_assert_eq!(job_of[*at].replace(number), None, "{} twice", at);
                }
                prop_assert!(packed.after.iter().all(|other| *other < number));
                prop_assert!(packed.items.len() == 1 || packed.items.iter().all(|at| items[*at].seconds <= SHORT));
            }
            for (at, item) in items.iter().enumerate() {
                let own = job_of[at].unwrap();
                for need in &item.needs {
                    let other = job_of[*need].unwrap();
                    prop_assert!(other == own || jobs[own].after.contains(&other));
                }
            }
        }
    }
}
