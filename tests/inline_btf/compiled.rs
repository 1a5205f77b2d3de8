//! Real compilers: small programs whose inlining is known.

use crate::{compile, sites, with};
use crossmill::debuginfo::inline_btf::{EmptyRanges, Extraction, Location as L, Options};
use std::path::Path;

fn only(found: &Extraction<'_>, name: &str) -> Vec<Vec<L>> {
    let of = sites(&found.sites_of(name.as_bytes()));
    of.into_iter().map(|(_, params)| params.into_iter().map(|param| param.unwrap()).collect()).collect()
}

// Registers of the first two arguments.
fn check(compiler: &Path, first: u32, second: u32, version: &str) {
    let args = ["-c", "-O2", "-ffreestanding", "-fno-pic", "-g", version];
    let (_dir, path) = compile(compiler, "known.c", &args);
    let bytes = fs_err::read(path).unwrap();
    let options = Options { empty_ranges: EmptyRanges::Accept, ..Options::default() };
    with(&bytes, options, |_, found| {
        assert_eq!(only(found, "constant"), [[L::Constant(42)]]);
        assert_eq!(only(found, "value"), [[L::Register(first)]]);
        assert_eq!(only(found, "both"), [[L::Pair(first, second)]]);
        assert!(matches!(only(found, "variadic_user")[..], [ref params] if matches!(params[..], [L::Address(_)])));
        assert_eq!(only(found, "outer"), [[L::Register(first)]]);
        assert_eq!(only(found, "inner"), [[L::Register(first)]]);
        assert_eq!(only(found, "cold"), [[L::Register(first)]]);
        let nested = found.sites_of(b"inner");
        assert_eq!(nested.functions[0].sites[0].caller, "outer");
        assert_eq!(nested.functions[0].sites[0].function, "use_nested");
        let split = found.sites_of(b"cold");
        assert!(split.functions[0].sites[0].extent.0 > 1, "the cold part is a range of its own");
        assert!(split.functions[0].sites[0].traits.fragmented);
        assert!(found.damage.is_empty());
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn this_machines_compiler() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        check(Path::new("gcc"), 5, 4, version);
    }
}

#[test]
fn another_architectures_compiler() {
    let Some(compiler) = std::env::var_os("CROSSMILL_TEST_AARCH64_GCC") else {
        assert!(
            std::env::var_os("CROSSMILL_TEST_ALL").is_none(),
            "CROSSMILL_TEST_AARCH64_GCC must name an aarch64 gcc where every test is to run"
        );
        eprintln!("SKIPPED: CROSSMILL_TEST_AARCH64_GCC names no aarch64 gcc");
        return;
    };
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        check(Path::new(&compiler), 0, 1, version);
    }
}
