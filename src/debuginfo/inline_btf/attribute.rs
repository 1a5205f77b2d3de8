//! Single attributes and list entries, as the pass over a unit wants them.

use super::dwarf::Slice;
use super::location::Missing;
use super::site::Place;
use gimli::{
    Abbreviation, AttributeValue, DwLang, DwTag, Endianity, EntriesRaw, RawLocListEntry, UnitOffset, constants as dw,
};

/// Returns an index of a file, or any other number; 0 for what does not fit.
pub(super) fn number<E: Endianity>(value: AttributeValue<Slice<'_, E>>) -> u32 {
    let number = match value {
        AttributeValue::FileIndex(index) => Some(index),
        value => value.udata_value(),
    };
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// Returns the value that an attribute gives.
pub(super) fn constant<'d, E: Endianity>(attribute: &gimli::Attribute<Slice<'d, E>>) -> Place<'d> {
    match attribute.value() {
        AttributeValue::Sdata(value) => Place::Value(value.cast_unsigned()),
        AttributeValue::Block(block) => Place::Block(block.slice()),
        AttributeValue::Exprloc(expression) => Place::Block(expression.0.slice()),
        AttributeValue::Data16(_) | AttributeValue::String(_) => Place::Missing(Missing::Size),
        value => value.udata_value().map_or(Place::Missing(Missing::Size), Place::Value),
    }
}

/// Returns an empty range would be stepped over; with one byte it is seen.
pub(super) fn widened<E: Endianity>(raw: RawLocListEntry<Slice<'_, E>>) -> (RawLocListEntry<Slice<'_, E>>, bool) {
    use RawLocListEntry as Raw;
    match raw {
        Raw::AddressOrOffsetPair { begin, end, data } if begin == end => {
            (Raw::AddressOrOffsetPair { begin, end: end.wrapping_add(1), data }, true)
        }
        Raw::OffsetPair { begin, end, data } if begin == end => {
            (Raw::OffsetPair { begin, end: end.wrapping_add(1), data }, true)
        }
        Raw::StartEnd { begin, end, data } if begin == end => (Raw::StartLength { begin, length: 1, data }, true),
        Raw::StartLength { begin, length: 0, data } => (Raw::StartLength { begin, length: 1, data }, true),
        Raw::StartxLength { begin, length: 0, data } => (Raw::StartxLength { begin, length: 1, data }, true),
        raw => (raw, false),
    }
}

/// Returns whether no entry below a type can be a function in this language.
pub(super) fn is_c(language: DwLang) -> bool {
    matches!(
        language,
        dw::DW_LANG_C
            | dw::DW_LANG_C89
            | dw::DW_LANG_C99
            | dw::DW_LANG_C11
            | dw::DW_LANG_C17
            | dw::DW_LANG_Mips_Assembler
    )
}

/// Entries that have no code below them in C.
pub(super) fn is_type(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_union_type
            | dw::DW_TAG_enumeration_type
            | dw::DW_TAG_array_type
            | dw::DW_TAG_subroutine_type
            | dw::DW_TAG_structure_type
    )
}

/// Steps over the attributes; where the next entry that is not below this one begins.
pub(super) fn sibling<E: Endianity>(
    entries: &mut EntriesRaw<'_, Slice<'_, E>>,
    abbreviation: &Abbreviation,
) -> gimli::Result<Option<UnitOffset>> {
    let attributes = abbreviation.attributes();
    let Some(at) = attributes.iter().position(|spec| spec.name() == dw::DW_AT_sibling) else {
        entries.skip_attributes(attributes)?;
        return Ok(None);
    };
    let (before, rest) = attributes.split_at(at);
    entries.skip_attributes(before)?;
    let mut found = None;
    if let Some((spec, after)) = rest.split_first() {
        if let AttributeValue::UnitRef(offset) = entries.read_attribute(*spec)?.value() {
            found = Some(offset);
        }
        entries.skip_attributes(after)?;
    }
    Ok(found)
}
