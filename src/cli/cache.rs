//! `crossmill cache`.

mod gc;
mod ls;
mod pull;
mod push;
mod verify;

use super::options::{CacheArgs, NetworkArgs, PathArgs};
use super::{CliError, CliResult};
use crate::cache::client::{Location, Setup, public_keys};
use crate::cache::{Caches, Client};
use clap::{Args, Subcommand};
use std::sync::Arc;

/// Share finished stages between machines through a bucket, a server or a directory
///
/// URL is s3://BUCKET/PATH, the URL of a server that takes PUT, or a directory. Builds use caches by themselves
/// with `--cache-from` and `--cache-to`; these commands look after one (docs/cache.md).
#[derive(Debug, Args)]
pub struct CacheCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the results of a cache
    Ls(ls::Ls),
    /// Store results of this machine's store, and its downloads
    Push(push::Push),
    /// Take the results of targets from a cache into the store, and build nothing
    Pull(Box<pull::Pull>),
    /// Read everything that a cache has, and verify signatures and digests
    Verify(verify::Verify),
    /// Remove results that were stored long ago, and what nothing leads to any more
    Gc(gc::Gc),
}

impl CacheCommand {
    /// Does it.
    pub fn run(self) -> CliResult {
        match self.what {
            What::Ls(command) => command.run(),
            What::Push(command) => command.run(),
            What::Pull(command) => command.run(),
            What::Verify(command) => command.run(),
            What::Gc(command) => command.run(),
        }
    }
}

/// One cache and the keys that count.
#[derive(Debug, Args)]
struct OneCache {
    /// The cache
    #[arg(value_name = "URL")]
    url: String,
    /// Results that are signed by this public key of minisign are trusted: its text or its file
    #[arg(long = "cache-key", value_name = "KEY", env = "CROSSMILL_CACHE_KEYS", value_delimiter = ' ')]
    keys: Vec<String>,
    #[command(flatten)]
    paths: PathArgs,
}

impl OneCache {
    /// Opens the cache for commands that need no signing key.
    fn open(&self) -> Result<(Caches, Arc<Client>), CliError> {
        let session = self.paths.open(&NetworkArgs::default(), None)?;
        let choice = CacheArgs { cache_keys: self.keys.clone(), ..CacheArgs::default() }.choice();
        let Setup { keys, token, .. } = session.cache_setup(&choice);
        let client = Arc::new(one(&self.url, token.as_deref())?);
        let trusted = public_keys(&keys)?;
        Ok((Caches { from: vec![client.clone()], to: None, trusted }, client))
    }
}

fn one(url: &str, token: Option<&str>) -> Result<Client, CliError> {
    let client = Client::open(&Location { url: url.to_owned(), with_token: true }, token, false)?;
    client.usable()?;
    Ok(client)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
