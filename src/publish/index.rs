//! `index.json` of a release: what it has, for programs. docs/schema/release-index.schema.json describes it.

use super::Error;
use super::archive::Digested;
use crate::base::Sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The name of the file.
pub const FILE: &str = "index.json";
/// The version of its shape.
pub const SCHEMA: u32 = 1;

/// All archives of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The program that wrote it: `crossmill 0.1.0`.
    pub generator: String,
    /// In the order of their names.
    pub archives: Vec<Entry>,
}

/// An archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name without an ending.
    pub name: String,
    /// The `[archive.NAME]` that describes its kind.
    pub kind: String,
    /// The targets that it is for.
    pub targets: Vec<String>,
    /// The GNU triples that it is published for; empty where it has no tools.
    pub triples: Vec<String>,
    /// The machine that its programs run on.
    pub host: String,
    /// The directory in it.
    pub prefix: String,
    /// The version of each package that it was built from.
    pub versions: BTreeMap<String, String>,
    /// The profile that it was built with.
    pub profile: String,
    /// The keys of the results that it holds, by stage.
    pub keys: BTreeMap<String, String>,
    /// The uncompressed tar: what a rebuild has to meet.
    pub tar: Digested,
    /// The compressed forms.
    pub files: Vec<File>,
    /// The number of members.
    pub members: usize,
    /// The bytes of all unpacked files.
    pub unpacked_bytes: u64,
    /// The highest glibc symbol version that its programs need.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub glibc: Option<String>,
    /// Results of its checks.
    pub checks: BTreeMap<String, Check>,
    /// Its software bill of materials.
    pub sbom: File,
    /// Path of its provenance, which contains times and is therefore not compared by a rebuild.
    pub provenance: String,
    /// The detached signature over the uncompressed tar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// `pass`, `skipped`, `unsupported` or `known-failure`.
    pub state: String,
    /// Why, if it did not pass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path below the release.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
}

impl Index {
    /// Returns an index without archives.
    #[must_use]
    pub fn empty() -> Self {
        Self { schema: SCHEMA, generator: generator(), archives: Vec::new() }
    }

    /// Reads an index; `place` is for messages. No path in it leads out of the release.
    pub fn parse(place: &str, text: &[u8]) -> Result<Self, Error> {
        let refuse = |why: String| Error::Index { path: place.to_owned(), why };
        let index: Self = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        if index.schema != SCHEMA {
            return Err(refuse(format!("its `schema` is {}, this crossmill reads {SCHEMA}", index.schema)));
        }
        for (entry, next) in index.archives.iter().zip(index.archives.iter().skip(1)) {
            if entry.name >= next.name {
                return Err(refuse(format!("`{}` follows `{}`", next.name, entry.name)));
            }
        }
        for path in index.archives.iter().flat_map(|entry| entry.paths().chain([entry.prefix.as_str()])) {
            if !is_inside(path) {
                return Err(refuse(format!("the path `{path}` leads out of the release")));
            }
        }
        Ok(index)
    }

    /// Returns the text of the file.
    pub fn text(&self) -> Result<String, Error> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        Ok(format!("{text}\n"))
    }

    /// Adds an archive, in place of one with the same name.
    pub fn add(&mut self, entry: Entry) {
        self.generator = generator();
        self.archives.retain(|other| other.name != entry.name);
        let at = self.archives.partition_point(|other| other.name < entry.name);
        self.archives.insert(at, entry);
    }
}

impl Entry {
    /// Returns the paths of all its files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().chain([&self.sbom]).map(|file| file.path.as_str());
        files.chain([self.provenance.as_str()]).chain(self.signature.as_deref())
    }

    /// Returns the version that it is named after.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let in_name = self.versions.values().filter(|version| self.name.contains(version.as_str()));
        in_name.max_by_key(|version| version.len()).map(String::as_str)
    }

    /// Returns the directory of its compressed forms below the release.
    #[must_use]
    pub fn directory(&self) -> &str {
        let path = self.files.first().map(|file| file.path.as_str()).unwrap_or_default();
        path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }
}

fn generator() -> String {
    concat!("crossmill ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Returns whether a path names something below the directory that it is relative to.
#[must_use]
pub fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "./x"] {
            assert!(!is_inside(path), "{path}");
        }
        assert!(is_inside("files/bin/x86_64/16.2.0/a.tar.xz"));
    }
}
