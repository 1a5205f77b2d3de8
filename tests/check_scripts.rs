//! The scripts of the checks, driven as the recipes drive them, with a fake
//! qemu for every way that a boot can go wrong.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::Command;

fn run(script: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(script);
    let output = Command::new("sh").arg(&path).env("CROSSMILL", env!("CARGO_BIN_EXE_crossmill")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{out}\n{err}", output.status);
}

#[test]
fn every_way_a_boot_ends_has_its_own_verdict() {
    run("boot/run.sh");
}

#[test]
fn a_module_kit_refuses_every_other_compiler_and_its_check_finds_what_is_wrong() {
    run("module-kit/run.sh");
}

#[test]
fn a_module_that_is_not_loaded_is_explained() {
    run("module-load/run.sh");
}

#[test]
fn a_script_of_busybox_with_other_results_is_explained() {
    run("busybox/run.sh");
}

#[test]
fn inline_btf_that_a_module_does_not_show_is_explained() {
    run("btf-inline/run.sh");
}

#[test]
fn a_trace_without_the_arguments_of_a_call_is_explained() {
    run("probes/run.sh");
}

#[test]
fn new_warnings_are_named_and_old_ones_are_not() {
    run("warnings/run.sh");
}

#[test]
fn inline_btf_is_compared_with_the_same_kernel_only() {
    run("btf-check/run.sh");
}

#[test]
fn what_a_rust_compiler_cannot_do_differs_from_what_breaks_it() {
    run("gccrs/run.sh");
}

#[test]
fn what_llvm_writes_as_sframe_is_recorded() {
    run("sframe-llvm/run.sh");
}
