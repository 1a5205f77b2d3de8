//! The evidence of tested commits: kept beside the progress, since the next run of a check replaces its own.

use super::Error;
use crate::base::files;
use crate::run::comparison::spread::History;
use crate::run::comparison::{Comparison, Judging, Subject, compare as compare_runs};
use crate::run::log::RunModel;
use crate::run::log::event_log;
use crate::run::log::model::Stage;
use crate::source::history;
use crate::store::Store;
use std::path::{Path, PathBuf};

/// Larger files are not kept.
const LARGEST: u64 = 8 << 20;
/// Lines of a difference that are shown.
const LINES: usize = 200;
/// The directory of a commit for what is compared; its logs are beside it.
const COMPARED: &str = "evidence";

/// Returns the directory of a commit.
pub fn dir_of(dir: &Path, commit: &str) -> PathBuf {
    dir.join("commits").join(commit)
}

/// Copies the evidence of a run's stages: files that checks name, the first errors and the log of a failed step.
pub fn keep<'a>(dir: &Path, commit: &str, stages: impl Iterator<Item = &'a Stage>) -> Result<(), Error> {
    let dir = dir_of(dir, commit);
    files::remove_tree(&dir)?;
    for stage in stages {
        let name = stage.info.name.replace('/', "@");
        let compared = dir.join(COMPARED).join(&name);
        for file in stage.check_result.iter().flat_map(|result| &result.evidence) {
            copy(Path::new(file), &compared)?;
        }
        if let Some(result) = &stage.check_result {
            fs_err::create_dir_all(&compared)?;
            fs_err::write(compared.join("verdict"), result.to_string())?;
        }
        if let Some(failure) = &stage.failure {
            fs_err::create_dir_all(&compared)?;
            fs_err::write(compared.join("first-errors"), failure.excerpt.join("\n") + "\n")?;
            for file in std::iter::once(&failure.log).chain(&failure.evidence) {
                copy(Path::new(file), &dir.join("logs").join(&name))?;
            }
        }
    }
    Ok(())
}

// Evidence that is missing or too large is left out: the verdict does not depend on it.
fn copy(file: &Path, to: &Path) -> Result<(), Error> {
    let (Ok(meta), Some(name)) = (fs_err::symlink_metadata(file), file.file_name()) else { return Ok(()) };
    if meta.is_file() && meta.len() <= LARGEST {
        fs_err::create_dir_all(to)?;
        fs_err::copy(file, to.join(name))?;
    }
    Ok(())
}

/// Compares two runs of the store; `None` if a log is gone.
pub fn compare(store: &Store, old: &str, new: &str) -> Option<Comparison> {
    let model = |run: &str| -> Option<RunModel> {
        event_log::salvage(&store.run_dir(run).join("events.jsonl")).ok().map(|log| log.model)
    };
    let subject = |run: &str| Some(Subject { name: run.to_owned(), model: model(run)?, ..Subject::default() });
    compare_runs(&subject(old)?, &subject(new)?, Judging::Unusual(&History::default())).ok()
}

/// Returns the difference of the evidence of two commits, at most [`LINES`] of it.
pub fn difference(dir: &Path, old: &str, new: &str) -> Result<String, Error> {
    for commit in [old, new] {
        fs_err::create_dir_all(dir_of(dir, commit).join(COMPARED))?;
    }
    let [old, new] = [old, new].map(|commit| Path::new(commit).join(COMPARED));
    let text = history::difference(&dir.join("commits"), &old, &new)?;
    let mut lines: Vec<&str> = text.lines().take(LINES).collect();
    let more = text.lines().count().saturating_sub(LINES);
    let rest = format!("… and {more} lines more");
    if more > 0 {
        lines.push(&rest);
    }
    Ok(lines.iter().flat_map(|line| [line, "\n"]).collect())
}
