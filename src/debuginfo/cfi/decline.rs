//! Call-frame directives of a function for which the assembler may write
//! no SFrame entry for it ("no SFrame FDE emitted; …").
//!
//! Source: `gas/gen-sframe.c` of binutils 2.46 and 2.47, earlier versions
//! decline the same and more.

use crate::debuginfo::frame::Place;
use crate::debuginfo::sframe::Abi;
use std::fmt;

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The CFA's offset does not fit: beyond 32 bits, or on s390x no multiple of 8.
    CfaOffset,
    /// The CFA counts from another register than SP or FP, and there are no flexible FDEs.
    CfaRegister,
    /// `.cfi_def_cfa_offset` while the CFA counts from another register than SP or FP.
    CfaOffsetOnly,
    /// The CFA is an expression other than one memory cell at a register.
    CfaExpression,
    /// The return address is not where the ABI has it, and rows do not track it.
    RaOffset,
    /// `.cfi_val_offset` of SP, FP or the return address.
    ValOffset,
    /// The caller's SP is in a register.
    SpRegister,
    /// The caller's FP or the return address is in a register, and there are no flexible FDEs.
    Register,
    /// SP is saved in memory.
    SpSaved,
    /// `.cfi_remember_state` before any row.
    RememberFirst,
    /// `.cfi_negate_ra_state_with_pc`
    NegateWithPc,
    /// `.cfi_window_save`, or signing of the return address off aarch64.
    WindowSave,
    /// An expression for SP, FP, the return address or the CFA's register.
    Expression,
    /// Another `.cfi_escape`.
    Escape,
    /// SP or FP is undefined.
    Undefined,
    /// The return address has another column than the ABI's.
    RaColumn,
    /// More rows than an entry can count.
    Rows,
    /// FP is saved and the return address is not, which the rows of aarch64 cannot express.
    FpWithoutRa,
    /// An instruction that no rule is known for.
    Unknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::CfaOffset,
        Self::CfaRegister,
        Self::CfaOffsetOnly,
        Self::CfaExpression,
        Self::RaOffset,
        Self::ValOffset,
        Self::SpRegister,
        Self::Register,
        Self::SpSaved,
        Self::RememberFirst,
        Self::NegateWithPc,
        Self::WindowSave,
        Self::Expression,
        Self::Escape,
        Self::Undefined,
        Self::RaColumn,
        Self::Rows,
        Self::FpWithoutRa,
        Self::Unknown,
    ];

    /// Returns its name in figures and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CfaOffset => "cfa-offset",
            Self::CfaRegister => "cfa-register",
            Self::CfaOffsetOnly => "cfa-offset-off-sp-fp",
            Self::CfaExpression => "cfa-expression",
            Self::RaOffset => "ra-offset",
            Self::ValOffset => "val-offset",
            Self::SpRegister => "sp-in-register",
            Self::Register => "fp-or-ra-in-register",
            Self::SpSaved => "sp-saved",
            Self::RememberFirst => "remember-before-row",
            Self::NegateWithPc => "negate-ra-state-with-pc",
            Self::WindowSave => "window-save",
            Self::Expression => "register-expression",
            Self::Escape => "escape",
            Self::Undefined => "sp-or-fp-undefined",
            Self::RaColumn => "ra-column",
            Self::Rows => "too-many-rows",
            Self::FpWithoutRa => "fp-without-ra",
            Self::Unknown => "unknown-instruction",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u32);

impl Reasons {
    /// Adds one.
    pub fn add(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u8;
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `reason` is one of them.
    #[must_use]
    pub fn has(self, reason: Reason) -> bool {
        self.0 & 1 << reason as u8 != 0
    }

    /// In the order of [`Reason::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

/// Returns why the assembler may decline a function that has this rule for SP, FP or the return address.
pub(super) fn reason(abi: Abi, flexible: bool, register: u32, place: Place) -> Option<Reason> {
    let is_sp = register == abi.sp();
    let is_ra = register == abi.ra();
    match place {
        Place::ValCfa(0) if is_sp && abi != Abi::S390x => None,
        Place::ValCfa(-160) if is_sp && abi == Abi::S390x => None,
        Place::ValCfa(_) if is_ra && !abi.tracks_ra() && !flexible => None,
        Place::ValCfa(_) => Some(Reason::ValOffset),
        Place::Register(_) if is_sp => (abi != Abi::S390x).then_some(Reason::SpRegister),
        // Version 2 of s390x marks registers by an odd word.
        Place::Register(_) => (!flexible && abi != Abi::S390x).then_some(Reason::Register),
        Place::AtCfa(_) if is_sp => (abi != Abi::S390x).then_some(Reason::SpSaved),
        Place::AtCfa(offset) if is_ra && !abi.tracks_ra() && !flexible => {
            (offset != i64::from(abi.fixed_ra())).then_some(Reason::RaOffset)
        }
        Place::AtCfa(offset) => (abi == Abi::S390x && offset % 8 != 0).then_some(Reason::CfaOffset),
        Place::Undefined if !is_ra => Some(Reason::Undefined),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_bit_and_a_name_of_its_own() {
        let mut all = Reasons::default();
        Reason::ALL.into_iter().for_each(|reason| all.add(reason));
        assert_eq!(all.iter().count(), Reason::ALL.len());
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
