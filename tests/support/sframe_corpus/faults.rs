//! The faults of GNU as that explain what the check finds in the corpus. Each has a minimal source.

use super::generate::{Machine, Sequence};

/// The effect of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The assembler ends with an internal or fatal error.
    Crash,
    /// A row that disagrees with DWARF, or DWARF that cannot be right.
    Row,
}

/// A fault.
#[derive(Debug)]
pub struct Fault {
    /// Below tests/fixtures/sframe.
    pub fixture: &'static str,
    pub what: &'static str,
    pub effect: Effect,
    /// Whether the patch of crossmill's recipe removes it.
    pub is_patched: bool,
    /// Whether a sequence can have it.
    pub applies: fn(&Machine, &Sequence) -> bool,
}

fn is_amd64(machine: &Machine) -> bool {
    machine.triple.starts_with("x86_64")
}

fn sets_cfa(name: &str) -> bool {
    name.starts_with("def_cfa") || ["adjust_cfa_offset", "restore_state", "escape cfa deref"].contains(&name)
}

pub const FAULTS: &[Fault] = &[
    Fault {
        fixture: "gas/restore-shared-cie.s",
        what: "`.cfi_restore` goes back to the first row, or to instructions that moved into the CIE",
        effect: Effect::Row,
        is_patched: true,
        applies: |_, sequence| sequence.has("restore fp") || sequence.has("restore ra"),
    },
    Fault {
        fixture: "gas/restore-ra.s",
        what: "amd64: `.cfi_restore` of the return address is ignored",
        effect: Effect::Row,
        is_patched: false,
        applies: |machine, sequence| {
            let moves = |name: &str| ["offset ra far", "register ra", "undefined ra"].contains(&name);
            is_amd64(machine) && sequence.has_in_order(moves, |name| name == "restore ra")
        },
    },
    Fault {
        fixture: "gas/same-value-ra.s",
        what: "amd64: `.cfi_same_value` of the return address is ignored",
        effect: Effect::Row,
        is_patched: false,
        applies: |machine, sequence| is_amd64(machine) && sequence.has("same_value ra"),
    },
    Fault {
        fixture: "gas/val-offset-ra.s",
        what: "amd64: `.cfi_val_offset` of the return address is ignored",
        effect: Effect::Row,
        is_patched: false,
        applies: |machine, sequence| is_amd64(machine) && sequence.has("val_offset ra"),
    },
    Fault {
        fixture: "gas/undefined-then-offset.s",
        what: "amd64: `.cfi_offset` at CFA-8 does not end `.cfi_undefined` of the return address",
        effect: Effect::Row,
        is_patched: false,
        applies: |machine, sequence| {
            is_amd64(machine) && sequence.has_in_order(|name| name == "undefined ra", |name| name == "offset ra")
        },
    },
    Fault {
        fixture: "gas/expression-base.s",
        what: "an expression for the frame pointer on a register other than amd64's rbp becomes register 536870911",
        effect: Effect::Row,
        is_patched: false,
        applies: |machine, sequence| {
            let at_fp = sequence.has("escape expression fp at fp") && !is_amd64(machine);
            at_fp || sequence.has("escape expression fp")
        },
    },
    Fault {
        fixture: "faults/offset-then-register.s",
        what: "`.cfi_def_cfa_register` takes the offset of the row before, not that of its own row",
        effect: Effect::Row,
        is_patched: false,
        applies: |_, sequence| sequence.row_has_in_order(sets_cfa, |name| name.starts_with("def_cfa_register")),
    },
    Fault {
        fixture: "faults/nested-remember.s",
        what: "nested `.cfi_remember_state` has one slot",
        effect: Effect::Row,
        is_patched: false,
        applies: |_, sequence| sequence.names().filter(|name| *name == "remember_state").count() > 1,
    },
    Fault {
        fixture: "gas/restore-state-in-row.s",
        what: "`.cfi_restore_state` behind another instruction of its row ends the assembler",
        effect: Effect::Crash,
        is_patched: false,
        applies: |_, sequence| {
            // The first row has the initial instructions.
            let in_first =
                sequence.rows.first().is_some_and(|row| row.iter().any(|(name, _)| *name == "restore_state"));
            in_first || sequence.row_has_in_order(|_| true, |name| name == "restore_state")
        },
    },
    Fault {
        fixture: "faults/signal-crash.s",
        what: "a signal frame that is declined after a row was made ends the assembler",
        effect: Effect::Crash,
        is_patched: false,
        applies: |_, sequence| sequence.has("signal_frame"),
    },
];
