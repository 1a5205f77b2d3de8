//! Brings verified source trees onto this machine.
//!
//! No byte reaches a tree before it was compared with a pin, except what
//! the user named without one; and what was fetched once is never fetched
//! again. Prints nothing.

mod answer;
pub mod apt;
mod cache;
mod deb;
mod download;
mod error;
mod fetch;
mod git;
pub mod history;
mod http;
mod local;
pub mod mirror;
mod partial;
mod patch;
mod route;
pub mod signature;
mod tree;
mod unpack;

pub use error::{Error, Failure};
pub use history::History;
pub use tree::Unpacked;

use crate::base::Sha256;
use crate::config::source::{Origin, PatchFrom, PatchSpec, Pin, SourceSpec};
use cache::{Cache, PinRecord};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How sources are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cache directory; created on demand.
    pub cache: PathBuf,
    /// Nothing is asked of any server.
    pub offline: bool,
    /// The base of the Debian archive, instead of what apt uses.
    pub debian_mirror: Option<String>,
    /// apt's configuration: `/etc/apt`.
    pub apt_dir: PathBuf,
    /// Number of retries after a temporary failure of a server.
    pub retries: u32,
    /// The first pause before that; each further one is twice as long.
    pub backoff: Duration,
    /// A connection that sends nothing for so long is given up.
    pub stall: Duration,
    /// So is one that sends fewer bytes a second, over as long.
    pub slowest: u64,
}

impl Options {
    /// Returns the usual ones, with this cache.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            offline: false,
            debian_mirror: None,
            apt_dir: PathBuf::from("/etc/apt"),
            retries: 5,
            backoff: Duration::from_secs(1),
            stall: Duration::from_secs(30),
            slowest: 1 << 10,
        }
    }
}

/// Receives the progress of a fetch.
pub trait Progress: Send + Sync {
    /// Bytes that are here, and all of them if that is known.
    fn bytes(&self, done: u64, total: Option<u64>);

    /// A source did not serve; `next` is what follows, to be read after a comma
    /// (`again in 1.2s`, `next source`).
    fn retry(&self, source: &str, why: &str, next: &str);

    /// Another process fetches the same; its lock file is waited for.
    fn waiting(&self, _lock: &Path) {}
}

/// Discards all progress.
impl Progress for () {
    fn bytes(&self, _: u64, _: Option<u64>) {}
    fn retry(&self, _: &str, _: &str, _: &str) {}
}

/// A source that is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// Which of the candidates it is, counted from 0.
    pub candidate: usize,
    /// The verified digest: `sha256:…` of a file, `git:…` a commit, `tree:…` of a directory.
    pub digest: String,
    /// The candidate's label.
    pub source: String,
    /// Whether it was in the cache already.
    pub from_cache: bool,
    /// Bytes that came over the network now.
    pub bytes: u64,
}

impl Fetched {
    fn sha256(&self) -> Option<Sha256> {
        self.digest.strip_prefix("sha256:")?.parse().ok()
    }
}

/// A file that is taken over from elsewhere.
#[derive(Debug)]
pub struct Adoption {
    /// Where it is written.
    pub path: PathBuf,
    sha256: Sha256,
    lock: cache::Lock,
}

/// Fetches and unpacks. Clones share what they know of dead hosts.
#[derive(Debug, Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    cache: Cache,
    http: http::Http,
    mirrors: OnceLock<mirror::Mirrors>,
}

impl Inner {
    /// The digest that the file of `spec` must have, as far as that is known.
    fn expected(&self, spec: &SourceSpec) -> Result<Option<Sha256>, Error> {
        let record = || cache::read_json::<PinRecord>(&self.cache.pin(&spec.label()));
        Ok(match &spec.pin {
            Pin::Sha256(sha256) => Some(*sha256),
            Pin::Signature { .. } => {
                // A file that was accepted without verification is no evidence.
                record()?.filter(|record| record.key.is_some()).map(|record| record.sha256)
            }
            Pin::AsFound => record()?.map(|record| record.sha256),
        })
    }
}

impl Fetcher {
    /// Reads and writes nothing yet.
    pub fn new(options: Options) -> Self {
        let cache = Cache::new(options.cache.clone());
        Self { inner: Arc::new(Inner { options, cache, http: http::Http::default(), mirrors: OnceLock::new() }) }
    }

    /// Returns how it was made.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The first candidate that is in the cache, found without the network and
    /// without hashing. `None` as well when a candidate before it has to be
    /// looked at first: a directory, a file that was edited, a branch.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn cached(&self, candidates: &[SourceSpec]) -> Result<Option<Fetched>, Error> {
        let cache = &self.inner.cache;
        for (index, spec) in candidates.iter().enumerate() {
            let digest = match &spec.from {
                Origin::Url(_) | Origin::Debian(_) => match self.inner.expected(spec)? {
                    Some(sha256) if cache.has(sha256, spec.size)?.is_some() => format!("sha256:{sha256}"),
                    _ => continue,
                },
                Origin::Local(path) => match (local::known(cache, path)?, &spec.pin) {
                    (Some((sha256, _)), Pin::Sha256(want)) if sha256 != *want => return Ok(None),
                    (Some((sha256, _)), _) => format!("sha256:{sha256}"),
                    (None, _) => return Ok(None),
                },
                Origin::Git { url, rev } => {
                    let mirror = cache.git(url);
                    let known = cache::read_json::<fetch::Revisions>(&fetch::revisions(&mirror))?.unwrap_or_default();
                    let usable = self.inner.options.offline || git::is_commit(rev);
                    match known.commits.get(rev).filter(|_| usable) {
                        Some(commit) if !git::is_damaged(&mirror)? => format!("git:{commit}"),
                        _ => return Ok(None),
                    }
                }
            };
            let source = spec.label();
            return Ok(Some(Fetched { candidate: index, digest, source, from_cache: true, bytes: 0 }));
        }
        Ok(None)
    }

    /// Brings the first candidate that serves into the cache; one that is there already wins.
    ///
    /// Dropping the future stops it; what has arrived is kept and gone on from.
    pub async fn fetch(&self, candidates: &[SourceSpec], progress: &dyn Progress) -> Result<Fetched, Error> {
        if let Some(found) = self.cached(candidates)? {
            return Ok(found);
        }
        fetch::first(&self.inner, candidates, progress).await
    }

    /// Returns the history of a git repository, up to date unless offline.
    pub async fn history(&self, url: &str, progress: &dyn Progress) -> Result<History, Error> {
        fetch::history(&self.inner, url, progress).await
    }

    /// Returns a small file of a server, of `limit` bytes at most, or `None` where the server has none. Never cached.
    pub async fn text(&self, url: &str, limit: u64, progress: &dyn Progress) -> Result<Option<Vec<u8>>, Error> {
        match fetch::text(&self.inner, url, route::Trust::Https, limit, progress).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Status { status: 404 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to take over a file with this digest from elsewhere: the caller writes it to the returned path, compares it
    /// with the digest, and calls [`adopt`](Self::adopt).
    pub async fn begin_adoption(&self, sha256: Sha256) -> Result<Adoption, Error> {
        let cache = &self.inner.cache;
        let lock = cache.lock(&sha256.to_string(), &()).await?;
        let path = cache.partial(&format!("{sha256}.adopted"));
        if let Some(dir) = path.parent() {
            fs_err::create_dir_all(dir)?;
        }
        fs_err::create_dir_all(self.inner.options.cache.join("blobs"))?;
        Ok(Adoption { path, sha256, lock })
    }

    /// Stores the file of an adoption as candidate number `candidate`.
    pub async fn adopt(&self, adoption: Adoption, candidate: usize, source: &str) -> Result<Fetched, Error> {
        let Adoption { path, sha256, lock } = adoption;
        let bytes = fs_err::metadata(&path)?.len();
        self.inner.cache.publish(&path, sha256, source, &lock).await?;
        let (digest, source) = (format!("sha256:{sha256}"), source.to_owned());
        Ok(Fetched { candidate, digest, source, from_cache: false, bytes })
    }

    /// Returns the file of a fetched source; none if it is not one file.
    #[must_use]
    pub fn file(&self, fetched: &Fetched) -> Option<PathBuf> {
        Some(self.inner.cache.blob(fetched.sha256()?))
    }

    /// Forgets what the cache has of a source and what turned out to be damaged, so that it is fetched again.
    pub fn forget(&self, spec: &SourceSpec, fetched: Option<&Fetched>) -> Result<(), Error> {
        if let Origin::Git { url, .. } = &spec.from {
            return git::mark_damaged(&self.inner.cache.git(url));
        }
        match fetched.and_then(Fetched::sha256) {
            Some(sha256) => cache::remove(&self.inner.cache.blob(sha256)),
            None => Ok(()),
        }
    }

    /// Fills `dest` (empty, or not there) with the tree of a fetched source:
    /// unpacked, patched with the candidate's patches and then `extra_patches`,
    /// read-only. Blocks. `progress` receives the number of bytes read and of all bytes
    /// to read. On a failure the caller removes `dest`; on [`Error::CorruptBlob`] and [`Error::DamagedMirror`]
    /// it calls [`forget`](Self::forget) and fetches again. An archive that grows far beyond the `declared` bytes
    /// is given up.
    #[expect(
        clippy::too_many_arguments,
        reason = "the source as its recipe describes it, and how to observe and cancel the work"
    )]
    pub fn unpack(
        &self,
        spec: &SourceSpec,
        fetched: &Fetched,
        extra_patches: &[PatchSpec],
        declared: Option<u64>,
        dest: &Path,
        cancel: &AtomicBool,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Unpacked, Error> {
        let patches: Vec<unpack::Wanted<'_>> = spec.patches.iter().chain(extra_patches).map(wanted).collect();
        let label = spec.label();
        if let Some(sha256) = fetched.sha256() {
            let blob = self.inner.cache.blob(sha256);
            let job = unpack::Job {
                blob: &blob,
                want: sha256,
                label: &label,
                member: spec.member.as_deref(),
                strip: spec.strip,
                declared,
                patches: &patches,
            };
            return unpack::archive(&job, dest, cancel, progress);
        }
        match (&spec.from, fetched.digest.strip_prefix("git:")) {
            (Origin::Git { url, .. }, Some(commit)) if git::is_commit(commit) => {
                git::unpack(&self.inner.cache.git(url), url, commit, &patches, dest, cancel)
            }
            (Origin::Local(path), _) => local::copy_tree(path, &fetched.digest, &patches, dest, cancel, progress),
            _ => Err(tree::refused(label.as_ref(), format!("`{}` is not its digest", fetched.digest))),
        }
    }
}

fn wanted(patch: &PatchSpec) -> unpack::Wanted<'_> {
    match &patch.from {
        PatchFrom::Member(member) => unpack::Wanted::Member { member, strip: patch.strip },
        PatchFrom::File { path, text } => {
            unpack::Wanted::Text { name: path.to_str().unwrap_or("patch"), text, strip: patch.strip }
        }
    }
}
