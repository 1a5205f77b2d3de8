//! Evidence of a compiler crash: its command as a script, and the preprocessed source. Both are beside the
//! logs of the stage. What cannot be gathered is left out: the failure itself is reported in any case.

use super::build::Runner;
use crate::plan::job::JobStep;
use crate::process;
use crate::run::build_log::{self, CrashedCommand};
use crate::run::workspace::Workspace;
use crate::store::Lock;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

/// The preprocessed source is written where steps may write, and kept beside the logs.
const SOURCE: &str = "compiler-crash.i";
/// The longest that a command for evidence may take.
const LONGEST: Duration = Duration::from_secs(300);

impl Runner<'_> {
    /// Returns the files that show the crash in `log`.
    pub(super) async fn crash_evidence(
        &self,
        space: &Workspace,
        lock: &Lock,
        step: &JobStep,
        log: &Path,
    ) -> Vec<String> {
        let logs = space.root().join("logs");
        let mut found = read(log);
        let is_make = step.argv.first().is_some_and(|program| program.ends_with("make"));
        if found.is_none() && is_make {
            // A quiet make shows no commands. Once more, verbose: it repeats what failed and nothing else.
            let again = logs.join("compiler-crash.log");
            let mut command = self.command(space, lock, step, &again);
            command.env.insert("MAKEFLAGS".into(), "-j1 V=1".into());
            if self.try_run(command, &again).await {
                let text = "the compiler did not crash a second time: is the memory of this machine sound?";
                self.context.emitter.notice(Some(&self.work.name), true, text);
            }
            found = read(&again);
        }
        let Some(found) = found else { return Vec::new() };
        let build = space.root().join("build");
        let dir = found.dir.unwrap_or_else(|| build.display().to_string());
        let script = logs.join("compiler-crash.sh");
        let text = format!("#!/bin/sh\ncd {} || exit\n{}\n", crate::run::workspace::quote(&dir), found.command);
        if fs_err::write(&script, text).is_err() {
            return Vec::new();
        }
        let mut evidence = vec![script.display().to_string()];
        let source = space.root().join("tmp").join(SOURCE);
        let mut command = self.command(space, lock, step, &logs.join("compiler-crash.log"));
        let preprocess = r#"cd "$0" && eval "$1 -E -o '$2'""#;
        let words = ["/bin/sh", "-c", preprocess, &dir, &without_output(&found.command), &source.display().to_string()];
        command.argv = words.map(str::to_owned).into();
        let kept = logs.join(SOURCE);
        if self.try_run(command, &logs.join("compiler-crash.log")).await && fs_err::copy(&source, &kept).is_ok() {
            evidence.push(kept.display().to_string());
        }
        evidence
    }

    // Whether a command for evidence succeeded.
    async fn try_run(&self, command: process::Command, log: &Path) -> bool {
        let jobs = Some(&self.context.jobs);
        let Ok(mut running) = process::spawn(Path::new("/proc/self/exe"), &command, jobs) else { return false };
        // A crash that does not come again must not finish the build here. Dropping the process ends it.
        let Ok(ended) = tokio::time::timeout(LONGEST, self.attend(&mut running, log)).await else { return false };
        let usage = ended.as_ref().map(|ended| ended.outcome.usage).unwrap_or_default();
        self.context.ledger.end(usage.user + usage.system);
        ended.is_ok_and(|ended| ended.outcome.status.success() && !ended.outcome.stopped)
    }
}

// The compiler proper refuses a second output.
fn without_output(command: &str) -> String {
    let Some((before, rest)) = command.split_once(" -o ") else { return command.to_owned() };
    let rest = rest.trim_start();
    let after = rest.find(char::is_whitespace).map_or("", |at| &rest[at..]);
    format!("{before}{after}")
}

fn read(log: &Path) -> Option<CrashedCommand> {
    build_log::crashed_command(BufReader::new(fs_err::File::open(log).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_taken_out_of_a_command() {
        assert_eq!(without_output("gcc -c x.c -o x.o -O2"), "gcc -c x.c -O2");
        assert_eq!(without_output("gcc -o x.o -c x.c"), "gcc -c x.c");
        assert_eq!(without_output("gcc -c x.c -o x.o"), "gcc -c x.c");
        assert_eq!(without_output("gcc -c x.c"), "gcc -c x.c");
    }
}
