//! `crossmill targets`.

use super::options::Place;
use super::session::Session;
use super::{Outcome, Trouble, prove};
use crate::report::targets::{self as report, Form};
use clap::Args;

/// List the targets of the matrix, or all that is known of one
///
/// `crossmill targets show sparc64`, or without `show`, tells everything known
/// of one: its options and other peculiarities with their reasons and sources,
/// and what was last proven of it (docs/matrix.md).
#[derive(Debug, Args)]
pub struct Targets {
    /// Everything known of this one
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
    place: Place,
}

impl Targets {
    /// Lists.
    pub fn run(self) -> Outcome {
        let session = Session::open(&self.place)?;
        let matrix = &session.config.matrix;
        let form = match (self.json, self.markdown) {
            (true, _) => Form::Json,
            (_, true) => Form::Markdown,
            _ => Form::Text,
        };
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let one = match words.as_slice() {
            [] => None,
            ["show"] => return Err(Trouble::usage("`crossmill targets show` wants a target: see `crossmill targets`")),
            ["show", name] | [name] => Some(*name),
            [_, _, ..] => return Err(Trouble::usage("one target at a time: `crossmill targets show TARGET`")),
        };
        let text = match one {
            None if self.settings => report::settings(matrix, self.json),
            None => report::list(matrix, &prove::kept(&session)?.unwrap_or_default(), form),
            Some(name) => report::one(matrix.target(name)?, matrix, &prove::kept(&session)?.unwrap_or_default(), form),
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
