//! Dumps compared with bpftool's, recorded and live.

use crate::{crossmill, err, fixture, out, run};
use std::path::Path;
use std::process::Command;

#[track_caller]
fn same(dumped: &std::process::Output, recorded: &[u8]) {
    assert!(dumped.status.success(), "{}", err(dumped));
    if dumped.stdout != recorded {
        // Lines, not a wall of bytes.
        let ours = String::from_utf8_lossy(&dumped.stdout).into_owned();
        let theirs = String::from_utf8_lossy(recorded).into_owned();
        let differs = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        panic!("{} and {} lines; first difference: {differs:#?}", ours.lines().count(), theirs.lines().count());
    }
}

#[test]
fn dumps_equal_what_bpftool_said() {
    for name in ["program", "kinds-little", "kinds-big"] {
        let recorded = fs_err::read(fixture(&format!("{name}.raw"))).unwrap();
        same(&run(&["btf", "dump", &format!("{name}.btf")]), &recorded);
    }
    let recorded = fs_err::read(fixture("module.raw")).unwrap();
    same(&run(&["btf", "dump", "module.btf", "--base", "program.btf"]), &recorded);
}

#[test]
fn inline_kinds_are_dumped_in_both_forms_and_byte_orders() {
    for form in ["new", "old"] {
        let [little, big] = ["little", "big"].map(|order| {
            let dumped = run(&["btf", "dump", &format!("inline-{form}-{order}.btf")]);
            assert!(dumped.status.success(), "{}", err(&dumped));
            let lines: Vec<String> = out(&dumped).lines().map(str::to_owned).collect();
            let start = lines.iter().position(|line| line.contains("LOC_PARAM")).unwrap();
            lines[start..].join("\n")
        });
        assert_eq!(little, big);
        insta::assert_snapshot!(format!("inline-{form}"), little);
    }
}

// Expected output of bpftool's own test in bpf-next.
const EVERY_LOCATION: &str = "[3] FUNC 'foo' type_id=2 linkage=static\n\
    [4] LOC_PARAM '(anon)' size=4 flags=0x8 vlen=1 values='reg1'\n\
    [5] LOC_PARAM '(anon)' size=8 flags=0x38 vlen=2 values='*(reg2 + 0x10)'\n\
    [6] LOC_PARAM '(anon)' size=8 flags=0x29 vlen=2 values='fbreg - 0x10'\n\
    [7] LOC_PARAM '(anon)' size=8 flags=0x6 vlen=2 values='0x123456789abcdef0 (addr)'\n\
    [8] LOC_PARAM '(anon)' size=8 flags=0x2 vlen=2 values='0xdeadbeeffeedface'\n\
    [9] LOC_PARAM '(anon)' size=8 flags=0x39 vlen=2 values='*(fbreg - 0x20)'\n\
    [10] LOC_PROTO '(anon)' vlen=6\n\
    \ttype_id=4 value='reg1'\n\
    \ttype_id=5 value='*(reg2 + 0x10)'\n\
    \ttype_id=6 value='fbreg - 0x10'\n\
    \ttype_id=7 value='0x123456789abcdef0 (addr)'\n\
    \ttype_id=8 value='0xdeadbeeffeedface'\n\
    \ttype_id=9 value='*(fbreg - 0x20)'\n\
    [11] LOCSEC 'inline.text' vlen=1\n\
    \tname='foo' func_type_id=3 loc_proto_type_id=10 offset=64\n";

// A header without a layout section, types and strings.
fn raw(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = types.len() as u32 * 4;
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    bytes.extend([24, 0, len, len, strings.len() as u32].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(types.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(strings);
    bytes
}

fn dumped(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("raw.btf"), bytes).unwrap();
    let dumped = crossmill().args(["btf", "dump"]).arg(dir.path().join("raw.btf")).output().unwrap();
    assert!(dumped.status.success(), "{}", err(&dumped));
    out(&dumped)
}

// Word by word, so that a mistake of the writer cannot hide one of the reader.
#[test]
fn every_form_of_a_location_is_read_from_its_definition() {
    let kind = |number: u32, vlen: u32| number << 24 | vlen;
    let types = [
        &[1, kind(1, 0), 4, 1 << 24 | 32][..],
        &[0, kind(13, 6), 1, 5, 1, 10, 1, 15, 1, 20, 1, 25, 1, 30, 1],
        &[35, kind(12, 0), 2],
        &[0, kind(20, 1), 4, 0x08, 1],
        &[0, kind(20, 2), 8, 0x38, 2, 0x10],
        &[0, kind(20, 2), 8, 0x29, 0xffff_ffff, 0xffff_fff0],
        &[0, kind(20, 2), 8, 0x06, 0x9abc_def0, 0x1234_5678],
        &[0, kind(20, 2), 8, 0x02, 0xfeed_face, 0xdead_beef],
        &[0, kind(20, 2), 8, 0x39, 0xffff_ffff, 0xffff_ffe0],
        &[0, kind(21, 6), 0, 4, 5, 6, 7, 8, 9],
        &[39, kind(22, 1), 0, 3, 10, 64],
    ];
    let strings = b"\0int\0arg1\0arg2\0arg3\0arg4\0arg5\0arg6\0foo\0inline.text\0";
    let dump = dumped(&raw(&types.concat(), strings));
    assert!(dump.ends_with(EVERY_LOCATION), "{dump}");
    // A pair of registers, an offset of 64 bits, a parameter that is not available, and flags that do not go together.
    let types = [
        &[0, kind(20, 2), 16, 0x08, 0, 1][..],
        &[0, kind(20, 3), 8, 0x28, 7, 0, 1],
        &[0, kind(20, 1), 4, 0x03, 0xffff_fff9],
        &[0, kind(20, 3), 8, 0x41, 1, 2, 3],
        &[0, kind(21, 2), 0, 1, 0],
    ];
    let expected = "[1] LOC_PARAM '(anon)' size=16 flags=0x8 vlen=2 values='reg0 reg1'\n\
        [2] LOC_PARAM '(anon)' size=8 flags=0x28 vlen=3 values='reg7 + 0x100000000'\n\
        [3] LOC_PARAM '(anon)' size=4 flags=0x3 vlen=1 values='-0x7'\n\
        [4] LOC_PARAM '(anon)' size=8 flags=0x41 vlen=3 values='0x1 0x2 0x3'\n\
        [5] LOC_PROTO '(anon)' vlen=2\n\ttype_id=1 value='reg0 reg1'\n\ttype_id=0\n";
    assert_eq!(dumped(&raw(&types.concat(), b"\0")), expected);
}

// A layout section gives the lengths of kind 30: 4 bytes, and 8 of each element.
#[test]
fn an_unknown_kind_is_printed_as_bpftool_does() {
    let types = [&[1_u32, 1 << 24, 4, 1 << 24 | 32][..], &[0, 30 << 24 | 1, 0, 7, 7, 7], &[0, 2 << 24, 1]].concat();
    let mut layout = [[0_u8; 4]; 31];
    layout[1][0] = 4;
    layout[30] = [4, 8, 0, 0];
    let (len, strings) = (types.len() as u32 * 4, b"\0int\0");
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let header = [32, 0, len, len + 124, strings.len() as u32, len, 124];
    bytes.extend(header.iter().chain(&types).flat_map(|word| word.to_le_bytes()));
    bytes.extend(layout.concat());
    bytes.extend(strings);
    let expected = "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n\
        [2] UNKNOWN '(anon)'\n[3] PTR '(anon)' type_id=1\n";
    assert_eq!(dumped(&bytes), expected);
}

// The same file by our own writer.
#[test]
fn every_form_of_a_location_is_printed_as_bpftool_does() {
    use crossmill::debuginfo::btf::flags::{ADDR, CONST, DEREF, FRAME_BASE, OFFSET, REG, SIGNED};
    use crossmill::debuginfo::btf::{Builder, Endian, Kind, LocSite, Order, Param};
    let dir = tempfile::tempdir().unwrap();
    let built = |build: &dyn Fn(&mut Builder<'_>)| {
        let mut builder = Builder::new(None, Endian::Little, true).order(Order::AsPushed);
        let name = builder.string("int");
        builder.push(Kind::Int, name, false, 0, 4, &[1 << 24 | 32]);
        build(&mut builder);
        fs_err::write(dir.path().join("loc.btf"), builder.finish().unwrap()).unwrap();
        out(&crossmill().args(["btf", "dump"]).arg(dir.path().join("loc.btf")).output().unwrap())
    };
    let dump = built(&|builder| {
        let params: Vec<Param> = ["arg1", "arg2", "arg3", "arg4", "arg5", "arg6"]
            .map(|name| Param { name_off: builder.string(name), type_id: 1 })
            .to_vec();
        let proto = builder.func_proto(1, &params);
        let func = builder.func("foo", proto, 0);
        let ids = [
            builder.loc_param(4, REG, &[1]),
            builder.loc_param(8, REG | DEREF | OFFSET, &[2, 0x10]),
            builder.loc_param(8, REG | OFFSET | SIGNED, &[FRAME_BASE, 0xffff_fff0]),
            builder.loc_param(8, ADDR | CONST, &[0x9abc_def0, 0x1234_5678]),
            builder.loc_param(8, CONST, &[0xfeed_face, 0xdead_beef]),
            builder.loc_param(8, REG | DEREF | OFFSET | SIGNED, &[FRAME_BASE, 0xffff_ffe0]),
        ];
        let loc_proto = builder.loc_proto(&ids);
        builder.locsec("inline.text", [LocSite { func, loc_proto, offset: 64 }]);
    });
    assert!(dump.ends_with(EVERY_LOCATION), "{dump}");
    // Values that the flags do not explain are shown unchanged.
    let dump = built(&|builder| {
        builder.loc_param(8, REG | CONST, &[5, 1]);
        builder.loc_param(8, 0, &[7]);
        builder.loc_param(8, DEREF | CONST, &[7]);
    });
    for line in [
        "[2] LOC_PARAM '(anon)' size=8 flags=0xa vlen=2 values='0x5 0x1'",
        "[3] LOC_PARAM '(anon)' size=8 flags=0x0 vlen=1 values='0x7'",
        "[4] LOC_PARAM '(anon)' size=8 flags=0x12 vlen=1 values='0x7'",
    ] {
        assert!(dump.contains(line), "{line}: {dump}");
    }
}

#[test]
fn json_says_the_same() {
    let dumped = run(&["btf", "dump", "inline-new-big.btf", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&dumped.stdout).unwrap();
    assert_eq!((&value["schema"], &value["endian"], &value["grammar"]), (&2.into(), &"big".into(), &"wide".into()));
    let types = value["types"].as_array().unwrap();
    assert_eq!(types.len(), 41);
    assert_eq!(types[6]["members"][1]["bitfield_size"], 3);
    assert_eq!(types[8]["values"][0]["val"], -5);
    assert_eq!(types[29]["values"][0]["val"], "18446744073709551614");
    assert_eq!(types[35]["flag_names"], "REG|DEREF|OFFSET");
    assert_eq!(types[39]["sites"][1]["offset"], 0x10);
}

fn there(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists())
}

fn ran(program: &str, args: &[&str], dir: &Path) -> Vec<u8> {
    let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_program_of_this_machine_dumps_as_bpftool_says() {
    let missing: Vec<_> = ["gcc", "pahole", "bpftool"].into_iter().filter(|program| !there(program)).collect();
    if !missing.is_empty() {
        let lacks = format!("this machine lacks {}", missing.join(", "));
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "every test is to run, but {lacks}");
        eprintln!("SKIPPED: {lacks}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = fixture("program.c").display().to_string();
    ran("gcc", &["-g", "-O1", "-o", "program", &source], dir.path());
    ran("pahole", &["-J", "program"], dir.path());
    let bpftool = if Path::new("/usr/sbin/bpftool").exists() { "/usr/sbin/bpftool" } else { "bpftool" };
    let said = ran(bpftool, &["btf", "dump", "file", "program", "format", "raw"], dir.path());
    assert!(said.len() > 1000);
    same(&crossmill().args(["btf", "dump", "program"]).current_dir(dir.path()).output().unwrap(), &said);
    let checked = crossmill().args(["btf", "check", "program"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let line = format!("'{}' btf dump program.btf | head -1", env!("CARGO_BIN_EXE_crossmill"));
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &line]).current_dir(fixture("")).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).starts_with("[1] "));
}
