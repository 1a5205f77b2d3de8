//! The commands, as a person starts them.

use crate::compile;
use assert_cmd::Command;
use std::path::Path;

pub fn crossmill(dir: &Path) -> Command {
    let mut command = Command::cargo_bin("crossmill").unwrap();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(dir);
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// A program and BTF to stand on, made by this program itself: pahole may be missing.
pub fn world() -> (tempfile::TempDir, std::path::PathBuf) {
    use crossmill::debuginfo::btf::{Builder, Endian, Kind, Param};
    let (dir, path) = compile(Path::new("gcc"), "known.c", &["-c", "-O2", "-g", "-ffreestanding"]);
    let mut base = Builder::new(None, Endian::Little, false);
    let name = base.string("long int");
    let long = base.push(Kind::Int, name, false, 0, 8, &[1 << 24 | 64]);
    let name_off = base.string("in_register");
    let proto = base.func_proto(0, &[Param { name_off, type_id: long }]);
    base.func("value", proto, 0);
    fs_err::write(dir.path().join("base.btf"), base.finish().unwrap()).unwrap();
    (dir, path)
}

#[test]
fn generated_checked_and_reported() {
    let (dir, _) = world();
    let generate = ["inline-btf", "generate", "program", "--base", "base.btf", "-o", "out.btf"];
    let output = crossmill(dir.path()).args(generate).args(["--verdict", "verdict", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["written"]["functions_known"], 1, "`value` is in the base");
    assert_eq!(json["verified"]["comparison"]["equal"], json["summary"]["sites"]);
    let verdict = fs_err::read_to_string(dir.path().join("verdict")).unwrap();
    assert!(verdict.starts_with("state pass\n") && verdict.contains("figure share_all "), "{verdict}");

    let check = ["inline-btf", "check", "program", "out.btf", "--base", "base.btf"];
    let output = crossmill(dir.path()).args(check).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("good"), "{}", text(&output.stdout));

    let report = ["inline-btf", "report", "program", "--base", "base.btf"];
    let output = crossmill(dir.path()).args(report).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for words in ["DW_TAG_inlined_subroutine", "every parameter", "most inlined", "those are of full x86-64 kernels"] {
        assert!(text(&output.stdout).contains(words), "{words} is missing in\n{}", text(&output.stdout));
    }
    // Both count the same sites.
    let output = crossmill(dir.path()).args(report).arg("--json").output().unwrap();
    let reported: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["summary"], reported["summary"]);
    assert!(!json["summary"]["sections"].as_array().unwrap().is_empty(), "{json:#}");
    let output = crossmill(dir.path()).args(report).args(["--function", "constant"]).output().unwrap();
    let listing = text(&output.stdout);
    assert!(listing.contains("constant(number): 1 sites, no copy out of line"), "{listing}");
    assert!(listing.contains("in use_constant at ") && listing.contains("known.c:"), "{listing}");
    assert!(listing.contains("number = 42"), "{listing}");
}

#[test]
fn inline_btf_of_another_file_is_found_out() {
    let (dir, _) = world();
    let generate = ["inline-btf", "generate", "program", "--base", "base.btf", "-o", "out.btf"];
    crossmill(dir.path()).args(generate).assert().success();
    let (other, path) = compile(Path::new("gcc"), "known.c", &["-c", "-O1", "-g", "-ffreestanding"]);
    let output = crossmill(dir.path())
        .args(["inline-btf", "check", path.to_str().unwrap(), "out.btf", "--base", "base.btf"])
        .output()
        .unwrap();
    drop(other);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("WRONG"), "{}", text(&output.stdout));
}

#[test]
fn too_few_parameters_fail() {
    let (dir, _) = world();
    let generate = ["inline-btf", "generate", "program", "--base", "base.btf", "-o", "out.btf", "--min-complete", "1"];
    let output = crossmill(dir.path()).args(generate).args(["--verdict", "verdict"]).output().unwrap();
    let verdict = fs_err::read_to_string(dir.path().join("verdict")).unwrap();
    let all = text(&output.stdout).contains("(or none to have)  7  100.0 %");
    assert_eq!(output.status.success(), all);
    assert_eq!(verdict.starts_with("state pass"), all, "{verdict}");
}

#[test]
fn without_btf_it_says_so() {
    let (dir, _) = world();
    let generate = ["inline-btf", "generate", "program", "-o", "out.btf"];
    let output = crossmill(dir.path()).args(generate).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("program has no .BTF section") && said.contains("--run-pahole"), "{said}");
    assert!(!dir.path().join("out.btf").exists());
    crossmill(dir.path()).args(generate).args(["--verdict", "verdict"]).assert().success();
    let verdict = fs_err::read_to_string(dir.path().join("verdict")).unwrap();
    assert!(verdict.starts_with("state unsupported\nwhy program has no .BTF section"), "{verdict}");
}

#[test]
fn a_copy_with_the_section_is_checked_as_a_kernels_own() {
    let (dir, path) = world();
    let generate = ["inline-btf", "generate", "program", "--base", "base.btf", "--into", "copy"];
    crossmill(dir.path()).args(generate).assert().success();
    assert!(fs_err::metadata(dir.path().join("copy")).unwrap().len() > fs_err::metadata(path).unwrap().len());
    let output = crossmill(dir.path()).args(["inline-btf", "check", "copy", "--base", "base.btf"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(".BTF.inline: good"), "{}", text(&output.stdout));
}

#[test]
fn what_is_no_elf_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("text"), "no ELF").unwrap();
    for command in [vec!["report", "text"], vec!["check", "text"], vec!["generate", "text", "-o", "out"]] {
        let output = crossmill(dir.path()).arg("inline-btf").args(&command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(text(&output.stderr).contains("not a readable ELF file"), "{}", text(&output.stderr));
    }
}

fn output(dir: &Path, args: &[&str]) -> std::process::Output {
    crossmill(dir).args(args).output().unwrap()
}

// No function is inlined here: 0 of 0 is not 100 %.
#[test]
fn no_sites_are_no_share() {
    let (dir, _) = world();
    fs_err::write(dir.path().join("plain.c"), "long plain(long in_register) { return in_register; }\n").unwrap();
    crate::tool(Path::new("gcc"), &["-c", "-O0", "-g", "-o", "plain", "plain.c"], dir.path());
    let generate = ["inline-btf", "generate", "plain", "--base", "base.btf", "-o", "out.btf", "--verdict", "verdict"];
    let found = output(dir.path(), &[&generate[..], &["--json"]].concat());
    assert!(found.status.success(), "{}", text(&found.stderr));
    let json: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(json["summary"]["sites"], 0);
    assert_eq!((&json["share_all"], &json["bytes_per_site"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    let verdict = fs_err::read_to_string(dir.path().join("verdict")).unwrap();
    assert!(verdict.contains("summary no inline sites") && !verdict.contains("figure share_all"), "{verdict}");

    let found = output(dir.path(), &[&generate[..], &["--min-complete", "0.1"]].concat());
    assert_eq!(found.status.code(), Some(1));
    let said = text(&found.stdout);
    assert!(said.contains("failed: there are no sites") && !said.contains("100.0 %"), "{said}");
    let report = output(dir.path(), &["inline-btf", "report", "plain", "--base", "base.btf"]);
    let said = text(&report.stdout);
    assert!(said.contains("no sites") && !said.contains("100.0 %"), "{said}");
}

#[test]
fn split_dwarf_is_refused_by_name() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let flags = ["-c", "-O2", "-g", "-gsplit-dwarf", version, "-ffreestanding"];
        let (dir, _) = compile(Path::new("gcc"), "known.c", &flags);
        let found = output(dir.path(), &["inline-btf", "report", "program"]);
        assert_eq!(found.status.code(), Some(2), "{version}: {}", text(&found.stdout));
        let said = text(&found.stderr);
        assert!(said.contains("unsupported: split DWARF: 1 unit of the file is a skeleton"), "{said}");
        assert!(said.contains("program.dwo") && said.contains("-gsplit-dwarf"), "{version}: {said}");
    }
}

#[test]
fn debug_information_in_another_file_is_named() {
    let (dir, _) = world();
    let run = |args: &[&str]| crate::tool(Path::new("objcopy"), args, dir.path());
    fs_err::write(dir.path().join("link"), b"common.debug\0\x01\x02\x03").unwrap();
    run(&["--add-section", ".gnu_debugaltlink=link", "program", "shared"]);
    let found = output(dir.path(), &["inline-btf", "report", "shared"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(text(&found.stderr).contains("`common.debug` (.gnu_debugaltlink)"), "{}", text(&found.stderr));
    run(&["--strip-debug", "--add-gnu-debuglink=program", "program", "stripped"]);
    let found = output(dir.path(), &["inline-btf", "report", "stripped"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(text(&found.stderr).contains(".gnu_debuglink names `program`"), "{}", text(&found.stderr));
}

// Split BTF, as a module has it, on the BTF of a kernel with `types` integers.
fn module(dir: &Path) {
    use crossmill::debuginfo::btf::{Btf, Builder, Endian, Kind, Param};
    let kernel = |first: &str| {
        let mut kernel = Builder::new(None, Endian::Little, false);
        for name in [first, "long int", "char"] {
            let name = kernel.string(name);
            kernel.push(Kind::Int, name, false, 0, 8, &[1 << 24 | 64]);
        }
        kernel.finish().unwrap()
    };
    let base = kernel("int");
    let btf = Btf::parse(&base, None).unwrap();
    let mut module = Builder::new(Some(&btf), Endian::Little, false);
    let name_off = module.string("in_register");
    let proto = module.func_proto(0, &[Param { name_off, type_id: 2 }]);
    module.func("value", proto, 0);
    fs_err::write(dir.join("module.btf"), module.finish().unwrap()).unwrap();
    fs_err::write(dir.join("vmlinux.btf"), &base).unwrap();
    fs_err::write(dir.join("other.btf"), kernel("a much longer first name")).unwrap();
    let args = ["--add-section", ".BTF=module.btf", "program", "module.ko"];
    crate::tool(Path::new("objcopy"), &args, dir);
}

#[test]
fn a_module_is_based_on_the_kernel_it_was_built_for() {
    let (dir, _) = world();
    module(dir.path());
    let generate = ["inline-btf", "generate", "module.ko", "-o", "out.btf"];
    let found = output(dir.path(), &[&generate[..], &["--base", "vmlinux.btf"]].concat());
    assert!(found.status.success(), "{}{}", text(&found.stdout), text(&found.stderr));
    fs_err::remove_file(dir.path().join("out.btf")).unwrap();

    let found = output(dir.path(), &generate);
    assert_eq!(found.status.code(), Some(2));
    let said = text(&found.stderr);
    assert!(said.contains("split BTF, as a module has") && said.contains("--base vmlinux"), "{said}");

    let found = output(dir.path(), &[&generate[..], &["--base", "other.btf"]].concat());
    assert_eq!(found.status.code(), Some(2), "{}", text(&found.stdout));
    assert!(text(&found.stderr).contains("module.ko was not built against other.btf"), "{}", text(&found.stderr));
    assert!(!dir.path().join("out.btf").exists());
}

#[test]
fn a_broken_base_is_refused() {
    let (dir, _) = world();
    module(dir.path());
    let mut bytes = fs_err::read(dir.path().join("vmlinux.btf")).unwrap();
    // The last byte of the first integer's encoding: 0xff is none.
    bytes[24 + 15] = 0xff;
    fs_err::write(dir.path().join("broken.btf"), bytes).unwrap();
    for subject in ["module.ko", "program"] {
        let args = ["inline-btf", "generate", subject, "-o", "out.btf", "--base", "broken.btf"];
        let found = output(dir.path(), &args);
        assert_eq!(found.status.code(), Some(2), "{}", text(&found.stdout));
        let said = text(&found.stderr);
        assert!(said.contains("broken.btf: BTF breaks the rules of BTF (1 error), the first: error[BT040]"), "{said}");
    }
    assert!(!dir.path().join("out.btf").exists());
}

// Expectation of upstream's own test of its encoder for scale(), and a parameter that changes at the very address of its site.
const READINGS: &str = "
extern long opaque(int); extern void out(long);
static inline __attribute__((always_inline)) int scale(int value, int factor) { return value * factor; }
static inline __attribute__((always_inline)) long modified(long a, long b) { a += 7; out(a); return b; }
int doubled(int number) { return scale(number, 2); }
long caller(void) { return modified(opaque(3), opaque(4)) + 1; }
";

#[test]
fn a_check_accepts_every_reading_of_empty_ranges_and_counts_each() {
    let (dir, _) = world();
    fs_err::write(dir.path().join("readings.c"), READINGS).unwrap();
    crate::tool(Path::new("gcc"), &["-c", "-O2", "-g", "-o", "readings", "readings.c"], dir.path());
    let run = |args: &[&str]| output(dir.path(), &[&["inline-btf"], args, &["--base", "base.btf"]].concat());
    let scale = text(&run(&["report", "readings", "--function", "scale"]).stdout);
    assert!(scale.contains("value = rdi\n") && scale.contains("factor = 2\n"), "{scale}");
    let modified = |reading: &str| {
        let args = ["report", "readings", "--function", "modified", "--empty-ranges", reading];
        text(&run(&args).stdout)
    };
    assert!(modified("prefer").contains("a = rax\n"), "{}", modified("prefer"));
    assert!(modified("ignore").contains("a = rax + 7\n"), "{}", modified("ignore"));

    for (reading, words) in [
        ("prefer", "good, 0 errors, 0 warnings; 2 of 2 sites as in DWARF\n"),
        (
            "ignore",
            "2 of 2 sites as in DWARF, 1 of them by `--empty-ranges accept`, 1 of them by `--empty-ranges ignore`",
        ),
        ("accept", "2 of 2 sites as in DWARF, 1 of them by `--empty-ranges accept`"),
    ] {
        let generate = ["generate", "readings", "-o", "out.btf", "--empty-ranges", reading];
        assert!(run(&generate).status.success());
        let found = run(&["check", "readings", "out.btf"]);
        assert!(found.status.success() && text(&found.stdout).contains(words), "{reading}: {}", text(&found.stdout));
        let found = run(&["check", "readings", "out.btf", "--empty-ranges", reading]);
        assert!(found.status.success(), "{reading}: {}", text(&found.stdout));
    }
    // Only what was asked for.
    let found = run(&["check", "readings", "out.btf", "--empty-ranges", "ignore"]);
    assert_eq!(found.status.code(), Some(1));
    let found = run(&["report", "readings", "--accept-empty-ranges"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(text(&found.stderr).contains("use `--empty-ranges accept`"), "{}", text(&found.stderr));
}
