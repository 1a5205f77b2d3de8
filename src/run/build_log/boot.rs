//! The outcome of a boot, from the kernel's console, the emulator's own messages
//! and how the emulator ended.
//!
//! The first cause is named: the emulator's, then the kernel's, then that of init,
//! whose lines begin with `crossmill: `.

use crate::base::check_result::{CheckResult, Verdict};
use std::collections::BTreeMap;

/// The longest part of a console's line that is repeated in a message.
const LONGEST: usize = 160;

/// An emulator that ended, and what it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Boot<'a> {
    /// The emulator's name, as it was started.
    pub emulator: &'a str,
    /// The first line of its `--version`; empty if it has none.
    pub emulator_version: &'a str,
    /// The machine that it was asked for.
    pub machine: &'a str,
    /// The CPU that it was asked for; empty for the machine's own.
    pub cpu: &'a str,
    /// The kernel's name of the console.
    pub console: &'a str,
    /// How init ends the machine: `poweroff` or `restart`.
    pub end: &'a str,
    /// The time limit in seconds.
    pub limit: u64,
    /// The most bytes of console that are kept; one that is as long was cut off.
    pub log_bytes: u64,
    /// Output of the console.
    pub raw: &'a [u8],
    /// Output of the emulator itself.
    pub emulator_log: &'a str,
    /// The emulator's exit code; 124 after the time limit.
    pub ended: i32,
    /// The seconds it ran.
    pub seconds: u64,
    /// The first lines of the compiler's and the linker's `--version`, which /proc/version must have.
    pub tools: [&'a str; 2],
    /// The size of `/sys/kernel/btf/vmlinux` by the section `.BTF`, or `none`.
    pub btf: &'a str,
    /// The modules that init tries to load, separated by blanks: one of them must load. Empty where there are none.
    pub modules: &'a str,
}

/// Returns the console's text: no NUL, no carriage return.
#[must_use]
pub fn console(raw: &[u8]) -> String {
    let kept: Vec<u8> = raw.iter().copied().filter(|byte| !matches!(byte, 0 | b'\r')).collect();
    String::from_utf8_lossy(&kept).into_owned()
}

/// Returns the result of the check; the evidence is for the caller to name.
#[must_use]
pub fn classify(boot: &Boot<'_>) -> CheckResult {
    let text = console(boot.raw);
    let log = Console { boot, lines: text.lines().collect(), text: &text };
    let mut result = match log.emulator().or_else(|| log.kernel()).or_else(|| log.init()) {
        Some((state, why)) => CheckResult { state, why: Some(why), ..CheckResult::default() },
        None => {
            let module = log.reported("kmod loaded").map(|name| format!(", loaded {name}")).unwrap_or_default();
            let summary = format!("booted in {} s{module}", boot.seconds);
            CheckResult { summary: Some(summary), ..CheckResult::default() }
        }
    };
    result.figures.push(("seconds".to_owned(), boot.seconds as f64));
    if result.state == Verdict::Pass
        && let Ok(bytes) = boot.btf.parse()
    {
        result.figures.push(("btf_bytes".to_owned(), bytes));
    }
    result
}

struct Console<'a> {
    boot: &'a Boot<'a>,
    lines: Vec<&'a str>,
    text: &'a str,
}

type Found = Option<(Verdict, String)>;

fn fail(why: String) -> Found {
    Some((Verdict::Fail, why))
}

fn skipped(why: String) -> Found {
    Some((Verdict::Skipped, why))
}

fn clip(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

impl Console<'_> {
    fn is_full(&self) -> bool {
        self.boot.raw.len() as u64 >= self.boot.log_bytes
    }

    // The last line that is not blank.
    fn last(&self) -> String {
        let line = self.lines.iter().rev().find(|line| !line.trim().is_empty()).copied().unwrap_or_default();
        clip(&line.replace('\u{1b}', ""), LONGEST).to_owned()
    }

    fn is_silent(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    // Reports of init, `crossmill: WORD …`.
    fn reported(&self, word: &str) -> Option<&str> {
        let lead = format!("crossmill: {word} ");
        self.lines.iter().find_map(|line| line.strip_prefix(lead.as_str()))
    }

    fn emulator(&self) -> Found {
        let boot = self.boot;
        let qemu = boot.emulator;
        if boot.ended == 137 && boot.seconds < boot.limit {
            let seconds = boot.seconds;
            return fail(format!(
                "{qemu} was killed after {seconds} s, as the kernel of this machine does when memory runs out"
            ));
        }
        if matches!(boot.ended, 0 | 124 | 137) {
            return None;
        }
        let version = if boot.emulator_version.is_empty() { qemu } else { boot.emulator_version };
        let messages = boot.emulator_log.to_lowercase();
        let has = |text: &str| messages.contains(text);
        let first = clip(boot.emulator_log.lines().next().unwrap_or_default(), 200);
        if has("unsupported machine") {
            let machine = boot.machine;
            return skipped(format!("{qemu} has no machine `{machine}` ({version}): a newer qemu is needed"));
        }
        let is_about_a_cpu = |line: &str| line.find("cpu model").is_some_and(|at| line[at..].contains("not"));
        if has("unable to find cpu model") || has("unknown cpu") || messages.lines().any(is_about_a_cpu) {
            return skipped(format!("{qemu} has no CPU `{}` ({version}): a newer qemu is needed", boot.cpu));
        }
        if messages.lines().any(lacks_firmware) {
            return skipped(format!("{qemu} has no firmware for `{}`: {first}", boot.machine));
        }
        if self.is_full() {
            return None;
        }
        let code = boot.ended;
        if self.is_silent() {
            let why = if first.is_empty() { format!("exit code {code}") } else { first.to_owned() };
            return fail(format!("{qemu} did not start the kernel: {why}"));
        }
        let why = if first.is_empty() { self.last() } else { first.to_owned() };
        fail(format!("{qemu} ended by itself with code {code}: {why}"))
    }

    fn kernel(&self) -> Found {
        let boot = self.boot;
        if self.has("error -8")
            && let Some(line) = self.lines.iter().find_map(|line| Some(&line[line.find("Failed to execute /init")?..]))
        {
            return fail(format!("the kernel does not take init, which is of another architecture: {line}"));
        }
        if let Some(panic) = self.panic() {
            return fail(format!("kernel panic: {panic}"));
        }
        if self.is_full() {
            let (bytes, most) = (boot.log_bytes, self.most_frequent());
            return fail(format!("the console printed {bytes} bytes and was cut off; most often, {most}"));
        }
        if self.has("crossmill: init runs") {
            return None;
        }
        let how = match boot.ended {
            0 => format!("ended after {} s", boot.seconds),
            _ => format!("hung until the time limit of {} s", boot.limit),
        };
        let (console, last) = (boot.console, self.last());
        if self.has("Linux version") {
            return fail(format!("init's marker is missing, the machine {how}; last line: {last}"));
        }
        if self.is_silent() {
            return fail(format!(
                "the kernel printed nothing on {console} and {how}: no driver for this console in its configuration, \
                 or it dies before"
            ));
        }
        fail(format!("the kernel printed nothing on {console} and {how}; the firmware's last line: {last}"))
    }

    fn panic(&self) -> Option<String> {
        const LEAD: &str = "Kernel panic - not syncing:";
        let line = self.lines.iter().find_map(|line| Some(&line[line.rfind(LEAD)? + LEAD.len()..]))?;
        let line = clip(line.trim_start(), 200).to_owned();
        // The signal, with or without the bit of a core dump.
        let signal = line.find("exitcode=0x0000000").or_else(|| line.find("exitcode=0x0000008"));
        let signal = signal.and_then(|at| line[at + "exitcode=0x0000000".len()..].chars().next());
        let wrong_code = line.contains("Attempted to kill init") && matches!(signal, Some('4' | 'b' | 'B'));
        let cause = " (init was killed: an illegal instruction or a wrong address; compiled for another CPU?)";
        Some(if wrong_code { line + cause } else { line })
    }

    // The line that is repeated most, without the kernel's time stamp.
    fn most_frequent(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| !line.trim().is_empty()) {
            *counts.entry(without_time(line)).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or_else(String::new, |(line, count)| clip(&format!("{count} times {line}"), LONGEST).to_owned())
    }

    fn init(&self) -> Found {
        let boot = self.boot;
        let end = boot.end;
        if !self.has("crossmill: ends") {
            return fail(format!("init did not come to its end: {}", self.last()));
        }
        if self.has("crossmill: cannot end the machine") {
            return fail(format!("init could not end the machine ({end})"));
        }
        if boot.ended != 0 {
            return fail(format!(
                "the machine does not switch off ({end}): ended by the time limit of {} s",
                boot.limit
            ));
        }
        let version = self.reported("version").unwrap_or_default();
        if let Some(tool) = boot.tools.iter().find(|tool| !version.contains(**tool)) {
            return fail(format!("the kernel was not built by `{tool}`: /proc/version is `{version}`"));
        }
        if !boot.modules.is_empty() && self.reported("kmod loaded").is_none() {
            return fail(match self.reported("kmod refused") {
                Some(refused) => format!("the kernel loads none of its modules ({}): {refused}", boot.modules),
                None => format!("init did not report on the modules {}", boot.modules),
            });
        }
        let btf = self.reported("btf").unwrap_or("not reported");
        if btf != boot.btf {
            let expected = boot.btf;
            return fail(format!(
                "/sys/kernel/btf/vmlinux: {btf} (bytes), {expected} expected by vmlinux's section .BTF and the configuration"
            ));
        }
        None
    }
}

fn lacks_firmware(line: &str) -> bool {
    let after = |lead: &str| line.find(lead).map(|at| &line[at..]);
    let unable =
        after("unable to find").or_else(|| after("unable to load")).is_some_and(|rest| rest.contains("firmware"));
    let could_not = after("could not find").or_else(|| after("could not load"));
    unable
        || could_not.is_some_and(|rest| ["bios", "firmware", ".bin", ".lid", ".rom"].iter().any(|it| rest.contains(it)))
}

fn without_time(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match rest {
        Some((time, rest)) if time.trim().chars().all(|c| c.is_ascii_digit() || c == '.') => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "Linux version 7.2 (gcc 16.2) ld 2.47\ncrossmill: init runs\ncrossmill: version Linux version 7.2 \
                        (gcc 16.2) ld 2.47\ncrossmill: btf 12\ncrossmill: ends by switching off\n";

    fn boot(console: &str) -> Boot<'_> {
        Boot {
            emulator: "qemu",
            machine: "virt",
            console: "ttyS0",
            end: "poweroff",
            limit: 60,
            log_bytes: 4096,
            raw: console.as_bytes(),
            seconds: 3,
            tools: ["gcc 16.2", "ld 2.47"],
            btf: "12",
            ..Boot::default()
        }
    }

    fn why(boot: &Boot<'_>) -> String {
        let result = classify(boot);
        format!("{} {}", result.state, result.why.unwrap_or_default())
    }

    #[test]
    fn a_boot_that_comes_to_its_end_passes() {
        let result = classify(&boot(GOOD));
        assert_eq!(result.to_string(), "state pass\nsummary booted in 3 s\nfigure seconds 3\nfigure btf_bytes 12\n");
    }

    #[test]
    fn one_module_must_load() {
        let with = |lines: &str| GOOD.replace("crossmill: ends", &format!("{lines}crossmill: ends"));
        let (refused, loaded) = ("crossmill: kmod refused a: error 008\n", "crossmill: kmod loaded b\n");
        let all = [with(""), with(refused), with(&format!("{refused}{loaded}"))];
        let results: Vec<_> = all.iter().map(|console| classify(&Boot { modules: "a b", ..boot(console) })).collect();
        assert_eq!(results[0].why.as_deref(), Some("init did not report on the modules a b"));
        assert_eq!(results[1].why.as_deref(), Some("the kernel loads none of its modules (a b): a: error 008"));
        assert_eq!(results[2].summary.as_deref(), Some("booted in 3 s, loaded b"));
    }

    #[test]
    fn the_first_cause_is_named() {
        let panicked =
            format!("{GOOD}[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n");
        let cases = [
            boot("[    0.1] Linux version 7.2\n"),
            Boot { ended: 124, ..boot("") },
            Boot { ended: 1, emulator_log: "qemu: unsupported machine type", ..boot("") },
            Boot { ended: 1, emulator_log: "qemu: could not load MIPS bios 'x.bin'", ..boot("") },
            boot(&panicked),
            Boot { ended: 137, ..boot(GOOD) },
            Boot { btf: "none", ..boot(GOOD) },
            Boot { tools: ["gcc 15", "ld 2.47"], ..boot(GOOD) },
            Boot { log_bytes: 20, ..boot("[ 1.0] x\n[ 2.0] x\n[ 3.0] y\n") },
        ];
        insta::assert_snapshot!(cases.iter().map(why).collect::<Vec<_>>().join("\n"));
    }

    proptest! {
        #[test]
        fn any_console_is_classified(raw in prop::collection::vec(any::<u8>(), 0..400), log in ".{0,80}", ended in 0..256i32) {
            let boot = Boot { raw: &raw, emulator_log: &log, ended, ..boot("") };
            let _ = classify(&boot).to_string();
        }
    }
}
