//! Findings of one file, bounded: a damaged section of a million entries must
//! not become a million messages.

use crate::base::rule::{Finding, Rule, Severity};
use std::collections::BTreeMap;

/// How many findings of one rule are kept; the rest are counted.
const MOST_KEPT: u64 = 100;

/// A finding.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<&'static str, (Severity, u64)>,
}

impl Findings {
    /// Adds a finding; it is built only where it will be kept.
    pub fn add(&mut self, rule: &'static Rule, finding: impl FnOnce() -> Finding) {
        let (_, count) = self.counts.entry(rule.code).or_insert((rule.severity, 0));
        *count += 1;
        if *count <= MOST_KEPT {
            self.kept.push(finding());
        }
    }

    /// Adds a finding at an offset.
    pub fn at(&mut self, rule: &'static Rule, offset: u64, message: impl FnOnce() -> String) {
        self.add(rule, || Finding::new(rule, message()).at(offset));
    }

    /// Adds a finding about the whole.
    pub fn whole(&mut self, rule: &'static Rule, message: impl FnOnce() -> String) {
        self.add(rule, || Finding::new(rule, message()));
    }

    /// Takes over what another part of the same file gave.
    pub fn merge(&mut self, other: Self) {
        let mut room = BTreeMap::new();
        for (code, (severity, more)) in other.counts {
            let (_, count) = self.counts.entry(code).or_insert((severity, 0));
            room.insert(code, MOST_KEPT.saturating_sub(*count));
            *count += more;
        }
        self.kept.extend(other.kept.into_iter().filter(|finding| match room.get_mut(finding.rule.code) {
            Some(room) if *room > 0 => {
                *room -= 1;
                true
            }
            _ => false,
        }));
    }

    /// Those that were kept, in the order they were found.
    #[must_use]
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// Lets their words be completed: names of functions are looked up only for what was found.
    pub fn kept_mut(&mut self) -> &mut [Finding] {
        &mut self.kept
    }

    /// Returns how many there were of each rule.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, Severity, u64)> + '_ {
        self.counts.iter().map(|(code, (severity, count))| (*code, *severity, *count))
    }

    /// Returns how many there were of one rule.
    #[must_use]
    pub fn count_of(&self, rule: &'static Rule) -> u64 {
        self.counts.get(rule.code).map_or(0, |(_, count)| *count)
    }

    /// Returns how many there were of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.counts.values().filter(|(other, _)| *other == severity).map(|(_, count)| count).sum()
    }

    /// Returns whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::sframe::rules::{MAGIC_WRONG, VERSION};

    #[test]
    fn what_is_too_much_is_counted_not_kept() {
        let mut findings = Findings::default();
        for offset in 0..250 {
            findings.at(&MAGIC_WRONG, offset, || "x".into());
        }
        let mut other = findings.clone();
        other.whole(&VERSION, || "y".into());
        findings.merge(other);
        assert_eq!(findings.kept().len(), 101);
        assert_eq!(findings.count(Severity::Error), 501);
        assert_eq!(findings.count_of(&MAGIC_WRONG), 500);
    }
}
