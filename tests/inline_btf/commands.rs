//! The commands, as a person starts them.

use crate::compile;
use assert_cmd::Command;
use std::path::Path;

fn crossmill(dir: &Path) -> Command {
    let mut command = Command::cargo_bin("crossmill").unwrap();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(dir);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// A program and BTF to stand on, made by this program itself: pahole may be missing.
fn world() -> (tempfile::TempDir, std::path::PathBuf) {
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
