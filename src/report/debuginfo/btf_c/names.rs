//! Names in a header. Tags and other identifiers are two spaces of names in C; in each, a name that was given
//! before gets a number: `name___2`.

use crate::debuginfo::btf::{Btf, Type};
use std::collections::HashMap;

/// The names that were given.
#[derive(Debug, Default)]
pub(super) struct Names {
    tags: Space,
    identifiers: Space,
}

#[derive(Debug, Default)]
struct Space {
    given: HashMap<String, u32>,
    of_types: HashMap<u32, String>,
}

impl Space {
    fn unique(&mut self, name: String) -> String {
        let count = self.given.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { name } else { format!("{name}___{count}") }
    }

    fn of_type(&mut self, id: u32, name: impl FnOnce() -> String) -> String {
        if let Some(name) = self.of_types.get(&id) {
            return name.clone();
        }
        let name = name();
        let name = if name.is_empty() { name } else { self.unique(name) };
        self.of_types.insert(id, name.clone());
        name
    }
}

impl Names {
    /// Returns the tag of a structure, union or enumeration.
    pub fn tag(&mut self, btf: &Btf<'_>, found: &Type<'_>) -> String {
        self.tags.of_type(found.id, || identifier(btf, found.name_off))
    }

    /// Returns the name of a typedef.
    pub fn typedef(&mut self, btf: &Btf<'_>, found: &Type<'_>) -> String {
        self.identifiers.of_type(found.id, || identifier(btf, found.name_off))
    }

    /// Returns the name of an enumerator.
    pub fn enumerator(&mut self, btf: &Btf<'_>, name_off: u32) -> String {
        self.identifiers.unique(identifier(btf, name_off))
    }
}

/// Returns a name as C takes it: names of other languages have signs that are none of an identifier.
pub(super) fn identifier(btf: &Btf<'_>, name_off: u32) -> String {
    if name_off == 0 {
        return String::new();
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    btf.text(name_off).chars().map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

/// Returns the words of a number's type, such as `unsigned long`, if C knows them.
pub(super) fn number(btf: &Btf<'_>, name_off: u32) -> Option<String> {
    const WORDS: [&str; 18] = [
        "char",
        "short",
        "int",
        "long",
        "unsigned",
        "signed",
        "_Bool",
        "float",
        "double",
        "__int128",
        "_Complex",
        "complex",
        "__float128",
        "_Float16",
        "_Float32",
        "_Float64",
        "_Float128",
        "__bf16",
    ];
    let name = btf.text(name_off).into_owned();
    // A word of <complex.h>.
    let plain = |word: &str| if word == "complex" { "_Complex".to_owned() } else { word.to_owned() };
    let known = name.split(' ').all(|word| WORDS.contains(&word));
    known.then(|| name.split(' ').map(plain).collect::<Vec<_>>().join(" "))
}
