//! Files as they are stored: compressed, of another machine, with the modes of the umask.

use crate::commands::{crossmill, text, world};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn compressed(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(bytes).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
    vec![("program.ko.xz", xz.finish().unwrap()), ("program.ko.gz", gzip.finish().unwrap()), ("program.ko.zst", zstd)]
}

#[test]
fn compressed_modules_are_read_by_every_command() {
    let (dir, path) = world();
    let plain = fs_err::read(path).unwrap();
    crossmill(dir.path())
        .args(["inline-btf", "generate", "program", "--base", "base.btf", "-o", "plain.btf"])
        .assert()
        .success();
    let expected = fs_err::read(dir.path().join("plain.btf")).unwrap();
    let mut base = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    base.write_all(&fs_err::read(dir.path().join("base.btf")).unwrap()).unwrap();
    fs_err::write(dir.path().join("base.btf.gz"), base.finish().unwrap()).unwrap();
    for (name, bytes) in compressed(&plain) {
        fs_err::write(dir.path().join(name), bytes).unwrap();
        let generate = ["inline-btf", "generate", name, "--base", "base.btf.gz", "-o", "out.btf", "--into", "with"];
        let output = crossmill(dir.path()).args(generate).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert!(fs_err::read(dir.path().join("out.btf")).unwrap() == expected, "{name}");
        let commands: [&[&str]; 3] = [
            &["inline-btf", "check", name, "out.btf", "--base", "base.btf.gz"],
            &["inline-btf", "report", name],
            // The copy is not compressed: objcopy cannot write that.
            &["btf", "check", "with", "--base", "base.btf"],
        ];
        for command in commands {
            let output = crossmill(dir.path()).args(command).output().unwrap();
            assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
        }
        let output = crossmill(dir.path()).args(["sframe", "check", name]).output().unwrap();
        assert!(
            text(&output.stdout).contains("no section .sframe"),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

#[test]
fn a_damaged_compressed_file_is_named_as_that() {
    let (dir, path) = world();
    for (name, bytes) in compressed(&fs_err::read(path).unwrap()) {
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        // Several bytes: another distance into a run of equal bytes decompresses to the same file.
        flipped[middle..middle + 32].iter_mut().for_each(|byte| *byte = !*byte);
        for damaged in [&bytes[..middle], &flipped] {
            fs_err::write(dir.path().join(name), damaged).unwrap();
            for command in [&["btf", "check", name][..], &["inline-btf", "report", name], &["btf", "dump", name]] {
                let output = crossmill(dir.path()).args(command).output().unwrap();
                assert_eq!(output.status.code(), Some(2), "{command:?}");
                let message = text(&output.stderr);
                assert!(message.contains(&format!("error: cannot decompress {name}")), "{message}");
            }
        }
    }
}

// The umask of a child is what its shell sets.
fn modes(umask: &str, dir: &Path, files: &[&str]) -> Vec<u32> {
    let script = format!(
        "umask {umask}; exec '{}' inline-btf generate program --base base.btf -o out.btf --into with --verdict verdict",
        env!("CARGO_BIN_EXE_crossmill")
    );
    crate::tool(Path::new("sh"), &["-c", &script], dir);
    let mode = |name: &&str| fs_err::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    files.iter().map(mode).collect()
}

#[test]
fn output_files_get_the_modes_of_the_umask() {
    let (dir, path) = world();
    let files = ["out.btf", "with", "verdict"];
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (umask, expected) in
        [("022", [0o644, 0o755, 0o644]), ("002", [0o664, 0o755, 0o664]), ("077", [0o600, 0o700, 0o600])]
    {
        for name in files {
            let _ = fs_err::remove_file(dir.path().join(name));
        }
        assert_eq!(modes(umask, dir.path(), &files), expected, "{umask}");
    }
}

// A program of this machine whose header names another: an objcopy for this machine alone does not know it.
#[test]
fn the_objcopy_that_reads_a_foreign_file_is_named() {
    let (dir, _) = world();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inline_btf/known.c");
    let flags =
        ["-O2", "-g", "-ffreestanding", "-nostdlib", "-static", "-Wl,-e0", "-Wl,--defsym=sink=0", "-o", "foreign"];
    crate::tool(Path::new("gcc"), &[&flags[..], &[source.to_str().unwrap()]].concat(), dir.path());
    let path = dir.path().join("foreign");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[18] = 183;
    fs_err::write(&path, bytes).unwrap();
    // Stands for the objcopy of a distribution that was built for its own machine alone.
    let bin = dir.path().join("bin");
    fs_err::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        fs_err::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("objcopy", "echo 'objcopy: Unable to recognise the format of the input file' >&2; exit 1");
    let run = |more: &[&str]| {
        let mut command = crossmill(dir.path());
        command.env("PATH", &bin).args(["inline-btf", "generate", "foreign", "--base", "base.btf", "--into", "with"]);
        command.args(more).output().unwrap()
    };
    let failed = |output: &std::process::Output, hint: &str| {
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{message}");
        assert!(message.contains("Unable to recognise the format"), "{message}");
        assert!(message.contains(hint), "{message}");
        assert!(!dir.path().join("with").exists());
    };
    failed(&run(&[]), "install binutils for it and use `--objcopy aarch64-linux-gnu-objcopy`");
    program(
        "aarch64-linux-objcopy",
        "for last; do :; done; while [ $# -gt 1 ]; do from=$1; shift; done; /bin/cp \"$from\" \"$last\"",
    );
    failed(&run(&[]), "the file is for aarch64, which `--objcopy aarch64-linux-objcopy` reads");
    let output = run(&["--objcopy", "aarch64-linux-objcopy"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
