use super::*;
use crate::process::Tool;
use std::collections::BTreeMap;
use std::io::empty;

/// A machine with the given programs and their output.
#[derive(Default)]
struct Fake {
    programs: BTreeMap<&'static str, &'static str>,
    headers: Vec<&'static str>,
    located: BTreeMap<&'static str, &'static str>,
    root: bool,
}

impl Host for Fake {
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.programs.contains_key(name).then(|| PathBuf::from("/usr/bin").join(name))
    }

    fn locate(&self, command: &str) -> Option<PathBuf> {
        self.located.get(command).map(PathBuf::from)
    }

    fn run(&self, argv: &[String]) -> Result<String, String> {
        let name = argv[0].rsplit('/').next().unwrap();
        match self.programs[name] {
            "" => Err("cannot execute: exec format error".to_owned()),
            output => Ok(output.to_owned()),
        }
    }

    fn compile(&self, source: &str, _: &[String]) -> Result<(), String> {
        if self.headers.iter().any(|header| source.contains(header)) {
            return Ok(());
        }
        Err("t.c: In function 'main':\nt.c:1:10: fatal error: libelf.h: No such file or directory".to_owned())
    }

    fn is_root(&self) -> bool {
        self.root
    }
}

/// The machine the test runs on.
struct Real;

impl Host for Real {
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    }

    fn locate(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn run(&self, argv: &[String]) -> Result<String, String> {
        let output = Tool::new(&argv[0]).args(&argv[1..]).run(empty()).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn compile(&self, source: &str, link: &[String]) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t.c");
        fs_err::write(&file, source).unwrap();
        let output = Tool::new("gcc").arg(&file).arg("-o").arg(dir.path().join("t")).args(link).run(empty()).unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    fn is_root(&self) -> bool {
        true
    }
}

fn parse(text: &str) -> HostTools {
    let file = crate::config::file::SourceFile::from_text(Path::new("host-tools.toml"), text.to_owned());
    HostTools::parse(&file, &HostTools::default()).unwrap()
}

fn tools() -> HostTools {
    let text = r##"
        [tool.cc]
        program = "gcc"
        version-args = ["--version"]
        minimum = "5.4"
        identity = true
        why = "compiles"
        packages = { apt = ["gcc", "libc6-dev"], apk = ["gcc", "musl-dev"] }
        [tool.awk]
        any-of = ["gawk", "mawk"]
        why = "makes tables"
        packages = { apt = ["gawk"], apk = ["gawk"] }
        [tool.libelf]
        compile = "#include <libelf.h>\nint main(void) { return 0; }"
        link = ["-lelf"]
        why = "reads ELF"
        packages = { apt = ["libelf-dev", "libc6-dev"], apk = ["elfutils-dev"] }
        [manager.apt]
        program = "apt-get"
        install = ["apt-get", "install", "-y"]
        [manager.apk]
        program = "apk"
        install = ["apk", "add"]
    "##;
    parse(text)
}

const GCC: &str = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022";

fn needs() -> Vec<String> {
    ["cc", "awk", "libelf"].map(str::to_owned).into()
}

#[test]
fn a_machine_with_everything_needs_nothing() {
    let programs = BTreeMap::from([("gcc", GCC), ("mawk", ""), ("apt-get", "")]);
    let host = Fake { programs, headers: vec!["libelf.h"], ..Fake::default() };
    let host_report = examine(&tools(), &needs(), &host);
    assert!(host_report.is_good(), "{host_report:?}");
    assert_eq!(host_report.install, None);
    let version = Some("12.2.0".to_owned());
    let path = Some(PathBuf::from("/usr/bin/gcc"));
    assert_eq!(host_report.tools[0].status, ToolState::Found { path, version });
    assert_eq!(identity(&tools(), &host), [("cc".to_owned(), "gcc (Debian 12.2.0-14+deb12u1) 12.2.0".to_owned())]);
}

#[test]
fn one_command_installs_all_that_is_missing() {
    let host = Fake { programs: BTreeMap::from([("apt-get", "")]), ..Fake::default() };
    let host_report = examine(&tools(), &needs(), &host);
    let command = host_report.install.unwrap().join(" ");
    assert_eq!(command, "sudo apt-get install -y gcc libc6-dev gawk libelf-dev");
    assert_eq!(host_report.tools[1].status, ToolState::Missing { why: "no gawk or mawk on PATH".to_owned() });
    let ToolState::Missing { why } = &host_report.tools[2].status else { panic!("{:?}", host_report.tools) };
    assert_eq!(why, "t.c:1:10: fatal error: libelf.h: No such file or directory");
}

#[test]
fn the_packages_are_those_of_the_manager_found() {
    let programs = BTreeMap::from([("apk", ""), ("gcc", GCC)]);
    let host = Fake { programs, root: true, ..Fake::default() };
    let command = examine(&tools(), &needs(), &host).install.unwrap().join(" ");
    assert_eq!(command, "apk add gawk elfutils-dev");
}

#[test]
fn without_a_known_manager_there_is_no_command() {
    let host_report = examine(&tools(), &needs(), &Fake::default());
    assert!(!host_report.is_good());
    assert_eq!((host_report.manager, host_report.install), (None, None));
}

#[test]
fn only_what_is_needed_is_examined() {
    let two = ["awk", "cc"].map(str::to_owned);
    let names: Vec<_> = examine(&tools(), &two, &Fake::default()).tools.into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["cc", "awk"]);
}

#[test]
fn an_old_and_a_broken_program_are_told_apart() {
    let with = |output| {
        let host = Fake { programs: BTreeMap::from([("gcc", output)]), ..Fake::default() };
        examine(&tools(), &needs(), &host).tools.swap_remove(0).status
    };
    assert!(matches!(with("gcc (GCC) 4.8.5 20150623"), ToolState::TooOld { version, .. } if version == "4.8.5"));
    assert!(matches!(with(""), ToolState::Broken { why, .. } if why.contains("cannot execute")));
    assert!(matches!(with("hello"), ToolState::Broken { why, .. } if why.contains("no version")));
}

#[test]
fn a_located_program_comes_before_one_on_the_path() {
    let text = "[tool.x]\nprogram = \"x\"\nlocate = \"where x\"\nversion-args = [\"-V\"]\nminimum = \"2.0\"\n\
                identity = true\nwhy = \"w\"\npackages = {}\n[manager.apt]\nprogram = \"apt\"\ninstall = []\n";
    let tools = parse(text);
    let (needs, at) = (["x".to_owned()], "/home/user/toolchain/bin/x");
    let located = BTreeMap::from([("where x", at)]);
    let host = Fake { programs: BTreeMap::from([("x", "x 2.1")]), located, ..Fake::default() };
    let found = ToolState::Found { path: Some(at.into()), version: Some("2.1".to_owned()) };
    assert_eq!(examine(&tools, &needs, &host).tools[0].status, found);
    assert_eq!(places(&tools, &needs, &host), BTreeMap::from([("x".to_owned(), "/home/user/toolchain/bin".into())]));
    assert_eq!(identity(&tools, &host), [("x".to_owned(), "x 2.1".to_owned())]);
    // Nobody needs it, or nothing is located: nothing is added to anybody's PATH.
    assert!(places(&tools, &[], &host).is_empty());
    let host = Fake { programs: BTreeMap::from([("x", "x 2.1")]), ..Fake::default() };
    assert!(places(&tools, &needs, &host).is_empty());
    assert!(examine(&tools, &needs, &host).is_good());
}

#[test]
fn versions_are_read_as_programs_print_them() {
    for (output, version) in [
        (GCC, "12.2.0"),
        ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu", "4.3"),
        ("GNU ld (GNU Binutils for Debian) 2.40", "2.40"),
        ("GNU ld version 2.35.2-42.el9", "2.35.2"),
        ("bison (GNU Bison) 3.8.2", "3.8.2"),
        ("flex 2.6.4", "2.6.4"),
        ("v1.24", "1.24"),
        ("Python 3.11.2", "3.11.2"),
        ("\nThis is perl 5, version 36, subversion 0 (v5.36.0) built for x86_64", "5.36.0"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "7.2.22"),
        ("rsync  version 3.2.7  protocol version 31", "3.2.7"),
        ("xz (XZ Utils) 5.4.1\nliblzma 5.4.1", "5.4.1"),
        ("gcc (Ubuntu 13.2.0-23ubuntu4) 13.2.0", "13.2.0"),
        ("gcc (GCC) 14.2.1 20250110 (Red Hat 14.2.1-7)", "14.2.1"),
        ("clang version 19.1.7 (++20250114103320)", "19.1.7"),
    ] {
        assert_eq!(version_in(output).map(|version| version.to_string()).as_deref(), Some(version), "{output}");
    }
    assert_eq!(version_in("no number"), None);
}

#[test]
fn the_compiler_of_this_machine_is_found() {
    let text = include_str!("../../recipes/host-tools.toml");
    let tools = parse(text);
    let host_report = examine(&tools, &["cc", "libc-headers", "make", "ld"].map(str::to_owned), &Real);
    for name in ["cc", "libc-headers", "make", "ld"] {
        let tool = host_report.tools.iter().find(|tool| tool.name == name).unwrap();
        assert!(tool.is_good(), "{tool:?}");
    }
    assert!(identity(&tools, &Real).iter().all(|(_, line)| version_in(line).is_some()));
}
