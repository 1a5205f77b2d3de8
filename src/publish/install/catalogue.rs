//! Archives that an origin offers, from a document whose signature was verified.

use super::super::Error;
use super::super::archive::Digested;
use super::super::index::{self, Index, is_inside};
use super::origin::Origin;
use super::trust::Trust;
use crate::base::{Sha256, Version, suggest};
use crate::source::{Fetcher, Progress};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An archive to install.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its name without an ending.
    pub name: String,
    /// The kind of archive.
    pub kind: String,
    /// The version that it is named after.
    pub version: Option<Version>,
    /// The machine that its programs run on.
    pub host: String,
    /// The triples that it has tools for.
    pub triples: Vec<String>,
    /// The targets that it is for.
    pub targets: Vec<String>,
    /// The directory in it.
    pub prefix: PathBuf,
    /// Its file below the origin.
    pub file: String,
    /// The file's digest.
    pub sha256: Sha256,
    /// The file's size, if it is known.
    pub bytes: Option<u64>,
    /// The uncompressed tar, if it is known.
    pub tar: Option<Digested>,
    /// The bytes of all unpacked files, if they are known.
    pub unpacked_bytes: Option<u64>,
}

/// All archives of an origin.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// In the order of their names.
    pub offers: Vec<Offer>,
    /// The key that signed it; none if the user asked for no verification.
    pub signed_by: Option<String>,
}

/// The archives that the user means.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// The kind of archive.
    pub kind: &'a str,
    /// The machine that its programs run on.
    pub host: &'a str,
    /// The version, or the beginning of it.
    pub version: Option<&'a Version>,
}

impl Catalogue {
    /// Reads the index of `origin`, or kernel.org's list of sums where there is no index. Without `trust` no signature is
    /// verified.
    pub async fn read(
        origin: &Origin,
        trust: Option<&Trust>,
        fetcher: &Fetcher,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        if let Some(text) = origin.text(super::INDEX, fetcher, progress).await? {
            let signed_by = match trust {
                None => None,
                Some(trust) => {
                    let name = format!("{}.{}", super::INDEX, trust.key.extension());
                    let place = origin.place(super::INDEX);
                    let signature = origin.text(&name, fetcher, progress).await?.ok_or_else(|| Error::Unverified {
                        what: place.clone(),
                        why: format!("there is no `{name}` beside it"),
                    })?;
                    Some(trust.key.verify(&place, &text, &signature)?)
                }
            };
            let index = Index::parse(&origin.place(super::INDEX), &text)?;
            return Ok(Self { offers: index.archives.into_iter().filter_map(offer).collect(), signed_by });
        }
        let Some(text) = origin.text(super::SUMS, fetcher, progress).await? else {
            let why = format!("it has neither `{}` nor `{}`", super::INDEX, super::SUMS);
            return Err(Error::Remote { place: origin.to_string(), why });
        };
        let place = origin.place(super::SUMS);
        let (signed_by, sums) = match trust {
            Some(trust) => {
                let (key, sums) = trust.key.verify_clear(&place, &text)?;
                (Some(key), sums)
            }
            None => (None, text),
        };
        Ok(Self { offers: from_sums(&place, &sums, trust.is_some())?, signed_by })
    }

    /// Returns the newest archive for each of `wanted`, each a list of names for one target: the first that matches counts.
    pub fn select(&self, wanted: &[Vec<String>], choice: &Choice<'_>) -> Result<Vec<&Offer>, Error> {
        let mut selected: Vec<&Offer> = Vec::new();
        for names in wanted {
            let offer = self.one(names, choice)?;
            if !selected.iter().any(|other| other.name == offer.name) {
                selected.push(offer);
            }
        }
        Ok(selected)
    }

    fn one(&self, names: &[String], choice: &Choice<'_>) -> Result<&Offer, Error> {
        let fitting: Vec<&Offer> = self.offers.iter().filter(|offer| offer.fits(choice)).collect();
        let matching =
            |name: &String| -> Vec<&Offer> { fitting.iter().filter(|offer| offer.is_for(name)).copied().collect() };
        let found = names.iter().map(matching).find(|found| !found.is_empty()).unwrap_or_default();
        let newest = found.iter().filter_map(|offer| offer.version.as_ref()).max();
        let newest: Vec<&&Offer> = found.iter().filter(|offer| offer.version.as_ref() == newest).collect();
        match newest[..] {
            [one] => Ok(one),
            [] => Err(Error::NotOffered {
                target: names.first().cloned().unwrap_or_default(),
                kind: choice.kind.to_owned(),
                hints: self.hints(names, choice, &fitting),
            }),
            _ => {
                let all = suggest::list(newest.iter().map(|offer| offer.name.as_str()));
                let first = names.first().map_or("", String::as_str);
                Err(Error::Ambiguous { what: first.to_owned(), all })
            }
        }
    }

    fn hints(&self, names: &[String], choice: &Choice<'_>, fitting: &[&Offer]) -> Vec<String> {
        let is_named = |offer: &&Offer| names.iter().any(|name| offer.is_for(name)) && offer.kind == choice.kind;
        let elsewhere: Vec<&Offer> = self.offers.iter().filter(is_named).collect();
        if !elsewhere.is_empty() {
            let list = elsewhere.iter().map(|offer| {
                let version = offer.version.as_ref().map_or("?", Version::as_str);
                format!("version {version} for {} machines", offer.host)
            });
            return vec![format!("it has {}", list.collect::<Vec<_>>().join(", "))];
        }
        let known = fitting.iter().flat_map(|offer| offer.names()).map(String::as_str);
        suggest::hints(names.first().map_or("", String::as_str), "targets", known)
    }
}

impl Offer {
    /// Returns whether it may be chosen. Kernels run on their target alone, so any machine may install them.
    pub fn fits(&self, choice: &Choice<'_>) -> bool {
        let of_host = self.triples.is_empty() || self.host == choice.host;
        let of_version =
            choice.version.is_none_or(|wanted| self.version.as_ref().is_some_and(|own| own.is_within(wanted)));
        self.kind == choice.kind && of_host && of_version
    }

    fn is_for(&self, name: &str) -> bool {
        let is_arch = |triple: &String| triple.split_once('-').is_some_and(|(arch, _)| arch == name);
        self.name == name || self.names().any(|own| own == name) || self.triples.iter().any(is_arch)
    }

    /// Returns the triples, or the targets where it has no triples.
    pub fn names(&self) -> std::slice::Iter<'_, String> {
        if self.triples.is_empty() { self.targets.iter() } else { self.triples.iter() }
    }
}

// The smallest form, of those that crossmill can unpack.
fn offer(entry: index::Entry) -> Option<Offer> {
    let file = entry.files.iter().min_by_key(|file| file.bytes)?.clone();
    Some(Offer {
        version: entry.version().and_then(|version| Version::new(version).ok()),
        name: entry.name,
        kind: entry.kind,
        host: entry.host,
        triples: entry.triples,
        targets: entry.targets,
        prefix: entry.prefix.into(),
        file: file.path,
        sha256: file.sha256,
        bytes: Some(file.bytes),
        tar: Some(entry.tar),
        unpacked_bytes: Some(entry.unpacked_bytes),
    })
}

/// Between host and version, and between version and triple, in kernel.org's names.
const GCC: &str = "-gcc-";
const NOLIBC: &str = "-nolibc-";
/// In the order in which they are preferred.
const FORMATS: [&str; 3] = [".tar.xz", ".tar.zst", ".tar.gz"];

/// Reads kernel.org's list: `HASH  NAME` in each line. Names that are not those of a toolchain are left out.
fn from_sums(place: &str, text: &[u8], verified: bool) -> Result<Vec<Offer>, Error> {
    let refuse = |why: String| Error::Index { path: place.to_owned(), why };
    let text = std::str::from_utf8(text).map_err(|_| refuse("it is not text".to_owned()))?;
    // An unverified list may still have its signature around it.
    let is_sum = |line: &&str| verified || line.split_once("  ").is_some_and(|(sum, _)| sum.len() == 64);
    let mut sums: BTreeMap<&str, Sha256> = BTreeMap::new();
    for line in text.lines().filter(is_sum).filter(|line| !line.trim().is_empty()) {
        let parsed = line.split_once("  ").and_then(|(sum, name)| Some((sum.parse::<Sha256>().ok()?, name)));
        let (sum, name) = parsed.ok_or_else(|| refuse(format!("the line `{line}` is not a SHA-256 and a name")))?;
        if sums.insert(name, sum).is_some_and(|other| other != sum) {
            return Err(refuse(format!("it lists `{name}` twice, with different sums")));
        }
    }
    let mut offers: BTreeMap<&str, Offer> = BTreeMap::new();
    for format in FORMATS {
        for (name, sha256) in &sums {
            if let Some(stem) = name.strip_suffix(format)
                && let Some(offer) = crosstool(stem, name, *sha256)
            {
                offers.entry(stem).or_insert(offer);
            }
        }
    }
    Ok(offers.into_values().collect())
}

fn crosstool(stem: &str, file: &str, sha256: Sha256) -> Option<Offer> {
    let (host, rest) = stem.split_once(GCC)?;
    let (version, triple) = rest.split_once(NOLIBC)?;
    let prefix = format!("gcc-{version}-nolibc/{triple}");
    // No part of the name may be a path of its own.
    if !is_inside(&prefix) || !is_inside(file) || stem.contains('/') {
        return None;
    }
    Some(Offer {
        name: stem.to_owned(),
        kind: "toolchain".to_owned(),
        version: Version::new(version).ok(),
        host: host_of(host).to_owned(),
        triples: vec![triple.to_owned()],
        targets: Vec::new(),
        prefix: prefix.into(),
        file: file.to_owned(),
        sha256,
        bytes: None,
        tar: None,
        unpacked_bytes: None,
    })
}

/// Returns an architecture as Rust names it; kernel.org names two differently.
#[must_use]
pub fn host_of(name: &str) -> &str {
    match name {
        "arm64" => "aarch64",
        "ppc64le" => "powerpc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "9a7bf918e7cc37a37f2a94fe09a45ae8d00966dafb9cac87a397facd322fcb26";

    fn list(names: &[&str]) -> String {
        names.iter().map(|name| format!("{SUM}  {name}\n")).collect()
    }

    #[test]
    fn one_archive_in_two_forms_is_offered_once() {
        let text = list(&[
            "arm64-gcc-16.2.0-nolibc-s390-linux.tar.gz",
            "x86_64-gcc-16.2.0-nolibc-arm-linux-gnueabi.tar.gz",
            "x86_64-gcc-16.2.0-nolibc-arm-linux-gnueabi.tar.xz",
            "x86_64-gcc-16.2.0-nolibc-../../etc.tar.xz",
            "README",
        ]);
        let offers = from_sums("sums", text.as_bytes(), true).unwrap();
        let seen: Vec<_> =
            offers.iter().map(|it| (it.file.as_str(), it.host.as_str(), it.triples[0].as_str())).collect();
        assert_eq!(
            seen,
            [
                ("arm64-gcc-16.2.0-nolibc-s390-linux.tar.gz", "aarch64", "s390-linux"),
                ("x86_64-gcc-16.2.0-nolibc-arm-linux-gnueabi.tar.xz", "x86_64", "arm-linux-gnueabi"),
            ]
        );
        assert_eq!(offers[1].prefix, PathBuf::from("gcc-16.2.0-nolibc/arm-linux-gnueabi"));
    }

    #[test]
    fn a_list_that_contradicts_itself_is_refused() {
        let other = SUM.replace('9', "8");
        let why = |text: &str| from_sums("sums", text.as_bytes(), true).unwrap_err().to_string();
        insta::assert_snapshot!(why(&format!("{SUM}  a.tar.xz\n{other}  a.tar.xz\n")), @"the index `sums` cannot be used: it lists `a.tar.xz` twice, with different sums");
        insta::assert_snapshot!(why("no sum here\n"), @"the index `sums` cannot be used: the line `no sum here` is not a SHA-256 and a name");
    }
}
