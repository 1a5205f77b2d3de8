//! Rules that concern a type by itself: its words, its names, the ids in it.

use super::{Findings, Reporter, rules};
use crate::debuginfo::btf::{Btf, Grammar, Head, Kind, LONGEST_NAME, MAX_NAME_OFFSET, MAX_TYPE, Type, is_identifier};

pub(super) fn check<'a>(btf: &Btf<'a>, findings: &mut Findings) {
    let mut reporter = Reporter { btf, findings };
    limits(btf, &mut reporter);
    base_names(btf, &mut reporter);
    for found in btf.types() {
        info(&found, &mut reporter);
        name(&found, &mut reporter);
        element_names(&found, &mut reporter);
        references(&found, &mut reporter);
    }
}

fn limits<'a>(btf: &Btf<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    if let Some(last) = btf.type_by_id(btf.next_id() - 1).filter(|last| last.id > MAX_TYPE) {
        reporter.add(&last, &rules::LIMITS, |_| format!("the last type has id {:#x}", last.id));
    }
    let high = btf.types().find(|found| found.names().any(|name| name > MAX_NAME_OFFSET));
    if let Some(found) = high.filter(|_| btf.string_end() > MAX_NAME_OFFSET) {
        reporter.add(&found, &rules::LIMITS, |_| format!("strings go up to offset {:#x}", btf.string_end()));
    }
}

// Once, with how many: a wrong base makes every name of the file odd.
fn base_names<'a>(btf: &Btf<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let own = btf.first_string();
    let inside = |found: &Type<'a>| found.names().filter(|name| *name < own && !btf.is_string_start(*name)).count();
    let mut first = None;
    let mut count = 0;
    for found in btf.types() {
        let here = inside(&found);
        count += here;
        if here > 0 {
            first.get_or_insert(found);
        }
    }
    if let Some(found) = first {
        reporter.add(&found, &rules::WRONG_BASE, |_| format!("this is the first of {count} such names"));
    }
}

fn has_elements(kind: Kind) -> bool {
    use Kind::{DataSec, Enum, Enum64, Func, FuncProto, LocParam, LocProto, LocSec, Struct, Union};
    matches!(
        kind,
        Struct | Union | Enum | Enum64 | Func | FuncProto | DataSec | LocParam | LocProto | LocSec | Kind::Other(_)
    )
}

fn may_have_flag(found: &Type<'_>) -> bool {
    use Kind::{DeclTag, Enum, Enum64, Fwd, Struct, TypeTag, Union};
    match found.kind {
        Struct | Union | Enum | Enum64 | Fwd | DeclTag | TypeTag | Kind::Other(_) => true,
        // In form (ii) that means a constant; form (iii) has a rule of its own.
        kind => kind.is_inline(),
    }
}

fn info<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let undefined = found.info & !found.grammar.mask();
    if undefined != 0 {
        reporter.add(found, &rules::INFO_BITS, |_| format!("the info word is {:#010x}", found.info));
    }
    if found.kind_flag && !may_have_flag(found) {
        reporter.add(found, &rules::KIND_FLAG, |_| format!("the info word is {:#010x}", found.info));
    }
    if found.vlen != 0 && !has_elements(found.kind) {
        reporter.add(found, &rules::COUNT, |_| format!("the count is {}", found.vlen));
    }
    let shape = found.kind.shape(found.grammar);
    let unused = shape.is_some_and(|shape| shape.head == Head::Unused) && !found.kind.is_inline();
    if unused && found.size_or_type != 0 {
        reporter.add(found, &rules::THIRD_WORD, |_| format!("it is {}", found.size_or_type));
    }
    match found.kind {
        Kind::Other(_) => {
            reporter.add(found, &rules::UNKNOWN_KIND, |_| format!("{} bytes skipped", found.data.bytes().len()));
        }
        Kind::Func if found.vlen > 2 => {
            reporter.add(found, &rules::LINKAGE, |_| format!("linkage {}", found.vlen));
        }
        Kind::Var => {
            if let Some(linkage) = found.var_linkage().filter(|linkage| *linkage > 2) {
                reporter.add(found, &rules::LINKAGE, |_| format!("linkage {linkage}"));
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Any,
    Never,
    Identifier,
    OptionalIdentifier,
    Text,
    Section,
}

fn naming(kind: Kind) -> Naming {
    match kind {
        Kind::Ptr
        | Kind::Const
        | Kind::Volatile
        | Kind::Restrict
        | Kind::Array
        | Kind::FuncProto
        | Kind::LocParam
        | Kind::LocProto => Naming::Never,
        Kind::Typedef | Kind::Fwd | Kind::Func | Kind::Var => Naming::Identifier,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => Naming::OptionalIdentifier,
        Kind::DeclTag | Kind::TypeTag => Naming::Text,
        Kind::DataSec | Kind::LocSec => Naming::Section,
        // Names of C's own types hold blanks.
        Kind::Int | Kind::Float | Kind::Other(_) => Naming::Any,
    }
}

fn name<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    named(found, found.name_off, naming(found.kind), "", reporter);
}

// Checks a name; `what` names its owner if that is not the type itself.
fn named<'a>(found: &Type<'a>, offset: u32, naming: Naming, what: &str, reporter: &mut Reporter<'_, 'a, '_>) {
    let Some(text) = reporter.btf.name(offset).or(if offset == 0 { Some(b"") } else { None }) else {
        reporter.add(found, &rules::NAME_OFFSET, |btf| {
            format!("{what}offset {offset}, the strings end at {}", btf.string_end())
        });
        return;
    };
    let required = matches!(naming, Naming::Identifier | Naming::Text | Naming::Section);
    if text.is_empty() {
        if required {
            reporter.add(found, &rules::NAME_MISSING, |_| format!("{what}offset {offset} is the empty string"));
        }
        return;
    }
    let shown = |text: &[u8]| String::from_utf8_lossy(text.get(..80).unwrap_or(text)).into_owned();
    match naming {
        Naming::Never => {
            reporter.add(found, &rules::NAME_EXTRA, |_| format!("{what}it is `{}`", shown(text)));
        }
        Naming::Identifier | Naming::OptionalIdentifier if !is_identifier(text) => {
            reporter.add(found, &rules::IDENTIFIER, |_| format!("{what}`{}`", shown(text)));
        }
        Naming::Section if text.len() > LONGEST_NAME || !text.iter().all(|byte| matches!(byte, b' '..=b'~')) => {
            reporter.add(found, &rules::SECTION_NAME, |_| format!("`{}`", shown(text)));
        }
        _ => {}
    }
}

fn element_names<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let (naming, what) = match found.kind {
        Kind::Struct | Kind::Union => (Naming::OptionalIdentifier, "member"),
        Kind::FuncProto => (Naming::OptionalIdentifier, "parameter"),
        Kind::Enum | Kind::Enum64 => (Naming::Identifier, "value"),
        // Form (ii) has a rule of its own.
        _ => return,
    };
    for (index, offset) in found.names().skip(1).enumerate() {
        // The label is only made for a name that may be wrong.
        let good = match reporter.btf.name(offset) {
            Some(b"") => naming == Naming::OptionalIdentifier,
            Some(text) => is_identifier(text),
            None => false,
        };
        if !good {
            named(found, offset, naming, &format!("{what} {index}: "), reporter);
        }
    }
}

// Whether a type may refer to one of this kind at all.
fn may_refer(from: &Type<'_>, to: Kind) -> bool {
    match from.kind {
        Kind::Func => to == Kind::FuncProto,
        Kind::DataSec => to == Kind::Var,
        Kind::DeclTag => matches!(to, Kind::Struct | Kind::Union | Kind::Func | Kind::Var | Kind::Typedef),
        // These have rules of their own.
        Kind::LocProto | Kind::LocSec | Kind::Other(_) => true,
        _ => !matches!(to, Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag) && !to.is_inline(),
    }
}

// Whether void will do. What a FUNC_PROTO returns and its last parameter may be.
fn may_be_void(from: Kind) -> bool {
    from.is_modifier() || matches!(from, Kind::Ptr | Kind::FuncProto | Kind::LocProto | Kind::Other(_))
}

/// Returns whether it is a function or variable that another object defines.
pub(super) fn is_extern(found: &Type<'_>) -> bool {
    const EXTERN: u32 = 2;
    match found.kind {
        Kind::Func => found.vlen == EXTERN,
        Kind::Var => found.var_linkage() == Some(EXTERN),
        _ => false,
    }
}

fn references<'a>(found: &Type<'a>, reporter: &mut Reporter<'_, 'a, '_>) {
    let old_sites = found.kind == Kind::LocSec && found.grammar == Grammar::Narrow;
    if found.kind == Kind::LocSec && !old_sites {
        // Sites of half a million are looked at once, in `inline`.
        return;
    }
    for (index, id) in found.references().enumerate() {
        let Some(to) = reporter.btf.type_by_id(id) else {
            if id != 0 {
                reporter.add(found, &rules::NO_SUCH_TYPE, |btf| {
                    format!("id {id} (reference {index}), the last is {}", btf.next_id() - 1)
                });
            } else if is_extern(found) {
                reporter.add(found, &rules::LOADER_RESOLVES, |_| "the variable's type is void".to_owned());
            } else if !may_be_void(found.kind) && !old_sites {
                reporter.add(found, &rules::VOID, |_| format!("reference {index} is 0"));
            }
            continue;
        };
        if found.kind == Kind::DataSec && is_extern(&to) && to.kind == Kind::Func {
            let message = |btf: &Btf<'a>| format!("it lists {}", super::subject(btf, &to));
            reporter.add(found, &rules::LOADER_RESOLVES, message);
        } else if !may_refer(found, to.kind) {
            reporter.add(found, &rules::WRONG_KIND, |btf| format!("reference {index} is {}", super::subject(btf, &to)));
        }
    }
}
