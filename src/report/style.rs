//! Colours and text widths for terminals.

pub use crate::base::text::harmless;
use std::io::IsTerminal;
use std::sync::OnceLock;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

static CHOICE: OnceLock<Color> = OnceLock::new();

/// Sets when colours are used, once for the whole program.
pub fn choose(color: Color) {
    let _ = CHOICE.set(color);
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

/// The meaning of a piece of text, which determines its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Plain.
    Plain,
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// Warning.
    Warn,
    /// Less important.
    Dim,
    /// More important.
    Strong,
}

impl Style {
    /// No colours.
    pub const PLAIN: Self = Self { coloured: false };

    /// Colours.
    pub const COLOURED: Self = Self { coloured: true };

    /// Colours as `--color` wants them; by itself, if `stream` is a terminal and `NO_COLOR` is not set
    /// (no-color.org).
    pub fn of(stream: &impl IsTerminal) -> Self {
        match CHOICE.get() {
            Some(Color::Always) => return Self::COLOURED,
            Some(Color::Never) => return Self::PLAIN,
            Some(Color::Auto) | None => {}
        }
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: stream.is_terminal() && !refused && !dumb }
    }

    /// `text` in the colour of `tone`.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.coloured || text.is_empty() => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Warn => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A line of pieces that each have a tone.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    /// Adds a piece.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.pieces.push((tone, text.into()));
        self
    }

    /// Columns it takes on a terminal.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }

    /// Returns the line in at most `width` columns.
    pub fn fit(&self, width: usize, style: Style) -> String {
        let mut left = width;
        let mut shown = String::new();
        let fits = self.width() <= width;
        for (tone, text) in &self.pieces {
            if fits || text.width() < left {
                shown.push_str(&style.paint(*tone, text));
                left -= text.width();
            } else {
                shown.push_str(&style.paint(*tone, &truncate(text, left, true)));
                break;
            }
        }
        shown
    }
}

/// `text` in at most `width` columns, with `…` where it was cut (or, if
/// `forced`, also where only what follows it was cut).
fn truncate(text: &str, width: usize, forced: bool) -> String {
    if width == 0 || (text.width() <= width && !forced) {
        return if width == 0 { String::new() } else { text.to_owned() };
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > width - 1 {
            break;
        }
        used += wide;
        shown.push(c);
    }
    shown.push('…');
    shown
}

/// `text` in at most `width` columns.
pub fn shorten(text: &str, width: usize) -> String {
    truncate(text, width, false)
}

/// `text` filled with blanks to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// `text` with blanks before it to `width` columns.
pub fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_are_only_used_when_wanted() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
        assert_eq!(Style::COLOURED.paint(Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shorten("日本語", 5), "日本…");
        assert_eq!(shorten("日本語", 6), "日本語");
        assert_eq!(shorten("日本語", 4), "日…");
    }

    proptest! {
        #[test]
        fn a_line_never_exceeds_its_width(texts in prop::collection::vec(".{0,12}", 0..6), width in 0_usize..30) {
            let line = texts.iter().fold(Line::default(), |line, text| line.with(Tone::Plain, harmless(text)));
            prop_assert!(line.fit(width, Style::PLAIN).width() <= width);
        }
    }
}
