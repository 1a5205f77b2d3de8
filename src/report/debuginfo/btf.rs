//! Renders BTF in bpftool's raw format, so that output can be compared with `diff`.

use super::btf_loc::{old_place, place};
use crate::debuginfo::btf::{Btf, Kind, Type};
use std::io::{self, Write};

/// Size of the output buffer.
const CHUNK: usize = 1 << 16;

/// The file's own types as lines.
pub fn raw(btf: &Btf<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Text { bytes: Vec::with_capacity(2 * CHUNK), out, done: Ok(()) };
    for found in btf.types() {
        line(btf, &found, &mut text);
        text.put(b"\n");
        if text.done.is_err() {
            break;
        }
    }
    text.flush();
    text.done
}

// Gathers, and writes what is gathered; the first error is kept and ends the writing.
struct Text<'o> {
    bytes: Vec<u8>,
    out: &'o mut dyn Write,
    done: io::Result<()>,
}

impl Text<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= CHUNK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.done.is_ok() {
            self.done = self.out.write_all(&self.bytes);
        }
        self.bytes.clear();
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
        // Names are untrusted text and must not control the terminal.
        let pieces = name.split(u8::is_ascii_control);
        for (index, piece) in pieces.enumerate() {
            if index > 0 {
                self.put(b" ");
            }
            self.put(piece);
        }
        self.put(b"'");
    }
}

fn line(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
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
        Kind::LocProto => loc_proto(btf, found, text),
        Kind::LocSec => sites(btf, found, text),
        // bpftool prints no more of a kind that it does not know.
        Kind::Other(_) => {}
    }
}

pub(super) fn encoding(encoding: u8) -> &'static str {
    match encoding {
        0 => "(none)",
        1 => "SIGNED",
        2 => "CHAR",
        4 => "BOOL",
        _ => "UNKN",
    }
}

pub(super) fn linkage(linkage: u32) -> &'static str {
    match linkage {
        0 => "static",
        1 => "global",
        2 => "extern",
        _ => "(unknown)",
    }
}

fn int(found: &Type<'_>, text: &mut Text<'_>) {
    text.field(b" size=", found.size_or_type);
    if let Some(int) = found.int() {
        text.field(b" bits_offset=", int.offset.into());
        text.field(b" nr_bits=", int.bits.into());
        text.put(b" encoding=");
        text.put(encoding(int.encoding).as_bytes());
    }
}

fn members(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
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

fn enumeration(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
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

fn variables(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
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
fn referred(btf: &Btf<'_>, id: u32, text: &mut Text<'_>) {
    if let Some(to) = btf.type_by_id(id) {
        text.put(b" (");
        text.put(to.kind.name().as_bytes());
        text.put(b" ");
        text.name(btf, to.name_off);
        text.put(b")");
    }
}

fn loc_param(found: &Type<'_>, text: &mut Text<'_>) {
    if let Some(param) = found.loc_param() {
        let head = format!(" size={} flags={:#x} vlen={}", param.size, param.flags, found.vlen);
        text.put(head.as_bytes());
        text.put(format!(" values='{}'", place(&param)).as_bytes());
    } else if let Some(param) = found.old_loc_param() {
        text.put(format!(" size={} {}", param.size, old_place(&param)).as_bytes());
    }
}

fn loc_proto(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
    text.field(b" vlen=", found.vlen);
    for id in found.data.iter() {
        text.field(b"\n\ttype_id=", id);
        if let Some(param) = btf.type_by_id(id).as_ref().and_then(Type::loc_param) {
            text.put(format!(" value='{}'", place(&param)).as_bytes());
        }
    }
}

fn sites(btf: &Btf<'_>, found: &Type<'_>, text: &mut Text<'_>) {
    text.field(b" vlen=", found.vlen);
    for site in found.loc_sites() {
        text.put(b"\n\tname=");
        let name = btf.type_by_id(site.func).map_or(u32::MAX, |func| func.name_off);
        text.name(btf, name);
        text.field(b" func_type_id=", site.func);
        text.field(b" loc_proto_type_id=", site.loc_proto);
        text.field(b" offset=", site.offset);
    }
    for site in found.old_loc_sites() {
        text.put(b"\n\t");
        text.name(btf, site.name_off);
        text.field(b" func_proto_type_id=", site.func_proto);
        text.field(b" loc_proto_type_id=", site.loc_proto);
        text.field(b" offset=", site.offset);
    }
}
