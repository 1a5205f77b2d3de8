//! A TOML file being read: its text stays at hand so that every problem found
//! later can still name its line.

use super::toml_error;
use crate::base::{Diagnostic, Location};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file's path and text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    path: Arc<Path>,
    text: Arc<str>,
}

/// A string of a file, with its place.
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

    /// Takes text that is there already.
    pub fn from_text(path: &Path, text: String) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that its relative paths start from.
    pub fn dir(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new(".")).to_owned()
    }

    /// Reads the shape; unknown keys and wrong types are diagnosed with their line.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        toml::from_str(&self.text).map_err(|error| toml_error::diagnose(&self.path, &self.text, &error))
    }

    /// The place of a byte range.
    pub fn location(&self, span: Range<usize>) -> Location {
        Location::of_span(&self.path, &self.text, span)
    }

    /// A diagnostic at a value's place.
    pub fn error<T>(&self, value: &toml::Spanned<T>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(self.location(value.span()))
    }

    /// A string with its place.
    pub fn placed(&self, text: &toml::Spanned<String>) -> Placed {
        Placed { text: text.get_ref().clone(), file: self.clone(), span: text.span() }
    }
}

impl Placed {
    /// A diagnostic at its place.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(self.file.location(self.span.clone()))
    }
}
