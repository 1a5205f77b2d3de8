//! Reduces the preprocessed source of a compiler crash with C-Vise: the smallest file that still crashes the compiler in
//! the same way is what a bug report needs.

use super::workspace::quote;
use crate::base::Diagnose;
use crate::base::files;
use crate::config::host_tools::{Find, HostTools};
use crate::host::machine::Machine;
use crate::host::tools::{self, Host as _};
use crate::process::Tool;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The tool of host-tools.toml.
const REDUCER: &str = "cvise";
/// The evidence of a crash, beside the logs of its stage.
const COMMAND: &str = "compiler-crash.sh";
const SOURCE: &str = "compiler-crash.i";
/// What a reduction adds to it.
const REDUCED: &str = "compiler-crash.reduced.i";
const TEST: &str = "compiler-crash.test.sh";
/// Words before the compiler's own description of a crash.
const MARK: &str = "internal compiler error: ";
/// The shortest time limit of a compilation, and how many times longer than the first one it may take.
const SHORTEST: Duration = Duration::from_secs(10);
const SLOWER: u32 = 10;

/// Why nothing is reduced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stage has no evidence.
    #[error("`{stage}` has no evidence of a compiler crash")]
    NoEvidence {
        /// The stage.
        stage: String,
    },
    /// The reducer is not installed.
    #[error("`{REDUCER}` is not installed")]
    NotInstalled {
        /// The command that installs it, where a package manager is known.
        install: Option<Vec<String>>,
    },
    /// The compiler does not crash.
    #[error("the compiler does not crash on `{file}`: {said}")]
    NoCrash {
        /// The preprocessed source.
        file: PathBuf,
        /// The last line that it printed.
        said: String,
    },
    /// The reducer failed.
    #[error("`{REDUCER}` ended with {0}")]
    Failed(std::process::ExitStatus),
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoEvidence { .. } => {
                vec!["it is kept beside the logs of a stage that failed with an internal compiler error, until its next build".into()]
            }
            Self::NotInstalled { install } => {
                install.iter().map(|command| format!("install it: `{}`", command.join(" "))).collect()
            }
            Self::NoCrash { .. } => {
                vec!["the preprocessed source may not be enough, or the memory of this machine is not sound".into()]
            }
            Self::Failed(_) => vec!["its messages are above".into()],
            Self::Io(error) => crate::base::access::hints(error),
        }
    }
}

/// A reduced source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// The file.
    pub path: PathBuf,
    /// The test that accepts it, to be run in its directory.
    pub test: PathBuf,
    /// The compiler's description of the crash.
    pub crash: String,
    /// Lines and bytes before.
    pub before: (usize, usize),
    /// Lines and bytes now.
    pub after: (usize, usize),
}

/// Returns the path of the reducer.
pub fn reducer(tools: &HostTools, machine: &Machine) -> Result<PathBuf, Error> {
    let report = tools::examine(tools, &[REDUCER.to_owned()], machine);
    let described = tools.tools.iter().find(|tool| tool.name == REDUCER);
    let program = match described.map(|tool| &tool.find) {
        Some(Find::Program { names, .. }) => names.iter().find_map(|name| machine.find_program(name)),
        _ => None,
    };
    program.filter(|_| report.is_good()).ok_or(Error::NotInstalled { install: report.install })
}

/// Reduces the source that the logs of a stage have, in one of `dirs`. The reducer's own messages go to stderr.
pub fn reduce(stage: &str, dirs: &[PathBuf], reducer: &Path, jobs: usize) -> Result<Reduced, Error> {
    let logs = dirs
        .iter()
        .map(|dir| dir.join("logs"))
        .find(|logs| logs.join(SOURCE).is_file() && logs.join(COMMAND).is_file());
    let logs = logs.ok_or_else(|| Error::NoEvidence { stage: stage.to_owned() })?;
    let command = Command::read(&logs.join(COMMAND))?.ok_or_else(|| Error::NoEvidence { stage: stage.to_owned() })?;
    let scratch = tempfile::tempdir()?;
    let (source, test) = (scratch.path().join(SOURCE), scratch.path().join(TEST));
    fs_err::copy(logs.join(SOURCE), &source)?;
    write_script(&test, &command.test("", Duration::from_secs(600)))?;
    let began = Instant::now();
    let output = Tool::new(&test).arg("show").dir(scratch.path()).run(io::empty())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(crash) = said.lines().find_map(|line| line.split_once(MARK)).map(|(_, crash)| crash.trim().to_owned())
    else {
        let said = said.lines().last().unwrap_or("it printed nothing").to_owned();
        return Err(Error::NoCrash { file: logs.join(SOURCE), said });
    };
    write_script(&test, &command.test(&crash, (began.elapsed() * SLOWER).max(SHORTEST)))?;
    let tool = Tool::new(reducer).args(["--n", &jobs.to_string()]).arg(&test).arg(SOURCE).dir(scratch.path());
    let status = tool.attached()?;
    if !status.success() {
        return Err(Error::Failed(status));
    }
    let (path, kept) = (logs.join(REDUCED), logs.join(TEST));
    let (before, after) = (fs_err::read(logs.join(SOURCE))?, fs_err::read(&source)?);
    files::write_atomic(&path, &after)?;
    fs_err::copy(&test, &kept)?;
    Ok(Reduced { path, test: kept, crash, before: size(&before), after: size(&after) })
}

fn size(text: &[u8]) -> (usize, usize) {
    (text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count(), text.len())
}

fn write_script(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::write(path, text)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// The command of a crash.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    /// The directory, quoted for a shell.
    dir: String,
    /// The command, as a shell reads it.
    text: String,
}

impl Command {
    // Reads what `stage/evidence.rs` writes.
    fn read(path: &Path) -> Result<Option<Self>, Error> {
        Ok(Self::parse(&fs_err::read_to_string(path)?))
    }

    fn parse(script: &str) -> Option<Self> {
        let rest = script.strip_prefix("#!/bin/sh\ncd ")?;
        let (dir, text) = rest.split_once(" || exit\n")?;
        Some(Self { dir: dir.to_owned(), text: text.trim().to_owned() })
    }

    fn language(&self) -> &'static str {
        let mut words = self.text.split_whitespace();
        let is_driver = words.next().is_some_and(|program| program.ends_with("++"));
        let ends = |word: &str| [".cc", ".cpp", ".cxx", ".C"].iter().any(|end| word.ends_with(end));
        if is_driver || words.any(ends) { "c++-cpp-output" } else { "cpp-output" }
    }

    /// Returns the script that exits with 0 while the compiler crashes as described. With an argument it prints what the
    /// compiler prints.
    fn test(&self, crash: &str, limit: Duration) -> String {
        let Self { dir, text } = self;
        let (language, limit, crash) = (self.language(), limit.as_secs().max(1), quote(&format!("{MARK}{crash}")));
        format!(
            r#"#!/bin/sh
# Exits with 0 while the compiler crashes on {SOURCE} of the working directory as it did.
show=$1
source=$PWD/{SOURCE}
cd {dir} || exit 1
set -- {text}
compiler=$1
shift
# What belongs to the preprocessor, the output and the original source is left out.
skip=
for word do
  shift
  if [ "$skip" ]; then skip=; continue; fi
  case $word in
  -o | -x | -D | -U | -I | -include | -imacros | -isystem | -iquote | -idirafter | -MF | -MT | -MQ) skip=1 ;;
  -o* | -D* | -U* | -I* | -M | -MM | -MD | -MMD | -MP | -MG | -MF* | -MT* | -MQ* | -Wp,* | -isystem* | -iquote*) ;;
  -*) set -- "$@" "$word" ;;
  *.c | *.cc | *.cpp | *.cxx | *.C | *.i | *.ii | *.S | *.s | *.m) ;;
  *) set -- "$@" "$word" ;;
  esac
done
LC_ALL=C
export LC_ALL
if [ "$show" ]; then
  timeout {limit} "$compiler" "$@" -x {language} -o /dev/null "$source" 2>&1
  exit
fi
timeout {limit} "$compiler" "$@" -x {language} -o /dev/null "$source" 2>&1 | grep -qF {crash}
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_read_and_its_language_known() {
        let read = |command: &str| Command::parse(&format!("#!/bin/sh\ncd '/a b' || exit\n{command}\n")).unwrap();
        let command = read("gcc -c x.c -o x.o");
        assert_eq!(command, Command { dir: "'/a b'".into(), text: "gcc -c x.c -o x.o".into() });
        assert_eq!(command.language(), "cpp-output");
        assert_eq!(read("m68k-linux-g++ -c x").language(), "c++-cpp-output");
        assert_eq!(read("cc -c x.cc").language(), "c++-cpp-output");
        assert_eq!(Command::parse("gcc -c x.c"), None);
    }

    // The script that is written, with a compiler that prints its arguments.
    #[test]
    fn the_test_leaves_out_what_belongs_to_the_original_source() {
        let dir = tempfile::tempdir().unwrap();
        let printer = dir.path().join("g++");
        write_script(&printer, "#!/bin/sh\necho \"x.c:1: internal compiler error: in f, at g.cc:1\"\necho \"$@\"\n")
            .unwrap();
        let text = "../g++ -c -O2 -I a -DX='a b' -MD -MF d --param x=y 'b c.cc' -o x.o -fPIC";
        fs_err::create_dir(dir.path().join("sub")).unwrap();
        let command = Command { dir: dir.path().join("sub").display().to_string(), text: text.into() };
        let test = dir.path().join("test.sh");
        let run = |crash: &str, args: &[&str]| {
            write_script(&test, &command.test(crash, SHORTEST)).unwrap();
            Tool::new(&test).args(args).dir(dir.path()).run(io::empty()).unwrap()
        };
        let shown = String::from_utf8(run("", &["show"]).stdout).unwrap();
        let source = dir.path().join(SOURCE).display().to_string();
        let wanted = format!("-c -O2 --param x=y -fPIC -x c++-cpp-output -o /dev/null {source}");
        assert_eq!(shown.lines().last(), Some(wanted.as_str()));
        assert!(run("in f, at g.cc:1", &[]).status.success());
        assert!(!run("in f, at g.cc:12", &[]).status.success());
    }
}
