//! A C program for libbpf: a function a probe.

use super::{Value, constant, plus, register};
use crate::debuginfo::inline_btf::location::Location;
use crate::debuginfo::inline_btf::probes::registers::Dialect;
use crate::debuginfo::inline_btf::probes::{Class, Fetch, Image, Probe};
use std::fmt::Write as _;

/// The first lines of the file.
pub const HEAD: &str = "// SPDX-License-Identifier: GPL-2.0\n\
    #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n";

/// A function in the section `kprobe/caller+16`.
pub fn program(probe: &Probe, image: &Image) -> String {
    let place = match probe.offset {
        0 => probe.symbol.clone(),
        offset => format!("{}+{offset}", probe.symbol),
    };
    let (mut words, mut values, mut body, mut symbols) =
        (probe.event.clone(), String::new(), String::new(), String::new());
    for (name, value) in &probe.args {
        let Some(read) = read(name, value, image, &mut symbols) else { continue };
        body.push_str(&read.0);
        for variable in read.1 {
            let form = if value.class == Class::Signed { "%lld" } else { "0x%llx" };
            let _ = write!(words, " {variable}={form}");
            let cast = if value.class == Class::Signed { "s64" } else { "u64" };
            let _ = write!(values, ", ({cast})arg_{variable}");
        }
    }
    format!(
        "\n{symbols}SEC(\"kprobe/{place}\")\nint inline_{event}(struct pt_regs *ctx)\n{{\n{body}\tbpf_printk(\"{words}\"{values});\n\treturn 0;\n}}\n",
        event = probe.event,
    )
}

// Statements that define variables, and the variables' names without their prefix.
fn read(name: &str, value: &Value, image: &Image, symbols: &mut String) -> Option<(String, Vec<String>)> {
    let register = |number| format!("(u64){}", register(image, number, Dialect::C));
    let sign = if value.class == Class::Signed { 's' } else { 'u' };
    let kind = format!("{sign}{}", value.size.saturating_mul(8));
    let assign =
        |expression: String| Some((format!("\t{kind} arg_{name} = ({kind})({expression});\n"), vec![name.to_owned()]));
    match value.fetch {
        Fetch::Convention(index) => assign(format!("PT_REGS_PARM{}(ctx)", index + 1)),
        Fetch::At(Location::Constant(number)) => {
            let suffix = if value.class == Class::Signed { "LL" } else { "ULL" };
            assign(format!("{}{suffix}", constant(number, value.size, value.class)))
        }
        Fetch::At(Location::Register(number)) => assign(register(number)),
        Fetch::At(Location::Sum(number, offset)) => assign(format!("{}{}", register(number), plus(offset))),
        Fetch::At(Location::Memory(number, offset)) => {
            let read = format!(
                "\t{kind} arg_{name} = 0;\n\tbpf_probe_read_kernel(&arg_{name}, sizeof(arg_{name}), (void *)({}{}));\n",
                register(number),
                plus(offset)
            );
            Some((read, vec![name.to_owned()]))
        }
        Fetch::At(Location::Pair(first, second)) => {
            let half = |index, number| format!("\tu64 arg_{name}_{index} = {};\n", register(number));
            let names = vec![format!("{name}_0"), format!("{name}_1")];
            Some((half(0, first) + &half(1, second), names))
        }
        Fetch::At(Location::Address(address)) => {
            let (symbol, offset) = image.symbol_near(address)?;
            let declaration = format!("extern const void {symbol} __ksym;\n");
            if !symbols.contains(&declaration) {
                symbols.push_str(&declaration);
            }
            assign(format!("(u64)&{symbol}{}", plus(offset.cast_signed())))
        }
    }
}
