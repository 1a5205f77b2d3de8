//! Locations of inline BTF as text, in the words of the bpftool of bpf-next (form iii) and of the RFC (form ii).

use crate::debuginfo::btf::{LocParam, OldLocParam, OldPlace, flags};
use std::fmt;

/// The flags of a LOC_PARAM as words: `REG|DEREF|OFFSET`.
#[must_use]
pub fn flag_words(set: u32) -> String {
    const NAMES: [(u32, &str); 6] = [
        (flags::SIGNED, "SIGNED"),
        (flags::CONST, "CONST"),
        (flags::ADDR, "ADDR"),
        (flags::REG, "REG"),
        (flags::DEREF, "DEREF"),
        (flags::OFFSET, "OFFSET"),
    ];
    let mut words: Vec<String> =
        NAMES.iter().filter(|(flag, _)| set & flag != 0).map(|(_, name)| (*name).to_owned()).collect();
    if set & !flags::ALL != 0 {
        words.push(format!("{:#x}", set & !flags::ALL));
    }
    if words.is_empty() { "0".to_owned() } else { words.join("|") }
}

/// A register by its DWARF number: `reg2`, `fbreg`.
struct Register(u32);

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            flags::FRAME_BASE => f.write_str("fbreg"),
            number => write!(f, "reg{number}"),
        }
    }
}

/// A signed number in hexadecimal: `-0x7`.
struct Signed(i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

/// Returns what a LOC_PARAM stands for: `reg1`, `*(fbreg - 0x20)`, `0x7`, `0x1000 (addr)`. Of flags that do not go
/// together, and of a count that does not fit them, it returns the values as they are.
#[must_use]
pub fn place(param: &LocParam<'_>) -> String {
    use flags::{ADDR, CONST, DEREF, OFFSET, REG, SIGNED};
    let values: Vec<u32> = param.values.iter().take(4).collect();
    let is_signed = param.flags & SIGNED != 0;
    let dereferenced = |sum: String| if param.flags & DEREF != 0 { format!("*({sum})") } else { sum };
    let all = || param.values.iter().map(|value| format!("{value:#x}")).collect::<Vec<_>>().join(" ");
    match (param.flags & !(SIGNED | DEREF), values.as_slice(), param.value()) {
        (CONST, [_] | [_, _], Some(value)) if param.flags & DEREF == 0 => match is_signed {
            true => Signed(value.cast_signed()).to_string(),
            false => format!("{value:#x}"),
        },
        (set, [_] | [_, _], Some(value)) if set == CONST | ADDR && param.flags & DEREF == 0 => {
            format!("{value:#x} (addr)")
        }
        (REG, [register], _) => dereferenced(Register(*register).to_string()),
        (REG, [first, second], _) if param.flags & DEREF == 0 => {
            format!("{} {}", Register(*first), Register(*second))
        }
        (set, [register, _] | [register, _, _], Some(offset)) if set == REG | OFFSET => {
            let offset = offset.cast_signed();
            let sign = if offset < 0 { '-' } else { '+' };
            dereferenced(format!("{} {sign} {:#x}", Register(*register), offset.unsigned_abs()))
        }
        _ => all(),
    }
}

/// Returns what a LOC_PARAM of form (ii) stands for: `value=-1`, `reg=1 flags=0x0 offset=0`.
#[must_use]
pub fn old_place(param: &OldLocParam) -> String {
    match param.place {
        OldPlace::Const(value) if param.size < 0 => format!("value={}", value.cast_signed()),
        OldPlace::Const(value) => format!("value={value}"),
        OldPlace::Register { register, flags, offset } => format!("reg={register} flags={flags:#x} offset={offset}"),
    }
}
