//! Reading, validating and cross-checking a kernel's SFrame data, beside
//! `readelf --sframe` of the same file, in one run and as ratios.
//!
//! ```text
//! cargo bench --bench sframe -- VMLINUX [READELF]
//! ```
//!
//! Without a file a fixture is measured, which only shows that the benchmark
//! works. READELF must be one that prints the version of the file.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]

use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::sframe::compare::examine;
use crossmill::debuginfo::sframe::{Addressing, Tables};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

// The least of several rounds: what else the machine does only adds.
fn least(mut work: impl FnMut()) -> Duration {
    let once = |work: &mut dyn FnMut()| {
        let since = Instant::now();
        work();
        since.elapsed()
    };
    (0..ROUNDS).map(|_| once(&mut work)).min().unwrap()
}

fn rows(bytes: &[u8]) -> u64 {
    let elf = Elf::parse(bytes).unwrap();
    let mut rows = 0;
    for section in elf.sections().iter().filter(|section| section.name.ends_with(".sframe")) {
        let data = elf.data(section).unwrap();
        let addressing = Addressing { address: section.address, relocatable: elf.is_relocatable() };
        for (_, table) in Tables::new(&data.bytes, addressing) {
            let table = table.unwrap();
            for entry in table.entries() {
                let entry = entry.unwrap();
                for fre in table.fres(&entry) {
                    black_box(table.decode(&entry, &fre.unwrap()));
                    rows += 1;
                }
            }
        }
    }
    rows
}

fn command(program: &str, args: &[&str]) -> Option<Duration> {
    let mut run = Command::new(program);
    run.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    // Findings are exit code 1.
    run.status().ok().filter(|status| matches!(status.code(), Some(0 | 1)))?;
    Some(least(|| {
        run.status().unwrap();
    }))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sframe/amd64-v1.so");
    let file = args.first().map_or(fixture, String::as_str);
    let readelf = args.get(1).map_or("readelf", String::as_str);
    let bytes = fs_err::read(file).unwrap();
    let mut count = 0;
    let read = least(|| count = rows(&bytes));
    let whole = least(|| drop(black_box(examine(file, &bytes).unwrap())));
    let ours = command(env!("CARGO_BIN_EXE_crossmill"), &["sframe", "check", file]).unwrap();
    println!("{file}: {count} rows, least of {ROUNDS} rounds");
    println!("read and decode every row          {:>9.3} ms", read.as_secs_f64() * 1e3);
    println!("read, validate and cross-check     {:>9.3} ms", whole.as_secs_f64() * 1e3);
    println!("`crossmill sframe check`           {:>9.3} ms", ours.as_secs_f64() * 1e3);
    match command(readelf, &["--sframe", file]) {
        Some(theirs) => {
            println!("`{readelf} --sframe`  {:>9.3} ms", theirs.as_secs_f64() * 1e3);
            println!("ratio of the two commands          {:>9.3}", ours.as_secs_f64() / theirs.as_secs_f64());
        }
        None => println!("`{readelf} --sframe` does not run"),
    }
}
