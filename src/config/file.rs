//! A TOML file with its text, so that problems found later can be reported with their line.

use super::toml_error;
use crate::base::{Diagnostic, Location, suggest};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// A string with its position in the file.
pub type Text = Spanned<String>;

/// A file's path and text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    path: Arc<Path>,
    text: Arc<str>,
}

/// A string from a file, with its location.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The string.
    pub text: String,
    file: SourceFile,
    span: Range<usize>,
}

impl SourceFile {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let text = fs_err::read_to_string(path).map_err(|error| Diagnostic::new(error.to_string()))?;
        Ok(Self::from_text(path, text))
    }

    /// Creates a file from text that has been read already.
    pub fn from_text(path: &Path, text: String) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory that relative paths in the file are based on.
    pub fn dir(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new(".")).to_owned()
    }

    /// Deserializes the file; unknown keys and wrong types are reported with their line.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        toml::from_str(&self.text).map_err(|error| toml_error::diagnose(&self.path, &self.text, &error))
    }

    /// Returns the location of a byte range.
    pub fn location(&self, span: Range<usize>) -> Location {
        Location::of_span(&self.path, &self.text, span)
    }

    /// Returns a diagnostic at a value's location.
    pub fn error<T>(&self, value: &toml::Spanned<T>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(self.location(value.span()))
    }

    /// Returns a string with its location.
    pub fn placed(&self, text: &toml::Spanned<String>) -> Placed {
        Placed { text: text.get_ref().clone(), file: self.clone(), span: text.span() }
    }
}

impl Placed {
    /// Returns a diagnostic at its location.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(self.file.location(self.span.clone()))
    }
}

/// Returns "unknown WHAT `word`" at its location, with the valid choices as hints.
pub(super) fn unknown<'a>(
    file: &SourceFile,
    word: &toml::Spanned<String>,
    what: &str,
    choices: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let mut problem = file.error(word, format!("unknown {what} `{}`", word.get_ref()));
    problem.hints = suggest::hints(word.get_ref(), &format!("{what}s"), choices);
    problem
}
