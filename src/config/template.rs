//! Templates and conditions of recipes: Jinja syntax in strict mode, so that an unknown variable is
//! an error with its location and never an empty string.
//!
//! Paths that differ between machines are rendered as [`placeholder`]s and replaced when a step
//! runs, so that keys do not depend on the location of the store.

use super::file::Placed;
use crate::base::{Diagnostic, Version, suggest};
use crate::config::version_range::VersionRange;
use minijinja::{Environment, UndefinedBehavior, Value};
use std::collections::BTreeMap;

/// Returns the placeholder for a path of this machine: `placeholder("dest")` is `@{dest}`.
pub fn placeholder(name: &str) -> String {
    format!("@{{{name}}}")
}

/// Replaces the placeholders in `text` by the values that `path` returns for their names. A
/// placeholder unknown to `path` is left unchanged.
pub fn fill(text: &str, path: &dyn Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("@{") {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let Some(end) = from.find('}') else {
            rest = from;
            break;
        };
        match path(&from[2..end]) {
            Some(value) => filled.push_str(&value),
            None => filled.push_str(&from[..=end]),
        }
        rest = &from[end + 1..];
    }
    filled.push_str(rest);
    filled
}

/// Returns a variable that contains others by name.
pub fn map<N: Into<String>>(pairs: impl IntoIterator<Item = (N, Value)>) -> Value {
    Value::from(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect::<BTreeMap<String, Value>>())
}

/// Renders the strings of recipes with one set of variables.
pub struct Renderer {
    env: Environment<'static>,
    variables: Value,
    tree: BTreeMap<String, Value>,
}

impl Renderer {
    /// Creates a renderer with these variables; nested ones are maps.
    pub fn new(variables: BTreeMap<String, Value>) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // `{{ versions.gcc is version(">=15") }}`, also in conditions.
        env.add_test("version", |version: String, range: String| -> Result<bool, minijinja::Error> {
            let invalid = |text: String| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, text);
            let range = VersionRange::parse(&range).map_err(invalid)?;
            let version = Version::new(&version).map_err(|error| invalid(error.to_string()))?;
            Ok(range.contains(&version))
        });
        let context = map(variables.clone());
        Self { env, variables: context, tree: variables }
    }

    /// Returns the text with every `{{ … }}` replaced.
    pub fn render(&self, template: &Placed) -> Result<String, Diagnostic> {
        if !template.text.contains('{') {
            return Ok(template.text.clone());
        }
        let refuse = |error: &minijinja::Error| self.explain(template, error);
        let compiled = self.env.template_from_str(&template.text).map_err(|error| refuse(&error))?;
        self.known(template, compiled.undeclared_variables(true))?;
        let mut text = compiled.render(&self.variables).map_err(|error| refuse(&error))?;
        // Jinja drops the last newline, which a script may need.
        if template.text.ends_with('\n') && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// Returns whether the condition is true.
    pub fn holds(&self, condition: &Placed) -> Result<bool, Diagnostic> {
        let refuse = |error: &minijinja::Error| self.explain(condition, error);
        let compiled = self.env.compile_expression(&condition.text).map_err(|error| refuse(&error))?;
        self.known(condition, compiled.undeclared_variables(true))?;
        let value = compiled.eval(&self.variables).map_err(|error| refuse(&error))?;
        if value.is_undefined() {
            return Err(condition.error("the condition uses a variable that does not exist"));
        }
        Ok(value.is_true())
    }

    // Names are looked up before rendering, because the engine's own message does not name the
    // unknown variable.
    fn known(&self, place: &Placed, names: impl IntoIterator<Item = String>) -> Result<(), Diagnostic> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        for name in names {
            let mut level = LevelOf::Top(&self.tree);
            let mut path = String::new();
            for word in name.split('.') {
                let valid = level.names();
                // A value without named parts (a string, a list) has methods, which the engine checks.
                let Some(valid) = valid else { break };
                if !valid.iter().any(|known| known == word) {
                    let whole = if path.is_empty() { word.to_owned() } else { format!("{path}.{word}") };
                    let choices: Vec<String> = valid
                        .iter()
                        .map(|known| if path.is_empty() { known.clone() } else { format!("{path}.{known}") })
                        .collect();
                    let mut diagnostic = place.error(format!("unknown variable `{whole}`"));
                    diagnostic.hints = suggest::hints(&whole, "variables", choices.iter().map(String::as_str));
                    return Err(diagnostic);
                }
                level = level.enter(word);
                path = if path.is_empty() { word.to_owned() } else { format!("{path}.{word}") };
            }
        }
        Ok(())
    }

    fn explain(&self, place: &Placed, error: &minijinja::Error) -> Diagnostic {
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let diagnostic = place.error(format!("invalid template: {what}"));
        match error.line().filter(|line| *line > 1) {
            Some(line) => diagnostic.cause(format!("in line {line} of this text")),
            None => diagnostic,
        }
    }
}

enum LevelOf<'a> {
    Top(&'a BTreeMap<String, Value>),
    Inner(Value),
}

impl LevelOf<'_> {
    fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Top(tree) => Some(tree.keys().cloned().collect()),
            Self::Inner(value) if value.kind() == minijinja::value::ValueKind::Map => {
                Some(value.try_iter().ok()?.map(|name| name.to_string()).collect())
            }
            Self::Inner(_) => None,
        }
    }

    fn enter(&self, word: &str) -> Self {
        Self::Inner(match self {
            Self::Top(tree) => tree.get(word).cloned().unwrap_or_default(),
            Self::Inner(value) => value.get_attr(word).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::SourceFile;
    use std::path::Path;

    fn placed(text: &str) -> Placed {
        let file = SourceFile::from_text(Path::new("recipes/x.toml"), format!("run = {text:?}"));
        #[derive(serde::Deserialize)]
        struct Doc {
            run: toml::Spanned<String>,
        }
        file.placed(&file.parse::<Doc>().unwrap().run)
    }

    fn renderer() -> Renderer {
        let target = map([("triple", Value::from("aarch64-linux")), ("arch", Value::from("arm64"))]);
        let versions = map([("gcc", Value::from("16.2.0"))]);
        Renderer::new(BTreeMap::from([
            ("target".to_owned(), target),
            ("versions".to_owned(), versions),
            ("dest".to_owned(), Value::from(placeholder("dest"))),
        ]))
    }

    #[test]
    fn known_variables_are_replaced_and_tokens_filled_later() {
        let text = renderer().render(&placed("{{ dest }}/{{ target.triple }}")).unwrap();
        assert_eq!(text, "@{dest}/aarch64-linux");
        let filled = fill(&text, &|name| (name == "dest").then(|| "/w/dest".to_owned()));
        assert_eq!(filled, "/w/dest/aarch64-linux");
        assert_eq!(fill("@{other} @{", &|_| None), "@{other} @{");
    }

    #[test]
    fn an_unknown_variable_is_named_with_the_valid_ones() {
        insta::assert_snapshot!(renderer().render(&placed("--target={{ target.tripel }}")).unwrap_err(), @r#"
        error: unknown variable `target.tripel`
          --> recipes/x.toml:1:7
          |
        1 | run = "--target={{ target.tripel }}"
          |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: did you mean `target.triple`?
        hint: valid variables are `target.arch`, `target.triple`
        "#);
        insta::assert_snapshot!(renderer().render(&placed("{{ profil }}")).unwrap_err(), @r#"
        error: unknown variable `profil`
          --> recipes/x.toml:1:7
          |
        1 | run = "{{ profil }}"
          |       ^^^^^^^^^^^^^^
        hint: valid variables are `dest`, `target`, `versions`
        "#);
        insta::assert_snapshot!(renderer().render(&placed("{{ target.triple ")).unwrap_err(), @r#"
        error: invalid template: unexpected end of input, expected end of variable block
          --> recipes/x.toml:1:7
          |
        1 | run = "{{ target.triple "
          |       ^^^^^^^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn conditions_compare_versions_by_their_numbers() {
        assert!(renderer().holds(&placed("versions.gcc is version('>=9')")).unwrap());
        assert!(!renderer().holds(&placed("versions.gcc is version('<9') or target.arch == 'arm'")).unwrap());
        assert!(renderer().holds(&placed("versions.gc == '1'")).is_err());
    }
}
