//! The header and the layout section.

use super::cursor::{u16_at, u32_at};
use super::{Endian, Error, Grammar, HEADER_24, HEADER_32, Kind, MAGIC, MAX_TYPE, VERSION};
use std::ops::Range;

/// A section of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From the end of the header.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl Span {
    /// Returns where it ends, from the end of the header.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.len)
    }

    fn of<'a>(self, section: &'static str, body: &'a [u8]) -> Result<&'a [u8], Error> {
        let range: Option<Range<usize>> = (|| {
            let start = usize::try_from(self.offset).ok()?;
            Some(start..start.checked_add(usize::try_from(self.len).ok()?)?)
        })();
        let found = range.and_then(|range| body.get(range));
        found.ok_or(Error::Outside { section, offset: self.offset, len: self.len, have: body.len() })
    }
}

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The byte order, from the magic number.
    pub endian: Endian,
    /// 1.
    pub version: u8,
    /// None is defined.
    pub flags: u8,
    /// Bytes of the header: 24, 32, or more of a later version.
    pub len: u32,
    /// The types.
    pub types: Span,
    /// The strings.
    pub strings: Span,
    /// The layout entries, if the header is long enough to have them.
    pub layout: Option<Span>,
}

impl Header {
    /// Reads a header, and no more than that.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = || Error::Short { len: bytes.len() };
        let magic = u16_at(bytes, 0, Endian::Little).ok_or_else(short)?;
        let endian = match magic {
            MAGIC => Endian::Little,
            _ if magic == MAGIC.swap_bytes() => Endian::Big,
            _ if is_obsolete_inline(bytes) => return Err(Error::Obsolete),
            _ => return Err(Error::Magic { magic }),
        };
        let word = |at| u32_at(bytes, at, endian).ok_or_else(short);
        let (version, flags) = (*bytes.get(2).ok_or_else(short)?, *bytes.get(3).ok_or_else(short)?);
        if version != VERSION {
            return Err(Error::Version { version });
        }
        let len = word(4)?;
        let fits = usize::try_from(len).is_ok_and(|len| len <= bytes.len());
        if len < HEADER_24 || !fits {
            return Err(Error::HeaderLength { len, have: bytes.len() });
        }
        let span = |at| Ok(Span { offset: word(at)?, len: word(at + 4)? });
        let layout = if len >= HEADER_32 { Some(span(24)?) } else { None };
        Ok(Self { endian, version, flags, len, types: span(8)?, strings: span(16)?, layout })
    }

    /// Returns the bytes after the header.
    #[must_use]
    pub fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        usize::try_from(self.len).ok().and_then(|len| bytes.get(len..)).unwrap_or_default()
    }

    /// Returns the bytes of the type section.
    pub fn type_bytes<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        self.types.of("type", self.body(bytes))
    }

    /// Returns the bytes of the string section.
    pub fn string_bytes<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        self.strings.of("string", self.body(bytes))
    }

    /// Returns the layout entries; none where there is no such section.
    pub fn layout<'a>(&self, bytes: &'a [u8]) -> Result<Layout<'a>, Error> {
        let found = match self.layout {
            Some(span) if span.len > 0 => span.of("layout", self.body(bytes))?,
            _ => &[],
        };
        Ok(Layout { bytes: found, endian: self.endian })
    }
}

/// Returns whether these bytes are BTF that is not split: its strings begin with the empty one.
#[must_use]
pub fn is_standalone(bytes: &[u8]) -> bool {
    let strings = Header::parse(bytes).and_then(|header| header.string_bytes(bytes));
    strings.is_ok_and(|strings| strings.first() == Some(&0))
}

/// Returns whether these bytes are the `.BTF.inline` of April 2025, form (i): a header like BTF's
/// with two tables that are neither types nor strings.
///
/// An entry of the first table is {u32 callee, u32 caller, u32 offset, u16 count,
/// u32 location[count]}. Where BTF has the info word it has a type id, far too
/// small to hold a kind.
#[must_use]
pub fn is_obsolete_inline(bytes: &[u8]) -> bool {
    is_obsolete_in(bytes, Endian::Little) || is_obsolete_in(bytes, Endian::Big)
}

fn is_obsolete_in(bytes: &[u8], endian: Endian) -> bool {
    let word = |at| u32_at(bytes, at, endian);
    let (Some(HEADER_24), Some(&VERSION)) = (word(4), bytes.get(2)) else { return false };
    let (Some(offset), Some(len), Some(second), Some(second_len)) = (word(8), word(12), word(16), word(20)) else {
        return false;
    };
    let body = bytes.get(HEADER_24 as usize..).unwrap_or_default();
    let table = Span { offset, len }.of("inline", body);
    let (Ok(table), Ok(_)) = (table, Span { offset: second, len: second_len }.of("location", body)) else {
        return false;
    };
    !table.is_empty() && (walks_as_obsolete(table, endian, 14) || walks_as_obsolete(table, endian, 16))
}

// Packed, the fixed part of an entry has 14 bytes; aligned it has 16.
fn walks_as_obsolete(table: &[u8], endian: Endian, fixed: usize) -> bool {
    let mut at = 0;
    while at < table.len() {
        let (Some(caller), Some(count)) = (u32_at(table, at + 4, endian), u16_at(table, at + 12, endian)) else {
            return false;
        };
        if caller > MAX_TYPE {
            return false;
        }
        at += fixed + usize::from(count) * 4;
    }
    at == table.len()
}

/// How long types of one kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutEntry {
    /// Bytes that are there once.
    pub info_size: u8,
    /// Bytes of each of the `vlen` elements.
    pub element_size: u8,
    /// None is defined.
    pub flags: u16,
}

/// The layout section: one entry a kind, from kind 0 on.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    bytes: &'a [u8],
    endian: Endian,
}

impl Layout<'_> {
    /// Returns how many kinds it has entries for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the entry of a kind.
    #[must_use]
    pub fn entry(&self, kind: u8) -> Option<LayoutEntry> {
        let at = usize::from(kind) * 4;
        let (info_size, element_size) = (*self.bytes.get(at)?, *self.bytes.get(at + 1)?);
        Some(LayoutEntry { info_size, element_size, flags: u16_at(self.bytes, at + 2, self.endian)? })
    }
}

impl LayoutEntry {
    /// The layout entry that a current writer emits for a kind.
    #[must_use]
    pub fn of(kind: Kind, grammar: Grammar) -> Option<Self> {
        let shape = kind.shape(grammar)?;
        Some(Self { info_size: shape.fixed * 4, element_size: shape.element * 4, flags: 0 })
    }

    /// Bytes that follow the three words of a type.
    #[must_use]
    pub fn data_len(&self, vlen: u32) -> u64 {
        u64::from(self.info_size) + u64::from(self.element_size) * u64::from(vlen)
    }
}
