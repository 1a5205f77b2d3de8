//! Runs the instructions of a function into rows, for the registers that
//! SFrame speaks of: the CFA, the return address and the frame pointer.

use super::decline::reason;
use super::operand::{block, expression_of, factored, is_escape, number};
use super::{Cie, Error, Fde, Reason, Reasons, Slice};
use crate::debuginfo::frame::{Cfa, Place, Row};
use crate::debuginfo::sframe::Abi;
use gimli::{Reader as _, constants};

/// `DW_CFA_AARCH64_negate_ra_state_with_pc`, which gimli does not name.
const NEGATE_WITH_PC: u8 = 0x2c;
/// The most rows an entry of version 3 can count.
const MOST_ROWS: usize = 65_535;

/// How many rows, and how many remembered states, are taken of one function.
const MOST_KEPT: usize = 1 << 20;

/// A row, and from which byte of the function on it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Bytes from the start of the function.
    pub start: u64,
    /// The rules of the row.
    pub row: Row,
    /// The registers whose rule was last set by `DW_CFA_restore`; none in rows of SFrame.
    pub restored: Restored,
}

/// The tracked registers that `DW_CFA_restore` set back to the rule of the CIE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// The frame pointer.
    pub fp: bool,
    /// The return address.
    pub ra: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    cfa: Cfa,
    sp: Place,
    fp: Place,
    ra: Place,
    mangled: bool,
    restored: Restored,
}

/// State after a CIE's instructions, with which each of its functions begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initial {
    state: State,
    reasons: Reasons,
}

impl Initial {
    /// Returns the row that the CIE alone defines.
    #[must_use]
    pub fn row(&self) -> Row {
        let State { cfa, fp, ra, mangled, .. } = self.state;
        Row { cfa, ra, fp, mangled }
    }
}

/// Runs functions one after the other, reusing its memory.
#[derive(Debug)]
pub struct Evaluator {
    abi: Abi,
    /// Whether the assembler had flexible FDEs.
    flexible: bool,
    /// Whether the assembler looked into `.cfi_escape` at all.
    reads_escapes: bool,
    state: State,
    initial: State,
    stack: Vec<State>,
    at: u64,
    reasons: Reasons,
    steps: Vec<Step>,
    /// Whether the instruction before this one, without an advance between them, was one that only `.cfi_escape` writes.
    after_escape: bool,
}

const NOT_RESTORED: Restored = Restored { fp: false, ra: false };
const START: State = State {
    cfa: Cfa::Unknown,
    sp: Place::Same,
    fp: Place::Same,
    ra: Place::Same,
    mangled: false,
    restored: NOT_RESTORED,
};

impl Evaluator {
    /// For data of an SFrame version.
    #[must_use]
    pub fn new(abi: Abi, version: u8) -> Self {
        Self {
            abi,
            flexible: version >= 3 && abi.has_flexible(),
            reads_escapes: version >= 3,
            state: START,
            initial: START,
            stack: Vec::new(),
            at: 0,
            reasons: Reasons::default(),
            steps: Vec::new(),
            after_escape: false,
        }
    }

    /// Returns the state after the instructions of a CIE.
    pub(super) fn initial(abi: Abi, cie: &Cie<'_>, instructions: Slice<'_>) -> Result<Initial, Error> {
        // Every reason counts here; `run` asks again for what depends on the version.
        let mut evaluator = Self::new(abi, 3);
        evaluator.execute(cie, instructions)?;
        let mut reasons = evaluator.reasons;
        if cie.ra != u64::from(abi.ra()) {
            reasons.add(Reason::RaColumn);
        }
        Ok(Initial { state: evaluator.state, reasons })
    }

    /// Runs a function: its rows, and why the assembler might have declined it.
    pub fn run(&mut self, cie: &Cie<'_>, fde: &Fde<'_>) -> Result<(&[Step], Reasons), Error> {
        let initial = cie.initial?;
        self.initial = initial.state;
        self.state = State { restored: NOT_RESTORED, ..initial.state };
        self.reasons = initial.reasons;
        self.stack.clear();
        self.steps.clear();
        self.at = 0;
        self.after_escape = false;
        self.execute(cie, fde.instructions)?;
        self.close();
        if self.steps.len() > MOST_ROWS {
            self.reasons.add(Reason::Rows);
        }
        Ok((&self.steps, self.reasons))
    }

    // The row that holds from the last advance on is complete.
    fn close(&mut self) {
        let State { cfa, fp, ra, mangled, restored, .. } = self.state;
        self.judge();
        let step = Step { start: self.at, row: Row { cfa, ra, fp, mangled }, restored };
        match self.steps.last_mut() {
            // An advance by nothing.
            Some(last) if last.start == step.start => *last = step,
            Some(last) if last.row == step.row && last.restored == step.restored => {}
            _ => self.steps.push(step),
        }
    }

    // Properties of a whole row.
    fn judge(&mut self) {
        let State { cfa, fp, ra, .. } = self.state;
        if let Cfa::Offset { offset, .. } | Cfa::Deref { offset, .. } = cfa {
            let aligned = self.abi != Abi::S390x || offset % 8 == 0;
            if i32::try_from(offset).is_err() || !aligned {
                self.reasons.add(Reason::CfaOffset);
            }
        }
        if !self.flexible && matches!(cfa, Cfa::Deref { .. }) {
            self.reasons.add(Reason::CfaExpression);
        }
        let on_stack = matches!(fp, Place::AtCfa(_));
        if self.abi.is_aarch64() && on_stack && !matches!(ra, Place::AtCfa(_)) {
            self.reasons.add(Reason::FpWithoutRa);
        }
    }

    fn is_base(&self, register: u32) -> bool {
        register == self.abi.sp() || register == self.abi.fp()
    }

    fn advance(&mut self, cie: &Cie<'_>, delta: u64) {
        self.close();
        self.at = self.at.saturating_add(delta.saturating_mul(cie.code_align));
    }

    fn execute(&mut self, cie: &Cie<'_>, mut code: Slice<'_>) -> Result<(), Error> {
        while !code.is_empty() {
            if self.steps.len() > MOST_KEPT {
                return Err(Error::Excess { what: "rows", most: MOST_KEPT });
            }
            let byte = code.read_u8()?;
            let low = byte & 0x3f;
            self.after_escape &= is_escape(byte);
            match byte & 0xc0 {
                0x40 => self.advance(cie, u64::from(low)),
                0x80 => {
                    let offset = code.read_uleb128()?;
                    self.saved(u64::from(low), factored(offset.cast_signed(), cie));
                }
                0xc0 => self.restore(u64::from(low)),
                _ => self.extended(cie, constants::DwCfa(low), &mut code)?,
            }
        }
        Ok(())
    }

    fn extended(&mut self, cie: &Cie<'_>, code: constants::DwCfa, rest: &mut Slice<'_>) -> Result<(), Error> {
        match code {
            constants::DW_CFA_nop => {}
            constants::DW_CFA_advance_loc1 => self.advance(cie, u64::from(rest.read_u8()?)),
            constants::DW_CFA_advance_loc2 => self.advance(cie, u64::from(rest.read_u16()?)),
            constants::DW_CFA_advance_loc4 => self.advance(cie, u64::from(rest.read_u32()?)),
            constants::DW_CFA_remember_state => {
                if self.steps.is_empty() {
                    self.reasons.add(Reason::RememberFirst);
                }
                if self.stack.len() >= MOST_KEPT {
                    return Err(Error::Excess { what: "remembered states", most: MOST_KEPT });
                }
                self.stack.push(self.state);
            }
            constants::DW_CFA_restore_state => self.state = self.stack.pop().ok_or(Error::Unremembered)?,
            constants::DW_CFA_GNU_args_size => {
                let size = rest.read_uleb128()?;
                let on_fp = matches!(self.state.cfa, Cfa::Offset { register, .. } if register == self.abi.fp());
                self.escape((size == 0 || on_fp) && size < 0x80);
            }
            constants::DW_CFA_AARCH64_negate_ra_state if self.abi.is_aarch64() => self.negate(),
            constants::DW_CFA_GNU_window_save => self.reasons.add(Reason::WindowSave),
            constants::DwCfa(NEGATE_WITH_PC) if self.abi.is_aarch64() => {
                self.negate();
                self.reasons.add(Reason::NegateWithPc);
            }
            constants::DW_CFA_def_cfa
            | constants::DW_CFA_def_cfa_sf
            | constants::DW_CFA_def_cfa_register
            | constants::DW_CFA_def_cfa_offset
            | constants::DW_CFA_def_cfa_offset_sf
            | constants::DW_CFA_def_cfa_expression => {
                self.cfa(cie, code, rest)?;
                // Also where the row ends with another one: the assembler declines at the instruction.
                let (Cfa::Offset { register, .. } | Cfa::Deref { register, .. }) = self.state.cfa else {
                    return Ok(());
                };
                if !self.flexible && !self.is_base(register) {
                    self.reasons.add(Reason::CfaRegister);
                }
            }
            _ => self.register(cie, code, rest)?,
        }
        Ok(())
    }

    // An instruction that no directive but `.cfi_escape` writes. The assembler reads few of them, and one in each
    // directive only: two in a row may have been one directive.
    fn escape(&mut self, is_read: bool) {
        if !is_read || !self.reads_escapes || self.after_escape {
            self.reasons.add(Reason::Escape);
        }
        self.after_escape = true;
    }

    fn negate(&mut self) {
        self.state.mangled = !self.state.mangled;
    }

    fn cfa(&mut self, cie: &Cie<'_>, code: constants::DwCfa, rest: &mut Slice<'_>) -> Result<(), Error> {
        match code {
            constants::DW_CFA_def_cfa => {
                let register = number(rest.read_uleb128()?);
                let offset = rest.read_uleb128()?.cast_signed();
                self.state.cfa = Cfa::Offset { register, offset };
            }
            constants::DW_CFA_def_cfa_sf => {
                let register = number(rest.read_uleb128()?);
                let offset = factored(rest.read_sleb128()?, cie);
                self.state.cfa = Cfa::Offset { register, offset };
            }
            constants::DW_CFA_def_cfa_register => {
                let register = number(rest.read_uleb128()?);
                self.state.cfa = match self.state.cfa {
                    Cfa::Offset { offset, .. } => Cfa::Offset { register, offset },
                    _ => Cfa::Other,
                };
            }
            constants::DW_CFA_def_cfa_offset => {
                let offset = rest.read_uleb128()?.cast_signed();
                self.cfa_offset(offset);
            }
            constants::DW_CFA_def_cfa_offset_sf => {
                let offset = factored(rest.read_sleb128()?, cie);
                self.cfa_offset(offset);
            }
            _ => {
                let expression = block(rest)?;
                let is_read = self.abi == Abi::Amd64
                    && self.flexible
                    && matches!(expression.slice(), [op, 0..0x80, deref]
                        if *op == constants::DW_OP_breg6.0 && *deref == constants::DW_OP_deref.0);
                self.escape(is_read);
                self.state.cfa = match expression_of(expression) {
                    Some((register, offset, true)) => Cfa::Deref { register, offset },
                    Some((register, offset, false)) => {
                        // Said as an expression, the assembler need not see that it is a register and an offset.
                        self.reasons.add(Reason::CfaExpression);
                        Cfa::Offset { register, offset }
                    }
                    None => {
                        self.reasons.add(Reason::CfaExpression);
                        Cfa::Other
                    }
                };
            }
        }
        Ok(())
    }

    fn cfa_offset(&mut self, offset: i64) {
        self.state.cfa = match self.state.cfa {
            Cfa::Offset { register, .. } => {
                if !self.is_base(register) {
                    self.reasons.add(Reason::CfaOffsetOnly);
                }
                Cfa::Offset { register, offset }
            }
            _ => {
                self.reasons.add(Reason::CfaOffsetOnly);
                Cfa::Other
            }
        };
    }

    fn register(&mut self, cie: &Cie<'_>, code: constants::DwCfa, rest: &mut Slice<'_>) -> Result<(), Error> {
        // All that is left starts with a register, but for set_loc, which assemblers never write.
        let register = match code {
            constants::DW_CFA_set_loc => return Err(Error::Instruction { found: code.0 }),
            _ => rest.read_uleb128(),
        };
        match code {
            constants::DW_CFA_offset_extended => {
                let register = register?;
                let offset = rest.read_uleb128()?.cast_signed();
                self.saved(register, factored(offset, cie));
            }
            constants::DW_CFA_offset_extended_sf => {
                let register = register?;
                let offset = rest.read_sleb128()?;
                self.saved(register, factored(offset, cie));
            }
            constants::DW_CFA_restore_extended => self.restore(register?),
            constants::DW_CFA_undefined => self.set(register?, Place::Undefined),
            constants::DW_CFA_same_value => self.set(register?, Place::Same),
            constants::DW_CFA_register => {
                let to = number(rest.read_uleb128()?);
                self.set(register?, Place::Register(to));
            }
            constants::DW_CFA_val_offset => {
                let (register, offset) = (register?, rest.read_uleb128()?);
                // `.cfi_val_offset` writes this too; as an escape, it is declined with operands of more than one byte.
                if register >= 0x80 || offset >= 0x80 {
                    self.reasons.add(Reason::Escape);
                }
                self.set(register, Place::ValCfa(factored(offset.cast_signed(), cie)));
            }
            constants::DW_CFA_val_offset_sf => {
                let offset = factored(rest.read_sleb128()?, cie);
                self.set(register?, Place::ValCfa(offset));
            }
            constants::DW_CFA_expression => {
                let (register, expression) = (register?, block(rest)?);
                self.escape(register < 0x80 && matches!(expression.slice(), [_, 0..0x80]));
                let place = match expression_of(expression) {
                    Some((register, offset, false)) => Place::AtRegister { register, offset },
                    _ => Place::Other,
                };
                self.expression(register, place);
            }
            constants::DW_CFA_val_expression => {
                block(rest)?;
                self.escape(false);
                self.set(register?, Place::Other);
            }
            constants::DwCfa(found) => return Err(Error::Instruction { found }),
        }
        Ok(())
    }

    fn saved(&mut self, register: u64, offset: i64) {
        self.set(register, Place::AtCfa(offset));
    }

    fn restore(&mut self, register: u64) {
        let State { sp, fp, ra, .. } = self.initial;
        let abi = self.abi;
        let place = match number(register) {
            found if found == abi.sp() => sp,
            found if found == abi.fp() => fp,
            found if found == abi.ra() => ra,
            _ => return,
        };
        // No reason is given for going back to what was.
        if let Some(slot) = self.slot(register) {
            *slot = place;
        }
        self.mark_restored(register, true);
    }

    fn mark_restored(&mut self, register: u64, restored: bool) {
        match number(register) {
            found if found == self.abi.fp() => self.state.restored.fp = restored,
            found if found == self.abi.ra() => self.state.restored.ra = restored,
            _ => {}
        }
    }

    fn slot(&mut self, register: u64) -> Option<&mut Place> {
        let abi = self.abi;
        match number(register) {
            found if found == abi.sp() => Some(&mut self.state.sp),
            found if found == abi.fp() => Some(&mut self.state.fp),
            found if found == abi.ra() => Some(&mut self.state.ra),
            _ => None,
        }
    }

    fn expression(&mut self, register: u64, place: Place) {
        let at_base = matches!(self.state.cfa, Cfa::Offset { register: base, .. } if base == number(register));
        let good = self.flexible
            && number(register) == self.abi.fp()
            && matches!(place, Place::AtRegister { register, .. } if register == self.abi.fp());
        if !good && (at_base || self.slot(register).is_some()) {
            self.reasons.add(Reason::Expression);
        }
        if let Some(slot) = self.slot(register) {
            *slot = place;
        }
    }

    fn set(&mut self, register: u64, place: Place) {
        self.mark_restored(register, false);
        let number = number(register);
        let (abi, flexible) = (self.abi, self.flexible);
        let Some(slot) = self.slot(register) else { return };
        *slot = place;
        if let Some(reason) = reason(abi, flexible, number, place) {
            self.reasons.add(reason);
        }
    }
}
