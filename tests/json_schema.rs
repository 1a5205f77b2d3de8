//! The JSON of the commands for debug information, compared with the schemas in docs/schema.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[path = "support/schema.rs"]
mod schema;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(dir: &Path, args: &[&str]) -> Value {
    let mut command = assert_cmd::Command::cargo_bin("crossmill").unwrap();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(dir);
    let output = command.args(args).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

fn follows(schema: &str, dir: &Path, args: &[&str]) -> Value {
    let value = run(dir, args);
    schema::follows(schema, &value);
    value
}

#[test]
fn sframe() {
    let dir = root().join("tests/fixtures/sframe");
    for paths in [&["amd64-v3.so"][..], &["aarch64-v1.o", "s390x-v3.so"], &["amd64-v3.a"], &["faults"]] {
        let value = follows("sframe-check", &dir, &[&["sframe", "check"], paths].concat());
        assert!(value["total"]["with_sframe"].as_u64() > Some(0));
    }
    let start = run(&dir, &["sframe", "check", "amd64-v3.so"]);
    assert!(start["files"][0]["cross"]["functions"].as_u64() > Some(0));
    let object = crossmill::debuginfo::input::Input::open(&dir.join("amd64-v3.so")).unwrap();
    let elf = crossmill::debuginfo::elf::Elf::parse(object.bytes()).unwrap();
    let name = elf.functions().into_iter().find(|function| function.size > 0).unwrap().name;
    let value = follows("sframe-rows", &dir, &["sframe", "rows", &name, "amd64-v3.so"]);
    assert!(value["functions"][0]["start"].as_str().unwrap().starts_with("0x"));
}

#[test]
fn btf() {
    let dir = root().join("tests/fixtures/btf");
    for file in ["program.btf", "kinds-big.btf", "inline-new-little.btf", "inline-old-big.btf", "module.btf"] {
        follows("btf-check", &dir, &["btf", "check", file]);
        follows("btf-dump", &dir, &["btf", "dump", file]);
    }
    follows("btf-check", &dir, &["btf", "check", "module.btf", "--base", "program.btf"]);
}

#[test]
fn inline_btf() {
    use crossmill::debuginfo::btf::{Builder, Endian, Kind};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut base = Builder::new(None, Endian::Little, false);
    let name = base.string("long int");
    base.push(Kind::Int, name, false, 0, 8, &[1 << 24 | 64]);
    fs_err::write(dir.join("base.btf"), base.finish().unwrap()).unwrap();
    let source = root().join("tests/inline_btf/known.c");
    // High addresses, as a kernel's are: a double does not have all their bits.
    let flags = ["-O2", "-g", "-ffreestanding", "-nostdlib", "-static", "-Wl,-e0", "-Wl,-Ttext=0x7fffffff81000000"];
    let mut compile = Command::new("gcc");
    compile
        .args(flags)
        .args(["-mcmodel=large", "-fno-pie", "-no-pie", "-Wl,--defsym=sink=0x7fffffff81000000"])
        .arg("-o")
        .arg(dir.join("program"))
        .arg(source);
    assert!(compile.status().unwrap().success());

    let base = ["--base", "base.btf"];
    let with = |args: &[&'static str]| [args, &base].concat();
    let value = follows("inline-btf-generate", dir, &with(&["inline-btf", "generate", "program", "-o", "out.btf"]));
    assert!(value["summary"]["sites"].as_u64() > Some(0));
    let value = follows("inline-btf-check", dir, &with(&["inline-btf", "check", "program", "out.btf"]));
    assert_eq!(value["state"], "pass");
    follows("inline-btf-check", dir, &with(&["inline-btf", "check", "program"]));
    let whole = root().join("tests/fixtures/btf/inline-new-little.btf");
    let split = ["inline-btf", "split", whole.to_str().unwrap(), "-o", "main.btf", "--inline", "inline.btf"];
    assert_eq!(follows("inline-btf-split", dir, &split)["sites"], 3);
    follows("inline-btf-report", dir, &with(&["inline-btf", "report", "program"]));
    follows("inline-btf-report", dir, &["inline-btf", "report", "program"]);
    let args = with(&["inline-btf", "report", "program", "--function", "constant"]);
    let value = follows("inline-btf-function", dir, &args);
    let address = value["functions"][0]["sites"][0]["address"].as_str().unwrap();
    assert!(address.starts_with("0x7fffffff81"), "{address}");
    let probes =
        ["inline-btf", "probes", "program", "constant", "value", "--format", "gdb", "--best-effort", "--exits"];
    let value = follows("inline-btf-probes", dir, &with(&probes));
    let address = value["functions"][0]["probes"][0]["address"].as_str().unwrap();
    assert!(address.starts_with("0x7fffffff81"), "{address}");
}
