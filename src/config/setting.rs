//! Settings, which are declared in the matrix and read by recipes.

use crate::base::suggest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The value of a setting; its type is that of the declared default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// `true` or `false`
    Switch(bool),
    /// A string.
    Text(String),
    /// A list of strings.
    List(Vec<String>),
}

/// A declared setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its effect.
    pub summary: String,
    /// Its default.
    pub default: Value,
    /// The allowed values of a string; empty if any value is allowed.
    pub choices: Vec<String>,
}

impl Value {
    /// Parses a TOML value; numbers, tables and dates are not valid.
    pub fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Boolean(on) => Ok(Self::Switch(*on)),
            toml::Value::String(text) => Ok(Self::Text(text.clone())),
            toml::Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| "a list contains strings only".to_owned()))
                .collect::<Result<_, _>>()
                .map(Self::List),
            other => Err(format!("a setting is a string, true/false or a list of strings, not {}", other.type_str())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Switch(_) => "true or false",
            Self::Text(_) => "a string",
            Self::List(_) => "a list of strings",
        }
    }
}

impl Setting {
    /// Checks `value` against the declaration.
    pub fn check(&self, value: &Value) -> Result<(), (String, Vec<String>)> {
        if std::mem::discriminant(value) != std::mem::discriminant(&self.default) {
            return Err((format!("expected {}, found {}", self.default.kind(), value.kind()), Vec::new()));
        }
        if let Value::Text(text) = value
            && !self.choices.is_empty()
            && !self.choices.contains(text)
        {
            let hints = suggest::hints(text, "values", self.choices.iter().map(String::as_str));
            return Err((format!("`{text}` is not one of its values"), hints));
        }
        Ok(())
    }

    /// Parses the right-hand side of `--set name=value`.
    pub fn parse(&self, text: &str) -> Result<Value, (String, Vec<String>)> {
        let value = match (&self.default, text) {
            (Value::Switch(_), "true" | "yes" | "on" | "1") => Value::Switch(true),
            (Value::Switch(_), "false" | "no" | "off" | "0") => Value::Switch(false),
            (Value::Switch(_), _) => return Err((format!("expected true or false, found `{text}`"), Vec::new())),
            (Value::Text(_), _) => Value::Text(text.to_owned()),
            (Value::List(_), _) => {
                Value::List(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
        };
        self.check(&value)?;
        Ok(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(on) => write!(f, "{on}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}
