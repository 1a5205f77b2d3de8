//! Helper programs that crossmill runs directly: git, patch, gpgv, a package manager, the user's
//! shell.
//!
//! Unlike a step, such a program is short, needs no supervisor, and has
//! crossmill's own environment unless specified otherwise.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;

/// A command line with its environment, ready to run.
#[derive(Debug, Clone)]
pub struct Tool {
    program: OsString,
    args: Vec<OsString>,
    /// A value, or none where a variable is removed.
    env: Vec<(OsString, Option<OsString>)>,
    clean: bool,
    dir: Option<PathBuf>,
}

impl Tool {
    /// A name without a slash is looked up in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), clean: false, dir: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs.into_iter().fold(self, |tool, (name, value)| tool.env(name, value))
    }

    /// Removes variables.
    #[must_use]
    pub fn without_env(mut self, names: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.env.extend(names.into_iter().map(|name| (name.as_ref().to_owned(), None)));
        self
    }

    /// Leaves nothing of crossmill's own environment but these variables.
    #[must_use]
    pub fn only_env<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.clean = true;
        let kept = names.into_iter().filter_map(|name| Some((name.into(), Some(std::env::var_os(name)?))));
        self.env.extend(kept);
        self
    }

    /// Returns the directory it runs in.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if self.clean {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Feeds `input` to it and collects what it writes. It blocks. A program
    /// that ends before it has read everything is no error.
    ///
    /// # Errors
    /// When it cannot be started, or `input` cannot be read; then it is killed.
    pub fn run(&self, mut input: impl Read) -> io::Result<Output> {
        let mut child = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let stdout = scope.spawn(move || drain(stdout));
            let stderr = scope.spawn(move || drain(stderr));
            let fed = stdin.map_or(Ok(()), |mut stdin| feed(&mut input, &mut stdin));
            if fed.is_err() {
                // It may be gone already.
                let _: io::Result<()> = child.kill();
            }
            let status = child.wait();
            let collected = |reader: thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>| {
                reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let (stdout, stderr) = (collected(stdout), collected(stderr));
            fed?;
            Ok(Output { status: status?, stdout: stdout?, stderr: stderr? })
        })
    }

    /// Collects what it writes; it has no input. It is killed when the future is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn output(&self) -> io::Result<Output> {
        let mut command = tokio::process::Command::from(self.command());
        command.stdin(Stdio::null()).kill_on_drop(true).output().await
    }

    /// Returns its output, to be read while it runs; it has no input. It is killed when the stream
    /// is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn stream(&self) -> io::Result<ToolStream> {
        let mut expression = duct::cmd(&self.program, &self.args).stdin_null().stderr_capture().unchecked();
        let env = self.env.clone();
        let (clean, dir) = (self.clean, self.dir.clone());
        expression = expression.before_spawn(move |command| {
            if clean {
                command.env_clear();
            }
            for (name, value) in &env {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            if let Some(dir) = &dir {
                command.current_dir(dir);
            }
            Ok(())
        });
        Ok(ToolStream { handle: expression.reader()? })
    }

    /// Runs it on crossmill's own terminal, its output on stderr. It blocks.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn attached(&self) -> io::Result<ExitStatus> {
        self.command().stdout(io::stderr()).status()
    }

    /// Becomes the program; returns only when that fails.
    #[must_use]
    pub fn replace(&self) -> io::Error {
        self.command().exec()
    }
}

/// The standard output of a running [`Tool`].
#[derive(Debug)]
pub struct ToolStream {
    handle: duct::ReaderHandle,
}

impl ToolStream {
    /// Returns how it ended and what it wrote to stderr; none while it runs, which it does until
    /// its output was read to the end.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn ended(&self) -> io::Result<Option<&Output>> {
        self.handle.try_wait()
    }
}

impl Read for ToolStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.handle.read(buf)
    }
}

fn drain(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes))?;
    Ok(bytes)
}

fn feed(from: &mut impl Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        match to.write_all(&buffer[..count]) {
            // It has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Tool {
        Tool::new("sh").args(["-c", script])
    }

    #[test]
    fn input_and_both_outputs_larger_than_pipes_pass() {
        let input = vec![b'x'; 1 << 20];
        let output = sh("tee /dev/stderr").run(&input[..]).unwrap();
        assert!(output.status.success());
        assert_eq!((output.stdout.len(), output.stderr.len()), (1 << 20, 1 << 20));
    }

    #[test]
    fn a_program_may_leave_its_input() {
        let output = sh("echo enough; exit 3").run(io::repeat(b'x')).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"enough\n"[..]));
    }

    #[test]
    fn input_that_breaks_ends_the_program() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let error = sh("cat >/dev/null; sleep 1000").run(Broken).unwrap_err();
        assert_eq!(error.to_string(), "the disk is gone");
        assert_eq!(Tool::new("as-of-nowhere").run(io::empty()).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_environment_is_what_was_asked_for() {
        let seen = |tool: Tool| String::from_utf8(tool.run(io::empty()).unwrap().stdout).unwrap();
        let script = "echo ${HOME-none} ${WORD-none}";
        assert_eq!(seen(sh(script).only_env(["PATH"]).env("WORD", "this")), "none this\n");
        assert_eq!(seen(sh(script).env("HOME", "/h").env("WORD", "this").without_env(["WORD"])), "/h none\n");
    }

    #[test]
    fn a_stream_is_read_while_the_program_runs() {
        let mut stream = sh("echo $PWD $WORD; cat").dir(Path::new("/")).env("WORD", "this").stream().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/ this\n");
        assert!(stream.ended().unwrap().unwrap().status.success());
    }
}
