//! `[archive.NAME]`: what `crossmill package NAME` writes.

use super::file::{Placed, SourceFile};
use super::raw::RawArchive;
use super::setting::Value;
use crate::base::{Diagnostic, PackageName, suggest};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use toml::Spanned;

/// A kind of archive.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its purpose.
    pub summary: String,
    /// The part of its package that it contains.
    pub contents: Contents,
    /// The package, with its place for messages.
    pub package: (PackageName, Placed),
    /// For a bundle: the package whose program runs the tools of all its targets, with its place.
    pub driver: Option<(PackageName, Placed)>,
    /// A template: the archive's name without an ending.
    pub name: Placed,
    /// A template: the directory in it; its name if not given.
    pub prefix: Option<Placed>,
    /// A template: its directory below a release.
    pub directory: Option<Placed>,
    /// A template: the GNU triple that it is published for.
    pub triple: Option<Placed>,
    /// A template: why a target has no such archive.
    pub lacks: Option<Placed>,
    /// The files that are written.
    pub formats: Vec<Format>,
    /// Only these files and directories of the result; all if empty.
    pub include: Vec<String>,
    /// Not these.
    pub exclude: Vec<String>,
    /// The libraries that its programs may need on the machine where they run.
    pub promise: Promise,
    /// The settings that its package needs.
    pub set: BTreeMap<String, Value>,
    /// Checks without which it is not given out, with their places.
    pub checks: Vec<(PackageName, Placed)>,
}

/// The part of a package that an archive contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The result of one target.
    Result,
    /// The results of all selected targets in one tree.
    Bundle,
}

/// A compressed form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `.tar.xz`
    Xz,
    /// `.tar.gz`
    Gz,
    /// `.tar.zst`
    Zst,
}

/// The requirements that programs may have on the machine where they run; unrestricted if not given.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// The highest glibc symbol version.
    pub glibc: Option<Glibc>,
    /// The shared libraries; any if empty.
    pub libraries: Vec<String>,
}

/// A version of glibc's symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    /// 2
    pub major: u32,
    /// 31
    pub minor: u32,
}

/// No format or no glibc version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct NotA {
    text: String,
    what: &'static str,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Xz, Self::Gz, Self::Zst];

    /// Returns the end of its file names, without a leading dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xz => "tar.xz",
            Self::Gz => "tar.gz",
            Self::Zst => "tar.zst",
        }
    }
}

impl FromStr for Format {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let is_named = |format: &Self| format.as_str() == text;
        let what = "a format: `tar.xz`, `tar.gz`, `tar.zst`";
        Self::ALL.into_iter().find(is_named).ok_or_else(|| NotA { text: text.to_owned(), what })
    }
}

impl FromStr for Glibc {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let refuse = || NotA { text: text.to_owned(), what: "a version of glibc, as `2.31`" };
        // 2.2.5 is the first version of x86-64.
        let mut parts = text.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_)), None) => Ok(Self { major, minor }),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Parses a table; its settings are parsed by the caller, who knows which there are.
pub(super) fn parse(
    file: &SourceFile,
    raw: &RawArchive,
    set: BTreeMap<String, Value>,
    problems: &mut Vec<Diagnostic>,
) -> Archive {
    let package = |package: &Spanned<PackageName>| {
        let text = Spanned::new(package.span(), package.get_ref().to_string());
        (package.get_ref().clone(), file.placed(&text))
    };
    let placed = |text: &Option<Spanned<String>>| text.as_ref().map(|text| file.placed(text));
    let contents = match raw.contents.as_ref().map(|text| (text, text.get_ref().as_str())) {
        None | Some((_, "result")) => Contents::Result,
        Some((_, "bundle")) => Contents::Bundle,
        Some((text, word)) => {
            let mut problem = file.placed(text).error(format!("unknown contents `{word}`"));
            problem.hints = suggest::hints(word, "contents", ["result", "bundle"]);
            problems.push(problem);
            Contents::Result
        }
    };
    let formats = match &raw.formats {
        None => vec![Format::Xz],
        Some(formats) => formats.iter().filter_map(|text| parsed(file, text, problems)).collect(),
    };
    let glibc = raw.glibc.as_ref().and_then(|text| parsed(file, text, problems));
    Archive {
        summary: raw.summary.clone(),
        contents,
        package: package(&raw.package),
        driver: raw.driver.as_ref().map(package),
        name: file.placed(&raw.name),
        prefix: placed(&raw.prefix),
        directory: placed(&raw.directory),
        triple: placed(&raw.triple),
        lacks: placed(&raw.lacks),
        formats,
        include: raw.include.clone(),
        exclude: raw.exclude.clone(),
        promise: Promise { glibc, libraries: raw.libraries.clone() },
        set,
        checks: raw.checks.iter().map(package).collect(),
    }
}

fn parsed<T: FromStr<Err = NotA>>(
    file: &SourceFile,
    text: &Spanned<String>,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    text.get_ref().parse().map_err(|error: NotA| problems.push(file.placed(text).error(error.to_string()))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_glibc_are_ordered_by_number() {
        let parse = |text: &str| text.parse::<Glibc>();
        assert!(parse("2.9").unwrap() < parse("2.31").unwrap());
        assert_eq!(parse("2.2.5").unwrap().to_string(), "2.2");
        for wrong in ["", "2", "2.x", "2.2.5.1", "PRIVATE"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
