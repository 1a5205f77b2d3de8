//! From DWARF's types to those of the base BTF, unit by unit.
//!
//! A type that the base does not have becomes an [`Extra`]: pointers,
//! qualifiers, typedefs, integers, arrays and prototypes as they are; a
//! structure, union or enumeration by its name and size alone, because its
//! members would drag in everything they reach.
//!
//! No type is resolved twice, and the types of a unit that no parameter needs
//! are never looked at.

use super::base_types::BaseTypes;
use super::dwarf::{Debug, Slice};
use crate::debuginfo::btf::{Kind, is_identifier};
use gimli::{AttributeValue, DwAte, DwTag, Endianity, constants as dw};
use std::collections::{HashMap, HashSet};

/// A type: one of the base (0 is `void`), or an [`Extra`] of the unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeRef(pub u32);

const EXTRA: u32 = 1 << 31;

impl TypeRef {
    /// `void`
    pub const VOID: Self = Self(0);

    /// Returns the extra type of this index.
    #[must_use]
    pub fn extra(index: usize) -> Option<Self> {
        u32::try_from(index).ok().filter(|index| *index < EXTRA).map(|index| Self(index | EXTRA))
    }

    /// Returns the base's type.
    #[must_use]
    pub fn base(self) -> Option<u32> {
        (self.0 & EXTRA == 0).then_some(self.0)
    }

    /// Returns which extra type it is.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        (self.0 & EXTRA != 0).then_some((self.0 & !EXTRA) as usize)
    }
}

/// A type that the base does not have. What it refers to comes before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Extra<'d> {
    /// PTR, CONST, VOLATILE or RESTRICT.
    Wrapper(Kind, TypeRef),
    /// TYPEDEF.
    Typedef(&'d [u8], TypeRef),
    /// INT or FLOAT, with bytes and BTF's encoding.
    Number(Kind, &'d [u8], u32, u8),
    /// STRUCT, UNION or ENUM without what is in it; bytes.
    Opaque(Kind, &'d [u8], u32),
    /// FWD; whether of a union.
    Forward(&'d [u8], bool),
    /// ARRAY: element, index, how many.
    Array(TypeRef, TypeRef, u32),
    /// FUNC_PROTO: returned type and parameters, 0 at the end for `...`.
    Proto(TypeRef, Vec<TypeRef>),
}

impl<'d> Extra<'d> {
    /// Returns the types it refers to.
    pub fn references(&self) -> impl Iterator<Item = TypeRef> + '_ {
        let (single, many): (Vec<TypeRef>, &[TypeRef]) = match self {
            Self::Wrapper(_, target) | Self::Typedef(_, target) => (vec![*target], &[]),
            Self::Array(element, index, _) => (vec![*element, *index], &[]),
            Self::Proto(returns, params) => (vec![*returns], params),
            Self::Number(..) | Self::Opaque(..) | Self::Forward(..) => (Vec::new(), &[]),
        };
        single.into_iter().chain(many.iter().copied())
    }

    /// Returns the same with other references.
    #[must_use]
    pub fn moved(&self, to: impl Fn(TypeRef) -> TypeRef) -> Self {
        match self {
            Self::Wrapper(kind, target) => Self::Wrapper(*kind, to(*target)),
            Self::Typedef(name, target) => Self::Typedef(name, to(*target)),
            Self::Array(element, index, len) => Self::Array(to(*element), to(*index), *len),
            Self::Proto(returns, params) => Self::Proto(to(*returns), params.iter().map(|param| to(*param)).collect()),
            Self::Number(..) | Self::Opaque(..) | Self::Forward(..) => self.clone(),
        }
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The type in BTF.
    pub id: TypeRef,
    /// Bytes; 0 where it has no size.
    pub size: u32,
    /// Whether it is a signed number.
    pub signed: bool,
}

/// A decoded type entry.
#[derive(Debug, Clone, Copy)]
struct Entry<'d> {
    tag: DwTag,
    name: &'d [u8],
    size: Option<u64>,
    encoding: Option<DwAte>,
    target: Option<u64>,
    declaration: bool,
    address_size: u8,
}

/// From this length on a chain is looked at for a circle.
const LONG_CHAIN: usize = 16;
/// Longer chains are cut.
const LONGEST_CHAIN: usize = 1 << 16;
/// Parameters of a function type that are looked at.
const MOST_PARAMS: usize = 256;

/// The types of one unit as far as they were asked for.
#[derive(Debug)]
pub struct Types<'a, 'd, E: Endianity> {
    debug: &'a Debug<'d, E>,
    known: &'a BaseTypes<'a>,
    facts: HashMap<u64, Facts>,
    extras: Vec<Extra<'d>>,
    numbers: HashMap<Extra<'d>, TypeRef>,
    /// Chains that had to be cut.
    pub cut: u64,
}

impl<'a, 'd, E: Endianity + Send + Sync> Types<'a, 'd, E> {
    /// None yet.
    pub fn new(debug: &'a Debug<'d, E>, known: &'a BaseTypes<'a>) -> Self {
        Self { debug, known, facts: HashMap::new(), extras: Vec::new(), numbers: HashMap::new(), cut: 0 }
    }

    /// Returns the types that the base does not have.
    pub fn into_extras(self) -> Vec<Extra<'d>> {
        self.extras
    }

    /// Returns the type at an offset of `.debug_info`. `here` is a unit that most likely has it.
    pub fn at(&mut self, offset: u64, here: &gimli::Unit<Slice<'d, E>>) -> Facts {
        self.resolve(offset, here, true)
    }

    // Function types are followed once: `inner` types of a function type that are
    // function types themselves become void. So the depth is two for every file.
    fn resolve(&mut self, offset: u64, here: &gimli::Unit<Slice<'d, E>>, outer: bool) -> Facts {
        let mut chain: Vec<(u64, Entry<'d>)> = Vec::new();
        let mut at = offset;
        let mut seen = HashSet::new();
        // A type that was simplified for lack of depth must not be shared.
        let mut simplified = false;
        let mut facts = loop {
            if let Some(facts) = self.facts.get(&at) {
                break *facts;
            }
            // Honest chains are short: only long ones are looked at for a circle.
            if chain.len() == LONG_CHAIN {
                seen.extend(chain.iter().map(|(at, _)| *at));
            }
            if chain.len() >= LONG_CHAIN && (!seen.insert(at) || chain.len() == LONGEST_CHAIN) {
                self.cut += 1;
                break Facts::default();
            }
            let Some(entry) = self.entry(at, here) else { break Facts::default() };
            match (is_link(entry.tag), entry.target) {
                (true, Some(target)) => {
                    chain.push((at, entry));
                    at = target;
                }
                (true, None) => {
                    chain.push((at, entry));
                    break Facts::default();
                }
                (false, _) => {
                    let facts = self.leaf(at, &entry, here, outer);
                    simplified = !outer && entry.tag == dw::DW_TAG_subroutine_type;
                    if !simplified {
                        self.facts.insert(at, facts);
                    }
                    break facts;
                }
            }
        };
        while let Some((at, entry)) = chain.pop() {
            facts = self.wrap(at, &entry, facts, here);
            if !simplified {
                self.facts.insert(at, facts);
            }
        }
        facts
    }

    fn add(&mut self, extra: Extra<'d>) -> TypeRef {
        if let Some(found) = self.numbers.get(&extra) {
            return *found;
        }
        let Some(number) = TypeRef::extra(self.extras.len()) else { return TypeRef::VOID };
        self.extras.push(extra.clone());
        self.numbers.insert(extra, number);
        number
    }

    fn wrap(&mut self, at: u64, entry: &Entry<'d>, target: Facts, here: &gimli::Unit<Slice<'d, E>>) -> Facts {
        let kind = match entry.tag {
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => Kind::Ptr,
            dw::DW_TAG_const_type => Kind::Const,
            dw::DW_TAG_volatile_type => Kind::Volatile,
            dw::DW_TAG_restrict_type => Kind::Restrict,
            dw::DW_TAG_typedef => return Facts { id: self.typedef(entry.name, target.id), ..target },
            dw::DW_TAG_array_type => {
                let dimensions = self.debug.dimensions(at, here);
                let mut id = target.id;
                for len in dimensions.into_iter().rev() {
                    id = self.array(id, len);
                }
                return Facts { id, size: 0, signed: false };
            }
            // _Atomic: BTF has no word for it.
            _ => return target,
        };
        let found = target.id.base().and_then(|id| self.known.wrapper(kind, id)).map(TypeRef);
        let id = found.unwrap_or_else(|| self.add(Extra::Wrapper(kind, target.id)));
        if kind == Kind::Ptr {
            let size = entry.size.unwrap_or(u64::from(entry.address_size));
            return Facts { id, size: u32::try_from(size).unwrap_or(u32::MAX), signed: false };
        }
        Facts { id, ..target }
    }

    fn typedef(&mut self, name: &'d [u8], target: TypeRef) -> TypeRef {
        let exact = target.base().and_then(|id| self.known.typedef(name, id));
        // A structure without a name cannot be looked up: then the typedef's name has to do.
        let is_nameless = target
            .index()
            .and_then(|index| self.extras.get(index))
            .is_some_and(|extra| matches!(extra, Extra::Opaque(_, b"", _)));
        let base = self.known;
        let by_name = || base.named(Kind::Typedef, name).first().copied().filter(|_| is_nameless);
        match exact.or_else(by_name) {
            Some(id) => TypeRef(id),
            None if !is_identifier(name) => target,
            None => self.add(Extra::Typedef(name, target)),
        }
    }

    fn array(&mut self, element: TypeRef, len: u32) -> TypeRef {
        if let Some(id) = element.base().and_then(|id| self.known.array(id, len)) {
            return TypeRef(id);
        }
        match self.known.index_type() {
            // An array of void is nothing.
            Some(index) if element != TypeRef::VOID => self.add(Extra::Array(element, TypeRef(index), len)),
            _ => TypeRef::VOID,
        }
    }

    fn leaf(&mut self, at: u64, entry: &Entry<'d>, here: &gimli::Unit<Slice<'d, E>>, outer: bool) -> Facts {
        let size = entry.size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
        match entry.tag {
            dw::DW_TAG_base_type => self.number(entry, size),
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type => self.aggregate(Kind::Struct, entry, size),
            dw::DW_TAG_union_type => self.aggregate(Kind::Union, entry, size),
            dw::DW_TAG_enumeration_type => {
                let mut facts = self.aggregate(Kind::Enum, entry, size);
                facts.signed = entry.encoding.is_some_and(is_signed);
                facts
            }
            dw::DW_TAG_subroutine_type if outer => Facts { id: self.function(at, entry, here), size: 0, signed: false },
            _ => Facts::default(),
        }
    }

    fn number(&mut self, entry: &Entry<'d>, size: u32) -> Facts {
        let encoding = entry.encoding.unwrap_or(dw::DW_ATE_unsigned);
        let kind = if encoding == dw::DW_ATE_float { Kind::Float } else { Kind::Int };
        let signed = is_signed(encoding);
        let id = match self.known.sized(kind, entry.name, size) {
            Some(id) => TypeRef(id),
            // Kernels take no other sizes.
            None if !matches!(size, 1 | 2 | 4 | 8 | 16) || entry.name.is_empty() => TypeRef::VOID,
            None => {
                let word = match encoding {
                    dw::DW_ATE_boolean => 4,
                    _ if signed => 1,
                    _ => 0,
                };
                self.add(Extra::Number(kind, entry.name, size, word))
            }
        };
        Facts { id, size, signed }
    }

    fn aggregate(&mut self, kind: Kind, entry: &Entry<'d>, size: u32) -> Facts {
        let base = self.known;
        let known = |kind| match entry.declaration {
            true => base.named(kind, entry.name).first().copied(),
            false => base.sized(kind, entry.name, size),
        };
        let found = known(kind).or_else(|| match kind {
            Kind::Enum => known(Kind::Enum64),
            _ if entry.declaration => known(Kind::Fwd),
            _ => None,
        });
        let id = match found.filter(|_| !entry.name.is_empty()) {
            Some(id) => TypeRef(id),
            // Names of templates and generics are no identifiers: the type stays, without its name.
            None if !is_identifier(entry.name) && entry.declaration => TypeRef::VOID,
            None if !is_identifier(entry.name) => self.add(Extra::Opaque(kind, b"", size)),
            None if entry.declaration => self.add(Extra::Forward(entry.name, kind == Kind::Union)),
            None => self.add(Extra::Opaque(kind, entry.name, size)),
        };
        Facts { id, size: if entry.declaration { 0 } else { size }, signed: false }
    }

    fn function(&mut self, at: u64, entry: &Entry<'d>, here: &gimli::Unit<Slice<'d, E>>) -> TypeRef {
        let returns = entry.target.map_or(TypeRef::VOID, |target| self.resolve(target, here, false).id);
        let Some((params, variadic)) = self.debug.function_type(at, here, MOST_PARAMS) else { return TypeRef::VOID };
        let mut shape: Vec<TypeRef> = params.into_iter().map(|param| self.resolve(param, here, false).id).collect();
        // A parameter cannot be void: that would read as `...`.
        if shape.contains(&TypeRef::VOID) {
            return TypeRef::VOID;
        }
        shape.extend(variadic.then_some(TypeRef::VOID));
        let ids: Option<Vec<u32>> = std::iter::once(&returns).chain(&shape).map(|part| part.base()).collect();
        match ids.and_then(|ids| self.known.proto(&ids)) {
            Some(id) => TypeRef(id),
            None => self.add(Extra::Proto(returns, shape)),
        }
    }

    fn entry(&self, offset: u64, here: &gimli::Unit<Slice<'d, E>>) -> Option<Entry<'d>> {
        self.debug.with_entry(offset, here, |unit, die| {
            let mut entry = Entry {
                tag: die.tag(),
                name: &[],
                size: None,
                encoding: None,
                target: None,
                declaration: false,
                address_size: unit.encoding().address_size,
            };
            for attribute in die.attrs() {
                match attribute.name() {
                    dw::DW_AT_name => entry.name = self.debug.text(unit, attribute.value()),
                    dw::DW_AT_byte_size => entry.size = attribute.udata_value(),
                    dw::DW_AT_encoding => {
                        if let AttributeValue::Encoding(encoding) = attribute.value() {
                            entry.encoding = Some(encoding);
                        }
                    }
                    dw::DW_AT_type => entry.target = super::dwarf::reference(unit, attribute.value()),
                    dw::DW_AT_declaration => entry.declaration = attribute.value() == AttributeValue::Flag(true),
                    _ => {}
                }
            }
            entry
        })
    }
}

// Qualifiers of the type that they refer to.
fn is_link(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type
            | dw::DW_TAG_typedef
            | dw::DW_TAG_array_type
    )
}

fn is_signed(encoding: DwAte) -> bool {
    matches!(encoding, dw::DW_ATE_signed | dw::DW_ATE_signed_char | dw::DW_ATE_signed_fixed)
}
