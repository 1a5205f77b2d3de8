//! Names that are no identifiers of C: the sites keep the linkage name, or are skipped and counted.

use crate::commands::{crossmill, text};
use std::path::Path;

// BTF that knows no function of the program.
fn base(dir: &Path) {
    use crossmill::debuginfo::btf::{Builder, Endian, Kind};
    let mut base = Builder::new(None, Endian::Little, false);
    let name = base.string("long int");
    base.push(Kind::Int, name, false, 0, 8, &[1 << 24 | 64]);
    fs_err::write(dir.join("base.btf"), base.finish().unwrap()).unwrap();
}

fn generated(dir: &Path, more: &[&str]) -> (serde_json::Value, String) {
    let args = ["inline-btf", "generate", "program", "--base", "base.btf", "-o", "out.btf", "--json"];
    let output = crossmill(dir).args(args).args(more).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = ["btf", "check", "out.btf", "--base", "base.btf"];
    let output = crossmill(dir).args(check).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    let dump = crossmill(dir).args(["btf", "dump", "out.btf", "--base", "base.btf"]).output().unwrap();
    (value, text(&dump.stdout))
}

#[test]
fn functions_of_cpp_are_named_by_their_symbols() {
    for level in ["-O1", "-O2"] {
        let dir = tempfile::tempdir().unwrap();
        base(dir.path());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inline_btf/names.cpp");
        crate::tool(Path::new("g++"), &["-c", level, "-g", "-o", "program", source.to_str().unwrap()], dir.path());
        let (value, dump) = generated(dir.path(), &[]);
        assert_eq!(value["ok"], true, "{value:#}");
        assert_eq!(value["verified"]["comparison"]["equal"], value["summary"]["sites"]);
        let named = |name: &str| dump.contains(&format!("FUNC '{name}'"));
        assert!(named("plain") && named("add"), "{dump}");
        assert!(named("_ZN6shapes5twiceIlEET_S1_") && named("_ZN6shapes5twiceIiEET_S1_"), "{dump}");
        assert!(named("_ZNK6shapes5PointIlEplERKS1_"), "an operator\n{dump}");
        assert!(!dump.contains('<'), "{dump}");
        // `local<long>` and the two calls of the lambda have no identifier at all; nothing else is lost.
        let skipped = value["summary"]["skipped"].as_array().unwrap();
        let count = |what: &str| skipped.iter().find(|count| count["what"] == what).map(|count| count["count"].clone());
        assert_eq!(count("not-identifier"), Some(3.into()), "{skipped:?}");
        assert_eq!(skipped.len(), 1 + usize::from(count("duplicate").is_some()), "{skipped:?}");
    }
}

#[test]
fn generic_functions_of_rust_are_skipped_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    base(dir.path());
    let source = "#[inline(always)]\nfn twice<T: std::ops::Add<Output = T> + Copy>(value: T) -> T { value + value }\n\
                  #[inline(always)]\nfn plain(a: u64, b: &mut Vec<u8>) -> u64 { b.push(a as u8); a ^ 3 }\n\
                  #[no_mangle]\npub fn entry(a: u64, b: &mut Vec<u8>) -> u64 { twice(a) + plain(a, b) }\n";
    fs_err::write(dir.path().join("names.rs"), source).unwrap();
    let args = ["--crate-type=lib", "--emit=obj", "--edition=2021", "-O", "-g", "-o", "program", "names.rs"];
    crate::tool(Path::new("rustc"), &args, dir.path());
    let (value, dump) = generated(dir.path(), &["--with-rust"]);
    assert_eq!(value["ok"], true, "{value:#}");
    assert_eq!(value["verified"]["comparison"]["equal"], value["summary"]["sites"]);
    assert!(dump.contains("FUNC 'plain'"), "{dump}");
    let (value, _) = generated(dir.path(), &[]);
    assert_eq!(value["summary"]["skipped"][0]["what"], "language");
}
