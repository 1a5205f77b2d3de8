//! Rules that need the sizes of other types: members, elements, variables, parameters.

use super::resolve::Resolver;
use super::types::is_extern;
use super::{Findings, Reporter, rules, subject};
use crate::debuginfo::btf::{Btf, Kind, Member, Type};
use std::collections::HashMap;

pub(super) fn check<'a>(btf: &Btf<'a>, resolver: &mut Resolver<'a, '_>, findings: &mut Findings) {
    let mut reporter = Reporter { btf, findings };
    let mut functions = Vec::new();
    for found in btf.types() {
        match found.kind {
            Kind::Int => int(&found, &mut reporter),
            Kind::Float if !matches!(found.size_or_type, 2 | 4 | 8 | 12 | 16) => {
                reporter.add(&found, &rules::FLOAT_SIZE, |_| format!("it has {}", found.size_or_type));
            }
            Kind::Enum | Kind::Enum64 if !matches!(found.size_or_type, 1 | 2 | 4 | 8) => {
                reporter.add(&found, &rules::ENUM_SIZE, |_| format!("it has {}", found.size_or_type));
            }
            Kind::Array => array(&found, resolver, &mut reporter),
            Kind::Struct | Kind::Union => members(&found, resolver, &mut reporter),
            Kind::FuncProto => proto(&found, resolver, &mut reporter),
            Kind::Func => functions.push(found),
            Kind::Var => sized(&found, found.size_or_type, "the variable's type", resolver, &mut reporter),
            Kind::DataSec => variables(&found, resolver, &mut reporter),
            Kind::DeclTag => component(&found, &mut reporter),
            _ => {}
        }
    }
    // Functions share prototypes, and one may have a million parameters.
    let mut unnamed = HashMap::new();
    for found in functions {
        parameter_names(&found, &mut unnamed, &mut reporter);
    }
}

fn int<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(int) = found.int() else { return };
    let word = found.data.get(0).unwrap_or_default();
    let bits = u32::from(int.bits) + u32::from(int.offset);
    let why = if word & 0xf000_ff00 != 0 {
        format!("unused bits are set: {word:#010x}")
    } else if !matches!(int.encoding, 0 | 1 | 2 | 4) {
        format!("encoding {}", int.encoding)
    } else if bits > 128 {
        format!("{bits} bits are more than 128")
    } else if u64::from(bits) > u64::from(found.size_or_type) * 8 {
        format!("{bits} bits do not fit {} bytes", found.size_or_type)
    } else {
        return;
    };
    reporter.add(found, &rules::INT_WORD, |_| why);
}

// That a type has a size. What cannot be resolved has been reported already.
fn sized<'a>(
    found: &Type<'a>,
    id: u32,
    what: &str,
    resolver: &mut Resolver<'a, '_>,
    reporter: &mut Reporter<'_, 'a, '_>,
) {
    let resolved = resolver.resolve(id);
    let Some(end) = reporter.btf.type_by_id(resolved.end).filter(|_| resolved.size.is_none()) else { return };
    let unsized_kind = matches!(end.kind, Kind::Fwd | Kind::FuncProto);
    if unsized_kind || (end.kind == Kind::Array && found.kind != Kind::Array) {
        let rule = if is_extern(found) { &rules::LOADER_RESOLVES } else { &rules::NO_SIZE };
        reporter.add(found, rule, |btf| format!("{what} is {}", subject(btf, &end)));
    }
}

fn array<'a>(found: &Type<'a>, resolver: &mut Resolver<'a, '_>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(array) = found.array() else { return };
    sized(found, array.element, "the element", resolver, reporter);
    let index = resolver.resolve(array.index).end;
    if let Some(index) = reporter.btf.type_by_id(index).filter(|index| index.kind != Kind::Int) {
        reporter.add(found, &rules::ARRAY_INDEX, |btf| format!("by {}", subject(btf, &index)));
    }
    if let Some(size) = resolver.resolve(found.id).size.filter(|size| *size > u64::from(u32::MAX)) {
        let inner = resolver.resolve(array.element).size;
        // Only the first of nested arrays that is too large.
        if inner.is_some_and(|inner| inner <= u64::from(u32::MAX)) {
            reporter.add(found, &rules::ARRAY_SIZE, |_| format!("{} elements make {size} bytes", array.len));
        }
    }
}

fn members<'a>(found: &Type<'a>, resolver: &mut Resolver<'a, '_>, reporter: &mut Reporter<'_, 'a, '_>) {
    let mut last = 0;
    for (index, member) in found.members().enumerate() {
        let out_of_order = if found.kind == Kind::Union { member.bit_offset != 0 } else { member.bit_offset < last };
        if out_of_order {
            reporter.add(found, &rules::MEMBER_ORDER, |btf| {
                format!("member {index} '{}' is at bit {}", btf.text(member.name_off), member.bit_offset)
            });
        }
        last = member.bit_offset;
        one_member(found, index, &member, resolver, reporter);
    }
}

fn one_member<'a>(
    found: &Type<'a>,
    index: usize,
    member: &Member,
    resolver: &mut Resolver<'a, '_>,
    reporter: &mut Reporter<'_, 'a, '_>,
) {
    sized(found, member.type_id, "a member's type", resolver, reporter);
    let resolved = resolver.resolve(member.type_id);
    let (Some(size), Some(end)) = (resolved.size, reporter.btf.type_by_id(resolved.end)) else { return };
    // Bits of an integer that has fewer than its bytes: the old encoding of a bit field.
    let int = end.int().filter(|int| u64::from(int.bits) != size * 8 || int.offset != 0);
    let whole = size.saturating_mul(8);
    let (start, bits, is_field) = match (member.bit_size, int) {
        (0, Some(int)) => (u64::from(member.bit_offset) + u64::from(int.offset), u64::from(int.bits), true),
        (0, None) => (u64::from(member.bit_offset), whole, false),
        (bits, _) => (u64::from(member.bit_offset), u64::from(bits), true),
    };
    let named = |btf: &Btf<'a>| format!("member {index} '{}'", btf.text(member.name_off));
    let can_be_field = matches!(end.kind, Kind::Int | Kind::Enum | Kind::Enum64);
    if is_field && (!can_be_field || bits > whole) {
        reporter
            .add(found, &rules::BIT_FIELD, |btf| format!("{} has {bits} bits of {}", named(btf), subject(btf, &end)));
    } else if !is_field && !start.is_multiple_of(8) {
        reporter.add(found, &rules::BIT_FIELD, |btf| format!("{} begins at bit {start}", named(btf)));
    }
    if start.saturating_add(bits) > u64::from(found.size_or_type) * 8 {
        reporter.add(found, &rules::MEMBER_OUTSIDE, |btf| {
            format!("{} takes {bits} bits from bit {start} of {} bytes", named(btf), found.size_or_type)
        });
    }
}

fn proto<'a>(found: &Type<'a>, resolver: &mut Resolver<'a, '_>, reporter: &mut Reporter<'_, 'a, '_>) {
    sized(found, found.size_or_type, "the returned type", resolver, reporter);
    let last = usize::try_from(found.vlen).unwrap_or(usize::MAX).saturating_sub(1);
    for (index, param) in found.params().enumerate() {
        if param.type_id == 0 && (index != last || param.name_off != 0) {
            reporter.add(found, &rules::VARIADIC, |btf| {
                format!("parameter {index} of {} is void and named '{}'", found.vlen, btf.text(param.name_off))
            });
        }
    }
}

fn parameter_names<'a>(found: &Type<'a>, unnamed: &mut HashMap<u32, usize>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(proto) = reporter.btf.type_by_id(found.size_or_type) else { return };
    let unnamed = *unnamed
        .entry(proto.id)
        .or_insert_with(|| proto.params().filter(|param| param.name_off == 0 && param.type_id != 0).count());
    if unnamed > 0 {
        reporter.add(found, &rules::PARAM_NAME, |_| format!("{unnamed} of {}", proto.vlen));
    }
}

fn variables<'a>(found: &Type<'a>, resolver: &mut Resolver<'a, '_>, reporter: &mut Reporter<'_, 'a, '_>) {
    if found.size_or_type == 0 && found.vlen > 0 && found.section_vars().all(|var| var.offset == 0) {
        reporter.add(found, &rules::NOT_LAID_OUT, |_| format!("{} variables", found.vlen));
        return;
    }
    if found.size_or_type == 0 {
        reporter.add(found, &rules::SECTION_VARS, |_| "the section has no size".to_owned());
    }
    let mut end = 0;
    for (index, var) in found.section_vars().enumerate() {
        let (start, after) = (u64::from(var.offset), u64::from(var.offset) + u64::from(var.size));
        if var.size == 0 || start < end || after > u64::from(found.size_or_type) {
            reporter.add(found, &rules::SECTION_VARS, |_| {
                format!("variable {index} takes {} bytes from {start}, the one before ends at {end}", var.size)
            });
        }
        end = after;
        let Some(of) = reporter.btf.type_by_id(var.type_id).filter(|of| of.kind == Kind::Var) else { continue };
        let size = resolver.resolve(of.size_or_type).size;
        if let Some(size) = size.filter(|size| *size > u64::from(var.size)) {
            reporter.add(found, &rules::VAR_SIZE, |btf| {
                format!("{} has {} bytes, its type {size}", subject(btf, &of), var.size)
            });
        }
    }
}

fn component<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(index) = found.component_index() else { return };
    let Some(target) = reporter.btf.type_by_id(found.size_or_type) else { return };
    let count = match target.kind {
        Kind::Struct | Kind::Union => target.vlen,
        Kind::Func => reporter.btf.type_by_id(target.size_or_type).map_or(0, |proto| proto.vlen),
        _ => 0,
    };
    let inside = u32::try_from(index).is_ok_and(|index| index < count);
    if index != -1 && !inside {
        reporter.add(found, &rules::COMPONENT, |btf| {
            format!("index {index} of {}, which has {count}", subject(btf, &target))
        });
    }
}
