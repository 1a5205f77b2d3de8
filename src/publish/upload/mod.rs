//! A release at its destination: archives first, then the documents, the index last. Nothing that an index lists is replaced
//! with other bytes, and a publication that ends early is continued by the next one.

pub mod destination;
mod rsync;

use super::Error;
use super::index::{Entry, FILE, Index};
use super::release::{self, Release};
use super::sign::Signer;
use super::tree::sha256_of;
use crate::base::{Version, files};
use crate::remote::blob::{Blob, Presence, Text};
use destination::Destination;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A publication and its rules.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The release's directory.
    pub release: &'a Path,
    /// Its index.
    pub index: &'a Index,
    /// Its destination.
    pub destination: &'a Destination,
    /// Number of versions of each archive to keep; all if not given.
    pub keep: Option<usize>,
    /// The key for an index that is not the release's own.
    pub signer: Option<&'a Signer>,
    /// Nothing is changed.
    pub dry_run: bool,
}

/// Summary of a publication, or of what it would upload and remove.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Published {
    /// Paths that were uploaded, in order.
    pub uploaded: Vec<String>,
    /// Archives, documents and signatures that were there with the same bytes.
    pub existing: usize,
    /// Paths that were removed by the rule of retention.
    pub removed: Vec<String>,
    /// The archives that the destination has then.
    pub archives: Vec<String>,
    /// Bytes that were uploaded.
    pub bytes: u64,
}

// Somebody published other bytes under the same name.
fn published(path: &str) -> Error {
    Error::Published { path: path.to_owned() }
}

/// The documents of an index, by path; the index is last.
type Documents = Vec<(String, Vec<u8>)>;

impl Publication<'_> {
    /// Publishes; `pages` writes the release's pages for an index, `note` hears of each file.
    pub async fn run(
        &self,
        pages: &dyn Fn(&Index) -> Vec<(&'static str, String)>,
        note: &dyn Fn(&str, u64),
    ) -> Result<Published, Error> {
        let before = self.destination.text(FILE).await?;
        let there = match &before {
            Some(text) => Index::parse("of the destination", &text.bytes)?,
            None => Index::empty(),
        };
        let merged = merge(self.index, &there)?;
        let (kept, retired) = retain(merged, self.keep);
        let documents = self.documents(&kept, before.as_ref(), pages).await?;
        let mut done = Published {
            archives: kept.archives.iter().map(|entry| entry.name.clone()).collect(),
            ..Published::default()
        };
        let known: BTreeSet<&str> = there.archives.iter().map(|entry| entry.name.as_str()).collect();
        let new = self.index.archives.iter().filter(|entry| {
            kept.archives.iter().any(|other| other.name == entry.name) && !known.contains(entry.name.as_str())
        });
        let blobs = self.blobs(new)?;
        self.upload(&blobs, &mut done, note).await?;
        self.replace(documents, before.as_ref(), &mut done, note).await?;
        let stay: BTreeSet<&str> = kept.archives.iter().flat_map(Entry::paths).collect();
        for path in retired.iter().filter(|entry| known.contains(entry.name.as_str())).flat_map(Entry::paths) {
            if !stay.contains(path) {
                if !self.dry_run {
                    self.destination.remove(path).await?;
                }
                done.removed.push(path.to_owned());
            }
        }
        Ok(done)
    }

    async fn upload(&self, blobs: &[Blob], done: &mut Published, note: &dyn Fn(&str, u64)) -> Result<(), Error> {
        let presence = self.destination.presence(self.release, blobs).await?;
        for (blob, presence) in blobs.iter().zip(&presence) {
            if *presence == Presence::Other && blob.is_fixed {
                return Err(published(&blob.path));
            }
        }
        for (blob, presence) in blobs.iter().zip(presence) {
            if presence == Presence::Same {
                done.existing += 1;
                continue;
            }
            if !self.dry_run {
                self.destination.upload(self.release, blob).await?;
            }
            note(&blob.path, blob.bytes);
            done.uploaded.push(blob.path.clone());
            done.bytes += blob.bytes;
        }
        Ok(())
    }

    async fn replace(
        &self,
        documents: Documents,
        index: Option<&Text>,
        done: &mut Published,
        note: &dyn Fn(&str, u64),
    ) -> Result<(), Error> {
        for (path, bytes) in documents {
            let there = if path == FILE { index.cloned() } else { self.destination.text(&path).await? };
            if there.as_ref().is_some_and(|there| there.bytes == bytes) {
                done.existing += 1;
                continue;
            }
            if !self.dry_run {
                self.destination.replace(&path, &bytes, there.as_ref()).await?;
            }
            note(&path, bytes.len() as u64);
            done.bytes += bytes.len() as u64;
            done.uploaded.push(path);
        }
        Ok(())
    }

    // Returns the release's own documents if its index is the one to publish, else new ones.
    async fn documents(
        &self,
        index: &Index,
        before: Option<&Text>,
        pages: &dyn Fn(&Index) -> Vec<(&'static str, String)>,
    ) -> Result<Documents, Error> {
        let own = release::documents(self.index);
        let signed = own.iter().filter(|path| release::is_signature(path)).any(|path| self.release.join(path).exists());
        let mut signed_there = false;
        for end in release::SIGNATURES {
            let signature = self.destination.text(&format!("{FILE}.{end}")).await?;
            signed_there |= signature.is_some();
            if let (Some(signer), Some(signature), Some(index)) = (self.signer, signature, before)
                && signer.extension() == end
            {
                // Nobody may have their own archives signed by publishing them first.
                signer.public()?.verify("the index of the destination", &index.bytes, &signature.bytes)?;
            }
        }
        if index == self.index && signed_there && !signed {
            let why = "it is signed, and the release is not: sign the release with `crossmill package --sign-with KEY`";
            return Err(Error::Remote { place: "the destination".to_owned(), why: why.to_owned() });
        }
        if index == self.index {
            return read_documents(self.release, &own);
        }
        if (signed || signed_there) && self.signer.is_none() {
            let why = "it has other archives than the release, and the index of both has to be signed: name the key with \
                       `--sign-with KEY`";
            return Err(Error::Remote { place: "the destination".to_owned(), why: why.to_owned() });
        }
        let staging = tempfile::tempdir()?;
        Release::staged(staging.path(), index.clone())?.finish(&pages(index), self.signer)?;
        read_documents(staging.path(), &release::documents(index))
    }

    // The files of archives, whose digests are compared with the index before anything is uploaded.
    fn blobs<'e>(&self, entries: impl Iterator<Item = &'e Entry>) -> Result<Vec<Blob>, Error> {
        let mut blobs = Vec::new();
        for entry in entries {
            for file in entry.files.iter().chain([&entry.sbom]) {
                let blob = self.blob(&file.path, true)?;
                if (blob.sha256, blob.bytes) != (file.sha256, file.bytes) {
                    return Err(Error::Mismatch {
                        path: file.path.clone(),
                        want: format!("SHA-256 {}", file.sha256),
                        got: format!("SHA-256 {}", blob.sha256),
                    });
                }
                blobs.push(blob);
            }
            for path in [Some(&entry.provenance), entry.signature.as_ref()].into_iter().flatten() {
                blobs.push(self.blob(path, false)?);
            }
        }
        Ok(blobs)
    }

    fn blob(&self, path: &str, is_fixed: bool) -> Result<Blob, Error> {
        let file = self.release.join(path);
        Ok(Blob { path: path.to_owned(), sha256: sha256_of(&file)?, bytes: fs_err::metadata(&file)?.len(), is_fixed })
    }
}

fn read_documents(dir: &Path, paths: &[String]) -> Result<Documents, Error> {
    let mut documents = Vec::new();
    for path in paths {
        if let Some(bytes) = files::read_if_present(&dir.join(path))? {
            documents.push((path.clone(), bytes));
        }
    }
    Ok(documents)
}

// The archives of both; one of the same name must have the same bytes, and stays as it was published.
fn merge(own: &Index, there: &Index) -> Result<Index, Error> {
    let mut merged = own.clone();
    for entry in &there.archives {
        match own.archives.iter().find(|other| other.name == entry.name) {
            Some(other) if other.tar == entry.tar && other.files == entry.files => {}
            Some(_) => return Err(published(&entry.name)),
            None => merged.add(entry.clone()),
        }
    }
    Ok(merged)
}

// Kind, host, and the triples or targets.
type Group = (String, String, Vec<String>);

// Splits an index into what stays and what the rule retires: the oldest versions of the same kind, host and triples.
fn retain(mut index: Index, keep: Option<usize>) -> (Index, Vec<Entry>) {
    let Some(keep) = keep else { return (index, Vec::new()) };
    let mut groups: BTreeMap<Group, Vec<(Option<Version>, String)>> = BTreeMap::new();
    for entry in &index.archives {
        let names = if entry.triples.is_empty() { entry.targets.clone() } else { entry.triples.clone() };
        let version = entry.version().and_then(|version| Version::new(version).ok());
        groups.entry((entry.kind.clone(), entry.host.clone(), names)).or_default().push((version, entry.name.clone()));
    }
    let mut gone = BTreeSet::new();
    for (_, mut versions) in groups {
        versions.sort_by(|a, b| b.cmp(a));
        let mut kept: Vec<&Option<Version>> = Vec::new();
        for (version, name) in &versions {
            if !kept.contains(&version) && kept.len() >= keep {
                gone.insert(name.clone());
            } else if !kept.contains(&version) {
                kept.push(version);
            }
        }
    }
    let (retired, stay) = index.archives.into_iter().partition(|entry| gone.contains(&entry.name));
    index.archives = stay;
    (index, retired)
}
