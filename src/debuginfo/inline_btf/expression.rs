//! From a DWARF expression to a [`Location`]. Looks at a bounded number of
//! operations, whatever the expression's length, and evaluates nothing.

use super::location::{FRAME_BASE, Location, Missing};
use gimli::{DebugAddrIndex, Encoding, Operation, Reader, ReaderOffset as _};

/// Operations that are looked at to name what an expression does.
const MOST_LOOKED_AT: usize = 64;
/// The longest expression that has a place in inline BTF: two registers, each with its piece.
const MOST_TRANSLATED: usize = 4;

/// Context of a translation.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// Address size, format and version of the unit.
    pub encoding: Encoding,
    /// Bytes of the parameter; 0 where its type has no size.
    pub size: u32,
}

/// Translates an expression. `address` resolves an index into `.debug_addr`.
pub fn translate<R: Reader>(
    expression: R,
    want: Want,
    address: impl Fn(DebugAddrIndex<R::Offset>) -> Option<u64>,
) -> Result<Location, Missing> {
    let mut rest = expression.clone();
    let mut operations: Vec<Operation<R>> = Vec::with_capacity(MOST_TRANSLATED);
    while !rest.is_empty() {
        if operations.len() == MOST_TRANSLATED {
            return Err(name(expression, want.encoding));
        }
        match Operation::parse(&mut rest, want.encoding) {
            Ok(Operation::Nop) if operations.is_empty() => skip_nops(&mut rest),
            Ok(operation) => operations.push(operation),
            Err(_) => return Err(Missing::Damaged),
        }
    }
    pattern(&operations, want, address).unwrap_or_else(|| Err(name(expression, want.encoding)))
}

// A megabyte of them must not be parsed one by one through the list above.
fn skip_nops<R: Reader>(rest: &mut R) {
    let mut ahead = rest.clone();
    while ahead.read_u8().is_ok_and(|byte| byte == gimli::constants::DW_OP_nop.0) {
        *rest = ahead.clone();
    }
}

// The expression as inline BTF; `None` if it cannot be represented.
fn pattern<R: Reader>(
    operations: &[Operation<R>],
    want: Want,
    address: impl Fn(DebugAddrIndex<R::Offset>) -> Option<u64>,
) -> Option<Result<Location, Missing>> {
    use Operation as Op;
    let zero = gimli::UnitOffset(R::Offset::from_u8(0));
    let untyped = |base: &gimli::UnitOffset<R::Offset>| *base == zero;
    let resolved =
        |index: &DebugAddrIndex<R::Offset>| Some(address(*index).map(Location::Address).ok_or(Missing::Damaged));
    Some(Ok(match operations {
        [] => return Some(Err(Missing::OptimisedOut)),
        [Op::Register { register }] => Location::Register(u32::from(register.0)),
        [Op::Register { register }, Op::Piece { size_in_bits, bit_offset: None | Some(0) }]
            if want.size > 0 && *size_in_bits >= u64::from(want.size) * 8 =>
        {
            Location::Register(u32::from(register.0))
        }
        [
            Op::Register { register: first },
            Op::Piece { size_in_bits: one, bit_offset: None },
            Op::Register { register: second },
            Op::Piece { size_in_bits: other, bit_offset: None },
        ] if is_pair(*one, *other, want) => Location::Pair(u32::from(first.0), u32::from(second.0)),
        [Op::RegisterOffset { register, offset, base_type }] if untyped(base_type) => {
            Location::Memory(u32::from(register.0), *offset)
        }
        [Op::RegisterOffset { register, offset, base_type }, Op::StackValue] if untyped(base_type) => {
            sum(u32::from(register.0), *offset)
        }
        [Op::FrameOffset { offset }] => Location::Memory(FRAME_BASE, *offset),
        [Op::FrameOffset { offset }, Op::StackValue] => sum(FRAME_BASE, *offset),
        [Op::UnsignedConstant { value }] | [Op::UnsignedConstant { value }, Op::StackValue] => {
            Location::Constant(*value)
        }
        [Op::SignedConstant { value }] | [Op::SignedConstant { value }, Op::StackValue] => {
            Location::Constant(value.cast_unsigned())
        }
        [Op::Address { address }, Op::StackValue] => Location::Address(*address),
        [Op::AddressIndex { index }, Op::StackValue] => return resolved(index),
        [Op::Address { .. } | Op::AddressIndex { .. }] => return Some(Err(Missing::FixedAddress)),
        [Op::ImplicitValue { data }] => return Some(implicit(data.clone())),
        _ => return None,
    }))
}

fn sum(register: u32, offset: i64) -> Location {
    if offset == 0 { Location::Register(register) } else { Location::Sum(register, offset) }
}

// The first fills a register, the second holds all that is left.
fn is_pair(first: u64, second: u64, want: Want) -> bool {
    let register = u64::from(want.encoding.address_size) * 8;
    let all = u64::from(want.size) * 8;
    first == register && second <= register && (all == 0 || first + second == all)
}

// In the program's byte order; longer than eight bytes fits no constant.
fn implicit<R: Reader>(mut data: R) -> Result<Location, Missing> {
    let len = data.len().into_u64();
    if len == 0 || len > 8 {
        return Err(Missing::Size);
    }
    data.read_uint(len as usize).map(Location::Constant).map_err(|_| Missing::Damaged)
}

// The most telling operation names the whole.
fn name<R: Reader>(mut expression: R, encoding: Encoding) -> Missing {
    let mut found = None;
    for _ in 0..MOST_LOOKED_AT {
        if expression.is_empty() {
            break;
        }
        let Ok(operation) = Operation::parse(&mut expression, encoding) else { return Missing::Damaged };
        let kind = kind(&operation);
        found = found.max(kind.map(|kind| (weight(kind), kind)));
    }
    found.map_or(Missing::OtherOperation, |(_, kind)| kind)
}

fn weight(kind: Missing) -> u8 {
    match kind {
        Missing::EntryValue => 9,
        Missing::ImplicitPointer => 8,
        Missing::ParameterRef => 7,
        Missing::Pieces => 6,
        Missing::ThreadLocal => 5,
        Missing::Dereference => 4,
        Missing::Typed => 3,
        Missing::Arithmetic => 2,
        _ => 1,
    }
}

fn kind<R: Reader>(operation: &Operation<R>) -> Option<Missing> {
    use Operation as Op;
    let zero = gimli::UnitOffset(R::Offset::from_u8(0));
    Some(match operation {
        Op::EntryValue { .. } => Missing::EntryValue,
        Op::ImplicitPointer { .. } => Missing::ImplicitPointer,
        Op::ParameterRef { .. } => Missing::ParameterRef,
        Op::Piece { .. } => Missing::Pieces,
        Op::TLS => Missing::ThreadLocal,
        Op::Deref { .. } => Missing::Dereference,
        Op::TypedLiteral { .. } | Op::Convert { .. } | Op::Reinterpret { .. } => Missing::Typed,
        Op::RegisterOffset { base_type, .. } if *base_type != zero => Missing::Typed,
        Op::Abs
        | Op::And
        | Op::Div
        | Op::Minus
        | Op::Mod
        | Op::Mul
        | Op::Neg
        | Op::Not
        | Op::Or
        | Op::Plus
        | Op::PlusConstant { .. }
        | Op::Shl
        | Op::Shr
        | Op::Shra
        | Op::Xor
        | Op::Eq
        | Op::Ge
        | Op::Gt
        | Op::Le
        | Op::Lt
        | Op::Ne
        | Op::Bra { .. } => Missing::Arithmetic,
        Op::Call { .. }
        | Op::VariableValue { .. }
        | Op::CallFrameCFA
        | Op::PushObjectAddress
        | Op::ConstantIndex { .. }
        | Op::Uninitialized
        | Op::Skip { .. }
        | Op::WasmLocal { .. }
        | Op::WasmGlobal { .. }
        | Op::WasmStack { .. } => Missing::OtherOperation,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{EndianSlice, Format, LittleEndian};
    use proptest::prelude::*;

    fn of(bytes: &[u8], size: u32) -> Result<Location, Missing> {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 5 };
        translate(EndianSlice::new(bytes, LittleEndian), Want { encoding, size }, |index| {
            (index.0 == 1).then_some(0x4000)
        })
    }

    #[test]
    fn values_in_registers() {
        assert_eq!(of(&[0x50], 8), Ok(Location::Register(0)), "reg0");
        assert_eq!(of(&[0x90, 0x21], 8), Ok(Location::Register(33)), "regx 33");
        assert_eq!(of(&[0x55, 0x93, 8], 8), Ok(Location::Register(5)), "reg5, piece 8");
        assert_eq!(of(&[0x55, 0x93, 4], 8), Err(Missing::Pieces), "half of it");
        assert_eq!(of(&[0x55, 0x93, 8, 0x54, 0x93, 8], 16), Ok(Location::Pair(5, 4)));
        assert_eq!(of(&[0x55, 0x93, 8, 0x54, 0x93, 4], 12), Ok(Location::Pair(5, 4)));
        assert_eq!(of(&[0x55, 0x93, 8, 0x54, 0x93, 4], 16), Err(Missing::Pieces), "4 bytes are nowhere");
        assert_eq!(of(&[0x55, 0x93, 4, 0x54, 0x93, 4], 8), Err(Missing::Pieces), "two halves of registers");
        assert_eq!(of(&[0x55, 0x93, 8, 0x93, 8], 16), Err(Missing::Pieces), "the second is nowhere");
    }

    // The RFC's encoder took stack_value for a dereference: it is the opposite.
    #[test]
    fn sums_and_memory_are_not_confused() {
        assert_eq!(of(&[0x75, 0x70], 8), Ok(Location::Memory(5, -16)), "breg5 -16");
        assert_eq!(of(&[0x75, 0x70, 0x9f], 8), Ok(Location::Sum(5, -16)), "breg5 -16, stack_value");
        assert_eq!(of(&[0x75, 0, 0x9f], 8), Ok(Location::Register(5)), "breg5 0, stack_value");
        assert_eq!(of(&[0x75, 0], 8), Ok(Location::Memory(5, 0)), "breg5 0");
        assert_eq!(of(&[0x92, 5, 8], 8), Ok(Location::Memory(5, 8)), "bregx 5, 8");
        assert_eq!(of(&[0x91, 0x68], 8), Ok(Location::Memory(FRAME_BASE, -24)), "fbreg -24");
        assert_eq!(of(&[0x91, 0x68, 0x9f], 8), Ok(Location::Sum(FRAME_BASE, -24)), "fbreg -24, stack_value");
    }

    #[test]
    fn constants_and_addresses() {
        assert_eq!(of(&[0x37, 0x9f], 4), Ok(Location::Constant(7)), "lit7, stack_value");
        assert_eq!(of(&[0x37], 4), Ok(Location::Constant(7)), "lit7");
        assert_eq!(of(&[0x09, 0xff, 0x9f], 4), Ok(Location::Constant(u64::MAX)), "const1s -1");
        assert_eq!(of(&[0x10, 0x80, 1, 0x9f], 4), Ok(Location::Constant(128)), "constu 128");
        assert_eq!(of(&[0x9e, 2, 1, 2], 2), Ok(Location::Constant(0x201)), "implicit_value");
        assert_eq!(of(&[0x9e, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9], 16), Err(Missing::Size));
        assert_eq!(of(&[3, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x9f], 8), Ok(Location::Address(0x1000)));
        assert_eq!(of(&[3, 0, 0x10, 0, 0, 0, 0, 0, 0], 8), Err(Missing::FixedAddress));
        assert_eq!(of(&[0xa1, 1, 0x9f], 8), Ok(Location::Address(0x4000)), "addrx 1");
        assert_eq!(of(&[0xa1, 2, 0x9f], 8), Err(Missing::Damaged), "addrx beyond the table");
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        assert_eq!(of(&[], 8), Err(Missing::OptimisedOut));
        assert_eq!(of(&[0xa3, 1, 0x55, 0x9f], 8), Err(Missing::EntryValue));
        assert_eq!(of(&[0xf3, 1, 0x55, 0x9f], 8), Err(Missing::EntryValue), "GNU_entry_value");
        assert_eq!(of(&[0xa3, 1, 0x55, 0x23, 8, 0x9f], 8), Err(Missing::EntryValue), "with arithmetic on it");
        assert_eq!(of(&[0xa0, 1, 0, 0, 0, 0], 8), Err(Missing::ImplicitPointer));
        assert_eq!(of(&[0xfa, 1, 0, 0, 0, 0x9f], 8), Err(Missing::ParameterRef));
        assert_eq!(of(&[0x75, 0, 0x23, 8, 0x9f], 8), Err(Missing::Arithmetic), "breg5 0, plus_uconst 8");
        assert_eq!(of(&[0x75, 0, 0x06, 0x9f], 8), Err(Missing::Dereference));
        assert_eq!(of(&[0xa5, 5, 7, 0xa8, 9, 0x9f], 8), Err(Missing::Typed), "regval_type, convert");
        assert_eq!(of(&[0xff], 8), Err(Missing::Damaged));
        assert_eq!(of(&[0x9e, 100, 1], 8), Err(Missing::Damaged), "a block longer than the expression");
    }

    #[test]
    fn ten_megabytes_are_looked_at_briefly() {
        let long = 10 << 20;
        let arithmetic = [vec![0x75, 0], vec![0x1f; long]].concat();
        assert_eq!(of(&arithmetic, 8), Err(Missing::Arithmetic));
        assert_eq!(of(&vec![0x96; long], 8), Err(Missing::OptimisedOut), "nothing but nops");
        let nested = [vec![0xa3, 0xfb, 0xff, 0xff, 0x04], vec![0xa3; long - 5]].concat();
        assert_eq!(of(&nested, 8), Err(Missing::EntryValue), "what is inside an entry value is not entered");
    }

    proptest! {
        #[test]
        fn no_expression_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), size in 0_u32..20) {
            let _ = of(&bytes, size);
        }
    }
}
