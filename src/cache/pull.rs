//! Writes a result that a cache has beside the store's tree, ready to be published as one that was built.

use super::client::{Client, blocking};
use super::entry::{Checked, Entry, LOGS, Place, TREE};
use super::{Error, Found};
use crate::base::files;
use crate::store::manifest::{Item, Manifest};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// The file of an entry of the store that records where it came from.
pub const ORIGIN: &str = "cache.json";

/// Where a result came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The cache.
    pub cache: String,
    /// The number of the key that signed it.
    pub signer: String,
    /// RFC 3339, UTC.
    pub pulled: String,
}

/// Writes the entry to `staged`, which it creates: the tree, the logs, the record, the manifest and the origin. Every object
/// is compared with its digest; the store compares the whole with the manifest when it is published.
pub async fn stage(found: &Found, staged: &Path) -> Result<(), Error> {
    let (client, statement) = (&found.client, &found.statement);
    let what = client.place(&super::layout::entry(&statement.entry));
    let text = client.entry(&statement.entry, statement.entry_bytes).await?;
    let checked = Arc::new(Entry::check(&what, &text, &statement.key, &statement.result)?);
    files::remove_tree(staged)?;
    make_dirs(staged, &checked)?;
    let mut tasks = JoinSet::new();
    for at in 0..checked.places.len() {
        let (client, checked, staged) = (client.clone(), checked.clone(), staged.to_owned());
        tasks.spawn(async move { object(&client, &checked, at, &staged).await });
    }
    while let Some(ended) = tasks.join_next().await {
        // The first failure ends the others.
        ended.map_err(|error| Error::Defect(error.to_string()))??;
    }
    let origin = Origin {
        cache: client.name().to_owned(),
        signer: found.signer.clone(),
        pulled: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
    };
    let staged = staged.to_owned();
    blocking(move || finish(&what, &staged, &checked, &origin)).await
}

async fn object(client: &Client, checked: &Checked, at: usize, staged: &Path) -> Result<(), Error> {
    let (Some(object), Some(places)) = (checked.entry.objects.get(at), checked.places.get(at)) else { return Ok(()) };
    let bytes = client.object(&object.digest, object.bytes()).await?;
    let (places, staged) = (places.clone(), staged.to_owned());
    blocking(move || write(&staged, &places, &bytes)).await
}

fn write(staged: &Path, places: &[Place], bytes: &[u8]) -> Result<(), Error> {
    let mut rest = bytes;
    for place in places {
        let (piece, after) = rest.split_at(usize::try_from(place.bytes).unwrap_or(usize::MAX).min(rest.len()));
        rest = after;
        let path = staged.join(&place.file);
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.file().write_all_at(piece, place.offset)?;
    }
    Ok(())
}

fn make_dirs(staged: &Path, checked: &Checked) -> Result<(), Error> {
    fs_err::create_dir_all(staged.join(TREE))?;
    fs_err::create_dir_all(staged.join(LOGS))?;
    // In the order of the manifest a directory comes before what is in it.
    for (name, item) in checked.manifest.items() {
        if matches!(item, Item::Dir { .. }) {
            fs_err::create_dir_all(staged.join(TREE).join(name))?;
        }
    }
    Ok(())
}

// Everything but the bytes. Links come after all files, so that nothing was written through one.
fn finish(what: &str, staged: &Path, checked: &Checked, origin: &Origin) -> Result<(), Error> {
    for (name, _) in checked.sizes.iter().filter(|(_, bytes)| **bytes == 0) {
        fs_err::File::create(staged.join(name))?;
    }
    for copy in &checked.entry.copies {
        fs_err::copy(staged.join(&copy.of), staged.join(&copy.file))?;
    }
    set_modes(what, &staged.join(TREE), &checked.manifest)?;
    files::write_unflushed(&staged.join("manifest.json"), checked.entry.manifest.as_bytes())?;
    files::write_unflushed(&staged.join("stage.json"), checked.entry.record.as_bytes())?;
    let origin = serde_json::to_vec_pretty(origin).map_err(std::io::Error::from)?;
    Ok(files::write_unflushed(&staged.join(ORIGIN), &origin)?)
}

fn set_modes(what: &str, tree: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut dirs: Vec<(PathBuf, u32)> = Vec::new();
    for (name, item) in manifest.items() {
        let path = tree.join(name);
        match item {
            Item::Dir { mode } => dirs.push((path, mode.unwrap_or(0o755))),
            Item::Link { to } => fs_err::os::unix::fs::symlink(to, path)?,
            Item::File { mode, mtime, .. } => {
                let file = fs_err::OpenOptions::new().write(true).open(&path)?;
                let time = time(*mtime).ok_or_else(|| Error::Damaged {
                    what: what.to_owned(),
                    why: format!("`{name}` has an impossible time"),
                })?;
                file.set_modified(time)?;
                file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
            }
        }
    }
    // A directory that may not be written is closed after what is in it.
    for (dir, mode) in dirs.into_iter().rev() {
        fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(mode & 0o777))?;
    }
    Ok(())
}

fn time((seconds, nanoseconds): (i64, i64)) -> Option<SystemTime> {
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|count| *count < 1_000_000_000)?;
    let after = Duration::new(0, nanoseconds);
    let whole = match u64::try_from(seconds) {
        Ok(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        Err(_) => SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    };
    whole?.checked_add(after)
}
