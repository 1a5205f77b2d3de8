//! The name of a stage.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A text that is not the name of a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of a stage: SCOPE/PACKAGE, such as `arm64/gcc`, `host/gmp` or `fetch/linux-7.2`")]
pub struct BadStageName {
    /// The rejected text.
    pub text: String,
}

/// The name of a stage on the screen, in event logs, in the store and below `results`: `arm64/gcc`, `host/gmp`,
/// `fetch/linux-7.2.13`.
///
/// Both parts are names of directories: neither is empty, `.` or `..`, or has a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StageName(String);

impl StageName {
    /// Joins a scope (a target, `host`, `fetch` or `unpack`) and what is built in it.
    ///
    /// # Panics
    /// If the parts are no names; the plan checks them long before.
    pub fn new(scope: impl fmt::Display, package: impl fmt::Display) -> Self {
        format!("{scope}/{package}").parse().expect("a plan's names are checked when they are read")
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the slash: a target, `host`, `fetch` or `unpack`.
    pub fn scope(&self) -> &str {
        self.parts().0
    }

    /// Returns the part after the slash: a package or a check, with its version for `fetch` and `unpack`.
    pub fn package(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').expect("checked when it was parsed")
    }
}

impl FromStr for StageName {
    type Err = BadStageName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['/', '\0']);
        match text.split_once('/') {
            Some((scope, package)) if is_name(scope) && is_name(package) => Ok(Self(text.to_owned())),
            _ => Err(BadStageName { text: text.to_owned() }),
        }
    }
}

impl<'de> Deserialize<'de> for StageName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// Messages and maps take it as text; taking it apart is for the two methods alone.
impl Deref for StageName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for StageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for StageName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for StageName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

// For the literals of tests alone: all else parses.
#[cfg(test)]
impl From<&str> for StageName {
    fn from(text: &str) -> Self {
        text.parse().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_names_of_directories() {
        let name: StageName = "fetch/linux-7.2.13".parse().unwrap();
        assert_eq!((name.scope(), name.package()), ("fetch", "linux-7.2.13"));
        for bad in ["", "gcc", "/gcc", "arm64/", "arm64/..", "../gcc", "arm64/gcc/x"] {
            assert_eq!(bad.parse::<StageName>(), Err(BadStageName { text: bad.to_owned() }));
        }
        assert!(serde_json::from_str::<StageName>("\"../../etc\"").is_err());
    }
}
