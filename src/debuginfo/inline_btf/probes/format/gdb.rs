//! Breakpoints of gdb that print the arguments and continue.

use super::{Value, constant, plus, register};
use crate::debuginfo::inline_btf::location::Location;
use crate::debuginfo::inline_btf::probes::registers::Dialect;
use crate::debuginfo::inline_btf::probes::{Class, Fetch, Image, Probe};

/// `break *((unsigned long)&'caller' + 16)` with its commands.
pub fn breakpoint(probe: &Probe, image: &Image) -> String {
    let mut words = probe.event.clone();
    let mut values = String::new();
    for (name, value) in &probe.args {
        for (suffix, expression) in expressions(value, image) {
            let form = if value.class == Class::Signed && suffix.is_empty() { "%ld" } else { "%#lx" };
            words.push_str(&format!(" {name}{suffix}={form}"));
            values.push_str(&format!(", (unsigned long){expression}"));
        }
    }
    let (symbol, offset) = place(probe, image);
    format!(
        "break *((unsigned long)&'{symbol}'{})\ncommands\nsilent\nprintf \"{words}\\n\"{values}\ncontinue\nend\n",
        plus(offset)
    )
}

// In DWARF a split-off part has the name of its function, and gdb may take either. The part's own name is in the
// symbol table alone.
fn place<'p>(probe: &'p Probe, image: &'p Image) -> (&'p str, i64) {
    match image.part_of(&probe.symbol) {
        Some(part) => (&part.name, probe.address.wrapping_sub(part.address).cast_signed()),
        None => (&probe.symbol, probe.offset.cast_signed()),
    }
}

fn expressions(value: &Value, image: &Image) -> Vec<(String, String)> {
    let register = |number| format!("(unsigned long)${}", register(image, number, Dialect::Gdb));
    let kind = kind(value);
    let one = |expression| vec![(String::new(), expression)];
    match value.fetch {
        Fetch::At(Location::Constant(number)) => one(format!("({kind}){}", constant(number, value.size, value.class))),
        Fetch::At(Location::Register(number)) => one(format!("({kind}){}", register(number))),
        Fetch::At(Location::Sum(number, offset)) => one(format!("({kind})({}{})", register(number), plus(offset))),
        Fetch::At(Location::Memory(number, offset)) => {
            one(format!("*({kind} *)({}{})", register(number), plus(offset)))
        }
        Fetch::At(Location::Pair(first, second)) => {
            vec![("_0".to_owned(), register(first)), ("_1".to_owned(), register(second))]
        }
        Fetch::At(Location::Address(address)) => match image.symbol_near(address) {
            Some((symbol, offset)) => one(format!("((unsigned long)&'{symbol}'{})", plus(offset.cast_signed()))),
            None => Vec::new(),
        },
        // `check` refuses it.
        Fetch::Convention(_) => Vec::new(),
    }
}

fn kind(value: &Value) -> &'static str {
    match (value.size, value.class == Class::Signed) {
        (1, true) => "signed char",
        (1, false) => "unsigned char",
        (2, true) => "short",
        (2, false) => "unsigned short",
        (4, true) => "int",
        (4, false) => "unsigned int",
        (_, true) => "long long",
        (_, false) => "unsigned long long",
    }
}
