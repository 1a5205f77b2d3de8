//! The symbols of a kernel or module, and the code in which kernels accept no kprobe.

use crate::debuginfo::btf::is_identifier;
use crate::debuginfo::elf::{self, Elf};
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{Endianness, SymbolKind};
use std::collections::{BTreeSet, HashMap};

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The symbol table or a section cannot be read.
    #[error(transparent)]
    Elf(#[from] elf::Error),
    /// There is none.
    #[error("no symbol table: probes are defined relative to symbols")]
    NoSymbols,
    /// A line of kallsyms.
    #[error("line {line} is not a line of kallsyms: `{text}`")]
    Kallsyms {
        /// Which, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// All addresses are 0.
    #[error("all addresses are 0: the kernel hides them from this user (kernel.kptr_restrict)")]
    Hidden,
}

/// A symbol of the code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    /// Its address.
    pub address: u64,
    /// Where its code ends.
    pub end: u64,
    /// Its name.
    pub name: String,
}

/// A kernel, a module or a program, as far as probes need it.
#[derive(Debug, Default)]
pub struct Image {
    // By address.
    symbols: Vec<Symbol>,
    // How many symbols have a name; kprobes refuse a name that several have.
    counts: HashMap<String, u32>,
    // Symbols without code that mark places.
    marks: HashMap<String, u64>,
    sections: Vec<(String, u64)>,
    base: u64,
    machine: u16,
    address_size: u8,
    module: Option<String>,
    is_kernel: bool,
    // From, to, and what it is.
    forbidden: Vec<(u64, u64, String)>,
    // Instructions that the kernel rewrites.
    rewritten: BTreeSet<u64>,
}

/// Code that `register_kprobe` refuses, by the symbols around it.
const FORBIDDEN: [(&str, &str, &str); 6] = [
    ("__noinstr_text_start", "__noinstr_text_end", "noinstr code"),
    ("__entry_text_start", "__entry_text_end", "entry code"),
    ("__kprobes_text_start", "__kprobes_text_end", "the code of kprobes"),
    ("__idmap_text_start", "__idmap_text_end", "identity-mapped code"),
    ("__hyp_text_start", "__hyp_text_end", "hypervisor code"),
    ("__hibernate_exit_text_start", "__hibernate_exit_text_end", "the code that resumes from hibernation"),
];
/// The same by sections of modules.
const FORBIDDEN_SECTIONS: [(&str, &str); 3] =
    [(".noinstr.text", "noinstr code"), (".entry.text", "entry code"), (".kprobes.text", "the code of kprobes")];

impl Image {
    /// Of an ELF file.
    pub fn of_elf(elf: &Elf<'_>) -> Result<Self, ImageError> {
        let mut image = Self {
            machine: elf.machine(),
            address_size: elf.address_size(),
            base: elf
                .sections()
                .iter()
                .filter(|section| section.is_allocated())
                .map(|section| section.address)
                .min()
                .unwrap_or(0),
            ..Self::default()
        };
        let code = elf.sections().iter().filter(|section| section.is_code() && section.is_allocated());
        image.sections = code.map(|section| (section.name.clone(), section.address)).collect();
        let functions = elf.functions();
        for symbol in elf.object().symbols() {
            if matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section) || symbol.is_undefined() {
                continue;
            }
            let Ok(name) = symbol.name() else { continue };
            *image.counts.entry(name.to_owned()).or_default() += 1;
            image.marks.entry(name.to_owned()).or_insert(symbol.address());
        }
        if functions.is_empty() {
            return Err(ImageError::NoSymbols);
        }
        image.symbols = functions
            .into_iter()
            .map(|function| Symbol {
                address: function.address,
                end: function.address.saturating_add(function.size.max(1)),
                name: function.name,
            })
            .collect();
        image.module = module_name(elf)?;
        image.is_kernel = image.module.is_some() || image.marks.contains_key("linux_banner");
        image.mark_forbidden(elf)?;
        Ok(image)
    }

    /// Of the text of kallsyms: the kernel, or one of its modules. `machine` and `address_size` are those of the kernel.
    pub fn of_kallsyms(text: &str, machine: u16, address_size: u8, module: Option<&str>) -> Result<Self, ImageError> {
        let of_module = module.map(|module| format!("[{module}]"));
        let mut image =
            Self { machine, address_size, is_kernel: true, module: module.map(str::to_owned), ..Self::default() };
        let mut code: Vec<(u64, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let bad = || ImageError::Kallsyms { line: index + 1, text: line.to_owned() };
            let address = words.next().and_then(|word| u64::from_str_radix(word, 16).ok()).ok_or_else(bad)?;
            let kind = words.next().ok_or_else(bad)?;
            let name = words.next().ok_or_else(bad)?;
            // Symbols of modules follow those of the kernel.
            if words.next() != of_module.as_deref() {
                continue;
            }
            *image.counts.entry(name.to_owned()).or_default() += 1;
            image.marks.entry(name.to_owned()).or_insert(address);
            if matches!(kind, "t" | "T" | "w" | "W") {
                code.push((address, name.to_owned()));
            }
        }
        if code.is_empty() {
            return Err(ImageError::NoSymbols);
        }
        if code.iter().all(|(address, _)| *address == 0) {
            return Err(ImageError::Hidden);
        }
        code.sort();
        let ends: Vec<u64> = {
            let mut end = u64::MAX;
            let mut ends: Vec<u64> = Vec::with_capacity(code.len());
            for (index, (address, _)) in code.iter().enumerate().rev() {
                if let Some((next, _)) = code.get(index + 1).filter(|(next, _)| next != address) {
                    end = *next;
                }
                ends.push(end);
            }
            ends.reverse();
            ends
        };
        image.symbols =
            code.into_iter().zip(ends).map(|((address, name), end)| Symbol { address, end, name }).collect();
        let mark = |name: &str| image.marks.get(name).copied();
        let starts = [(".text", mark("_stext")), (".init.text", mark("_sinittext"))];
        image.base = mark("_text").or_else(|| mark("_stext")).unwrap_or(0);
        image.sections = starts.into_iter().filter_map(|(name, start)| Some((name.to_owned(), start?))).collect();
        image.mark_ranges();
        Ok(image)
    }

    fn mark_ranges(&mut self) {
        let ranges = FORBIDDEN
            .iter()
            .filter_map(|(from, to, what)| Some((*self.marks.get(*from)?, *self.marks.get(*to)?, (*what).to_owned())));
        self.forbidden = ranges.collect();
    }

    fn mark_forbidden(&mut self, elf: &Elf<'_>) -> Result<(), ImageError> {
        self.mark_ranges();
        for section in elf.sections().iter().filter(|section| section.is_code()) {
            if let Some((_, what)) = FORBIDDEN_SECTIONS.iter().find(|(name, _)| *name == section.name) {
                let end = section.address.saturating_add(section.size);
                self.forbidden.push((section.address, end, (*what).to_owned()));
            }
        }
        for address in
            self.table(elf, "__start_kprobe_blacklist", "__stop_kprobe_blacklist", self.address_size.into())?
        {
            let listed = number(&address.1, elf.endian());
            let named = self.symbol_at(listed).filter(|symbol| symbol.address == listed).cloned();
            if let Some(symbol) = named {
                self.forbidden.push((symbol.address, symbol.end, format!("{}, which is NOKPROBE_SYMBOL", symbol.name)));
            }
        }
        // Entries begin with the distance to the instruction, as 32 bits.
        for (start, stop, size) in [
            ("__start___jump_table", "__stop___jump_table", 16),
            ("__start_static_call_sites", "__stop_static_call_sites", 8),
        ] {
            if elf.address_size() != 8 {
                continue;
            }
            for (at, entry) in self.table(elf, start, stop, size)? {
                let distance = number(entry.get(..4).unwrap_or_default(), elf.endian()) as u32;
                self.rewritten.insert(at.wrapping_add_signed(i64::from(distance.cast_signed())));
            }
        }
        Ok(())
    }

    // The entries between two symbols, each with its address.
    fn table(&self, elf: &Elf<'_>, start: &str, stop: &str, size: usize) -> Result<Vec<(u64, Vec<u8>)>, ImageError> {
        let (Some(start), Some(stop)) = (self.marks.get(start), self.marks.get(stop)) else { return Ok(Vec::new()) };
        let holds = |section: &&elf::Section| {
            section.is_allocated()
                && section.kind != object::elf::SHT_NOBITS.0
                && section.address <= *start
                && *stop <= section.address.saturating_add(section.size)
        };
        let Some(section) = elf.sections().iter().find(holds) else { return Ok(Vec::new()) };
        let data = elf.data(section)?;
        let from = usize::try_from(start - section.address).unwrap_or(usize::MAX);
        let to = usize::try_from(stop.saturating_sub(section.address)).unwrap_or(usize::MAX);
        let bytes = data.bytes.get(from..to).unwrap_or_default();
        Ok((*start..).step_by(size).zip(bytes.chunks_exact(size).map(<[u8]>::to_vec)).collect())
    }

    /// Returns the symbol whose code an address is in.
    #[must_use]
    pub fn symbol_at(&self, address: u64) -> Option<&Symbol> {
        let before = self.symbols.partition_point(|symbol| symbol.address <= address);
        let before = self.symbols.get(..before)?;
        // Of several names of one place, one that nothing else has.
        let nearest = before.iter().rev().take(64).find(|symbol| address < symbol.end)?;
        let aliases = before.iter().rev().skip_while(|symbol| symbol.address > nearest.address);
        let aliases = aliases.take_while(|symbol| symbol.address == nearest.address && address < symbol.end);
        let unique = aliases.filter(|symbol| self.is_unique(&symbol.name)).last();
        Some(unique.unwrap_or(nearest))
    }

    /// Returns the nearest symbol of any kind at or before an address that no other has the name of, and the
    /// distance from it.
    #[must_use]
    pub fn symbol_near(&self, address: u64) -> Option<(&str, u64)> {
        let before = self
            .marks
            .iter()
            .filter(|(name, at)| **at <= address && self.is_unique(name) && is_identifier(name.as_bytes()));
        let (name, at) = before.max_by_key(|(name, at)| (**at, std::cmp::Reverse(*name)))?;
        Some((name, address - at))
    }

    /// Returns whether exactly one symbol has a name.
    #[must_use]
    pub fn is_unique(&self, name: &str) -> bool {
        self.counts.get(name) == Some(&1)
    }

    /// Returns a part that the compiler split off a function, whose name no other symbol has.
    #[must_use]
    pub fn part_of(&self, name: &str) -> Option<&Symbol> {
        let is_part = |symbol: &&Symbol| {
            let rest = symbol.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(".part.")) && self.is_unique(&symbol.name)
        };
        self.symbols.iter().find(is_part)
    }

    /// Returns the addresses of the functions of a name.
    pub fn addresses_of<'n>(&'n self, name: &'n str) -> impl Iterator<Item = u64> + 'n {
        self.symbols.iter().filter(move |symbol| symbol.name == name).map(|symbol| symbol.address)
    }

    /// Returns the address of the kernel's `_text`.
    #[must_use]
    pub fn text(&self) -> Option<u64> {
        self.marks.get("_text").copied().filter(|_| self.module.is_none())
    }

    /// Returns the start of a section of code.
    #[must_use]
    pub fn section_start(&self, name: &str) -> Option<u64> {
        self.sections.iter().find(|(other, _)| other == name).map(|(_, start)| *start)
    }

    /// Returns why the kernel accepts no kprobe at an address.
    #[must_use]
    pub fn forbids(&self, address: u64) -> Option<String> {
        if self.rewritten.contains(&address) {
            return Some(
                "the kernel rewrites the instruction (static branch or static call), so kprobes refuse it".to_owned(),
            );
        }
        let range = self.forbidden.iter().find(|(from, to, _)| (*from..*to).contains(&address))?;
        Some(format!("kprobes are not allowed in {}", range.2))
    }

    /// Returns whether an address is in code that is freed after boot.
    #[must_use]
    pub fn is_init(&self, address: u64, section: Option<&str>) -> bool {
        let (from, to) = (self.marks.get("__init_begin"), self.marks.get("__init_end"));
        let freed = from.zip(to).is_some_and(|(from, to)| (*from..*to).contains(&address));
        let marked = section
            .is_some_and(|name| name.starts_with(".init") || (self.module.is_none() && name.starts_with(".exit")));
        freed || marked
    }

    /// Returns whether kprobes are part of the kernel; nothing for a module or a program.
    #[must_use]
    pub fn has_kprobes(&self) -> Option<bool> {
        (self.is_kernel && self.module.is_none()).then(|| self.marks.contains_key("register_kprobe"))
    }

    /// Returns whether it is a kernel or a module of one.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.is_kernel
    }

    /// Returns the name of a module; nothing for a kernel.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// Adds a section of code that was loaded at an address.
    pub fn add_section(&mut self, name: &str, address: u64) {
        self.sections.push((name.to_owned(), address));
    }

    /// Returns whether the registers of the machine have names.
    #[must_use]
    pub fn knows_registers(&self) -> bool {
        super::registers::is_known(self.machine)
    }

    /// Makes it a module of this name.
    pub fn set_module(&mut self, name: &str) {
        self.module = Some(name.to_owned());
        self.is_kernel = true;
    }

    /// Returns the lowest allocated address.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// `e_machine`
    #[must_use]
    pub fn machine(&self) -> u16 {
        self.machine
    }

    /// Bytes of an address.
    #[must_use]
    pub fn address_size(&self) -> u8 {
        self.address_size
    }
}

fn number(bytes: &[u8], endian: Endianness) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endianness::Big => bytes.iter().fold(0, fold),
        Endianness::Little => bytes.iter().rev().fold(0, fold),
    }
}

// `name=` of a module's .modinfo.
fn module_name(elf: &Elf<'_>) -> Result<Option<String>, elf::Error> {
    let Some(data) = elf.data_named(".modinfo")?.filter(|_| elf.is_relocatable()) else { return Ok(None) };
    let fields = data.bytes.split(|byte| *byte == 0);
    let name = fields.filter_map(|field| field.strip_prefix(b"name=")).next();
    Ok(name.map(|name| String::from_utf8_lossy(name).into_owned()))
}

/// Returns the build ID of an ELF file.
#[must_use]
pub fn build_id(elf: &Elf<'_>) -> Option<Vec<u8>> {
    if let Ok(Some(id)) = elf.object().build_id() {
        return Some(id.to_vec());
    }
    // A kernel keeps it among its notes.
    let notes = elf.object().section_by_name(".notes").and_then(|section| section.data().ok())?;
    notes_build_id(notes, elf.endian() == Endianness::Big)
}

/// Returns the build ID among notes, such as those of `/sys/kernel/notes`.
#[must_use]
pub fn notes_build_id(bytes: &[u8], big: bool) -> Option<Vec<u8>> {
    let endian = if big { Endianness::Big } else { Endianness::Little };
    let mut rest = bytes;
    loop {
        let word = |index: usize| Some(number(rest.get(index * 4..index * 4 + 4)?, endian) as usize);
        let (name_len, len, kind) = (word(0)?, word(1)?, word(2)?);
        let name = rest.get(12..12usize.checked_add(name_len)?)?;
        let start = 12usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let data = rest.get(start..start.checked_add(len)?)?;
        if kind == 3 && name == b"GNU\0" {
            return Some(data.to_vec());
        }
        rest = rest.get(start.checked_add(len.checked_next_multiple_of(4)?)?..)?;
    }
}
