//! `crossmill cache ls`.

use super::{OneCache, runtime};
use crate::base::{Diagnostic, units};
use crate::cache::verify::{Listed, list};
use crate::cli::{CliResult, exit, print};
use clap::Args;
use serde_json::json;

/// List the results of a cache: stage, key, size, the key that signed it, and whether it is trusted
#[derive(Debug, Args)]
pub(super) struct Ls {
    #[command(flatten)]
    cache: OneCache,
    /// Print JSON (docs/schema/cache-ls.schema.json)
    #[arg(long)]
    json: bool,
}

impl Ls {
    pub(super) fn run(&self) -> CliResult {
        let (caches, client) = self.cache.open()?;
        let listed = runtime()?.block_on(list(&client, &caches.trusted))?;
        if self.json {
            let value = json!({
                "schema": 1, "cache": client.name(), "results": listed.iter().map(entry).collect::<Vec<_>>(),
            });
            print(&format!("{value:#}\n"))?;
            return Ok(exit::DONE);
        }
        let width = listed.iter().map(|it| name(it).len()).max().unwrap_or(0);
        for it in &listed {
            let bytes = it.statement.as_ref().map_or_else(|_| "?".to_owned(), |it| units::bytes(it.bytes));
            let state = state(it);
            print(&format!("{:width$}  {}  {bytes:>10}  {}  {state}\n", name(it), it.key.short(), it.signer))?;
        }
        let trusted = listed.iter().filter(|it| it.is_trusted && it.statement.is_ok()).count();
        print(&format!("{} results, {trusted} signed by a trusted key\n", listed.len()))?;
        Ok(exit::DONE)
    }
}

fn name(listed: &Listed) -> &str {
    listed.statement.as_ref().map_or("?", |it| it.stage.as_str())
}

fn state(listed: &Listed) -> String {
    match &listed.statement {
        Err(error) => Diagnostic::from_error(error).message,
        Ok(_) if listed.is_trusted => "trusted".to_owned(),
        Ok(_) => "by an unknown key".to_owned(),
    }
}

fn entry(listed: &Listed) -> serde_json::Value {
    let statement = listed.statement.as_ref().ok();
    json!({
        "stage": statement.map(|it| &it.stage),
        "key": listed.key.to_string(),
        "signer": listed.signer,
        "trusted": listed.is_trusted && statement.is_some(),
        "bytes": statement.map(|it| it.bytes),
        "content": statement.map(|it| it.result.to_string()),
        "problem": listed.statement.as_ref().err().map(|error| Diagnostic::from_error(error).message),
    })
}
