//! Body of the fuzz target of expressions; the tests replay the corpus through it.

use crossmill::debuginfo::inline_btf::expression::{Want, translate};
use crossmill::debuginfo::inline_btf::{LocParam, Location};
use gimli::{BigEndian, Encoding, EndianSlice, Endianity, Format, LittleEndian};

/// Translates an input: {bytes of the parameter, flags, the expression}. Flags: 1 big-endian, 2 addresses of four
/// bytes, 4 DWARF 4, 8 signed, 16 64-bit DWARF.
pub fn expression(data: &[u8]) {
    let Some(([size, flags], expression)) = data.split_first_chunk::<2>() else { return };
    let of = |flag: u8| flags & flag != 0;
    let encoding = Encoding {
        address_size: if of(2) { 4 } else { 8 },
        version: if of(4) { 4 } else { 5 },
        format: if of(16) { Format::Dwarf64 } else { Format::Dwarf32 },
    };
    let want = Want { encoding, size: u32::from(*size) };
    if of(1) {
        one(expression, want, of(8), BigEndian);
    } else {
        one(expression, want, of(8), LittleEndian);
    }
}

fn one<E: Endianity>(expression: &[u8], want: Want, signed: bool, endian: E) {
    let address = |index: gimli::DebugAddrIndex| (index.0 < 4).then(|| 0x4000 + index.0 as u64);
    let outcome = translate(EndianSlice::new(expression, endian), want, address);
    assert_eq!(outcome, translate(EndianSlice::new(expression, endian), want, address));
    let Ok(location) = outcome else { return };
    let base = 0x1000;
    let Ok(param) = LocParam::encode(location, want.size, signed, base) else { return };
    assert!((1..=3).contains(&param.values().len()) && (1..=16).contains(&param.size));
    // Written expressions are read again; constants and addresses keep the parameter's bytes alone.
    match (location, param.decode(base).expect("what is encoded is decoded")) {
        (Location::Constant(_), Location::Constant(_)) | (Location::Address(_), Location::Address(_)) => {}
        (Location::Sum(register, 0), found) => assert_eq!(found, Location::Register(register)),
        (location, found) => assert_eq!(found, location),
    }
}
