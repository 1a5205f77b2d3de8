//! Files that break one rule each, for tests.

use super::Context;
use crate::debuginfo::btf::{Builder, Endian, Grammar, Kind, LocSite, Order, flags};

/// A file and the codes it is found to break.
pub struct Case {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub base: Option<Vec<u8>>,
    pub context: Context,
    pub codes: Vec<&'static str>,
}

fn case(name: &'static str, codes: &[&'static str], bytes: Vec<u8>) -> Case {
    Case { name, bytes, base: None, context: Context::default(), codes: codes.to_vec() }
}

// Type 1 is `int`, type 2 a pointer to it, type 3 `int (int x)`, type 4 `f`.
fn start(grammar: Grammar) -> Builder<'static> {
    let mut builder = Builder::new(None, Endian::Little, true).order(Order::AsPushed).grammar(grammar);
    let (int, x) = (builder.string("int"), builder.string("x"));
    builder.push(Kind::Int, int, false, 0, 4, &[1 << 24 | 32]);
    builder.push(Kind::Ptr, 0, false, 0, 1, &[]);
    builder.push(Kind::FuncProto, 0, false, 1, 1, &[x, 1]);
    builder.func("f", 3, 1);
    builder
}

fn built(name: &'static str, codes: &[&'static str], build: impl FnOnce(&mut Builder<'static>)) -> Case {
    let mut builder = start(Grammar::Wide);
    build(&mut builder);
    case(name, codes, builder.finish().unwrap())
}

// With inline kinds the types would have to be sorted; that is not what is wrong here.
fn inline(name: &'static str, codes: &[&'static str], build: impl FnOnce(&mut Builder<'static>)) -> Case {
    let mut builder = start(Grammar::Wide).order(Order::ByName);
    build(&mut builder);
    case(name, codes, builder.finish().unwrap())
}

fn old(name: &'static str, codes: &[&'static str], build: impl FnOnce(&mut Builder<'static>)) -> Case {
    let mut builder = start(Grammar::Narrow);
    build(&mut builder);
    case(name, codes, builder.finish().unwrap())
}

fn patched(name: &'static str, codes: &[&'static str], change: impl FnOnce(&mut Vec<u8>)) -> Case {
    let mut bytes = start(Grammar::Wide).finish().unwrap();
    change(&mut bytes);
    case(name, codes, bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Returns all of them.
pub fn all() -> Vec<Case> {
    let mut all = file_cases();
    all.extend(name_cases());
    all.extend(reference_cases());
    all.extend(size_cases());
    all.extend(member_cases());
    all.extend(inline_cases());
    all.extend(site_cases());
    all.extend(old_cases());
    all
}

fn file_cases() -> Vec<Case> {
    let little = start(Grammar::Wide).finish().unwrap();
    let big = Builder::new(None, Endian::Big, false).finish().unwrap();
    let obsolete = crate::debuginfo::btf::read_tests::obsolete(0xeb9f);
    // Where the layout section begins, with the header.
    let layout = |bytes: &[u8]| (32 + word(bytes, 24)) as usize;
    vec![
        case("empty", &["BT001"], Vec::new()),
        patched("magic", &["BT001"], |bytes| bytes[0] = 0),
        patched("version", &["BT001"], |bytes| bytes[2] = 2),
        case("obsolete", &["BT002"], obsolete),
        patched("flags", &["BT003"], |bytes| bytes[3] = 1),
        patched("header too long", &["BT003"], |bytes| set(bytes, 4, 1 << 20)),
        patched("a longer header", &["BT003"], |bytes| {
            set(bytes, 4, 36);
            bytes.splice(32..32, [0, 0, 1, 0]);
        }),
        patched("cut off", &["BT004"], |bytes| bytes.truncate(bytes.len() - 1)),
        patched("rest", &["BT005"], |bytes| bytes.push(0)),
        patched("overlap", &["BT005"], |bytes| {
            let at = word(bytes, 16);
            set(bytes, 16, at - 4);
            let value = word(bytes, 20) + 4;
            set(bytes, 20, value);
        }),
        {
            // The strings, moved before the types.
            let mut builder = Builder::new(None, Endian::Little, false);
            builder.push(Kind::Ptr, 0, false, 0, 0, &[]);
            let mut bytes = builder.finish().unwrap();
            bytes.truncate(24 + 12);
            bytes.splice(24..24, [0; 4]);
            for (at, value) in [(8, 4), (12, 12), (16, 0), (20, 4)] {
                set(&mut bytes, at, value);
            }
            case("strings first", &["BT006"], bytes)
        },
        patched("layout of an odd length", &["BT007"], |bytes| {
            let (at, len) = (layout(bytes), word(bytes, 28));
            bytes.splice(at + len as usize..at + len as usize, [0; 2]);
            set(bytes, 28, len + 2);
            let value = word(bytes, 16) + 2;
            set(bytes, 16, value);
        }),
        patched("layout entry", &["BT008"], |bytes| {
            let at = layout(bytes);
            bytes[at + 4 * 6 + 1] = 12;
        }),
        patched("short layout", &["BT009"], |bytes| {
            let at = layout(bytes);
            bytes.drain(at + 13 * 4..at + 23 * 4);
            set(bytes, 28, 13 * 4);
            let value = word(bytes, 16) - 40;
            set(bytes, 16, value);
        }),
        patched("first string", &["BT017"], |bytes| {
            let at = (32 + word(bytes, 16)) as usize;
            bytes[at] = b'x';
        }),
        patched("last string", &["BT010", "BT020"], |bytes| {
            let last = bytes.len() - 1;
            bytes[last] = b'x';
        }),
        patched("too many members", &["BT011"], |bytes| bytes[32 + 16 + 12 + 4] = 200),
        case("no types", &["BT012"], Builder::new(None, Endian::Little, false).finish().unwrap()),
        Case { base: Some(little), ..case("byte order", &["BT015"], big) },
    ]
}

fn name_cases() -> Vec<Case> {
    let base = start(Grammar::Wide).finish().unwrap();
    let mut split = Vec::new();
    {
        let base = crate::debuginfo::btf::Btf::parse(&base, None).unwrap();
        let mut builder = Builder::new(Some(&base), Endian::Little, false).order(Order::AsPushed);
        // Inside `int`.
        builder.push(Kind::Typedef, 2, false, 0, 1, &[]);
        split.extend(builder.finish().unwrap());
    }
    vec![
        Case { base: Some(base), ..case("inside a string", &["BT016"], split) },
        built("name beyond the strings", &["BT020"], |b| {
            b.push(Kind::Typedef, 999, false, 0, 1, &[]);
        }),
        built("typedef without a name", &["BT021"], |b| {
            b.push(Kind::Typedef, 0, false, 0, 1, &[]);
        }),
        built("value without a name", &["BT021"], |b| {
            b.push(Kind::Enum, 0, false, 1, 4, &[0, 1]);
        }),
        built("pointer with a name", &["BT022"], |b| {
            let name = b.string("p");
            b.push(Kind::Ptr, name, false, 0, 1, &[]);
        }),
        built("blank in a name", &["BT023"], |b| {
            let name = b.string("a b");
            b.push(Kind::Typedef, name, false, 0, 1, &[]);
        }),
        built("member with a digit first", &["BT023"], |b| {
            let name = b.string("1a");
            b.push(Kind::Struct, 0, false, 1, 4, &[name, 1, 0]);
        }),
        built("long name", &["BT023"], |b| {
            b.func("x".repeat(512), 3, 0);
        }),
        built("section with a tabulator", &["BT024"], |b| {
            let name = b.string(".da\tta");
            let var = b.string("v");
            let var = b.push(Kind::Var, var, false, 0, 1, &[1]);
            b.push(Kind::DataSec, name, false, 1, 4, &[var, 0, 4]);
        }),
    ]
}

fn reference_cases() -> Vec<Case> {
    vec![
        built("no such type", &["BT030"], |b| {
            b.push(Kind::Ptr, 0, false, 0, 99, &[]);
        }),
        built("member of type void", &["BT031"], |b| {
            b.push(Kind::Struct, 0, false, 1, 4, &[0, 0, 0]);
        }),
        built("pointer to a function's name", &["BT032"], |b| {
            b.push(Kind::Ptr, 0, false, 0, 4, &[]);
        }),
        built("function that is no prototype", &["BT032"], |b| {
            b.func("g", 1, 0);
        }),
        built("kind flag", &["BT033"], |b| {
            b.push(Kind::Ptr, 0, true, 0, 1, &[]);
        }),
        built("count", &["BT034"], |b| {
            b.push(Kind::Ptr, 0, false, 1, 1, &[]);
        }),
        built("size of an array", &["BT035"], |b| {
            b.push(Kind::Array, 0, false, 0, 4, &[1, 1, 1]);
        }),
        {
            // Offsets of strings beyond what kernels number.
            let mut builder = start(Grammar::Wide);
            builder.string(vec![b'x'; 0x0100_0000]);
            builder.func("last", 3, 0);
            case("many strings", &["BT036"], builder.finish().unwrap())
        },
        built("pointers in a circle", &["BT037"], |b| {
            b.push(Kind::Ptr, 0, false, 0, 6, &[]);
            b.push(Kind::Const, 0, false, 0, 5, &[]);
        }),
        built("pointer to itself", &["BT037"], |b| {
            b.push(Kind::Ptr, 0, false, 0, 5, &[]);
        }),
        built("structure in itself", &["BT038"], |b| {
            b.push(Kind::Struct, 0, false, 1, 4, &[0, 6, 0]);
            b.push(Kind::Array, 0, false, 0, 0, &[5, 1, 1]);
        }),
        built("member without a size", &["BT039"], |b| {
            let name = b.string("s");
            b.push(Kind::Fwd, name, false, 0, 0, &[]);
            b.push(Kind::Struct, 0, false, 1, 4, &[0, 5, 0]);
        }),
        built("array of prototypes", &["BT039"], |b| {
            b.push(Kind::Array, 0, false, 0, 0, &[3, 1, 1]);
        }),
    ]
}

fn size_cases() -> Vec<Case> {
    let int = |name: &'static str, size: u32, word: u32| {
        built(name, &["BT040"], move |b| {
            b.push(Kind::Int, 0, false, 0, size, &[word]);
        })
    };
    vec![
        int("unused bits of an integer", 4, 0x1000_0020),
        int("encoding", 4, 3 << 24 | 32),
        int("bits beyond the size", 4, 33),
        int("more than 128 bits", 32, 129),
        built("float", &["BT041"], |b| {
            let name = b.string("half");
            b.push(Kind::Float, name, false, 0, 3, &[]);
        }),
        built("enumeration of three bytes", &["BT042"], |b| {
            b.push(Kind::Enum, 0, false, 0, 3, &[]);
        }),
        built("index", &["BT043"], |b| {
            b.push(Kind::Array, 0, false, 0, 0, &[1, 2, 1]);
        }),
        built("large array", &["BT044"], |b| {
            b.push(Kind::Array, 0, false, 0, 0, &[1, 1, 1 << 30]);
            // The first that is too large is enough.
            b.push(Kind::Array, 0, false, 0, 0, &[5, 1, u32::MAX]);
        }),
    ]
}

fn member_cases() -> Vec<Case> {
    vec![
        built("member beyond the end", &["BT045"], |b| {
            b.push(Kind::Struct, 0, false, 1, 7, &[0, 1, 32]);
        }),
        built("members out of order", &["BT046"], |b| {
            b.push(Kind::Struct, 0, false, 2, 8, &[0, 1, 32, 0, 1, 0]);
        }),
        built("offset in a union", &["BT046"], |b| {
            b.push(Kind::Union, 0, false, 1, 8, &[0, 1, 32]);
        }),
        built("bit field of a pointer", &["BT047"], |b| {
            b.push(Kind::Struct, 0, true, 1, 8, &[0, 2, 3 << 24]);
        }),
        built("wide bit field", &["BT047"], |b| {
            b.push(Kind::Struct, 0, true, 1, 8, &[0, 1, 33 << 24]);
        }),
        built("pointer at a bit", &["BT047"], |b| {
            b.push(Kind::Struct, 0, false, 1, 16, &[0, 2, 1]);
        }),
        built("linkage of a function", &["BT048"], |b| {
            b.func("g", 3, 3);
        }),
        built("linkage of a variable", &["BT048"], |b| {
            let name = b.string("v");
            b.push(Kind::Var, name, false, 0, 1, &[3]);
        }),
        built("parameter without a name", &["BT049"], |b| {
            let proto = b.push(Kind::FuncProto, 0, false, 1, 1, &[0, 1]);
            b.func("g", proto, 0);
        }),
        built("void in the middle", &["BT050"], |b| {
            b.push(Kind::FuncProto, 0, false, 2, 1, &[0, 0, 0, 1]);
        }),
        built("variables overlap", &["BT052"], |b| {
            let (name, v, w) = (b.string(".data"), b.string("v"), b.string("w"));
            let v = b.push(Kind::Var, v, false, 0, 1, &[1]);
            let w = b.push(Kind::Var, w, false, 0, 1, &[1]);
            b.push(Kind::DataSec, name, false, 2, 8, &[v, 0, 4, w, 2, 4]);
        }),
        built("variable too small", &["BT053"], |b| {
            let (name, v) = (b.string(".data"), b.string("v"));
            let v = b.push(Kind::Var, v, false, 0, 1, &[1]);
            b.push(Kind::DataSec, name, false, 1, 2, &[v, 0, 2]);
        }),
        built("component", &["BT054"], |b| {
            let name = b.string("note");
            b.push(Kind::DeclTag, name, false, 0, 4, &[1]);
        }),
        built("tag behind const", &["BT055"], |b| {
            let name = b.string("user");
            b.push(Kind::TypeTag, name, false, 0, 1, &[]);
            b.push(Kind::Const, 0, false, 0, 5, &[]);
        }),
        built("not laid out", &["BT056"], |b| {
            let (name, v) = (b.string(".data"), b.string("v"));
            let v = b.push(Kind::Var, v, false, 0, 1, &[1]);
            b.push(Kind::DataSec, name, false, 1, 0, &[v, 0, 4]);
        }),
        built("a kfunc", &["BT056", "BT057"], |b| {
            let proto = b.func_proto(0, &[]);
            let (section, func) = (b.string(".ksyms"), b.func("bpf_rcu_read_lock", proto, 2));
            b.push(Kind::DataSec, section, false, 1, 0, &[func, 0, 0]);
        }),
        built("an extern without a type", &["BT057"], |b| {
            let name = b.string("bpf_prog_active");
            b.push(Kind::Var, name, false, 0, 0, &[2]);
        }),
        built("a function among variables", &["BT032", "BT056"], |b| {
            let proto = b.func_proto(0, &[]);
            let (section, func) = (b.string(".ksyms"), b.func("defined", proto, 1));
            b.push(Kind::DataSec, section, false, 1, 0, &[func, 0, 0]);
        }),
    ]
}

fn inline_cases() -> Vec<Case> {
    use flags::{ADDR, CONST, DEREF, OFFSET, REG, SIGNED};
    let param = |name: &'static str, codes: &[&'static str], size: u32, set: u32, values: &[u32]| {
        let values = values.to_vec();
        inline(name, codes, move |b| {
            b.loc_param(size, set, &values);
        })
    };
    vec![
        param("a constant", &[], 4, CONST | SIGNED, &[1]),
        param("an address", &[], 8, CONST | ADDR, &[1, 0]),
        param("two registers", &[], 16, REG, &[1, 2]),
        param("what a register points at", &[], 8, REG | DEREF, &[1]),
        param("on the frame", &[], 8, REG | DEREF | OFFSET | SIGNED, &[flags::FRAME_BASE, 8, 0]),
        param("size 0", &["BT061"], 0, REG, &[1]),
        param("size 17", &["BT061"], 17, REG, &[1]),
        param("no flags", &["BT062"], 4, 0, &[1]),
        param("unknown flag", &["BT062"], 4, 0x40 | REG, &[1]),
        param("signed register", &["BT062"], 4, REG | SIGNED, &[1]),
        param("register and constant", &["BT062"], 4, REG | CONST, &[1]),
        param("address in a register", &["BT062"], 4, REG | ADDR, &[1]),
        param("eight bytes in one word", &["BT063"], 8, CONST, &[1]),
        param("constant of 16 bytes", &["BT063"], 16, CONST, &[1, 2]),
        param("three registers", &["BT063"], 16, REG, &[1, 2, 3]),
        param("offset without one", &["BT063"], 8, REG | OFFSET, &[1]),
        param("two registers to look behind", &["BT063"], 8, REG | DEREF, &[1, 2]),
        inline("kind flag of a location", &["BT060"], |b| {
            b.push(Kind::LocParam, 0, true, 1, 4, &[REG, 1]);
        }),
        inline("third word of a LOC_PROTO", &["BT060"], |b| {
            b.push(Kind::LocProto, 0, false, 1, 4, &[0]);
        }),
        inline("LOC_PARAM with a name", &["BT022"], |b| {
            let name = b.string("z");
            b.push(Kind::LocParam, name, false, 1, 4, &[REG, 1]);
        }),
        inline("LOC_PROTO of an integer", &["BT064"], |b| {
            b.loc_proto(&[1]);
        }),
        inline("LOC_PROTO of no type", &["BT030"], |b| {
            b.loc_proto(&[99]);
        }),
        inline("the same twice", &["BT072"], |b| {
            b.push(Kind::LocParam, 0, false, 1, 4, &[REG, 1]);
            b.push(Kind::LocParam, 0, false, 1, 4, &[REG, 1]);
        }),
        built("not sorted by name", &["BT073"], |b| {
            b.loc_proto(&[]);
        }),
    ]
}

fn site_cases() -> Vec<Case> {
    let site = |func, offset, loc_proto| LocSite { func, offset, loc_proto };
    let sections = |name: &str| Context { sections: Some(vec![(name.to_owned(), 0x10)]), pointer: Some(8) };
    let placed = move |name: &'static str, section: &'static str, offset| {
        inline(name, &[], move |b| {
            let proto = b.loc_proto(&[0]);
            b.locsec(section, [site(4, offset, proto)]);
        })
    };
    // Written as they are, the builder would sort them.
    let unsorted = |b: &mut Builder<'static>, words: &[u32]| {
        let name = b.string(".text");
        b.push(Kind::LocSec, name, false, words.len() as u32 / 3, 0, words);
    };
    let one = |name: &'static str, codes: &[&'static str], func: u32, proto: Option<u32>, params: usize| {
        inline(name, codes, move |b| {
            let loc_proto = b.loc_proto(&vec![0; params]);
            b.locsec(".text", [site(func, 0, proto.unwrap_or(loc_proto))]);
        })
    };
    vec![
        one("a site", &[], 4, None, 1),
        one("site of an integer", &["BT065"], 1, None, 1),
        one("site of no type", &["BT065"], 99, None, 1),
        one("site without a prototype", &["BT066"], 4, Some(0), 1),
        one("site with a wrong prototype", &["BT066"], 4, Some(3), 1),
        one("site with two parameters", &["BT067"], 4, None, 2),
        one("site with none", &["BT067"], 4, None, 0),
        inline("sites out of order", &["BT068"], |b| {
            let proto = b.loc_proto(&[0]);
            unsorted(b, &[4, proto, 8, 4, proto, 4]);
        }),
        inline("a site twice", &["BT069"], |b| {
            let proto = b.loc_proto(&[0]);
            unsorted(b, &[4, proto, 8, 4, proto, 8]);
        }),
        inline("third word of a LOCSEC", &["BT060"], |b| {
            let name = b.string(".text");
            b.push(Kind::LocSec, name, false, 0, 1, &[]);
        }),
        inline("LOCSEC without a name", &["BT021"], |b| {
            b.push(Kind::LocSec, 0, false, 0, 0, &[]);
        }),
        Case { context: sections(".text"), ..placed("site at the end", ".text", 0xf) },
        Case { context: sections(".text"), ..placed("site in inline.text", "inline.text", 0xf) },
        Case { context: sections(".text"), codes: vec!["BT070"], ..placed("site behind the end", ".text", 0x10) },
        Case { context: sections(".text"), codes: vec!["BT071"], ..placed("site in no section", ".init.text", 0) },
    ]
}

fn old_cases() -> Vec<Case> {
    vec![
        old("bits of the narrow word", &["BT014"], |b| {
            // An INT with bits of the count that the narrow word does not have would be wide;
            // a struct of that many members cannot be.
            b.push(Kind::Struct, 0, false, 0, 4, &[]);
        })
        .with(|bytes| {
            let at = 32 + word(bytes, 12) as usize - 12;
            bytes[at + 6] = 1;
        }),
        old("old size", &["BT080"], |b| {
            b.push(Kind::LocParam, 0, true, 0, 9, &[1, 0]);
        }),
        old("old flags", &["BT080"], |b| {
            b.push(Kind::LocParam, 0, false, 0, 4, &[4 << 16 | 1, 0]);
        }),
        old("a pair of the older form", &[], |b| {
            let (name, section) = (b.string("f"), b.string("inline"));
            let first = b.push(Kind::LocParam, 0, false, 0, 16, &[2 << 16 | 1, 0]);
            let second = b.push(Kind::LocParam, 0, false, 0, 16, &[2, 0]);
            let proto = b.loc_proto(&[first, second]);
            b.push(Kind::LocSec, section, false, 1, 0, &[name, 3, proto, 0]);
        }),
        old("old site without a name", &["BT081"], |b| {
            let section = b.string("inline");
            let param = b.push(Kind::LocParam, 0, true, 0, 4, &[1, 0]);
            let proto = b.loc_proto(&[param]);
            b.push(Kind::LocSec, section, false, 1, 0, &[0, 3, proto, 0]);
        }),
        old("old site of a function", &["BT065", "BT067"], |b| {
            let (name, section) = (b.string("f"), b.string("inline"));
            let param = b.push(Kind::LocParam, 0, true, 0, 4, &[1, 0]);
            let proto = b.loc_proto(&[param, param]);
            b.push(Kind::LocSec, section, false, 2, 0, &[name, 4, proto, 0, name, 3, proto, 0]);
        }),
    ]
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.bytes);
        self
    }
}
