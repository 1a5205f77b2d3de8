//! A small matrix of its own: three targets, a host library, a tool and a
//! "kernel", all built from one tiny package whose configure and make are real
//! shell and GNU make. Each step appends a word to `count`, so that a test sees
//! what really ran.

use crate::support::http::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Waits until `holds`; fails after a minute, since a test that waits for ever takes all of a CI job's time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct World {
    dir: tempfile::TempDir,
    pub server: Server,
}

const TARGETS: &str = r#"
schema = 1
[environment]
PATH = "/usr/local/bin:/usr/bin:/bin"
LC_ALL = "C"
[defaults]
profile = "quick"
release-set = "now"
packages = ["kernel"]
[setting.level]
summary = "how much the tool prints"
default = "one"
choices = ["one", "two"]
[profile.quick]
summary = "for tests"
[release-set.now]
summary = "for tests"
versions = { lib = "1.0", tool = "1.0", kernel = "1.0" }
[target.alpha]
tier = "primary"
triple = "alpha-tiny"
arch = "alpha"
[target.beta]
tier = "primary"
triple = "alpha-tiny"
toolchain = "alpha"
arch = "beta"
[target.gamma]
tier = "secondary"
triple = "gamma-tiny"
arch = "gamma"
[[target.gamma.options.tool]]
add = ["--with-gamma"]
why = "a test wants it"
[[target.gamma.requires]]
package = "tool"
versions = "<2"
why = "the port was removed in 2"
[not-built.vax]
why = "nobody has one"
last = { tool = "0.9" }
"#;

const RECIPE: &str = r#"
schema = 1
name = "@NAME@"
summary = "tiny"
per = "@PER@"
tools = ["cc", "make"]
@NEEDS@
[[version]]
version = "1.0"
[[version.source]]
url = "@BASE@/tiny-1.0.tar.xz"
sha256 = "@SHA@"
[[step]]
name = "configure"
run = [
  "sh", "../source/configure", "@COUNT@", "@LABEL@",
  "--level={{ set.level }}",
]
target-options = true
[[step]]
name = "build"
run = ["make"]
interrupted = "continue"
[[step]]
name = "install"
run = ["make", "install", "DESTDIR={{ dest }}"]
interrupted = "redo"
[access]
write = ["@COUNT@"]
[result]
files = ["share/@NAME@"]
[cost]
time = "5s"
build = "1 MiB"
result = "1 MiB"
"#;

const HOST_TOOLS: &str = r#"
[tool.cc]
program = "cc"
version-args = ["--version"]
identity = true
why = "compiles"
packages = { apt = ["gcc"], apk = ["gcc"] }
[tool.make]
program = "make"
why = "makes"
packages = { apt = ["make"], apk = ["make"] }
[manager.apt]
program = "apt-get"
install = ["apt-get", "install", "-y"]
[manager.apk]
program = "apk"
install = ["apk", "add"]
"#;

// Writes a Makefile of six objects that take a moment each, so that there is
// something to interrupt.
const CONFIGURE: &str = r##"#!/bin/sh
set -eu
count=$1 label=$2
shift 2
echo "$label configure" >> "$count"
echo "checking for $label... yes"
printf '%s\n' "$@" > options
cat > Makefile <<END
DELAY = 0.02
objects = one.o two.o three.o four.o five.o six.o
all: start \$(objects)
start:
	@echo "$label build" >> $count
%.o:
	@sleep \$(DELAY)
	@echo "  CC      \$@"
	@echo object > \$@
install: all
	@echo "$label install" >> $count
	@mkdir -p \$(DESTDIR)/share \$(DESTDIR)/bin
	@cat options \$(objects) > \$(DESTDIR)/share/${label##*/}
.PHONY: all start install
END
"##;

impl World {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("crossmill-test-").tempdir().unwrap();
        let server = Server::start();
        let world = Self { dir, server };
        let archive = archive();
        let sha = crossmill::base::Sha256::of(&archive).to_string();
        world.server.file("/tiny-1.0.tar.xz", &archive);
        world.write("data/targets.toml", TARGETS);
        world.write("data/recipes/host-tools.toml", HOST_TOOLS);
        world.recipe("lib", "host", "", &sha);
        world.recipe("tool", "toolchain", "[[needs]]\npackage = \"lib\"\npath = [\"sbin\"]", &sha);
        world.recipe("kernel", "target", "[[needs]]\npackage = \"tool\"\npath = [\"bin\"]", &sha);
        fs_err::write(world.path("count"), "").unwrap();
        fs_err::create_dir_all(world.path("home")).unwrap();
        world
    }

    fn recipe(&self, name: &str, per: &str, needs: &str, sha: &str) {
        let label = match per {
            "host" => format!("host/{name}"),
            "toolchain" => format!("{{{{ toolchain.name }}}}/{name}"),
            _ => format!("{{{{ target.name }}}}/{name}"),
        };
        let text = RECIPE
            .replace("@NAME@", name)
            .replace("@PER@", per)
            .replace("@NEEDS@", needs)
            .replace("@BASE@", &self.server.base)
            .replace("@SHA@", sha)
            .replace("@LABEL@", &label)
            .replace("@COUNT@", &self.path("count").display().to_string());
        self.write(&format!("data/recipes/{name}.toml"), &text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Replaces text in a file of the world; it must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs_err::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossmill"));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("CROSSMILL_STORE", self.store())
            .env("CROSSMILL_DATA", self.path("data"))
            // Must not reach any step.
            .env("CFLAGS", "-leaked")
            .env("MAKEFLAGS", "-leaked")
            .current_dir(self.dir.path());
        command
    }

    /// Makes the whole world another user's.
    pub fn give_to(&self, user: u32) {
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(path) = dirs.pop() {
            std::os::unix::fs::lchown(&path, Some(user), Some(user)).unwrap();
            if path.is_dir() && !path.is_symlink() {
                dirs.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self, self.command(args).output().unwrap())
    }

    /// Runs a command that was changed.
    pub fn ran(&self, mut command: Command) -> Ran {
        Ran::new(self, command.output().unwrap())
    }

    /// What a command printed that was started in the background.
    pub fn ended(&self, output: Output) -> Ran {
        Ran::new(self, output)
    }

    /// The words that steps left, and how often each.
    pub fn count(&self, what: &str) -> usize {
        fs_err::read_to_string(self.path("count")).unwrap().lines().filter(|line| *line == what).count()
    }

    pub fn counts(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            fs_err::read_to_string(self.path("count")).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    pub fn forget_counts(&self) {
        fs_err::write(self.path("count"), "").unwrap();
    }

    pub fn entries(&self, dir: &str) -> Vec<PathBuf> {
        let entries = fs_err::read_dir(self.store().join(dir)).into_iter().flatten();
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }

    /// A stage's entry, by the name in its record.
    pub fn entry(&self, name: &str) -> PathBuf {
        let named = |dir: &Path| {
            fs_err::read_to_string(dir.join("stage.json")).unwrap().contains(&format!("\"name\": \"{name}\""))
        };
        self.entries("stages").into_iter().find(|dir| named(dir)).unwrap()
    }

    fn normal(&self, text: &str) -> String {
        let text = text.replace(&self.dir.path().display().to_string(), "[DIR]").replace(&self.server.base, "[SERVER]");
        // Keys, process ids and times differ from run to run.
        let mut lines = Vec::new();
        for line in text.lines() {
            let line: String = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
                Some((stamp, rest)) if stamp.trim().starts_with(|c: char| c.is_ascii_digit()) => {
                    format!("[TIME] {rest}")
                }
                _ => line.to_owned(),
            };
            lines.push(hide_hashes(&line));
        }
        lines.join("\n")
    }
}

fn hide_hashes(line: &str) -> String {
    let mut shown = String::new();
    let mut run = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            run.push(c);
            continue;
        }
        shown += if run.len() == 64 { "[HASH]" } else { &run };
        run.clear();
        shown.push(c);
    }
    shown.pop();
    shown
}

pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(world: &World, output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: world.normal(&String::from_utf8_lossy(&output.stdout)),
            err: world.normal(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }

    /// The exit code and the message, for a snapshot.
    pub fn message(&self) -> String {
        format!("exit {}\n{}", self.code.unwrap_or(-1), self.err)
    }

    /// From the first line that begins an error on; what came before is progress.
    pub fn error(&self) -> String {
        let at = self.err.find("error: ").unwrap_or(0);
        format!("exit {}\n{}", self.code.unwrap_or(-1), &self.err[at..])
    }
}

/// `tiny-1.0.tar.xz`
pub fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(xz2::write::XzEncoder::new(Vec::new(), 1));
    let mut header = tar::Header::new_gnu();
    header.set_size(CONFIGURE.len() as u64);
    header.set_mode(0o755);
    header.set_mtime(1);
    tar.append_data(&mut header, "tiny-1.0/configure", CONFIGURE.as_bytes()).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}
