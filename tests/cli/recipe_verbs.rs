//! `crossmill recipe elf` and `recipe initramfs`, compared with readelf and cpio.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn crossmill(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossmill"));
    command.current_dir(dir).env_clear().env("PATH", "/usr/bin:/bin").env("SOURCE_DATE_EPOCH", "1767225600");
    command.args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// An object without sections.
fn object(class: u8, data: u8, machine: u16, flags: u32) -> Vec<u8> {
    let order =
        |little: &[u8]| -> Vec<u8> { if data == 1 { little.to_vec() } else { little.iter().rev().copied().collect() } };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', class, data, 1];
    bytes.resize(16, 0);
    bytes.extend(order(&1u16.to_le_bytes()));
    bytes.extend(order(&machine.to_le_bytes()));
    bytes.extend(order(&1u32.to_le_bytes()));
    bytes.resize(if class == 2 { 48 } else { 36 }, 0);
    bytes.extend(order(&flags.to_le_bytes()));
    bytes.extend(order(&(if class == 2 { 64u16 } else { 52 }).to_le_bytes()));
    bytes.resize(if class == 2 { 64 } else { 52 }, 0);
    bytes
}

// The value of a line of `readelf -h`, without the explanation of flags.
fn readelf(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
    let value = line.trim_start_matches(':').trim();
    match name {
        "Data" => value.rsplit(", ").next().unwrap().to_owned(),
        "Flags" => value.split(',').next().unwrap().to_owned(),
        _ => value.to_owned(),
    }
}

/// Every machine that targets.toml declares has the number and the words that readelf knows it by.
#[test]
fn headers_are_described_in_readelfs_words() {
    let dir = tempfile::tempdir().unwrap();
    let targets = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("targets.toml")).unwrap();
    let declared: std::collections::BTreeSet<&str> =
        targets.lines().filter_map(|line| line.strip_prefix("elf_machine = \"")?.strip_suffix('"')).collect();
    assert!(declared.len() > 20, "{declared:?}");
    let mut seen = std::collections::BTreeSet::new();
    let numbers = (1..=260u16).chain([0x9026]);
    for number in numbers {
        let (class, data) = if number % 2 == 0 { (1, 1) } else { (2, 2) };
        let path = dir.path().join(format!("{number}.o"));
        fs_err::write(&path, object(class, data, number, 0x12)).unwrap();
        let output = Command::new("readelf").arg("-h").arg(&path).env("LC_ALL", "C").output().unwrap();
        let theirs = String::from_utf8(output.stdout).unwrap();
        let ours = stdout(&crossmill(dir.path(), &["recipe", "elf", path.to_str().unwrap()]));
        let machine = readelf(&theirs, "Machine");
        let facts: Vec<&str> = ours.trim_end().split(", ").collect();
        // A machine without a name here is printed as readelf prints a number that it does not know.
        if !facts[2].starts_with("<unknown>") {
            let wanted =
                [readelf(&theirs, "Class"), readelf(&theirs, "Data"), machine.clone(), readelf(&theirs, "Flags")];
            let flags = format!("flags {}", wanted[3]);
            assert_eq!(facts, [&wanted[0], &wanted[1], &wanted[2], &flags], "machine {number}");
            seen.insert(machine);
        } else {
            assert_eq!(facts[2], format!("<unknown>: {number:#x}"));
        }
    }
    let missing: Vec<_> = declared.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(
        missing.is_empty(),
        "targets.toml declares machines without a name in debuginfo/elf/header.rs: {missing:?}"
    );
}

#[test]
fn a_file_for_another_target_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.o"), object(2, 1, 183, 0)).unwrap();
    fs_err::write(dir.path().join("text"), "no ELF").unwrap();
    let differs = |args: &[&str]| {
        let output = crossmill(dir.path(), &[&["recipe", "elf", "a.o"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(differs(&["--machine", "RISC-V"]), "a.o: machine `AArch64`, but the target declares `RISC-V`\n");
    assert_eq!(differs(&["--class", "ELF32"]), "a.o: ELF class `ELF64`, but the target declares `ELF32`\n");
    assert_eq!(differs(&["--data", "big endian", "--class", ""]).lines().count(), 1);
    assert_eq!(differs(&["--flags", "0x1"]), "a.o: ELF flags `0x0`, but the target declares `0x1`\n");
    assert_eq!(differs(&["--section", ".BTF"]), "a.o: no section .BTF\n");
    let output = crossmill(dir.path(), &["recipe", "elf", "text"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`text`: not a readable ELF file"), "{output:?}");
    let own = env!("CARGO_BIN_EXE_crossmill");
    let size: u64 =
        stdout(&crossmill(dir.path(), &["recipe", "elf", own, "--section", ".text"])).trim().parse().unwrap();
    let sections = Command::new("readelf").args(["-SW", own]).env("LC_ALL", "C").output().unwrap();
    let sections = String::from_utf8(sections.stdout).unwrap();
    let text = sections.lines().find(|line| line.contains(" .text ")).unwrap();
    let words: Vec<&str> = text.split_whitespace().rev().collect();
    assert!(words.iter().any(|word| u64::from_str_radix(word, 16) == Ok(size)), "{size:#x} in {text}");
}

#[test]
fn cpio_unpacks_the_initramfs() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(7);
    fs_err::create_dir(dir.path().join("deep")).unwrap();
    for (name, content) in [("program", "#!init"), ("deep/one.ko", long.as_str()), ("two.ko", ""), ("shell", "ELF")] {
        fs_err::write(dir.path().join(name), content).unwrap();
    }
    fs_err::set_permissions(dir.path().join("shell"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let pack = ["recipe", "initramfs", "program", "deep/one.ko", "two.ko", "shell", "-o"];
    for archive in ["a", "b"] {
        stdout(&crossmill(dir.path(), &[&pack[..], &[archive]].concat()));
    }
    let bytes = fs_err::read(dir.path().join("a")).unwrap();
    assert_eq!(bytes, fs_err::read(dir.path().join("b")).unwrap());
    let cpio = |args: &[&str]| {
        let input = fs_err::File::open(dir.path().join("a")).unwrap().into_parts().0;
        let output = Command::new("cpio").args(args).stdin(input).current_dir(dir.path()).env("TZ", "UTC").output();
        let output = output.expect("cpio is among the tools that ci/test installs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed: Vec<String> = cpio(&["-itv", "--numeric-uid-gid"])
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        listed,
        [
            "drwxr-xr-x 1 0 0 0 Jan 1 2026 dev",
            "crw------- 1 0 0 5, 1 Jan 1 2026 dev/console",
            "-rwxr-xr-x 1 0 0 6 Jan 1 2026 init",
            "-rw-r--r-- 1 0 0 7 Jan 1 2026 one.ko",
            "-rw-r--r-- 1 0 0 0 Jan 1 2026 two.ko",
            "-rwxr-xr-x 1 0 0 3 Jan 1 2026 shell",
        ]
    );
    assert_eq!(cpio(&["-i", "--to-stdout", "one.ko"]), long);
    let output = crossmill(dir.path(), &["recipe", "initramfs", "program", "two.ko", "deep/../two.ko", "-o", "c"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the initramfs has a `two.ko` already"), "{output:?}");
    assert!(!dir.path().join("c").exists());
}
