//! A release for people: a page, and notes as Markdown.

pub mod notes;
pub mod page;

use crate::publish::index::Index;
use std::collections::BTreeMap;

/// Returns both, by their file names; the arguments are those of [`notes::markdown`].
#[must_use]
pub fn pages(
    index: &Index,
    lacking: &BTreeMap<String, String>,
    earlier: Option<&Index>,
) -> Vec<(&'static str, String)> {
    vec![("RELEASE.md", notes::markdown(index, lacking, earlier)), ("index.html", page::html(index))]
}
