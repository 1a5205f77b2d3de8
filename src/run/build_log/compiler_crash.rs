//! The command of a compiler that crashed, as its log shows it: what a bug report needs beside the message.

use super::base_name;
use std::io::{BufRead, Read as _};

/// Bytes of a line that are read: the kernel takes one argument of at most 128 KiB.
const LONGEST: u64 = 256 << 10;

/// A command and where it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashedCommand {
    /// The directory, where make printed one.
    pub dir: Option<String>,
    /// The command, as a shell reads it.
    pub command: String,
}

/// Returns the command of the first compiler crash in a log; `None` if the log shows no crash or no commands.
pub fn crashed_command(mut log: impl BufRead) -> Option<CrashedCommand> {
    let mut dirs: Vec<String> = Vec::new();
    let mut commands: Vec<CrashedCommand> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if log.by_ref().take(LONGEST).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if let Some((before, _)) = text.split_once(": internal compiler error: ") {
            // `file.c:12:3`, or the driver's own name where a signal ended the compiler.
            let file = base_name(before.split(':').next().unwrap_or_default());
            let names_it =
                |known: &&CrashedCommand| known.command.split_whitespace().any(|word| base_name(word) == file);
            let of_file = commands.iter().rev().find(|known| file.contains('.') && names_it(known));
            return of_file.or(commands.last()).cloned();
        }
        if let Some((_, dir)) = text.split_once(": Entering directory '") {
            dirs.push(dir.trim_end_matches('\'').to_owned());
        } else if text.contains(": Leaving directory '") {
            dirs.pop();
        } else if let Some(command) = compile_command(text) {
            commands.push(CrashedCommand { dir: dirs.last().cloned(), command });
            // Those of other jobs that run meanwhile, and no more.
            if commands.len() > 512 {
                commands.drain(..256);
            }
        }
    }
}

// The first command of a line, if it compiles.
fn compile_command(line: &str) -> Option<String> {
    let line = line.strip_prefix("libtool: compile: ").unwrap_or(line).trim();
    let end = [" && ", "; ", " | ", " > "].iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    let command = line[..end].trim_end_matches(';').trim();
    let mut words = command.split_whitespace();
    let program = base_name(words.next()?);
    let is_driver = program.ends_with("cc") || program.ends_with("++") || program.ends_with("clang");
    (is_driver && words.any(|word| word == "-c" || word == "-o" || word == "-S")).then(|| command.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(log: &str) -> Option<CrashedCommand> {
        crashed_command(log.as_bytes())
    }

    #[test]
    fn the_command_of_the_file_is_found_among_those_of_other_jobs() {
        let log = "make[1]: Entering directory '/b'\nmake[2]: Entering directory '/b/gcc'\n\
                   g++ -c -O2 ../tree-vrp.cc -o tree-vrp.o && true\nlibtool: compile:  x-gcc -c a.c -o a.o\n\
                   ../tree-vrp.cc:12:3: internal compiler error: in f, at g.cc:1\n";
        let found = found(log).unwrap();
        assert_eq!(found.command, "g++ -c -O2 ../tree-vrp.cc -o tree-vrp.o");
        assert_eq!(found.dir.as_deref(), Some("/b/gcc"));
    }

    #[test]
    fn a_compiler_ended_by_a_signal_is_the_last_command() {
        let log = "make[1]: Entering directory '/b'\nmake[1]: Leaving directory '/b'\n  gcc -c a.c\ngcc -c b.c\n\
                   gcc: internal compiler error: Segmentation fault signal terminated program cc1\n";
        assert_eq!(found(log), Some(CrashedCommand { dir: None, command: "gcc -c b.c".into() }));
    }

    #[test]
    fn a_quiet_log_shows_no_command() {
        assert_eq!(found("  CC      a.o\na.c:1:1: internal compiler error: x\n"), None);
        assert_eq!(found("gcc -c a.c\na.c:1:1: error: x\n"), None);
        assert_eq!(found(""), None);
    }
}
