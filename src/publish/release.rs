//! A directory of archives with everything that describes them: `index.json`, `SHA256SUMS`, SBOMs and provenance in
//! `meta/`, and a page. The directories below `files/` have nothing but archives, their signatures and sums, because
//! kernel.org's clients take every name in them for a compiler.

use super::archive::{Archive, Digested};
use super::index::{Entry, FILE, File, Index};
use super::sign::Signer;
use super::{Error, tree};
use crate::base::files;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Digests of everything but what has times in it.
pub const SUMS: &str = "SHA256SUMS";
/// kernel.org's name of the sums in a directory of archives.
const DIRECTORY_SUMS: &str = "sha256sums.asc";
const META: &str = "meta";
const NOTES: &str = "RELEASE.md";
const PAGE: &str = "index.html";
/// The ends of the names of detached signatures.
pub const SIGNATURES: [&str; 2] = ["asc", "minisig"];

/// Returns the paths of everything that describes the release of `index` as a whole, whether it exists or not, in the order in
/// which it may be replaced: each signature before what it signs, the index last.
#[must_use]
pub fn documents(index: &Index) -> Vec<String> {
    let directories: BTreeSet<&str> =
        index.archives.iter().map(Entry::directory).filter(|directory| !directory.is_empty()).collect();
    let sums = directories.into_iter().map(|directory| format!("{directory}/{DIRECTORY_SUMS}"));
    let signed =
        [SUMS, FILE].map(|name| SIGNATURES.map(|end| format!("{name}.{end}")).into_iter().chain([name.to_owned()]));
    let [of_sums, of_index] = signed;
    sums.chain(of_sums).chain([NOTES, PAGE].map(str::to_owned)).chain(of_index).collect()
}

/// Returns whether a path of [`documents`] is a signature.
#[must_use]
pub fn is_signature(path: &str) -> bool {
    SIGNATURES.iter().any(|end| path.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')))
}

/// A release that is being written, locked against other writers.
#[derive(Debug)]
pub struct Release {
    dir: PathBuf,
    /// The field's content.
    pub index: Index,
    _lock: std::fs::File,
}

/// Documents that describe an archive, as text.
#[derive(Debug, Clone)]
pub struct Described {
    /// CycloneDX.
    pub sbom: String,
    /// in-toto.
    pub provenance: String,
}

impl Release {
    /// Opens the release in `dir`, which is created if it does not exist. Waits for another writer.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs_err::create_dir_all(dir.join(META))?;
        let lock = fs_err::File::create(dir.join(META).join(".lock"))?.into_parts().0;
        lock.lock()?;
        let path = dir.join(FILE);
        let index = match fs_err::read(&path) {
            Ok(text) => Index::parse(&path.display().to_string(), &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Index::empty(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { dir: dir.to_owned(), index, _lock: lock })
    }

    /// Returns a release of `index` in the empty directory `dir`, for its documents alone.
    pub fn staged(dir: &Path, index: Index) -> Result<Self, Error> {
        Ok(Self { index, ..Self::open(dir)? })
    }

    /// Opens the release in `dir`, which must exist.
    pub fn existing(dir: &Path) -> Result<Self, Error> {
        if !dir.join(FILE).is_file() {
            let why = "it is not a release of `crossmill package --release`".to_owned();
            return Err(Error::Index { path: dir.join(FILE).display().to_string(), why });
        }
        Self::open(dir)
    }

    /// Returns the directory of archives that belong in `directory`.
    #[must_use]
    pub fn place(&self, directory: &Path) -> PathBuf {
        self.dir.join(directory)
    }

    /// Returns a file of the release as its index has it.
    pub fn file(&self, path: &Path, digest: Digested) -> File {
        let inside = path.strip_prefix(&self.dir).unwrap_or(path);
        File { path: inside.display().to_string(), sha256: digest.sha256, bytes: digest.bytes }
    }

    /// Signs the tar of an archive, as kernel.org does, and returns the signature's path.
    pub fn sign_tar(&self, made: &Archive, name: &str, directory: &Path, signer: &Signer) -> Result<String, Error> {
        let end = match signer {
            Signer::Gpg { .. } => "sign",
            Signer::Minisign { .. } => signer.extension(),
        };
        let inside = directory.join(format!("{name}.tar.{end}"));
        let path = self.dir.join(&inside);
        signer.detached(&made.tar_file, &path)?;
        Ok(inside.display().to_string())
    }

    /// Removes signatures of an archive, which are not of the tar that replaced it.
    pub fn unsign_tar(&self, name: &str, directory: &Path) -> Result<(), Error> {
        let remove = |end| self.remove(&directory.join(format!("{name}.tar.{end}")).display().to_string());
        ["sign", "minisig"].into_iter().try_for_each(remove)
    }

    /// Writes the documents of an archive and returns the SBOM's file and the provenance's path.
    pub fn describe(&self, name: &str, texts: &Described) -> Result<(File, String), Error> {
        let sbom = format!("{META}/{name}.cdx.json");
        let provenance = format!("{META}/{name}.intoto.json");
        self.write(&sbom, texts.sbom.as_bytes())?;
        self.write(&provenance, texts.provenance.as_bytes())?;
        let digest = self.digest(&sbom)?;
        Ok((File { path: sbom, sha256: digest.sha256, bytes: digest.bytes }, provenance))
    }

    /// Adds an archive whose files are in place.
    pub fn add(&mut self, entry: Entry) {
        self.index.add(entry);
    }

    /// Writes sums, pages and, last, the index. `pages` are further files, by name.
    pub fn finish(&self, pages: &[(&str, String)], signer: Option<&Signer>) -> Result<(), Error> {
        for (directory, sums) in self.directory_sums() {
            let path = if directory.is_empty() { continue } else { format!("{directory}/{DIRECTORY_SUMS}") };
            match signer.map(|signer| signer.clear(&sums)).transpose()?.flatten() {
                Some(signed) => self.write(&path, &signed)?,
                // Unsigned sums below the name of signed ones would mislead.
                None => self.remove(&path)?,
            }
        }
        self.write_signed(SUMS, self.sums().as_bytes(), signer)?;
        for (name, text) in pages {
            self.write(name, text.as_bytes())?;
        }
        self.write_signed(FILE, self.index.text()?.as_bytes(), signer)
    }

    // The sums of all archives and SBOMs, in the order of their paths.
    fn sums(&self) -> String {
        let files = self.index.archives.iter().flat_map(|entry| entry.files.iter().chain([&entry.sbom]));
        let mut lines: Vec<(&str, String)> =
            files.map(|file| (file.path.as_str(), format!("{}  {}\n", file.sha256, file.path))).collect();
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    // The sums of each directory of archives, by names in it.
    fn directory_sums(&self) -> BTreeMap<&str, String> {
        let mut sums: BTreeMap<&str, String> = BTreeMap::new();
        for file in self.index.archives.iter().flat_map(|entry| &entry.files) {
            let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            sums.entry(directory).or_default().push_str(&format!("{}  {name}\n", file.sha256));
        }
        sums
    }

    // A signature of other bytes is worse than none, so the old one goes first.
    fn write_signed(&self, name: &str, text: &[u8], signer: Option<&Signer>) -> Result<(), Error> {
        for end in SIGNATURES {
            self.remove(&format!("{name}.{end}"))?;
        }
        if let Some(signer) = signer {
            let signed = files::temporary(&self.dir)?;
            fs_err::write(signed.path(), text)?;
            let signature = format!("{name}.{}", signer.extension());
            signer.detached(signed.path(), &self.dir.join(&signature))?;
        }
        self.write(name, text)
    }

    fn write(&self, name: &str, text: &[u8]) -> Result<(), Error> {
        Ok(files::write_atomic(&self.dir.join(name), text)?)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        match fs_err::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn digest(&self, name: &str) -> Result<Digested, Error> {
        let path = self.dir.join(name);
        Ok(Digested { sha256: tree::sha256_of(&path)?, bytes: fs_err::metadata(&path)?.len() })
    }
}
