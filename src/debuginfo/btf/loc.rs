//! The three kinds of inline BTF, in both forms.

use super::{Endian, Type, Words};

/// Flags of a LOC_PARAM, form (iii).
pub mod flags {
    /// The value is signed.
    pub const SIGNED: u32 = 1;
    /// The value itself: `{low}` or `{low, high}`.
    pub const CONST: u32 = 2;
    /// The constant is an address, relative to the base of the kernel or module.
    pub const ADDR: u32 = 4;
    /// `{register}` or a pair of them, in DWARF's numbers.
    pub const REG: u32 = 8;
    /// Whether the value is at the address in the register.
    pub const DEREF: u32 = 0x10;
    /// `{register, low}` or `{register, low, high}`: an offset is added.
    pub const OFFSET: u32 = 0x20;
    /// All that are defined.
    pub const ALL: u32 = 0x3f;
    /// The register number of the frame base.
    pub const FRAME_BASE: u32 = u32::MAX;
}

/// Flags of a LOC_PARAM, form (ii).
pub mod old_flags {
    /// Whether the value is at the address in the register.
    pub const DEREF: u16 = 1;
    /// The next entry of the LOC_PROTO is of the same parameter.
    pub const CONTINUE: u16 = 2;
}

/// Where a parameter is, form (iii).
#[derive(Debug, Clone, Copy)]
pub struct LocParam<'a> {
    /// The parameter's size, bytes.
    pub size: u32,
    /// [`flags`]
    pub flags: u32,
    /// The interpretation of the words by the flags.
    pub values: Words<'a>,
}

impl LocParam<'_> {
    /// Returns the constant, or the offset to a register; a signed or short one is extended to 64
    /// bits.
    ///
    /// An offset of one word is sign-extended; a constant only where it is SIGNED.
    #[must_use]
    pub fn value(&self) -> Option<u64> {
        let (first, signed) = if self.flags & flags::CONST != 0 {
            (0, self.flags & flags::SIGNED != 0)
        } else if self.flags & flags::OFFSET != 0 {
            (1, true)
        } else {
            return None;
        };
        let low = self.values.get(first)?;
        Some(match self.values.get(first + 1) {
            Some(high) => u64::from(high) << 32 | u64::from(low),
            None if signed => i64::from(low.cast_signed()).cast_unsigned(),
            None => u64::from(low),
        })
    }

    /// Returns the register, in DWARF's numbers.
    #[must_use]
    pub fn register(&self) -> Option<u32> {
        if self.flags & flags::REG != 0 { self.values.get(0) } else { None }
    }

    /// Returns the second register of a pair.
    #[must_use]
    pub fn second_register(&self) -> Option<u32> {
        if self.flags & (flags::REG | flags::OFFSET) == flags::REG { self.values.get(1) } else { None }
    }
}

/// A site of a LOCSEC, form (iii). Their order is that of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocSite {
    /// The FUNC that was inlined.
    pub func: u32,
    /// Where, from the start of the ELF section.
    pub offset: u32,
    /// The LOC_PROTO.
    pub loc_proto: u32,
}

/// Returns the name of the ELF section that a LOCSEC is about: the series' header calls it `inline.text`, its tests
/// `.text`.
#[must_use]
pub fn elf_section_name(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"inline").filter(|rest| rest.starts_with(b".")).unwrap_or(name)
}

/// Where a parameter is, form (ii).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldLocParam {
    /// The size, bytes; negative for a signed value.
    pub size: i32,
    /// Where.
    pub place: OldPlace,
}

/// Interpretation of the eight bytes of a form (ii) LOC_PARAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPlace {
    /// The value itself.
    Const(u64),
    /// A register with an offset.
    Register {
        /// DWARF's number.
        register: u16,
        /// [`old_flags`]
        flags: u16,
        /// Bytes.
        offset: i32,
    },
}

/// A site of a LOCSEC, form (ii).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OldLocSite {
    /// The function's name.
    pub name_off: u32,
    /// Its FUNC_PROTO.
    pub func_proto: u32,
    /// The LOC_PROTO.
    pub loc_proto: u32,
    /// Where, from the start of `.text`.
    pub offset: u32,
}

pub(super) fn old_param(this: &Type<'_>, data: Words<'_>) -> Option<OldLocParam> {
    let (first, second) = (data.get(0)?, data.get(1)?);
    let place = if this.kind_flag {
        OldPlace::Const(u64::from(second) << 32 | u64::from(first))
    } else {
        // Two halves in the file's order, so which is the upper one depends on it.
        let (low, high) = (first as u16, (first >> 16) as u16);
        let (register, flags) = if data.endian() == Endian::Little { (low, high) } else { (high, low) };
        OldPlace::Register { register, flags, offset: second.cast_signed() }
    };
    Some(OldLocParam { size: this.size_or_type.cast_signed(), place })
}
