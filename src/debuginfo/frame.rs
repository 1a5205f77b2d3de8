//! How a caller's frame is found at one place of the code: the form in which
//! rows of SFrame and rows of DWARF call-frame information are compared.

use std::fmt;

/// The canonical frame address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cfa {
    /// A register and an offset.
    Offset {
        /// DWARF number.
        register: u32,
        /// Bytes.
        offset: i64,
    },
    /// The value in memory at a register and an offset.
    Deref {
        /// DWARF number.
        register: u32,
        /// Bytes.
        offset: i64,
    },
    /// Nothing is said of it.
    Unknown,
    /// Something that cannot be compared: an expression, or words that mean nothing.
    Other,
}

/// Where the caller's value of a register is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Still in the register.
    Same,
    /// Nowhere: for the return address, this is the outermost frame.
    Undefined,
    /// In memory at the CFA plus this.
    AtCfa(i64),
    /// In another register.
    Register(u32),
    /// In memory at a register plus an offset.
    AtRegister {
        /// DWARF number.
        register: u32,
        /// Bytes.
        offset: i64,
    },
    /// It is the CFA plus this.
    ValCfa(i64),
    /// Something that cannot be compared.
    Other,
}

/// A row: the rules from an address on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// The canonical frame address.
    pub cfa: Cfa,
    /// The return address.
    pub ra: Place,
    /// The caller's frame pointer.
    pub fp: Place,
    /// Whether the return address is signed (aarch64 pointer authentication).
    pub mangled: bool,
}

impl Row {
    /// The outermost frame: there is no caller.
    pub const OUTERMOST: Self = Self { cfa: Cfa::Unknown, ra: Place::Undefined, fp: Place::Same, mangled: false };

    /// Returns the row with equal things said in one way: `*(rsp+8)` is `*(CFA-8)` where the CFA is `rsp+16`.
    #[must_use]
    pub fn normal(mut self) -> Self {
        let cfa = self.cfa;
        let normal = |place| match (place, cfa) {
            (Place::AtRegister { register, offset }, Cfa::Offset { register: base, offset: up })
                if register == base =>
            {
                offset.checked_sub(up).map_or(place, Place::AtCfa)
            }
            _ => place,
        };
        self.ra = normal(self.ra);
        self.fp = normal(self.fp);
        self
    }

    /// Returns whether two rows find the same caller.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        if self.ra == Place::Undefined || other.ra == Place::Undefined {
            return self.ra == other.ra;
        }
        self.normal() == other.normal()
    }

    /// Returns whether it has a part that cannot be compared.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        // Without a rule for the CFA (`.cfi_startproc simple`) only an undefined return address has a meaning.
        let no_rule = self.cfa == Cfa::Unknown && self.ra != Place::Undefined;
        no_rule || self.cfa == Cfa::Other || self.ra == Place::Other || self.fp == Place::Other
    }
}

/// A row with the names of its registers, `cfa=sp+16 ra=c-8 fp=c-16`.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The row.
    pub row: Row,
    /// DWARF number of the stack pointer.
    pub sp: u32,
    /// DWARF number of the frame pointer.
    pub fp: u32,
}

impl Named {
    fn register(self, number: u32) -> String {
        match number {
            _ if number == self.sp => "sp".to_owned(),
            _ if number == self.fp => "fp".to_owned(),
            _ => format!("r{number}"),
        }
    }

    /// Returns the CFA alone: `sp+16`, `*(r6-8)`.
    #[must_use]
    pub fn cfa(self) -> String {
        match self.row.cfa {
            Cfa::Offset { register, offset } => format!("{}{offset:+}", self.register(register)),
            Cfa::Deref { register, offset } => format!("*({}{offset:+})", self.register(register)),
            Cfa::Unknown => "-".to_owned(),
            Cfa::Other => "expression".to_owned(),
        }
    }

    fn place(self, place: Place) -> String {
        match place {
            Place::Same => "u".to_owned(),
            Place::Undefined => "undefined".to_owned(),
            Place::AtCfa(offset) => format!("c{offset:+}"),
            Place::Register(register) => self.register(register),
            Place::AtRegister { register, offset } => format!("*({}{offset:+})", self.register(register)),
            Place::ValCfa(offset) => format!("=c{offset:+}"),
            Place::Other => "expression".to_owned(),
        }
    }

    /// Returns the return address alone; `[s]` where it is signed.
    #[must_use]
    pub fn ra(self) -> String {
        self.place(self.row.ra) + if self.row.mangled { "[s]" } else { "" }
    }

    /// Returns the frame pointer alone.
    #[must_use]
    pub fn fp(self) -> String {
        self.place(self.row.fp)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.row.ra == Place::Undefined {
            return f.write_str("outermost frame");
        }
        write!(f, "cfa={} ra={} fp={}", self.cfa(), self.ra(), self.fp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_said_in_two_ways_agrees() {
        let cfa = Cfa::Offset { register: 7, offset: 16 };
        let one = Row { cfa, ra: Place::AtCfa(-8), fp: Place::AtRegister { register: 7, offset: 0 }, mangled: false };
        let two = Row { fp: Place::AtCfa(-16), ..one };
        assert!(one.agrees(two));
        assert!(!one.agrees(Row { fp: Place::AtCfa(-24), ..one }));
        assert!(!one.agrees(Row { mangled: true, ..one }));
        assert!(!one.agrees(Row::OUTERMOST));
        assert!(Row { ra: Place::Undefined, ..one }.agrees(Row::OUTERMOST));
        assert_eq!(Named { row: one, sp: 7, fp: 6 }.to_string(), "cfa=sp+16 ra=c-8 fp=*(sp+0)");
    }

    // `.cfi_startproc simple` without a rule, and the outermost frame, which has a meaning.
    #[test]
    fn a_row_without_a_rule_cannot_be_compared() {
        let none = Row { cfa: Cfa::Unknown, ra: Place::Same, fp: Place::Same, mangled: false };
        assert!(none.is_opaque());
        assert!(!Row::OUTERMOST.is_opaque());
    }
}
