//! `crossmill reduce`: the source of a compiler crash becomes small. The compiler is a script that crashes on a construct,
//! and the reducer one that removes one line after the other: the real one takes minutes.

use crate::world::World;
use std::os::unix::fs::PermissionsExt as _;

const REDUCER: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo 'cvise 2.0'; exit; }
shift 2
test=$1 file=$2
line=$(wc -l < $file)
while [ $line -gt 0 ]; do
  cp $file saved
  sed -i "${line}d" $file
  "$test" || cp saved $file
  line=$((line - 1))
done
"#;

// Crashes on the one line, and refuses a source without the other.
const COMPILER: &str = r#"#!/bin/sh
for word do source=$word; done
case "$*" in *' -E '*) exec gcc "$@" ;; esac
case "$*" in
*' -x cpp-output '*) case "$*" in *' -I'* | *original.c*) echo 'fake: error: arguments of the original'; exit 1 ;; esac ;;
*) source=original.c ;;
esac
grep -q 'needed' "$source" || { echo 'fake: error: no declaration'; exit 1; }
grep -q 'crash_here' "$source" && { echo "$source:9:1: internal compiler error: in fold, at fold.cc:7"; exit 1; }
exit 0
"#;

fn world(with_reducer: bool) -> World {
    let world = World::new();
    let script = |name: &str, text: &str| {
        world.write(name, text);
        fs_err::set_permissions(world.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("bin/fake-gcc", COMPILER);
    if with_reducer {
        script("bin/cvise", REDUCER);
    }
    let bin = world.path("bin");
    world.edit("data/targets.toml", "PATH = \"", &format!("PATH = \"{}:", bin.display()));
    let tool = if with_reducer { "cvise" } else { "no-such-program" };
    let tools = fs_err::read_to_string(world.path("data/recipes/host-tools.toml")).unwrap();
    let cvise = format!(
        "[tool.cvise]\nprogram = \"{tool}\"\nwhy = \"reduces\"\npackages = {{ apt = [\"cvise\"] }}\n[manager.apt]"
    );
    world.write("data/recipes/host-tools.toml", &tools.replacen("[manager.apt]", &cvise, 1));
    let mut source = String::new();
    for number in 0..40 {
        source += &format!("int unused_{number};\\\\n");
    }
    let step = format!(
        "script = \"printf 'int needed;\\\\n{source}int crash_here = ANSWER;\\\\nint last;\\\\n' > original.c; mkdir -p include; \
         printf 'x.o: original.c\\\\n\\\\t{}/fake-gcc -I include -DANSWER=42 -c original.c -o x.o\\\\n' > Crash; make -f Crash\"",
        bin.display()
    );
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", &step);
    assert_eq!(world.run(&["build", "alpha"]).code, Some(1));
    world
}

#[test]
fn the_source_of_a_crash_is_reduced_to_what_the_compiler_needs() {
    let world = world(true);
    let ran = world.run(&["reduce", "alpha/tool", "-j", "2"]).ok();
    assert!(ran.out.starts_with("crash: internal compiler error: in fold, at fold.cc:7\nreduced: "), "{}", ran.out);
    let logs =
        world.entries("work").iter().map(|work| work.join("logs")).find(|logs| logs.join("compiler-crash.i").exists());
    let text = fs_err::read_to_string(logs.unwrap().join("compiler-crash.reduced.i")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(lines.len() <= 2 && text.contains("needed") && text.contains("crash_here"), "{text}");
    assert!(!text.contains("unused"), "{text}");
}

#[test]
fn what_cannot_be_reduced_is_explained() {
    let world = world(false);
    let missing = world.run(&["reduce", "alpha/tool"]);
    assert_eq!(missing.code, Some(3));
    assert!(missing.err.starts_with("error: `cvise` is not installed\nhint: install it: `"), "{}", missing.err);
    assert!(missing.err.contains("apt-get install -y cvise`"), "{}", missing.err);
    let unknown = world.run(&["reduce", "alpha/tol"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("alpha/tool"), "{}", unknown.err);
    let without = self::world(true);
    without.run(&["build", "alpha", "--package", "lib"]).ok();
    let none = without.run(&["reduce", "host/lib"]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.starts_with("error: `host/lib` has no evidence of a compiler crash\nhint: "), "{}", none.err);
    // A compiler that was repaired does not crash.
    without.write("bin/fake-gcc", "#!/bin/sh\nexit 0\n");
    let repaired = without.run(&["reduce", "alpha/tool"]);
    assert_eq!(repaired.code, Some(1));
    assert!(repaired.err.contains("the compiler does not crash on `"), "{}", repaired.err);
}
