//! Names of registers, by DWARF number, in the languages of tracers.

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Names of the kernel's `pt_regs`, as kprobe events take them.
    Kernel,
    /// Names that bpftrace takes.
    Bpftrace,
    /// gdb's.
    Gdb,
    /// A C expression over `struct pt_regs *ctx`.
    C,
}

const X86_64: [(&str, &str); 16] = [
    ("ax", "rax"),
    ("dx", "rdx"),
    ("cx", "rcx"),
    ("bx", "rbx"),
    ("si", "rsi"),
    ("di", "rdi"),
    ("bp", "rbp"),
    ("sp", "rsp"),
    ("r8", "r8"),
    ("r9", "r9"),
    ("r10", "r10"),
    ("r11", "r11"),
    ("r12", "r12"),
    ("r13", "r13"),
    ("r14", "r14"),
    ("r15", "r15"),
];
const I386: [(&str, &str); 8] = [
    ("ax", "eax"),
    ("cx", "ecx"),
    ("dx", "edx"),
    ("bx", "ebx"),
    ("sp", "esp"),
    ("bp", "ebp"),
    ("si", "esi"),
    ("di", "edi"),
];
const RISCV: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2",
    "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// Returns whether the registers of a machine (`e_machine`) have names here.
#[must_use]
pub fn is_known(machine: u16) -> bool {
    name(machine, 7, Dialect::Kernel).is_some()
}

/// Returns the name of a register; nothing for one that `pt_regs` does not have.
#[must_use]
pub fn name(machine: u16, register: u32, dialect: Dialect) -> Option<String> {
    let index = register as usize;
    let pair = |(kernel, full): &(&str, &str)| match dialect {
        Dialect::Gdb => (*full).to_owned(),
        Dialect::C => format!("ctx->{kernel}"),
        Dialect::Kernel | Dialect::Bpftrace => (*kernel).to_owned(),
    };
    match machine {
        62 => X86_64.get(index).map(pair),
        3 => I386.get(index).map(pair),
        183 => arm64(register, dialect),
        40 if register < 16 && dialect != Dialect::C => Some(match register {
            11 if dialect != Dialect::Gdb => "fp".to_owned(),
            12 if dialect != Dialect::Gdb => "ip".to_owned(),
            13 => "sp".to_owned(),
            14 => "lr".to_owned(),
            15 => "pc".to_owned(),
            _ => format!("r{register}"),
        }),
        22 if register < 16 => Some(match dialect {
            Dialect::C => format!("((user_pt_regs *)ctx)->gprs[{register}]"),
            _ => format!("r{register}"),
        }),
        // x0 is no register of pt_regs: it is always 0.
        243 if register != 0 => RISCV.get(index).map(|name| match dialect {
            Dialect::C => format!("ctx->{name}"),
            _ => (*name).to_owned(),
        }),
        20 | 21 if register < 32 => Some(match dialect {
            Dialect::Kernel | Dialect::Bpftrace => format!("gpr{register}"),
            Dialect::Gdb => format!("r{register}"),
            Dialect::C => format!("ctx->gpr[{register}]"),
        }),
        _ => None,
    }
}

fn arm64(register: u32, dialect: Dialect) -> Option<String> {
    Some(match (register, dialect) {
        (0..=30, Dialect::C) => format!("((struct user_pt_regs *)ctx)->regs[{register}]"),
        (31, Dialect::C) => "((struct user_pt_regs *)ctx)->sp".to_owned(),
        (0..=30, Dialect::Bpftrace) => format!("r{register}"),
        (0..=30, _) => format!("x{register}"),
        (31, _) => "sp".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_the_names_of_each_tracer() {
        let of = |machine, register| {
            [Dialect::Kernel, Dialect::Bpftrace, Dialect::Gdb, Dialect::C]
                .map(|dialect| name(machine, register, dialect).unwrap_or_default())
        };
        assert_eq!(of(62, 3), ["bx", "bx", "rbx", "ctx->bx"]);
        assert_eq!(of(62, 17), ["", "", "", ""], "xmm0");
        assert_eq!(of(3, 6), ["si", "si", "esi", "ctx->si"]);
        assert_eq!(of(183, 19), ["x19", "r19", "x19", "((struct user_pt_regs *)ctx)->regs[19]"]);
        assert_eq!(of(183, 31), ["sp", "sp", "sp", "((struct user_pt_regs *)ctx)->sp"]);
        assert_eq!(of(243, 10), ["a0", "a0", "a0", "ctx->a0"]);
        assert_eq!(of(243, 0), ["", "", "", ""], "always 0, and not in pt_regs");
        assert_eq!(of(22, 15), ["r15", "r15", "r15", "((user_pt_regs *)ctx)->gprs[15]"]);
        assert_eq!(of(21, 31), ["gpr31", "gpr31", "r31", "ctx->gpr[31]"]);
        assert_eq!(of(8, 4), ["", "", "", ""], "MIPS is not known");
    }
}
