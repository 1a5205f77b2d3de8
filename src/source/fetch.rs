//! Tries one source after the other until one succeeds.

use super::cache::{self, Lock, PinRecord, blocking};
use super::download::Download;
use super::history::History;
use super::mirror::{self, Base};
use super::route::Trust;
use super::{Error, Failure, Fetched, Inner, Progress, git, local, partial, signature};
use crate::base::{Key, Sha256, secret};
use crate::config::source::{Origin, Pin, SourceSpec};
use crate::source::apt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Larger is no source archive of anything built here.
const MAX_ARCHIVE: u64 = 8 << 30;
/// Larger is no signature and no list of mirrors.
const MAX_TEXT: u64 = 1 << 20;

/// The commits that revisions resolved to when they were last looked up.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Revisions {
    pub(super) commits: BTreeMap<String, String>,
}

/// Returns the file of [`Revisions`] beside a mirror.
pub(super) fn revisions(mirror: &Path) -> PathBuf {
    mirror.with_extension("json")
}

/// The result of trying a candidate.
struct Got {
    digest: String,
    from_cache: bool,
    bytes: u64,
}

impl Got {
    fn file(sha256: Sha256, from_cache: bool, bytes: u64) -> Self {
        Self { digest: format!("sha256:{sha256}"), from_cache, bytes }
    }
}

/// Returns the first candidate that serves.
pub(super) async fn first(inner: &Inner, candidates: &[SourceSpec], progress: &dyn Progress) -> Result<Fetched, Error> {
    let mut failures: Vec<Failure> = Vec::new();
    for (index, spec) in candidates.iter().enumerate() {
        match one(inner, spec, progress, index + 1 < candidates.len()).await {
            Ok(Got { digest, from_cache, bytes }) => {
                return Ok(Fetched { candidate: index, digest, source: spec.label(), from_cache, bytes });
            }
            Err(error) if error.is_final() => return Err(error),
            Err(Error::Exhausted { failures: more }) => failures.extend(more),
            Err(error) => {
                if index + 1 < candidates.len() && !matches!(error, Error::Offline { .. }) {
                    progress.retry(&spec.label(), &crate::base::text::with_causes(&error), "next source");
                }
                failures.push(Failure { source: spec.label(), error });
            }
        }
    }
    if !failures.is_empty() && failures.iter().all(|failure| matches!(failure.error, Error::Offline { .. })) {
        return Err(Error::Offline { sources: failures.into_iter().map(|failure| failure.source).collect() });
    }
    Err(Error::Exhausted { failures })
}

async fn one(inner: &Inner, spec: &SourceSpec, progress: &dyn Progress, more: bool) -> Result<Got, Error> {
    let locations = match &spec.from {
        Origin::Local(path) => return on_this_machine(inner, spec, path, progress).await,
        Origin::Git { url, rev } => return revision(inner, url, rev, progress).await,
        _ if inner.options.offline => return Err(Error::Offline { sources: vec![spec.label()] }),
        Origin::Url(url) => vec![Location::Url(url.clone(), Trust::Https)],
        Origin::Debian(path) => debian_locations(inner, path, progress).await?,
    };
    download(inner, spec, &locations, progress, more).await
}

/// A location of a file.
enum Location {
    Url(String, Trust),
    File(PathBuf),
}

impl Location {
    fn label(&self) -> String {
        match self {
            Self::Url(url, _) => secret::redact(url).into_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

fn mirrors(inner: &Inner) -> Result<&mirror::Mirrors, Error> {
    if let Some(found) = inner.mirrors.get() {
        return Ok(found);
    }
    let found = mirror::find(&inner.options.apt_dir, inner.options.debian_mirror.as_deref())?;
    Ok(inner.mirrors.get_or_init(|| found))
}

async fn debian_locations(inner: &Inner, path: &str, progress: &dyn Progress) -> Result<Vec<Location>, Error> {
    let mut locations = Vec::new();
    let mut unlisted = None;
    for base in &mirrors(inner)?.bases {
        let bases = match base {
            Base::List(url) => match text(inner, url, Trust::Debian, MAX_TEXT, progress).await {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    apt::parse_mirror_list(&text).iter().filter_map(|line| mirror::listed(line)).collect()
                }
                Err(error) => {
                    unlisted = Some(error);
                    continue;
                }
            },
            base => vec![base.clone()],
        };
        for base in bases {
            match base {
                // `+` and `~` of Debian's versions are literal in a path (RFC 3986 3.3).
                Base::Url(base) => locations.push(Location::Url(format!("{base}/{path}"), Trust::Debian)),
                Base::Dir(base) => locations.push(Location::File(base.join(path))),
                Base::List(_) => {}
            }
        }
    }
    if locations.is_empty() {
        return Err(unlisted.unwrap_or(Error::NoDebianMirror { apt_dir: inner.options.apt_dir.clone() }));
    }
    Ok(locations)
}

fn proxy(inner: &Inner) -> Option<&str> {
    inner.mirrors.get()?.proxy.as_deref()
}

/// Under which name the bytes are collected: by the digest if it is known, so
/// that every source of the same file goes on with the same bytes.
fn working_name(spec: &SourceSpec) -> String {
    match &spec.pin {
        Pin::Sha256(sha256) => sha256.to_string(),
        _ => Key::of(spec.label().as_bytes()).to_string(),
    }
}

async fn download(
    inner: &Inner,
    spec: &SourceSpec,
    locations: &[Location],
    progress: &dyn Progress,
    more: bool,
) -> Result<Got, Error> {
    let name = working_name(spec);
    let lock = inner.cache.lock(&name, progress).await?;
    // The previous holder of the lock may have downloaded it.
    let expected = inner.expected(spec)?;
    if let Some(sha256) = expected
        && inner.cache.has(sha256, spec.size)?.is_some()
    {
        return Ok(Got::file(sha256, true, 0));
    }
    // A file without a pin may have changed since it was cached.
    let want = expected.filter(|_| spec.pin != Pin::AsFound);
    let path = inner.cache.partial(&name);
    let mut failures = Vec::new();
    for (index, location) in locations.iter().enumerate() {
        match from_location(inner, spec, location, (&path, &lock), want, progress).await {
            Ok(got) => return Ok(got),
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                if locations.len() > 1 && (more || index + 1 < locations.len()) {
                    progress.retry(&location.label(), &crate::base::text::with_causes(&error), "next source");
                }
                failures.push(Failure { source: location.label(), error });
            }
        }
    }
    match failures.len() {
        1 => Err(failures.remove(0).error),
        _ => Err(Error::Exhausted { failures }),
    }
}

async fn from_location(
    inner: &Inner,
    spec: &SourceSpec,
    location: &Location,
    to: (&Path, &Lock),
    want: Option<Sha256>,
    progress: &dyn Progress,
) -> Result<Got, Error> {
    let path = to.0;
    let (sha256, bytes) = match location {
        Location::Url(url, trust) => {
            let limit = spec.size.or(spec.limit).unwrap_or(MAX_ARCHIVE);
            let job = Download { url, trust: *trust, path, want, size: spec.size, limit };
            let arrived = inner.http.download(&job, &inner.options, proxy(inner), progress).await?;
            (arrived.sha256, arrived.bytes)
        }
        Location::File(from) => (copy(from, to).await.map_err(missing)?, 0),
    };
    settle(inner, spec, &location.label(), to, sha256, progress).await?;
    Ok(Got::file(sha256, false, bytes))
}

/// Treats a missing file on a mirror as a network error, not as a failure of this machine.
fn missing(error: Error) -> Error {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Error::Network { url: "file:".to_owned(), why: error.to_string() }
        }
        error => error,
    }
}

/// Compares the file at `path` with its pin and stores it as a blob, or deletes it.
async fn settle(
    inner: &Inner,
    spec: &SourceSpec,
    source: &str,
    (path, lock): (&Path, &Lock),
    got: Sha256,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let verified = verify(inner, spec, source, path, got, progress).await;
    let record = match verified {
        Ok(record) => record,
        Err(error) => {
            // Without the signature nothing is wrong with the file yet.
            if matches!(error, Error::Mismatch { .. } | Error::PinChanged { .. } | Error::Signature { .. }) {
                partial::discard(path)?;
            }
            return Err(error);
        }
    };
    inner.cache.publish(path, got, source, lock).await?;
    partial::discard_note(path)?;
    if let Some(record) = record {
        cache::write_json(&inner.cache.pin(&spec.label()), &record)?;
    }
    Ok(())
}

/// Returns the record to write once the file is a blob.
async fn verify(
    inner: &Inner,
    spec: &SourceSpec,
    source: &str,
    path: &Path,
    got: Sha256,
    progress: &dyn Progress,
) -> Result<Option<PinRecord>, Error> {
    let url = spec.label();
    let record = |key| {
        let when = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Some(PinRecord { url: url.clone(), sha256: got, key, when })
    };
    match (&spec.pin, inner.expected(spec)?) {
        (Pin::Sha256(want), _) if *want == got => Ok(None),
        (Pin::Sha256(want), _) => Err(Error::Mismatch { url: source.to_owned(), want: *want, got }),
        (Pin::AsFound, _) => Ok(record(None)),
        (Pin::Signature { .. }, Some(want)) if want == got => Ok(None),
        (Pin::Signature { .. }, Some(want)) => {
            Err(Error::PinChanged { url: source.to_owned(), want, got, record: inner.cache.pin(&url) })
        }
        (Pin::Signature { url: at, keyring, uncompressed }, None) => {
            let signed = text(inner, at, Trust::Https, MAX_TEXT, progress).await?;
            let (path, armored, uncompressed) = (path.to_owned(), keyring.armored.clone(), *uncompressed);
            let checked = blocking(move || match signature::open_file(&path, uncompressed) {
                Ok(data) => signature::verify(data, &signed, &armored),
                Err(error) => Ok(Err(signature::Problem::Unreadable { why: error.to_string() })),
            });
            match checked.await? {
                Ok(verified) => Ok(record(Some(verified.fingerprint))),
                Err(problem) => {
                    Err(Error::Signature { url: source.to_owned(), problem, keyring: keyring.path.clone() })
                }
            }
        }
    }
}

/// Returns a small file, into memory.
pub(super) async fn text(
    inner: &Inner,
    url: &str,
    trust: Trust,
    limit: u64,
    progress: &dyn Progress,
) -> Result<Vec<u8>, Error> {
    /// Its few bytes are no progress of the source.
    struct Quiet<'a>(&'a dyn Progress);
    impl Progress for Quiet<'_> {
        fn bytes(&self, _: u64, _: Option<u64>) {}
        fn retry(&self, source: &str, why: &str, next: &str) {
            self.0.retry(source, why, next);
        }
    }
    if inner.options.offline {
        return Err(Error::Offline { sources: vec![url.to_owned()] });
    }
    let name = format!("{}.text", Key::of(url.as_bytes()));
    let _lock = inner.cache.lock(&name, progress).await?;
    let path = inner.cache.partial(&name);
    partial::discard(&path)?;
    let job = Download { url, trust, path: &path, want: None, size: None, limit };
    inner.http.download(&job, &inner.options, proxy(inner), &Quiet(progress)).await?;
    let bytes = fs_err::read(&path)?;
    partial::discard(&path)?;
    Ok(bytes)
}

async fn on_this_machine(inner: &Inner, spec: &SourceSpec, path: &Path, progress: &dyn Progress) -> Result<Got, Error> {
    let meta = fs_err::metadata(path)?;
    if meta.is_dir() {
        let from = path.to_owned();
        let digest = until_dropped(move |cancel| local::digest(&from, cancel)).await?;
        return Ok(Got { digest, from_cache: true, bytes: 0 });
    }
    if !meta.is_file() {
        return Err(Error::NotASource { path: path.to_owned() });
    }
    // Not shared with a download of the same file: a copy starts from the beginning.
    let name = format!("{}.copy", Key::of(spec.label().as_bytes()));
    let lock = inner.cache.lock(&name, progress).await?;
    let partial = inner.cache.partial(&name);
    let to = (partial.as_path(), &lock);
    let sha256 = copy(path, to).await?;
    settle(inner, spec, &spec.label(), to, sha256, progress).await?;
    local::remember(&inner.cache, path, sha256)?;
    Ok(Got::file(sha256, false, 0))
}

/// Copies and hashes; the lock is held until the copying has really ended.
async fn copy(from: &Path, (to, lock): (&Path, &Lock)) -> Result<Sha256, Error> {
    let (from, to, lock) = (from.to_owned(), to.to_owned(), lock.clone());
    until_dropped(move |cancel| {
        let _held = lock;
        local::copy_file(&from, &to, cancel)
    })
    .await
}

/// Takes the lock of the mirror of `url`.
async fn lock_mirror(inner: &Inner, url: &str, progress: &dyn Progress) -> Result<Lock, Error> {
    inner.cache.lock(&format!("git-{}", Key::of(secret::bare(url).as_bytes()).short()), progress).await
}

/// Brings the mirror of a repository up to date.
pub(super) async fn history(inner: &Inner, url: &str, progress: &dyn Progress) -> Result<History, Error> {
    let mirror = inner.cache.git(url);
    let _lock = lock_mirror(inner, url, progress).await?;
    git::refresh(&mirror, url, inner.options.offline).await?;
    Ok(History::new(mirror, url))
}

async fn revision(inner: &Inner, url: &str, rev: &str, progress: &dyn Progress) -> Result<Got, Error> {
    let mirror = inner.cache.git(url);
    let _lock = lock_mirror(inner, url, progress).await?;
    let commit = git::resolve(&mirror, url, rev, inner.options.offline).await?;
    let mut known: Revisions = cache::read_json(&revisions(&mirror))?.unwrap_or_default();
    let before = known.commits.insert(rev.to_owned(), commit.clone());
    let from_cache = before.as_ref() == Some(&commit);
    if !from_cache {
        cache::write_json(&revisions(&mirror), &known)?;
    }
    Ok(Got { digest: format!("git:{commit}"), from_cache, bytes: 0 })
}

/// Runs blocking work that is cancelled when the future is dropped.
async fn until_dropped<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let flag = Arc::new(AtomicBool::new(false));
    let _on_drop = OnDrop(flag.clone());
    blocking(move || work(&flag)).await
}
