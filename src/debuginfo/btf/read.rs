//! Reading: a chain of files, each a section of types found once by walking it.

use super::header::{Header, Layout, is_obsolete_inline};
use super::{Endian, Error, Grammar, Head, Kind, LONGEST_NAME, Words, cursor};
use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

/// Bytes of the three words that every type has.
const HEAD: usize = 12;

/// A BTF file on its bases. Cheap to clone: nothing of the file is copied.
#[derive(Debug, Clone)]
pub struct Btf<'a> {
    // The base of all first, the file itself last: never empty.
    parts: Vec<Arc<Part<'a>>>,
}

#[derive(Debug)]
struct Part<'a> {
    header: Header,
    types: &'a [u8],
    strings: &'a [u8],
    // A string that begins behind the last NUL has no end.
    ended: usize,
    layout: Layout<'a>,
    walk: Walk,
    grammar: Grammar,
    decided: bool,
    first_id: u32,
    first_string: u32,
}

/// A type as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    /// Its id in the chain.
    pub id: u32,
    /// Its kind.
    pub kind: Kind,
    /// Its name's offset in the chain's strings.
    pub name_off: u32,
    /// How many elements it has; a FUNC's linkage.
    pub vlen: u32,
    /// The top bit of the info word.
    pub kind_flag: bool,
    /// The third word, interpreted by [`super::Shape::head`].
    pub size_or_type: u32,
    /// The info word.
    pub info: u32,
    /// Where it begins in its file's type section.
    pub offset: u32,
    /// The data after the three words.
    pub data: Words<'a>,
    /// How its file is written.
    pub grammar: Grammar,
}

impl<'a> Btf<'a> {
    /// Reads a file, on a base if it is split. Every type of it is there, or this is an error.
    pub fn parse(bytes: &'a [u8], base: Option<&Self>) -> Result<Self, Error> {
        let (btf, stopped) = Self::open(bytes, base)?;
        match stopped {
            Some(error) => Err(error),
            None => Ok(btf),
        }
    }

    /// Reads as much as can be read: types up to the first whose end cannot be
    /// found, and why it cannot.
    ///
    /// The [`Grammar`] is the wide one, unless walking the types with it goes
    /// beyond the section or meets a kind that is not known, while the narrow one
    /// ends exactly there and has no LOC_PARAM with a count; or unless the first LOC_PARAM has a count of 0, which
    /// is how the older series writes them, and the narrow one ends exactly.
    pub fn open(bytes: &'a [u8], base: Option<&Self>) -> Result<(Self, Option<Error>), Error> {
        let header = Header::parse(bytes)?;
        if let Some(base) = base
            && base.endian() != header.endian
        {
            return Err(Error::ByteOrder { base: base.endian() });
        }
        let (first_id, first_string) = base.map_or((1, 0), |base| (base.next_id(), base.string_end()));
        let (types, strings) = (header.type_bytes(bytes)?, header.string_bytes(bytes)?);
        let layout = header.layout(bytes)?;
        let source = Source { types, endian: header.endian, layout, first_id };
        let (grammar, mut walk) = source.decide();
        let counted = u32::try_from(walk.offsets.len()).ok().and_then(|count| first_id.checked_add(count));
        let numbered = u32::try_from(strings.len()).ok().and_then(|len| first_string.checked_add(len));
        if counted.is_none() || numbered.is_none() {
            return Err(Error::TooMany);
        }
        let stopped = walk.stopped.take();
        // The first entry of the obsolete form reads as a type of kind 0.
        if matches!(stopped, Some(Error::Kind { kind: 0, offset: 0, .. })) && is_obsolete_inline(bytes) {
            return Err(Error::Obsolete);
        }
        let decided = walk.high_bits || walk.inline;
        let ended = strings.iter().rposition(|byte| *byte == 0).map_or(0, |last| last + 1);
        let part = Part { header, types, strings, ended, layout, walk, grammar, decided, first_id, first_string };
        let mut parts = base.map(|base| base.parts.clone()).unwrap_or_default();
        parts.push(Arc::new(part));
        Ok((Self { parts }, stopped))
    }

    fn own(&self) -> &Part<'a> {
        self.parts.last().expect("a chain is made with its own part")
    }

    /// The base of this file.
    #[must_use]
    pub fn base(&self) -> Option<Self> {
        let (_, parts) = self.parts.split_last().expect("a chain is made with its own part");
        (!parts.is_empty()).then(|| Self { parts: parts.to_vec() })
    }

    /// Returns whether it is split BTF, which continues a base.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.parts.len() > 1
    }

    /// Returns the file's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.own().header
    }

    /// Returns the layout entries of the file.
    #[must_use]
    pub fn layout(&self) -> Layout<'a> {
        self.own().layout
    }

    /// Returns the byte order.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.own().header.endian
    }

    /// Returns how the file is written.
    #[must_use]
    pub fn grammar(&self) -> Grammar {
        self.own().grammar
    }

    /// Returns whether anything in the file reads differently in the two grammars.
    #[must_use]
    pub fn is_grammar_decided(&self) -> bool {
        self.own().decided
    }

    /// Returns whether the file has any of the kinds of inline BTF.
    #[must_use]
    pub fn has_inline_kinds(&self) -> bool {
        self.own().walk.inline
    }

    /// Returns the first id of the file's own types.
    #[must_use]
    pub fn first_id(&self) -> u32 {
        self.own().first_id
    }

    /// Returns the id after the last.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        self.own().end()
    }

    /// Returns how many types the file itself has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own().walk.offsets.len()
    }

    /// Returns whether the file itself has no types.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a type of the file or of its bases; nothing for 0, which is `void`.
    #[must_use]
    pub fn type_by_id(&self, id: u32) -> Option<Type<'a>> {
        self.parts.iter().rev().find(|part| part.first_id <= id)?.get(id)
    }

    /// Returns the file's own types, by id.
    pub fn types(&self) -> impl Iterator<Item = Type<'a>> + '_ {
        let part = self.own();
        (part.first_id..part.end()).filter_map(|id| part.get(id))
    }

    /// Returns all types, those of the bases first.
    pub fn all_types(&self) -> impl Iterator<Item = Type<'a>> + '_ {
        self.parts.iter().flat_map(|part| (part.first_id..part.end()).filter_map(|id| part.get(id)))
    }

    // The string section that an offset is in, and where in it.
    fn string_place(&self, offset: u32) -> Option<(&Part<'a>, usize)> {
        let part = self.parts.iter().rev().find(|part| part.first_string <= offset)?;
        let at = usize::try_from(offset - part.first_string).ok()?;
        (at < part.ended).then_some((part.as_ref(), at))
    }

    /// Returns the string at an offset, as far as it can be a name: its first [`LONGEST_NAME`]
    /// bytes and one more. A file may have one string of many megabytes that a million members are
    /// named by.
    #[must_use]
    pub fn name(&self, offset: u32) -> Option<&'a [u8]> {
        let (part, at) = self.string_place(offset)?;
        let rest = part.strings.get(at..)?;
        let rest = rest.get(..=LONGEST_NAME).unwrap_or(rest);
        rest.split(|byte| *byte == 0).next()
    }

    /// Returns the string at an offset; nothing where it begins or ends outside its section.
    #[must_use]
    pub fn string(&self, offset: u32) -> Option<&'a [u8]> {
        let (part, at) = self.string_place(offset)?;
        CStr::from_bytes_until_nul(part.strings.get(at..)?).ok().map(CStr::to_bytes)
    }

    /// Returns whether a string of its own begins at an offset, or a writer would point elsewhere.
    #[must_use]
    pub fn is_string_start(&self, offset: u32) -> bool {
        let Some(part) = self.parts.iter().rev().find(|part| part.first_string <= offset) else { return false };
        let Ok(at) = usize::try_from(offset - part.first_string) else { return false };
        at == 0 || part.strings.get(at - 1) == Some(&0)
    }

    /// Returns a name to be shown; what is not there or not UTF-8 shows as that, what is too long
    /// is cut.
    #[must_use]
    pub fn text(&self, offset: u32) -> Cow<'a, str> {
        self.name(offset).map_or(Cow::Borrowed("(invalid-name-offset)"), String::from_utf8_lossy)
    }

    /// Returns the first offset of the file's own strings.
    #[must_use]
    pub fn first_string(&self) -> u32 {
        self.own().first_string
    }

    /// Returns the offset after the last string.
    #[must_use]
    pub fn string_end(&self) -> u32 {
        let part = self.own();
        part.first_string.saturating_add(u32::try_from(part.strings.len()).unwrap_or(u32::MAX))
    }

    /// Returns the file's own string section.
    #[must_use]
    pub fn strings(&self) -> &'a [u8] {
        self.own().strings
    }

    /// Returns the string sections of the chain with the offset each begins at, the first base's
    /// first.
    pub fn string_sections(&self) -> impl Iterator<Item = (u32, &'a [u8])> + '_ {
        self.parts.iter().map(|part| (part.first_string, part.strings))
    }
}

impl<'a> Part<'a> {
    fn end(&self) -> u32 {
        self.first_id.saturating_add(u32::try_from(self.walk.offsets.len()).unwrap_or(u32::MAX))
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        let index = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        let offset = *self.walk.offsets.get(index)?;
        let end = self.walk.offsets.get(index + 1).copied().unwrap_or(self.walk.end);
        let bytes = self.types.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)?;
        let words = Words::new(bytes, self.header.endian);
        let info = words.get(1)?;
        let (vlen, kind) = self.grammar.split(info);
        Some(Type {
            id,
            kind: Kind::from_number(kind),
            name_off: words.get(0)?,
            vlen,
            kind_flag: info >> 31 != 0,
            size_or_type: words.get(2)?,
            info,
            offset,
            data: words.skip(3),
            grammar: self.grammar,
        })
    }
}

/// Where the types of a section begin.
#[derive(Debug, Default)]
struct Walk {
    offsets: Vec<u32>,
    // Where the last one ends.
    end: u32,
    // A bit is set that only the wide info word gives a meaning.
    high_bits: bool,
    inline: bool,
    // The count of the first LOC_PARAM.
    first_param: Option<u32>,
    stopped: Option<Error>,
}

struct Source<'a> {
    types: &'a [u8],
    endian: Endian,
    layout: Layout<'a>,
    first_id: u32,
}

impl Source<'_> {
    fn decide(&self) -> (Grammar, Walk) {
        let wide = self.walk(Grammar::Wide);
        let old_params = wide.first_param == Some(0);
        if !old_params && wide.stopped.is_none() {
            return (Grammar::Wide, wide);
        }
        let narrow = self.walk(Grammar::Narrow);
        let may_be_narrow = narrow.first_param.is_none_or(|count| count == 0);
        if (narrow.stopped.is_none() && may_be_narrow) || (old_params && wide.stopped.is_some()) {
            return (Grammar::Narrow, narrow);
        }
        (Grammar::Wide, wide)
    }

    fn walk(&self, grammar: Grammar) -> Walk {
        let mut walk = Walk::default();
        let mut at = 0;
        while at < self.types.len() {
            match self.step(grammar, at, &mut walk) {
                Ok(next) => at = next,
                Err(error) => {
                    walk.stopped = Some(error);
                    break;
                }
            }
        }
        walk
    }

    // Notes the type that begins at `at`; where the next one does.
    fn step(&self, grammar: Grammar, at: usize, walk: &mut Walk) -> Result<usize, Error> {
        // A section is addressed by 32 bits, so what lies in it is too.
        let offset = u32::try_from(at).map_err(|_| Error::TooMany)?;
        let id = u32::try_from(walk.offsets.len()).ok().and_then(|index| self.first_id.checked_add(index));
        let id = id.ok_or(Error::TooMany)?;
        let left = self.types.len() - at;
        let truncated = |kind, needs| Error::Truncated { id, kind, offset, needs, left: left as u64 };
        let info = cursor::u32_at(self.types, at + 4, self.endian).filter(|_| left >= HEAD);
        let info = info.ok_or_else(|| truncated(Kind::Other(0), HEAD as u64))?;
        let (vlen, number) = grammar.split(info);
        let kind = Kind::from_number(number);
        let data = match kind.shape(grammar) {
            Some(shape) => shape.data_len(vlen),
            // Kind 0 is never a type, even if a layout describes it.
            None if number == 0 => return Err(Error::Kind { id, kind: number, offset }),
            None => match self.layout.entry(number) {
                Some(entry) => entry.data_len(vlen),
                None => return Err(Error::Kind { id, kind: number, offset }),
            },
        };
        let needs = HEAD as u64 + data;
        let len = usize::try_from(needs).ok().filter(|len| *len <= left).ok_or_else(|| truncated(kind, needs))?;
        walk.high_bits |= info & !Grammar::Narrow.mask() != 0;
        walk.inline |= kind.is_inline();
        if kind == Kind::LocParam && walk.first_param.is_none() {
            walk.first_param = Some(vlen);
        }
        walk.offsets.push(offset);
        walk.end = u32::try_from(at + len).map_err(|_| Error::TooMany)?;
        Ok(at + len)
    }
}

impl<'a> Type<'a> {
    /// Returns every type id it holds, in order, 0 included.
    pub fn references(&self) -> impl Iterator<Item = u32> + use<'a> {
        let shape = self.kind.shape(self.grammar);
        let head = shape.filter(|shape| shape.head == Head::Type).map(|_| self.size_or_type);
        let (once, each) = shape.map_or((0, 0), |shape| (shape.fixed_types, shape.element_types));
        head.into_iter().chain(self.words_of(once, each))
    }

    /// Returns every string offset it holds, its name first, 0 included.
    pub fn names(&self) -> impl Iterator<Item = u32> + use<'a> {
        let each = self.kind.shape(self.grammar).map_or(0, |shape| shape.element_names);
        std::iter::once(self.name_off).chain(self.words_of(0, each))
    }

    // The words of the data that the masks name: `once` of the single ones, `each` of an element's.
    fn words_of(&self, once: u8, each: u8) -> impl Iterator<Item = u32> + use<'a> {
        let shape = self.kind.shape(self.grammar);
        let (fixed, element) = shape.map_or((0, 1), |shape| (usize::from(shape.fixed), shape.element.max(1)));
        // Kinds without an id or a name in their data are not walked at all.
        let data = if once == 0 && each == 0 { self.data.skip(self.data.len()) } else { self.data };
        let single = data.iter().take(fixed).enumerate().filter(move |(place, _)| once >> place & 1 != 0);
        let mut place = 0;
        let rest = data.skip(fixed).iter().filter(move |_| {
            let wanted = each >> place & 1 != 0;
            place = if place + 1 == element { 0 } else { place + 1 };
            wanted
        });
        single.map(|(_, word)| word).chain(rest)
    }
}
