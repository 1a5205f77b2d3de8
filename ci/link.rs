//! Options of the linker.
#![expect(clippy::disallowed_types, reason = "a build script comes before `crate::process`")]

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=ci/link.rs");
    // 28,000 relative relocations take 670 KiB of the program, and a bit each in packed form (DT_RELR).
    if reads_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

// glibc does since 2.36; an older one would start the program unrelocated. Of another machine's C library nothing is
// known. GNU ld before 2.38 ignores the option.
fn reads_packed_relocations() -> bool {
    if std::env::var_os("HOST") != std::env::var_os("TARGET") {
        return false;
    }
    // Prints `glibc 2.36`; with another C library, something else.
    let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((major, minor)) = text.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.')) else {
        return false;
    };
    let minor = minor.split('.').next().unwrap_or_default();
    matches!((major.parse::<u32>(), minor.parse::<u32>()), (Ok(major), Ok(minor)) if (major, minor) >= (2, 36))
}
