//! Dumps against what bpftool says, recorded and live.

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

#[test]
fn json_says_the_same() {
    let dumped = run(&["btf", "dump", "inline-new-big.btf", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&dumped.stdout).unwrap();
    assert_eq!((&value["schema"], &value["endian"], &value["grammar"]), (&1.into(), &"big".into(), &"wide".into()));
    let types = value["types"].as_array().unwrap();
    assert_eq!(types.len(), 41);
    assert_eq!(types[6]["members"][1]["bitfield_size"], 3);
    assert_eq!(types[8]["values"][0]["val"], -5);
    assert_eq!(types[29]["values"][0]["val"], 0xffff_ffff_ffff_fffe_u64);
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
