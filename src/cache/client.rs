//! A cache as a run sees it: every request is bounded in time and counted, and a cache that fails is not asked again.

use super::circuit::Circuit;
use super::statement::Statement;
use super::{Error, Stats, codec, layout};
use crate::base::Key;
use crate::remote::blob::Text;
use crate::remote::minisign::{PublicKey, SecretKey};
use crate::remote::{self, Access, Listed, Remote};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The longest that a request may take, beside its bytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that moves fewer bytes a second is of no use.
const SLOWEST: u64 = 1 << 20;
/// Requests at a time.
const REQUESTS: usize = 8;

/// Where a cache is, as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// A URL, or the path of a directory.
    pub url: String,
    /// Whether the token of the environment is for it: not where a file of the working directory names it.
    pub with_token: bool,
}

/// The caches of a session, as the user named them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Caches to read.
    pub from: Vec<Location>,
    /// The cache to write.
    pub to: Option<Location>,
    /// Public keys whose entries are used: their text or their files.
    pub keys: Vec<String>,
    /// The file of the secret key that signs entries.
    pub sign_key: Option<PathBuf>,
    /// Whether the network may not be used.
    pub offline: bool,
    /// A token for servers that take PUT.
    pub token: Option<String>,
}

/// One cache.
#[derive(Debug)]
pub struct Client {
    // What cannot be opened is a cache that is off.
    remote: Result<Remote, String>,
    name: String,
    circuit: Circuit,
    requests: Semaphore,
    stats: Mutex<Stats>,
}

impl Client {
    /// Opens a cache. One that cannot be reached as it is named is off from the beginning.
    ///
    /// # Errors
    /// For a scheme that is not supported.
    pub fn open(location: &Location, token: Option<&str>, offline: bool) -> Result<Self, Error> {
        let access = Access {
            token: token.filter(|_| location.with_token).map(str::to_owned),
            plain_http: true,
            connect: Duration::from_secs(3),
            stall: PATIENCE,
            // The limit of each request is kept here, by its bytes.
            whole: Duration::from_secs(60),
            retries: 1,
        };
        let opened = match Remote::open(&location.url, "a cache at", &access) {
            Ok(remote) if offline && remote.is_network() => {
                let name = remote.name();
                (Err("the network may not be used (`--offline`)".to_owned()), name)
            }
            Ok(remote) => {
                let name = remote.name();
                (Ok(remote), name)
            }
            Err(remote::Error::Place { place, why }) => (Err(why), place),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            remote: opened.0,
            name: opened.1,
            circuit: Circuit::default(),
            requests: Semaphore::new(REQUESTS),
            stats: Mutex::default(),
        })
    }

    /// Returns its name, without credentials.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns why it is not used any more.
    #[must_use]
    pub fn off(&self) -> Option<String> {
        self.remote.as_ref().err().cloned().or_else(|| self.circuit.off())
    }

    /// Returns an error if it cannot be used, for commands about one cache.
    pub fn usable(&self) -> Result<(), Error> {
        match self.off() {
            None => Ok(()),
            Some(why) => Err(remote::Error::Place { place: self.name.clone(), why }.into()),
        }
    }

    /// Returns what it did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        *self.counts()
    }

    /// Returns the counters.
    pub(super) fn counts(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a stage or source came to.
    pub fn count(&self, add: impl FnOnce(&mut Stats)) {
        add(&mut self.counts());
    }

    /// Notes that an answer was not what it should have been.
    pub fn note(&self, error: &Error) {
        if error.is_lie() {
            self.circuit.failed(error);
        }
    }

    /// Returns the name of a file of it, for messages.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        format!("{}/{path}", self.name)
    }

    fn remote(&self) -> Result<&Remote, Error> {
        match (&self.remote, self.off()) {
            (Ok(remote), None) => Ok(remote),
            (_, why) => Err(Error::Off { cache: self.name.clone(), why: why.unwrap_or_default() }),
        }
    }

    async fn request<T>(
        &self,
        path: &str,
        bytes: u64,
        work: impl Future<Output = Result<T, remote::Error>>,
    ) -> Result<T, Error> {
        let Ok(_turn) = self.requests.acquire().await else { return Err(Error::Defect("a closed semaphore".into())) };
        // Others may have failed while this one waited for its turn.
        self.remote()?;
        let after = PATIENCE + Duration::from_secs(bytes / SLOWEST);
        let began = Instant::now();
        let ended = match tokio::time::timeout(after, work).await {
            Ok(ended) => ended.map_err(Error::from),
            Err(_) => Err(Error::Slow { place: self.place(path), after }),
        };
        self.count(|stats| {
            stats.requests += 1;
            stats.seconds += began.elapsed().as_secs_f64();
        });
        match &ended {
            Err(error) if error.is_outage() => self.circuit.failed(error),
            _ => self.circuit.answered(),
        }
        ended
    }

    /// Returns a file of `limit` bytes at most, or none where it does not exist.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Option<Text>, Error> {
        let found = self.request(path, limit.min(layout::PART * 2), self.remote()?.get(path, limit)).await?;
        if let Some(found) = &found {
            self.count(|stats| stats.received_bytes += found.bytes.len() as u64);
        }
        Ok(found)
    }

    /// Returns whether a file exists.
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        Ok(self.request(path, 0, self.remote()?.size(path)).await?.is_some())
    }

    /// Creates a file; `false` if there is one already.
    pub async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, Error> {
        let count = bytes.len() as u64;
        match self.request(path, count, self.remote()?.create(path, bytes)).await {
            Ok(()) => {
                self.count(|stats| stats.sent_bytes += count);
                Ok(true)
            }
            Err(Error::Remote(remote::Error::Exists { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file that cannot be used, if it still is `before`.
    pub async fn replace(&self, path: &str, bytes: &[u8], before: &Text) -> Result<(), Error> {
        let count = bytes.len() as u64;
        self.request(path, count, self.remote()?.replace(path, bytes, Some(before))).await?;
        self.count(|stats| stats.sent_bytes += count);
        Ok(())
    }

    /// Removes a file that may be missing.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        self.request(path, 0, self.remote()?.remove(path)).await
    }

    /// Removes a file if the place lets it. A server that takes no DELETE has not failed.
    pub(super) async fn discard(&self, path: &str) {
        let (Ok(remote), Ok(_turn)) = (self.remote(), self.requests.acquire().await) else { return };
        let _ = tokio::time::timeout(PATIENCE, remote.remove(path)).await;
        self.count(|stats| stats.requests += 1);
    }

    /// Returns the files of one of its directories.
    pub async fn list(&self, dir: &str) -> Result<Vec<Listed>, Error> {
        // A listing of many files comes in pages.
        self.request(dir, 60 * SLOWEST, self.remote()?.list(dir)).await
    }

    /// Returns the content of an object: the `bytes` bytes with this digest.
    pub async fn object(&self, digest: &Key, bytes: u64) -> Result<Vec<u8>, Error> {
        self.content(&layout::object(digest), digest, bytes, layout::most_stored(bytes)).await
    }

    /// Returns the text of an entry.
    pub async fn entry(&self, digest: &Key, bytes: u64) -> Result<Vec<u8>, Error> {
        let path = layout::entry(digest);
        if bytes > layout::MOST_ENTRY_TEXT {
            let why = format!("its statement gives it {bytes} bytes");
            return Err(Error::Damaged { what: self.place(&path), why });
        }
        self.content(&path, digest, bytes, layout::MOST_ENTRY).await
    }

    async fn content(&self, path: &str, digest: &Key, bytes: u64, limit: u64) -> Result<Vec<u8>, Error> {
        let what = self.place(path);
        let Some(stored) = self.get(path, limit).await? else { return Err(Error::Missing { what }) };
        let digest = *digest;
        blocking(move || {
            let plain = codec::decompress(&what, &stored.bytes, bytes)?;
            if Key::of(&plain) == digest {
                return Ok(plain);
            }
            Err(Error::Damaged { what, why: "its content has another digest".to_owned() })
        })
        .await
    }

    /// Stores content under its digest; whether it was new.
    pub(super) async fn store(&self, path: &str, plain: Vec<u8>) -> Result<bool, Error> {
        let stored = blocking(move || Ok(codec::compress(&plain)?)).await?;
        self.create(path, stored).await
    }
}

/// Runs what reads or writes much off the tasks' threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::Defect(error.to_string())))
}

/// A cache to write, and the key that signs for it.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The cache.
    pub client: Arc<Client>,
    /// The key.
    pub secret: SecretKey,
    /// Its public part.
    pub public: PublicKey,
}

/// The caches of a session.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    /// Caches to read, in order.
    pub from: Vec<Arc<Client>>,
    /// The cache to write.
    pub to: Option<Writer>,
    /// The keys whose entries are used.
    pub trusted: Vec<PublicKey>,
}

/// An entry that a trusted key has signed.
#[derive(Debug, Clone)]
pub struct Found {
    /// The cache that has it.
    pub client: Arc<Client>,
    /// The statement.
    pub statement: Statement,
    /// The number of the key.
    pub signer: String,
}

impl Caches {
    /// Opens the caches of a session.
    ///
    /// # Errors
    /// When a cache is of an unsupported kind, a key cannot be read, or none is named.
    pub fn open(setup: &Setup) -> Result<Self, Error> {
        let open = |location: &Location| Client::open(location, setup.token.as_deref(), setup.offline).map(Arc::new);
        let mut trusted = public_keys(&setup.keys)?;
        let from = setup.from.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let to = match (&setup.to, &setup.sign_key) {
            (None, _) => None,
            (Some(location), None) => {
                return Err(Error::Options {
                    message: format!("no key signs what is stored in the cache {}", open(location)?.name()),
                    hint: "name the file of a secret key of minisign with `--cache-sign-key FILE`; \
                           `minisign -G -W -s FILE -p FILE.pub` creates one"
                        .to_owned(),
                });
            }
            (Some(location), Some(key)) => {
                let secret = SecretKey::at(key);
                let public = secret.public()?;
                let known = setup.from.iter().position(|other| other == location).and_then(|at| from.get(at));
                let client = known.map_or_else(|| open(location), |client| Ok(client.clone()))?;
                Some(Writer { client, secret, public })
            }
        };
        // Whoever holds the key accepts what it signed.
        trusted.extend(to.as_ref().map(|writer| writer.public.clone()));
        trusted.dedup();
        if !from.is_empty() && trusted.is_empty() {
            return Err(Error::Options {
                message: "no key is named whose results are used from a cache".to_owned(),
                hint: "name the public key of who fills it with `--cache-key KEY`".to_owned(),
            });
        }
        Ok(Self { from, to, trusted })
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_none()
    }

    /// Returns every cache once.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut all = self.from.clone();
        if let Some(writer) = &self.to
            && !all.iter().any(|client| Arc::ptr_eq(client, &writer.client))
        {
            all.push(writer.client.clone());
        }
        all
    }

    /// Returns what all of them did.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.clients().iter().fold(Stats::default(), |sum, client| sum.plus(client.stats()))
    }

    /// Returns the entry of a key, from the first cache that has one signed by a trusted key.
    ///
    /// # Errors
    /// When none has, and one could not be asked or has something else.
    pub async fn find(&self, key: &Key) -> Result<Option<Found>, Error> {
        let mut trouble = None;
        for client in &self.from {
            for signer in &self.trusted {
                match find(client, key, signer).await {
                    Ok(None) => {}
                    Ok(Some(statement)) => {
                        return Ok(Some(Found { client: client.clone(), statement, signer: signer.id.clone() }));
                    }
                    Err(error) => {
                        client.note(&error);
                        trouble = Some(error);
                    }
                }
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    /// Does the same for many keys at a time, in their order.
    pub async fn find_all(&self, keys: &[Key]) -> Vec<Result<Option<Found>, Error>> {
        let mut tasks = JoinSet::new();
        for (at, key) in keys.iter().enumerate() {
            let (caches, key) = (self.clone(), *key);
            tasks.spawn(async move { (at, caches.find(&key).await) });
        }
        let mut found: Vec<_> = keys.iter().map(|_| Ok(None)).collect();
        while let Some(ended) = tasks.join_next().await {
            if let Ok((at, result)) = ended
                && let Some(place) = found.get_mut(at)
            {
                *place = result;
            }
        }
        found
    }
}

/// Returns what `signer` says about `key`.
pub(super) async fn find(client: &Client, key: &Key, signer: &PublicKey) -> Result<Option<Statement>, Error> {
    let path = layout::statement(key, &signer.id);
    match client.get(&path, layout::MOST_STATEMENT).await? {
        None => Ok(None),
        Some(file) => Statement::read(&client.place(&path), &file.bytes, key, signer).map(Some),
    }
}

/// Reads public keys: each the text of one, or the file that has it.
pub fn public_keys(keys: &[String]) -> Result<Vec<PublicKey>, Error> {
    keys.iter().map(|key| public_key(key)).collect()
}

fn public_key(text: &str) -> Result<PublicKey, Error> {
    if Path::new(text).is_file() {
        return Ok(PublicKey::parse(&fs_err::read_to_string(text)?)?);
    }
    Ok(PublicKey::parse(text)?)
}
