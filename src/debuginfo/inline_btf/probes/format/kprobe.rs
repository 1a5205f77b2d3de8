//! Lines for kprobe_events, and the same for `perf probe`.

use super::{Value, constant, register};
use crate::debuginfo::inline_btf::location::Location;
use crate::debuginfo::inline_btf::probes::registers::Dialect;
use crate::debuginfo::inline_btf::probes::{Class, Fetch, Image, Probe};

/// `p:inline/take caller+0x10 v=%di:s64`
pub fn line(probe: &Probe, image: &Image, group: &str) -> String {
    let kind = if probe.kind == "return" { 'r' } else { 'p' };
    let module = probe.module.as_ref().map(|module| format!("{module}:")).unwrap_or_default();
    // Kernels take no offset for a return.
    let offset = if kind == 'r' { String::new() } else { format!("+{:#x}", probe.offset) };
    let mut line = format!("{kind}:{group}/{} {module}{}{offset}", probe.event, probe.symbol);
    for argument in arguments(probe, image) {
        line.push(' ');
        line.push_str(&argument);
    }
    line.push('\n');
    line
}

/// `perf probe -a 'inline:take=caller+16 v=%di:s64'`
pub fn perf(probe: &Probe, image: &Image, group: &str) -> String {
    let module = probe.module.as_ref().map(|module| format!("-m {module} ")).unwrap_or_default();
    let place = match probe.kind {
        "return" => format!("{}%return", probe.symbol),
        _ => format!("{}+{}", probe.symbol, probe.offset),
    };
    let args = arguments(probe, image).into_iter().map(|argument| format!(" {argument}")).collect::<String>();
    format!("perf probe {module}-a '{group}:{}={place}{args}'\n", probe.event)
}

fn arguments(probe: &Probe, image: &Image) -> Vec<String> {
    if probe.kind == "return" {
        return vec!["ret=$retval".to_owned()];
    }
    probe.args.iter().flat_map(|(name, value)| argument(name, value, image)).collect()
}

fn argument(name: &str, value: &Value, image: &Image) -> Vec<String> {
    let register = |number| format!("%{}", register(image, number, Dialect::Kernel));
    let of = |fetch: String| vec![format!("{name}={fetch}:{}", kind(value))];
    match value.fetch {
        Fetch::Convention(index) => of(format!("$arg{}", index + 1)),
        Fetch::At(Location::Constant(number)) => of(format!("\\{}", constant(number, value.size, value.class))),
        Fetch::At(Location::Register(number)) => of(register(number)),
        Fetch::At(Location::Memory(number, offset)) => of(format!("{offset:+}({})", register(number))),
        Fetch::At(Location::Pair(first, second)) => {
            let bits = u32::from(image.address_size()) * 8;
            let half = |index: u32, number| format!("{name}_{index}={}:x{bits}", register(number));
            vec![half(0, first), half(1, second)]
        }
        // `check` refuses these.
        Fetch::At(Location::Sum(..) | Location::Address(_)) => Vec::new(),
    }
}

fn kind(value: &Value) -> String {
    let bits = value.size.saturating_mul(8);
    match value.size {
        1 | 2 | 4 | 8 => {
            let letter = match value.class {
                Class::Signed => 's',
                Class::Unsigned => 'u',
                Class::Pointer | Class::Float | Class::Aggregate => 'x',
            };
            format!("{letter}{bits}")
        }
        size if size % 8 == 0 => format!("x64[{}]", size / 8),
        size => format!("x8[{size}]"),
    }
}
