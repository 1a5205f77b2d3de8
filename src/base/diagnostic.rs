//! One shape for everything that is told to a person: what, where, why, what
//! to do next.
//!
//! ```text
//! error: unknown key `confgure`
//!   --> recipes/gcc.toml:12:1
//!    |
//! 12 | confgure = []
//!    | ^^^^^^^^
//! hint: valid keys are `build`, `configure`, `install`
//! ```

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a text file: one-based line and column, and that line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
    /// The line itself; empty where there is nothing to show.
    pub text: String,
    /// How many characters of it are meant.
    pub width: usize,
}

impl Location {
    /// The place of the byte range `span` in `text`, the content of `file`.
    /// A span past the end is clamped.
    pub fn of_span(file: &Path, text: &str, span: Range<usize>) -> Self {
        let start = floor_char(text, span.start);
        let end = floor_char(text, span.end.max(span.start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_text = text[line_start..].lines().next().unwrap_or("");
        let column = text[line_start..start].chars().count() + 1;
        let meant = text[start..end].lines().next().unwrap_or("");
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            text: line_text.to_owned(),
            width: meant.chars().count().max(1),
        }
    }

    /// A whole file, where no line can be named.
    pub fn of_file(file: &Path) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, text: String::new(), width: 0 }
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A message with its place, its causes and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// Where, when it is in a file of the user's.
    pub at: Option<Box<Location>>,
    /// Why: each line explains the one before it.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// A message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, causes: Vec::new(), hints: Vec::new() }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.at = Some(Box::new(location));
        self
    }

    /// Adds one line of what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds one cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// An error and its chain of sources.
    pub fn from_error<E: Diagnose + ?Sized>(error: &E) -> Self {
        let mut causes = Vec::new();
        let mut last = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some libraries repeat their cause in their own message.
            if !last.contains(&text) {
                causes.push(text.clone());
            }
            last = text;
            source = cause.source();
        }
        Self { message: error.to_string(), at: error.location().map(Box::new), causes, hints: error.hints() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(at) = &self.at {
            if at.line == 0 {
                write!(f, "\n  --> {}", at.file.display())?;
            } else {
                let number = at.line.to_string();
                let pad = " ".repeat(number.len());
                write!(f, "\n{pad} --> {}:{}:{}", at.file.display(), at.line, at.column)?;
                if !at.text.trim().is_empty() {
                    // A tab is one column here so that the mark stays below its word.
                    let text = at.text.replace('\t', " ");
                    let mark = " ".repeat(at.column - 1) + &"^".repeat(at.width);
                    write!(f, "\n{pad} |\n{number} | {text}\n{pad} | {mark}")?;
                }
            }
        }
        for cause in &self.causes {
            write!(f, "\ncause: {cause}")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// What an error of any layer can say beyond its message.
pub trait Diagnose: std::error::Error {
    /// The place in a file of the user's.
    fn location(&self) -> Option<Location> {
        None
    }

    /// What to do next.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_with_its_line() {
        let text = "name = \"gcc\"\nconfgure = []\n";
        let at = Location::of_span(Path::new("recipes/gcc.toml"), text, 13..21);
        let shown = Diagnostic::new("unknown key `confgure`").at(at).hint("did you mean `configure`?");
        insta::assert_snapshot!(shown, @r"
        error: unknown key `confgure`
          --> recipes/gcc.toml:2:1
          |
        2 | confgure = []
          | ^^^^^^^^
        hint: did you mean `configure`?
        ");
    }

    #[test]
    fn a_span_beyond_the_end_or_inside_a_character_is_clamped() {
        let at = Location::of_span(Path::new("x"), "ä", 1..99);
        assert_eq!((at.line, at.column), (1, 1));
    }
}
