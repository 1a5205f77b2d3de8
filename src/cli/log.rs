//! `crossmill log`, `crossmill reproduce` and `crossmill timeline`: output about earlier runs.

use super::options::PathArgs;
use super::{CliError, CliResult, run_log};
use crate::base::{Diagnostic, files, suggest};
use crate::plan::KeyInputs;
use crate::report;
use crate::store::Store;
use clap::Args;
use std::path::{Path, PathBuf};

/// Show the log of a stage, as `crossmill log arm64/gcc`
#[derive(Debug, Args)]
pub struct Log {
    /// The stage
    stage: String,
    /// Only this step
    step: Option<String>,
    /// Only the files' names
    #[arg(long)]
    path: bool,
    #[command(flatten)]
    paths: PathArgs,
}

/// Print a shell script that runs a stage's steps by hand
#[derive(Debug, Args)]
pub struct Reproduce {
    /// The stage, as `arm64/gcc`
    stage: String,
    /// Write it to this file instead
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    paths: PathArgs,
}

/// Draw the timeline of a run, and its table, as an HTML page
#[derive(Debug, Args)]
pub struct Timeline {
    /// The run; the newest if none is named
    run: Option<String>,
    /// Write it to this file instead
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    paths: PathArgs,
}

impl Log {
    /// Prints the output.
    pub fn run(self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let dir = stage_dirs(&store, &self.stage)?;
        let mut logs = logs_in(&dir)?;
        if let Some(step) = &self.step {
            let named = |path: &PathBuf| step_of(path) == *step;
            if !logs.iter().any(named) {
                let steps: Vec<_> = logs.iter().map(|log| step_of(log)).collect();
                let mut problem = Diagnostic::new(format!("`{}` has no log of a step `{step}`", self.stage));
                problem.hints = suggest::hints(step, "steps", steps.iter().map(String::as_str));
                return Err(problem.into());
            }
            logs.retain(named);
        }
        if logs.is_empty() {
            let problem = Diagnostic::new(format!("`{}` has no log", self.stage));
            return Err(problem.hint("it has not been started with its present sources and options").into());
        }
        for log in logs {
            if self.path {
                super::print(&format!("{}\n", log.display()))?;
            } else {
                super::print(&format!("==> {} <==\n", log.display()))?;
                let file = fs_err::File::open(&log)?;
                super::stream(|out| plain(std::io::BufReader::with_capacity(1 << 16, file), out))?;
            }
        }
        Ok(super::exit::DONE)
    }
}

/// Copies a log without terminal control sequences: a compiler, or a source line that it quotes, may print anything.
/// Control characters are shown as by `cat -v`; only one chunk is kept in memory.
fn plain(mut log: impl std::io::BufRead, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut lead = false;
    loop {
        let piece = log.fill_buf()?;
        if piece.is_empty() {
            return if lead { out.write_all(&[0xc2]) } else { Ok(()) };
        }
        let mut shown = Vec::with_capacity(piece.len());
        for byte in piece.iter().copied() {
            // U+0080 to U+009F, which some terminals obey too, are 0xc2 and one more byte.
            match (std::mem::take(&mut lead), byte) {
                (true, 0x80..=0x9f) => shown.extend([b'M', b'-', b'^', byte ^ 0xc0]),
                (led, byte) => {
                    if led {
                        shown.push(0xc2);
                    }
                    match byte {
                        0xc2 => lead = true,
                        b'\n' | b'\t' => shown.push(byte),
                        byte if byte.is_ascii_control() => shown.extend([b'^', byte ^ 0x40]),
                        _ => shown.push(byte),
                    }
                }
            }
        }
        out.write_all(&shown)?;
        let count = piece.len();
        log.consume(count);
    }
}

// The logs of the first directory that has any, in the order of their steps.
fn logs_in(dirs: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    for dir in dirs.iter().map(|dir| dir.join("logs")) {
        let names = files::names_in(&dir)?;
        let logs: Vec<_> = names.iter().filter(|name| name.ends_with(".log")).map(|name| dir.join(name)).collect();
        if !logs.is_empty() {
            return Ok(logs);
        }
    }
    Ok(Vec::new())
}

fn step_of(log: &Path) -> String {
    let stem = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.split_once('-').map_or(stem.clone(), |(_, step)| step.to_owned())
}

impl Reproduce {
    /// Prints or writes it.
    pub fn run(self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let places = stage_dirs(&store, &self.stage)?;
        let scripts = places.iter().flat_map(|dir| [dir.join("reproduce.sh"), dir.join("logs/reproduce.sh")]);
        let mut script = None;
        for file in scripts {
            script = script.or(files::read_if_present(&file)?);
        }
        let Some(script) = script else {
            return Err(Diagnostic::new(format!("`{}` has not been started yet", self.stage)).into());
        };
        let script = String::from_utf8_lossy(&script).into_owned();
        match self.output {
            Some(path) => fs_err::write(path, script)?,
            None => super::print(&script)?,
        }
        Ok(super::exit::DONE)
    }
}

impl Timeline {
    /// Prints or writes it.
    pub fn run(self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let found = run_log::find(&store, self.run.as_deref())?;
        let page = report::timeline::html(&found.log.model);
        match self.output {
            Some(path) => fs_err::write(path, page)?,
            None => super::print(&page)?,
        }
        Ok(super::exit::DONE)
    }
}

// Directories of a stage's logs: its unfinished work first, which is newer.
pub(super) fn stage_dirs(store: &Store, stage: &str) -> Result<Vec<PathBuf>, CliError> {
    let Some(named) = store.recall::<KeyInputs>(stage)? else {
        let names = store.names()?;
        let stages = names.iter().map(String::as_str).filter(|name| !name.starts_with("source/"));
        let mut problem = Diagnostic::new(format!("no stage `{stage}` was ever started with this store"));
        problem.hints = suggest::hints(stage, "stages", stages);
        return Err(problem.into());
    };
    Ok(vec![store.work_dir(&named.key), store.stage_dir(&named.key)])
}
