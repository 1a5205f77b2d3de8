//! Checking BTF by the kernel's rules, and by stricter ones for inline BTF.
//!
//! Every pass is linear in the file's size and none recurses: a file of somebody
//! else's making costs time and memory in proportion to its length, no more.

mod cycles;
mod ext;
mod file;
mod inline;
mod members;
mod resolve;
pub mod rules;
mod types;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod ext_tests;
#[cfg(test)]
mod tests;

pub use ext::{CheckedExt, ExtCounts, validate_ext};

use super::{Btf, Error};
use crate::base::rule::{Finding, Rule, Severity};
use resolve::Resolver;
use std::collections::BTreeMap;

/// How many findings of one rule are kept; the others are counted.
const MOST_KEPT: u64 = 20;

/// Information that is not in the bytes.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Sections of the ELF file that LOCSECs are about: name and size in bytes.
    pub sections: Option<Vec<(String, u64)>>,
    /// Bytes of a pointer; without it, what the BTF's `long` has, else 8.
    pub pointer: Option<u8>,
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<&'static str, (Severity, u64)>,
}

impl Findings {
    // The finding is made only where it is kept: a damaged file may have millions.
    fn add(&mut self, rule: &'static Rule, make: impl FnOnce(Finding) -> Finding) {
        let (_, count) = self.counts.entry(rule.code).or_insert((rule.severity, 0));
        *count += 1;
        if *count <= MOST_KEPT {
            self.kept.push(make(Finding::new(rule, "")));
        }
    }

    /// Returns the findings, at most twenty of each rule, in the order they were found.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.kept
    }

    /// Returns how often each rule was broken, by code.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(code, (_, count))| (*code, *count))
    }

    /// Returns how often a rule was broken.
    #[must_use]
    pub fn count(&self, rule: &Rule) -> u64 {
        self.counts.get(rule.code).map_or(0, |(_, count)| *count)
    }

    fn of(&self, severity: Severity) -> u64 {
        self.counts.values().filter(|(of, _)| *of == severity).map(|(_, count)| count).sum()
    }

    /// Returns how many errors.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.of(Severity::Error)
    }

    /// Returns how many warnings.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.of(Severity::Warning)
    }

    /// Returns whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// A file that was checked.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The file as far as it could be read; nothing where not even its header could.
    pub btf: Option<Btf<'a>>,
    /// The findings.
    pub findings: Findings,
    /// Whether it is the obsolete form (i).
    pub is_obsolete: bool,
}

/// Checks a file on its base.
#[must_use]
pub fn validate<'a>(bytes: &'a [u8], base: Option<&Btf<'a>>, context: &Context) -> Checked<'a> {
    let mut findings = Findings::default();
    let mut is_obsolete = false;
    let btf = match Btf::open(bytes, base) {
        Ok((btf, stopped)) => {
            file::check(bytes, &btf, &mut findings);
            if let Some(error) = stopped {
                let offset = error.type_offset().map_or(0, u64::from);
                findings.add(&rules::WALK, |finding| finding.with_message(error.to_string()).at(offset));
            }
            Some(btf)
        }
        Err(error) => {
            is_obsolete = error == Error::Obsolete;
            let rule = match error {
                Error::Obsolete => &rules::OBSOLETE,
                Error::HeaderLength { .. } => &rules::HEADER_WORDS,
                Error::Outside { .. } => &rules::OUTSIDE,
                Error::ByteOrder { .. } => &rules::BASE_ORDER,
                Error::TooMany => &rules::LIMITS,
                _ => &rules::UNREADABLE,
            };
            findings.add(rule, |finding| finding.with_message(error.to_string()));
            None
        }
    };
    if let Some(btf) = btf.as_ref().filter(|btf| !file::lacks_base(btf)) {
        let mut resolver = Resolver::new(btf, context.pointer);
        types::check(btf, &mut findings);
        cycles::check(btf, &mut findings);
        members::check(btf, &mut resolver, &mut findings);
        inline::check(btf, context, &mut findings);
    }
    Checked { btf, findings, is_obsolete }
}

trait Say {
    fn with_message(self, message: impl Into<String>) -> Self;
}

impl Say for Finding {
    fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

/// The subject of a finding: `[12] FUNC 'f'`.
fn subject(btf: &Btf<'_>, found: &super::Type<'_>) -> String {
    match found.name_off {
        0 => format!("[{}] {}", found.id, found.kind),
        name => format!("[{}] {} '{}'", found.id, found.kind, btf.text(name)),
    }
}

/// Adds findings about one type.
struct Reporter<'f, 'a, 'b> {
    btf: &'b Btf<'a>,
    findings: &'f mut Findings,
}

impl<'a> Reporter<'_, 'a, '_> {
    fn add(&mut self, found: &super::Type<'a>, rule: &'static Rule, message: impl FnOnce(&Btf<'a>) -> String) {
        let btf = self.btf;
        self.findings.add(rule, |finding| {
            finding.with_message(message(btf)).about(subject(btf, found)).at(u64::from(found.offset))
        });
    }
}
