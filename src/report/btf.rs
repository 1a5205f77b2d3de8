//! How BTF looks: one line a type, as bpftool writes its raw form, so that eyes
//! and `diff` transfer; and JSON with the same words.

use crate::formats::btf::{Btf, Endian, Grammar, Kind, LocParam, OldPlace, Type, flags, old_flags};
use serde_json::{Value, json};
use std::io::{self, Write};

/// The number of the JSON form.
pub const SCHEMA: u32 = 1;

/// How much is gathered before it is written.
const CHUNK: usize = 1 << 16;

/// The file's own types as lines.
pub fn raw(btf: &Btf<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Text { bytes: Vec::with_capacity(2 * CHUNK) };
    for found in btf.types() {
        line(btf, &found, &mut text, out)?;
        text.put(b"\n");
        if text.bytes.len() >= CHUNK {
            text.flush(out)?;
        }
    }
    text.flush(out)
}

struct Text {
    bytes: Vec<u8>,
}

impl Text {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    // `write!` is what takes the time in a dump of a kernel.
    fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(digits.len() - used..).unwrap_or_default());
    }

    fn signed(&mut self, number: i64) {
        if number < 0 {
            self.put(b"-");
        }
        self.number(number.unsigned_abs());
    }

    fn field(&mut self, key: &[u8], number: u32) {
        self.put(key);
        self.number(number.into());
    }

    fn name(&mut self, btf: &Btf<'_>, offset: u32) {
        self.put(b"'");
        let name = if offset == 0 { Some(&b"(anon)"[..]) } else { btf.string(offset) };
        let name = name.unwrap_or(b"(invalid-name-offset)");
        // A name is somebody else's text and is not to drive a terminal.
        if name.iter().any(u8::is_ascii_control) {
            self.bytes.extend(name.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }));
        } else {
            self.put(name);
        }
        self.put(b"'");
    }
}

fn line(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text, out: &mut dyn Write) -> io::Result<()> {
    text.put(b"[");
    text.number(found.id.into());
    text.put(b"] ");
    text.put(found.kind.name().as_bytes());
    text.put(b" ");
    text.name(btf, found.name_off);
    match found.kind {
        Kind::Int => int(found, text),
        Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::Typedef | Kind::TypeTag => {
            text.field(b" type_id=", found.size_or_type);
        }
        Kind::Array => {
            if let Some(array) = found.array() {
                text.field(b" type_id=", array.element);
                text.field(b" index_type_id=", array.index);
                text.field(b" nr_elems=", array.len);
            }
        }
        Kind::Struct | Kind::Union => members(btf, found, text),
        Kind::Enum | Kind::Enum64 => enumeration(btf, found, text),
        Kind::Fwd => text.put(if found.kind_flag { b" fwd_kind=union" } else { b" fwd_kind=struct" }),
        Kind::Func => {
            text.field(b" type_id=", found.size_or_type);
            text.put(b" linkage=");
            text.put(linkage(found.vlen).as_bytes());
        }
        Kind::FuncProto => {
            text.field(b" ret_type_id=", found.size_or_type);
            text.field(b" vlen=", found.vlen);
            for param in found.params() {
                text.put(b"\n\t");
                text.name(btf, param.name_off);
                text.field(b" type_id=", param.type_id);
            }
        }
        Kind::Var => {
            text.field(b" type_id=", found.size_or_type);
            text.put(b", linkage=");
            text.put(linkage(found.var_linkage().unwrap_or(u32::MAX)).as_bytes());
        }
        Kind::DataSec => variables(btf, found, text),
        Kind::Float => text.field(b" size=", found.size_or_type),
        Kind::DeclTag => {
            text.field(b" type_id=", found.size_or_type);
            text.put(b" component_idx=");
            text.signed(found.component_index().unwrap_or_default().into());
        }
        Kind::LocParam => loc_param(found, text),
        Kind::LocProto => {
            text.field(b" vlen=", found.vlen);
            for id in found.data.iter() {
                text.field(b"\n\ttype_id=", id);
            }
        }
        Kind::LocSec => sites(btf, found, text, out)?,
        Kind::Other(number) => {
            text.field(b" kind=", number.into());
            text.field(b" vlen=", found.vlen);
        }
    }
    Ok(())
}

fn encoding(encoding: u8) -> &'static str {
    match encoding {
        0 => "(none)",
        1 => "SIGNED",
        2 => "CHAR",
        4 => "BOOL",
        _ => "UNKN",
    }
}

fn linkage(linkage: u32) -> &'static str {
    match linkage {
        0 => "static",
        1 => "global",
        2 => "extern",
        _ => "(unknown)",
    }
}

fn int(found: &Type<'_>, text: &mut Text) {
    text.field(b" size=", found.size_or_type);
    if let Some(int) = found.int() {
        text.field(b" bits_offset=", int.offset.into());
        text.field(b" nr_bits=", int.bits.into());
        text.put(b" encoding=");
        text.put(encoding(int.encoding).as_bytes());
    }
}

fn members(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text) {
    text.field(b" size=", found.size_or_type);
    text.field(b" vlen=", found.vlen);
    for member in found.members() {
        text.put(b"\n\t");
        text.name(btf, member.name_off);
        text.field(b" type_id=", member.type_id);
        text.field(b" bits_offset=", member.bit_offset);
        if member.bit_size != 0 {
            text.field(b" bitfield_size=", member.bit_size);
        }
    }
}

fn enumeration(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text) {
    text.put(if found.kind_flag { b" encoding=SIGNED" } else { b" encoding=UNSIGNED" });
    text.field(b" size=", found.size_or_type);
    text.field(b" vlen=", found.vlen);
    for value in found.enumerators() {
        text.put(b"\n\t");
        text.name(btf, value.name_off);
        text.put(b" val=");
        match found.kind_flag {
            true => text.signed(value.value.cast_signed()),
            false => text.number(value.value),
        }
        if found.kind == Kind::Enum64 {
            text.put(if found.kind_flag { b"LL" } else { b"ULL" });
        }
    }
}

fn variables(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text) {
    text.field(b" size=", found.size_or_type);
    text.field(b" vlen=", found.vlen);
    for var in found.section_vars() {
        text.field(b"\n\ttype_id=", var.type_id);
        text.field(b" offset=", var.offset);
        text.field(b" size=", var.size);
        referred(btf, var.type_id, text);
    }
}

// ` (VAR 'jiffies')`
fn referred(btf: &Btf<'_>, id: u32, text: &mut Text) {
    if let Some(to) = btf.type_by_id(id) {
        text.put(b" (");
        text.put(to.kind.name().as_bytes());
        text.put(b" ");
        text.name(btf, to.name_off);
        text.put(b")");
    }
}

/// The flags of a LOC_PARAM as words: `REG|DEREF|OFFSET`.
#[must_use]
pub fn flag_words(set: u32) -> String {
    const NAMES: [(u32, &str); 6] = [
        (flags::SIGNED, "SIGNED"),
        (flags::CONST, "CONST"),
        (flags::ADDR, "ADDR"),
        (flags::REG, "REG"),
        (flags::DEREF, "DEREF"),
        (flags::OFFSET, "OFFSET"),
    ];
    let mut words: Vec<String> =
        NAMES.iter().filter(|(flag, _)| set & flag != 0).map(|(_, name)| (*name).to_owned()).collect();
    if set & !flags::ALL != 0 {
        words.push(format!("{:#x}", set & !flags::ALL));
    }
    if words.is_empty() { "0".to_owned() } else { words.join("|") }
}

/// What the values of a LOC_PARAM say: `reg=3 offset=-16`, `reg=fb`, `value=1`.
#[must_use]
pub fn place_words(param: &LocParam<'_>) -> String {
    let register = |number: u32| match number {
        flags::FRAME_BASE => "fb".to_owned(),
        _ => number.to_string(),
    };
    let value = |value: u64| match param.flags {
        set if set & flags::ADDR != 0 => format!("{value:#x}"),
        set if set & (flags::SIGNED | flags::OFFSET) != 0 => value.cast_signed().to_string(),
        _ => value.to_string(),
    };
    let mut words = Vec::new();
    if let Some(number) = param.register() {
        words.push(format!("reg={}", register(number)));
    }
    if let Some(number) = param.second_register() {
        words.push(format!("reg={}", register(number)));
    }
    if let Some(number) = param.value() {
        let key = if param.flags & flags::CONST != 0 { "value" } else { "offset" };
        words.push(format!("{key}={}", value(number)));
    }
    words.join(" ")
}

fn loc_param(found: &Type<'_>, text: &mut Text) {
    if let Some(param) = found.loc_param() {
        let words = format!(" size={} flags={} vlen={}", param.size, flag_words(param.flags), found.vlen);
        text.put(words.as_bytes());
        let place = place_words(&param);
        if !place.is_empty() {
            text.put(b" ");
            text.put(place.as_bytes());
        }
    } else if let Some(param) = found.old_loc_param() {
        let place = match param.place {
            OldPlace::Const(value) => format!("flags=CONST value={}", value.cast_signed()),
            OldPlace::Register { register, flags, offset } => {
                format!("flags={} reg={register} offset={offset}", old_flag_words(flags))
            }
        };
        text.put(format!(" size={} {place}", param.size).as_bytes());
    }
}

fn old_flag_words(set: u16) -> String {
    let names = [(old_flags::DEREF, "DEREF"), (old_flags::CONTINUE, "CONTINUE")];
    let mut words: Vec<String> =
        names.iter().filter(|(flag, _)| set & flag != 0).map(|(_, name)| (*name).to_owned()).collect();
    let unknown = set & !(old_flags::DEREF | old_flags::CONTINUE);
    if unknown != 0 {
        words.push(format!("{unknown:#x}"));
    }
    if words.is_empty() { "0".to_owned() } else { words.join("|") }
}

fn sites(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text, out: &mut dyn Write) -> io::Result<()> {
    text.field(b" vlen=", found.vlen);
    // One LOCSEC may have hundreds of thousands of lines.
    for site in found.loc_sites() {
        text.field(b"\n\tfunc_id=", site.func);
        text.field(b" loc_proto_id=", site.loc_proto);
        text.field(b" offset=", site.offset);
        referred(btf, site.func, text);
        if text.bytes.len() >= CHUNK {
            text.flush(out)?;
        }
    }
    for site in found.old_loc_sites() {
        text.put(b"\n\t");
        text.name(btf, site.name_off);
        text.field(b" func_proto_id=", site.func_proto);
        text.field(b" loc_proto_id=", site.loc_proto);
        text.field(b" offset=", site.offset);
        if text.bytes.len() >= CHUNK {
            text.flush(out)?;
        }
    }
    Ok(())
}

/// The file's own types as JSON: one object, one type a line.
pub fn json(btf: &Btf<'_>, out: &mut dyn Write) -> io::Result<()> {
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
        serde_json::to_writer(&mut *out, &object(btf, &found))?;
    }
    out.write_all(b"\n]}\n")
}

/// `wide`, `narrow`, or `either` where nothing in the file tells.
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

fn object(btf: &Btf<'_>, found: &Type<'_>) -> Value {
    let mut object = json!({ "id": found.id, "kind": found.kind.name(), "name": label(btf, found.name_off) });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), details(btf, found)) {
        object.extend(more);
    }
    object
}

fn details(btf: &Btf<'_>, found: &Type<'_>) -> Value {
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
        Kind::Struct | Kind::Union => json!({ "size": third, "vlen": vlen, "members": json_members(btf, found) }),
        Kind::Enum | Kind::Enum64 => json!({
            "encoding": if found.kind_flag { "SIGNED" } else { "UNSIGNED" },
            "size": third, "vlen": vlen, "values": json_values(btf, found),
        }),
        Kind::Fwd => json!({ "fwd_kind": if found.kind_flag { "union" } else { "struct" } }),
        Kind::Func => json!({ "type_id": third, "linkage": linkage(vlen) }),
        Kind::FuncProto => json!({ "ret_type_id": third, "vlen": vlen, "params": found.params().map(|param| {
            json!({ "name": label(btf, param.name_off), "type_id": param.type_id })
        }).collect::<Vec<_>>() }),
        Kind::Var => json!({ "type_id": third, "linkage": linkage(found.var_linkage().unwrap_or(u32::MAX)) }),
        Kind::DataSec => json!({ "size": third, "vlen": vlen, "vars": found.section_vars().map(|var| {
            json!({ "type_id": var.type_id, "offset": var.offset, "size": var.size })
        }).collect::<Vec<_>>() }),
        Kind::Float => json!({ "size": third }),
        Kind::DeclTag => json!({ "type_id": third, "component_idx": found.component_index() }),
        Kind::LocParam | Kind::LocProto | Kind::LocSec => inline_details(btf, found),
        Kind::Other(number) => json!({ "number": number, "vlen": vlen }),
    }
}

fn json_members(btf: &Btf<'_>, found: &Type<'_>) -> Vec<Value> {
    let member = |member: crate::formats::btf::Member| {
        let mut value = json!({
            "name": label(btf, member.name_off), "type_id": member.type_id, "bits_offset": member.bit_offset,
        });
        if let Some(object) = value.as_object_mut().filter(|_| member.bit_size != 0) {
            object.insert("bitfield_size".to_owned(), json!(member.bit_size));
        }
        value
    };
    found.members().map(member).collect()
}

fn json_values(btf: &Btf<'_>, found: &Type<'_>) -> Vec<Value> {
    let value = |value: crate::formats::btf::Enumerator| match found.kind_flag {
        true => json!({ "name": label(btf, value.name_off), "val": value.value.cast_signed() }),
        false => json!({ "name": label(btf, value.name_off), "val": value.value }),
    };
    found.enumerators().map(value).collect()
}

fn inline_details(btf: &Btf<'_>, found: &Type<'_>) -> Value {
    if let Some(param) = found.loc_param() {
        return json!({
            "size": param.size, "vlen": found.vlen, "flags": param.flags, "flag_names": flag_words(param.flags),
            "values": param.values.iter().collect::<Vec<_>>(),
        });
    }
    if let Some(param) = found.old_loc_param() {
        return match param.place {
            OldPlace::Const(value) => json!({ "size": param.size, "value": value }),
            OldPlace::Register { register, flags, offset } => json!({
                "size": param.size, "register": register, "flags": flags, "offset": offset,
            }),
        };
    }
    if let Some(params) = found.loc_proto() {
        return json!({ "vlen": found.vlen, "params": params.iter().collect::<Vec<_>>() });
    }
    let new = found
        .loc_sites()
        .map(|site| json!({ "func_id": site.func, "loc_proto_id": site.loc_proto, "offset": site.offset }));
    let old = found.old_loc_sites().map(|site| {
        json!({
            "name": label(btf, site.name_off), "func_proto_id": site.func_proto,
            "loc_proto_id": site.loc_proto, "offset": site.offset,
        })
    });
    json!({ "vlen": found.vlen, "sites": new.chain(old).collect::<Vec<_>>() })
}
