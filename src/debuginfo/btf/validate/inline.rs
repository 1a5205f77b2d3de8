//! The three kinds of inline BTF, in both forms.

use super::{Context, Findings, Reporter, rules};
use crate::debuginfo::btf::{
    Btf, Grammar, Kind, LocParam, LocSite, OldLocSite, OldPlace, Type, elf_section_name, flags, is_identifier,
    old_flags,
};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// Sizes of ELF sections by name.
type Sizes<'c> = HashMap<&'c [u8], u64>;

pub(super) fn check<'a>(btf: &Btf<'a>, context: &Context, findings: &mut Findings) {
    if !btf.has_inline_kinds() {
        return;
    }
    let mut reporter = Reporter { btf, findings };
    let sizes = context.sections.as_ref().map(|sections| {
        // Of sections that share a name the first counts.
        sections.iter().rev().map(|(name, size)| (name.as_bytes(), *size)).collect::<Sizes<'_>>()
    });
    let mut counts = HashMap::new();
    let mut seen = HashSet::new();
    for found in btf.types().filter(|found| found.kind.is_inline()) {
        head(&found, &mut reporter);
        match (found.kind, found.grammar) {
            (Kind::LocParam, Grammar::Wide) => param(&found, &mut reporter),
            (Kind::LocParam, Grammar::Narrow) => old_param(&found, &mut reporter),
            (Kind::LocProto, _) => proto(&found, &mut reporter),
            (_, Grammar::Wide) => sites(&found, sizes.as_ref(), &mut reporter),
            (_, Grammar::Narrow) => old_sites(&found, &mut counts, &mut reporter),
        }
        let shared = found.kind != Kind::LocSec;
        if shared && !seen.insert((found.kind, found.kind_flag, found.size_or_type, found.data.bytes())) {
            reporter.add(&found, &rules::TWICE, |_| "an equal one comes before it".to_owned());
        }
    }
    if btf.grammar() == Grammar::Wide {
        name_order(btf, &mut reporter);
    }
}

fn head<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let may_flag = found.kind == Kind::LocParam && found.grammar == Grammar::Narrow;
    if found.kind_flag && !may_flag {
        reporter.add(found, &rules::INLINE_HEAD, |_| "the kind flag is set".to_owned());
    }
    if found.kind != Kind::LocParam && found.size_or_type != 0 {
        reporter.add(found, &rules::INLINE_HEAD, |_| format!("the third word is {}", found.size_or_type));
    }
}

// How many values go with flags and size; nothing for flags that do not go together.
fn value_counts(param: &LocParam<'_>) -> Option<std::ops::RangeInclusive<usize>> {
    use flags::{ADDR, CONST, DEREF, OFFSET, REG, SIGNED};
    let set = param.flags;
    if set & !(ADDR | SIGNED) == CONST {
        return Some(if param.size > 4 { 2..=2 } else { 1..=2 });
    }
    match set & !(DEREF | SIGNED) {
        _ if set == REG => Some(1..=2),
        _ if set == REG | DEREF => Some(1..=1),
        base if base == REG | OFFSET => Some(2..=3),
        _ => None,
    }
}

fn param<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(param) = found.loc_param() else { return };
    if !(1..=16).contains(&param.size) {
        reporter.add(found, &rules::PARAM_SIZE, |_| format!("it is {}", param.size));
    }
    let Some(counts) = value_counts(&param) else {
        reporter.add(found, &rules::PARAM_FLAGS, |_| format!("flags {:#x}", param.flags));
        return;
    };
    let constant_too_large = param.flags & flags::CONST != 0 && param.size > 8;
    if !counts.contains(&param.values.len()) || constant_too_large {
        reporter.add(found, &rules::PARAM_VALUES, |_| {
            format!("{} values with flags {:#x} and size {}", param.values.len(), param.flags, param.size)
        });
    }
}

fn old_param<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(param) = found.old_loc_param() else { return };
    let most = if matches!(param.place, OldPlace::Const(_)) { 8 } else { 16 };
    if !(1..=most).contains(&param.size.unsigned_abs()) {
        reporter.add(found, &rules::OLD_PARAM, |_| format!("its size is {}", param.size));
    }
    if found.vlen != 0 {
        reporter.add(found, &rules::OLD_PARAM, |_| format!("its count is {}", found.vlen));
    }
    if let OldPlace::Register { flags, .. } = param.place
        && flags & !(old_flags::DEREF | old_flags::CONTINUE) != 0
    {
        reporter.add(found, &rules::OLD_PARAM, |_| format!("its flags are {flags:#x}"));
    }
}

fn proto<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    for (index, id) in found.data.iter().enumerate() {
        // An id beyond the end has been reported already.
        let to = reporter.btf.type_by_id(id);
        if let Some(to) = to.filter(|to| to.kind != Kind::LocParam) {
            reporter.add(found, &rules::PROTO_PARAM, |btf| format!("entry {index} is {}", super::subject(btf, &to)));
        }
    }
}

// The size of the section a LOCSEC is named after. The outer nothing: not to be known.
fn section_size(found: &Type<'_>, btf: &Btf<'_>, sizes: Option<&Sizes<'_>>) -> Option<Option<u64>> {
    let sizes = sizes?;
    let name = btf.name(found.name_off)?;
    Some(sizes.get(name).or_else(|| sizes.get(elf_section_name(name))).copied())
}

fn sites<'a>(found: &Type<'a>, sizes: Option<&Sizes<'_>>, reporter: &mut Reporter<'_, 'a, '_>) {
    let size = match section_size(found, reporter.btf, sizes) {
        Some(None) => {
            reporter.add(found, &rules::SITE_SECTION, |_| format!("{} sites", found.vlen));
            None
        }
        size => size.flatten(),
    };
    let mut last: Option<LocSite> = None;
    for (index, site) in found.loc_sites().enumerate() {
        site_refers(found, index, &site, reporter);
        match last.map(|last| last.cmp(&site)) {
            Some(Ordering::Greater) => {
                reporter.add(found, &rules::SITE_ORDER, |_| format!("entry {index} belongs before the one before it"));
            }
            Some(Ordering::Equal) => {
                reporter.add(found, &rules::SITE_TWICE, |_| {
                    format!("entry {index}: function [{}] at {:#x}", site.func, site.offset)
                });
            }
            _ => {}
        }
        last = Some(site);
        if let Some(size) = size.filter(|size| u64::from(site.offset) >= *size) {
            reporter.add(found, &rules::SITE_OUTSIDE, |_| {
                format!("entry {index} is at {:#x}, the section has {size:#x} bytes", site.offset)
            });
        }
    }
}

fn site_refers<'a>(found: &Type<'a>, index: usize, site: &LocSite, reporter: &mut Reporter<'_, 'a, '_>) {
    let btf = reporter.btf;
    let func = btf.type_by_id(site.func).filter(|func| func.kind == Kind::Func);
    let wanted = func.and_then(|func| btf.type_by_id(func.size_or_type)).filter(|to| to.kind == Kind::FuncProto);
    if wanted.is_none() {
        reporter.add(found, &rules::SITE_FUNC, |btf| format!("entry {index}: {}", shown(btf, site.func)));
    }
    let proto = loc_proto(found, index, site.loc_proto, reporter);
    if let (Some(wanted), Some(proto)) = (wanted, proto)
        && wanted.vlen != proto.vlen
    {
        reporter.add(found, &rules::SITE_COUNT, |btf| {
            format!("entry {index}: {} has {}, the site {}", shown(btf, site.func), wanted.vlen, proto.vlen)
        });
    }
}

fn loc_proto<'a>(found: &Type<'a>, index: usize, id: u32, reporter: &mut Reporter<'_, 'a, '_>) -> Option<Type<'a>> {
    let proto = reporter.btf.type_by_id(id).filter(|proto| proto.kind == Kind::LocProto);
    if proto.is_none() {
        reporter.add(found, &rules::SITE_PROTO, |btf| format!("entry {index}: {}", shown(btf, id)));
    }
    proto
}

fn shown(btf: &Btf<'_>, id: u32) -> String {
    match btf.type_by_id(id) {
        Some(found) => super::subject(btf, &found),
        None => format!("id {id}, the last is {}", btf.next_id() - 1),
    }
}

fn old_sites<'a>(found: &Type<'a>, counts: &mut HashMap<u32, u64>, reporter: &mut Reporter<'_, 'a, '_>) {
    for (index, site) in found.old_loc_sites().enumerate() {
        old_site(found, index, &site, counts, reporter);
    }
}

fn old_site<'a>(
    found: &Type<'a>,
    index: usize,
    site: &OldLocSite,
    counts: &mut HashMap<u32, u64>,
    reporter: &mut Reporter<'_, 'a, '_>,
) {
    let btf = reporter.btf;
    if !btf.name(site.name_off).is_some_and(is_identifier) {
        reporter.add(found, &rules::OLD_SITE_NAME, |btf| {
            format!("entry {index}: offset {} is `{}`", site.name_off, btf.text(site.name_off))
        });
    }
    let wanted = btf.type_by_id(site.func_proto).filter(|to| to.kind == Kind::FuncProto);
    if wanted.is_none() {
        reporter.add(found, &rules::SITE_FUNC, |btf| format!("entry {index}: {}", shown(btf, site.func_proto)));
    }
    let proto = loc_proto(found, index, site.loc_proto, reporter);
    let (Some(wanted), Some(proto)) = (wanted, proto) else { return };
    // Sites share LOC_PROTOs, and one may be long.
    let have =
        *counts.entry(proto.id).or_insert_with(|| proto.data.iter().filter(|id| !continues(btf, *id)).count() as u64);
    if have != u64::from(wanted.vlen) {
        reporter.add(found, &rules::SITE_COUNT, |_| {
            format!("entry {index}: the function has {}, the site {have}", wanted.vlen)
        });
    }
}

// Whether the parameter goes on in the next entry of its LOC_PROTO.
fn continues(btf: &Btf<'_>, id: u32) -> bool {
    let param = btf.type_by_id(id).and_then(|found| found.old_loc_param());
    param.is_some_and(|param| match param.place {
        OldPlace::Register { flags, .. } => flags & old_flags::CONTINUE != 0,
        OldPlace::Const(_) => false,
    })
}

fn name_order<'a>(btf: &Btf<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let mut last: &[u8] = b"";
    let mut first = None;
    let mut count = 0_u64;
    for found in btf.types() {
        let name = btf.name(found.name_off).unwrap_or_default();
        if name < last {
            first.get_or_insert((found, last));
            count += 1;
        }
        last = name;
    }
    // Once: in a file that is not sorted at all, half of the types are out of order.
    if let Some((found, before)) = first {
        reporter.add(&found, &rules::NAME_ORDER, |_| {
            format!("it comes after '{}', the first of {count} such places", String::from_utf8_lossy(before))
        });
    }
}
