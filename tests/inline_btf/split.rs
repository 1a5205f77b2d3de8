//! BTF that has the kinds of inline BTF among its other types, as pahole writes it: read, checked and split.

use crate::commands::{crossmill, text, world};
use crossmill::debuginfo::btf::equivalent::mismatch;
use crossmill::debuginfo::btf::split::{SplitError, split};
use crossmill::debuginfo::btf::{Btf, Kind};
use std::path::Path;
use std::process::Output;

// The types and strings of split BTF continue those of its base, so both in one file are BTF again.
fn joined(base: &[u8], inline: &[u8]) -> Vec<u8> {
    let main = Btf::parse(base, None).unwrap();
    let split = Btf::parse(inline, Some(&main)).unwrap();
    let types = |btf: &Btf<'_>, bytes: &[u8]| btf.header().type_bytes(bytes).unwrap().to_vec();
    let types = [types(&main, base), types(&split, inline)].concat();
    let strings = [main.strings(), split.strings()].concat();
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types.len(), types.len(), strings.len()] {
        bytes.extend((word as u32).to_le_bytes());
    }
    [bytes, types, strings].concat()
}

fn run(dir: &Path, args: &[&str]) -> Output {
    crossmill(dir).args(args).output().unwrap()
}

fn succeeds(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

// A program, its sites based on base.btf, and both in one file.
fn whole() -> tempfile::TempDir {
    let (dir, _) = world();
    succeeds(dir.path(), &["inline-btf", "generate", "program", "--base", "base.btf", "-o", "sites.btf"]);
    let read = |name: &str| fs_err::read(dir.path().join(name)).unwrap();
    fs_err::write(dir.path().join("whole.btf"), joined(&read("base.btf"), &read("sites.btf"))).unwrap();
    dir
}

#[test]
fn kinds_among_other_types_are_checked() {
    let dir = whole();
    let dir = dir.path();
    succeeds(dir, &["btf", "check", "whole.btf"]);
    let checked = succeeds(dir, &["inline-btf", "check", "program", "whole.btf", "--base", "base.btf"]);
    assert!(checked.contains("good, 0 errors") && checked.contains(" sites as in DWARF"), "{checked}");
    // The same as the section of an ELF file.
    crate::tool(Path::new("objcopy"), &["--add-section", ".BTF=whole.btf", "program", "with"], dir);
    let checked = succeeds(dir, &["inline-btf", "check", "with"]);
    assert!(checked.contains("  .BTF: good, 0 errors"), "{checked}");
    // A site in another section.
    let mut bytes = fs_err::read(dir.join("whole.btf")).unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    let section = btf.types().find(|found| found.kind == Kind::LocSec).unwrap();
    let at = 24 + section.offset as usize + 12 + 8;
    bytes[at] ^= 1;
    fs_err::write(dir.join("whole.btf"), bytes).unwrap();
    let output = run(dir, &["inline-btf", "check", "program", "whole.btf", "--base", "base.btf"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("WRONG"), "{}", text(&output.stdout));
}

#[test]
fn a_split_pair_means_the_same() {
    let dir = whole();
    let dir = dir.path();
    let shown = succeeds(dir, &["inline-btf", "split", "whole.btf", "--symbols", "program"]);
    assert!(shown.contains("whole.btf.BTF.inline"), "{shown}");
    for args in [
        &["btf", "check", "whole.btf.BTF", "--deny", "warning"][..],
        &["btf", "check", "whole.btf.BTF.inline", "--base", "whole.btf.BTF", "--deny", "warning"],
        &["inline-btf", "check", "program", "whole.btf.BTF.inline", "--base", "whole.btf.BTF"],
    ] {
        succeeds(dir, args);
    }
    let read = |name: &str| fs_err::read(dir.join(name)).unwrap();
    let (whole, main, inline) = (read("whole.btf"), read("whole.btf.BTF"), read("whole.btf.BTF.inline"));
    let (whole, main) = (Btf::parse(&whole, None).unwrap(), Btf::parse(&main, None).unwrap());
    let inline = Btf::parse(&inline, Some(&main)).unwrap();
    assert_eq!(mismatch(&whole, &inline), None);
    assert!(!main.has_inline_kinds());
    let kinds = |btf: &Btf<'_>, kind| btf.types().filter(|found| found.kind == kind).count();
    // `value` has no symbol either: every function that only sites refer to moves.
    assert_eq!(kinds(&main, Kind::Func), 0);
    assert_eq!(kinds(&inline, Kind::Func), kinds(&whole, Kind::Func));
    assert!(inline.types().all(|found| found.kind.is_inline() || matches!(found.kind, Kind::Func | Kind::FuncProto)));
    // Joined and split again, it is the same pair.
    fs_err::write(dir.join("again"), joined(&read("whole.btf.BTF"), &read("whole.btf.BTF.inline"))).unwrap();
    let args = ["inline-btf", "split", "again", "--symbols", "program", "-o", "main", "--inline", "inline", "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeeds(dir, &args)).unwrap();
    assert_eq!(json["inline"]["path"], "inline");
    assert_eq!(json["functions_moved"], kinds(&inline, Kind::Func));
    // The strings come in another order.
    let (main, inline) = (read("main"), read("inline"));
    assert_eq!((main.len(), inline.len()), (read("whole.btf.BTF").len(), read("whole.btf.BTF.inline").len()));
    let main = Btf::parse(&main, None).unwrap();
    assert_eq!(mismatch(&whole, &Btf::parse(&inline, Some(&main)).unwrap()), None);
}

#[test]
fn functions_with_a_symbol_stay() {
    let dir = whole();
    let dir = dir.path();
    // Without an ELF file nobody knows which have one.
    let shown = succeeds(dir, &["inline-btf", "split", "whole.btf"]);
    assert!(shown.contains("without an ELF file, all functions stay"), "{shown}");
    let main = fs_err::read(dir.join("whole.btf.BTF")).unwrap();
    let all = Btf::parse(&main, None).unwrap().types().filter(|found| found.kind == Kind::Func).count();
    assert!(all > 1);
    // An ELF file has its own.
    crate::tool(Path::new("objcopy"), &["--add-section", ".BTF=whole.btf", "program", "with"], dir);
    crate::tool(Path::new("objcopy"), &["--add-symbol", "value=.text:0,function,global", "with"], dir);
    let json = succeeds(dir, &["inline-btf", "split", "with", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["functions_moved"], all - 1);
    let main = fs_err::read(dir.join("with.BTF")).unwrap();
    let main = Btf::parse(&main, None).unwrap();
    let kept: Vec<_> = main.types().filter(|found| found.kind == Kind::Func).collect();
    assert_eq!(kept.iter().map(|func| main.text(func.name_off)).collect::<Vec<_>>(), ["value"]);
    succeeds(dir, &["inline-btf", "check", "program", "with.BTF.inline", "--base", "with.BTF"]);
}

#[test]
fn every_kind_survives_in_both_byte_orders() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf");
    for order in ["little", "big"] {
        let bytes = fs_err::read(fixtures.join(format!("inline-new-{order}.btf"))).unwrap();
        let whole = Btf::parse(&bytes, None).unwrap();
        let pair = split(&whole, &|name| name == b"f").unwrap();
        let main = Btf::parse(&pair.main, None).unwrap();
        let inline = Btf::parse(&pair.inline, Some(&main)).unwrap();
        assert_eq!(mismatch(&whole, &inline), None);
        // A tag is about `f`; `g` has sites only; `h` has neither sites nor a symbol.
        let of = |btf: &Btf<'_>| {
            let funcs = btf.types().filter(|found| found.kind == Kind::Func);
            funcs.map(|func| btf.text(func.name_off).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!((of(&main), of(&inline)), (vec!["f".to_owned(), "h".to_owned()], vec!["g".to_owned()]));
        assert_eq!(pair.prototypes_moved, 0, "the functions that stay share it");
        // Any word that changes is a difference.
        let types = 32 + inline.types().find(|found| found.kind == Kind::LocParam).unwrap().offset as usize;
        let mut changed = pair.inline.clone();
        changed[types + 12 + if order == "little" { 0 } else { 3 }] ^= 1;
        let changed = Btf::parse(&changed, Some(&main)).unwrap();
        assert!(mismatch(&whole, &changed).is_some());
    }
    let bytes = fs_err::read(fixtures.join("inline-old-big.btf")).unwrap();
    assert!(matches!(split(&Btf::parse(&bytes, None).unwrap(), &|_| true), Err(SplitError::Narrow)));
}

#[test]
fn what_cannot_be_split_is_refused_by_name() {
    let dir = whole();
    let dir = dir.path();
    let output = run(dir, &["inline-btf", "split", "base.btf"]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("error: base.btf cannot be split\ncause: it has no kinds of inline BTF\n"), "{message}");
    let output = run(dir, &["inline-btf", "split", "program"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no .BTF section"), "{}", text(&output.stderr));
    assert!(!dir.join("base.btf.BTF").exists() && !dir.join("program.BTF").exists());
}

#[test]
fn sections_are_named_either_way() {
    let dir = whole();
    let dir = dir.path();
    let generate = ["inline-btf", "generate", "program", "--base", "base.btf", "-o", "inline.btf", "--section-names"];
    crate::tool(Path::new("objcopy"), &["--add-section", ".BTF=base.btf", "program", "with"], dir);
    let mut dumps = Vec::new();
    for names in ["elf", "inline"] {
        succeeds(dir, &[&generate[..], &[names]].concat());
        succeeds(dir, &["btf", "check", "inline.btf", "--base", "with", "--deny", "warning"]);
        succeeds(dir, &["inline-btf", "check", "program", "inline.btf", "--base", "base.btf"]);
        dumps.push(succeeds(dir, &["btf", "dump", "inline.btf", "--base", "base.btf"]));
    }
    assert!(dumps[0].contains(" LOCSEC '.text' "), "{}", dumps[0]);
    assert!(dumps[1].contains(" LOCSEC 'inline.text' ") && !dumps[1].contains("LOCSEC '."), "{}", dumps[1]);
}
