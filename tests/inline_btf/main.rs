//! Inline BTF from real and from written debug information.
//!
//! `exact.s` and `lies.s` are data that any assembler turns into the same bytes;
//! the C programs are compiled by this machine's compiler, and by that of
//! another architecture where `CROSSMILL_TEST_AARCH64_GCC` names one.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../../fuzz/bodies/inline.rs"]
mod body;
mod commands;
mod compiled;
mod corpus;
mod exact;
mod lies;
mod names;
#[cfg(target_arch = "x86_64")]
mod probes;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod run;
mod split;
mod stored;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracee;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod views;

use crossmill::debuginfo::btf::validate::{Context, validate};
use crossmill::debuginfo::btf::{Btf, Endian};
use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::inline_btf::compare::compare;
use crossmill::debuginfo::inline_btf::listing::SitesOf;
use crossmill::debuginfo::inline_btf::write::{SectionNames, write};
use crossmill::debuginfo::inline_btf::{self as inline, BaseTypes, Extraction, Location, Missing, Options, Sections};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the parameters of each site of a function are, by address relative to the site's section.
type Sites = Vec<(u64, Vec<Result<Location, Missing>>)>;

fn sites(found: &SitesOf) -> Sites {
    let function = |list: &inline::listing::ListedFunction| {
        let site = |site: &inline::listing::ListedSite| {
            let params = site.params.iter().map(|param| param.map(|(location, _)| location));
            (site.section.1, params.collect())
        };
        list.sites.iter().map(site).collect::<Sites>()
    };
    found.functions.iter().flat_map(function).collect()
}

/// Extracts the sites of a file and checks what must hold of every file: the counts add up, what is written is valid,
/// and read again it is the same.
fn with<T>(bytes: &[u8], options: Options, look: impl FnOnce(&Elf<'_>, &Extraction<'_>) -> T) -> T {
    let elf = Elf::parse(bytes).unwrap();
    let sections = Sections::load(&elf).unwrap();
    let found = inline::extract(&elf, &sections, &BaseTypes::default(), options, &()).unwrap();
    assert!(found.merged.adds_up(), "{:?}", found.merged);
    let (written, _) = write(&found.merged, None, Endian::Little, SectionNames::default()).unwrap();
    let sizes = elf.sections().iter().filter(|section| section.is_allocated());
    let sizes = sizes.map(|section| (section.name.clone(), section.size)).collect();
    let checked = validate(&written, None, &Context { sections: Some(sizes), pointer: Some(8) });
    let errors: Vec<String> = checked.findings.list().iter().map(ToString::to_string).collect();
    assert_eq!(checked.findings.errors(), 0, "{errors:#?}");
    let comparison = compare(&Btf::parse(&written, None).unwrap(), &found.merged, &[]);
    assert!(comparison.is_equal(), "{comparison:#?}");
    look(&elf, &found)
}

fn tool(program: &Path, args: &[&str], dir: &Path) {
    let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program:?} {args:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Assembles `common.s` with a case.
fn assemble(case: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let text = [include_str!("common.s"), case].concat();
    fs_err::write(dir.path().join("case.s"), text).unwrap();
    tool(Path::new("as"), &["-o", "case.o", "case.s"], dir.path());
    fs_err::read(dir.path().join("case.o")).unwrap()
}

/// Compiles a program of this directory.
fn compile(compiler: &Path, name: &str, args: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inline_btf").join(name);
    let mut all = vec!["-o", "program", source.to_str().unwrap()];
    all.extend(args);
    tool(compiler, &all, dir.path());
    let path = dir.path().join("program");
    (dir, path)
}
