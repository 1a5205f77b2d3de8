//! Turns errors of the TOML parser into diagnostics: the location, and for an unknown word the
//! valid ones, the nearest first.

use crate::base::{Diagnostic, Location, suggest};
use std::path::Path;

/// Keys that older versions had, with the present names.
const RENAMED: [(&str, &str); 1] = [("peculiarity", "quirk")];

/// Returns the diagnostic of `error`, which occurred while parsing `text` of `file`.
///
/// serde knows the valid keys but lists them only in its message (``unknown field `x`, expected one
/// of `a`, `b` ``), so they are read back from there; a message of another form is passed on as it
/// is.
pub fn diagnose(file: &Path, text: &str, error: &toml::de::Error) -> Diagnostic {
    let at = match error.span() {
        // serde reports a missing field at the whole table; its first line names it.
        Some(span) if is_missing(error.message()) => Location::of_span(file, text, span.start..span.start),
        Some(span) => Location::of_span(file, text, span),
        None => Location::of_file(file),
    };
    explain(error.message()).at(at)
}

fn is_missing(message: &str) -> bool {
    message.starts_with("missing field ")
}

/// Returns the message and its hints, without a location.
fn explain(message: &str) -> Diagnostic {
    let message = message.trim_end().replace('\n', ", ");
    for (lead, singular, plural) in [("unknown field ", "key", "keys"), ("unknown variant ", "value", "values")] {
        let Some((word, rest)) = message.strip_prefix(lead).and_then(quoted) else { continue };
        if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == word) {
            return Diagnostic::new(format!("the {singular} `{word}` was renamed")).hint(format!("use `{new}`"));
        }
        let choices = all_quoted(rest);
        let problem = Diagnostic::new(format!("unknown {singular} `{word}`"));
        if choices.is_empty() {
            return problem.hint(format!("no {plural} are valid here"));
        }
        return suggest::hints(word, plural, choices).into_iter().fold(problem, Diagnostic::hint);
    }
    if let Some((word, _)) = message.strip_prefix("missing field ").and_then(quoted) {
        return Diagnostic::new(format!("missing key `{word}`")).hint(format!("add `{word} = …` to this table"));
    }
    Diagnostic::new(message)
}

/// Returns the word in backquotes at the start of `text`, and the rest.
///
/// A key may contain a backquote itself, so the word ends where serde's own wording continues or
/// the text ends.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('`')?;
    let end = text
        .find("`, expected ")
        .or_else(|| text.find("`, there are no "))
        .or_else(|| text.ends_with('`').then(|| text.len() - 1))?;
    Some((&text[..end], &text[end + 1..]))
}

/// Returns every word in backquotes.
fn all_quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only the message of the reader is of interest")]
    struct Recipe {
        name: String,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        step: BTreeMap<String, Step>,
        #[serde(default)]
        empty: Option<Empty>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Autotools,
        Kbuild,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the message of the reader is of interest")]
    struct Step {
        run: Vec<String>,
        configure: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    fn shown(text: &str) -> String {
        let error = toml::from_str::<Recipe>(text).expect_err("the text is wrong");
        diagnose(Path::new("recipes/gcc.toml"), text, &error).to_string()
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_valid_ones() {
        insta::assert_snapshot!(shown("name = \"gcc\"\n\n[step.all]\nrun = []\nconfgure = true\n"));
    }

    #[test]
    fn an_unknown_value_is_answered_with_the_valid_ones() {
        insta::assert_snapshot!(shown("name = \"gcc\"\nmode = \"autotool\"\n"));
    }

    #[test]
    fn a_missing_key_is_named() {
        insta::assert_snapshot!(shown("name = \"gcc\"\n\n[step.all]\nconfigure = true\n"));
    }

    #[test]
    fn a_table_without_keys_says_so() {
        insta::assert_snapshot!(shown("name = \"gcc\"\n[empty]\nx = 1\n"));
    }

    #[test]
    fn a_wrong_type_is_shown_at_its_value() {
        insta::assert_snapshot!(shown("name = \"gcc\"\nstep = { all = { run = \"make\" } }\n"));
    }

    #[test]
    fn text_that_is_not_toml_is_shown_where_it_breaks() {
        insta::assert_snapshot!(shown("name = \"gcc\"\nmode = autotools\n"));
        insta::assert_snapshot!(shown("name = \"gcc\"\nname = \"gdb\"\n"));
        insta::assert_snapshot!(shown("name = \"gcc\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(name|mode|step|[a-z`\"=\\[\\]{}. \n,é]){0,12}") {
            if let Err(error) = toml::from_str::<Recipe>(&text) {
                let _ = diagnose(Path::new("x.toml"), &text, &error).to_string();
            }
        }
    }
}
