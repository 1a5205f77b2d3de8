//! Definitions of probes: of an image that looks like a kernel, and run by gdb.

use crate::commands::{crossmill, text};
use crate::{compile, tool};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

const LINK: [&str; 12] = [
    "-O2",
    "-g",
    "-ffreestanding",
    "-nostdlib",
    "-static",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-Wl,-e0",
    "-Wl,--build-id=0x0102030405060708",
    "-Wl,--defsym=sink=0x401000",
    "-Wl,--defsym=_text=0x401000",
    "-Wl,-Ttext=0x401000",
];

// A linked image, and the same file with BTF of its own and the sites in .BTF.inline.
fn kernel(more: &[&str]) -> tempfile::TempDir {
    let (dir, _) = compile(Path::new("gcc"), "kernel.c", &[&LINK[..], more].concat());
    tool(Path::new("objcopy"), &["--redefine-sym", "twin_b=twin_a", "program", "vmlinux"], dir.path());
    dir
}

fn probes(dir: &Path, args: &[&str]) -> Output {
    let all = [&["inline-btf", "probes", "vmlinux"], args].concat();
    crossmill(dir).args(all).output().unwrap()
}

fn defined(dir: &Path, args: &[&str]) -> String {
    let output = probes(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    let output = probes(dir, args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    for word in words {
        assert!(message.contains(word), "{word} is missing in\n{message}");
    }
}

#[test]
fn kprobe_events_name_symbols_and_registers() {
    let dir = kernel(&[]);
    let of = |args: &[&str]| defined(dir.path(), args);
    assert_eq!(of(&["take"]), "p:inline/take use_take+0x0 where=%di:x64 small=%si:u8\n");
    assert_eq!(of(&["fixed"]), "p:inline/fixed use_fixed+0x0 number=\\-7:s32\n");
    assert_eq!(of(&["both"]), "p:inline/both use_both+0x0 pair_0=%di:x64 pair_1=%si:x64\n");
    // DWARF has it relative to the frame base.
    let slot = of(&["slot"]);
    assert!(slot.starts_with("p:inline/slot use_slot+0x") && slot.ends_with(" pair=+0(%sp):x64[2]\n"), "{slot}");
    assert_eq!(of(&["take", "--group", "mine"]), "p:mine/take use_take+0x0 where=%di:x64 small=%si:u8\n");
    assert_eq!(of(&["take", "--module", "m"]), "p:inline/take m:use_take+0x0 where=%di:x64 small=%si:u8\n");
    assert_eq!(of(&["take", "fixed", "take"]).lines().count(), 2, "a name given twice is one function");
}

#[test]
fn other_formats_define_the_same_probe() {
    let dir = kernel(&[]);
    let of = |format: &str| defined(dir.path(), &["take", "--format", format]);
    assert_eq!(of("perf"), "perf probe -a 'inline:take=use_take+0 where=%di:x64 small=%si:u8'\n");
    assert_eq!(
        of("bpftrace"),
        "kprobe:use_take { printf(\"take where=0x%lx small=0x%lx\\n\", (uint64)reg(\"di\"), (uint8)reg(\"si\")); }\n"
    );
    let gdb = of("gdb");
    assert!(gdb.contains("break *((unsigned long)&'use_take')\n"), "{gdb}");
    assert!(gdb.contains(", (unsigned long)(unsigned char)(unsigned long)$rsi\ncontinue\nend\n"), "{gdb}");
    let bpf = of("bpf");
    assert!(bpf.contains("SEC(\"kprobe/use_take\")\nint inline_take(struct pt_regs *ctx)\n"), "{bpf}");
    assert!(bpf.contains("\tu8 arg_small = (u8)((u64)ctx->si);\n"), "{bpf}");
}

// The program includes headers of the kernel and libbpf: here, the parts that are used.
#[test]
fn the_program_for_libbpf_is_c() {
    let dir = kernel(&[]);
    let names = ["take", "fixed", "both", "slot", "sum", "twins"];
    let program = defined(dir.path(), &[&names[..], &["--format", "bpf", "--best-effort"]].concat());
    let prelude = "typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;\n\
        typedef unsigned long long u64; typedef signed char s8; typedef short s16; typedef int s32;\n\
        typedef long long s64; struct pt_regs { u64 di, si, sp, bp, ax, bx, cx, dx; };\n\
        #define SEC(name) __attribute__((section(name), used))\n\
        extern int bpf_printk(const char *, ...) __attribute__((format(printf, 1, 2)));\n\
        extern long bpf_probe_read_kernel(void *, u32, const void *);\n";
    let body: String =
        program.lines().filter(|line| !line.starts_with("#include")).flat_map(|line| [line, "\n"]).collect();
    fs_err::write(dir.path().join("probes.c"), format!("{prelude}{body}")).unwrap();
    tool(Path::new("gcc"), &["-Wall", "-Werror", "-c", "-o", "probes.o", "probes.c"], dir.path());
}

#[test]
fn a_function_gets_all_probes_or_none() {
    let dir = kernel(&[]);
    refused(
        dir.path(),
        &["guarded"],
        &[
            "refused: guarded at use_noinstr+0x0: kprobes are not allowed in noinstr code",
            "withheld: guarded: 1 possible probe",
            "--best-effort",
        ],
    );
    let output = probes(dir.path(), &["guarded", "--best-effort"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "p:inline/guarded use_guarded+0x0 argument=%di:s64\n");
    assert!(text(&output.stderr).contains("refused: guarded at use_noinstr+0x0"), "{}", text(&output.stderr));
    // gdb stops anywhere.
    assert_eq!(defined(dir.path(), &["guarded", "--format", "gdb"]).matches("break *").count(), 2);
}

#[test]
fn init_code_is_left_out() {
    let dir = kernel(&[]);
    let output = probes(dir.path(), &["early"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "p:inline/early use_late+0x0 argument=%di:s64\n");
    assert!(text(&output.stderr).contains("note: early: 1 site left out in init code"), "{}", text(&output.stderr));
}

#[test]
fn symbols_of_one_name_are_not_used() {
    let dir = kernel(&[]);
    let lines = defined(dir.path(), &["twins"]);
    let places: Vec<&str> = lines.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert!(places.len() == 2 && places.iter().all(|place| place.starts_with("_text+0x")), "{lines}");
    refused(dir.path(), &["twins", "--format", "bpftrace"], &["several symbols are called twin_a"]);
}

#[test]
fn values_that_a_format_cannot_express_are_refused_by_name() {
    let dir = kernel(&[]);
    refused(dir.path(), &["sum"], &["refused: sum at use_sum+", "kprobe events cannot add"]);
    let gdb = defined(dir.path(), &["sum", "--format", "gdb"]);
    assert!(gdb.contains("$rdi - 9)") || gdb.contains("$rdi\n"), "{gdb}");
}

#[test]
fn functions_without_probes_are_named() {
    let dir = kernel(&[]);
    refused(
        dir.path(),
        &["copied"],
        &["no function `copied` was inlined in vmlinux", "a probe on that misses no call"],
    );
    refused(dir.path(), &["guardet"], &["no function `guardet` was inlined in vmlinux", "is `guarded` meant?"]);
    refused(dir.path(), &["twins", "--max-probes", "1"], &["twins needs 2 probes, more than 1", "--max-probes 2"]);
}

#[test]
fn a_kernel_without_kprobes_and_a_program_are_refused() {
    let dir = kernel(&["-DNO_KPROBES"]);
    refused(dir.path(), &["take"], &["the kernel vmlinux has no kprobes", "CONFIG_KPROBES"]);
    tool(Path::new("objcopy"), &["--strip-symbol", "linux_banner", "vmlinux"], dir.path());
    refused(dir.path(), &["take"], &["neither a kernel nor a module", "--format gdb"]);
    assert_eq!(defined(dir.path(), &["take", "--format", "gdb"]).matches("break *").count(), 1);
    tool(Path::new("objcopy"), &["--strip-debug", "vmlinux"], dir.path());
    let output = probes(dir.path(), &["take", "--format", "gdb"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no debug information"), "{}", text(&output.stderr));
    tool(Path::new("strip"), &["vmlinux"], dir.path());
    let output = probes(dir.path(), &["take", "--format", "gdb"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no symbol table"), "{}", text(&output.stderr));
}

fn notes(id: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    // A note of another kind comes first, as a kernel's do.
    for (name, kind, data) in [(&b"Linux\0\0\0"[..], 0x101_u32, &[1, 2, 3, 4][..]), (b"GNU\0", 3, id)] {
        let len = if kind == 3 { 4 } else { 6 };
        for word in [len, data.len() as u32, kind] {
            note.extend(word.to_le_bytes());
        }
        note.extend(name);
        note.extend(data);
    }
    note
}

#[test]
fn another_build_is_refused() {
    let dir = kernel(&[]);
    fs_err::write(dir.path().join("same"), notes(&[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
    fs_err::write(dir.path().join("other"), notes(&[1, 2, 3, 4, 5, 6, 7, 9])).unwrap();
    assert!(defined(dir.path(), &["take", "--notes", "same"]).starts_with("p:"));
    refused(
        dir.path(),
        &["take", "--notes", "other"],
        &["another build than other", "0102030405060708", "0102030405060709"],
    );
    fs_err::write(dir.path().join("none"), b"\0\0\0\0").unwrap();
    let output = probes(dir.path(), &["take", "--notes", "none"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("none has no build ID"), "{}", text(&output.stderr));
}

// Base BTF with as much as sites need.
fn with_inline_btf(dir: &Path) {
    use crossmill::debuginfo::btf::{Builder, Endian, Kind};
    let mut base = Builder::new(None, Endian::Little, false);
    let name = base.string("long int");
    base.push(Kind::Int, name, false, 0, 8, &[1 << 24 | 64]);
    fs_err::write(dir.join("base.btf"), base.finish().unwrap()).unwrap();
    let generate = ["inline-btf", "generate", "vmlinux", "--base", "base.btf", "-o", "sites.btf"];
    crossmill(dir).args(generate).assert().success();
}

#[test]
fn sites_of_inline_btf_need_no_dwarf() {
    let dir = kernel(&[]);
    let dir = dir.path();
    with_inline_btf(dir);
    let args = ["take", "fixed", "both", "early", "--base", "base.btf"];
    let of_dwarf = defined(dir, &args);
    assert_eq!(of_dwarf.lines().count(), 4);
    assert_eq!(defined(dir, &[&args[..], &["--inline", "sites.btf"]].concat()), of_dwarf);
    // The same in a file without DWARF.
    tool(
        Path::new("objcopy"),
        &["--strip-debug", "--add-section", ".BTF=base.btf", "--add-section", ".BTF.inline=sites.btf", "vmlinux"],
        dir,
    );
    assert_eq!(defined(dir, &args[..4]), of_dwarf);
    let output = probes(dir, &["take", "--inline", "base.btf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("base.btf has no inline sites"), "{}", text(&output.stderr));
    let mut cut = fs_err::read(dir.join("sites.btf")).unwrap();
    cut.truncate(200);
    fs_err::write(dir.join("cut.btf"), cut).unwrap();
    let output = probes(dir, &["take", "--inline", "cut.btf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cut.btf is not inline BTF of vmlinux"), "{}", text(&output.stderr));
}

#[test]
fn the_running_kernel_needs_neither_file_nor_dwarf() {
    let dir = kernel(&[]);
    let dir = dir.path();
    with_inline_btf(dir);
    for name in ["root/sys/kernel/btf", "root/proc"] {
        fs_err::create_dir_all(dir.join(name)).unwrap();
    }
    let run = |args: &[&str]| {
        let all = [&["inline-btf", "probes", "--running", "--running-root", "root"], args].concat();
        crossmill(dir).args(all).output().unwrap()
    };
    let output = run(&["take"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unsupported: the running kernel has no "), "{}", text(&output.stderr));
    fs_err::copy(dir.join("base.btf"), dir.join("root/sys/kernel/btf/vmlinux")).unwrap();
    fs_err::copy(dir.join("sites.btf"), dir.join("root/sys/kernel/btf/vmlinux.inline")).unwrap();
    // As under KASLR: everything moved.
    let listed = std::process::Command::new("nm").arg("vmlinux").current_dir(dir).output().unwrap();
    let mut kallsyms = String::new();
    for line in text(&listed.stdout).lines() {
        let (address, rest) = line.split_once(' ').unwrap();
        let address = u64::from_str_radix(address, 16).unwrap() + 0xffff_ffff_9000_0000;
        kallsyms.push_str(&format!("{address:x} {rest}\n"));
        if rest.ends_with(" _text") {
            kallsyms.push_str(&format!("{address:x} T _stext\n"));
        }
    }
    let hidden: String = kallsyms.lines().map(|line| format!("0 {}\n", line.split_once(' ').unwrap().1)).collect();
    fs_err::write(dir.join("root/proc/kallsyms"), hidden).unwrap();
    let output = run(&["take"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("kernel.kptr_restrict"), "{}", text(&output.stderr));
    fs_err::write(dir.join("root/proc/kallsyms"), &kallsyms).unwrap();
    let output = run(&["take", "fixed"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), defined(dir, &["take", "fixed"]));
    let without: String =
        kallsyms.lines().filter(|line| !line.contains("register_kprobe")).flat_map(|line| [line, "\n"]).collect();
    fs_err::write(dir.join("root/proc/kallsyms"), without).unwrap();
    let output = run(&["take"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("has no kprobes"), "{}", text(&output.stderr));
}

// gdb prints what record() then receives, for the numbers that run.c passes as constants and computes.
#[test]
fn gdb_prints_the_true_values() {
    if std::process::Command::new("gdb").arg("--version").output().is_err() {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "gdb is not installed");
        eprintln!("SKIPPED: gdb is not installed");
        return;
    }
    for optimisation in ["-O1", "-O2"] {
        let flags = [optimisation, "-g", "-no-pie", "-fcf-protection=none"];
        let (dir, _) = compile(Path::new("gcc"), "run.c", &flags);
        let args = ["inline-btf", "probes", "program", "numbers", "inner", "whole", "--format", "gdb", "--best-effort"];
        let output = crossmill(dir.path()).args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let script = text(&output.stdout)
            + "break record\ncommands\nsilent\nprintf \"record %ld %ld %ld\\n\", $rdi, $rsi, $rdx\ncontinue\nend\nrun\n";
        fs_err::write(dir.path().join("script"), script).unwrap();
        let gdb = ["-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", "script", "program"];
        let output = std::process::Command::new("gdb").args(gdb).current_dir(dir.path()).output().unwrap();
        let (shown, mut compared) = (text(&output.stdout), 0);
        let number = |word: &str| match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap().cast_signed(),
            None => word.parse().unwrap(),
        };
        // Those of each function's last call, until record() gets them.
        let mut said: BTreeMap<i64, Vec<(usize, i64)>> = BTreeMap::new();
        for line in shown.lines() {
            let (name, values) = line.split_once(' ').unwrap_or((line, ""));
            let functions = [("numbers", 1), ("whole", 3), ("inner", 5)];
            let called = functions.iter().find(|(known, _)| name == *known || name.starts_with(&format!("{known}_")));
            if let Some((_, id)) = called {
                let values = values.split(' ').filter_map(|word| word.split_once('='));
                let place =
                    |name: &str| ["first", "second", "both_0", "both_1"].iter().position(|known| name == *known);
                let values = values.map(|(name, value)| (place(name).unwrap() % 2, number(value)));
                said.insert(*id, values.collect());
            } else if name == "record" {
                let values: Vec<i64> = values.split(' ').map(number).collect();
                for (index, value) in said.remove(&values[0]).unwrap_or_default() {
                    assert_eq!(value, values[1 + index], "{line}, {optimisation}\n{shown}");
                    compared += 1;
                }
            }
        }
        assert!(compared >= 12, "{compared} values with {optimisation}\n{shown}{}", text(&output.stderr));
    }
}

// The number of times that gdb stops at the probes of each function; main() calls it `expected` times.
#[test]
fn a_call_is_counted_once() {
    let flags = ["-O2", "-g", "-no-pie", "-fcf-protection=none"];
    let (dir, _) = compile(Path::new("gcc"), "own.c", &flags);
    let of = |name: &str, more: &[&str]| {
        let all = [&["inline-btf", "probes", "program", name, "--format", "gdb", "--best-effort"], more].concat();
        let output = crossmill(dir.path()).args(all).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    };
    let places = |name: &str| {
        let json: serde_json::Value = serde_json::from_slice(&of(name, &["--json"]).stdout).unwrap();
        let function = &json["functions"][0];
        let word = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap().to_owned();
        let probes = function["probes"].as_array().unwrap();
        let mut probes: Vec<String> =
            probes.iter().map(|probe| format!("{} {}", word(probe, "kind"), word(probe, "symbol"))).collect();
        probes.sort();
        let left_out = function["left_out"].as_array().unwrap().iter().map(|left| word(left, "why"));
        (probes, left_out.collect::<Vec<_>>())
    };
    // A GCC that splits none of them off would test nothing.
    let symbols = std::process::Command::new("nm").arg("program").current_dir(dir.path()).output().unwrap();
    assert!(text(&symbols.stdout).contains("split.part.0"), "{}", text(&symbols.stdout));
    assert_eq!(places("guarded"), (vec!["copy guarded".to_owned()], vec!["own-copy".to_owned()]));
    assert_eq!(places("split"), (vec!["copy split".to_owned(), "site inlines".to_owned()], vec![]));
    assert_eq!(places("twin"), (vec!["copy twin".to_owned(), "site inlines_twin".to_owned()], vec![]));
    assert_eq!(places("field"), (vec!["site fields".to_owned()], vec!["same-address".to_owned()]));
    // The arguments of a copy that DWARF does not describe are not known.
    let all = ["inline-btf", "probes", "program", "twin", "--format", "gdb"];
    let output = crossmill(dir.path()).args(all).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("refused: twin at twin+0x0: value: "), "{}", text(&output.stderr));
    // The report counts no part as a copy.
    let report = ["inline-btf", "report", "program", "--function", "split", "--json"];
    let output = crossmill(dir.path()).args(report).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let address = json["functions"][0]["copy_address"].as_str().unwrap().trim_start_matches("0x").to_owned();
    assert!(
        text(&symbols.stdout).contains(&format!("{address:0>16} T split\n")),
        "{address}\n{}",
        text(&symbols.stdout)
    );

    if std::process::Command::new("gdb").arg("--version").output().is_err() {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "gdb is not installed");
        eprintln!("SKIPPED: gdb is not installed");
        return;
    }
    for (name, expected) in [("guarded", 2), ("split", 2), ("twin", 2)] {
        fs_err::write(dir.path().join("script"), text(&of(name, &[]).stdout) + "run\n").unwrap();
        let gdb = ["-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", "script", "program"];
        let output = std::process::Command::new("gdb").args(gdb).current_dir(dir.path()).output().unwrap();
        let shown = text(&output.stdout);
        let stops = shown.lines().filter(|line| line.split([' ', '_']).next() == Some(name)).count();
        assert_eq!(stops, expected, "{name}: {shown}{}", text(&output.stderr));
    }
}
