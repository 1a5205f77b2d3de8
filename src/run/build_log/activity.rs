//! The current activity of a build, from one line of its output.

use super::base_name;
use std::borrow::Cow;

/// The longest answer in characters: it is to fit a terminal's line and the event log.
const LONGEST: usize = 120;

/// Returns the current activity of a build from a `line` of its output, in a few words:
/// the file it compiles, `linking cc1`, `checking for strerror`. `None` for
/// the many lines without information.
pub fn activity(line: &str) -> Option<Cow<'_, str>> {
    let line = line.trim_end();
    let found = quiet_rule(line).or_else(|| configure(line)).or_else(|| command(line))?;
    let plain = !found.is_empty() && !found.contains(char::is_control);
    plain.then(|| clip(found))
}

fn clip(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}

/// kbuild's and automake's short form: `  CC [M]  fs/ext4/inode.o`.
fn quiet_rule(line: &str) -> Option<Cow<'_, str>> {
    let rest = line.strip_prefix("  ")?;
    let (tag, mut rest) = rest.split_once(' ')?;
    let of_a_tag = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_+-".contains(c);
    if tag.len() < 2 || !tag.starts_with(|c: char| c.is_ascii_uppercase()) || !tag.chars().all(of_a_tag) {
        return None;
    }
    // `[M]` marks a module, a lone letter what rustc makes.
    loop {
        rest = rest.trim_start();
        match rest.split_once(' ') {
            Some((mark, after)) if mark.starts_with('[') || mark.len() == 1 => rest = after,
            _ => break,
        }
    }
    if rest.is_empty() {
        return None;
    }
    let what = near_path(rest);
    match tag {
        "CC" | "CXX" | "AS" | "HOSTCC" | "HOSTCXX" | "CPPAS" | "RUSTC" => Some(Cow::Borrowed(what)),
        _ => Some(Cow::Owned(format!("{tag} {what}"))),
    }
}

/// Returns a path as it is; of an absolute one the last three names.
fn near_path(path: &str) -> &str {
    if !path.starts_with('/') || path.contains(' ') {
        return path;
    }
    path.rmatch_indices('/').nth(2).map_or(path, |(at, _)| &path[at + 1..])
}

/// `checking for strerror... yes`. With several jobs many checks run into one
/// line; the last one is the newest.
fn configure(line: &str) -> Option<Cow<'_, str>> {
    if let Some(rest) = line.strip_prefix("config.status: ") {
        return Some(Cow::Borrowed(rest));
    }
    let at = line.rfind("checking ")?;
    let before = &line[..at];
    if !(before.is_empty() || before.ends_with("... ") || before.ends_with(": ")) || before.contains('"') {
        return None;
    }
    let check = &line[at..];
    let end = check.find("...")?;
    Some(Cow::Borrowed(check[..end].trim_end()))
}

/// Returns a command line as make prints it.
fn command(line: &str) -> Option<Cow<'_, str>> {
    let mut words = line.split_ascii_whitespace().peekable();
    let mut mode = None;
    // Prefixes of the command itself: libtool, the shell that runs it, variables.
    let program = loop {
        let word = words.next()?;
        if let Some(given) = word.strip_prefix("--mode=") {
            mode = Some(given);
        } else if word == "libtool:" {
            // `libtool: compile:  gcc …`; its notes and warnings have another second word.
            mode = Some(words.next()?.strip_suffix(':')?);
        } else if !(is_variable(word) || base_name(word) == "libtool" || is_shell(word) || word.starts_with("--tag=")) {
            break base_name(word);
        } else if is_shell(word) && words.peek().is_some_and(|next| next.starts_with("-c")) {
            return None;
        }
    };
    let words = words.take_while(|word| !matches!(*word, ";" | "&&" | "||" | "|" | ">" | "\\" | ">/dev/null"));
    match mode {
        Some("warning" | "error" | "note" | "finish") => None,
        _ => of_program(program, words),
    }
}

fn is_variable(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn is_shell(word: &str) -> bool {
    matches!(base_name(word), "sh" | "bash" | "dash")
}

/// `program` may carry a target's prefix: `aarch64-linux-gcc`.
fn of_program<'a>(program: &'a str, words: impl Iterator<Item = &'a str>) -> Option<Cow<'a, str>> {
    let plain = ["gcc-ar", "gcc-ranlib"].into_iter().find(|name| program.ends_with(name));
    let tool = plain.unwrap_or_else(|| program.rsplit('-').next().unwrap_or(program));
    match tool {
        "gcc" | "g++" | "cc" | "c++" | "xgcc" | "xg++" | "clang" | "clang++" => compile(words),
        "ar" | "gcc-ar" => words.into_iter().find(|word| word.ends_with(".a")).map(|lib| describe("archiving", lib)),
        "ld" => argument_of("-o", words).map(|out| describe("linking", out)),
        "bison" | "yacc" | "flex" | "lex" | "gperf" => words
            .filter(|word| has_suffix(word, &["y", "yy", "l", "ll", "gperf"]))
            .last()
            .map(|file| describe(tool, file)),
        "install" => install(words),
        // GCC's own generators, which run for long: build/genattrtab, build/gengtype.
        _ if is_generator(program) => Some(Cow::Borrowed(program)),
        _ => None,
    }
}

fn is_generator(program: &str) -> bool {
    program.len() > 4 && program.starts_with("gen") && program.chars().all(|c| c.is_ascii_alphanumeric())
}

fn describe<'a>(verb: &str, path: &str) -> Cow<'a, str> {
    Cow::Owned(format!("{verb} {}", base_name(path)))
}

fn has_suffix(word: &str, suffixes: &[&str]) -> bool {
    word.rsplit_once('.').is_some_and(|(stem, suffix)| !stem.is_empty() && suffixes.contains(&suffix))
}

fn argument_of<'a>(option: &str, mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words.find(|word| *word == option)?;
    words.next()
}

const SOURCES: [&str; 18] =
    ["c", "cc", "cpp", "cxx", "C", "S", "s", "sx", "m", "f", "f90", "adb", "ads", "go", "d", "rs", "md", "def"];

fn compile<'a>(words: impl Iterator<Item = &'a str>) -> Option<Cow<'a, str>> {
    let (mut source, mut output) = (None, None);
    let mut words = words;
    while let Some(word) = words.next() {
        match word {
            "-o" => output = words.next(),
            // These take a file that is not the one compiled.
            "-include" | "-imacros" | "-MF" | "-MT" | "-MQ" | "-isystem" | "-I" | "-L" | "-x" | "-T" | "-D" => {
                words.next();
            }
            // libtool-less makefiles pick the file in a subcommand: `test -f 'x.c' || echo …`x.c
            _ if word.starts_with(['-', '`', '\'', '"', '(']) => {}
            _ if has_suffix(word, &SOURCES) => source = source.or(Some(word)),
            _ => {}
        }
    }
    match (source, output) {
        (Some(source), _) => Some(Cow::Borrowed(base_name(source.rsplit('`').next().unwrap_or(source)))),
        (None, Some("/dev/null") | None) => None,
        (None, Some(output)) if output.starts_with("conftest") => None,
        (None, Some(output)) => Some(describe("linking", output)),
    }
}

fn install<'a>(words: impl Iterator<Item = &'a str>) -> Option<Cow<'a, str>> {
    let mut words = words;
    let mut first = None;
    let mut operands = 0;
    while let Some(word) = words.next() {
        match word {
            "-d" => return None,
            "-m" | "-o" | "-g" | "-t" => {
                words.next();
            }
            _ if word.starts_with('-') => {}
            _ => {
                operands += 1;
                first = first.or(Some(word));
            }
        }
    }
    // A compiler's test for `install` itself names no files: `/usr/bin/install -c`.
    first.filter(|_| operands > 1).map(|file| describe("installing", file.trim_matches(['\'', '"'])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kbuild_and_automake_lines_name_their_file() {
        for (line, what) in [
            ("  CC      kernel/fork.o", "kernel/fork.o"),
            ("  CC [M]  fs/ext4/inode.o", "fs/ext4/inode.o"),
            ("  LD [M]  drivers/net/tun.ko", "LD drivers/net/tun.ko"),
            ("  BTF     .tmp_vmlinux.btf.o", "BTF .tmp_vmlinux.btf.o"),
            ("  RUSTC L rust/core.o", "rust/core.o"),
            ("  HOSTCC  scripts/basic/fixdep", "scripts/basic/fixdep"),
            ("  CC      /build/k/tools/objtool/arch/x86/orc.o", "arch/x86/orc.o"),
            ("  CC       libctf_la-ctf-dump.lo", "libctf_la-ctf-dump.lo"),
            ("  CCLD     libbfd.la", "CCLD libbfd.la"),
            ("  GEN      doc/coffcode.stamp", "GEN doc/coffcode.stamp"),
        ] {
            assert_eq!(activity(line).as_deref(), Some(what), "{line}");
        }
    }

    #[test]
    fn commands_name_what_they_make() {
        for (line, what) in [
            (
                "g++ -fno-PIE -c   -O1 -DIN_GCC -I. -I../../src/gcc/../include -o tree-vrp.o -MT tree-vrp.o -MMD -MP \
                 -MF ./.deps/tree-vrp.TPo ../../source/gcc/tree-vrp.cc",
                "tree-vrp.cc",
            ),
            (
                "  gcc -c -DHAVE_CONFIG_H -O1 -I. ../../src/libiberty/cp-demangle.c -o pic/cp-demangle.o; \\",
                "cp-demangle.c",
            ),
            ("libtool: compile:  gcc -DHAVE_CONFIG_H -c ../../src/libbacktrace/atomic.c -o atomic.o", "atomic.c"),
            ("/bin/sh ./libtool --tag=CC --mode=link gcc -O2 -o libgmp.la -rpath /usr/lib a.lo", "linking libgmp.la"),
            ("libtool: install: /usr/bin/install -c .libs/libgmp.a /opt/lib/libgmp.a", "installing libgmp.a"),
            ("g++ -no-pie -O1 -static-libgcc -o cc1 c/c-lang.o main.o libbackend.a", "linking cc1"),
            ("rm -f libx.a", ""),
            ("ar rc libx.a a.o b.o", "archiving libx.a"),
            ("aarch64-linux-ar --plugin /usr/lib/x.so cru libgcc.a _ctzsi2.o", "archiving libgcc.a"),
            ("build/genattrtab ../../src/gcc/common.md insn-conditions.md \\", "genattrtab"),
            ("bison -d -o gengtype-parse.c ../../src/gcc/gengtype.y", "bison gengtype.y"),
            ("/usr/bin/install -c -m 644 ../src/gmp.h '/opt/include'", "installing gmp.h"),
            ("/build/gcc/./gcc/xgcc -B/build/./gcc/ -O2 -c ../../../src/libgcc/libgcc2.c", "libgcc2.c"),
        ] {
            assert_eq!(activity(line).as_deref().unwrap_or(""), what, "{line}");
        }
    }

    #[test]
    fn of_checks_that_run_together_the_last_is_told() {
        let line = "checking for pid_t... yes checking whether gcc supports -Wc++-compat... yes";
        assert_eq!(activity("checking for strerror... no").as_deref(), Some("checking for strerror"));
        assert_eq!(
            activity("checking for a BSD-compatible install... /usr/bin/install -c").as_deref(),
            Some("checking for a BSD-compatible install")
        );
        assert_eq!(activity("checking for fcntl.h... checking for xz... xz").as_deref(), Some("checking for xz"));
        assert_eq!(activity("config.status: creating Makefile").as_deref(), Some("creating Makefile"));
        // Two on one line with an answer between: nothing wrong is reported.
        assert_eq!(activity(line), None);
    }

    #[test]
    fn lines_that_tell_nothing_are_silent() {
        for line in [
            "",
            "make[2]: Entering directory '/build'",
            "else true; fi",
            "yes",
            "if [ x\"-fpic\" != x ]; then \\",
            "/usr/bin/install -c",
            "libtool: warning: relinking 'libx.la'",
            "/bin/sh ../../src/gcc/../move-if-change tmp-modes.h insn-modes.h",
            "\x1b[31m  CC x",
            "  CC  \u{7}",
        ] {
            assert_eq!(activity(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let line = String::from_utf8_lossy(&bytes);
            if let Some(what) = activity(&line) {
                prop_assert!(what.chars().count() <= LONGEST + 1 && !what.contains(char::is_control));
            }
        }

        #[test]
        fn any_words_are_taken(line in "( {0,3}(gcc|libtool:|compile:|-o|-c|--mode=link|  CC|\\[M\\]|checking |\\.\\.\\.|ar|x\\.c|é\\.a|/bin/sh|-c|A=b|`|install)){0,9}") {
            let _ = activity(&line);
        }
    }
}
