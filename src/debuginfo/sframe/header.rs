//! The header of an SFrame section, and what its ABI byte stands for.

use super::bytes::Bytes;

/// `sframe_preamble.sfp_magic`
pub const MAGIC: u16 = 0xdee2;
/// Bytes of the header, without the auxiliary header.
pub const HEADER: usize = 28;
/// `SFRAME_F_FDE_SORTED`
pub const SORTED: u8 = 1;
/// `SFRAME_F_FRAME_POINTER`, versions 1 and 2
pub const FRAME_POINTER: u8 = 2;
/// `SFRAME_F_FDE_FUNC_START_PCREL`, version 3 and the errata of version 2
pub const PCREL: u8 = 4;

/// Why a section, or a part of one, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not even a header.
    #[error("{size} bytes, a header has 28")]
    Short {
        /// Bytes there are.
        size: usize,
    },
    /// Another magic number.
    #[error("magic {found:#06x}, not 0xdee2")]
    Magic {
        /// As the file's byte order reads it.
        found: u16,
    },
    /// A version that does not exist.
    #[error("version {found}; 1, 2 and 3 are known")]
    Version {
        /// The byte.
        found: u8,
    },
    /// An ABI that does not exist.
    #[error("ABI {found}; 1 to 4 are known")]
    Abi {
        /// The byte.
        found: u8,
    },
    /// A table that lies outside of the section or inside another.
    #[error("{what} ends at {end:#x}, the room for it at {limit:#x}")]
    Extent {
        /// Which table.
        what: &'static str,
        /// Where it would end, bytes from the start of the section.
        end: u64,
        /// Where it would have to.
        limit: u64,
    },
    /// An entry of version 3 whose attributes lie outside of the FRE area.
    #[error("attributes of function {index} at {offset:#x} lie outside of the FRE area")]
    Attributes {
        /// Which entry.
        index: u32,
        /// Where they would be.
        offset: u64,
    },
    /// A row of an unknown type of start address.
    #[error("FRE type {found}; 0 to 2 are known")]
    FreType {
        /// The four bits.
        found: u8,
    },
    /// A row that does not end before the FRE area does.
    #[error("row at {offset:#x} reaches past the FRE area")]
    Row {
        /// Where it starts.
        offset: u64,
    },
    /// A row with words of an unknown size.
    #[error("row at {offset:#x} has word size code 3")]
    WordSize {
        /// Where it starts.
        offset: u64,
    },
    /// A row with more words than any rule needs.
    #[error("row at {offset:#x} has {count} words; 6 are the most")]
    WordCount {
        /// Where it starts.
        offset: u64,
        /// The four bits.
        count: u8,
    },
}

/// An ABI with SFrame data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// 1
    Aarch64Big,
    /// 2
    Aarch64Little,
    /// 3
    Amd64,
    /// 4
    S390x,
}

impl Abi {
    /// Returns the ABI of this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aarch64Big),
            2 => Some(Self::Aarch64Little),
            3 => Some(Self::Amd64),
            4 => Some(Self::S390x),
            _ => None,
        }
    }

    /// Returns the ABI of an ELF file, if it has SFrame data at all.
    #[must_use]
    pub fn of_machine(machine: u16, big: bool) -> Option<Self> {
        match (machine, big) {
            (183, true) => Some(Self::Aarch64Big),
            (183, false) => Some(Self::Aarch64Little),
            (62, false) => Some(Self::Amd64),
            (22, true) => Some(Self::S390x),
            _ => None,
        }
    }

    /// Returns its number in the header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Aarch64Big => 1,
            Self::Aarch64Little => 2,
            Self::Amd64 => 3,
            Self::S390x => 4,
        }
    }

    /// `aarch64`, `aarch64-be`, `amd64`, `s390x`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aarch64Big => "aarch64-be",
            Self::Aarch64Little => "aarch64",
            Self::Amd64 => "amd64",
            Self::S390x => "s390x",
        }
    }

    /// Returns whether its numbers are big-endian.
    #[must_use]
    pub fn is_big(self) -> bool {
        matches!(self, Self::Aarch64Big | Self::S390x)
    }

    /// Returns whether it is aarch64 of either byte order.
    #[must_use]
    pub fn is_aarch64(self) -> bool {
        matches!(self, Self::Aarch64Big | Self::Aarch64Little)
    }

    /// DWARF number of the stack pointer.
    #[must_use]
    pub fn sp(self) -> u32 {
        match self {
            Self::Aarch64Big | Self::Aarch64Little => 31,
            Self::Amd64 => 7,
            Self::S390x => 15,
        }
    }

    /// DWARF number of the frame pointer.
    #[must_use]
    pub fn fp(self) -> u32 {
        match self {
            Self::Aarch64Big | Self::Aarch64Little => 29,
            Self::Amd64 => 6,
            Self::S390x => 11,
        }
    }

    /// DWARF number of the return address' column.
    #[must_use]
    pub fn ra(self) -> u32 {
        match self {
            Self::Aarch64Big | Self::Aarch64Little => 30,
            Self::Amd64 => 16,
            Self::S390x => 14,
        }
    }

    /// Returns the fixed offset of the return address from the CFA; 0 where rows track it.
    #[must_use]
    pub fn fixed_ra(self) -> i8 {
        if self == Self::Amd64 { -8 } else { 0 }
    }

    /// Returns whether rows have the location of the return address.
    #[must_use]
    pub fn tracks_ra(self) -> bool {
        self != Self::Amd64
    }

    /// Returns whether a rule may name the register: general ones (on amd64 those of APX too, 130 to 145), and on
    /// s390x the floating-point ones, in which leaf functions save.
    #[must_use]
    pub fn has_register(self, number: u32) -> bool {
        match self {
            Self::Amd64 => matches!(number, 0..=16 | 130..=145),
            _ => number <= 31,
        }
    }

    /// Returns whether an assembler of version 3 may use flexible FDEs.
    #[must_use]
    pub fn has_flexible(self) -> bool {
        matches!(self, Self::Amd64 | Self::S390x)
    }
}

/// The header as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 1, 2 or 3
    pub version: u8,
    /// The flag bits.
    pub flags: u8,
    /// The ABI byte.
    pub abi: u8,
    /// Fixed offset of the frame pointer from the CFA; 0: none.
    pub fixed_fp: i8,
    /// Fixed offset of the return address from the CFA; 0: none.
    pub fixed_ra: i8,
    /// Bytes of the auxiliary header.
    pub aux_len: u8,
    /// Function descriptor entries.
    pub fdes: u32,
    /// Frame row entries of all functions.
    pub fres: u32,
    /// Bytes of the FRE area.
    pub fre_len: u32,
    /// Where the function descriptors are, from the end of both headers.
    pub fde_off: u32,
    /// Where the FRE area is, likewise.
    pub fre_off: u32,
}

impl Header {
    /// Reads the header, finding the byte order by the magic number.
    pub fn read(data: &[u8]) -> Result<(Self, bool), Error> {
        let short = Error::Short { size: data.len() };
        let little = Bytes::new(data, false).u16(0).ok_or(short)?;
        let big = match little {
            MAGIC => false,
            _ if little.swap_bytes() == MAGIC => true,
            found => return Err(Error::Magic { found }),
        };
        let bytes = Bytes::new(data, big);
        let header = Self::fields(bytes).ok_or(short)?;
        if !(1..=3).contains(&header.version) {
            return Err(Error::Version { found: header.version });
        }
        Ok((header, big))
    }

    fn fields(bytes: Bytes<'_>) -> Option<Self> {
        Some(Self {
            version: bytes.u8(2)?,
            flags: bytes.u8(3)?,
            abi: bytes.u8(4)?,
            fixed_fp: bytes.u8(5)?.cast_signed(),
            fixed_ra: bytes.u8(6)?.cast_signed(),
            aux_len: bytes.u8(7)?,
            fdes: bytes.u32(8)?,
            fres: bytes.u32(12)?,
            fre_len: bytes.u32(16)?,
            fde_off: bytes.u32(20)?,
            fre_off: bytes.u32(24)?,
        })
    }

    /// Bytes of one function descriptor.
    #[must_use]
    pub fn fde_size(&self) -> usize {
        match self.version {
            1 => 17,
            2 => 20,
            _ => 16,
        }
    }

    /// Returns where both offsets count from, bytes from the start of the section.
    #[must_use]
    pub fn body(&self) -> u64 {
        HEADER as u64 + u64::from(self.aux_len)
    }

    /// Returns where the function descriptors start and end.
    #[must_use]
    pub fn fde_area(&self) -> (u64, u64) {
        let start = self.body() + u64::from(self.fde_off);
        (start, start + u64::from(self.fdes) * self.fde_size() as u64)
    }

    /// Returns where the FRE area starts and ends.
    #[must_use]
    pub fn fre_area(&self) -> (u64, u64) {
        let start = self.body() + u64::from(self.fre_off);
        (start, start + u64::from(self.fre_len))
    }

    /// Returns whether functions stand in the order of their addresses.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.flags & SORTED != 0
    }

    /// Returns whether start addresses count from their own fields.
    #[must_use]
    pub fn is_pcrel(&self) -> bool {
        self.flags & PCREL != 0
    }

    /// Returns the flag bits this version defines.
    #[must_use]
    pub fn known_flags(&self) -> u8 {
        match self.version {
            1 => SORTED | FRAME_POINTER,
            2 => SORTED | FRAME_POINTER | PCREL,
            _ => SORTED | PCREL,
        }
    }
}
