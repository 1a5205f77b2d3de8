//! The inputs of a stage's key. The same list is hashed and explained, so an
//! explanation cannot omit what changed the key.

use crate::base::Key;
use serde::{Deserialize, Serialize};

/// Incremented when the meaning of a stage's inputs, or the way stages are executed, changes so
/// that older results must not be reused.
pub const STAGE_FORMAT: u32 = 1;

/// An input of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyInput {
    /// The kind of input: ``step `configure`: argument``.
    pub what: String,
    /// Its value.
    pub value: String,
}

/// Everything that determines a result, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInputs(Vec<KeyInput>);

impl KeyInputs {
    /// Returns a list that contains the version of the stage format only.
    pub fn new() -> Self {
        let mut inputs = Self::default();
        inputs.add("stage format", STAGE_FORMAT.to_string());
        inputs
    }

    /// Appends an input; the order is significant.
    pub fn add(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.push(KeyInput { what: what.into(), value: value.into() });
    }

    /// Returns the inputs in order.
    pub fn iter(&self) -> std::slice::Iter<'_, KeyInput> {
        self.0.iter()
    }

    /// Returns the key of these inputs. Lengths are hashed too, so that no two
    /// lists concatenate to the same bytes.
    pub fn key(&self) -> Key {
        let mut hasher = blake3::Hasher::new();
        for input in &self.0 {
            for text in [&input.what, &input.value] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        Key::from_bytes(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_key_of_known_inputs_never_changes() {
        let mut inputs = KeyInputs::default();
        inputs.add("recipe", "gcc");
        inputs.add("version", "16.2.0");
        assert_eq!(inputs.key().to_string(), "8bc71823e7cadd4a587c30e52da2518b76cad4c79b4c4235cce71d2252ef9059");
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(
            a in prop::collection::vec(("[a-c]{0,3}", "[a-c]{0,3}"), 0..4),
            b in prop::collection::vec(("[a-c]{0,3}", "[a-c]{0,3}"), 0..4),
        ) {
            let of = |pairs: &[(String, String)]| {
                let mut inputs = KeyInputs::default();
                pairs.iter().for_each(|(what, value)| inputs.add(what, value));
                inputs.key()
            };
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }
}
