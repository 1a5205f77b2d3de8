//! Downloads in a cache, by the digest that a recipe pins: no signature is needed, as SHA-256 is compared at the end.

use super::client::{Client, blocking};
use super::{Error, layout};
use crate::base::{Key, Sha256};
use crate::remote::blob::Text;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::Path;

const SCHEMA: u32 = 1;
/// Larger is no source archive of anything built here.
const MOST: u64 = 8 << 30;
/// Larger is no list of a download's objects.
const MOST_LIST: u64 = 1 << 20;

/// The list of a download's objects, each of `PART` bytes but the last.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    schema: u32,
    bytes: u64,
    /// Their digests.
    pub(super) objects: Vec<Key>,
}

impl List {
    /// Reads a list; `what` is for the message.
    pub(super) fn read(what: &str, stored: &[u8]) -> Result<Self, Error> {
        let damaged = |why: String| Error::Damaged { what: what.to_owned(), why };
        let list: Self = serde_json::from_slice(stored).map_err(|error| damaged(error.to_string()))?;
        let is_whole = list.bytes > 0 && list.objects.len() as u64 == list.bytes.div_ceil(layout::PART);
        if list.schema != SCHEMA || list.bytes > MOST || !is_whole {
            return Err(damaged(format!("it lists {} objects for {} bytes", list.objects.len(), list.bytes)));
        }
        Ok(list)
    }

    /// Returns the size of an object.
    pub(super) fn size(&self, at: usize) -> u64 {
        layout::PART.min(self.bytes.saturating_sub(at as u64 * layout::PART))
    }
}

/// Writes the download with this digest to `to`. `false` if the cache does not have it.
pub async fn pull(client: &Client, sha256: Sha256, size: Option<u64>, to: &Path) -> Result<bool, Error> {
    use sha2::Digest as _;
    let path = layout::source(&sha256);
    let Some(stored) = client.get(&path, MOST_LIST).await? else { return Ok(false) };
    let what = client.place(&path);
    let list = List::read(&what, &stored.bytes)?;
    if size.is_some_and(|size| size != list.bytes) {
        return Err(Error::Damaged { what, why: format!("it has {} bytes", list.bytes) });
    }
    let mut file = fs_err::File::create(to)?;
    let mut hasher = sha2::Sha256::new();
    for (at, digest) in list.objects.iter().enumerate() {
        let bytes = client.object(digest, list.size(at)).await?;
        hasher.update(&bytes);
        file.write_all(&bytes)?;
    }
    if Sha256::from_bytes(hasher.finalize().into()) != sha256 {
        return Err(Error::Damaged { what, why: "its SHA-256 is another one".to_owned() });
    }
    client.count(|stats| stats.sources_pulled += 1);
    Ok(true)
}

/// Stores a download, which has this digest. `false` if the cache has it.
pub async fn push(client: &Client, sha256: Sha256, from: &Path) -> Result<bool, Error> {
    let path = layout::source(&sha256);
    let before = client.get(&path, MOST_LIST).await?;
    if let Some(before) = &before
        && is_complete(client, before).await?
    {
        return Ok(false);
    }
    let file = fs_err::File::open(from)?;
    let (bytes, mut rest) = (file.metadata()?.len(), file);
    let mut objects = Vec::new();
    loop {
        let (part, back) = blocking(move || {
            let mut part = Vec::new();
            (&mut rest).take(layout::PART).read_to_end(&mut part)?;
            Ok((part, rest))
        })
        .await?;
        rest = back;
        if part.is_empty() {
            break;
        }
        let digest = Key::of(&part);
        let own = layout::object(&digest);
        if !client.exists(&own).await? {
            client.store(&own, part).await?;
        }
        objects.push(digest);
    }
    let list = serde_json::to_vec(&List { schema: SCHEMA, bytes, objects }).map_err(std::io::Error::from)?;
    match before {
        None => drop(client.create(&path, list).await?),
        // One that cannot be used, or whose objects were lost and exist again.
        Some(before) if before.bytes != list => client.replace(&path, &list, &before).await?,
        Some(_) => {}
    }
    client.count(|stats| stats.sources_pushed += 1);
    Ok(true)
}

async fn is_complete(client: &Client, stored: &Text) -> Result<bool, Error> {
    let Ok(list) = List::read("the list", &stored.bytes) else { return Ok(false) };
    for digest in &list.objects {
        if !client.exists(&layout::object(digest)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a candidate was used for a source elsewhere. A hint without a signature: it selects among digests that
/// a recipe pins, and nothing else.
pub async fn is_chosen(client: &Client, label: &str, candidate: Sha256) -> Result<bool, Error> {
    client.exists(&choice_path(label, candidate)).await
}

/// Stores that a candidate was used.
pub async fn choose(client: &Client, label: &str, chosen: Sha256) -> Result<(), Error> {
    let path = choice_path(label, chosen);
    if !client.exists(&path).await? {
        client.create(&path, format!("{label} {chosen}\n").into_bytes()).await?;
    }
    Ok(())
}

fn choice_path(label: &str, chosen: Sha256) -> String {
    format!("{}/{}", layout::CHOICES, Key::of(format!("{label}\n{chosen}").as_bytes()))
}
