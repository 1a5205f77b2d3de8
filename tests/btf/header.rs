//! `btf dump --format c`: a compiler gives every member of the header the place that BTF records.

use crate::{crossmill, err, fixture, out, run};
use crossmill::debuginfo::btf::{Builder, Endian, Kind, Order};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn header(args: &[&str]) -> String {
    let output = run(&[&["btf", "dump", "--format", "c"], args].concat());
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

fn compiled(dir: &Path, header: &str, assertions: &str) -> Output {
    fs_err::write(dir.join("types.h"), header).unwrap();
    fs_err::write(dir.join("test.c"), format!("#include \"types.h\"\n{assertions}")).unwrap();
    let flags =
        ["-std=gnu11", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-Wno-attributes", "-Wno-packed-bitfield-compat"];
    Command::new("gcc").args(flags).args(["-c", "-o", "test.o", "test.c"]).current_dir(dir).output().unwrap()
}

// The size of every structure and union with a tag of its own, and the offset of every member with a name.
fn assertions(types: &Value) -> (String, usize) {
    let types = types["types"].as_array().unwrap();
    let word = |kind: &str| ["struct", "union"].into_iter().find(|word| kind.eq_ignore_ascii_case(word));
    let mut tags: HashMap<&str, usize> = HashMap::new();
    for found in types
        .iter()
        .filter(|found| ["STRUCT", "UNION", "ENUM", "ENUM64", "FWD"].iter().any(|kind| found["kind"] == *kind))
    {
        *tags.entry(found["name"].as_str().unwrap()).or_default() += 1;
    }
    let (mut text, mut count) = (String::new(), 0);
    for found in types {
        let name = found["name"].as_str().unwrap();
        let Some(word) = word(found["kind"].as_str().unwrap()).filter(|_| tags[name] == 1 && name != "(anon)") else {
            continue;
        };
        let size = &found["size"];
        writeln!(text, "_Static_assert(sizeof({word} {name}) == {size}, \"{name}\");").unwrap();
        count += 1;
        for member in found["members"].as_array().unwrap() {
            let (field, bits) = (member["name"].as_str().unwrap(), member["bits_offset"].as_u64().unwrap());
            if field == "(anon)" || !member["bitfield_size"].is_null() || bits % 8 != 0 {
                continue;
            }
            let offset = bits / 8;
            writeln!(
                text,
                "_Static_assert(__builtin_offsetof({word} {name}, {field}) == {offset}, \"{name}.{field}\");"
            )
            .unwrap();
            count += 1;
        }
    }
    (text, count)
}

fn json(args: &[&str]) -> Value {
    let output = run(&[&["btf", "dump", "--json"], args].concat());
    assert!(output.status.success(), "{}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_compiler_lays_the_header_out_as_btf_records() {
    let dir = tempfile::tempdir().unwrap();
    for (file, least) in [("layouts.btf", 90), ("program.btf", 15)] {
        let (assertions, count) = assertions(&json(&[file]));
        assert!(count >= least, "{count} in {file}");
        let output = compiled(dir.path(), &header(&[file]), &assertions);
        assert!(output.status.success(), "{file}: {}", err(&output));
    }
    // A header without its padding is found out.
    let (assertions, _) = assertions(&json(&["layouts.btf"]));
    let bare: String = header(&["layouts.btf"])
        .lines()
        .filter(|line| !line.contains("long: 64;"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let output = compiled(dir.path(), &bare, &assertions);
    assert!(err(&output).contains("static assertion failed: \"aligned"), "{}", err(&output));
}

// Bit fields have no offset in C: their bytes are compared, each filled with ones.
#[test]
fn bit_fields_are_where_btf_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let types = json(&["layouts.btf"]);
    let mut program =
        "extern int printf(const char *, ...); extern void *memset(void *, int, unsigned long);\nint main(void) {\n"
            .to_owned();
    let mut expected = String::new();
    for found in types["types"].as_array().unwrap().iter().filter(|found| found["kind"] == "STRUCT") {
        let (name, size) = (found["name"].as_str().unwrap(), found["size"].as_u64().unwrap() as usize);
        for member in found["members"].as_array().unwrap() {
            let Some(width) = member["bitfield_size"].as_u64() else { continue };
            let (field, at) = (member["name"].as_str().unwrap(), member["bits_offset"].as_u64().unwrap());
            let ones = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            writeln!(
                program,
                "{{ struct {name} v; unsigned i; memset(&v, 0, sizeof v); v.{field} = {ones}ull;\n\
                 printf(\"{name}.{field} \"); for (i = 0; i < sizeof v; i++) printf(\"%02x\", ((u8 *)&v)[i]); printf(\"\\n\"); }}"
            )
            .unwrap();
            let mut bytes = vec![0_u8; size];
            (at..at + width).for_each(|bit| bytes[bit as usize / 8] |= 1 << (bit % 8));
            write!(expected, "{name}.{field} ").unwrap();
            bytes.iter().for_each(|byte| write!(expected, "{byte:02x}").unwrap());
            expected.push('\n');
        }
    }
    assert!(expected.lines().count() >= 11, "{expected}");
    program.push_str("return 0; }\n");
    fs_err::write(dir.path().join("types.h"), header(&["layouts.btf"])).unwrap();
    fs_err::write(dir.path().join("bits.c"), format!("#include \"types.h\"\n{program}")).unwrap();
    let gcc = Command::new("gcc")
        .args(["-w", "-std=gnu11", "-o", "bits", "bits.c"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(gcc.status.success(), "{}", err(&gcc));
    let ran = Command::new(dir.path().join("bits")).output().unwrap();
    assert_eq!(out(&ran), expected);
}

// By an extension of C that kernels use (-fms-extensions), the members of `inner` are those of `outer` too.
#[test]
fn members_of_a_structure_without_a_name_are_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    let names = ["int", "inner", "a", "outer", "b", "call"].map(|name| builder.string(name));
    builder.push(Kind::Int, names[0], false, 0, 4, &[1 << 24 | 32]);
    builder.push(Kind::Struct, names[1], false, 1, 4, &[names[2], 1, 0]);
    builder.push(Kind::FuncProto, 0, false, 1, 1, &[0, 2]);
    builder.push(Kind::Ptr, 0, false, 0, 3, &[]);
    builder.push(Kind::Struct, names[3], false, 3, 16, &[0, 2, 0, names[4], 1, 32, names[5], 4, 64]);
    fs_err::write(dir.path().join("file.btf"), builder.finish().unwrap()).unwrap();
    let path = dir.path().join("file.btf");
    let text = header(&[path.to_str().unwrap()]);
    assert!(
        text.contains("struct outer {\n\tstruct {\n\t\tint a;\n\t};\n\tint b;\n\tint (*call)(struct inner);\n};\n"),
        "{text}"
    );
    let offsets =
        "_Static_assert(__builtin_offsetof(struct outer, a) == 0 && __builtin_offsetof(struct outer, b) == 4, \"\");\n";
    let output = compiled(dir.path(), &text, offsets);
    assert!(output.status.success(), "{}", err(&output));
}

// bpftool's dump of the same file.
#[test]
fn the_declarations_are_those_of_bpftool() {
    let recorded = fs_err::read_to_string(fixture("program.h")).unwrap();
    assert_eq!(header(&["program.btf"]), recorded);
}

#[test]
fn a_modules_header_has_the_kernels_types_too() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["module.btf", "--base", "program.btf"];
    let (assertions, count) = assertions(&json(&args));
    assert!(count >= 3, "{count}");
    let output = compiled(dir.path(), &header(&args), &assertions);
    assert!(output.status.success(), "{}", err(&output));
}

fn refused(build: impl FnOnce(&mut Builder<'_>)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    let name = builder.string("int");
    builder.push(Kind::Int, name, false, 0, 4, &[1 << 24 | 32]);
    build(&mut builder);
    fs_err::write(dir.path().join("file.btf"), builder.finish().unwrap()).unwrap();
    let output =
        crossmill().args(["btf", "dump", "--format", "c", "file.btf"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", out(&output));
    err(&output)
}

#[test]
fn what_c_cannot_declare_is_refused() {
    // A function whose parameter is a pointer to it; a nameless structure that points to itself.
    let message = refused(|builder| {
        builder.push(Kind::Ptr, 0, false, 0, 3, &[]);
        builder.push(Kind::FuncProto, 0, false, 1, 1, &[0, 2]);
    });
    assert!(message.contains("type 3 has no name and refers to itself"), "{message}");
    let message = refused(|builder| {
        let next = builder.string("next");
        builder.push(Kind::Ptr, 0, false, 0, 3, &[]);
        builder.push(Kind::Struct, 0, false, 1, 8, &[next, 2, 0]);
    });
    assert!(message.contains("type 3 has no name and refers to itself"), "{message}");
    let message = refused(|builder| {
        let names = ["s", "a", "b"].map(|name| builder.string(name));
        builder.push(Kind::Struct, names[0], false, 2, 8, &[names[1], 1, 0, names[2], 1, 0]);
    });
    assert!(message.contains("type 2: member 1 overlaps"), "{message}");
    // Each level has two of the one before it: as text it would be 2^40 members.
    let message = refused(|builder| {
        let [a, b, s] = ["a", "b", "s"].map(|name| builder.string(name));
        for level in 0..24 {
            let below = level + 1;
            builder.push(Kind::Struct, 0, false, 2, 8 << level, &[a, below, 0, b, below, 32 << level]);
        }
        builder.push(Kind::Struct, s, false, 1, 4 << 24, &[a, 25, 0]);
    });
    assert!(message.contains("type 26 is too large"), "{message}");
    // Types that break the rules, and sections without types of their own.
    let output = run(&["btf", "dump", "--format", "c", "module.btf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("no base was given"), "{}", err(&output));
}

#[test]
fn names_that_several_types_share_are_numbered() {
    let text = header(&["layouts.btf"]);
    let definitions: Vec<&str> = text.lines().filter(|line| line.ends_with(" {") && !line.starts_with('\t')).collect();
    let unique: HashSet<&&str> = definitions.iter().collect();
    assert_eq!(unique.len(), definitions.len(), "{definitions:?}");
    assert!(text.contains("struct twin {\n") && text.contains("typedef long int twin;\n"), "{text}");
}

#[test]
fn fifty_thousand_levels_take_no_stack() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    let [int, t] = ["int", "t"].map(|name| builder.string(name));
    builder.push(Kind::Int, int, false, 0, 4, &[1 << 24 | 32]);
    for id in 1..50_000 {
        builder.push(Kind::Ptr, 0, false, 0, id, &[]);
    }
    builder.push(Kind::Typedef, t, false, 0, 50_000, &[]);
    fs_err::write(dir.path().join("deep.btf"), builder.finish().unwrap()).unwrap();
    let output =
        crossmill().args(["btf", "dump", "--format", "c", "deep.btf"]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains(&format!("typedef int {}t;", "*".repeat(49_999))), "the stars");
}
