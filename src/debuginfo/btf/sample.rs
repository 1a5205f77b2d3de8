//! A small file with every kind, for tests.

use super::{Builder, Endian, Grammar, Kind, LocSite, Order, Param, flags};

/// Returns a valid file: types 1 to 20 of all plain kinds, 21 a LOC_PARAM, 22 a LOC_PROTO, 23 a
/// LOCSEC.
pub fn everything(endian: Endian, header_32: bool, grammar: Grammar) -> Vec<u8> {
    let mut builder = Builder::new(None, endian, header_32).order(Order::AsPushed).grammar(grammar);
    plain(&mut builder);
    let params = [("x", 1), ("p", 2)].map(|(name, type_id)| Param { name_off: builder.string(name), type_id });
    let proto = builder.func_proto(1, &params);
    assert_eq!(proto, 13);
    tagged(&mut builder);
    match grammar {
        Grammar::Wide => {
            let param = builder.loc_param(4, flags::REG | flags::OFFSET, &[5, 8]);
            let loc_proto = builder.loc_proto(&[param, 0]);
            let site = |offset| LocSite { func: 12, offset, loc_proto };
            builder.locsec(".text", [site(0x20), site(0x10)]);
        }
        Grammar::Narrow => {
            let name = builder.string("work");
            let section = builder.string("inline");
            // {u16 register 5, u16 flags DEREF}
            let halves = if endian == Endian::Little { 0x0001_0005 } else { 0x0005_0001 };
            let minus = (-4_i32).cast_unsigned();
            let param = builder.push(Kind::LocParam, 0, false, 0, minus, &[halves, 8]);
            let loc_proto = builder.loc_proto(&[param, 0]);
            let sites = [name, proto, loc_proto, 0x10, name, proto, loc_proto, 0x20];
            builder.push(Kind::LocSec, section, false, 2, 0, &sites);
        }
    }
    builder.finish().unwrap()
}

// Types 1 to 12.
fn plain(builder: &mut Builder<'_>) {
    let mut string = |text: &str| builder.string(text);
    let [int, s, a, p, bits, u, e, low, high, f, t, work] =
        ["int", "s", "a", "p", "bits", "u", "e", "LOW", "HIGH", "f", "t", "work"].map(&mut string);
    let minus = u32::MAX;
    builder.push(Kind::Int, int, false, 0, 4, &[1 << 24 | 32]);
    builder.push(Kind::Ptr, 0, false, 0, 1, &[]);
    builder.push(Kind::Array, 0, false, 0, 0, &[1, 1, 4]);
    builder.push(Kind::Struct, s, true, 3, 24, &[a, 1, 0, p, 2, 64, bits, 1, 3 << 24 | 128]);
    builder.push(Kind::Union, u, false, 2, 16, &[a, 3, 0, p, 2, 0]);
    builder.push(Kind::Enum, e, true, 2, 4, &[low, minus, high, 7]);
    builder.push(Kind::Fwd, f, true, 0, 0, &[]);
    builder.push(Kind::Typedef, t, false, 0, 1, &[]);
    builder.push(Kind::Volatile, 0, false, 0, 8, &[]);
    builder.push(Kind::Const, 0, false, 0, 9, &[]);
    builder.push(Kind::Restrict, 0, false, 0, 2, &[]);
    builder.push(Kind::Func, work, false, 1, 13, &[]);
}

// Types 14 to 20.
fn tagged(builder: &mut Builder<'_>) {
    let mut string = |text: &str| builder.string(text);
    let [v, data, double, note, user, big, huge] =
        ["v", ".data", "double", "a note", "user", "big", "HUGE"].map(&mut string);
    builder.push(Kind::Var, v, false, 0, 1, &[1]);
    builder.push(Kind::DataSec, data, false, 1, 4, &[14, 0, 4]);
    builder.push(Kind::Float, double, false, 0, 8, &[]);
    builder.push(Kind::DeclTag, note, false, 0, 4, &[1]);
    builder.push(Kind::TypeTag, user, false, 0, 1, &[]);
    builder.push(Kind::Enum64, big, false, 1, 8, &[huge, 1, 2]);
    builder.push(Kind::Ptr, 0, false, 0, 18, &[]);
}

/// Returns every combination of byte order, header and grammar.
pub fn all() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for endian in [Endian::Little, Endian::Big] {
        for header_32 in [false, true] {
            for grammar in [Grammar::Wide, Grammar::Narrow] {
                all.push(everything(endian, header_32, grammar));
            }
        }
    }
    all
}
