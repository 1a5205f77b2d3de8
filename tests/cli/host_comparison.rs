//! Keys of two machines, and why they differ. A machine is a home directory with a compiler of its own, which
//! host-tools.toml locates there, and a C library's version.

use crate::support::schema::follows;
use crate::world::{Ran, World};
use std::os::unix::fs::PermissionsExt as _;

const TOOLS: &str = r#"
[tool.cc]
program = "cc-of-nobody"
locate = "ls $HOME/cc/gcc"
version-args = ["--version"]
identity = true
why = "compiles"
packages = { apt = ["gcc"] }
[tool.libc]
compile = "int main(void) { return 0; }"
identity-command = "echo glibc @LIBC@"
why = "is linked"
packages = { apt = ["libc6-dev"] }
[tool.make]
program = "make"
why = "makes"
packages = { apt = ["make"] }
[manager.apt]
program = "apt-get"
install = ["apt-get", "install", "-y"]
"#;

struct Machine<'a> {
    world: &'a World,
    name: &'a str,
}

impl<'a> Machine<'a> {
    /// A machine with this compiler, if one, and C library. Its recipes are those of the world.
    fn new(world: &'a World, name: &'a str, cc: Option<&str>, libc: &str) -> Self {
        if let Some(version) = cc {
            let program = format!("{name}/cc/gcc");
            world.write(&program, &format!("#!/bin/sh\necho 'gcc (Debian {version}) {version}'\necho 'Copyright'\n"));
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(world.path(&program), mode).unwrap();
        }
        fs_err::create_dir_all(world.path(name)).unwrap();
        for file in ["targets.toml", "recipes/lib.toml", "recipes/tool.toml", "recipes/kernel.toml"] {
            let text = fs_err::read_to_string(world.path(&format!("data/{file}"))).unwrap();
            world.write(&format!("{name}/data/{file}"), &text);
        }
        world.write(&format!("{name}/data/recipes/host-tools.toml"), &TOOLS.replace("@LIBC@", libc));
        let recipe = format!("{name}/data/recipes/tool.toml");
        world.edit(&recipe, "tools = [\"cc\", \"make\"]", "tools = [\"libc\", \"make\"]");
        Self { world, name }
    }

    fn plan(&self, args: &[&str]) -> Ran {
        let mut command = self.world.command(&[&["plan"], args].concat());
        command.env("HOME", self.world.path(self.name)).env("CROSSMILL_DATA", self.world.path(self.name).join("data"));
        command.env("CROSSMILL_STORE", self.world.path(self.name).join("store"));
        self.world.ran(command)
    }

    /// Writes what the other machine is given.
    fn export(&self, args: &[&str]) -> String {
        let mut command = self.world.command(&[&["plan", "--export-host"], args].concat());
        command.env("HOME", self.world.path(self.name)).env("CROSSMILL_DATA", self.world.path(self.name).join("data"));
        command.env("CROSSMILL_STORE", self.world.path(self.name).join("store"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = format!("{}.json", self.name);
        fs_err::write(self.world.path(&file), &output.stdout).unwrap();
        file
    }
}

fn parsed(world: &World, file: &str) -> serde_json::Value {
    serde_json::from_slice(&fs_err::read(world.path(file)).unwrap()).unwrap()
}

#[test]
fn machines_of_one_image_have_the_same_keys_wherever_their_tools_are() {
    let world = World::new();
    let one = Machine::new(&world, "one", Some("12.2.0"), "2.36");
    let two = Machine::new(&world, "two/elsewhere", Some("12.2.0"), "2.36");
    let file = one.export(&["alpha", "gamma"]);
    let export = parsed(&world, &file);
    follows("plan-export-host", &export);
    assert_eq!(export["host"]["tools"]["cc"], "gcc (Debian 12.2.0) 12.2.0");
    let text = fs_err::read_to_string(world.path(&file)).unwrap();
    assert!(!text.contains(&world.path("").display().to_string()), "a path of the machine is in it: {text}");
    let ran = two.plan(&["alpha", "gamma", "--explain-host", &file]).ok();
    insta::assert_snapshot!(ran.out, @"nothing of the host differs: all 11 keys are equal");
    // A machine that has the sources compares with one that has not.
    let mut fetch = world.command(&["fetch", "alpha", "gamma"]);
    fetch.env("CROSSMILL_STORE", world.path("two/elsewhere/store"));
    world.ran(fetch).ok();
    let ran = two.plan(&["alpha", "gamma", "--explain-host", &file, "--json"]).ok();
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    follows("plan-explain-host", &value);
    assert_eq!((&value["equal"], &value["stages_compared"]), (&true.into(), &11.into()), "{value:#}");
}

#[test]
fn another_compiler_another_c_library_and_a_missing_tool_are_named_with_their_stages() {
    let world = World::new();
    let here = Machine::new(&world, "here", Some("12.2.0"), "2.36");
    let explain = |other: &Machine<'_>| {
        let file = other.export(&["alpha", "gamma"]);
        let ran = here.plan(&["alpha", "gamma", "--explain-host", &file]);
        assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
        ran.out
    };
    let mut all = String::new();
    let others = [
        ("gcc14", Some("14.2.0"), "2.36"),
        ("glibc", Some("12.2.0"), "2.41"),
        ("bare", None, "2.36"),
        ("new", Some("14.2.0"), "2.41"),
    ];
    for (name, cc, libc) in others {
        all += &format!("== {name}\n{}", explain(&Machine::new(&world, name, cc, libc)));
        all.push('\n');
    }
    // What concerns no stage of the request changes no key.
    let file = Machine::new(&world, "other", Some("12.2.0"), "2.41").export(&["alpha", "--package", "lib"]);
    let ran = here.plan(&["alpha", "--package", "lib", "--explain-host", &file]).ok();
    insta::assert_snapshot!("machines_that_differ", format!("{all}== concerns no stage\n{}", ran.out));
}

#[test]
fn what_is_not_the_host_is_not_blamed_on_it() {
    let world = World::new();
    let one = Machine::new(&world, "one", Some("12.2.0"), "2.36");
    let two = Machine::new(&world, "two", Some("12.2.0"), "2.36");
    world.edit("two/data/targets.toml", "--with-gamma", "--with-delta");
    let file = two.export(&["alpha", "gamma"]);
    let ran = one.plan(&["alpha", "gamma", "--explain-host", &file]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let lib = one.plan(&["alpha", "--package", "lib", "--explain-host", &file]).ok();
    insta::assert_snapshot!("machines_with_other_recipes", format!("{}\n== lib alone\n{}", ran.out, lib.out));
    // An architecture is no tool.
    let mut export = parsed(&world, &one.export(&["alpha"]));
    export["host"]["arch"] = "aarch64".into();
    world.write("arm.json", &export.to_string());
    let ran = one.plan(&["alpha", "--explain-host", "arm.json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.out.contains("architecture: here `") && ran.out.contains("there `aarch64`"), "{}", ran.out);
}

#[test]
fn a_file_that_is_no_export_is_refused() {
    let world = World::new();
    let here = Machine::new(&world, "here", Some("12.2.0"), "2.36");
    let file = here.export(&["alpha"]);
    let whole = fs_err::read_to_string(world.path(&file)).unwrap();
    let export = parsed(&world, &file);
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut export = export.clone();
        change(&mut export);
        export.to_string()
    };
    let refused = |text: &str| {
        world.write("other.json", text);
        let ran = here.plan(&["alpha", "--explain-host", "other.json"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        ran.err
    };
    let messages = [
        refused(""),
        // In the middle of the first stage, wherever that is.
        refused(&whole[..whole.find("\"stages\"").unwrap() + 40]),
        refused("[1]"),
        refused(&changed(&|it| it["schema"] = 0.into())),
        refused(&changed(&|it| it["schema"] = 2.into())),
        refused(&changed(&|it| it["stages"][0]["key"] = "12".into())),
        refused(&changed(&|it| it["stages"][0]["stage"] = "../..".into())),
        refused(&changed(&|it| it["host"]["colour"] = "red".into())),
        refused(&changed(&|it| it["stages"] = serde_json::json!([]))),
    ];
    insta::assert_snapshot!("no_export_of_a_machine", messages.join("\n"));
    let ran = here.plan(&["alpha", "--explain-host", "nowhere.json"]);
    assert!(ran.code == Some(2) && ran.err.contains("nowhere.json"), "{}", ran.err);
    // Nothing of a file reaches the terminal as it is.
    let evil = changed(&|it| it["host"]["tools"]["cc"] = "\u{1b}[2J gcc".into());
    world.write("evil.json", &evil);
    let ran = here.plan(&["alpha", "--explain-host", "evil.json"]);
    assert!(ran.code == Some(1) && !ran.out.contains('\u{1b}'), "{}", ran.out);
}
