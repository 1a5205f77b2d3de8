//! The size of a kernel's code by section and by function, and what changed of it: the question of the kernel's
//! `scripts/bloat-o-meter`, by the same rules.

use crate::base::StageName;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf};
use std::collections::{BTreeMap, BTreeSet};

/// The size of the code of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeSize {
    /// Bytes of each section that is loaded.
    pub sections: BTreeMap<String, u64>,
    /// Bytes of each function; those of static functions of one name together.
    pub functions: BTreeMap<String, u64>,
    /// The lowest address of each function.
    pub addresses: BTreeMap<String, u64>,
}

/// A section or a function that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// Its name.
    pub name: String,
    /// Bytes before; `None` if it is new.
    pub before: Option<u64>,
    /// Bytes now; `None` if it is gone.
    pub after: Option<u64>,
}

impl Growth {
    /// Returns the bytes that it grew by; negative if it shrank.
    #[must_use]
    pub fn delta(&self) -> i64 {
        let bytes = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
        bytes(self.after) - bytes(self.before)
    }
}

/// What changed of the code of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChange {
    /// The stage whose result has the file.
    pub stage: StageName,
    /// The file, below the result.
    pub file: String,
    /// Sections that changed, the largest change first.
    pub sections: Vec<Growth>,
    /// Functions that changed, the largest change first.
    pub functions: Vec<Growth>,
    /// The function with the lowest address whose size changed, as a disassembly of the later file meets it first; `None`
    /// if functions are only gone.
    pub first: Option<String>,
    /// Bytes of all functions before.
    pub before: u64,
    /// Bytes of all functions now.
    pub after: u64,
}

impl CodeSize {
    /// Reads a linked ELF file; `None` for any other file, and for one without function symbols.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let file = object::File::parse(data).ok()?;
        if !matches!(file.kind(), object::ObjectKind::Executable | object::ObjectKind::Dynamic) {
            return None;
        }
        let mut size = Self::default();
        for section in file.sections() {
            let loaded =
                matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_ALLOC));
            if let (true, Ok(name)) = (loaded, section.name()) {
                *size.sections.entry(name.to_owned()).or_default() += section.size();
            }
        }
        // Names of one address are one function.
        let mut seen = BTreeSet::new();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
            let Ok(name) = symbol.name() else { continue };
            if seen.insert((symbol.address(), without_number(name))) {
                *size.functions.entry(without_number(name).to_owned()).or_default() += symbol.size();
                let lowest = size.addresses.entry(without_number(name).to_owned()).or_insert(u64::MAX);
                *lowest = symbol.address().min(*lowest);
            }
        }
        (!size.functions.is_empty()).then_some(size)
    }
}

// The compiler numbers its clones: `f.isra.0` is `f.isra` in the next build.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((before, number)) if !before.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => name,
    }
}

/// Compares the code of a file in two results; `None` if nothing changed.
#[must_use]
pub fn compare(stage: &StageName, file: &str, before: &CodeSize, after: &CodeSize) -> Option<CodeChange> {
    let functions = growth(&before.functions, &after.functions);
    let placed = functions.iter().filter_map(|function| Some((after.addresses.get(&function.name)?, &function.name)));
    let change = CodeChange {
        stage: stage.clone(),
        file: file.to_owned(),
        sections: growth(&before.sections, &after.sections),
        first: placed.min().map(|(_, name)| name.clone()),
        functions,
        before: before.functions.values().sum(),
        after: after.functions.values().sum(),
    };
    (!change.sections.is_empty() || !change.functions.is_empty()).then_some(change)
}

fn growth(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<Growth> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |name: &String| Growth {
        name: name.clone(),
        before: before.get(name).copied(),
        after: after.get(name).copied(),
    };
    let mut found: Vec<Growth> = names.into_iter().map(of).filter(|growth| growth.before != growth.after).collect();
    found.sort_by_key(|growth| std::cmp::Reverse(growth.delta().unsigned_abs()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_most_is_first_and_clones_have_no_number() {
        let size = |functions: &[(&str, u64)]| CodeSize {
            functions: functions.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect(),
            // In the order of the list.
            addresses: functions.iter().zip(0..).map(|((name, _), address)| ((*name).to_owned(), address)).collect(),
            ..CodeSize::default()
        };
        let before = size(&[("same", 8), ("gone", 16), ("grown", 100)]);
        let after = size(&[("same", 8), ("new", 4), ("grown", 164)]);
        let change = compare(&"alpha/kernel".into(), "vmlinux", &before, &after).unwrap();
        let found: Vec<(&str, i64)> =
            change.functions.iter().map(|growth| (growth.name.as_str(), growth.delta())).collect();
        assert_eq!(found, [("grown", 64), ("gone", -16), ("new", 4)]);
        assert_eq!((change.before, change.after), (124, 176));
        assert_eq!(change.first.as_deref(), Some("new"));
        assert_eq!(compare(&"alpha/kernel".into(), "vmlinux", &before, &before), None);
        assert_eq!(["f.isra.0", "f.part", "f", ".0"].map(without_number), ["f.isra", "f.part", "f", ".0"]);
    }

    // This test program has itself as a function.
    #[test]
    fn a_linked_file_is_read_and_others_are_not() {
        let own = std::env::current_exe().unwrap();
        let size = CodeSize::read(&fs_err::read(own).unwrap()).unwrap();
        assert!(size.addresses.keys().eq(size.functions.keys()));
        assert!(size.functions.contains_key("main") && size.sections[".text"] > 0);
        assert!(!size.sections.contains_key(".symtab"), "it is not loaded");
        assert_eq!(CodeSize::read(b"\x7fELF"), None);
        assert_eq!(CodeSize::read(b"text"), None);
    }
}
