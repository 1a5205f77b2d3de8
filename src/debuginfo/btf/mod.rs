//! BTF, the kernel's description of its own types and functions: reading,
//! writing, checking; and the three kinds of *inline BTF*, which describe where
//! functions were inlined and where their parameters are to be found there.
//!
//! ```text
//! header │ types │ [layout] │ strings          offsets count from the header's end
//!          └ name, info, size or type; then data whose length the kind decides
//! ```
//!
//! *Split* BTF extends a base: its type ids and string offsets go on where
//! the base's end. A base may be split itself (kernel, module, inline).
//!
//! Two properties are not recorded in the bytes. They differ between
//! releases, and [`Grammar`] names the two combinations that exist:
//!
//! - the info word has 16 bits of count and 5 of kind, or 24 and 7. What the
//!   narrow form leaves unused must be 0, so a valid narrow word reads the same
//!   in the wide form;
//! - the three kinds have other shapes in the older series, which only knew the
//!   narrow word.
//!
//! [`Btf::open`] documents how it decides. Nothing here recurses, and nothing is
//! allocated before it is checked against the remaining bytes.

mod c_layout;
mod cursor;
pub mod equivalent;
pub mod file;
mod header;
mod index;
mod kind;
mod loc;
mod output;
mod read;
pub mod result;
pub mod split;
mod strings;
pub mod validate;
mod views;
mod write;

#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod write_tests;

pub use c_layout::{CLayout, Laid, pointer_size};
pub use cursor::Words;
pub use header::{Header, Layout, LayoutEntry, Span, is_obsolete_inline, is_standalone};
pub use index::{FuncIndex, NameIndex};
pub use kind::{Grammar, Head, Kind, Shape};
pub use loc::{LocParam, LocSite, OldLocParam, OldLocSite, OldPlace, elf_section_name, flags, old_flags};
pub use object::Endianness as Endian;
pub use read::{Btf, Type};
pub use strings::is_identifier;
pub use views::{Array, Enumerator, Int, Member, Param, SectionVar};
pub use write::{Builder, IdMap, Order, WriteError};

/// `hdr.magic`
pub const MAGIC: u16 = 0xeb9f;
/// The only version there is.
pub const VERSION: u8 = 1;
/// Bytes of the header without a layout section.
pub const HEADER_24: u32 = 24;
/// Bytes of the header with one.
pub const HEADER_32: u32 = 32;
/// The largest type id that kernels accept (`BTF_MAX_TYPE`).
pub const MAX_TYPE: u32 = 0x000f_ffff;
/// The largest string offset that kernels accept (`BTF_MAX_NAME_OFFSET`).
pub const MAX_NAME_OFFSET: u32 = 0x00ff_ffff;
/// Bytes of the longest name that kernels accept (`KSYM_NAME_LEN`, less its NUL).
pub const LONGEST_NAME: usize = 511;
/// The largest count of the wide info word.
pub const MAX_VLEN: u32 = 0x00ff_ffff;

/// Why bytes cannot be read as BTF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shorter than a header.
    #[error("{len} bytes are too few for a header")]
    Short {
        /// How many there are.
        len: usize,
    },
    /// Another magic number.
    #[error("magic number {magic:#06x} is not that of BTF (0xeb9f)")]
    Magic {
        /// The value read, as little-endian.
        magic: u16,
    },
    /// A header of the April 2025 form of inline BTF.
    #[error("obsolete form of inline BTF (April 2025): it has a header of its own and no types")]
    Obsolete,
    /// A version that is not known.
    #[error("version {version} is not known, only 1 is")]
    Version {
        /// The value read.
        version: u8,
    },
    /// A header shorter than any, or longer than the file.
    #[error("header length {len} does not fit: at least 24 and at most the {have} bytes there are")]
    HeaderLength {
        /// The value read.
        len: u32,
        /// Bytes of the file.
        have: usize,
    },
    /// A section of the file that is not inside it.
    #[error("the {section} section ({offset} + {len} bytes) lies outside the {have} bytes after the header")]
    Outside {
        /// `type`, `string` or `layout`
        section: &'static str,
        /// Its offset from the end of the header.
        offset: u32,
        /// Its length.
        len: u32,
        /// Bytes after the header.
        have: usize,
    },
    /// The base has the other byte order.
    #[error("the base is {}-endian, this is not", if *base == Endian::Little { "little" } else { "big" })]
    ByteOrder {
        /// The base's.
        base: Endian,
    },
    /// Types or strings of base and split file are more than 32 bits can number.
    #[error("base and split file together have more types or strings than 32 bits can number")]
    TooMany,
    /// An unknown kind whose size no layout entry gives.
    #[error("type {id} has the unknown kind {kind}, and no layout section defines its size")]
    Kind {
        /// The type's id.
        id: u32,
        /// Its kind.
        kind: u8,
        /// Where it begins in the type section.
        offset: u32,
    },
    /// A type whose data would go beyond the section.
    #[error("type {id} ({kind}) needs {needs} bytes, the type section has {left} left")]
    Truncated {
        /// The type's id.
        id: u32,
        /// Its kind; `type` where not even that is there.
        kind: Kind,
        /// Where it begins in the type section.
        offset: u32,
        /// Bytes it would take.
        needs: u64,
        /// Bytes that are left.
        left: u64,
    },
}

impl Error {
    /// Returns where in the section it is, where that can be said.
    #[must_use]
    pub fn type_offset(&self) -> Option<u32> {
        match self {
            Self::Kind { offset, .. } | Self::Truncated { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}
