//! Stores a result of the store in a cache: its objects, then its entry, then the signed statement, which makes it visible.
//! Nothing that exists is replaced, unless it cannot be used.

use super::client::{blocking, find};
use super::divide::{Content, Piece, divide};
use super::entry::{Entry, LOGS, Object, TREE};
use super::statement::Statement;
use super::{Caches, Client, Error, Fault, Writer, layout};
use crate::base::{Key, files};
use crate::plan::KeyInputs;
use crate::store::manifest::{Item, Manifest};
use crate::store::{Record, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;

/// What storing a result came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was stored.
    New,
    /// The cache has the same result of another build.
    Existing,
}

// A result that is read and divided.
struct Read {
    stage: String,
    entry: Entry,
    result: Key,
    bytes: u64,
    // The file and the offset of every piece, by object.
    parts: Vec<Vec<(PathBuf, u64, u64)>>,
}

/// Stores the result of `key` and counts it.
pub async fn push(caches: &Caches, writer: &Writer, store: &Store, key: &Key) -> Result<Pushed, Error> {
    let pushed = store_result(caches, writer, store, key).await;
    writer.client.count(|stats| match &pushed {
        Ok(Pushed::New) => stats.pushed += 1,
        Ok(Pushed::Existing) => stats.existing += 1,
        Err(_) => stats.unpushed += 1,
    });
    pushed
}

async fn store_result(caches: &Caches, writer: &Writer, store: &Store, key: &Key) -> Result<Pushed, Error> {
    let client = &writer.client;
    let (stage, result) = {
        let (store, key) = (store.clone(), *key);
        blocking(move || {
            let record: Record<KeyInputs> = store.record(&key)?;
            Ok((record.name.to_string(), store.manifest(&key)?.content_digest()))
        })
        .await?
    };
    if is_there(caches, writer, key, &stage, &result).await? {
        return Ok(Pushed::Existing);
    }
    let read = {
        let (dir, key) = (store.stage_dir(key), *key);
        Arc::new(blocking(move || read(&dir, key)).await?)
    };
    store_objects(client, &read).await?;
    let text = serde_json::to_vec(&read.entry).map_err(std::io::Error::from)?;
    let (digest, bytes) = (Key::of(&text), text.len() as u64);
    client.store(&layout::entry(&digest), text).await?;
    let statement = Statement::new(*key, &read.stage, read.result, digest, bytes, read.bytes);
    let file = {
        let (statement, secret) = (statement, writer.secret.clone());
        blocking(move || statement.signed(&secret)).await?
    };
    let path = layout::statement(key, &writer.public.id);
    if client.create(&path, file.clone().into_bytes()).await? {
        return Ok(Pushed::New);
    }
    // Another writer with the same key was faster, or a statement cannot be used.
    if is_there(caches, writer, key, &stage, &result).await? {
        return Ok(Pushed::Existing);
    }
    match client.get(&path, layout::MOST_STATEMENT).await? {
        Some(before) => client.replace(&path, file.as_bytes(), &before).await?,
        None => drop(client.create(&path, file.into_bytes()).await?),
    }
    Ok(Pushed::New)
}

// Whether the cache has the result, signed by this writer's key and complete as far as a look shows. Another content under
// a key that is trusted is a fault.
async fn is_there(caches: &Caches, writer: &Writer, key: &Key, stage: &str, result: &Key) -> Result<bool, Error> {
    let mut own = false;
    for signer in &caches.trusted {
        let statement = match find(&writer.client, key, signer).await {
            Ok(Some(statement)) => statement,
            // What cannot be used is replaced, if it is this writer's.
            Ok(None) | Err(Error::Untrusted { .. }) => continue,
            Err(error) => return Err(error),
        };
        if statement.result != *result {
            return Err(Error::Irreproducible(Box::new(Fault {
                stage: stage.to_owned(),
                key: *key,
                ours: *result,
                theirs: statement.result,
                signer: signer.id.clone(),
            })));
        }
        if *signer == writer.public {
            own = is_complete(&writer.client, key, &statement).await?;
        }
    }
    Ok(own)
}

// Whether everything that a statement leads to exists: objects may have been lost.
async fn is_complete(client: &Arc<Client>, key: &Key, statement: &Statement) -> Result<bool, Error> {
    let text = match client.entry(&statement.entry, statement.entry_bytes).await {
        Ok(text) => text,
        Err(error) if error.is_lie() => return Ok(false),
        Err(error) => return Err(error),
    };
    let Ok(checked) = Entry::check("the entry", &text, key, &statement.result) else { return Ok(false) };
    let mut tasks = JoinSet::new();
    for object in checked.entry.objects {
        let client = client.clone();
        tasks.spawn(async move { client.exists(&layout::object(&object.digest)).await });
    }
    while let Some(ended) = tasks.join_next().await {
        if !ended.map_err(|error| Error::Defect(error.to_string()))?? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn store_objects(client: &Arc<Client>, read: &Arc<Read>) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    let mut seen = BTreeSet::new();
    for (at, object) in read.entry.objects.iter().enumerate().filter(|(_, object)| seen.insert(object.digest)) {
        let (client, read, digest, bytes) = (client.clone(), read.clone(), object.digest, object.bytes());
        tasks.spawn(async move {
            let path = layout::object(&digest);
            let is_new = if client.exists(&path).await? {
                false
            } else {
                let plain = blocking(move || read.parts.get(at).map_or(Ok(Vec::new()), |parts| gather(parts))).await?;
                if Key::of(&plain) != digest {
                    return Err(Error::Unfit { stage: path, why: "it was changed meanwhile".to_owned() });
                }
                client.store(&path, plain).await?
            };
            client.count(|stats| match is_new {
                true => (stats.objects_new, stats.new_bytes) = (stats.objects_new + 1, stats.new_bytes + bytes),
                false => {
                    (stats.objects_existing, stats.shared_bytes) =
                        (stats.objects_existing + 1, stats.shared_bytes + bytes);
                }
            });
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Error::Defect(error.to_string()))??;
    }
    Ok(())
}

// Reads every byte of a result once: the digests of its objects, and whether they are what its manifest lists.
fn read(dir: &Path, key: Key) -> Result<Read, Error> {
    let text = |name: &str| fs_err::read_to_string(dir.join(name));
    let (record_text, manifest_text) = (text("stage.json")?, text("manifest.json")?);
    let manifest = Manifest::parse(&dir.join("manifest.json"), manifest_text.as_bytes())?;
    let record: Record<KeyInputs> = serde_json::from_str(&record_text).map_err(std::io::Error::from)?;
    let unfit = |why: String| Error::Unfit { stage: record.name.to_string(), why };
    let mut contents = Vec::new();
    for (name, item) in manifest.items() {
        let Item::File { mode, size, blake3, .. } = item else { continue };
        if mode & 0o7000 != 0 {
            return Err(unfit(format!("`{name}` has mode {mode:04o}")));
        }
        contents.push(Content { name: format!("{TREE}/{name}"), bytes: *size, digest: *blake3 });
    }
    let mut logs = BTreeMap::new();
    for name in files::names_in(&dir.join(LOGS))? {
        let path = dir.join(LOGS).join(&name);
        if files::lstat(&path)?.is_some_and(|meta| meta.is_file()) {
            let bytes = fs_err::read(&path)?;
            let digest = Key::of(&bytes);
            contents.push(Content { name: format!("{LOGS}/{name}"), bytes: bytes.len() as u64, digest });
            logs.insert(name, bytes.len() as u64);
        }
    }
    let digests: BTreeMap<&str, Key> = contents.iter().map(|content| (content.name.as_str(), content.digest)).collect();
    let (objects, copies) = divide(&contents);
    let (mut listed, mut parts) = (Vec::new(), Vec::new());
    let mut offsets: BTreeMap<String, (u64, blake3::Hasher)> = BTreeMap::new();
    for pieces in objects {
        let own = place(dir, &pieces, &mut offsets);
        let bytes = gather(&own)?;
        // The manifest's digests are those of whole files.
        let mut rest = bytes.as_slice();
        for piece in &pieces {
            let (head, tail) = rest.split_at(usize::try_from(piece.bytes).unwrap_or(usize::MAX).min(rest.len()));
            rest = tail;
            if let Some((_, hasher)) = offsets.get_mut(&piece.file) {
                hasher.update(head);
            }
        }
        listed.push(Object { digest: Key::of(&bytes), pieces });
        parts.push(own);
    }
    for (name, (_, hasher)) in &offsets {
        let got = Key::from_bytes(*hasher.finalize().as_bytes());
        if digests.get(name.as_str()) != Some(&got) {
            return Err(unfit(format!("`{name}` is not what was published; run `crossmill store verify`")));
        }
    }
    let (result, bytes) = (manifest.content_digest(), manifest.bytes());
    let entry = Entry::new(key, record_text, manifest_text, logs, listed, copies);
    Ok(Read { stage: record.name.to_string(), entry, result, bytes, parts })
}

fn place(
    dir: &Path,
    pieces: &[Piece],
    offsets: &mut BTreeMap<String, (u64, blake3::Hasher)>,
) -> Vec<(PathBuf, u64, u64)> {
    let mut own = Vec::new();
    for piece in pieces {
        let (offset, _) = offsets.entry(piece.file.clone()).or_insert_with(|| (0, blake3::Hasher::new()));
        own.push((dir.join(&piece.file), *offset, piece.bytes));
        *offset += piece.bytes;
    }
    own
}

fn gather(parts: &[(PathBuf, u64, u64)]) -> Result<Vec<u8>, Error> {
    use std::io::Seek as _;
    let mut bytes = Vec::new();
    for (path, offset, length) in parts {
        let mut file = fs_err::File::open(path)?;
        file.seek(std::io::SeekFrom::Start(*offset))?;
        file.take(*length).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
