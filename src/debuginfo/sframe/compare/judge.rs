//! How the rows of SFrame and DWARF compare in one range of a function: whether they agree, and if not, whether a
//! known fault of an assembler explains it.

use crate::base::rule::Rule;
use crate::debuginfo::cfi::Restored;
use crate::debuginfo::frame::{Cfa, Place, Row};
use crate::debuginfo::sframe::{Abi, rules};

/// The row of each table from an offset on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) start: u64,
    pub(super) sframe: Option<Row>,
    pub(super) dwarf: Option<Row>,
    /// Registers that DWARF restored to the rules of the CIE.
    pub(super) restored: Restored,
}

/// Facts about a function that the comparison of a range needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) abi: Abi,
    /// The first row in SFrame.
    pub(super) first: Option<Row>,
    /// The row that the CIE defines, which `DW_CFA_restore` goes back to.
    pub(super) initial: Option<Row>,
}

/// The judgement of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Agree,
    /// DWARF has an expression that SFrame cannot represent.
    Opaque,
    /// An error, and its rule.
    Error(&'static Rule),
}

impl Function {
    pub(super) fn judge(&self, pair: &Pair) -> Judgement {
        let (sframe, dwarf) = match (pair.sframe, pair.dwarf) {
            (Some(_), Some(dwarf)) if dwarf.is_opaque() => return Judgement::Opaque,
            (Some(sframe), Some(dwarf)) => (sframe, dwarf),
            // Before its first rule (`.cfi_startproc simple`) DWARF has a row without one, SFrame has none.
            (None, Some(dwarf)) if dwarf.cfa == Cfa::Unknown && dwarf.ra != Place::Undefined => {
                return Judgement::Agree;
            }
            (None, None) => return Judgement::Agree,
            _ => return Judgement::Error(&rules::MISMATCH),
        };
        if self.is_impossible(pair, dwarf) {
            return Judgement::Error(&rules::IMPOSSIBLE);
        }
        if sframe.agrees(dwarf) {
            return Judgement::Agree;
        }
        Judgement::Error(if self.is_restore_fault(pair, sframe, dwarf) { &rules::RESTORE } else { &rules::MISMATCH })
    }

    // A register was restored, so its saved value was popped, and its rule is a slot below the stack pointer: the
    // assembler moved the instruction that saved it into the CIE. Compilers also leave such rules behind `pop` (they
    // omit the .cfi_restore), but those refer to memory that still has the value. Or the function has the CIE of one
    // that starts with `.cfi_startproc simple`.
    fn is_impossible(&self, pair: &Pair, dwarf: Row) -> bool {
        let Cfa::Offset { register, offset } = dwarf.cfa else { return false };
        let is_below = |place: Place| matches!(place, Place::AtCfa(slot) if offset.saturating_add(slot) < 0);
        let fp = pair.restored.fp && is_below(dwarf.fp);
        let ra = pair.restored.ra && is_below(dwarf.ra);
        // Where rows do not track the return address it is in memory from the start, so the CIE has its slot.
        let is_nowhere = pair.restored.ra && !self.abi.tracks_ra() && dwarf.ra == Place::Same;
        is_nowhere || (register == self.abi.sp() && (fp || ra))
    }

    // GNU as 2.46 and 2.47 restore the rule of the function's first row instead of that of the CIE.
    fn is_restore_fault(&self, pair: &Pair, sframe: Row, dwarf: Row) -> bool {
        let (Some(first), Some(initial)) = (self.first, self.initial) else { return false };
        let fp = pair.restored.fp && dwarf.fp == initial.fp && sframe.fp == first.fp && first.fp != initial.fp;
        let ra = pair.restored.ra
            && self.abi.tracks_ra()
            && dwarf.ra == initial.ra
            && sframe.ra == first.ra
            && first.ra != initial.ra;
        let mut mended = sframe;
        if fp {
            mended.fp = dwarf.fp;
        }
        if ra {
            mended.ra = dwarf.ra;
        }
        (fp || ra) && mended.agrees(dwarf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cfa: i64, fp: Place) -> Row {
        Row { cfa: Cfa::Offset { register: 7, offset: cfa }, ra: Place::AtCfa(-8), fp, mangled: false }
    }

    fn judge(sframe: Row, dwarf: Row, initial: Row, fp: bool) -> Judgement {
        let function = Function { abi: Abi::Amd64, first: Some(row(56, Place::AtCfa(-32))), initial: Some(initial) };
        let restored = Restored { fp, ra: false };
        function.judge(&Pair { start: 1, sframe: Some(sframe), dwarf: Some(dwarf), restored })
    }

    #[test]
    fn a_known_fault_is_told_from_another() {
        let (saved, same) = (Place::AtCfa(-32), Place::Same);
        let initial = row(8, same);
        let fault = Judgement::Error(&rules::RESTORE);
        let other = Judgement::Error(&rules::MISMATCH);
        assert_eq!(judge(row(8, saved), row(8, same), initial, true), fault);
        assert_eq!(judge(row(8, saved), row(8, same), initial, false), other, "nothing was restored");
        assert_eq!(judge(row(16, saved), row(8, same), initial, true), other, "the CFA disagrees too");
        assert_eq!(judge(row(8, Place::AtCfa(-24)), row(8, same), initial, true), other, "not the first row's rule");
        assert_eq!(judge(row(8, same), row(8, same), initial, true), Judgement::Agree);
    }

    // `.cfi_startproc simple` and a first rule later.
    #[test]
    fn a_row_without_a_rule_is_no_row() {
        let none = Row { cfa: Cfa::Unknown, ra: Place::Same, fp: Place::Same, mangled: false };
        let function = Function { abi: Abi::Amd64, first: None, initial: Some(none) };
        let pair = |dwarf| Pair { start: 0, sframe: None, dwarf: Some(dwarf), restored: Restored::default() };
        assert_eq!(function.judge(&pair(none)), Judgement::Agree);
        assert_eq!(function.judge(&pair(Row::OUTERMOST)), Judgement::Error(&rules::MISMATCH));
        assert_eq!(function.judge(&pair(row(8, Place::Same))), Judgement::Error(&rules::MISMATCH));
    }

    #[test]
    fn a_restored_register_is_not_below_the_stack_pointer() {
        let saved = Place::AtCfa(-32);
        let impossible = Judgement::Error(&rules::IMPOSSIBLE);
        // Both tables agree, and both are wrong.
        assert_eq!(judge(row(8, saved), row(8, saved), row(56, saved), true), impossible);
        assert_eq!(judge(row(8, Place::Same), row(8, saved), row(56, saved), true), impossible);
        assert_eq!(judge(row(40, saved), row(40, saved), row(56, saved), true), Judgement::Agree);
        assert_eq!(judge(row(8, saved), row(8, saved), row(56, saved), false), Judgement::Agree, "pop without restore");
        let function = Function { abi: Abi::Amd64, first: None, initial: None };
        let (row, restored) = (row(8, Place::Same), Restored { fp: false, ra: true });
        let nowhere = Row { ra: Place::Same, ..row };
        assert_eq!(function.judge(&Pair { start: 1, sframe: Some(row), dwarf: Some(nowhere), restored }), impossible);
    }
}
