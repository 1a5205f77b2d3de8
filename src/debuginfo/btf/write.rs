//! Writing BTF: types are collected with provisional ids, then sorted, numbered
//! again and written in one pass.
//!
//! The output is always in the wide grammar's form (iii) unless a test asks
//! for the narrow one; the header has 24 bytes, or 32 and a layout section, which
//! stands between types and strings because it must be aligned and the strings
//! end anywhere.

use super::output::Output;
use super::strings::{index, texts};
use super::{Btf, Endian, Grammar, HEADER_24, HEADER_32, Head, Kind, LocSite, MAGIC, MAX_VLEN, Param, Type, VERSION};
use indexmap::IndexMap;
use std::collections::HashMap;

/// Why a file cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More than 32 bits can address.
    #[error("the {what} are more than 32 bits can address")]
    TooLarge {
        /// `types` or `strings`
        what: &'static str,
    },
    /// A count beyond the info word's.
    #[error("{count} elements of a {kind} are more than the info word can count")]
    Count {
        /// Of what kind.
        kind: Kind,
        /// How many.
        count: u64,
    },
    /// A type whose data is not whole words cannot be copied.
    #[error("type {id} has data that is not a whole number of words")]
    Copy {
        /// Its id.
        id: u32,
    },
}

/// In which order types are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By name, those without one first, otherwise as they came: kernels search
    /// names by bisection.
    #[default]
    ByName,
    /// As they came; LOCSECs last.
    AsPushed,
}

/// From provisional ids to those in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    first_id: u32,
    ids: Vec<u32>,
}

impl IdMap {
    /// Returns the id in the file. Ids of the base, and those that were never given, stay.
    #[must_use]
    pub fn get(&self, id: u32) -> u32 {
        let index = id.checked_sub(self.first_id).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.ids.get(index)).copied().unwrap_or(id)
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    name: u32,
    kind: Kind,
    kind_flag: bool,
    vlen: u32,
    size_or_type: u32,
    // Its words in `Builder::words`.
    start: usize,
    len: usize,
}

/// Collects types and writes them.
#[derive(Debug)]
pub struct Builder<'a> {
    base: Option<Btf<'a>>,
    base_strings: HashMap<&'a [u8], u32>,
    endian: Endian,
    header_32: bool,
    grammar: Grammar,
    order: Order,
    first_id: u32,
    first_string: u32,
    strings: Vec<u8>,
    own_strings: HashMap<Box<[u8]>, u32>,
    records: Vec<Record>,
    words: Vec<u32>,
    // By kind and words: of LOC_PARAM, LOC_PROTO and FUNC_PROTO.
    known: [HashMap<Box<[u32]>, u32>; 3],
    scratch: Vec<u32>,
    sections: IndexMap<u32, Vec<LocSite>>,
    // How many sites one LOCSEC holds; a test lowers it.
    pub(super) most_sites: u32,
    trouble: Option<WriteError>,
}

impl<'a> Builder<'a> {
    /// Returns a file on a base, or on none. With `header_32` it has a layout section.
    #[must_use]
    pub fn new(base: Option<&Btf<'a>>, endian: Endian, header_32: bool) -> Self {
        let mut builder = Self {
            base: base.cloned(),
            base_strings: base.map(index).unwrap_or_default(),
            endian,
            header_32,
            grammar: Grammar::Wide,
            order: Order::ByName,
            first_id: base.map_or(1, Btf::next_id),
            first_string: base.map_or(0, Btf::string_end),
            strings: Vec::new(),
            own_strings: HashMap::new(),
            records: Vec::new(),
            words: Vec::new(),
            known: Default::default(),
            scratch: Vec::new(),
            sections: IndexMap::new(),
            most_sites: MAX_VLEN,
            trouble: None,
        };
        if base.is_none() {
            // Offset 0 is the empty name, in the first string section of a chain.
            builder.strings.push(0);
            builder.own_strings.insert(Box::default(), 0);
        }
        builder
    }

    /// In another order than by name.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// With info words of another grammar. LOCSECs by [`Self::locsec`] are form (iii) all the same.
    #[must_use]
    pub fn grammar(mut self, grammar: Grammar) -> Self {
        self.grammar = grammar;
        self
    }

    /// Returns how many types there are so far, LOCSECs not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns how many types of a kind there are so far.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.records.iter().filter(|record| record.kind == kind).count()
    }

    /// Returns the offset of a string: the base's where it has it. What stands after a NUL is left
    /// out.
    pub fn string(&mut self, text: impl AsRef<[u8]>) -> u32 {
        let text = text.as_ref();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.base_strings.get(text).or_else(|| self.own_strings.get(text)) {
            return *offset;
        }
        let offset = u32::try_from(self.strings.len()).ok().and_then(|at| self.first_string.checked_add(at));
        let Some(offset) = offset else {
            self.trouble.get_or_insert(WriteError::TooLarge { what: "strings" });
            return 0;
        };
        self.strings.extend_from_slice(text);
        self.strings.push(0);
        self.own_strings.insert(text.into(), offset);
        offset
    }

    /// Adds a type of any kind, with the words that follow its first three. Its
    /// provisional id, which other types may use at once.
    pub fn push(&mut self, kind: Kind, name: u32, kind_flag: bool, vlen: u32, size_or_type: u32, words: &[u32]) -> u32 {
        let (start, len) = (self.words.len(), words.len());
        self.words.extend_from_slice(words);
        if self.grammar.split(vlen) != (vlen, 0) {
            self.trouble.get_or_insert(WriteError::Count { kind, count: vlen.into() });
        }
        self.records.push(Record { name, kind, kind_flag, vlen, size_or_type, start, len });
        let id = u32::try_from(self.records.len()).ok().and_then(|count| self.first_id.checked_add(count - 1));
        id.unwrap_or_else(|| {
            self.trouble.get_or_insert(WriteError::TooLarge { what: "types" });
            0
        })
    }

    /// Returns a FUNC_PROTO; an equal one there is already is used again. `...` is a last parameter
    /// without name and type.
    pub fn func_proto(&mut self, returns: u32, params: &[Param]) -> u32 {
        let words = params.iter().flat_map(|param| [param.name_off, param.type_id]);
        self.once(Kind::FuncProto, params.len(), returns, words)
    }

    /// Returns a FUNC with a linkage: 0 static, 1 global, 2 extern.
    pub fn func(&mut self, name: impl AsRef<[u8]>, proto: u32, linkage: u32) -> u32 {
        let name = self.string(name);
        self.push(Kind::Func, name, false, linkage, proto, &[])
    }

    /// Returns a LOC_PARAM; an equal one there is already is used again.
    pub fn loc_param(&mut self, size: u32, flags: u32, values: &[u32]) -> u32 {
        self.once(Kind::LocParam, values.len(), size, std::iter::once(flags).chain(values.iter().copied()))
    }

    /// Returns a LOC_PROTO of LOC_PARAMs, 0 for what is not available; an equal one there is
    /// already is used again.
    pub fn loc_proto(&mut self, params: &[u32]) -> u32 {
        self.once(Kind::LocProto, params.len(), 0, params.iter().copied())
    }

    /// Adds sites to the LOCSEC of an ELF section. They are sorted when the file is
    /// written; a section of too many sites becomes several LOCSECs.
    pub fn locsec(&mut self, section: impl AsRef<[u8]>, sites: impl IntoIterator<Item = LocSite>) {
        let name = self.string(section);
        self.sections.entry(name).or_default().extend(sites);
    }

    /// Copies all own types of a file and its strings with their offsets, so that
    /// writing it as pushed gives the same types again. It must have this
    /// builder's base, and nothing may have been added before.
    pub fn copy(&mut self, btf: &Btf<'_>) -> Result<(), WriteError> {
        self.strings = btf.strings().to_vec();
        self.own_strings.clear();
        for (offset, text) in texts(btf.first_string(), btf.strings()) {
            self.own_strings.entry(text.into()).or_insert(offset);
        }
        for found in btf.types() {
            self.copy_type(&found)?;
        }
        Ok(())
    }

    fn copy_type(&mut self, found: &Type<'_>) -> Result<u32, WriteError> {
        if !found.data.bytes().len().is_multiple_of(4) {
            return Err(WriteError::Copy { id: found.id });
        }
        let words: Vec<u32> = found.data.iter().collect();
        Ok(self.push(found.kind, found.name_off, found.kind_flag, found.vlen, found.size_or_type, &words))
    }

    // A type without a name that is only needed once.
    fn once(&mut self, kind: Kind, vlen: usize, size_or_type: u32, words: impl Iterator<Item = u32>) -> u32 {
        let place = match kind {
            Kind::LocParam => 0,
            Kind::LocProto => 1,
            _ => 2,
        };
        // The third word belongs to what makes it equal. One buffer serves all: most are there already.
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        key.push(size_or_type);
        key.extend(words);
        let known = self.known.get(place).and_then(|known| known.get(key.as_slice())).copied();
        let id = known.unwrap_or_else(|| {
            let vlen = u32::try_from(vlen).unwrap_or(u32::MAX);
            let id = self.push(kind, 0, false, vlen, size_or_type, key.get(1..).unwrap_or_default());
            if let Some(known) = self.known.get_mut(place) {
                known.insert(key.as_slice().into(), id);
            }
            id
        });
        self.scratch = key;
        id
    }

    /// Returns the file's bytes.
    pub fn finish(self) -> Result<Vec<u8>, WriteError> {
        self.finish_with_ids().map(|(bytes, _)| bytes)
    }

    /// Returns the file's bytes, and what became of the provisional ids.
    pub fn finish_with_ids(mut self) -> Result<(Vec<u8>, IdMap), WriteError> {
        let sections: Vec<(u32, Vec<LocSite>)> = std::mem::take(&mut self.sections).into_iter().collect();
        let own = self.records.len();
        for (index, (name, sites)) in sections.iter().enumerate() {
            // Several, where the count would not fit; `start` identifies the section.
            for chunk in sites.chunks(self.most_sites as usize) {
                let vlen = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                let (name, kind) = (*name, Kind::LocSec);
                let start = index;
                self.records.push(Record { name, kind, kind_flag: false, vlen, size_or_type: 0, start, len: 0 });
            }
        }
        let order = self.sorted();
        let ids = self.numbered(&order)?;
        let mut out = Output { bytes: Vec::new(), endian: self.endian };
        self.header_placeholder(&mut out);
        let mut rests: Vec<std::vec::IntoIter<LocSite>> =
            sections.into_iter().map(|(_, sites)| sorted_sites(sites, &ids).into_iter()).collect();
        for index in order {
            let Some(record) = self.records.get(index) else { continue };
            if index < own {
                self.write(record, &ids, &mut out);
            } else if let Some(rest) = rests.get_mut(record.start) {
                self.write_head(record, &ids, &mut out);
                for site in rest.take(record.vlen as usize) {
                    out.words(&[site.func, site.loc_proto, site.offset]);
                }
            }
        }
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let bytes = self.close(out)?;
        Ok((bytes, ids))
    }

    // Places in `records` in the order they are written.
    fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.records.len()).collect();
        if self.order == Order::ByName {
            let names: Vec<&[u8]> = self.records.iter().map(|record| self.name(record.name)).collect();
            order.sort_by_key(|index| names.get(*index).copied().unwrap_or_default());
        }
        order
    }

    fn name(&self, offset: u32) -> &[u8] {
        let Some(own) = offset.checked_sub(self.first_string) else {
            return self.base.as_ref().and_then(|base| base.name(offset)).unwrap_or_default();
        };
        let text = usize::try_from(own).ok().and_then(|at| self.strings.get(at..)).unwrap_or_default();
        text.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn numbered(&self, order: &[usize]) -> Result<IdMap, WriteError> {
        let mut ids = vec![0; order.len()];
        for (place, index) in order.iter().enumerate() {
            let id = u32::try_from(place).ok().and_then(|place| self.first_id.checked_add(place));
            if let Some(slot) = ids.get_mut(*index) {
                *slot = id.ok_or(WriteError::TooLarge { what: "types" })?;
            }
        }
        Ok(IdMap { first_id: self.first_id, ids })
    }

    fn header_len(&self) -> u32 {
        if self.header_32 { HEADER_32 } else { HEADER_24 }
    }

    fn header_placeholder(&self, out: &mut Output) {
        let words = self.records.len() * 3 + self.words.len();
        let sites: usize =
            self.records.iter().filter(|record| record.kind == Kind::LocSec).map(|r| r.vlen as usize).sum();
        out.bytes.reserve((words + sites * 3) * 4 + self.strings.len() + 256);
        out.bytes.resize(self.header_len() as usize, 0);
    }

    fn write_head(&self, record: &Record, ids: &IdMap, out: &mut Output) {
        let kind = u32::from(record.kind.number());
        let info = u32::from(record.kind_flag) << 31 | kind << 24 | record.vlen;
        let is_type = record.kind.shape(self.grammar).is_some_and(|shape| shape.head == Head::Type);
        let third = if is_type { ids.get(record.size_or_type) } else { record.size_or_type };
        out.words(&[record.name, info, third]);
    }

    fn write(&self, record: &Record, ids: &IdMap, out: &mut Output) {
        self.write_head(record, ids, out);
        let words = self.words.get(record.start..record.start + record.len).unwrap_or_default();
        let Some(shape) = record.kind.shape(self.grammar) else {
            out.words(words);
            return;
        };
        let (fixed, elements) = words.split_at(usize::from(shape.fixed).min(words.len()));
        let mut put = |group: &[u32], types: u8| {
            for (place, word) in group.iter().enumerate() {
                out.word(if types >> place & 1 != 0 { ids.get(*word) } else { *word });
            }
        };
        put(fixed, shape.fixed_types);
        for element in elements.chunks(usize::from(shape.element.max(1))) {
            put(element, shape.element_types);
        }
    }

    // Adds layout and strings, and fills in the header.
    fn close(self, mut out: Output) -> Result<Vec<u8>, WriteError> {
        let header = self.header_len() as usize;
        let len = |out: &Output| u32::try_from(out.bytes.len() - header);
        let type_len = len(&out).map_err(|_| WriteError::TooLarge { what: "types" })?;
        if self.header_32 {
            out.layout(self.grammar);
        }
        let str_off = len(&out).map_err(|_| WriteError::TooLarge { what: "types" })?;
        out.bytes.extend_from_slice(&self.strings);
        let str_len = u32::try_from(self.strings.len()).ok();
        let str_len = str_len.filter(|_| len(&out).is_ok()).ok_or(WriteError::TooLarge { what: "strings" })?;
        let mut head = Output { bytes: Vec::with_capacity(header), endian: self.endian };
        head.half(MAGIC);
        head.bytes.extend([VERSION, 0]);
        head.words(&[self.header_len(), 0, type_len, str_off, str_len]);
        if self.header_32 {
            head.words(&[type_len, str_off - type_len]);
        }
        if let Some(place) = out.bytes.get_mut(..header) {
            place.copy_from_slice(&head.bytes);
        }
        Ok(out.bytes)
    }
}

fn sorted_sites(mut sites: Vec<LocSite>, ids: &IdMap) -> Vec<LocSite> {
    for site in &mut sites {
        site.func = ids.get(site.func);
        site.loc_proto = ids.get(site.loc_proto);
    }
    sites.sort_unstable();
    sites
}
