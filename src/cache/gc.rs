//! Removes what was stored long ago, and what nothing leads to any more.
//!
//! A writer stores objects before the statement that leads to them, so objects of the last day stay even if nothing does.

use super::entry::Entry;
use super::sources::List;
use super::verify::list;
use super::{Client, Error, layout};
use crate::base::Key;
use crate::remote::Listed;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The longest that a writer may take from the first object of a result to its statement.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// What is removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The paths, statements first: what is left never leads to something that is gone.
    pub paths: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay.
    pub kept: usize,
}

/// Returns what to remove: results and downloads that were stored before `since`, and what nothing leads to any more.
///
/// # Errors
/// When something cannot be read: what it leads to is not known, so nothing may be removed.
pub async fn plan(client: &Arc<Client>, since: SystemTime, now: SystemTime) -> Result<Removal, Error> {
    let mut removal = Removal::default();
    let mut led_to: BTreeSet<String> = BTreeSet::new();
    for listed in list(client, &[]).await? {
        if listed.modified < since {
            removal.paths.push(listed.path);
            continue;
        }
        let statement = match listed.statement {
            Ok(statement) => statement,
            // It leads nowhere, and `verify` reports it.
            Err(error) if error.is_lie() => continue,
            Err(error) => return Err(error),
        };
        led_to.insert(layout::entry(&statement.entry));
        match client.entry(&statement.entry, statement.entry_bytes).await {
            Ok(text) => led_to.extend(objects_of(&text)),
            Err(error) if error.is_lie() => {}
            Err(error) => return Err(error),
        }
    }
    for file in client.list(layout::SOURCES).await? {
        let path = format!("{}/{}", layout::SOURCES, file.name);
        if file.modified < since {
            removal.bytes += file.bytes;
            removal.paths.push(path);
            continue;
        }
        let Some(stored) = client.get(&path, 1 << 20).await? else { continue };
        if let Ok(list) = List::read(&path, &stored.bytes) {
            led_to.extend(list.objects.iter().map(layout::object));
        }
    }
    for dir in [layout::ENTRIES, layout::OBJECTS] {
        for file in client.list(dir).await? {
            removal.add(dir, &file, &led_to, now);
        }
    }
    // Of clients that vanished.
    for file in client.list(layout::CLAIMS).await? {
        removal.add(layout::CLAIMS, &file, &led_to, now);
    }
    for file in client.list(layout::CHOICES).await?.iter().filter(|file| file.modified < since) {
        removal.paths.push(format!("{}/{}", layout::CHOICES, file.name));
    }
    Ok(removal)
}

impl Removal {
    fn add(&mut self, dir: &str, file: &Listed, led_to: &BTreeSet<String>, now: SystemTime) {
        let path = format!("{dir}/{}", file.name);
        let is_young = now.duration_since(file.modified).is_ok_and(|age| age < GRACE) || file.modified > now;
        let is_ours = file.name.parse::<Key>().is_ok() || layout::is_claim(&file.name);
        if led_to.contains(&path) || is_young || !is_ours {
            self.kept += 1;
            return;
        }
        self.bytes += file.bytes;
        self.paths.push(path);
    }
}

// Every object that an entry names, whether or not its parts agree: what is kept too long costs little.
fn objects_of(text: &[u8]) -> Vec<String> {
    let entry: Option<Entry> = serde_json::from_slice(text).ok();
    entry.into_iter().flat_map(|entry| entry.objects).map(|object| layout::object(&object.digest)).collect()
}
