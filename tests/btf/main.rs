//! BTF as a person meets it: the program on real files, held against bpftool.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../../fuzz/bodies/btf.rs"]
mod body;
mod cli;
mod corpus;
mod dump;
mod ext;
mod header;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf").join(name)
}

fn crossmill() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossmill"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").current_dir(fixture(""));
    command
}

fn run(args: &[&str]) -> Output {
    crossmill().args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
