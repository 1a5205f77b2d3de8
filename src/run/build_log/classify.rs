//! Classifies a line of a log: error or not, its class, and how certain that is.

use super::starts_with_word;
use serde::{Deserialize, Serialize};

/// Why a build failed, as far as its log shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The kernel killed a process, or an allocation failed.
    OutOfMemory,
    /// The disk or a quota is full.
    NoSpace,
    /// A server or a name could not be reached.
    Network,
    /// A compiler crashed.
    InternalCompilerError,
    /// A program, or a module of an interpreter, is not installed.
    MissingTool,
    /// A compiler or an assembler refused its input.
    CompileError,
    /// A linker did.
    LinkError,
    /// A `configure` script, or the kernel's configuration, gave up.
    Configure,
    /// A patch does not apply.
    Patch,
    /// Something took longer than it was allowed.
    Timeout,
    /// Anything else.
    #[default]
    Other,
}

impl Class {
    /// Every class, the most specific first.
    pub const ALL: [Self; 11] = [
        Self::OutOfMemory,
        Self::NoSpace,
        Self::Network,
        Self::InternalCompilerError,
        Self::MissingTool,
        Self::CompileError,
        Self::LinkError,
        Self::Configure,
        Self::Patch,
        Self::Timeout,
        Self::Other,
    ];

    /// Returns the word that machine-readable output uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfMemory => "out-of-memory",
            Self::NoSpace => "no-space",
            Self::Network => "network",
            Self::InternalCompilerError => "internal-compiler-error",
            Self::MissingTool => "missing-tool",
            Self::CompileError => "compile-error",
            Self::LinkError => "link-error",
            Self::Configure => "configure",
            Self::Patch => "patch",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }

    /// Returns the class in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::OutOfMemory => "out of memory",
            Self::NoSpace => "disk full",
            Self::Network => "network",
            Self::InternalCompilerError => "internal compiler error",
            Self::MissingTool => "missing tool",
            Self::CompileError => "compile error",
            Self::LinkError => "link error",
            Self::Configure => "configure",
            Self::Patch => "patch does not apply",
            Self::Timeout => "time limit",
            Self::Other => "error",
        }
    }

    /// Whether the machine or its surroundings failed, not the code that was built.
    #[must_use]
    pub fn is_environment(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::NoSpace | Self::Network | Self::MissingTool | Self::Timeout)
    }
}

/// Certainty that a line is the cause; the most certain line decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sure {
    /// make's own `*** [x.o] Error 1`, which follows from something else.
    Consequence,
    /// An error that make ignores.
    Ignored,
    /// It has the words of an error.
    Perhaps,
    /// It has the form of an error.
    Error,
    /// The machine's fault: other errors follow from it.
    Machine,
}

/// Classifies `line`, if it is an error.
pub(super) fn judge(line: &str) -> Option<(Sure, Class)> {
    let line = line.trim();
    machine(line).or_else(|| if is_harmless(line) { None } else { error(line).or_else(|| perhaps(line)) })
}

/// Returns the first of the lines that most certainly are errors; `None` if none is one.
#[must_use]
pub fn first_error(lines: &[String]) -> Option<&str> {
    let judged = lines.iter().rev().filter_map(|line| Some((judge(line)?.0, line.as_str())));
    // From the end, since `max_by_key` takes the last of equals.
    judged.max_by_key(|(sure, _)| *sure).map(|(_, line)| line)
}

/// Memory and disk. The words are compared where they stand, because GCC's
/// own file and message names contain them too.
fn machine(line: &str) -> Option<(Sure, Class)> {
    let out_of_memory = line.ends_with(" Killed")
        || line.contains("Killed signal terminated program")
        || line.contains("terminated with signal 9 [Killed]")
        || (line.contains("internal compiler error: Killed"))
        || line.contains(": Killed (program ")
        || (line.contains(" Killed  ") && line.contains(": line "))
        || line.contains("virtual memory exhausted")
        || line.contains(": out of memory allocating ")
        || line.contains("std::bad_alloc")
        || line.ends_with(": Cannot allocate memory")
        || line.ends_with(": memory exhausted")
        // The dynamic linker under a limit of address space, Perl, git, Python.
        || line.ends_with(": failed to map segment from shared object")
        || line.starts_with("Out of memory!")
        || line.starts_with("fatal: Out of memory")
        || line == "MemoryError";
    if out_of_memory {
        return Some((Sure::Machine, Class::OutOfMemory));
    }
    let no_space = line.contains("No space left on device")
        || line.contains("Disk quota exceeded")
        || (line.starts_with("tar: ") && line.contains(": Wrote only "));
    if no_space {
        return Some((Sure::Machine, Class::NoSpace));
    }
    let timeout = line.starts_with("timeout: sending signal ") || line.contains(" timed out after ");
    timeout.then_some((Sure::Machine, Class::Timeout))
}

/// Matches messages of git, curl, wget, Python and cargo when a server cannot be reached.
fn network(line: &str) -> Option<Class> {
    let phrases = [
        "Could not resolve host",
        "Temporary failure in name resolution",
        "Name or service not known",
        "Connection refused",
        "Connection reset by peer",
        "Connection timed out",
        "Network is unreachable",
        "No route to host",
        "Could not connect to server",
        "Couldn't connect to server",
        "Failed to connect to ",
        "unable to access 'http",
        "unable to resolve host address",
    ];
    phrases.iter().any(|words| line.contains(words)).then_some(Class::Network)
}

/// Lines that carry the word and mean nothing.
fn is_harmless(line: &str) -> bool {
    // A check's own line; what configure gives up with may stand behind it.
    if line.contains("checking ") && !line.contains("configure: error:") {
        return true;
    }
    // config.log shows the programs of its tests, and why they failed.
    if line.starts_with("| ") || line.starts_with("conftest") || line.contains(" conftest.c") {
        return true;
    }
    // `file:1: warning: … error: …` is a warning; a missing maintainer tool is reported as one.
    if let Some(at) = line.find("arning: ").filter(|_| !line.contains("is missing on your system")) {
        return line.find("rror: ").is_none_or(|error| at < error);
    }
    let notes = ["*** Waiting for unfinished jobs", "*** Deleting file ", "modifier ignored since `D' is the default"];
    notes.iter().any(|note| line.contains(note))
}

fn error(line: &str) -> Option<(Sure, Class)> {
    let class = network(line)
        .or_else(|| configure(line))
        .or_else(|| missing_tool(line))
        .or_else(|| make(line))
        .or_else(|| linker(line))
        .or_else(|| patch(line))
        .or_else(|| compiler(line))
        .or_else(|| interpreter(line))?;
    Some((Sure::Error, class))
}

fn configure(line: &str) -> Option<Class> {
    let gave_up = line.contains("configure: error:")
        || line.starts_with("config.status: error:")
        // kbuild's own checks: `*** Compiler is too old.`, `*** Configuration file … not found!`
        || line.starts_with("*** Compiler ")
        || line.starts_with("*** Linker ")
        || line.starts_with("*** Assembler ")
        || line.starts_with("*** Configuration file ")
        || line.starts_with("*** Can't find default configuration");
    gave_up.then_some(Class::Configure)
}

fn missing_tool(line: &str) -> Option<Class> {
    let by_shell = line.ends_with(": command not found")
        || (line.ends_with(": not found") && line.split(':').nth(1).is_some_and(is_line_number));
    // make: bison: No such file or directory; env: 'python3': No such file or directory
    let by_exec = line.ends_with(": No such file or directory")
        && (is_make(line)
            || ["env: ", "/usr/bin/env: ", "xargs: "].iter().any(|program| line.starts_with(program))
            || line.contains("fatal error: cannot execute "))
        && !line.contains("***");
    let by_kernel = line.ends_with(": cannot execute: required file not found") || line.contains(": bad interpreter: ");
    let named = line.contains("is missing on your system")
        || line.contains("ModuleNotFoundError: ")
        || (line.starts_with("Can't locate ") && line.contains("@INC"))
        || line.contains("pahole (pahole) is not available");
    (by_shell || by_exec || by_kernel || named).then_some(Class::MissingTool)
}

/// `sh: 1: bison: not found`, `sh: line 3: bison: not found`.
fn is_line_number(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("line ").unwrap_or(text);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_make(line: &str) -> bool {
    starts_with_word(line, "make") || starts_with_word(line, "gmake")
}

fn make(line: &str) -> Option<Class> {
    let (_, message) = line.split_once("*** ").filter(|_| is_make(line) || line.contains(": *** "))?;
    if message.starts_with('[') {
        // Consequences of another error, except for signals, which are conclusive.
        let crashed = ["Segmentation fault", "Aborted", "Illegal instruction", "Bus error"];
        return crashed.iter().any(|signal| line.contains(signal)).then_some(Class::Other);
    }
    Some(Class::Other)
}

fn linker(line: &str) -> Option<Class> {
    let refused = line.contains(": undefined reference to ")
        || line.contains(": multiple definition of ")
        || line.contains(": cannot find -l")
        || line.contains("ld: cannot find ")
        || line.contains(": relocation truncated to fit: ")
        || line.contains(": final link failed")
        || line.contains(": file format not recognized")
        || line.contains(" will not fit in region ")
        || line.contains(": cannot open linker script file ")
        || line.contains(": syntax error in VERSION script")
        || ["mold: error: ", "ld.lld: error: ", "collect2: error: "].iter().any(|linker| line.starts_with(linker))
        || line.starts_with("ERROR: modpost: ");
    refused.then_some(Class::LinkError)
}

fn compiler(line: &str) -> Option<Class> {
    if line.contains(": internal compiler error: ") {
        return Some(Class::InternalCompilerError);
    }
    if line.starts_with("error[E") {
        return Some(Class::CompileError);
    }
    let at = ["error: ", "Error: ", "ERROR: ", "fatal error: "].iter().filter_map(|word| line.find(word)).min()?;
    let before = line[..at].trim_end();
    // `file:12:3: error: …`, `ld: x.o: error: …`, `error: …`; not the text of a command.
    let names = before.strip_suffix(':').map(|names| names.split(':').map(str::trim));
    let formed = match names {
        None => before.is_empty(),
        Some(mut names) => names.all(|name| !name.contains([' ', '"', '\'', '`', '$', '(', '=']) || is_input(name)),
    };
    formed.then(|| if before.contains(':') { Class::CompileError } else { Class::Other })
}

/// Returns the names of inputs that are no paths.
fn is_input(name: &str) -> bool {
    matches!(name, "{standard input}" | "<built-in>" | "<command-line>" | "<stdin>")
}

fn patch(line: &str) -> Option<Class> {
    let refused = (line.starts_with("Hunk #") && line.contains(" FAILED at "))
        || (line.contains(" hunk") && line.contains(" FAILED"))
        || line.starts_with("patch: **** ")
        || line.starts_with("error: patch failed: ")
        || (line.starts_with("error: ") && line.ends_with(": patch does not apply"))
        || line.starts_with("can't find file to patch")
        || line.starts_with("Reversed (or previously applied) patch detected");
    refused.then_some(Class::Patch)
}

fn interpreter(line: &str) -> Option<Class> {
    let told_by = |program: &str| starts_with_word(line, program) && line[program.len()..].starts_with(':');
    let refused = line.starts_with("Traceback (most recent call last)")
        || python_error(line)
        || (["awk", "gawk", "mawk"].into_iter().any(told_by)
            && (line.contains("syntax error") || line.contains("fatal: ")))
        || (told_by("sed") && line.contains(": -e expression"))
        || ["m4", "bison", "flex"].into_iter().any(told_by)
        || (line.starts_with("syntax error at ") && line.contains(" line "))
        || line.ends_with("(core dumped)")
        || line.starts_with("FAILED: load BTF from ")
        || line.starts_with("Failed to generate BTF");
    refused.then_some(Class::Other)
}

/// `SyntaxError: invalid syntax`.
fn python_error(line: &str) -> bool {
    let Some((name, _)) = line.split_once(": ") else { return false };
    name.ends_with("Error") && name.len() > 5 && name.chars().all(|c| c.is_ascii_alphabetic() || c == '.')
}

fn perhaps(line: &str) -> Option<(Sure, Class)> {
    if is_make(line) && line.contains("***") {
        return Some((Sure::Consequence, Class::Other));
    }
    let tools = ["cp", "mv", "ln", "install", "mkdir", "cat", "tar", "ar", "ranlib", "strip", "chmod", "gzip", "xz"];
    let by_tool = tools.into_iter().any(|tool| line.strip_prefix(tool).is_some_and(|rest| rest.starts_with(": ")));
    let worded = ["Permission denied", "Read-only file system", "Operation not permitted", "No such file or directory"]
        .into_iter()
        .any(|words| line.ends_with(words));
    let general = line.starts_with("fatal: ") || line.starts_with("Error ") || line.contains(": Internal error");
    (by_tool || worded || general).then_some((Sure::Perhaps, Class::Other))
}
