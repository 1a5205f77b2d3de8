//! Probes of bpftrace.

use super::{Value, constant, plus, register};
use crate::debuginfo::inline_btf::location::Location;
use crate::debuginfo::inline_btf::probes::registers::Dialect;
use crate::debuginfo::inline_btf::probes::{Class, Fetch, Image, Probe};

/// `kprobe:caller+16 { printf("take v=%ld\n", (int64)reg("di")); }`
pub fn probe(probe: &Probe, image: &Image) -> String {
    let module = probe.module.as_ref().map(|module| format!("{module}:")).unwrap_or_default();
    let (kind, place) = match probe.kind {
        "return" => ("kretprobe", probe.symbol.clone()),
        _ if probe.offset == 0 => ("kprobe", probe.symbol.clone()),
        _ => ("kprobe", format!("{}+{}", probe.symbol, probe.offset)),
    };
    let mut words = probe.event.clone();
    let mut values = Vec::new();
    if probe.kind == "return" {
        words.push_str(" ret=0x%lx");
        values.push("retval".to_owned());
    }
    for (name, value) in &probe.args {
        for (suffix, expression) in expressions(value, image) {
            let form = if value.class == Class::Signed && suffix.is_empty() { "%ld" } else { "0x%lx" };
            words.push_str(&format!(" {name}{suffix}={form}"));
            values.push(expression);
        }
    }
    let values = values.iter().map(|value| format!(", {value}")).collect::<String>();
    format!("{kind}:{module}{place} {{ printf(\"{words}\\n\"{values}); }}\n")
}

fn expressions(value: &Value, image: &Image) -> Vec<(String, String)> {
    let register = |number| format!("reg(\"{}\")", register(image, number, Dialect::Bpftrace));
    let sign = if value.class == Class::Signed { "int" } else { "uint" };
    let kind = format!("{sign}{}", value.size.saturating_mul(8));
    let one = |expression| vec![(String::new(), expression)];
    match value.fetch {
        Fetch::Convention(index) => one(format!("({kind})arg{index}")),
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
            Some((symbol, offset)) => one(format!("kaddr(\"{symbol}\"){}", plus(offset.cast_signed()))),
            None => Vec::new(),
        },
    }
}
