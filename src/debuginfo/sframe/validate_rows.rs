//! Validates the rows of a function.

use super::findings::Findings;
use super::header::{Abi, Error};
use super::rules::*;
use super::{Entry, Fre, Table};
use crate::base::rule::{Finding, Rule};
use crate::debuginfo::frame::Row;

/// Returns the rule that an error of reading rows breaks.
pub(super) fn row_error(error: Error) -> &'static Rule {
    match error {
        Error::WordSize { .. } => &WORD_SIZE,
        Error::WordCount { .. } => &WORD_COUNT,
        Error::Attributes { .. } => &ATTRIBUTES,
        Error::FreType { .. } => &FRE_TYPE,
        _ => &ROW_PAST,
    }
}

/// The rows of a function.
pub(super) struct Rows<'f, 'a> {
    pub(super) table: &'f Table<'a>,
    pub(super) entry: &'f Entry,
    /// Of the table in its section.
    pub(super) offset: u64,
    pub(super) findings: &'f mut Findings,
}

impl Rows<'_, '_> {
    /// Returns where the rows end in the table, how many were read, how many repeat the one before.
    pub(super) fn check(mut self) -> (u64, u64, u64) {
        let mut fres = self.table.fres(self.entry);
        let (mut read, mut duplicates) = (0, 0);
        let mut last: Option<(u32, Row)> = None;
        while let Some(fre) = fres.next() {
            let fre = match fre {
                Ok(fre) => fre,
                // The function has a finding about it already.
                Err(Error::FreType { .. }) => break,
                Err(error) => {
                    let (at, start) = (self.offset + fres.position(), self.entry.start);
                    let rule = row_error(error);
                    let finding = || Finding::new(rule, error.to_string()).at(at).about(format!("{start:#x}"));
                    self.findings.add(rule, finding);
                    break;
                }
            };
            read += 1;
            self.start(&fre, last.map(|(start, _)| start));
            let row = self.table.decode(self.entry, &fre);
            duplicates += u64::from(last.is_some_and(|(_, last)| last == row));
            last = Some((fre.start, row));
            self.words(&fre);
        }
        (fres.position(), read, duplicates)
    }

    fn say(&mut self, rule: &'static Rule, fre: &Fre, message: impl FnOnce() -> String) {
        let (at, start, row) = (self.offset + fre.offset, self.entry.start, fre.start);
        self.findings.add(rule, || {
            Finding::new(rule, format!("row at +{row:#x}: {}", message())).at(at).about(format!("{start:#x}"))
        });
    }

    fn start(&mut self, fre: &Fre, last: Option<u32>) {
        match last {
            Some(last) if fre.start <= last => self.say(&START_ORDER, fre, || format!("it comes after {last:#x}")),
            None if fre.start != 0 => {
                let rule = if self.table.header().version == 3 { &FIRST_START } else { &FIRST_START_EARLY };
                self.say(rule, fre, || format!("{:#x}", fre.start));
            }
            _ => {}
        }
        let (size, repeat) = (self.entry.size, u32::from(self.entry.rep_size));
        if fre.start > size {
            self.say(&START_RANGE, fre, || format!("the function has {size:#x} bytes"));
        } else if self.entry.is_mask() && repeat != 0 && fre.start >= repeat {
            self.say(&START_RANGE, fre, || format!("rows repeat after {repeat:#x}"));
        }
    }

    fn words(&mut self, fre: &Fre) {
        let abi = self.table.abi();
        let flexible = self.entry.is_flexible();
        if fre.is_mangled() && !abi.is_aarch64() {
            self.say(&MANGLED, fre, || abi.name().to_owned());
        }
        if fre.count() == 0 {
            if fre.info != 0 {
                self.say(&OUTERMOST_BITS, fre, || format!("info {:#04x}", fre.info));
            }
            return;
        }
        if fre.width > fre.least_width(flexible) {
            self.say(&WORD_WIDE, fre, || format!("{} bytes, {} would do", fre.width, fre.least_width(flexible)));
        }
        if flexible {
            self.flexible(fre, abi);
        } else {
            self.default(fre, abi);
        }
    }

    fn default(&mut self, fre: &Fre, abi: Abi) {
        let most = if abi.tracks_ra() { 3 } else { 2 };
        if fre.count() > most {
            self.say(&LEFTOVER, fre, || format!("{} words, {} has at most {most}", fre.count(), abi.name()));
        }
        if abi == Abi::S390x && self.table.header().version == 3 {
            for index in 1..fre.count().min(most) {
                let offset = fre.signed(index).unwrap_or(0);
                if offset % 8 != 0 {
                    self.say(&UNALIGNED, fre, || format!("word {index} is {offset}"));
                }
            }
        }
    }

    fn flexible(&mut self, fre: &Fre, abi: Abi) {
        let controls: &[u8] = match fre.count() {
            2 => &[0],
            4 => &[0, 2],
            5 => &[0, 3],
            6 => &[0, 2, 4],
            count => return self.say(&FLEXIBLE_COUNT, fre, || format!("{count}")),
        };
        if let (5, Some(padding)) = (fre.count(), fre.word(2).filter(|word| *word != 0)) {
            self.say(&PADDING_WORD, fre, || format!("{padding:#x}"));
        }
        for &index in controls {
            let control = fre.word(index).unwrap_or(0);
            if index == 0 && control & 1 == 0 {
                self.say(&CFA_CONTROL, fre, || format!("control word {control:#x}"));
            }
            if control & 4 != 0 {
                self.say(&CONTROL_BIT, fre, || format!("control word {control:#x}"));
            }
            if control & 1 != 0 && !abi.has_register(control >> 3) {
                self.say(&REGISTER, fre, || format!("register {} on {}", control >> 3, abi.name()));
            }
        }
    }
}
