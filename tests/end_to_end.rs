//! The real thing, small: binutils from its real source for two targets, built
//! by the real host compiler. Needs the network for the source, or a cache.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]

#[path = "support/sframe_corpus/mod.rs"]
#[expect(dead_code, reason = "the assembler is the one that was built here")]
mod sframe_corpus;

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "builds binutils twice: minutes, and a network; ci/test runs it"]
fn binutils_for_two_targets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Below target/, so that a second run finds the download, and nothing else does.
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end");
    let crossmill = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossmill"))
            .args(args)
            .env("CROSSMILL_STORE", &store)
            .current_dir(root)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {text}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), text)
    };
    let args = ["build", "m68k", "s390", "--profile", "quick", "--package", "binutils", "--json"];
    let (json, _) = crossmill(&args);
    let outcome: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(outcome["schema"], 2);
    for (target, triple, machine) in [("m68k", "m68k-linux", "MC68000"), ("s390", "s390x-linux", "IBM S/390")] {
        let tree = store.join("results/latest-quick").join(target).join("binutils");
        // Moved elsewhere, it still works: what was built is relocatable.
        let moved = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-rL").arg(&tree).arg(moved.path().join("tools")).status().unwrap();
        assert!(copied.success());
        let tool = |name: &str| moved.path().join(format!("tools/bin/{triple}-{name}"));
        let version = Command::new(tool("as")).arg("--version").output().unwrap();
        assert!(String::from_utf8_lossy(&version.stdout).contains("2.47"), "{version:?}");
        let (source, object) = (moved.path().join("x.s"), moved.path().join("x.o"));
        fs_err::write(&source, ".globl start\nstart:\n\tnop\n").unwrap();
        assert!(Command::new(tool("as")).arg(&source).arg("-o").arg(&object).status().unwrap().success());
        let header = Command::new("readelf").arg("-h").arg(&object).output().unwrap();
        assert!(String::from_utf8_lossy(&header.stdout).contains(machine), "{header:?}");
        // With the recipe's patch, a corpus of call-frame instructions has no faults but the known ones.
        if triple == "s390x-linux" {
            println!("{}", sframe_corpus::examine(sframe_corpus::machine(triple), &tool("as"), true));
        }
    }
    let (_, again) = crossmill(&args);
    assert!(!again.contains("started"), "a second build did something: {again}");
    crossmill(&["store", "verify"]);
}
