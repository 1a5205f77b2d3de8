//! The kinds of types and what each carries: one table that the reader, the
//! writer and the checker are based on.

use std::fmt;

/// The kind of a type (`BTF_KIND_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as the kernel's header names them")]
pub enum Kind {
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
    LocParam,
    LocProto,
    LocSec,
    /// 0, or one that is not known here.
    Other(u8),
}

const KINDS: [Kind; 22] = [
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::FuncProto,
    Kind::Var,
    Kind::DataSec,
    Kind::Float,
    Kind::DeclTag,
    Kind::TypeTag,
    Kind::Enum64,
    Kind::LocParam,
    Kind::LocProto,
    Kind::LocSec,
];

/// Meaning of the third word of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A size in bytes.
    Size,
    /// A type id.
    Type,
    /// Nothing: it is 0.
    Unused,
}

/// Data after the three words of a type. Bit `n` of a mask is word `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The third word.
    pub head: Head,
    /// Words that are there once.
    pub fixed: u8,
    /// Words of each of the `vlen` elements; 0 where there are none.
    pub element: u8,
    /// Which of the single words are type ids.
    pub fixed_types: u8,
    /// Which words of an element are type ids.
    pub element_types: u8,
    /// Which words of an element are string offsets.
    pub element_names: u8,
}

impl Shape {
    const fn new(head: Head, fixed: u8, element: u8) -> Self {
        Self { head, fixed, element, fixed_types: 0, element_types: 0, element_names: 0 }
    }

    const fn fixed_types(mut self, mask: u8) -> Self {
        self.fixed_types = mask;
        self
    }

    const fn types(mut self, mask: u8) -> Self {
        self.element_types = mask;
        self
    }

    const fn names(mut self, mask: u8) -> Self {
        self.element_names = mask;
        self
    }

    /// Bytes that follow the three words.
    #[must_use]
    pub fn data_len(&self, vlen: u32) -> u64 {
        (u64::from(self.fixed) + u64::from(self.element) * u64::from(vlen)) * 4
    }
}

/// Which of the two forms that exist a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// 24 bits of count, 7 of kind; inline kinds as in the 2026 series, form (iii).
    Wide,
    /// 16 bits of count, 5 of kind; inline kinds as in the RFC of October 2025, form (ii).
    Narrow,
}

impl Grammar {
    /// Count and kind of an info word.
    #[must_use]
    pub fn split(self, info: u32) -> (u32, u8) {
        let (vlen, kind) = match self {
            Self::Wide => (info & 0x00ff_ffff, info >> 24 & 0x7f),
            Self::Narrow => (info & 0xffff, info >> 24 & 0x1f),
        };
        (vlen, u8::try_from(kind).expect("7 bits"))
    }

    /// Returns the bits of an info word that have a meaning.
    #[must_use]
    pub fn mask(self) -> u32 {
        match self {
            Self::Wide => u32::MAX,
            Self::Narrow => 0x9f00_ffff,
        }
    }
}

impl Kind {
    /// From the number in the file.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        let known = usize::from(number).checked_sub(1).and_then(|index| KINDS.get(index));
        known.copied().unwrap_or(Self::Other(number))
    }

    /// Returns the number in the file.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            _ => KINDS.iter().position(|kind| *kind == self).map_or(0, |index| index as u8 + 1),
        }
    }

    /// Returns all 22 that are known, from 1 on.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &KINDS
    }

    /// As bpftool writes it: `FUNC_PROTO`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Ptr => "PTR",
            Self::Array => "ARRAY",
            Self::Struct => "STRUCT",
            Self::Union => "UNION",
            Self::Enum => "ENUM",
            Self::Fwd => "FWD",
            Self::Typedef => "TYPEDEF",
            Self::Volatile => "VOLATILE",
            Self::Const => "CONST",
            Self::Restrict => "RESTRICT",
            Self::Func => "FUNC",
            Self::FuncProto => "FUNC_PROTO",
            Self::Var => "VAR",
            Self::DataSec => "DATASEC",
            Self::Float => "FLOAT",
            Self::DeclTag => "DECL_TAG",
            Self::TypeTag => "TYPE_TAG",
            Self::Enum64 => "ENUM64",
            Self::LocParam => "LOC_PARAM",
            Self::LocProto => "LOC_PROTO",
            Self::LocSec => "LOCSEC",
            Self::Other(_) => "UNKNOWN",
        }
    }

    /// Data of a type of this kind; `None` for an unknown kind.
    #[must_use]
    pub fn shape(self, grammar: Grammar) -> Option<Shape> {
        let shape = Shape::new;
        Some(match self {
            Self::Int => shape(Head::Size, 1, 0),
            Self::Array => shape(Head::Unused, 3, 0).fixed_types(0b11),
            Self::Struct | Self::Union => shape(Head::Size, 0, 3).names(0b1).types(0b10),
            Self::Enum => shape(Head::Size, 0, 2).names(0b1),
            Self::Enum64 => shape(Head::Size, 0, 3).names(0b1),
            Self::Fwd => shape(Head::Unused, 0, 0),
            // The count of a FUNC is its linkage.
            Self::Ptr | Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag | Self::Func => {
                shape(Head::Type, 0, 0)
            }
            Self::FuncProto => shape(Head::Type, 0, 2).names(0b1).types(0b10),
            Self::Var | Self::DeclTag => shape(Head::Type, 1, 0),
            Self::DataSec => shape(Head::Size, 0, 3).types(0b1),
            Self::Float => shape(Head::Size, 0, 0),
            Self::LocParam if grammar == Grammar::Narrow => shape(Head::Size, 2, 0),
            Self::LocParam => shape(Head::Size, 1, 1),
            Self::LocProto => shape(Head::Unused, 0, 1).types(0b1),
            Self::LocSec if grammar == Grammar::Narrow => shape(Head::Unused, 0, 4).names(0b1).types(0b110),
            Self::LocSec => shape(Head::Unused, 0, 3).types(0b11),
            Self::Other(_) => return None,
        })
    }

    /// Returns whether it is one of the three of inline BTF.
    #[must_use]
    pub fn is_inline(self) -> bool {
        matches!(self, Self::LocParam | Self::LocProto | Self::LocSec)
    }

    /// Returns whether it only qualifies another type.
    #[must_use]
    pub fn is_modifier(self) -> bool {
        matches!(self, Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "kind {number}"),
            _ => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_headers() {
        for number in 0..=0x7f {
            assert_eq!(Kind::from_number(number).number(), number);
        }
        assert_eq!(Kind::from_number(13), Kind::FuncProto);
        assert_eq!(Kind::from_number(22), Kind::LocSec);
        assert_eq!(Kind::from_number(23), Kind::Other(23));
    }

    #[test]
    fn a_valid_narrow_word_reads_the_same_in_both_forms() {
        let info = 0x8400_ffff;
        assert_eq!(Grammar::Narrow.split(info), (0xffff, 4));
        assert_eq!(Grammar::Wide.split(info), (0xffff, 4));
        assert_eq!(Grammar::Wide.split(0x1601_0000), (0x1_0000, 22));
        assert_eq!(Grammar::Narrow.split(0x1601_0000), (0, 22));
    }
}
