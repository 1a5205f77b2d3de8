//! Checking `.BTF.ext` of BPF objects: which functions and source lines instructions belong to, and where a
//! loader adapts them to the kernel's types (CO-RE).
//!
//! ```text
//! header │ functions │ lines │ [relocations]      offsets count from the header's end
//!          └ record size, then for each ELF section: name, count, records
//! ```
//!
//! Strings and type ids are those of `.BTF`.

use super::{Context, Findings, Say, rules};
use crate::base::rule::Rule;
use crate::debuginfo::btf::cursor::{u16_at, u32_at};
use crate::debuginfo::btf::{Btf, Endian, HEADER_24, HEADER_32, Kind, MAGIC, Type, VERSION};

/// How many records there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtCounts {
    /// Of functions.
    pub functions: u64,
    /// Of source lines.
    pub lines: u64,
    /// Of CO-RE relocations.
    pub relocations: u64,
}

/// A `.BTF.ext` that was checked.
#[derive(Debug, Default)]
pub struct CheckedExt {
    /// Its records; nothing where not even its header could be read.
    pub counts: Option<ExtCounts>,
    /// What was found.
    pub findings: Findings,
}

/// Bytes of an instruction of BPF.
const INSTRUCTION: u32 = 8;
/// Modifiers that may follow each other before a member is reached.
const LONGEST_CHAIN: usize = 64;

/// Checks a `.BTF.ext` with the BTF of its file, if that could be read.
#[must_use]
pub fn validate_ext(bytes: &[u8], btf: Option<&Btf<'_>>, context: &Context) -> CheckedExt {
    let mut checked = CheckedExt::default();
    let findings = &mut checked.findings;
    let header = match Header::parse(bytes) {
        Ok(header) => header,
        Err(why) => {
            findings.add(&rules::EXT_HEADER, |finding| finding.with_message(why));
            return checked;
        }
    };
    if let Some(btf) = btf.filter(|btf| btf.endian() != header.endian) {
        let name = |endian| if endian == Endian::Little { "little" } else { "big" };
        let why = format!("it is {}-endian, .BTF is {}-endian", name(header.endian), name(btf.endian()));
        findings.add(&rules::EXT_HEADER, |finding| finding.with_message(why));
        return checked;
    }
    let mut counts = ExtCounts::default();
    header.places(bytes, findings);
    for (part, span) in [Part::Functions, Part::Lines, Part::Relocations].into_iter().zip(header.spans) {
        let Some(body) = span.of(header.body(bytes)) else { continue };
        let table = Table {
            part,
            body,
            start: u64::from(header.len) + u64::from(span.offset),
            endian: header.endian,
            btf,
            context,
        };
        let count = table.check(findings);
        match part {
            Part::Functions => counts.functions = count,
            Part::Lines => counts.lines = count,
            Part::Relocations => counts.relocations = count,
        }
    }
    checked.counts = Some(counts);
    checked
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    offset: u32,
    len: u32,
}

impl Span {
    fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.len)
    }

    fn of(self, body: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.offset).ok()?;
        body.get(start..start.checked_add(usize::try_from(self.len).ok()?)?).filter(|body| !body.is_empty())
    }
}

struct Header {
    endian: Endian,
    len: u32,
    // Functions, lines, relocations.
    spans: [Span; 3],
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let short = || format!("{} bytes are too few for a header", bytes.len());
        let magic = u16_at(bytes, 0, Endian::Little).ok_or_else(short)?;
        let endian = match magic {
            MAGIC => Endian::Little,
            _ if magic == MAGIC.swap_bytes() => Endian::Big,
            _ => return Err(format!("magic number {magic:#06x} is not that of BTF (0xeb9f)")),
        };
        let (version, flags) = (*bytes.get(2).ok_or_else(short)?, *bytes.get(3).ok_or_else(short)?);
        if version != VERSION || flags != 0 {
            return Err(format!("version {version} with flags {flags:#x} is not known, only 1 without flags is"));
        }
        let word = |at| u32_at(bytes, at, endian).ok_or_else(short);
        let len = word(4)?;
        if len < HEADER_24 || usize::try_from(len).map_or(true, |len| len > bytes.len()) {
            return Err(format!(
                "header length {len} does not fit: at least 24 and at most the {} bytes there are",
                bytes.len()
            ));
        }
        let span = |at| Ok::<_, String>(Span { offset: word(at)?, len: word(at + 4)? });
        let relocations = if len >= HEADER_32 { span(24)? } else { Span::default() };
        Ok(Self { endian, len, spans: [span(8)?, span(16)?, relocations] })
    }

    fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        usize::try_from(self.len).ok().and_then(|len| bytes.get(len..)).unwrap_or_default()
    }

    // Tables lie inside the section, at multiples of four, one after the other.
    fn places(&self, bytes: &[u8], findings: &mut Findings) {
        let have = self.body(bytes).len() as u64;
        let mut named: Vec<(&str, Span)> =
            ["func_info", "line_info", "core_relo"].into_iter().zip(self.spans).collect();
        named.retain(|(_, span)| span.len > 0);
        for (name, span) in &named {
            if span.end() > have {
                let why = format!(
                    "{name} ({} + {} bytes) lies outside the {have} bytes after the header",
                    span.offset, span.len
                );
                findings.add(&rules::EXT_TABLES, |finding| finding.with_message(why));
            } else if !span.offset.is_multiple_of(4) {
                let why = format!("{name} begins at {}, which is no multiple of 4", span.offset);
                findings.add(&rules::EXT_TABLES, |finding| finding.with_message(why));
            }
        }
        named.sort_by_key(|(_, span)| span.offset);
        for pair in named.windows(2) {
            let [(first, one), (second, two)] = pair else { continue };
            if one.end() > u64::from(two.offset) {
                findings
                    .add(&rules::EXT_TABLES, |finding| finding.with_message(format!("{first} and {second} overlap")));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Functions,
    Lines,
    Relocations,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Functions => "func_info",
            Self::Lines => "line_info",
            Self::Relocations => "core_relo",
        }
    }

    fn least(self) -> u32 {
        match self {
            Self::Functions => 8,
            Self::Lines | Self::Relocations => 16,
        }
    }
}

struct Table<'t, 'a> {
    part: Part,
    body: &'t [u8],
    // Where it begins in the section.
    start: u64,
    endian: Endian,
    btf: Option<&'t Btf<'a>>,
    context: &'t Context,
}

impl Table<'_, '_> {
    fn word(&self, at: usize) -> Option<u32> {
        u32_at(self.body, at, self.endian)
    }

    fn add(&self, findings: &mut Findings, rule: &'static Rule, at: usize, message: impl FnOnce() -> String) {
        findings
            .add(rule, |finding| finding.with_message(message()).about(self.part.name()).at(self.start + at as u64));
    }

    // Returns how many records there are.
    fn check(&self, findings: &mut Findings) -> u64 {
        let size = self.word(0).unwrap_or(0);
        if size < self.part.least() || !size.is_multiple_of(4) {
            self.add(findings, &rules::EXT_RECORD, 0, || {
                format!("records of {size} bytes, at least {}", self.part.least())
            });
            return 0;
        }
        let (mut at, mut total) = (4, 0);
        while at < self.body.len() {
            let (Some(name), Some(count)) = (self.word(at), self.word(at + 4)) else {
                self.add(findings, &rules::EXT_TRUNCATED, at, || format!("{} bytes are left", self.body.len() - at));
                break;
            };
            let left = self.body.len() - at - 8;
            let bytes = u64::from(count) * u64::from(size);
            let Some(records) = usize::try_from(bytes).ok().filter(|bytes| *bytes <= left && count > 0) else {
                self.add(findings, &rules::EXT_TRUNCATED, at, || {
                    format!("{count} records of {size} bytes where {left} bytes are left")
                });
                break;
            };
            let section = self.section(name, at, findings);
            self.records(at + 8, count, size, section, findings);
            total += u64::from(count);
            at += 8 + records;
        }
        total
    }

    // The size of the section of code that records are about, if the file is known.
    fn section(&self, name: u32, at: usize, findings: &mut Findings) -> Option<u64> {
        let name = self.btf?.string(name);
        let Some(name) = name else {
            self.add(findings, &rules::EXT_SECTION, at, || "its name is outside the strings".to_owned());
            return None;
        };
        let sections = self.context.sections.as_ref()?;
        let found = sections.iter().find(|(other, _)| other.as_bytes() == name);
        if found.is_none() {
            self.add(findings, &rules::EXT_SECTION, at, || format!("'{}'", String::from_utf8_lossy(name)));
        }
        found.map(|(_, size)| *size)
    }

    fn records(&self, start: usize, count: u32, size: u32, section: Option<u64>, findings: &mut Findings) {
        let mut last = None;
        for index in 0..count as usize {
            let at = start + index * size as usize;
            let Some(offset) = self.word(at) else { return };
            if !offset.is_multiple_of(INSTRUCTION) || section.is_some_and(|size| u64::from(offset) >= size) {
                self.add(findings, &rules::EXT_OFFSET, at, || match section {
                    Some(size) => format!("offset {offset:#x} is no instruction of the {size:#x} bytes"),
                    None => format!("offset {offset:#x} is no multiple of 8"),
                });
            }
            // Relocations may come in any order.
            if self.part != Part::Relocations {
                if last.is_some_and(|last| last >= offset) {
                    self.add(findings, &rules::EXT_ORDER, at, || {
                        format!("offset {offset:#x} does not come after the last")
                    });
                }
                last = Some(offset);
            }
            if let Some(btf) = self.btf {
                match self.part {
                    Part::Functions => self.function(btf, at, findings),
                    Part::Lines => self.line(btf, at, findings),
                    Part::Relocations => self.relocation(btf, at, findings),
                }
            }
        }
    }

    fn function(&self, btf: &Btf<'_>, at: usize, findings: &mut Findings) {
        let id = self.word(at + 4).unwrap_or(0);
        let func = btf.type_by_id(id).filter(|found| found.kind == Kind::Func);
        if func.is_none() {
            self.add(findings, &rules::EXT_FUNCTION, at, || format!("type {id} is no FUNC"));
        }
    }

    fn line(&self, btf: &Btf<'_>, at: usize, findings: &mut Findings) {
        for (place, what) in [(4, "file"), (8, "line")] {
            let offset = self.word(at + place).unwrap_or(0);
            if btf.string(offset).is_none() {
                self.add(findings, &rules::EXT_LINE, at, || {
                    format!("the text of its {what}, at {offset}, is outside the strings")
                });
            }
        }
    }

    fn relocation(&self, btf: &Btf<'_>, at: usize, findings: &mut Findings) {
        let [id, access, kind] = [4, 8, 12].map(|place| self.word(at + place).unwrap_or(0));
        let why = match (btf.type_by_id(id), btf.string(access)) {
            (None, _) => Some(format!("type {id} does not exist")),
            (_, None) => Some("its access string is outside the strings".to_owned()),
            (Some(found), Some(path)) => accesses(btf, &found, path, kind),
        };
        if let Some(why) = why {
            self.add(findings, &rules::EXT_RELOCATION, at, || why);
        }
    }
}

// What is wrong with the path of a relocation: `0:1:2` is member 2 of member 1.
fn accesses(btf: &Btf<'_>, found: &Type<'_>, path: &[u8], kind: u32) -> Option<String> {
    let shown = || String::from_utf8_lossy(path.get(..64).unwrap_or(path)).into_owned();
    let numbers: Option<Vec<u32>> =
        path.split(|byte| *byte == b':').map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect();
    let Some(numbers) = numbers else { return Some(format!("`{}` is not a list of numbers", shown())) };
    match kind {
        // Of fields.
        0..=5 => {
            let bad = field(btf, found, numbers.get(1..).unwrap_or_default());
            bad.map(|index| format!("`{}` has no meaning from number {} on", shown(), index + 2))
        }
        // Of types.
        6..=9 | 12 => (numbers != [0]).then(|| format!("`{}` where only `0` has a meaning", shown())),
        // Of enumerators.
        10 | 11 => {
            let count = behind(btf, found).filter(|found| matches!(found.kind, Kind::Enum | Kind::Enum64));
            match (count, numbers.as_slice()) {
                (Some(found), [index]) if *index < found.vlen => None,
                (None, _) => Some("its type is not an enumeration".to_owned()),
                _ => Some(format!("`{}` is no enumerator", shown())),
            }
        }
        _ => Some(format!("kind {kind} is not known")),
    }
}

// The index of the first number that selects nothing.
fn field(btf: &Btf<'_>, found: &Type<'_>, path: &[u32]) -> Option<usize> {
    let mut at = behind(btf, found);
    for (index, number) in path.iter().enumerate() {
        let next = at.and_then(|found| match found.kind {
            Kind::Struct | Kind::Union => found.member(*number as usize).map(|member| member.type_id),
            Kind::Array => found.array().map(|array| array.element),
            _ => None,
        });
        let Some(next) = next else { return Some(index) };
        at = btf.type_by_id(next).and_then(|found| behind(btf, &found));
    }
    None
}

// What is behind modifiers.
fn behind<'a>(btf: &Btf<'a>, found: &Type<'a>) -> Option<Type<'a>> {
    let mut found = *found;
    for _ in 0..LONGEST_CHAIN {
        if !found.kind.is_modifier() {
            return Some(found);
        }
        found = btf.type_by_id(found.size_or_type)?;
    }
    None
}
