//! The result of generating inline BTF: whether it is good, and how much of the file it covers.

use super::file::Verified;
use super::summary::{Summary, percent};
use super::write::Written;
use crate::base::check_result::{CheckResult, Verdict};
use crate::base::units::grouped;
use std::time::Duration;

/// Inline BTF that was generated, with everything known about it.
#[derive(Debug)]
pub struct Generation<'g> {
    /// The sites.
    pub summary: Summary,
    /// The output.
    pub written: Written,
    /// Its verification.
    pub verified: &'g Verified<'g>,
    /// The verification of the sections that the kernel's own build wrote.
    pub own: &'g [(String, Verified<'g>)],
    /// Units that could not be read to their end.
    pub damage: &'g [(u64, String)],
    /// The smallest accepted share of sites with every parameter.
    pub min_complete: Option<f64>,
    /// How long it took.
    pub took: Duration,
}

impl Generation<'_> {
    /// Returns the bytes of a site; `None` without sites.
    #[must_use]
    pub fn bytes_per_site(&self) -> Option<f64> {
        super::summary::share(self.written.bytes, self.written.sites)
    }

    /// Returns the first fault.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if !self.summary.adds_up {
            return Some("not every DW_TAG_inlined_subroutine is accounted for".to_owned());
        }
        if let Some((offset, why)) = self.damage.first() {
            return Some(format!("damaged debug information: unit at {offset:#x}: {why}"));
        }
        self.verified.fault().or_else(|| self.below_minimum())
    }

    // No share of nothing reaches a minimum.
    fn below_minimum(&self) -> Option<String> {
        let min = self.min_complete?;
        match self.summary.share_complete() {
            None => Some(format!("there are no sites, so no share of them can be the {:.1} % expected", min * 100.0)),
            Some(share) if share < min => Some(format!(
                "{:.1} % of the sites have every parameter, {:.1} % are expected",
                share * 100.0,
                min * 100.0
            )),
            Some(_) => None,
        }
    }

    /// Returns the result as a check.
    #[must_use]
    pub fn result(&self) -> CheckResult {
        let (summary, written) = (&self.summary, &self.written);
        let why = self.fault();
        let mut figures: Vec<(String, f64)> = [
            ("inlined_subroutines", summary.inlined_subroutines),
            ("sites", summary.sites),
            ("skipped", summary.inlined_subroutines - summary.sites),
            ("functions", summary.functions),
            ("functions_new", written.functions_new),
            ("all", summary.all),
            ("partial", summary.partial),
            ("none", summary.none),
            ("loc_params", written.loc_params),
            ("loc_protos", written.loc_protos),
            ("bytes", written.bytes),
            ("errors", self.verified.checked.findings.errors()),
        ]
        .map(|(name, number)| (name.to_owned(), number as f64))
        .to_vec();
        // A share of no sites does not exist.
        let shares = [("share_all", summary.share_complete()), ("bytes_per_site", self.bytes_per_site())];
        figures.extend(shares.into_iter().filter_map(|(name, share)| Some((name.to_owned(), share?))));
        figures.push(("seconds".to_owned(), self.took.as_secs_f64()));
        CheckResult {
            state: if why.is_some() { Verdict::Fail } else { Verdict::Pass },
            why,
            summary: Some(match percent(summary.all, summary.sites) {
                Some(share) => format!("{} inline sites, {share} with every parameter", grouped(summary.sites)),
                None => "no inline sites".to_owned(),
            }),
            figures,
            ..CheckResult::default()
        }
    }
}
