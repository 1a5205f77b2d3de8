//! SFrame fixtures held against what `readelf --sframe` prints, and the
//! command as a person runs it.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../fuzz/bodies/sframe.rs"]
mod fuzz;

use crossmill::base::check_result::{CheckResult, Verdict};
use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::frame::{Named, Place, Row};
use crossmill::debuginfo::sframe::{Abi, Addressing, Table};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sframe")
}

/// The common form of both sides: a line for the header, each function and each row.
fn ours(bytes: &[u8]) -> String {
    let elf = Elf::parse(bytes).unwrap();
    let section = elf.section(".sframe").unwrap();
    let data = elf.data(section).unwrap();
    let addressing = Addressing { address: section.address, relocatable: elf.is_relocatable() };
    let table = Table::parse(&data.bytes, addressing).unwrap();
    let header = table.header();
    let mut out = format!("v{} {} FDEs {} FREs\n", header.version, header.fdes, header.fres);
    for entry in table.entries() {
        let entry = entry.unwrap();
        // In relocatable files addresses are what each tool makes of relocations: only linked ones can be compared.
        let start = if elf.is_relocatable() { 0 } else { entry.start };
        let mut marks = String::new();
        let flags =
            [(entry.is_flexible(), 'F'), (entry.is_signal(), 'S'), (entry.is_b_key(), 'B'), (entry.is_mask(), 'M')];
        flags.iter().filter(|(set, _)| *set).for_each(|(_, mark)| marks.push(*mark));
        writeln!(out, "function {start:#x} {} {marks}", entry.size).unwrap();
        for fre in table.fres(&entry) {
            let fre = fre.unwrap();
            let row = table.decode(&entry, &fre);
            writeln!(out, "  +{:#x} {}", fre.start, words(row, table.abi())).unwrap();
        }
    }
    out
}

fn words(row: Row, abi: Abi) -> String {
    if row.ra == Place::Undefined {
        return "undefined".to_owned();
    }
    let named = Named { row, sp: abi.sp(), fp: abi.fp() };
    // readelf has brackets for memory, and an offset behind every register.
    let plain = |text: String| text.strip_prefix('*').map(str::to_owned).unwrap_or(text);
    let place =
        |place: Place, text: String| if matches!(place, Place::Register(_)) { text + "+0" } else { plain(text) };
    format!("{} {} {}", plain(named.cfa()), place(row.fp, named.fp()), place(row.ra, named.ra()))
}

/// The same lines from readelf's text.
fn theirs(text: &str, abi: Abi, relocatable: bool) -> String {
    let mut out = String::new();
    let (mut version, mut fdes, mut start) = (String::new(), String::new(), 0);
    for line in text.lines().map(str::trim) {
        if let Some(found) = line.strip_prefix("Version: SFRAME_VERSION_") {
            version = found.to_owned();
        } else if let Some(found) = line.strip_prefix("Num FDEs: ") {
            fdes = found.to_owned();
        } else if let Some(found) = line.strip_prefix("Num FREs: ") {
            writeln!(out, "v{version} {fdes} FDEs {found} FREs").unwrap();
        } else if line.starts_with("func idx [") {
            start = hex(between(line, "pc = 0x", ","));
            let shown = if relocatable { 0 } else { start };
            let mut marks = if line.contains("attr = ") { between(line, "attr = \"", "\"") } else { "" }.to_owned();
            if line.contains("pauth = B key") {
                marks.push('B');
            }
            writeln!(out, "function {shown:#x} {} {marks}", between(line, "size = ", " bytes")).unwrap();
        } else if line.starts_with("STARTPC[m]") {
            // Rows of a PLT are shown from the start of a slot.
            out.insert(out.len() - 1, 'M');
            start = 0;
        } else if line.len() > 16 && line.as_bytes()[..16].iter().all(u8::is_ascii_hexdigit) {
            let row = hex(&line[..16]).wrapping_sub(start);
            let rest = line[16..].trim();
            let cells = if rest == "RA undefined" { "undefined".to_owned() } else { cells(rest, abi) };
            writeln!(out, "  +{row:#x} {cells}").unwrap();
        }
    }
    out
}

fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    let from = line.find(before).unwrap() + before.len();
    let rest = &line[from..];
    rest.find(after).map_or(rest, |end| &rest[..end])
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

// CFA, FP and RA; columns touch where one is too long, so their form distinguishes them.
fn cells(mut rest: &str, abi: Abi) -> String {
    let mut cells = Vec::new();
    while !rest.is_empty() {
        let mut end = match rest.as_bytes()[0] {
            b'(' => rest.find(')').unwrap() + 1,
            b'u' | b'U' | b'f' if !rest[1..].starts_with('p') => 1,
            _ => {
                let sign = rest.find(['+', '-']).unwrap() + 1;
                sign + rest[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - sign)
            }
        };
        if rest[end..].starts_with("[s]") {
            end += 3;
        }
        cells.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    assert_eq!(cells.len(), 3, "{cells:?}");
    // `f` is the fixed place, `U` padding, and before version 3 amd64's return address is shown as untracked.
    cells[2] = match (cells[2].as_str(), abi) {
        ("u" | "f" | "U", Abi::Amd64) => "c-8".to_owned(),
        ("U", _) => "u".to_owned(),
        (other, _) => other.to_owned(),
    };
    cells.join(" ")
}

fn abi_of(bytes: &[u8]) -> (Abi, bool) {
    let elf = Elf::parse(bytes).unwrap();
    let big = elf.endian() == object::Endianness::Big;
    (Abi::of_machine(elf.machine(), big).unwrap(), elf.is_relocatable())
}

fn recorded() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in [directory(), directory().join("faults")] {
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "readelf") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn our_reading_is_that_of_the_matching_readelf() {
    let mut versions = std::collections::BTreeMap::<String, usize>::new();
    for oracle in recorded() {
        let bytes = fs_err::read(oracle.with_extension("")).unwrap();
        let (abi, relocatable) = abi_of(&bytes);
        let read = ours(&bytes);
        let text = fs_err::read_to_string(&oracle).unwrap();
        assert_eq!(read, theirs(&text, abi, relocatable), "{}", oracle.display());
        *versions.entry(format!("{} {}", abi.name(), &read[..2])).or_default() += 1;
    }
    // Every version and ABI there is an assembler for.
    let seen: Vec<&str> = versions.keys().map(String::as_str).collect();
    let all = [
        "aarch64 v1",
        "aarch64 v2",
        "aarch64 v3",
        "aarch64-be v1",
        "aarch64-be v2",
        "aarch64-be v3",
        "amd64 v1",
        "amd64 v2",
        "amd64 v3",
        "s390x v3",
    ];
    assert_eq!(seen, all);
}

// The readelf of this machine prints the version of its own binutils only, so
// it is asked about each fixture and must print at least one.
#[test]
fn our_reading_is_that_of_this_machines_readelf() {
    let said = Command::new("readelf").arg("--version").output().expect("binutils are among what doctor asks for");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let first = said.lines().next().unwrap_or_default();
    let number = first.rsplit(' ').next().unwrap_or_default().to_owned();
    let minor: u32 = number.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap();
    let version = match minor {
        40 => 1,
        41..=45 => 2,
        _ => 3,
    };
    let mut compared = 0;
    for oracle in recorded() {
        let file = oracle.with_extension("");
        let bytes = fs_err::read(&file).unwrap();
        let read = ours(&bytes);
        // aarch64's readelf is another program, but readelf of 2.40 reads all ABIs.
        if !read.starts_with(&format!("v{version} ")) {
            continue;
        }
        let (abi, relocatable) = abi_of(&bytes);
        let output = Command::new("readelf").arg("--sframe").arg(&file).env("LC_ALL", "C").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(read, theirs(&text, abi, relocatable), "{}", file.display());
        compared += 1;
    }
    assert!(compared >= 4, "readelf {number} was asked about {compared} fixtures of version {version}");
}

fn run(args: &[&str]) -> Output {
    sframe(&[&["check"], args].concat())
}

fn sframe(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossmill"));
    command.arg("sframe").args(args).env_clear().env("PATH", "/usr/bin:/bin").current_dir(directory());
    command.output().unwrap()
}

fn code_and_words(args: &[&str]) -> (i32, String, String) {
    decoded(&run(args))
}

fn rows(function: &str, file: &str) -> (i32, String, String) {
    decoded(&sframe(&["rows", function, file]))
}

fn decoded(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn exit_codes_tell_right_from_wrong() {
    assert_eq!(code_and_words(&["s390x-v3.so"]).0, 0);
    assert_eq!(code_and_words(&["amd64-v1.o"]).0, 0, "warnings alone");
    assert_eq!(code_and_words(&["amd64-v1.o", "--deny", "warning"]).0, 1);
    assert_eq!(code_and_words(&["faults/offset-then-register.o"]).0, 1);
    assert_eq!(code_and_words(&["."]).0, 1, "a directory with a faulty object");
    let (code, _, said) = code_and_words(&["make.sh"]);
    assert_eq!(code, 2);
    assert!(said.contains("neither an ELF file nor an archive"), "{said}");
    let (code, _, said) = code_and_words(&["no-such-file"]);
    assert_eq!(code, 2);
    assert!(said.contains("cannot read no-such-file") && said.contains("cause:"), "{said}");
    assert_eq!(code_and_words(&[]).0, 2);
    assert_eq!(code_and_words(&["/dev/null"]).0, 2);
}

#[test]
fn archives_and_directories_are_looked_through() {
    let (code, shown, _) = code_and_words(&["amd64-v3.a"]);
    assert_eq!(code, 0);
    assert!(shown.contains("amd64-v3.a(amd64-new-v3.o)"), "{shown}");
    let (_, json, _) = code_and_words(&[".", "--json"]);
    let form: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(form["schema"], 2);
    assert_eq!(form["total"]["cross"]["missing_fdes"], 1, "an escape that cannot be distinguished from .cfi_offset");
    assert_eq!(form["total"]["cross"]["mismatched_functions"], 12, "one a fault that leaves an object");
    assert_eq!(form["total"]["versions"], serde_json::json!([1, 2, 3]));
}

#[test]
fn a_damaged_member_of_a_directory_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("short.o"), b"\x7fELF and no more").unwrap();
    fs_err::write(dir.path().join("note.txt"), b"no ELF").unwrap();
    fs_err::write(dir.path().join("empty.o"), b"").unwrap();
    let path = dir.path().display().to_string();
    let (code, shown, _) = code_and_words(&[&path]);
    assert_eq!(code, 1);
    assert!(shown.contains("error[SF088]"), "{shown}");
    let nothing = tempfile::tempdir().unwrap();
    let (code, _, said) = code_and_words(&[&nothing.path().display().to_string()]);
    assert_eq!(code, 2);
    assert!(said.contains("no ELF file in"), "{said}");
}

#[test]
fn a_code_is_explained_and_a_wrong_one_answered_with_the_nearest() {
    let (code, shown, _) = code_and_words(&["--explain", "sf012"]);
    assert_eq!(code, 0);
    assert!(shown.starts_with("error[SF012]: section type is not SHT_GNU_SFRAME") && shown.contains("source: "));
    let (code, _, said) = code_and_words(&["--explain", "SF999"]);
    assert_eq!(code, 2);
    assert!(said.contains("hint: valid codes are `SF001`"), "{said}");
}

#[test]
fn an_account_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("verdict");
    let check_result = |file: &str| {
        run(&[file, "--verdict", path.to_str().unwrap()]);
        CheckResult::parse(&fs_err::read_to_string(&path).unwrap()).unwrap()
    };
    let good = check_result("s390x-v3.so");
    assert_eq!((good.state, good.summary.as_deref(), good.why), (Verdict::Pass, Some("v3 5 FDEs"), None));
    assert!(good.figures.contains(&("covered".to_owned(), 5.0)));
    let bad = check_result("faults/nested-remember.o");
    assert_eq!(bad.state, Verdict::Fail);
    assert!(bad.why.unwrap().contains("1 rows in 1 functions disagree with DWARF"));
    assert!(bad.figures.contains(&("mismatched_rows".to_owned(), 1.0)));
}

#[test]
fn rows_of_a_function_stand_side_by_side() {
    let (code, shown, _) = rows("nested", "faults/nested-remember.o");
    assert_eq!(code, 1);
    assert!(shown.contains("<- disagree"), "{shown}");
    assert_eq!(rows("framed", "amd64-v3.so").0, 0);
    let (code, _, said) = rows("nothing", "amd64-v3.so");
    assert_eq!(code, 2);
    assert!(said.contains("no function `nothing`"), "{said}");
}

#[test]
fn the_corpus_of_the_fuzz_targets_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut replayed = 0;
    for (name, target) in [("sframe_read", fuzz::reader as fn(&[u8])), ("sframe_cross", fuzz::cross)] {
        for entry in fs_err::read_dir(corpus.join(name)).unwrap() {
            let bytes = fs_err::read(entry.unwrap().path()).unwrap();
            target(&bytes);
            // And each with its end missing.
            target(&bytes[..bytes.len() / 2]);
            replayed += 1;
        }
    }
    assert!(replayed > 25, "{replayed}");
}

// An ordinary program: the C library's start files have neither SFrame data nor debug information, one object was
// assembled without SFrame data, and clang writes no .debug_aranges.
#[test]
fn functions_of_objects_without_sframe_are_not_missing() {
    let dir = tempfile::tempdir().unwrap();
    let tool = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs_err::write(dir.path().join("with.c"), "int other(int); int main(void) { return other(0); }\n").unwrap();
    fs_err::write(dir.path().join("without.c"), "int other(int a) { return a; }\n").unwrap();
    tool("gcc", &["-g", "-c", "-Wa,--gsframe", "with.c"]);
    tool("gcc", &["-g", "-c", "without.c"]);
    tool("gcc", &["-o", "program", "with.o", "without.o"]);
    tool("objcopy", &["--remove-section", ".debug_aranges", "program"]);
    let output = run(&[dir.path().join("program").to_str().unwrap(), "--json"]);
    let form: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cross = &form["total"]["cross"];
    assert_eq!((&cross["missing_fdes"], &cross["in_units_without_sframe"]), (&0.into(), &1.into()), "{form:#}");
    assert!(cross["unknown_unit"].as_u64() > Some(0), "_start: {form:#}");
    let counts = &form["files"][0]["counts"];
    assert!(counts["SF081"].is_null() && counts["SF091"].is_u64() && counts["SF090"] == 1, "{form:#}");
}
