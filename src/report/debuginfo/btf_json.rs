//! Renders BTF as JSON with bpftool's names. Types and their elements are written one by one,
//! because there may be millions.

use super::btf::{encoding, linkage};
use super::btf_loc::{flag_words, place};
use crate::debuginfo::btf::{Btf, Endian, Enumerator, Grammar, Kind, Member, OldPlace, Type};
use serde_json::{Value, json};
use std::io::{self, Write};

/// The schema version of the JSON output.
pub const SCHEMA: u32 = 2;

/// The file's own types as JSON: one object, one type a line.
pub fn types(btf: &Btf<'_>, out: &mut dyn Write) -> io::Result<()> {
    let header = btf.header();
    let head = json!({
        "schema": SCHEMA,
        "endian": if header.endian == Endian::Little { "little" } else { "big" },
        "header_len": header.len,
        "grammar": grammar(btf),
        "first_id": btf.first_id(),
    });
    let head = head.to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    write!(out, "{open},\"types\":[")?;
    for (index, found) in btf.types().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        object(btf, &found, out)?;
    }
    out.write_all(b"\n]}\n")
}

/// `wide`, `narrow`, or `either` if nothing in the file decides.
#[must_use]
pub fn grammar(btf: &Btf<'_>) -> &'static str {
    match btf.grammar() {
        _ if !btf.is_grammar_decided() => "either",
        Grammar::Wide => "wide",
        Grammar::Narrow => "narrow",
    }
}

fn label(btf: &Btf<'_>, offset: u32) -> Value {
    if offset == 0 { json!("(anon)") } else { json!(btf.text(offset)) }
}

fn object(btf: &Btf<'_>, found: &Type<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut head = json!({ "id": found.id, "kind": found.kind.name(), "name": label(btf, found.name_off) });
    if let (Some(head), Value::Object(more)) = (head.as_object_mut(), details(found)) {
        head.extend(more);
    }
    let head = head.to_string();
    let Some((key, elements)) = elements(btf, found) else { return out.write_all(head.as_bytes()) };
    write!(out, "{},\"{key}\":[", head.strip_suffix('}').unwrap_or(&head))?;
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, &element)?;
    }
    out.write_all(b"]}")
}

fn details(found: &Type<'_>) -> Value {
    let (third, vlen) = (found.size_or_type, found.vlen);
    match found.kind {
        Kind::Int => found.int().map_or(json!({}), |int| {
            json!({ "size": third, "bits_offset": int.offset, "nr_bits": int.bits, "encoding": encoding(int.encoding) })
        }),
        Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::Typedef | Kind::TypeTag => {
            json!({ "type_id": third })
        }
        Kind::Array => found.array().map_or(json!({}), |array| {
            json!({ "type_id": array.element, "index_type_id": array.index, "nr_elems": array.len })
        }),
        Kind::Struct | Kind::Union | Kind::DataSec => json!({ "size": third, "vlen": vlen }),
        Kind::Enum | Kind::Enum64 => {
            json!({ "encoding": if found.kind_flag { "SIGNED" } else { "UNSIGNED" }, "size": third, "vlen": vlen })
        }
        Kind::Fwd => json!({ "fwd_kind": if found.kind_flag { "union" } else { "struct" } }),
        Kind::Func => json!({ "type_id": third, "linkage": linkage(vlen) }),
        Kind::FuncProto => json!({ "ret_type_id": third, "vlen": vlen }),
        Kind::Var => json!({ "type_id": third, "linkage": linkage(found.var_linkage().unwrap_or(u32::MAX)) }),
        Kind::Float => json!({ "size": third }),
        Kind::DeclTag => json!({ "type_id": third, "component_idx": found.component_index() }),
        Kind::LocParam => location(found),
        Kind::LocProto | Kind::LocSec => json!({ "vlen": vlen }),
        Kind::Other(number) => json!({ "number": number, "vlen": vlen }),
    }
}

fn location(found: &Type<'_>) -> Value {
    if let Some(param) = found.loc_param() {
        return json!({
            "size": param.size, "vlen": found.vlen, "flags": param.flags, "flag_names": flag_words(param.flags),
            "location": place(&param),
        });
    }
    let Some(param) = found.old_loc_param() else { return json!({}) };
    match param.place {
        OldPlace::Const(value) => json!({ "size": param.size, "value": format!("{value:#x}") }),
        OldPlace::Register { register, flags, offset } => {
            json!({ "size": param.size, "register": register, "flags": flags, "offset": offset })
        }
    }
}

type Elements<'e> = Box<dyn Iterator<Item = Value> + 'e>;

fn elements<'e>(btf: &'e Btf<'_>, found: &'e Type<'_>) -> Option<(&'static str, Elements<'e>)> {
    let elements: (_, Elements<'e>) = match found.kind {
        Kind::Struct | Kind::Union => ("members", Box::new(found.members().map(|member| json_member(btf, member)))),
        Kind::Enum | Kind::Enum64 => {
            let (signed, is_wide) = (found.kind_flag, found.kind == Kind::Enum64);
            ("values", Box::new(found.enumerators().map(move |value| json_value(btf, value, signed, is_wide))))
        }
        Kind::FuncProto => (
            "params",
            Box::new(
                found.params().map(|param| json!({ "name": label(btf, param.name_off), "type_id": param.type_id })),
            ),
        ),
        Kind::DataSec => (
            "vars",
            Box::new(
                found
                    .section_vars()
                    .map(|var| json!({ "type_id": var.type_id, "offset": var.offset, "size": var.size })),
            ),
        ),
        Kind::LocParam => ("values", Box::new(found.loc_param()?.values.iter().map(Value::from))),
        Kind::LocProto => ("params", Box::new(found.data.iter().map(Value::from))),
        Kind::LocSec => ("sites", Box::new(json_sites(btf, found))),
        _ => return None,
    };
    Some(elements)
}

fn json_member(btf: &Btf<'_>, member: Member) -> Value {
    let mut value = json!({
        "name": label(btf, member.name_off), "type_id": member.type_id, "bits_offset": member.bit_offset,
    });
    if let Some(object) = value.as_object_mut().filter(|_| member.bit_size != 0) {
        object.insert("bitfield_size".to_owned(), json!(member.bit_size));
    }
    value
}

// 64 bits are a string: most JSON readers round numbers above 2^53.
fn json_value(btf: &Btf<'_>, value: Enumerator, signed: bool, is_wide: bool) -> Value {
    let number = match (is_wide, signed) {
        (true, true) => json!(value.value.cast_signed().to_string()),
        (true, false) => json!(value.value.to_string()),
        (false, true) => json!(value.value.cast_signed()),
        (false, false) => json!(value.value),
    };
    json!({ "name": label(btf, value.name_off), "val": number })
}

fn json_sites<'e>(btf: &'e Btf<'_>, found: &Type<'e>) -> impl Iterator<Item = Value> + 'e {
    let new = found
        .loc_sites()
        .map(|site| json!({ "func_type_id": site.func, "loc_proto_type_id": site.loc_proto, "offset": site.offset }));
    let old = found.old_loc_sites().map(|site| {
        json!({
            "name": label(btf, site.name_off), "func_proto_type_id": site.func_proto,
            "loc_proto_type_id": site.loc_proto, "offset": site.offset,
        })
    });
    new.chain(old)
}
