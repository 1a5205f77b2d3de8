//! Which calls of a function get a probe, and why the others get none.

use super::format::{Format, Value};
use super::{Call, Class, Fetch, Frame, Function, Image, Origin};
use crate::debuginfo::inline_btf::location::{FRAME_BASE, Location};
use std::collections::HashSet;

/// Requirements on the definitions.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The tracer.
    pub format: Format,
    /// Calls and arguments that cannot be probed do not withhold the others.
    pub best_effort: bool,
    /// Also where calls end.
    pub exits: bool,
    /// The group of the events.
    pub group: &'r str,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The name of its event, unique among all.
    pub event: String,
    /// The module; nothing for the kernel.
    pub module: Option<String>,
    /// The symbol it is relative to.
    pub symbol: String,
    /// Bytes from there.
    pub offset: u64,
    /// Its address as linked.
    pub address: u64,
    /// `copy`, `site`, `exit` or `return`.
    pub kind: &'static str,
    /// The function that has the code; nothing for a copy.
    pub caller: Option<String>,
    /// Names and values of the arguments.
    pub args: Vec<(String, Value)>,
    /// Arguments that are left out, and why.
    pub missing: Vec<(String, String)>,
    /// The lines of the definition.
    pub definition: String,
}

/// A call without a probe, because it cannot have the one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its address.
    pub address: u64,
    /// The same as symbol and offset.
    pub place: String,
    /// Why.
    pub why: String,
}

/// A call without a probe, because it needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Its address.
    pub address: u64,
    /// `init`, `own-copy` or `same-address`.
    pub why: &'static str,
}

/// The probes of the functions of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// The name.
    pub name: String,
    /// By address; empty if they are withheld.
    pub probes: Vec<Probe>,
    /// How many are withheld because others are refused.
    pub withheld: usize,
    /// By address.
    pub refused: Vec<Refused>,
    /// By address.
    pub left_out: Vec<LeftOut>,
}

/// The probes of all functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they were asked for.
    pub functions: Vec<Planned>,
}

impl Planned {
    /// Returns whether every call that can happen has a probe with every argument.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty() && !self.probes.is_empty() && self.probes.iter().all(|probe| probe.missing.is_empty())
    }
}

/// Plans the probes of functions: each name with the functions that have it.
#[must_use]
pub fn plan(wanted: &[(String, Vec<Function>)], image: &Image, request: Request<'_>) -> Plan {
    let mut events = HashSet::new();
    let functions = wanted.iter().map(|(name, functions)| planned(name, functions, image, request, &mut events));
    Plan { functions: functions.collect() }
}

fn planned(
    name: &str,
    functions: &[Function],
    image: &Image,
    request: Request<'_>,
    events: &mut HashSet<String>,
) -> Planned {
    let mut found = Planned { name: name.to_owned(), ..Planned::default() };
    let mut calls: Vec<(&Function, &Call)> =
        functions.iter().flat_map(|function| function.calls.iter().map(move |call| (function, call))).collect();
    // Of several at one address, the one that has most.
    let lacking = |call: &Call| call.args.iter().filter(|arg| arg.is_err()).count();
    calls.sort_by_key(|(_, call)| (call.address, lacking(call)));
    let mut last = None;
    for (function, call) in calls {
        if let Some(why) = needless(call, image, last) {
            found.left_out.push(LeftOut { address: call.address, why });
            continue;
        }
        last = Some(call.address);
        match probe(function, call, image, request) {
            Ok(probes) => found.probes.extend(probes),
            Err((place, why)) => found.refused.push(Refused { address: call.address, place, why }),
        }
    }
    if !request.best_effort && !found.refused.is_empty() {
        found.withheld = found.probes.len();
        found.probes.clear();
    }
    for probe in &mut found.probes {
        let suffix = match probe.kind {
            "exit" => "__exit",
            "return" => "__return",
            _ => "",
        };
        probe.event = event(name, suffix, events);
        probe.definition = request.format.definition(probe, image, request.group);
    }
    found
}

fn needless(call: &Call, image: &Image, last: Option<u64>) -> Option<&'static str> {
    if image.is_init(call.address, call.section.as_deref()) {
        return Some("init");
    }
    if matches!(call.origin, Origin::Site { own_copy: true, .. }) {
        return Some("own-copy");
    }
    (last == Some(call.address)).then_some("same-address")
}

// The probe of a call and those of its end, or where it would be and why there is none.
fn probe(
    function: &Function,
    call: &Call,
    image: &Image,
    request: Request<'_>,
) -> Result<Vec<Probe>, (String, String)> {
    let (symbol, offset) = place(call.address, image, request.format)?;
    let shown = || format!("{symbol}+{offset:#x}");
    if request.format.is_kprobe()
        && let Some(why) = image.forbids(call.address)
    {
        return Err((shown(), why));
    }
    let (args, missing) = arguments(function, call, image, request.format);
    if !request.best_effort && !missing.is_empty() {
        let why = missing.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; ");
        return Err((shown(), why));
    }
    let (kind, caller) = match &call.origin {
        Origin::Copy => ("copy", None),
        Origin::Site { caller, .. } => ("site", Some(caller.clone())),
    };
    let probe = Probe {
        event: String::new(),
        module: image.module().map(str::to_owned),
        symbol,
        offset,
        address: call.address,
        kind,
        caller,
        args,
        missing,
        definition: String::new(),
    };
    let exit = request.exits.then(|| exit(&probe, call, image, request.format)).flatten();
    Ok(std::iter::once(probe).chain(exit).collect())
}

fn place(address: u64, image: &Image, format: Format) -> Result<(String, u64), (String, String)> {
    let Some(symbol) = image.symbol_at(address) else {
        return Err((format!("{address:#x}"), "no symbol covers it".to_owned()));
    };
    let offset = address - symbol.address;
    if image.is_unique(&symbol.name) {
        return Ok((symbol.name.clone(), offset));
    }
    let shown = format!("{}+{offset:#x}", symbol.name);
    match image.text() {
        Some(text) if format.takes_any_offset() && text <= address => Ok(("_text".to_owned(), address - text)),
        _ => {
            Err((shown, format!("several symbols are called {}, and {} takes no address", symbol.name, format.word())))
        }
    }
}

// The end is certain only in so far as the code falls through to it.
fn exit(probe: &Probe, call: &Call, image: &Image, format: Format) -> Option<Probe> {
    let base = |kind, symbol: String, offset, address| Probe {
        event: String::new(),
        symbol,
        offset,
        address,
        kind,
        args: Vec::new(),
        missing: Vec::new(),
        definition: String::new(),
        ..probe.clone()
    };
    match &call.origin {
        Origin::Copy => format.has_returns().then(|| base("return", probe.symbol.clone(), probe.offset, probe.address)),
        Origin::Site { end, .. } => {
            let end = (*end)?;
            let (symbol, offset) = place(end, image, format).ok()?;
            let same = image.symbol_at(end).map(|found| found.address)
                == image.symbol_at(call.address).map(|found| found.address);
            (same && (!format.is_kprobe() || image.forbids(end).is_none())).then(|| base("exit", symbol, offset, end))
        }
    }
}

/// Names and values of arguments.
type Args = Vec<(String, Value)>;
/// Names of arguments, and why they are left out.
type Missing = Vec<(String, String)>;

fn arguments(function: &Function, call: &Call, image: &Image, format: Format) -> (Args, Missing) {
    let mut names: HashSet<String> = HashSet::new();
    let (mut args, mut missing) = (Args::new(), Missing::new());
    for (index, arg) in call.args.iter().enumerate() {
        let param = function.params.get(index);
        let name = argument_name(param.map_or("", |param| &param.name), index, &mut names);
        let class = param.map_or(Class::Unsigned, |param| param.class);
        let value = match arg {
            Err(reason) => Err(reason.title().to_owned()),
            Ok((fetch, size)) => placed(*fetch, call.frame).and_then(|fetch| {
                let value = Value { fetch, size: *size, class };
                format.check(&value, image).map(|()| value)
            }),
        };
        match value {
            Ok(value) => args.push((name, value)),
            Err(why) => missing.push((name, why)),
        }
    }
    (args, missing)
}

// Relative to a register instead of the frame base.
fn placed(fetch: Fetch, frame: Frame) -> Result<Fetch, String> {
    let (register, offset) = match (fetch, frame) {
        (
            Fetch::At(Location::Sum(FRAME_BASE, _) | Location::Memory(FRAME_BASE, _) | Location::Register(FRAME_BASE)),
            Frame::At(register, offset),
        ) => (register, offset),
        (
            Fetch::At(Location::Sum(FRAME_BASE, _) | Location::Memory(FRAME_BASE, _) | Location::Register(FRAME_BASE)),
            Frame::Unknown(why),
        ) => {
            return Err(format!("relative to the frame base: {why}"));
        }
        _ => return Ok(fetch),
    };
    Ok(Fetch::At(match fetch {
        Fetch::At(Location::Memory(_, at)) => Location::Memory(register, at.wrapping_add(offset)),
        Fetch::At(Location::Sum(_, at)) => Location::Sum(register, at.wrapping_add(offset)),
        _ => Location::Sum(register, offset),
    }))
}

/// Names that kernels keep for their own fields.
const RESERVED: [&str; 8] = [
    "common_type",
    "common_flags",
    "common_preempt_count",
    "common_pid",
    "common_tgid",
    "__probe_ip",
    "__probe_ret_ip",
    "__probe_func",
];

// Kernels take identifiers of at most 31 bytes, each once.
fn argument_name(given: &str, index: usize, taken: &mut HashSet<String>) -> String {
    let plain: String =
        given.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(24).collect();
    let mut name = if plain.is_empty() { format!("arg{}", index + 1) } else { plain };
    if RESERVED.contains(&name.as_str()) || !taken.insert(name.clone()) {
        name = format!("{name}_{}", index + 1);
        taken.insert(name.clone());
    }
    name
}

/// The longest name of an event that kernels take.
const LONGEST_EVENT: usize = 63;

// As perf numbers them: `name`, `name_1`, ….
fn event(name: &str, suffix: &str, taken: &mut HashSet<String>) -> String {
    let plain: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let mut number = 0_u32;
    loop {
        let tail = if number == 0 { suffix.to_owned() } else { format!("{suffix}_{number}") };
        let head = plain.get(..LONGEST_EVENT.saturating_sub(tail.len()).min(plain.len())).unwrap_or_default();
        let event = format!("{head}{tail}");
        if taken.insert(event.clone()) {
            return event;
        }
        number += 1;
    }
}
