//! The text of declarations.
//!
//! A declaration is expanded from a stack of pieces: a declarator expands to its parts, one of which may be the
//! body of a nameless structure, which expands to its members.

use super::HeaderError;
use super::names::{self, Names};
use crate::debuginfo::btf::{Btf, CLayout, Kind, Member, Type};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

/// Pieces and steps that a single definition may take: the largest of a kernel takes some thousands.
const MOST: u64 = 4_000_000;
/// How much is gathered before it is written.
const CHUNK: usize = 1 << 16;
/// The gap in bits up to which padding is written as nameless bit fields.
const LARGEST_GAP: u64 = 4096 * 8;

enum Piece {
    Text(Cow<'static, str>),
    /// A declaration of a type with a name, at a level of indentation.
    Declaration(u32, String, usize),
    /// The same of a member, which may have no name.
    Member(u32, String, usize),
    /// The definition of a structure, union or enumeration, and whether it has its tag.
    Body(u32, usize, bool),
    /// The parameters of a FUNC_PROTO, with their parentheses.
    Params(u32, usize),
}

fn text(text: impl Into<Cow<'static, str>>) -> Piece {
    Piece::Text(text.into())
}

/// Writes declarations.
pub(super) struct Writer<'d, 'b, 'a> {
    btf: &'b Btf<'a>,
    layout: &'d CLayout,
    names: Names,
    out: &'d mut dyn Write,
    bytes: String,
    // The type that is being defined, and what it may still take.
    of: u32,
    budget: u64,
}

impl<'d, 'b, 'a> Writer<'d, 'b, 'a> {
    pub fn new(btf: &'b Btf<'a>, layout: &'d CLayout, out: &'d mut dyn Write) -> Self {
        Self { btf, layout, names: Names::default(), out, bytes: String::new(), of: 0, budget: MOST }
    }

    /// Begins a definition.
    pub fn begin(&mut self, id: u32) {
        self.of = id;
        let elements = self.btf.type_by_id(id).map_or(0, |found| found.data.len() as u64);
        self.budget = MOST + elements * 8;
    }

    /// Counts steps of the definition.
    pub fn spend(&mut self, steps: u64) -> Result<(), HeaderError> {
        let left = self.budget.checked_sub(steps);
        self.budget = left.ok_or(HeaderError::TooLarge { id: self.of })?;
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), HeaderError> {
        self.out.write_all(self.bytes.as_bytes())?;
        self.bytes.clear();
        Ok(())
    }

    /// Writes `struct tag;`.
    pub fn forward(&mut self, found: &Type<'_>) -> Result<(), HeaderError> {
        let tag = self.tag(found);
        self.write(vec![text(tag), text(";\n\n")])
    }

    /// Writes a typedef.
    pub fn typedef(&mut self, found: &Type<'_>) -> Result<(), HeaderError> {
        let name = self.names.typedef(self.btf, found);
        match name.as_str() {
            // Compilers have it.
            "__builtin_va_list" => Ok(()),
            // Old GCCs describe it as void.
            "__gnuc_va_list" if found.size_or_type == 0 => {
                self.write(vec![text("typedef __builtin_va_list __gnuc_va_list;\n\n")])
            }
            _ => self.write(vec![text("typedef "), Piece::Declaration(found.size_or_type, name, 0), text(";\n\n")]),
        }
    }

    /// Writes a typedef for a number whose name C does not know.
    pub fn alias(&mut self, found: &Type<'_>) -> Result<(), HeaderError> {
        let is_signed = found.int().is_some_and(|int| int.encoding & 1 != 0);
        let word = match (found.kind, found.size_or_type) {
            (Kind::Float, 4) => "float",
            (Kind::Float, 8) => "double",
            (Kind::Float, _) => "long double",
            (_, 1) => "char",
            (_, 2) => "short",
            (_, 8) => "long long",
            (_, 16) => "__int128",
            _ => "int",
        };
        let sign = match (found.kind, is_signed) {
            (Kind::Float, _) => "",
            (_, true) => "signed ",
            (_, false) => "unsigned ",
        };
        let name = names::identifier(self.btf, found.name_off);
        self.write(vec![text(format!("typedef {sign}{word} {name};\n\n"))])
    }

    /// Writes the definition of a structure, union or enumeration.
    pub fn definition(&mut self, found: &Type<'_>) -> Result<(), HeaderError> {
        self.write(vec![Piece::Body(found.id, 0, true), text(";\n\n")])
    }

    fn write(&mut self, mut pieces: Vec<Piece>) -> Result<(), HeaderError> {
        pieces.reverse();
        while let Some(piece) = pieces.pop() {
            self.spend(1)?;
            let start = pieces.len();
            match piece {
                Piece::Text(text) => self.bytes.push_str(&text),
                Piece::Declaration(id, name, level) => self.declaration(id, &name, level, false, &mut pieces)?,
                Piece::Member(id, name, level) => {
                    let inserted = name.is_empty();
                    self.declaration(id, &name, level, inserted, &mut pieces)?;
                }
                Piece::Body(id, level, tagged) => self.body(id, level, tagged, &mut pieces)?,
                Piece::Params(id, level) => self.params(id, level, &mut pieces)?,
            }
            if let Some(added) = pieces.get_mut(start..) {
                added.reverse();
            }
            if self.bytes.len() >= CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    // `struct tag`
    fn tag(&mut self, found: &Type<'_>) -> String {
        let word = match found.kind {
            Kind::Union => "union",
            Kind::Fwd if found.kind_flag => "union",
            Kind::Enum | Kind::Enum64 => "enum",
            _ => "struct",
        };
        match self.names.tag(self.btf, found) {
            tag if tag.is_empty() => word.to_owned(),
            tag => format!("{word} {tag}"),
        }
    }

    // From the type of the name to what it is in the end; void is left out.
    fn chain(&mut self, id: u32) -> Result<Vec<Type<'a>>, HeaderError> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(found) = next.and_then(|id| self.btf.type_by_id(id)) {
            self.spend(1)?;
            next = match found.kind {
                Kind::Typedef => None,
                Kind::Ptr | Kind::FuncProto => Some(found.size_or_type),
                Kind::Array => found.array().map(|array| array.element),
                kind if kind.is_modifier() => Some(found.size_or_type),
                _ => None,
            };
            chain.push(found);
        }
        Ok(chain)
    }

    // The declarator of a type encloses the name and those of the types that lead to it. What comes after the name
    // is kept until then.
    fn declaration(
        &mut self,
        id: u32,
        name: &str,
        level: usize,
        inserted: bool,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), HeaderError> {
        let mut chain = self.chain(id)?;
        self.base(&mut chain, inserted, level, pieces);
        let mut after: Vec<Piece> = Vec::new();
        // Whether the name may follow without a blank.
        let mut touches = false;
        while let Some(found) = chain.pop() {
            match found.kind {
                Kind::Ptr => pieces.push(text(if touches { "*" } else { " *" })),
                Kind::Array | Kind::FuncProto => {
                    drop_qualifiers(&mut chain);
                    after.push(match found.array() {
                        Some(array) => text(format!("[{}]", array.len)),
                        None => Piece::Params(found.id, level),
                    });
                    let Some(inner) = chain.last() else { break };
                    if found.kind == Kind::FuncProto || (!name.is_empty() && !touches) {
                        pieces.push(text(" "));
                    }
                    if found.kind == Kind::FuncProto || inner.kind != Kind::Array {
                        pieces.push(text("("));
                        after.push(text(")"));
                    }
                    touches = true;
                    continue;
                }
                Kind::TypeTag => {
                    let tag = self.btf.text(found.name_off).replace(['"', '\\', '\n'], "_");
                    pieces.push(text(format!(" __attribute__((btf_type_tag(\"{tag}\")))")));
                }
                kind => pieces.push(text(format!(" {}", qualifier(kind)))),
            }
            touches = found.kind == Kind::Ptr;
        }
        if !name.is_empty() {
            pieces.push(text(if touches { name.to_owned() } else { format!(" {name}") }));
        }
        pieces.extend(after.into_iter().rev());
        Ok(())
    }

    // What a declaration begins with, and the qualifiers before it.
    fn base(&mut self, chain: &mut Vec<Type<'a>>, inserted: bool, level: usize, pieces: &mut Vec<Piece>) {
        let leads_on = |found: &Type<'_>| {
            matches!(found.kind, Kind::Ptr | Kind::Array | Kind::FuncProto)
                || (found.kind.is_modifier() && found.kind != Kind::Typedef)
        };
        let base = chain.pop_if(|found| !leads_on(found));
        let is_alone = chain.is_empty();
        while let Some(found) = chain.pop_if(|found| is_qualifier(found.kind)) {
            pieces.push(text(format!("{} ", qualifier(found.kind))));
        }
        let Some(base) = base else {
            pieces.push(text("void"));
            return;
        };
        pieces.push(match base.kind {
            Kind::Typedef => text(self.names.typedef(self.btf, &base)),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 if base.name_off == 0 => {
                Piece::Body(base.id, level, true)
            }
            // Members of a named structure without a name of their own: only an extension of C has them by its tag.
            Kind::Struct | Kind::Union if inserted && is_alone => Piece::Body(base.id, level, false),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => text(self.tag(&base)),
            _ => {
                let number = names::number(self.btf, base.name_off);
                text(number.unwrap_or_else(|| names::identifier(self.btf, base.name_off)))
            }
        });
    }

    fn params(&mut self, id: u32, level: usize, pieces: &mut Vec<Piece>) -> Result<(), HeaderError> {
        let Some(found) = self.btf.type_by_id(id) else { return Ok(()) };
        self.spend(u64::from(found.vlen))?;
        let count = found.params().count();
        pieces.push(text("("));
        if count == 0 || (count == 1 && found.params().all(|param| param.type_id == 0)) {
            pieces.push(text("void"));
        } else {
            for (index, param) in found.params().enumerate() {
                if index > 0 {
                    pieces.push(text(", "));
                }
                pieces.push(match param.type_id {
                    0 if index + 1 == count => text("..."),
                    id => Piece::Declaration(id, names::identifier(self.btf, param.name_off), level),
                });
            }
        }
        pieces.push(text(")"));
        Ok(())
    }

    fn body(&mut self, id: u32, level: usize, tagged: bool, pieces: &mut Vec<Piece>) -> Result<(), HeaderError> {
        let Some(found) = self.btf.type_by_id(id) else { return Ok(()) };
        self.spend(u64::from(found.vlen))?;
        match (found.kind, tagged) {
            (_, true) => pieces.push(text(self.tag(&found))),
            (Kind::Union, _) => pieces.push(text("union")),
            _ => pieces.push(text("struct")),
        }
        match found.kind {
            Kind::Struct | Kind::Union => self.fields(&found, level, pieces),
            _ => {
                self.enumerators(&found, level, pieces);
                Ok(())
            }
        }
    }

    fn fields(&mut self, found: &Type<'a>, level: usize, pieces: &mut Vec<Piece>) -> Result<(), HeaderError> {
        let laid = self.layout.of(found.id);
        let is_struct = found.kind == Kind::Struct;
        let mut end = 0;
        pieces.push(text(" {"));
        for (index, member) in found.members().enumerate() {
            if is_struct {
                self.pad(found, index, &member, end, level + 1, pieces)?;
            }
            pieces.push(line(level + 1));
            let name = names::identifier(self.btf, member.name_off);
            pieces.push(Piece::Member(member.type_id, name, level + 1));
            let bits = if member.bit_size > 0 { format!(": {};", member.bit_size) } else { ";".to_owned() };
            pieces.push(text(bits));
            end = self.layout.end(&member);
        }
        let whole = laid.size.saturating_mul(8);
        if is_struct && end.next_multiple_of(laid.align * 8) < whole {
            self.padding(end, whole, level + 1, pieces);
        }
        if found.vlen > 0 || laid.size > 0 {
            pieces.push(line(level));
        }
        pieces.push(text("}"));
        if laid.packed {
            pieces.push(text(" __attribute__((packed))"));
        }
        if let Some(align) = laid.aligned {
            pieces.push(text(format!(" __attribute__((aligned({align})))")));
        }
        Ok(())
    }

    // What is between a member and the one before it, if a compiler would not leave it on its own.
    fn pad(
        &mut self,
        of: &Type<'_>,
        index: usize,
        member: &Member,
        end: u64,
        level: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), HeaderError> {
        let at = u64::from(member.bit_offset);
        let natural = self.layout.natural(end, member, self.layout.of(of.id).packed);
        if at < end || at < natural {
            return Err(HeaderError::Overlap { id: of.id, member: index });
        }
        if at > natural {
            self.padding(end, at, level, pieces);
        }
        Ok(())
    }

    // Nameless bit fields have no effect on the alignment of the structure.
    fn padding(&self, from: u64, to: u64, level: usize, pieces: &mut Vec<Piece>) {
        let mut at = from;
        let mut field = |word: &str, bits: u64| {
            pieces.push(line(level));
            pieces.push(text(format!("{word}: {bits};")));
        };
        while at < to {
            let bits = if !at.is_multiple_of(8) {
                (8 - at % 8).min(to - at)
            } else if to - at > LARGEST_GAP {
                break;
            } else {
                let units = [64, 32, 16, 8].into_iter().filter(|unit| *unit <= self.layout.pointer() * 8);
                let fits = units.into_iter().find(|unit| at.is_multiple_of(*unit) && to - at >= *unit);
                fits.unwrap_or(to - at)
            };
            match bits {
                64 => field("long", 64),
                32 => field("int", 32),
                16 => field("short", 16),
                bits => field("char", bits),
            }
            at += bits;
        }
        if at < to {
            pieces.push(line(level));
            pieces.push(text(format!("char __padding_{}[{}];", at / 8, (to - at) / 8)));
            if !to.is_multiple_of(8) {
                self.padding(to - to % 8, to, level, pieces);
            }
        }
    }

    fn enumerators(&mut self, found: &Type<'_>, level: usize, pieces: &mut Vec<Piece>) {
        if found.vlen > 0 {
            pieces.push(text(" {"));
            let suffix = match (found.kind, found.kind_flag) {
                (Kind::Enum64, true) => "LL",
                (Kind::Enum64, false) => "ULL",
                _ => "",
            };
            for value in found.enumerators() {
                let name = self.names.enumerator(self.btf, value.name_off);
                let mut shown = format!("{name} = ");
                let _ = match found.kind_flag {
                    true => write!(shown, "{}{suffix},", value.value.cast_signed()),
                    false => write!(shown, "{}{suffix},", value.value),
                };
                pieces.push(line(level + 1));
                pieces.push(text(shown));
            }
            pieces.push(line(level));
            pieces.push(text("}"));
        }
        if let Some(mode) = mode(found) {
            pieces.push(text(format!(" __attribute__((mode({mode})))")));
        }
    }
}

fn line(level: usize) -> Piece {
    text(format!("\n{}", "\t".repeat(level)))
}

fn is_qualifier(kind: Kind) -> bool {
    matches!(kind, Kind::Const | Kind::Volatile | Kind::Restrict)
}

fn qualifier(kind: Kind) -> &'static str {
    match kind {
        Kind::Const => "const",
        Kind::Volatile => "volatile",
        _ => "restrict",
    }
}

// Of arrays and functions, compilers record qualifiers that C does not have there.
fn drop_qualifiers(chain: &mut Vec<Type<'_>>) {
    while chain.pop_if(|found| is_qualifier(found.kind)).is_some() {}
}

// The machine mode of an enumeration whose size is not the one that its values demand.
fn mode(found: &Type<'_>) -> Option<&'static str> {
    let fits = |low: i64, high: i64| {
        let inside = |value: u64| (low..=high).contains(&value.cast_signed());
        found.enumerators().all(|value| inside(value.value) && (found.kind_flag || value.value <= i64::MAX as u64))
    };
    let natural = if fits(i64::from(i32::MIN), i64::from(i32::MAX)) || fits(0, i64::from(u32::MAX)) { 4 } else { 8 };
    match found.size_or_type {
        size if size == natural => None,
        1 => Some("byte"),
        2 => Some("HI"),
        4 => Some("SI"),
        8 => Some("DI"),
        _ => None,
    }
}
