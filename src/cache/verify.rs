//! Reads everything that a cache has: each statement's signature, its entry, and every byte of every object.

use super::client::find;
use super::entry::Entry;
use super::sources::List;
use super::statement::Statement;
use super::{Caches, Client, Error, layout};
use crate::base::Key;
use crate::remote::minisign::PublicKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::JoinSet;

/// A statement of a cache.
#[derive(Debug)]
pub struct Listed {
    /// Its path.
    pub path: String,
    /// The key that its name has.
    pub key: Key,
    /// The number of the key that has signed it, by its name.
    pub signer: String,
    /// When it was written.
    pub modified: SystemTime,
    /// The statement; for trusted keys its signature was verified.
    pub statement: Result<Statement, Error>,
    /// Whether a trusted key has signed it.
    pub is_trusted: bool,
}

/// Returns the statements of a cache by their stages' names. Files that are not statements by their names are left out.
pub async fn list(client: &Arc<Client>, trusted: &[PublicKey]) -> Result<Vec<Listed>, Error> {
    let mut tasks = JoinSet::new();
    for file in client.list(layout::KEYS).await? {
        let Some((key, signer)) = layout::parse_statement(&file.name) else { continue };
        let (client, signer) = (client.clone(), signer.to_owned());
        let known = trusted.iter().find(|known| known.id == signer).cloned();
        tasks.spawn(async move {
            let path = layout::statement(&key, &signer);
            let statement = match &known {
                Some(known) => match find(&client, &key, known).await {
                    Ok(Some(statement)) => Ok(statement),
                    Ok(None) => Err(Error::Missing { what: client.place(&path) }),
                    Err(error) => Err(error),
                },
                None => unverified(&client, &path).await,
            };
            Listed { path, key, signer, modified: file.modified, statement, is_trusted: known.is_some() }
        });
    }
    let mut listed = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        listed.push(ended.map_err(|error| Error::Defect(error.to_string()))?);
    }
    let name = |listed: &Listed| listed.statement.as_ref().map(|it| it.stage.clone()).unwrap_or_default();
    listed.sort_by_key(|listed| (name(listed), listed.path.clone()));
    Ok(listed)
}

async fn unverified(client: &Client, path: &str) -> Result<Statement, Error> {
    let found = client.get(path, layout::MOST_STATEMENT).await?;
    let found = found.ok_or_else(|| Error::Missing { what: client.place(path) })?;
    Statement::unverified(&client.place(path), &String::from_utf8_lossy(&found.bytes))
}

/// What a cache has.
#[derive(Debug, Default)]
pub struct Verified {
    /// Statements that lead to whole results.
    pub good: usize,
    /// Statements by keys that are not trusted; nothing of them was read.
    pub foreign: usize,
    /// Downloads that are whole.
    pub sources: usize,
    /// Objects that were read.
    pub objects: usize,
    /// Files that cannot be used, and why. Without them nothing that is left leads to damage.
    pub bad: BTreeMap<String, String>,
}

/// Verifies a cache.
///
/// # Errors
/// When it fails midway: what could not be read is neither good nor bad.
pub async fn verify(caches: &Caches, client: &Arc<Client>) -> Result<Verified, Error> {
    let mut done = Verified::default();
    let mut objects: BTreeMap<Key, Result<(), String>> = BTreeMap::new();
    for listed in list(client, &caches.trusted).await? {
        let read = match listed.statement {
            Ok(_) if !listed.is_trusted => {
                done.foreign += 1;
                continue;
            }
            Ok(statement) => entry(client, &listed.key, &statement).await,
            Err(error) => Err(error),
        };
        let bad = match read {
            Ok(wanted) => check(client, wanted, &mut objects).await?,
            Err(error) if error.is_lie() || matches!(error, Error::Store(_)) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        match bad {
            None => done.good += 1,
            Some(why) => drop(done.bad.insert(listed.path, why)),
        }
    }
    for file in client.list(layout::SOURCES).await? {
        let path = format!("{}/{}", layout::SOURCES, file.name);
        match source(client, &path).await {
            Ok(wanted) => match check(client, wanted, &mut objects).await? {
                None => done.sources += 1,
                Some(why) => drop(done.bad.insert(path, why)),
            },
            Err(error) if error.is_lie() => drop(done.bad.insert(path, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    done.objects = objects.len();
    let damaged = objects.into_iter().filter_map(|(digest, read)| Some((layout::object(&digest), read.err()?)));
    // What is missing cannot be removed.
    done.bad.extend(damaged.filter(|(_, why)| !why.contains("does not exist")));
    Ok(done)
}

type Wanted = Vec<(Key, u64)>;

async fn entry(client: &Client, key: &Key, statement: &Statement) -> Result<Wanted, Error> {
    let text = client.entry(&statement.entry, statement.entry_bytes).await?;
    let what = client.place(&layout::entry(&statement.entry));
    let checked = Entry::check(&what, &text, key, &statement.result)?;
    Ok(checked.entry.objects.iter().map(|object| (object.digest, object.bytes())).collect())
}

async fn source(client: &Client, path: &str) -> Result<Wanted, Error> {
    let what = client.place(path);
    let stored = client.get(path, 1 << 20).await?.ok_or_else(|| Error::Missing { what: what.clone() })?;
    let list = List::read(&what, &stored.bytes)?;
    Ok(list.objects.iter().enumerate().map(|(at, digest)| (*digest, list.size(at))).collect())
}

// Reads the objects that were not read yet; returns what is wrong with one of them.
async fn check(
    client: &Arc<Client>,
    wanted: Wanted,
    objects: &mut BTreeMap<Key, Result<(), String>>,
) -> Result<Option<String>, Error> {
    let mut tasks = JoinSet::new();
    let new: BTreeSet<(Key, u64)> =
        wanted.iter().filter(|(digest, _)| !objects.contains_key(digest)).copied().collect();
    for (digest, bytes) in new {
        let client = client.clone();
        tasks.spawn(async move { (digest, client.object(&digest, bytes).await.map(drop)) });
    }
    while let Some(ended) = tasks.join_next().await {
        let (digest, read) = ended.map_err(|error| Error::Defect(error.to_string()))?;
        let read = match read {
            Err(error) if !error.is_lie() => return Err(error),
            read => read.map_err(|error| error.to_string()),
        };
        objects.insert(digest, read);
    }
    Ok(wanted.iter().find_map(|(digest, _)| objects.get(digest)?.clone().err()))
}
