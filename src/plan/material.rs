//! What a key is made of. The same list is hashed and explained, so an
//! explanation can never leave out what changed the key.

use crate::base::Key;
use serde::{Deserialize, Serialize};

/// Raised when the meaning of a stage's material or of its execution changes
/// so that older results must not be taken for new ones.
pub const STAGE_FORMAT: u32 = 1;

/// One thing that determines a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// What kind of thing: ``step `configure`: argument``.
    pub what: String,
    /// Its value.
    pub value: String,
}

/// Everything that determines a result, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material(Vec<Fact>);

impl Material {
    /// Begins with the stage format's version.
    pub fn new() -> Self {
        let mut material = Self::default();
        material.add("stage format", STAGE_FORMAT.to_string());
        material
    }

    /// Adds a fact; the order of facts counts.
    pub fn add(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.push(Fact { what: what.into(), value: value.into() });
    }

    /// The facts in order.
    pub fn facts(&self) -> &[Fact] {
        &self.0
    }

    /// The key of these facts. Lengths are hashed too, so that no two lists
    /// run together into the same bytes.
    pub fn key(&self) -> Key {
        let mut hasher = blake3::Hasher::new();
        for fact in &self.0 {
            for text in [&fact.what, &fact.value] {
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
    fn the_key_of_known_material_never_changes() {
        let mut material = Material::default();
        material.add("recipe", "gcc");
        material.add("version", "16.2.0");
        assert_eq!(material.key().to_string(), "8bc71823e7cadd4a587c30e52da2518b76cad4c79b4c4235cce71d2252ef9059");
    }

    proptest! {
        #[test]
        fn different_material_has_different_keys(
            a in prop::collection::vec(("[a-c]{0,3}", "[a-c]{0,3}"), 0..4),
            b in prop::collection::vec(("[a-c]{0,3}", "[a-c]{0,3}"), 0..4),
        ) {
            let of = |facts: &[(String, String)]| {
                let mut material = Material::default();
                facts.iter().for_each(|(what, value)| material.add(what, value));
                material.key()
            };
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }
}
