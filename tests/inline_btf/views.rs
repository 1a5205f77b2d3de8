//! Are values right that DWARF has for an empty range at a site's address?
//!
//! A program of several hundred inlined calls, each of them executed once, is compiled without optimisation, prints
//! the arguments of each call, and so says what is true. Compiled with optimisation, without the printing, it stops at
//! each site under ptrace, and what the locations yield there is compared with the truth.

use crate::tool;
use crate::tracee::{Tracee, peek, register};
use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::inline_btf::listing::ListedSite;
use crossmill::debuginfo::inline_btf::location::FRAME_BASE;
use crossmill::debuginfo::inline_btf::probes::{Frame, Frames};
use crossmill::debuginfo::inline_btf::{self as inline, BaseTypes, EmptyRanges, Location, Missing, Options, Sections};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// Inlined calls of a program, those within others not counted.
const CALLS: u64 = 450;

// Knuth's generator: a program is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const TYPES: [&str; 6] = ["int ", "long ", "unsigned char ", "short ", "unsigned ", "struct item *"];

const HEAD: &str = "
struct item { long x; int y; struct item *next; };
__attribute__((section(\".fixed\"))) struct item items[64];
volatile long inputs[256], sunk;
long total;
__attribute__((noipa)) long opaque(int index) { return inputs[index]; }
__attribute__((noipa)) void out(long value) { total = total * 31 + value; }
#ifdef TRUTH
extern int printf(const char *, ...);
#define RECORD(id, a, b, c) printf(\"%d %ld %ld %ld\\n\", id, (long)(a), (long)(b), (long)(c))
#else
#define RECORD(id, a, b, c) ((void)0)
#endif
";

struct Function {
    // Indices into TYPES.
    params: Vec<usize>,
    text: String,
}

// A function of one to three parameters that uses them in some way, or does not.
fn function(id: u64, dice: &mut Dice) -> Function {
    let params: Vec<usize> = (0..1 + dice.roll(3)).map(|_| dice.roll(6) as usize).collect();
    let names = ["a", "b", "c"];
    let list: Vec<String> = params.iter().zip(names).map(|(kind, name)| format!("{}{name}", TYPES[*kind])).collect();
    let number = |dice: &mut Dice| {
        let index = dice.roll(params.len() as u64) as usize;
        match (params[index], dice.roll(3)) {
            (5, 0) => format!("{}->x", names[index]),
            (5, 1) => format!("{}->y", names[index]),
            (5, _) => format!("({} != 0)", names[index]),
            _ => format!("(long){}", names[index]),
        }
    };
    let (one, two, more) = (number(dice), number(dice), dice.roll(1000));
    let (mut before, body) = match dice.roll(10) {
        0 => (String::new(), format!("return {one} * {more} + {two};")),
        1 => (
            String::new(),
            format!("if ({one} > {two}) {{ out({one}); return {two}; }} out({two} + {more}); return {more};"),
        ),
        2 => (String::new(), format!("for (long i = 0; i < ({one} & 3); i++) out({two} + i); return {one};")),
        3 => (String::new(), format!("sunk = {one}; return {two};")),
        4 => (String::new(), format!("__asm__ volatile(\"\" :: \"r\"({one}) : \"memory\"); return {two} + {more};")),
        5 => {
            let inner = id + 10_000;
            let head = format!(
                "static inline __attribute__((always_inline)) long f{inner}(long a, long b)\n\
                 {{ RECORD({inner}, a, b, 0); out(a ^ b); return a - b; }}\n"
            );
            (head, format!("return f{inner}({two}, {one} + {more}) + 1;"))
        }
        6 if params[0] != 5 => (String::new(), format!("a += {}; out(a); return {two};", more & 7)),
        7 => (String::new(), format!("out({more}); return {more};")),
        8 => (
            String::new(),
            format!(
                "switch ({one} & 3) {{ case 0: return {two}; case 1: out({more}); return 1; default: sunk = {two}; }} return {one};"
            ),
        ),
        _ => (String::new(), format!("if (!({one})) return -1; out({two} - {one}); return {two} + {more};")),
    };
    let given: Vec<&str> = (0..3).map(|index| if index < params.len() { names[index] } else { "0" }).collect();
    let how = if dice.roll(2) == 0 { "static inline __attribute__((always_inline))" } else { "static" };
    let _ = writeln!(before, "{how} long f{id}({}) {{ RECORD({id}, {}); {body} }}", list.join(", "), given.join(", "));
    Function { params, text: before }
}

fn argument(kind: usize, results: u64, dice: &mut Dice) -> String {
    if kind == 5 {
        return match dice.roll(3) {
            0 => format!("&items[{}]", dice.roll(64)),
            1 => format!("&items[opaque({}) & 63]", dice.roll(256)),
            _ => format!("items[{}].next", dice.roll(64)),
        };
    }
    let (input, more) = (dice.roll(256), dice.roll(90));
    match dice.roll(7) {
        0 => format!("{more}"),
        1 => format!("opaque({input}) + {more}"),
        2 => format!("items[{}].x", dice.roll(64)),
        3 | 4 if results > 0 => format!("r{}", dice.roll(results)),
        5 if results > 0 => format!("r{} * 5 - {more}", dice.roll(results)),
        _ => format!("opaque({input})"),
    }
}

fn program(seed: u64) -> String {
    let mut dice = Dice(seed);
    let mut text = HEAD.to_owned();
    let mut main = String::new();
    let mut id = 0;
    while id < CALLS {
        let mut body = String::new();
        let calls = 3 + dice.roll(6);
        for call in 0..calls {
            let function = function(id, &mut dice);
            text.push_str(&function.text);
            let args: Vec<String> = function.params.iter().map(|kind| argument(*kind, call, &mut dice)).collect();
            let _ = writeln!(body, "\tlong r{call} = f{id}({});", args.join(", "));
            if dice.roll(3) == 0 {
                let _ = writeln!(body, "\tout(r{call});");
            }
            id += 1;
        }
        let all: Vec<String> = (0..calls).map(|call| format!("r{call}")).collect();
        let _ =
            writeln!(text, "__attribute__((noipa)) void caller{id}(void)\n{{\n{body}\tout({});\n}}", all.join(" ^ "));
        let _ = writeln!(main, "\tcaller{id}();");
    }
    let _ = writeln!(
        text,
        "int main(void)\n{{\n\tfor (int i = 0; i < 256; i++) inputs[i] = (long)(i * 0x9E3779B97F4A7C15ull) >> (i & 31);\n\
         \tfor (int i = 0; i < 64; i++) items[i] = (struct item){{ i * 77, -i, &items[(i * 7 + 3) & 63] }};\n{main}\treturn 0;\n}}"
    );
    text
}

/// The compared values, and how many of them are right.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    sites: u64,
    covered: (u64, u64),
    empty: (u64, u64),
    // Where both exist and differ: those that are right by the covering and by the empty range.
    both: (u64, u64, u64),
    // Covered, but the empty range has what cannot be represented.
    lost: (u64, u64),
}

/// A compiler, and what runs its programs.
#[derive(Clone, Copy)]
struct Target<'t> {
    compiler: &'t Path,
    emulator: Option<&'t str>,
}

fn compile(target: Target<'_>, dir: &Path, flags: &[&str], output: &str) {
    let common = ["-w", "-no-pie", "-Wl,--section-start=.fixed=0x10000000", "program.c"];
    let own = if target.emulator.is_some() { "-static" } else { "-fcf-protection=none" };
    tool(target.compiler, &[flags, &common, &[own, "-o", output]].concat(), dir);
}

fn truth(target: Target<'_>, dir: &Path) -> BTreeMap<String, Vec<u64>> {
    compile(target, dir, &["-O0", "-DTRUTH"], "truth");
    let program = dir.join("truth");
    let output = match target.emulator {
        Some(emulator) => Command::new(emulator).arg(program).output().unwrap(),
        None => Command::new(program).output().unwrap(),
    };
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut numbers = line.split(' ').map(|word| word.parse::<i64>().unwrap());
        let name = format!("f{}", numbers.next().unwrap());
        let values = numbers.map(i64::cast_unsigned).collect();
        assert_eq!(found.insert(name, values), None, "each call is executed once");
    }
    found
}

/// A program that stops where sites are.
trait Stopping {
    /// Stops at this address when it is reached first.
    fn set(&mut self, address: u64);
    /// Goes on to the next stop; nothing when the program has ended.
    fn next(&mut self) -> Option<u64>;
    fn register(&mut self, number: u32) -> u64;
    fn peek(&mut self, address: u64) -> u64;
    /// Goes past the instruction of a stop.
    fn pass(&mut self, address: u64);
}

struct Local(Tracee, Option<nix::libc::user_regs_struct>);

impl Stopping for Local {
    fn set(&mut self, address: u64) {
        self.0.set(address);
    }

    fn next(&mut self) -> Option<u64> {
        let (address, regs) = self.0.next()?;
        self.1 = Some(regs);
        Some(address)
    }

    fn register(&mut self, number: u32) -> u64 {
        register(&self.1.unwrap(), number)
    }

    fn peek(&mut self, address: u64) -> u64 {
        peek(self.0.pid, address)
    }

    fn pass(&mut self, address: u64) {
        self.0.step(address);
    }
}

/// A program in qemu, spoken to by gdb's remote protocol.
struct Remote {
    stream: TcpStream,
    child: std::process::Child,
    registers: Vec<u64>,
}

impl Remote {
    #[expect(clippy::zombie_processes, reason = "it is waited for when the program has ended")]
    fn start(emulator: &str, program: &Path) -> Self {
        // A free port, for the moment at least.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(emulator).args(["-g", &port.to_string()]).arg(program).spawn().unwrap();
        for _ in 0..400 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                // Short messages back and forth: waiting for more to send would cost 40 ms each.
                stream.set_nodelay(true).unwrap();
                return Self { stream, child, registers: Vec::new() };
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("{emulator} does not listen");
    }

    fn ask(&mut self, command: &str) -> String {
        let sum = command.bytes().fold(0_u8, u8::wrapping_add);
        self.stream.write_all(format!("${command}#{sum:02x}").as_bytes()).unwrap();
        let (mut reply, mut byte) = (String::new(), [0]);
        let mut read = || self.stream.read_exact(&mut byte).map(|()| char::from(byte[0]));
        // The acknowledgement, then `$reply#sum`.
        while read().unwrap() != '$' {}
        loop {
            match read().unwrap() {
                '#' => break,
                letter => reply.push(letter),
            }
        }
        let _ = (read().unwrap(), read().unwrap());
        self.stream.write_all(b"+").unwrap();
        reply
    }
}

fn little(hex: &str) -> u64 {
    let bytes = (0..8).map(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap());
    bytes.rev().fold(0, |value, byte| value << 8 | u64::from(byte))
}

impl Stopping for Remote {
    fn set(&mut self, address: u64) {
        assert_eq!(self.ask(&format!("Z0,{address:x},4")), "OK");
    }

    fn next(&mut self) -> Option<u64> {
        let reply = self.ask("c");
        if reply.starts_with('W') {
            assert_eq!(reply.get(..3), Some("W00"));
            self.child.wait().unwrap();
            return None;
        }
        assert!(reply.starts_with('T') || reply.starts_with('S'), "{reply}");
        let all = self.ask("g");
        // x0 to x30, sp, pc.
        self.registers = (0..33).map(|index| little(&all[index * 16..])).collect();
        Some(self.registers[32])
    }

    fn register(&mut self, number: u32) -> u64 {
        self.registers[number as usize]
    }

    fn peek(&mut self, address: u64) -> u64 {
        little(&self.ask(&format!("m{address:x},8")))
    }

    fn pass(&mut self, address: u64) {
        assert_eq!(self.ask(&format!("z0,{address:x},4")), "OK");
    }
}

fn value(program: &mut dyn Stopping, location: Location, frame: Frame) -> u64 {
    let of = |program: &mut dyn Stopping, number: u32| match (number, frame) {
        (FRAME_BASE, Frame::At(number, offset)) => program.register(number).wrapping_add_signed(offset),
        (FRAME_BASE, Frame::Unknown(why)) => panic!("no frame base: {why}"),
        _ => program.register(number),
    };
    match location {
        Location::Constant(value) | Location::Address(value) => value,
        Location::Register(number) | Location::Pair(number, _) => of(program, number),
        Location::Sum(number, offset) => of(program, number).wrapping_add_signed(offset),
        Location::Memory(number, offset) => {
            let address = of(program, number).wrapping_add_signed(offset);
            program.peek(address)
        }
    }
}

fn measure(target: Target<'_>, dir: &Path, optimisation: &str, truth: &BTreeMap<String, Vec<u64>>) -> Tally {
    compile(target, dir, &[optimisation, "-g"], "program");
    let bytes = fs_err::read(dir.join("program")).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let sections = Sections::load(&elf).unwrap();
    let frames = Frames::load(&elf).unwrap();
    let list = |empty_ranges| {
        let options = Options { empty_ranges, ..Options::default() };
        let found = inline::extract(&elf, &sections, &BaseTypes::default(), options, &()).unwrap();
        let names = truth.keys().map(|name| (name, found.sites_of(name.as_bytes())));
        let sites = names.flat_map(|(name, of)| {
            let sites: Vec<ListedSite> = of.functions.into_iter().flat_map(|function| function.sites).collect();
            sites.into_iter().map(move |site| (name, site))
        });
        sites.collect::<Vec<_>>()
    };
    let (strict, lenient) = (list(EmptyRanges::Ignore), list(EmptyRanges::Accept));
    let preferred = list(EmptyRanges::Prefer);
    assert_eq!(strict.len(), lenient.len());
    let mut at: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, (_, site)) in strict.iter().enumerate() {
        at.entry(site.address).or_default().push(index);
    }
    let path = dir.join("program");
    let mut tracee: Box<dyn Stopping> = match target.emulator {
        Some(emulator) => Box::new(Remote::start(emulator, &path)),
        None => Box::new(Local(Tracee::start(&path), None)),
    };
    for address in at.keys() {
        tracee.set(*address);
    }
    let mut tally = Tally::default();
    let mut reached = std::collections::BTreeSet::new();
    while let Some(address) = tracee.next() {
        for index in at.get(&address).into_iter().flatten() {
            // An instruction in a loop belongs to the call only when it is reached first.
            if !reached.insert(*index) {
                continue;
            }
            tally.sites += 1;
            let ((name, strict), (_, lenient)) = (&strict[*index], &lenient[*index]);
            for (position, (covered, empty)) in strict.params.iter().zip(&lenient.params).enumerate() {
                let (location, param) = match (covered, empty) {
                    (Ok(found), _) => *found,
                    (Err(Missing::EmptyRange), Ok(found)) => *found,
                    _ => continue,
                };
                let found = value(&mut *tracee, location, frames.cfa(address));
                let other = preferred[*index].1.params[position].ok().map(|(location, _)| location);
                let unused = 64 - 8 * param.size;
                let is_right = found << unused == truth[*name][position] << unused;
                let count = if covered.is_ok() { &mut tally.covered } else { &mut tally.empty };
                if let Some(other) = other.filter(|other| covered.is_ok() && *other != location) {
                    let other = value(&mut *tracee, other, frames.cfa(address));
                    tally.both.0 += 1;
                    tally.both.1 += u64::from(is_right);
                    tally.both.2 += u64::from(other << unused == truth[*name][position] << unused);
                }
                if other.is_none() {
                    tally.lost.0 += 1;
                    tally.lost.1 += u64::from(is_right);
                }
                count.0 += 1;
                count.1 += u64::from(is_right);
                if !is_right {
                    let how = if covered.is_ok() { "covered" } else { "empty" };
                    eprintln!(
                        "{optimisation} {name} at {address:#x}, parameter {position} ({how}): {location:?} is {found:#x}"
                    );
                }
            }
        }
        tracee.pass(address);
    }
    tally
}

#[test]
fn values_of_empty_ranges_are_compared_with_the_true_ones() {
    compare("x86-64", Target { compiler: Path::new("gcc"), emulator: None });
}

#[test]
fn those_of_arm64_too() {
    let compiler = std::env::var_os("CROSSMILL_TEST_AARCH64_GCC");
    let mut emulators = ["qemu-aarch64", "qemu-aarch64-static"].into_iter();
    let emulator = emulators.find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some((compiler, emulator)) = compiler.as_ref().zip(emulator) else {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "an aarch64 gcc and qemu-aarch64 are needed");
        eprintln!("SKIPPED: CROSSMILL_TEST_AARCH64_GCC names no aarch64 gcc, or qemu-aarch64 is not installed");
        return;
    };
    compare("arm64", Target { compiler: Path::new(compiler), emulator: Some(emulator) });
}

fn compare(machine: &str, target: Target<'_>) {
    let mut all = Tally::default();
    for optimisation in ["-O1", "-O2", "-Os"] {
        let mut sum = Tally::default();
        for seed in 1..=2 {
            let dir = tempfile::tempdir().unwrap();
            fs_err::write(dir.path().join("program.c"), program(seed)).unwrap();
            let found = measure(target, dir.path(), optimisation, &truth(target, dir.path()));
            for sum in [&mut sum, &mut all] {
                sum.sites += found.sites;
                sum.covered = (sum.covered.0 + found.covered.0, sum.covered.1 + found.covered.1);
                sum.both = (sum.both.0 + found.both.0, sum.both.1 + found.both.1, sum.both.2 + found.both.2);
                sum.lost = (sum.lost.0 + found.lost.0, sum.lost.1 + found.lost.1);
                sum.empty = (sum.empty.0 + found.empty.0, sum.empty.1 + found.empty.1);
            }
        }
        eprintln!("{machine} {optimisation}: {sum:?}");
    }
    eprintln!("{machine}: {all:?}");
    assert!(all.sites >= 1000, "{all:?}");
    let share = |(of, right): (u64, u64)| right as f64 / of as f64;
    assert!(share(all.empty) > 0.9, "values that only an empty range has are right: {all:?}");
    // The location of the empty range is that of the value at the call, the other that of what it becomes there.
    let (differing, by_covering, by_empty) = all.both;
    assert!(differing > 50 && by_empty > differing * 95 / 100 && by_covering < differing / 20, "{all:?}");
}
