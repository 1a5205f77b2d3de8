//! Events without secrets: a message of a server, of git or of a mirror may quote a URL with a password.

use super::event::{Event, Stamped};
use crate::base::secret;
use serde_json::Value;
use std::borrow::Cow;

impl Stamped {
    /// Returns the event with every secret in its texts hidden.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        let Ok(mut value) = serde_json::to_value(&self.event) else { return self };
        if !redact(&mut value) {
            return self;
        }
        let event = serde_json::from_value(value).unwrap_or_else(|error| Event::Notice {
            stage: None,
            warning: true,
            text: format!("an event was left out, because it had a secret in the place of a name: {error}"),
        });
        Self { at_ms: self.at_ms, event }
    }
}

// Returns whether anything was hidden.
fn redact(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match secret::redact(text) {
            Cow::Owned(shown) => {
                *text = shown;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(values) => values.iter_mut().fold(false, |changed, value| redact(value) | changed),
        Value::Object(values) => values.values_mut().fold(false, |changed, value| redact(value) | changed),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;

    #[test]
    fn secrets_in_any_text_of_an_event_are_hidden() {
        for stamped in sample::run() {
            assert_eq!(stamped.clone().without_secrets(), stamped);
        }
        let text = "git cannot fetch `https://u:p@h/x`: 401".to_owned();
        let event = Stamped { at_ms: 7, event: Event::Notice { stage: None, warning: true, text } };
        let Stamped { at_ms: 7, event: Event::Notice { text, .. } } = event.without_secrets() else {
            panic!("another event");
        };
        assert_eq!(text, "git cannot fetch `https://***@h/x`: 401");
    }
}
