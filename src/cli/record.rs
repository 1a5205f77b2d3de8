//! `crossmill record`, and `crossmill build --record`.

use super::options::PathArgs;
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, Key, files};
use crate::plan::KeyInputs;
use crate::process::{Usage, probe};
use crate::record::{self, History, Record, StoredResult, gather::World};
use crate::run::Session;
use crate::run::log::{RunModel, event_log};
use crate::store::Store;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keep the results of runs in docs/matrix.json and docs/matrix.md
///
/// The newest result of each target replaces the recorded one; a target without a newer run keeps
/// its older result. Without names, all runs of the store that came to an end are read.
#[derive(Debug, Args)]
pub struct RecordCommand {
    /// Names of runs to read (see `crossmill runs`)
    runs: Vec<String>,
    /// Directory of matrix.json and matrix.md, instead of docs/ beside targets.toml
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write nothing; exit with 1 if the files are out of date
    #[arg(long)]
    check: bool,
    /// Read no run: check the files only, or render matrix.md from matrix.json again
    #[arg(long, conflicts_with = "runs")]
    no_runs: bool,
    /// Print the record as JSON as well
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl RecordCommand {
    /// Writes or checks.
    pub fn run(self) -> CliResult {
        let session = self.paths.session()?;
        let docs = docs(&session, self.out.as_deref())?;
        let wanted = match (self.no_runs, self.runs.is_empty()) {
            (true, _) => Wanted::None,
            (false, true) => Wanted::Ended,
            (false, false) => Wanted::Named(self.runs),
        };
        let files = Files::of(&session, &docs, &wanted)?;
        if self.json {
            super::print(&files.json)?;
        }
        if self.check { files.check(&docs) } else { files.write(&docs) }
    }
}

/// Which runs are read.
pub(super) enum Wanted {
    None,
    /// Every one that came to an end.
    Ended,
    Named(Vec<String>),
}

/// Adds the results of a run to the files.
pub(super) fn record(session: &Session, run: &str) -> Result<(), CliError> {
    let docs = docs(session, None)?;
    let files = Files::of(session, &docs, &Wanted::Named(vec![run.to_owned()]))?;
    files.write(&docs).map(|_| ())
}

/// Returns where the files are to be; refused before an hour of building rather than after it.
pub(super) fn docs(session: &Session, out: Option<&Path>) -> Result<PathBuf, CliError> {
    let docs = out.map_or_else(|| session.data.join("docs"), Path::to_owned);
    if docs.is_dir() {
        return Ok(docs);
    }
    let problem = Diagnostic::new(format!("directory `{}` does not exist", docs.display()));
    Err(problem.hint("`crossmill record --out DIR` writes matrix.json and matrix.md elsewhere").into())
}

/// Returns the record that is kept beside the targets, if there is one.
pub(super) fn kept(session: &Session) -> Result<Option<Record>, CliError> {
    read(&session.data.join("docs").join(record::JSON))
}

fn read(path: &Path) -> Result<Option<Record>, CliError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let record = Record::parse(&text).map_err(|why| {
        let problem = Diagnostic::new(format!("{} is not what `crossmill record` writes", path.display())).cause(why);
        problem.hint("restore the file, or remove it and record the runs again")
    })?;
    Ok(Some(record))
}

// The files as they are to be.
struct Files {
    json: String,
    markdown: String,
    notes: Vec<String>,
    unknown: Vec<String>,
}

impl Files {
    fn of(session: &Session, docs: &Path, wanted: &Wanted) -> Result<Self, CliError> {
        let mut record = read(&docs.join(record::JSON))?.unwrap_or_default();
        // Files that are kept beside targets.toml speak of its targets, not of a user's own.
        let bare = if docs == session.data.join("docs") { Some(session.config_without_overlays()?) } else { None };
        let config = bare.as_ref().unwrap_or(&session.config);
        let mut notes = Vec::new();
        if !matches!(wanted, Wanted::None) {
            let store = session.store()?;
            // Every log is read, for a run that found a result ready does not know what it took.
            let all = models(&store, &mut notes)?;
            let history = History::of(all.values());
            let world = World {
                config,
                history: &history,
                look: &|key| look(&store, key),
                hide: &|text| hide(&store, &session.data, text),
                cores: probe::processors(),
            };
            for model in chosen(&all, wanted, &mut notes)? {
                notes.extend(record::merge(&mut record, record::gather(model, &world)));
            }
        }
        let unknown: Vec<String> =
            record.targets.keys().filter(|name| !config.matrix.targets.contains_key(name.as_str())).cloned().collect();
        record.targets.retain(|name, _| !unknown.contains(name));
        let json = record::text(&record).map_err(|error| CliError::usage(error.to_string()))?;
        Ok(Self { json, markdown: record::markdown::text(&record), notes, unknown })
    }

    fn each(&self) -> [(&'static str, &str); 2] {
        [(record::JSON, &self.json), (record::MARKDOWN, &self.markdown)]
    }

    fn write(&self, docs: &Path) -> CliResult {
        self.tell();
        for name in &self.unknown {
            errln!("warning: `{name}` is no longer a target; its results are dropped");
        }
        for (name, text) in self.each() {
            let path = docs.join(name);
            files::write_atomic(&path, text.as_bytes())?;
            errln!("wrote {}", path.display());
        }
        Ok(exit::DONE)
    }

    fn check(&self, docs: &Path) -> CliResult {
        self.tell();
        let mut good = true;
        for name in &self.unknown {
            errln!("error: {} names `{name}`, which is not a target of the matrix", docs.join(record::JSON).display());
            good = false;
        }
        for (name, text) in self.each() {
            let path = docs.join(name);
            if files::read_if_present(&path)?.as_deref() != Some(text.as_bytes()) {
                errln!("error: {} is not what `crossmill record` writes", path.display());
                good = false;
            }
        }
        Ok(if good { exit::DONE } else { exit::FAILED })
    }

    fn tell(&self) {
        for line in &self.notes {
            errln!("note: {line}");
        }
    }
}

// All runs of the store in the order they began; the names begin with the time.
fn models(store: &Store, notes: &mut Vec<String>) -> Result<BTreeMap<String, RunModel>, CliError> {
    let mut models = BTreeMap::new();
    for name in files::names_in(&store.root().join("runs"))? {
        let log = store.run_dir(&name).join("events.jsonl");
        if files::lstat(&log)?.is_none() {
            continue;
        }
        match event_log::read_model(&log) {
            Ok(model) => {
                models.insert(name, model);
            }
            Err(error) => notes.push(format!("{name} cannot be read: {}", Diagnostic::from_error(&error).message)),
        }
    }
    Ok(models)
}

fn chosen<'a>(
    all: &'a BTreeMap<String, RunModel>,
    wanted: &Wanted,
    notes: &mut Vec<String>,
) -> Result<Vec<&'a RunModel>, CliError> {
    let Wanted::Named(names) = wanted else {
        let open = all.iter().filter(|(_, model)| model.totals.is_none());
        notes.extend(open.map(|(name, _)| format!("{name} did not come to an end, or goes on: not read unless named")));
        return Ok(all.values().filter(|model| model.totals.is_some()).collect());
    };
    if let Some(name) = names.iter().find(|name| !all.contains_key(*name)) {
        let mut problem = Diagnostic::new(format!("the store has no run `{name}`"));
        problem.hints = crate::base::suggest::hints(name, "runs", all.keys().map(String::as_str));
        return Err(problem.into());
    }
    Ok(all.iter().filter(|(name, _)| names.contains(name)).map(|(_, model)| model).collect())
}

fn look(store: &Store, key: &Key) -> Option<StoredResult> {
    let record = store.record::<KeyInputs>(key).ok()?;
    let tools = record.inputs.iter().filter_map(|input| {
        let name = input.what.strip_prefix("host tool `")?.strip_suffix('`')?;
        Some((name.to_owned(), input.value.clone()))
    });
    let tools = tools.collect();
    let usage = Usage { wall: record.wall, user: record.cpu, system: 0.0, max_rss_kib: record.max_rss_kib };
    Some(StoredResult { usage, bytes: record.bytes, tools })
}

// Published records must not contain paths of this machine.
fn hide(store: &Store, data: &Path, text: &str) -> String {
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let mut text = text.replace(&store.root().display().to_string(), "STORE");
    if let Ok(data) = fs_err::canonicalize(data) {
        text = text.replace(&data.display().to_string(), "DATA");
    }
    if let Some(home) = home {
        text = text.replace(&home, "~");
    }
    text
}
