//! `crossmill cache push`.

use super::runtime;
use crate::base::{Diagnostic, Key, Sha256};
use crate::cache::{self, Caches, Writer, push::Pushed, push::push};
use crate::cli::options::{CacheArgs, NetworkArgs, PathArgs};
use crate::cli::store::find_key;
use crate::cli::{CliError, CliResult, exit};
use crate::plan::graph::Chosen;
use crate::store::Store;
use clap::Args;
use std::path::PathBuf;

/// Store results of this machine's store in a cache, and its downloads
///
/// What the cache has already is not stored again. A result that differs from the one that the cache has for
/// the same key is reported as a reproducibility fault and not stored; exit code 1.
#[derive(Debug, Args)]
pub(super) struct Push {
    /// The cache
    #[arg(value_name = "URL")]
    url: String,
    /// Results by key or stage (`arm64/gcc`); all of the store if none is named
    #[arg(value_name = "KEY|STAGE")]
    what: Vec<String>,
    /// Do not store downloads
    #[arg(long)]
    no_sources: bool,
    /// Compare with results that are signed by this public key of minisign as well
    #[arg(long = "cache-key", value_name = "KEY", env = "CROSSMILL_CACHE_KEYS", value_delimiter = ' ')]
    keys: Vec<String>,
    /// The file of the secret key that signs what is stored
    #[arg(long, value_name = "FILE", env = "CROSSMILL_CACHE_SIGN_KEY")]
    cache_sign_key: Option<PathBuf>,
    #[command(flatten)]
    paths: PathArgs,
}

impl Push {
    pub(super) fn run(&self) -> CliResult {
        let session = self.paths.open(&NetworkArgs::default(), None)?;
        let args = CacheArgs {
            cache_to: Some(self.url.clone()),
            cache_keys: self.keys.clone(),
            cache_sign_key: self.cache_sign_key.clone(),
            ..CacheArgs::default()
        };
        let setup = cache::client::Setup { from: Vec::new(), ..session.cache_setup(&args.choice()) };
        let caches = Caches::open(&setup)?;
        let Some(writer) = caches.to.clone() else { return Err(CliError::usage("no cache is named")) };
        writer.client.usable()?;
        let store = session.store()?;
        let keys = match self.what.is_empty() {
            true => store.keys()?,
            false => self.what.iter().map(|what| find_key(&store, what)).collect::<Result<_, _>>()?,
        };
        let runtime = runtime()?;
        let mut failed = 0;
        for key in &keys {
            failed += usize::from(!result(&runtime, &caches, &writer, &store, key));
        }
        if !self.no_sources {
            failed += runtime.block_on(sources(&writer, &store))?;
        }
        errln!("{}", writer.client.stats().line());
        Ok(if failed == 0 { exit::DONE } else { exit::FAILED })
    }
}

// Whether a result is in the cache now.
fn result(runtime: &tokio::runtime::Runtime, caches: &Caches, writer: &Writer, store: &Store, key: &Key) -> bool {
    let name = store.record::<crate::plan::KeyInputs>(key).map(|record| record.name.to_string());
    let name = name.unwrap_or_else(|_| key.short());
    match runtime.block_on(push(caches, writer, store, key)) {
        Ok(Pushed::New) => errln!("pushed: {name}"),
        Ok(Pushed::Existing) => errln!("pushed before: {name}"),
        Err(error) => {
            errln!("{}", Diagnostic::from_error(&error));
            return false;
        }
    }
    true
}

// Stores the downloads that a digest names, and which candidates were used. Returns how many failed.
async fn sources(writer: &Writer, store: &Store) -> Result<usize, CliError> {
    let mut failed = 0;
    let mut report = |done: Result<(), cache::Error>| {
        if let Err(error) = done {
            errln!("{}", Diagnostic::from_error(&error));
            failed += 1;
        }
    };
    let blobs = store.cache().join("blobs");
    for name in crate::base::files::names_in(&blobs)? {
        if let Ok(sha256) = name.parse::<Sha256>() {
            report(cache::sources::push(&writer.client, sha256, &blobs.join(&name)).await.map(drop));
        }
    }
    for name in store.names()? {
        let Some(label) = name.strip_prefix("source/") else { continue };
        let chosen = store.recall_if_whole::<Chosen>(&name)?.map(|named| named.inputs.digest);
        let sha256 = chosen.as_deref().and_then(|digest| digest.strip_prefix("sha256:")?.parse().ok());
        if let Some(sha256) = sha256 {
            report(cache::sources::choose(&writer.client, label, sha256).await);
        }
    }
    Ok(failed)
}
