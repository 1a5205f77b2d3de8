//! The type of every message to the user: what, where, why, what to do next.
//!
//! ```text
//! error: unknown key `confgure`
//!   --> recipes/gcc.toml:12:1
//!    |
//! 12 | confgure = []
//!    | ^^^^^^^^
//! hint: valid keys are `build`, `configure`, `install`
//! ```

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a text file: one-based line and column, and that line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// The line number, from 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The text of the line; empty if there is none to show.
    pub text: String,
    /// Number of characters to mark.
    pub width: usize,
}

impl Location {
    /// Returns the location of the byte range `span` in `text`, the content of `file`. A span past
    /// the end is clamped.
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

    /// Returns the location of a whole file, for problems without a line.
    pub fn of_file(file: &Path) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, text: String::new(), width: 0 }
    }

    /// Returns the location with its marked line, if there is one to show.
    fn shown(&self) -> String {
        let file = self.file.to_string_lossy();
        if self.line == 0 {
            return format!("  --> {file}");
        }
        if self.text.trim().is_empty() {
            let pad = " ".repeat(self.line.to_string().len());
            return format!("{pad} --> {file}:{}:{}", self.line, self.column);
        }
        let byte = |character| self.text.char_indices().nth(character).map_or(self.text.len(), |(at, _)| at);
        let start = self.column.saturating_sub(1);
        let meant = AnnotationKind::Primary.span(byte(start)..byte(start + self.width));
        let snippet = Snippet::source(self.text.as_str()).line_start(self.line).path(file).annotation(meant);
        let report = [Group::with_level(Level::ERROR).element(snippet)];
        format!(" {}", Renderer::plain().render(&report).trim_end())
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A message with its location, its causes and hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Description of the problem: a lowercase fragment without a full stop.
    pub message: String,
    /// Where, if it is in one of the user's files.
    pub at: Option<Box<Location>>,
    /// Why: each line explains the one before it.
    pub causes: Vec<String>,
    /// Advice on what to do next.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// Creates a message without location, causes or hints.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, causes: Vec::new(), hints: Vec::new() }
    }

    /// Adds the location.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.at = Some(Box::new(location));
        self
    }

    /// Adds a hint.
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

    /// Creates a message from an error and its chain of sources.
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
            write!(f, "\n{}", at.shown())?;
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

/// The location and hints that an error provides beyond its message.
pub trait Diagnose: std::error::Error {
    /// Returns the location in one of the user's files.
    fn location(&self) -> Option<Location> {
        None
    }

    /// Advice on what to do next.
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

    fn shown(text: &str, word: &str) -> String {
        let start = text.find(word).unwrap();
        let at = Location::of_span(Path::new("x.toml"), text, start..start + word.len());
        Diagnostic::new("no").at(at).to_string()
    }

    #[test]
    fn a_mark_is_below_its_word_after_tabs_and_wide_characters() {
        insta::assert_snapshot!(shown("name = { a = \"漢字\", bad = 1 }", "bad"), @r#"
        error: no
          --> x.toml:1:20
          |
        1 | name = { a = "漢字", bad = 1 }
          |                      ^^^
        "#);
        insta::assert_snapshot!(shown("\tname = 1,\tbad = 2", "bad"), @r#"
        error: no
          --> x.toml:1:12
          |
        1 |     name = 1,    bad = 2
          |                  ^^^
        "#);
        insta::assert_snapshot!(shown("# e\u{301}\u{301}\u{301} bad", "bad"), @r#"
        error: no
          --> x.toml:1:8
          |
        1 | # é́́ bad
          |     ^^^
        "#);
        insta::assert_snapshot!(shown("漢字 = 1", "漢字"), @r#"
        error: no
          --> x.toml:1:1
          |
        1 | 漢字 = 1
          | ^^^^
        "#);
        insta::assert_snapshot!(shown(&format!("x = [{}, bad]", "\"a long list\", ".repeat(30)), "bad"), @r#"
        error: no
          --> x.toml:1:458
          |
        1 | ... "a long list", "a long list", "a long list", "a long list", , bad]
          |                                                                   ^^^
        "#);
    }

    #[test]
    fn an_escape_sequence_of_a_file_does_not_reach_the_terminal() {
        assert!(!shown("a = \"\u{1b}[31m\" bad", "bad").contains('\u{1b}'));
    }

    #[test]
    fn a_span_beyond_the_end_or_inside_a_character_is_clamped() {
        let at = Location::of_span(Path::new("x"), "ä", 1..99);
        assert_eq!((at.line, at.column), (1, 1));
    }
}
