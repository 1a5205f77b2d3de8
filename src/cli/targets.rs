//! `crossmill targets`.

use super::options::PathArgs;
use super::{CliError, CliResult, record};
use crate::report::targets::{self as report, Form};
use clap::Args;

/// List the targets of the matrix, or show one in full
///
/// `crossmill targets show sparc64`, or without `show`, prints a target's options
/// and quirks with their reasons and sources, and its last recorded results
/// (docs/matrix.md).
#[derive(Debug, Args)]
pub struct Targets {
    /// Show this target: its name, an alias or a GNU triple
    #[arg(value_name = "[show] TARGET", num_args = 0..=2)]
    words: Vec<String>,
    /// List the settings that `--set` turns, the profiles and the release sets
    #[arg(long, conflicts_with = "words")]
    settings: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// As Markdown
    #[arg(long, conflicts_with_all = ["json", "settings"])]
    markdown: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Targets {
    /// Lists.
    pub fn run(self) -> CliResult {
        let session = self.paths.session()?;
        let matrix = &session.config.matrix;
        let form = match (self.json, self.markdown) {
            (true, _) => Form::Json,
            (_, true) => Form::Markdown,
            _ => Form::Text,
        };
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let one = match words.as_slice() {
            [] => None,
            ["show"] => {
                return Err(CliError::usage("`crossmill targets show` wants a target: see `crossmill targets`"));
            }
            ["show", name] | [name] => Some(*name),
            [_, _, ..] => return Err(CliError::usage("one target at a time: `crossmill targets show TARGET`")),
        };
        let text = match one {
            None if self.settings => report::settings(matrix, self.json),
            None => report::list(matrix, &record::kept(&session)?.unwrap_or_default(), form),
            Some(name) => report::one(matrix.target(name)?, matrix, &record::kept(&session)?.unwrap_or_default(), form),
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
