//! Operands of call-frame instructions.

use super::{Cie, Error, Slice};
use gimli::{Reader as _, constants};

// Instructions that no directive but `.cfi_escape` writes.
pub(super) fn is_escape(byte: u8) -> bool {
    matches!(
        constants::DwCfa(byte),
        constants::DW_CFA_GNU_args_size
            | constants::DW_CFA_def_cfa_expression
            | constants::DW_CFA_expression
            | constants::DW_CFA_val_expression
    )
}

// A register number; those that no 32 bits hold are none of any ABI.
pub(super) fn number(register: u64) -> u32 {
    u32::try_from(register).unwrap_or(u32::MAX)
}

pub(super) fn factored(offset: i64, cie: &Cie<'_>) -> i64 {
    offset.wrapping_mul(cie.data_align)
}

pub(super) fn block<'a>(rest: &mut Slice<'a>) -> Result<Slice<'a>, Error> {
    let length = rest.read_uleb128()?;
    Ok(rest.split(usize::try_from(length).unwrap_or(usize::MAX))?)
}

// A register plus an offset, and whether it is dereferenced; `None` for any other expression.
pub(super) fn expression_of(mut code: Slice<'_>) -> Option<(u32, i64, bool)> {
    let op = code.read_u8().ok()?;
    let register = match constants::DwOp(op) {
        constants::DW_OP_bregx => number(code.read_uleb128().ok()?),
        _ if (constants::DW_OP_breg0.0..=constants::DW_OP_breg31.0).contains(&op) => {
            u32::from(op - constants::DW_OP_breg0.0)
        }
        _ => return None,
    };
    let offset = code.read_sleb128().ok()?;
    match code.read_u8() {
        Err(_) => Some((register, offset, false)),
        Ok(op) if op == constants::DW_OP_deref.0 && code.is_empty() => Some((register, offset, true)),
        Ok(_) => None,
    }
}
