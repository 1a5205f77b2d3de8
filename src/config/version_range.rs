//! Ranges of versions: `>=14, <15`.

use crate::base::Version;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Comparisons that must all be true; an empty range contains every version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionRange(Vec<(Compare, Version)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `=7.2` also contains the point releases of 7.2.
    Within,
    NotWithin,
}

impl VersionRange {
    /// Parses comparisons separated by commas.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut range = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            // Longer signs first: `<=` also starts with `<`.
            let signs = [
                ("<=", Compare::LessOrEqual),
                (">=", Compare::GreaterOrEqual),
                ("!=", Compare::NotWithin),
                ("<", Compare::Less),
                (">", Compare::Greater),
                ("=", Compare::Within),
            ];
            let Some((sign, compare)) = signs.into_iter().find(|(sign, _)| part.starts_with(sign)) else {
                return Err(format!("`{part}` lacks a comparison: write `>=15`, `<15`, `=7.2` or `>=14, <15`"));
            };
            let version = Version::new(part[sign.len()..].trim()).map_err(|error| error.to_string())?;
            range.push((compare, version));
        }
        Ok(Self(range))
    }

    /// Returns whether `version` is in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().all(|(compare, bound)| match compare {
            Compare::Less => version < bound,
            Compare::LessOrEqual => version <= bound,
            Compare::Greater => version > bound,
            Compare::GreaterOrEqual => version >= bound,
            Compare::Within => version.is_within(bound),
            Compare::NotWithin => !version.is_within(bound),
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (compare, version)) in self.0.iter().enumerate() {
            let sign = match compare {
                Compare::Less => "<",
                Compare::LessOrEqual => "<=",
                Compare::Greater => ">",
                Compare::GreaterOrEqual => ">=",
                Compare::Within => "=",
                Compare::NotWithin => "!=",
            };
            write!(f, "{}{sign}{version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for VersionRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_for_the_versions_they_say() {
        let holds =
            |range: &str, version: &str| VersionRange::parse(range).unwrap().contains(&Version::new(version).unwrap());
        assert!(holds(">=14, <15", "14.2"));
        assert!(!holds("<15", "15.0.0"));
        assert!(holds("=7.2", "7.2.13"));
        assert!(!holds("!=7.2", "7.2.13"));
        assert!(holds("", "1"));
        assert!(VersionRange::parse("15").is_err());
        assert_eq!(VersionRange::parse(">=14,<15").unwrap().to_string(), ">=14, <15");
    }
}
