//! `.BTF.ext` of real BPF objects.

use crate::{crossmill, err, fixture, out};
use std::path::Path;
use std::process::{Command, Output};

// Without headers of libbpf: as much of them as CO-RE needs.
const PROGRAM: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define preserve __attribute__((preserve_access_index))
typedef unsigned long long u64;
enum state { IDLE, BUSY };
struct inner { int first; int second[4]; } preserve;
struct task { struct inner inner; enum state state; unsigned flag : 3; } preserve;
static long (*read)(void *to, unsigned size, const void *from) = (void *)113;
char _license[] SEC("license") = "GPL";
static __attribute__((noinline)) int helper(struct task *task)
{
	int value = 0;
	read(&value, sizeof value, &task->inner.second[2]);
	return value + __builtin_preserve_field_info(task->flag, 0);
}
SEC("kprobe/one") int one(void *ctx)
{
	struct task *task = *(struct task **)ctx;
	return helper(task) + __builtin_preserve_enum_value(*(enum state *)BUSY, 1);
}
SEC("kprobe/two") int two(void *ctx)
{
	return __builtin_preserve_type_info(*(struct task *)0, 0) + helper(*(struct task **)ctx);
}
"#;

fn object(dir: &Path, order: &str) -> Option<()> {
    fs_err::write(dir.join("prog.c"), PROGRAM).unwrap();
    let target = format!("--target={order}");
    let clang = Command::new("clang").args([&target, "-g", "-O2", "-c", "prog.c"]).current_dir(dir).output();
    let Ok(clang) = clang else {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "every test is to run, but clang is not installed");
        eprintln!("SKIPPED: clang is not installed");
        return None;
    };
    assert!(clang.status.success(), "{}", String::from_utf8_lossy(&clang.stderr));
    Some(())
}

fn check(dir: &Path, args: &[&str]) -> Output {
    crossmill().args(["btf", "check", "prog.o"]).args(args).current_dir(dir).output().unwrap()
}

#[test]
fn a_bpf_object_is_checked_with_its_records() {
    for order in ["bpfel", "bpfeb"] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let Some(()) = object(dir, order) else { return };
        let checked = check(dir, &["--json"]);
        assert_eq!(checked.status.code(), Some(0), "{order}: {}{}", out(&checked), err(&checked));
        let json: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        let ext = &json["files"][0]["sections"][1];
        assert_eq!((&ext["name"], &ext["readable"], &ext["functions"]), (&".BTF.ext".into(), &true.into(), &3.into()));
        assert!(ext["lines"].as_u64() > Some(5) && ext["relocations"].as_u64() >= Some(4), "{ext}");
        let shown = out(&check(dir, &[]));
        assert!(shown.contains("prog.o .BTF.ext: valid; 3 functions, "), "{shown}");

        // A function that is none, and a member that does not exist.
        let mut bytes = fs_err::read(dir.join("prog.o")).unwrap();
        let word = |number: u32| if order == "bpfel" { number.to_le_bytes() } else { number.to_be_bytes() };
        let magic = if order == "bpfel" { [0x9f, 0xeb, 1, 0] } else { [0xeb, 0x9f, 1, 0] };
        let header = [magic, word(32), word(0)].concat();
        let start = bytes.windows(12).rposition(|part| part == header).unwrap();
        // After the header, the record size, a section's name and count.
        let record = start + 32 + 12;
        bytes[record + 4..record + 8].copy_from_slice(&word(1));
        fs_err::write(dir.join("prog.o"), bytes).unwrap();
        let checked = check(dir, &[]);
        assert_eq!(checked.status.code(), Some(1), "{}", out(&checked));
        assert!(
            out(&checked).contains("error[BT097]") && out(&checked).contains("type 1 is no FUNC"),
            "{}",
            out(&checked)
        );
    }
}

#[test]
fn a_kernel_file_has_no_records() {
    let output = crossmill().args(["btf", "check", "--json"]).arg(fixture("program.btf")).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["files"][0]["ext_bytes"], serde_json::Value::Null);
    assert_eq!(json["files"][0]["sections"].as_array().unwrap().len(), 1);
}
