//! The corpus: every call-frame instruction after every other, in the hot and in the cold part of a function.

/// An instruction: what the faults call it, and its directive.
pub type Instruction = (&'static str, &'static str);

/// An assembler's machine.
#[derive(Debug)]
pub struct Machine {
    pub triple: &'static str,
    /// The start of a cold part: a frame that is set up already.
    pub cold: &'static [Instruction],
    pub instructions: &'static [Instruction],
}

/// `.cfi_*` directives that every machine has. `{sp}` and so on are register numbers.
macro_rules! instructions {
    ($sp:literal, $fp:literal, $ra:literal, $other:literal, $base:literal, $far:literal; $($more:expr),* $(,)?) => {
        &[
            ("def_cfa sp", concat!(".cfi_def_cfa ", $sp, ", ", $far)),
            ("def_cfa fp", concat!(".cfi_def_cfa ", $fp, ", ", $far)),
            ("def_cfa other", concat!(".cfi_def_cfa ", $base, ", ", $far)),
            ("def_cfa_register sp", concat!(".cfi_def_cfa_register ", $sp)),
            ("def_cfa_register fp", concat!(".cfi_def_cfa_register ", $fp)),
            ("def_cfa_register other", concat!(".cfi_def_cfa_register ", $base)),
            ("def_cfa_offset", ".cfi_def_cfa_offset 192"),
            ("adjust_cfa_offset", ".cfi_adjust_cfa_offset 8"),
            ("offset fp", concat!(".cfi_offset ", $fp, ", -16")),
            ("offset ra", concat!(".cfi_offset ", $ra, ", -8")),
            ("offset ra far", concat!(".cfi_offset ", $ra, ", -24")),
            ("offset sp", concat!(".cfi_offset ", $sp, ", -32")),
            ("offset other", concat!(".cfi_offset ", $other, ", -40")),
            ("rel_offset fp", concat!(".cfi_rel_offset ", $fp, ", 0")),
            ("register fp", concat!(".cfi_register ", $fp, ", ", $other)),
            ("register ra", concat!(".cfi_register ", $ra, ", ", $other)),
            ("register sp", concat!(".cfi_register ", $sp, ", ", $other)),
            ("register other", concat!(".cfi_register ", $other, ", ", $base)),
            ("val_offset fp", concat!(".cfi_val_offset ", $fp, ", -16")),
            ("val_offset ra", concat!(".cfi_val_offset ", $ra, ", -16")),
            ("val_offset sp", concat!(".cfi_val_offset ", $sp, ", 0")),
            ("val_offset other", concat!(".cfi_val_offset ", $other, ", -16")),
            ("restore fp", concat!(".cfi_restore ", $fp)),
            ("restore ra", concat!(".cfi_restore ", $ra)),
            ("restore other", concat!(".cfi_restore ", $other)),
            ("undefined fp", concat!(".cfi_undefined ", $fp)),
            ("undefined ra", concat!(".cfi_undefined ", $ra)),
            ("undefined other", concat!(".cfi_undefined ", $other)),
            ("same_value fp", concat!(".cfi_same_value ", $fp)),
            ("same_value ra", concat!(".cfi_same_value ", $ra)),
            ("same_value other", concat!(".cfi_same_value ", $other)),
            ("remember_state", ".cfi_remember_state"),
            ("restore_state", ".cfi_restore_state"),
            ("signal_frame", ".cfi_signal_frame"),
            ("escape nop", ".cfi_escape 0"),
            ("escape args_size", ".cfi_escape 0x2e, 0x10"),
            ("escape val_offset other", concat!(".cfi_escape 0x14, ", $other, ", 2")),
            // DW_CFA_expression: DW_OP_breg of the base register.
            ("escape expression fp", concat!(".cfi_escape 0x10, ", $fp, ", 2, 0x70 + ", $base, ", 0x10")),
            ("escape expression fp at fp", concat!(".cfi_escape 0x10, ", $fp, ", 2, 0x70 + ", $fp, ", 0x10")),
            ("escape expression other", concat!(".cfi_escape 0x10, ", $other, ", 2, 0x70 + ", $fp, ", 0x10")),
            // DW_CFA_def_cfa_expression: DW_OP_breg of the frame pointer, DW_OP_deref.
            ("escape cfa deref", concat!(".cfi_escape 0x0f, 3, 0x70 + ", $fp, ", 0x78, 6")),
            $($more),*
        ]
    };
}

pub const MACHINES: &[Machine] = &[
    Machine {
        triple: "x86_64-linux",
        cold: &[("def_cfa_offset", ".cfi_def_cfa_offset 56"), ("offset fp", ".cfi_offset 6, -32")],
        instructions: instructions!("7", "6", "16", "3", "10", "16";),
    },
    Machine {
        triple: "aarch64-linux",
        cold: &[
            ("def_cfa_offset", ".cfi_def_cfa_offset 64"),
            ("offset fp", ".cfi_offset 29, -64"),
            ("offset ra far", ".cfi_offset 30, -56"),
        ],
        instructions: instructions!("31", "29", "30", "19", "9", "16";
            ("negate_ra_state", ".cfi_negate_ra_state"),
            ("negate_ra_state_with_pc", ".cfi_negate_ra_state_with_pc"),
            ("b_key_frame", ".cfi_b_key_frame"),
        ),
    },
    Machine {
        triple: "s390x-linux",
        cold: &[
            ("def_cfa_offset", ".cfi_def_cfa_offset 320"),
            ("offset fp", ".cfi_offset 11, -72"),
            ("offset ra far", ".cfi_offset 14, -48"),
        ],
        instructions: instructions!("15", "11", "14", "10", "9", "176";
            ("val_offset sp", ".cfi_val_offset 15, -160"),
            ("register fp float", ".cfi_register 11, 17"),
        ),
    },
];

/// Where the two instructions stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Both in the first row.
    First,
    /// Both in a later row.
    Together,
    /// In two rows.
    Apart,
    /// In two rows between `.cfi_remember_state` and `.cfi_restore_state`, as behind an early return.
    Remembered,
    /// Likewise, with another remembered state between both.
    Nested,
}

const PLACEMENTS: [Placement; 5] =
    [Placement::First, Placement::Together, Placement::Apart, Placement::Remembered, Placement::Nested];

/// A function: its rows, each the instructions that lead to it.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub rows: Vec<Vec<Instruction>>,
    /// The two instructions and how they were placed.
    pub name: String,
}

const REMEMBER: Instruction = ("remember_state", ".cfi_remember_state");
const RESTORE: Instruction = ("restore_state", ".cfi_restore_state");

impl Sequence {
    fn new(machine: &Machine, is_cold: bool, placement: Placement, one: Instruction, two: Instruction) -> Self {
        let start = if is_cold { machine.cold.to_vec() } else { Vec::new() };
        let mut rows = match placement {
            Placement::First => vec![[start, vec![one, two]].concat()],
            Placement::Together => vec![start, vec![one, two]],
            Placement::Apart => vec![start, vec![one], vec![two]],
            Placement::Remembered => vec![start, vec![REMEMBER], vec![one], vec![two], vec![RESTORE]],
            Placement::Nested => {
                vec![start, vec![REMEMBER], vec![one], vec![REMEMBER], vec![two], vec![RESTORE], vec![RESTORE]]
            }
        };
        // The assembler refuses a .cfi_restore_state without a state: it is remembered first.
        let mut remembered = 0_i32;
        let mut lowest = 0;
        for (name, _) in rows.iter().flatten() {
            remembered += i32::from(*name == REMEMBER.0) - i32::from(*name == RESTORE.0);
            lowest = lowest.min(remembered);
        }
        let missing = usize::try_from(-lowest).unwrap_or(0);
        if placement == Placement::First {
            let at = rows[0].len() - 2;
            rows[0].splice(at..at, vec![REMEMBER; missing]);
        } else {
            rows[0].extend(vec![REMEMBER; missing]);
        }
        let part = if is_cold { "cold" } else { "hot" };
        Self { rows, name: format!("{part}, {placement:?}: {} | {}", one.0, two.0) }
    }

    /// The names of all instructions, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.rows.iter().flatten().map(|(name, _)| *name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// Whether one instruction is somewhere before another.
    pub fn has_in_order(&self, one: impl Fn(&str) -> bool, two: impl Fn(&str) -> bool) -> bool {
        let names: Vec<_> = self.names().collect();
        let Some(first) = names.iter().position(|name| one(name)) else { return false };
        names[first + 1..].iter().any(|name| two(name))
    }

    /// Whether a row has one instruction and behind it another.
    pub fn row_has_in_order(&self, one: impl Fn(&str) -> bool, two: impl Fn(&str) -> bool) -> bool {
        self.rows.iter().any(|row| {
            let first = row.iter().position(|(name, _)| one(name));
            first.is_some_and(|first| row[first + 1..].iter().any(|(name, _)| two(name)))
        })
    }

    /// The function in assembly.
    pub fn source(&self, label: &str) -> String {
        let mut out = format!("\t.type {label}, %function\n{label}:\n\t.cfi_startproc\n");
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out += "\tnop\n";
            }
            for (_, directive) in row {
                out += &format!("\t{directive}\n");
            }
        }
        out + &format!("\tnop\n\t.cfi_endproc\n\t.size {label}, .-{label}\n")
    }
}

/// All sequences of a machine, always in the same order.
pub fn corpus(machine: &Machine) -> Vec<Sequence> {
    let mut corpus = Vec::new();
    for is_cold in [false, true] {
        for placement in PLACEMENTS {
            // The second one changes last: what ends the assembler often depends on it, and is found in few batches.
            for two in machine.instructions {
                for one in machine.instructions {
                    corpus.push(Sequence::new(machine, is_cold, placement, *one, *two));
                }
            }
        }
    }
    corpus
}
