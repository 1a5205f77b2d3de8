//! Where a parameter's value is at a site, and how form (iii) of inline BTF
//! writes it down (LOC_PARAM).

pub use crate::debuginfo::btf::flags::{self as flag, FRAME_BASE};
use std::fmt;

/// Location of a value. Inline BTF has no encoding for DWARF's other locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// It is this number (its lowest bytes).
    Constant(u64),
    /// It is this address of the program, as linked.
    Address(u64),
    /// It is in this register.
    Register(u32),
    /// Its first half is in one register, the other in another.
    Pair(u32, u32),
    /// It is the register's value plus this offset.
    Sum(u32, i64),
    /// It is in memory, at the register's value plus this offset.
    Memory(u32, i64),
}

/// Why a value is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Missing {
    /// The site has no entry for this parameter.
    NotMentioned,
    /// The entry has neither a location nor a value.
    NoLocation,
    /// The location list has no entry for the site's address.
    NotCovered,
    /// Only an empty range at the site's address has a location: it holds between
    /// two *views* of that address, which are not instructions.
    EmptyRange,
    /// The expression is empty: optimised out.
    OptimisedOut,
    /// Only the value at the caller's entry is known.
    EntryValue,
    /// A pointer to something that is not in memory.
    ImplicitPointer,
    /// A value that the caller's caller passed.
    ParameterRef,
    /// Pieces that are not two registers.
    Pieces,
    /// Arithmetic beyond register + offset.
    Arithmetic,
    /// Memory that an address in memory points to.
    Dereference,
    /// Arithmetic on typed values.
    Typed,
    /// At a fixed address in memory.
    FixedAddress,
    /// In thread-local memory.
    ThreadLocal,
    /// Another operation.
    OtherOperation,
    /// The type has no size, or one above 16 bytes (8 for a constant).
    Size,
    /// The expression or list cannot be decoded.
    Damaged,
}

impl Missing {
    /// All, in the order of the report.
    pub const ALL: [Self; 17] = [
        Self::NotMentioned,
        Self::NoLocation,
        Self::NotCovered,
        Self::EmptyRange,
        Self::OptimisedOut,
        Self::EntryValue,
        Self::ImplicitPointer,
        Self::ParameterRef,
        Self::Pieces,
        Self::Arithmetic,
        Self::Dereference,
        Self::Typed,
        Self::FixedAddress,
        Self::ThreadLocal,
        Self::OtherOperation,
        Self::Size,
        Self::Damaged,
    ];

    /// Returns the stable word for JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotMentioned => "not-mentioned",
            Self::NoLocation => "no-location",
            Self::NotCovered => "not-covered",
            Self::EmptyRange => "empty-range",
            Self::OptimisedOut => "optimised-out",
            Self::EntryValue => "entry-value",
            Self::ImplicitPointer => "implicit-pointer",
            Self::ParameterRef => "parameter-ref",
            Self::Pieces => "pieces",
            Self::Arithmetic => "arithmetic",
            Self::Dereference => "dereference",
            Self::Typed => "typed",
            Self::FixedAddress => "fixed-address",
            Self::ThreadLocal => "thread-local",
            Self::OtherOperation => "other-operation",
            Self::Size => "size",
            Self::Damaged => "damaged",
        }
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NotMentioned => "the site does not mention the parameter",
            Self::NoLocation => "mentioned without location or value",
            Self::NotCovered => "no location covers the site's address",
            Self::EmptyRange => "a location for an empty range at the address only",
            Self::OptimisedOut => "optimised out (empty expression)",
            Self::EntryValue => "only as the caller's entry value",
            Self::ImplicitPointer => "pointer to what is not in memory",
            Self::ParameterRef => "reference to the caller's parameter",
            Self::Pieces => "pieces other than two registers",
            Self::Arithmetic => "arithmetic",
            Self::Dereference => "memory behind a pointer in memory",
            Self::Typed => "typed arithmetic",
            Self::FixedAddress => "memory at a fixed address",
            Self::ThreadLocal => "thread-local memory",
            Self::OtherOperation => "another operation",
            Self::Size => "a size that inline BTF cannot represent",
            Self::Damaged => "the expression cannot be decoded",
        }
    }
}

/// A LOC_PARAM, ready to be written; equal ones are one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocParam {
    /// Bytes of the parameter, 1 to 16.
    pub size: u32,
    /// See [`flag`].
    pub flags: u32,
    len: u8,
    values: [u32; 3],
}

impl LocParam {
    /// From its parts; nothing with more than three values, which no form has.
    #[must_use]
    pub fn new(size: u32, flags: u32, given: &[u32]) -> Option<Self> {
        let mut values = [0; 3];
        values.get_mut(..given.len())?.copy_from_slice(given);
        Some(Self { size, flags, len: u8::try_from(given.len()).ok()?, values })
    }

    /// Returns the words after the flags.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        self.values.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns a location of a parameter of `size` bytes. `base` is the lowest allocated address,
    /// to which addresses are relative.
    pub fn encode(location: Location, size: u32, signed: bool, base: u64) -> Result<Self, Missing> {
        if !(1..=16).contains(&size) {
            return Err(Missing::Size);
        }
        let make = |flags, values: &[u32]| Self::new(size, flags, values).ok_or(Missing::Size);
        // A single word only if readers that extend its sign and readers that do so
        // for SIGNED alone agree.
        let with_offset = |register: u32, offset: i64, flags: u32| {
            let flags = flags | flag::OFFSET | if offset < 0 { flag::SIGNED } else { 0 };
            match i32::try_from(offset) {
                Ok(offset) => make(flags, &[register, offset.cast_unsigned()]),
                Err(_) => {
                    let [low, high] = halves(offset.cast_unsigned());
                    make(flags, &[register, low, high])
                }
            }
        };
        match location {
            Location::Constant(value) => {
                let flags = flag::CONST | if signed { flag::SIGNED } else { 0 };
                Self::constant(size, flags, extend(value, size, signed))
            }
            Location::Address(address) => {
                Self::constant(size, flag::CONST | flag::ADDR, extend(address.wrapping_sub(base), size, false))
            }
            Location::Register(register) => make(flag::REG, &[register]),
            Location::Pair(first, second) => make(flag::REG, &[first, second]),
            Location::Sum(register, 0) => make(flag::REG, &[register]),
            Location::Sum(register, offset) => with_offset(register, offset, flag::REG),
            Location::Memory(register, 0) => make(flag::REG | flag::DEREF, &[register]),
            Location::Memory(register, offset) => with_offset(register, offset, flag::REG | flag::DEREF),
        }
    }

    fn constant(size: u32, flags: u32, value: u64) -> Result<Self, Missing> {
        let words = halves(value);
        let used = match size {
            1..=4 => words.get(..1),
            5..=8 => words.get(..2),
            _ => None,
        };
        used.and_then(|used| Self::new(size, flags, used)).ok_or(Missing::Size)
    }

    /// Decodes it, the reverse of [`LocParam::encode`]; `None` if the
    /// flags and values are no allowed set.
    #[must_use]
    pub fn decode(&self, base: u64) -> Option<Location> {
        let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let signed = self.flags & flag::SIGNED != 0;
        let one = |value: u32| if signed { i64::from(value.cast_signed()) } else { i64::from(value) };
        let place = |register, offset| {
            if self.flags & flag::DEREF == 0 {
                Location::Sum(register, offset)
            } else {
                Location::Memory(register, offset)
            }
        };
        let kind = self.flags & !(flag::SIGNED | flag::DEREF);
        const REG_OFFSET: u32 = flag::REG | flag::OFFSET;
        const CONST_ADDR: u32 = flag::CONST | flag::ADDR;
        Some(match (kind, self.values()) {
            (flag::CONST, &[value]) => Location::Constant(one(value).cast_unsigned()),
            (flag::CONST, &[low, high]) => Location::Constant(wide(low, high)),
            (CONST_ADDR, &[value]) => Location::Address(one(value).cast_unsigned().wrapping_add(base)),
            (CONST_ADDR, &[low, high]) => Location::Address(wide(low, high).wrapping_add(base)),
            (flag::REG, &[register]) if self.flags & flag::DEREF != 0 => Location::Memory(register, 0),
            (flag::REG, &[register]) => Location::Register(register),
            (flag::REG, &[first, second]) if self.flags & flag::DEREF == 0 => Location::Pair(first, second),
            (REG_OFFSET, &[register, offset]) => place(register, i64::from(offset.cast_signed())),
            (REG_OFFSET, &[register, low, high]) => place(register, wide(low, high).cast_signed()),
            _ => return None,
        })
    }
}

fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

// The lowest `size` bytes, extended to all 64 bits.
fn extend(value: u64, size: u32, signed: bool) -> u64 {
    let unused = 64_u32.saturating_sub(size.saturating_mul(8));
    if unused == 0 {
        return value;
    }
    let high = value << unused;
    if signed { (high.cast_signed() >> unused).cast_unsigned() } else { high >> unused }
}

/// Register names of one machine, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine(pub u16);

impl Machine {
    /// `x19`, `rdi`, else `r42`.
    #[must_use]
    pub fn register(self, number: u32) -> String {
        const X86_64: [&str; 17] = [
            "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "r15", "rip",
        ];
        const I386: [&str; 9] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"];
        const RISCV: [&str; 32] = [
            "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
            "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
        ];
        let index = number as usize;
        let found = match (self.0, number) {
            (_, FRAME_BASE) => return "frame base".to_owned(),
            (62, _) => X86_64.get(index).map(|name| (*name).to_owned()),
            (3, _) => I386.get(index).map(|name| (*name).to_owned()),
            (243, _) => RISCV.get(index).map(|name| (*name).to_owned()),
            (183, 0..=30) => Some(format!("x{number}")),
            (183, 31) => Some("sp".to_owned()),
            (40, 13) => Some("sp".to_owned()),
            (40, 14) => Some("lr".to_owned()),
            _ => None,
        };
        found.unwrap_or_else(|| format!("r{number}"))
    }
}

/// A location in words: `x0`, `[x29 - 8]`, `x0 + 16`, `7`, `address 0xffff800080010000`.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Where it is.
    pub location: Location,
    /// Whose registers.
    pub machine: Machine,
    /// Whether a constant is signed.
    pub signed: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |register, offset: i64| {
            let register = self.machine.register(register);
            match offset {
                0 => register,
                1.. => format!("{register} + {offset}"),
                _ => format!("{register} - {}", offset.unsigned_abs()),
            }
        };
        match self.location {
            Location::Constant(value) if self.signed => write!(f, "{}", value.cast_signed()),
            Location::Constant(value) if value < 0x1_0000 => write!(f, "{value}"),
            Location::Constant(value) => write!(f, "{value:#x}"),
            Location::Address(address) => write!(f, "address {address:#x}"),
            Location::Register(register) => f.write_str(&sum(register, 0)),
            Location::Pair(a, b) => write!(f, "{}:{}", self.machine.register(a), self.machine.register(b)),
            Location::Sum(register, offset) => f.write_str(&sum(register, offset)),
            Location::Memory(register, offset) => write!(f, "[{}]", sum(register, offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(location: Location, size: u32, signed: bool) -> (u32, Vec<u32>) {
        let param = LocParam::encode(location, size, signed, 0x1000).unwrap();
        assert_eq!(param.size, size);
        (param.flags, param.values().to_vec())
    }

    #[test]
    fn every_location_has_one_written_form() {
        assert_eq!(encoded(Location::Constant(7), 4, false), (2, vec![7]));
        assert_eq!(encoded(Location::Constant(u64::MAX), 4, true), (3, vec![u32::MAX]));
        assert_eq!(encoded(Location::Constant(u64::MAX), 2, false), (2, vec![0xffff]));
        assert_eq!(encoded(Location::Constant(0x80), 1, true), (3, vec![0xffff_ff80]));
        assert_eq!(encoded(Location::Constant(5), 8, false), (2, vec![5, 0]));
        assert_eq!(encoded(Location::Constant(u64::MAX), 8, true), (3, vec![u32::MAX, u32::MAX]));
        assert_eq!(encoded(Location::Address(0x1010), 8, false), (6, vec![0x10, 0]));
        assert_eq!(encoded(Location::Register(3), 4, true), (8, vec![3]));
        assert_eq!(encoded(Location::Pair(0, 1), 16, false), (8, vec![0, 1]));
        assert_eq!(encoded(Location::Sum(3, 0), 8, false), (8, vec![3]));
        assert_eq!(encoded(Location::Sum(3, 16), 8, false), (0x28, vec![3, 16]));
        assert_eq!(encoded(Location::Sum(3, -1), 8, false), (0x29, vec![3, u32::MAX]));
        assert_eq!(encoded(Location::Memory(3, 0), 8, false), (0x18, vec![3]));
        assert_eq!(encoded(Location::Memory(FRAME_BASE, -16), 8, false), (0x39, vec![u32::MAX, 0xffff_fff0]));
        assert_eq!(encoded(Location::Sum(3, 1 << 33), 8, false), (0x28, vec![3, 0, 2]));
        assert_eq!(encoded(Location::Sum(3, 0x8000_0000), 8, false), (0x28, vec![3, 0x8000_0000, 0]));
    }

    #[test]
    fn sizes_beyond_the_format_are_refused() {
        for size in [0, 17, u32::MAX] {
            assert_eq!(LocParam::encode(Location::Register(0), size, false, 0), Err(Missing::Size));
        }
        assert_eq!(LocParam::encode(Location::Constant(0), 9, false, 0), Err(Missing::Size));
    }

    #[test]
    fn locations_read_well() {
        let shown = |location, machine| Shown { location, machine: Machine(machine), signed: true }.to_string();
        assert_eq!(shown(Location::Memory(29, -8), 183), "[x29 - 8]");
        assert_eq!(shown(Location::Sum(5, 16), 62), "rdi + 16");
        assert_eq!(shown(Location::Constant(u64::MAX), 62), "-1");
        assert_eq!(shown(Location::Pair(10, 11), 243), "a0:a1");
        assert_eq!(shown(Location::Memory(FRAME_BASE, 0), 22), "[frame base]");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(kind in 0..6, register: u32, value: u64, size in 1_u32..=16, signed: bool, base: u64) {
            let offset = value.cast_signed();
            let location = match kind {
                0 => Location::Constant(extend(value, size, signed)),
                1 => Location::Address(value),
                2 => Location::Register(register),
                3 => Location::Pair(register, register ^ 1),
                4 => Location::Sum(register, if offset == 0 { 1 } else { offset }),
                _ => Location::Memory(register, offset),
            };
            if let Ok(param) = LocParam::encode(location, size, signed, base) {
                // An address in fewer than eight bytes keeps only its lowest.
                if kind != 1 || size >= 8 {
                    prop_assert_eq!(param.decode(base), Some(location));
                }
            } else {
                prop_assert!(kind < 2 && size > 8);
            }
        }
    }
}
