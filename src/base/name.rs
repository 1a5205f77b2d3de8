//! A type for each kind of name, so that they cannot be confused.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::cmp::Ordering;
use std::fmt;

/// A name that cannot be part of a path, a URL and a make variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid name: lowercase letters, digits, `-`, `_`, `.` and `+`, starting with a letter or digit"
)]
pub struct BadName {
    /// The rejected text.
    pub text: String,
}

fn check(text: &str) -> Result<(), BadName> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = text.starts_with(fits) && text.chars().all(|c| fits(c) || "-_.+".contains(c)) && text.len() <= 64;
    if good { Ok(()) } else { Err(BadName { text: text.to_owned() }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(String);

        impl $name {
            /// Checks the spelling.
            pub fn new(text: &str) -> Result<Self, BadName> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// Returns the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of a target of the matrix, as in the kernel: `arm64`, `s390`.
    TargetName
}
name! {
    /// The name of a package, as in its recipe: `gcc`.
    PackageName
}

/// A release's version, ordered by its numbers: `16.2.0`, `7.2`, `20250101`.
///
/// Numbers compare as numbers and a missing one counts as zero, so `2.47`
/// equals `2.47.0`; words (`rc1`, `dev`) come before the release they lead to.
#[derive(Debug, Clone, Serialize)]
pub struct Version(String);

impl Version {
    /// Checks the spelling: it must start with a digit.
    pub fn new(text: &str) -> Result<Self, BadName> {
        check(text)?;
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(BadName { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the version as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is `prefix` or one of its point releases (`7.2` includes `7.2.13`).
    pub fn is_within(&self, prefix: &Self) -> bool {
        self.0 == prefix.0 || self.0.strip_prefix(&prefix.0).is_some_and(|rest| rest.starts_with('.'))
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.0.split(['.', '-', '_', '+']).map(|text| match text.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Word(text),
        })
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    // The order of the variants is the order of versions: `1.0-rc1` < `1.0`.
    Word(&'a str),
    Number(u64),
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (self.parts(), other.parts());
        loop {
            let (a, b) = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (a, b) => (a.unwrap_or(Part::Number(0)), b.unwrap_or(Part::Number(0))),
            };
            match a.cmp(&b) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// `2.47` and `2.47.0` are the same release, so equality follows the order.
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(version("9.5") < version("16.2.0"));
        assert!(version("2.47") == version("2.47.0"));
        assert!(version("7.2-rc3") < version("7.2"));
        assert!(version("7.2.13").is_within(&version("7.2")));
        assert!(!version("7.20").is_within(&version("7.2")));
    }

    #[test]
    fn names_stay_within_what_paths_and_urls_take() {
        for bad in ["", "../up", "Up", "a b", "a/b", "-x", &"x".repeat(65)] {
            assert!(TargetName::new(bad).is_err(), "{bad}");
        }
        assert!(PackageName::new("gcc-16.2+dfsg").is_ok());
        assert!(Version::new("rc1").is_err());
    }

    proptest! {
        #[test]
        fn the_order_of_versions_is_total(a in "[0-9]{1,3}([.-]([0-9]{1,3}|rc[0-9])){0,3}",
                                          b in "[0-9]{1,3}([.-]([0-9]{1,3}|rc[0-9])){0,3}",
                                          c in "[0-9]{1,3}([.-]([0-9]{1,3}|rc[0-9])){0,3}") {
            let (a, b, c) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
