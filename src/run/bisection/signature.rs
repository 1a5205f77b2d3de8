//! What distinguishes a failure from another one: its stage, its class, and its first error without the numbers, paths
//! and addresses that change from commit to commit.

use crate::run::build_log::{Class, first_error};
use crate::run::log::event::{Failure, StageName};
use crate::run::log::model::Stage;
use serde::{Deserialize, Serialize};

/// The signature of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The stage that failed.
    pub stage: StageName,
    /// The class of the failure.
    pub class: Class,
    /// The first error, as it was printed where it was first seen.
    pub text: String,
}

impl Signature {
    /// Returns the signature of a failed stage; `why` is the reason that its outcome has.
    #[must_use]
    pub fn of(stage: &Stage, why: &str) -> Self {
        let finding = stage.check_result.as_ref().and_then(|result| result.findings.first());
        let said = stage.check_result.as_ref().and_then(|result| result.why.as_ref());
        let failure = stage.failure.as_ref();
        let text = match (finding.or(said), failure) {
            (Some(text), _) => text.clone(),
            (None, Some(failure)) => of_failure(failure),
            (None, None) => why.to_owned(),
        };
        Self { stage: stage.info.name.clone(), class: failure.map_or(Class::Other, |failure| failure.class), text }
    }

    /// Returns whether both are of the same failure.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.stage, self.class, shape(&self.text)) == (&other.stage, other.class, shape(&other.text))
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.stage, self.text)?;
        if self.class == Class::Other { Ok(()) } else { write!(f, " ({})", self.class.words()) }
    }
}

fn of_failure(failure: &Failure) -> String {
    let text = first_error(&failure.excerpt).map(str::trim).filter(|text| !text.is_empty());
    text.map_or_else(|| format!("{}: {}", failure.step, failure.ended), str::to_owned)
}

/// Returns a message without what differs between two builds of the same failure: directories, line numbers, addresses,
/// counts, the names of temporary files.
#[must_use]
pub fn shape(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let mut shape = String::new();
    // Quotes, brackets and separators end a path, as in `(/a/b.c:12)`.
    for part in word.split_inclusive(|c: char| "()[]{}<>,;:=`'\"‘’“”".contains(c)) {
        let end = part.char_indices().next_back().filter(|(_, c)| !c.is_alphanumeric() && *c != '/');
        let (part, end) = part.split_at(end.map_or(part.len(), |(at, _)| at));
        let name = if part.contains('/') { part.rsplit('/').next().unwrap_or_default() } else { part };
        shape.push_str(&numbers(name));
        // Compilers quote by locale.
        shape.push_str(if "`'\"‘’“”".contains(end) && !end.is_empty() { "'" } else { end });
    }
    shape
}

fn numbers(name: &str) -> String {
    if is_temporary(name) || is_hexadecimal(name) {
        return "#".to_owned();
    }
    let mut shape = String::new();
    for c in name.chars() {
        match c {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            c => shape.push(c),
        }
    }
    shape
}

// GCC's `/tmp/ccAbC123.s`.
fn is_temporary(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stem.len() == 8 && stem.starts_with("cc") && name.len() > 8 && stem.chars().all(|c| c.is_ascii_alphanumeric())
}

// `0xdeadbeef`, `+0x30`, or digits of an address without a prefix.
fn is_hexadecimal(name: &str) -> bool {
    let bare = name.trim_start_matches(['+', '-', '.']);
    let digits = bare.strip_prefix("0x").unwrap_or(bare);
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all && (bare.len() > digits.len() || digits.len() >= 8 && digits.bytes().any(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_two_builds_is_no_part_of_a_shape() {
        let same = [
            ("/a/store/work/0f3/source/gas/as.c:12:3: error: expected ';'", "../gas/as.c:480:17: error: expected ‘;’"),
            ("/tmp/ccAbC123.s:4: Error: bad", "/tmp/ccZZZ999.s:17: Error: bad"),
            ("f +0x30: fp is c-32", "f +0x1f8: fp is c-8"),
            ("BUG at ffffffff81000000 in 3 tasks", "BUG at 00000000c0de0000 in 12 tasks"),
        ];
        for (a, b) in same {
            assert_eq!(shape(a), shape(b));
        }
        let other = [
            ("as.c:1: error: expected ';'", "as.c:1: error: expected ')'"),
            ("gas/as.c:1: error: x", "gas/read.c:1: error: x"),
            ("undefined reference to `abs'", "undefined reference to `labs'"),
            ("decade", "facade"),
        ];
        for (a, b) in other {
            assert_ne!(shape(a), shape(b));
        }
    }
}
