//! Probes as definitions of tracers.

mod bpf;
mod bpftrace;
mod gdb;
mod kprobe;

use super::registers::{self, Dialect};
use super::{Class, Fetch, Image, Probe};
use crate::debuginfo::inline_btf::location::Location;

/// A tracer's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for `/sys/kernel/tracing/kprobe_events`.
    KprobeEvents,
    /// `perf probe` commands.
    Perf,
    /// A program of bpftrace.
    Bpftrace,
    /// gdb commands.
    Gdb,
    /// A C program for libbpf.
    Bpf,
}

/// An argument that a format can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// Where it is; never relative to the frame base.
    pub fetch: Fetch,
    /// Bytes.
    pub size: u32,
    /// The kind of its value.
    pub class: Class,
}

impl Format {
    /// All, by their names on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("kprobe-events", Self::KprobeEvents),
        ("perf", Self::Perf),
        ("bpftrace", Self::Bpftrace),
        ("gdb", Self::Gdb),
        ("bpf", Self::Bpf),
    ];

    /// Returns its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// Returns whether it attaches kprobes.
    #[must_use]
    pub fn is_kprobe(self) -> bool {
        self != Self::Gdb
    }

    // Whether an offset may go beyond the symbol's own code.
    pub(super) fn takes_any_offset(self) -> bool {
        matches!(self, Self::KprobeEvents | Self::Perf | Self::Gdb | Self::Bpf)
    }

    pub(super) fn has_returns(self) -> bool {
        matches!(self, Self::KprobeEvents | Self::Perf | Self::Bpftrace)
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::KprobeEvents | Self::Perf => Dialect::Kernel,
            Self::Bpftrace => Dialect::Bpftrace,
            Self::Gdb => Dialect::Gdb,
            Self::Bpf => Dialect::C,
        }
    }

    // Why a value cannot be expressed.
    pub(super) fn check(self, value: &Value, image: &Image) -> Result<(), String> {
        let named = |register: u32| match registers::name(image.machine(), register, self.dialect()) {
            Some(_) => Ok(()),
            None => Err(format!("register {register} (DWARF number) is not one that {} can read", self.word())),
        };
        let whole = matches!(value.size, 1 | 2 | 4 | 8);
        match value.fetch {
            Fetch::Convention(_) if self == Self::Gdb => {
                Err("gdb has no names for arguments by the calling convention".to_owned())
            }
            Fetch::Convention(_) => Ok(()),
            Fetch::At(Location::Pair(first, second)) => named(first).and_then(|()| named(second)),
            Fetch::At(Location::Memory(register, _)) => {
                named(register)?;
                match value.size {
                    _ if whole => Ok(()),
                    1..=64 if matches!(self, Self::KprobeEvents | Self::Perf) => Ok(()),
                    size => Err(format!("{} reads no value of {size} bytes", self.word())),
                }
            }
            _ if !whole => Err(format!("{} reads no value of {} bytes", self.word(), value.size)),
            Fetch::At(Location::Register(register)) => named(register),
            Fetch::At(Location::Sum(register, offset)) => {
                named(register)?;
                match self {
                    Self::KprobeEvents | Self::Perf => Err(format!(
                        "it is {} {} {}, and kprobe events cannot add",
                        registers::name(image.machine(), register, self.dialect()).unwrap_or_default(),
                        if offset < 0 { '-' } else { '+' },
                        offset.unsigned_abs()
                    )),
                    _ => Ok(()),
                }
            }
            Fetch::At(Location::Constant(_)) => Ok(()),
            Fetch::At(Location::Address(address)) => match self {
                Self::KprobeEvents | Self::Perf => {
                    Err(format!("it is the address {address:#x} as linked, which kprobe events cannot relocate"))
                }
                _ if image.symbol_near(address).is_none() => Err(format!("no symbol is at or before {address:#x}")),
                _ => Ok(()),
            },
        }
    }

    pub(super) fn definition(self, probe: &Probe, image: &Image, group: &str) -> String {
        match self {
            Self::KprobeEvents => kprobe::line(probe, image, group),
            Self::Perf => kprobe::perf(probe, image, group),
            Self::Bpftrace => bpftrace::probe(probe, image),
            Self::Gdb => gdb::breakpoint(probe, image),
            Self::Bpf => bpf::program(probe, image),
        }
    }

    /// Returns what stands before all definitions of a file.
    #[must_use]
    pub fn head(self) -> &'static str {
        match self {
            Self::KprobeEvents | Self::Perf | Self::Bpftrace => "",
            Self::Gdb => "set pagination off\n",
            Self::Bpf => bpf::HEAD,
        }
    }
}

// The name of a register that `check` found to have one.
fn register(image: &Image, number: u32, dialect: Dialect) -> String {
    registers::name(image.machine(), number, dialect).unwrap_or_else(|| format!("r{number}"))
}

// `+ 8`, `- 8`, or nothing.
fn plus(offset: i64) -> String {
    match offset {
        0 => String::new(),
        1.. => format!(" + {offset}"),
        _ => format!(" - {}", offset.unsigned_abs()),
    }
}

// The constant's lowest bytes as its type reads them.
fn constant(value: u64, size: u32, class: Class) -> String {
    let unused = 64_u32.saturating_sub(size.saturating_mul(8)).min(63);
    if class == Class::Signed {
        return ((value << unused).cast_signed() >> unused).to_string();
    }
    (value << unused >> unused).to_string()
}
