//! Contents of a unit: functions, sites, and what the sites record about their
//! parameters. Plain data, small enough to keep half a million of.

use super::location::Missing;
use super::types::{Facts, TypeRef};

/// An entry's offset in `.debug_info`; files whose offsets are longer are refused.
pub type Die = u32;

/// Why an inlined subroutine is no site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Skip {
    /// It has neither entry_pc nor low_pc nor ranges.
    NoAddress,
    /// Its address is 0: the linker dropped it.
    ZeroAddress,
    /// It does not name its function.
    NoOrigin,
    /// It refers to no function of this file.
    OriginMissing,
    /// Its origins refer to each other in a circle.
    OriginLoop,
    /// The function has no name.
    Unnamed,
    /// Neither its name nor its linkage name is an identifier, as BTF requires.
    NotIdentifier,
    /// It is in a unit of a language that was left out.
    Language,
    /// Its address is in no section.
    OutsideSections,
    /// The same function, address and locations as another site.
    Duplicate,
}

impl Skip {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::NoAddress,
        Self::ZeroAddress,
        Self::NoOrigin,
        Self::OriginMissing,
        Self::OriginLoop,
        Self::Unnamed,
        Self::NotIdentifier,
        Self::Language,
        Self::OutsideSections,
        Self::Duplicate,
    ];

    /// Returns the stable word for JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoAddress => "no-address",
            Self::ZeroAddress => "zero-address",
            Self::NoOrigin => "no-origin",
            Self::OriginMissing => "origin-missing",
            Self::OriginLoop => "origin-loop",
            Self::Unnamed => "unnamed",
            Self::NotIdentifier => "not-identifier",
            Self::Language => "language",
            Self::OutsideSections => "outside-sections",
            Self::Duplicate => "duplicate",
        }
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NoAddress => "no address",
            Self::ZeroAddress => "address 0",
            Self::NoOrigin => "no origin",
            Self::OriginMissing => "origin that is not a function of this file",
            Self::OriginLoop => "origins in a circle",
            Self::Unnamed => "function without a name",
            Self::NotIdentifier => "function whose names are no identifiers",
            Self::Language => "in a Rust unit",
            Self::OutsideSections => "address in no section",
            Self::Duplicate => "same as another site",
        }
    }
}

/// How many sites were left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped([u64; Skip::ALL.len()]);

impl Skipped {
    /// Counts one more.
    pub fn add(&mut self, reason: Skip) {
        self.add_many(reason, 1);
    }

    /// Several more.
    pub fn add_many(&mut self, reason: Skip, count: u64) {
        if let Some(slot) = self.0.get_mut(reason as usize) {
            *slot += count;
        }
    }

    /// Returns how many for this reason.
    #[must_use]
    pub fn of(&self, reason: Skip) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Returns how many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        for reason in Skip::ALL {
            self.add_many(reason, other.of(reason));
        }
    }
}

/// A function entry: abstract, concrete or declared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Function<'d> {
    /// Where it is.
    pub die: Die,
    /// Offset of its abstract instance, or 0.
    pub origin: Die,
    /// `origin` came from DW_AT_specification: parameters are not mapped through it.
    pub specified: bool,
    /// Its name; empty where it has none.
    pub name: &'d [u8],
    /// The name of its symbol, where that differs (C++, Rust); empty where it has none.
    pub linkage_name: &'d [u8],
    /// Its return type.
    pub returns: TypeRef,
    pub(super) returns_die: Die,
    pub(super) first_param: u32,
    pub(super) param_count: u32,
    /// It ends in `...`.
    pub variadic: bool,
    /// It is seen from other units.
    pub external: bool,
    /// It has code of its own.
    pub has_code: bool,
    /// Where that code begins.
    pub address: u64,
    /// How its frame base is computed.
    pub frame_base: FrameBase,
}

/// DW_AT_frame_base of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrameBase {
    /// It has none.
    #[default]
    None,
    /// The canonical frame address (DW_OP_call_frame_cfa).
    Cfa,
    /// A register.
    Register(u32),
    /// Another expression.
    Other,
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy, Default)]
pub struct Param<'d> {
    /// Where it is.
    pub die: Die,
    /// Offset of its abstract instance, or 0.
    pub origin: Die,
    /// Its name; empty where it has none.
    pub name: &'d [u8],
    /// Its type.
    pub facts: Facts,
    pub(super) function: u32,
    pub(super) type_die: Die,
}

/// Which code a site covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where the first range as listed begins.
    pub first: u64,
    /// The lowest address.
    pub low: u64,
    /// The address after the highest.
    pub high: u64,
    /// How many ranges that are not empty.
    pub ranges: u32,
}

/// Container of a site or function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Nothing.
    None,
    /// A function of the unit.
    Function(u32),
    /// A site of the unit.
    Site(u32),
}

/// An inlined subroutine with an address.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Where it is.
    pub die: Die,
    /// The function it is of.
    pub origin: Die,
    /// Its address.
    pub pc: u64,
    /// Whether it has an entry_pc.
    pub has_entry: bool,
    /// Its code.
    pub extent: Extent,
    /// The function or site that it was inlined into.
    pub owner: Owner,
    /// DW_AT_call_file, or 0.
    pub file: u32,
    /// DW_AT_call_line, or 0.
    pub line: u32,
    pub(super) first_param: u32,
    pub(super) param_count: u32,
}

/// A parameter of a site.
#[derive(Debug, Clone, Copy)]
pub struct SiteParam<'d> {
    /// The function's parameter.
    pub origin: Die,
    /// Where the value is.
    pub place: Place<'d>,
}

/// Where a value is, before it is translated.
#[derive(Debug, Clone, Copy)]
pub enum Place<'d> {
    /// Nowhere.
    Missing(Missing),
    /// It is this number.
    Value(u64),
    /// It is these bytes.
    Block(&'d [u8]),
    /// At the location that this expression gives.
    Expression(&'d [u8]),
    /// The same for a short one, which is nearly every one: the file's page is not needed again.
    Short(ShortExpression),
}

/// An expression of a few bytes.
#[derive(Debug, Clone, Copy)]
pub struct ShortExpression {
    len: u8,
    bytes: [u8; 14],
}

impl ShortExpression {
    fn new(expression: &[u8]) -> Option<Self> {
        let mut bytes = [0; 14];
        bytes.get_mut(..expression.len())?.copy_from_slice(expression);
        Some(Self { len: u8::try_from(expression.len()).ok()?, bytes })
    }

    /// Returns its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl<'d> Place<'d> {
    pub(super) fn of_expression(expression: &'d [u8]) -> Self {
        ShortExpression::new(expression).map_or(Self::Expression(expression), Self::Short)
    }
}
