//! `crossmill store ls`.

use crate::base::units;
use crate::cli::options::PathArgs;
use crate::cli::{CliResult, exit, print};
use crate::run::last_use::last_use;
use clap::Args;
use serde_json::json;
use std::cmp::Reverse;

/// List results, source trees and unfinished builds with their sizes and the last run that used each
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// Print JSON (docs/schema/store-ls.schema.json)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Ls {
    pub(super) fn run(&self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let used = last_use(&store, |_, _| true)?;
        let mut contents = store.contents()?;
        contents.sort_by_key(|content| Reverse(content.bytes));
        if self.json {
            let list: Vec<_> = contents
                .iter()
                .map(|content| {
                    json!({
                        "kind": content.kind, "key": content.key.to_string(), "name": content.name,
                        "bytes": content.bytes, "last_run": used.get(&content.key),
                    })
                })
                .collect();
            let value = json!({ "schema": 1, "store": store.root().display().to_string(), "contents": list });
            print(&format!("{value:#}\n"))?;
            return Ok(exit::DONE);
        }
        for content in &contents {
            let name = content.name.as_deref().unwrap_or("-");
            let run = used.get(&content.key).map_or("not used by any run", String::as_str);
            let (size, key) = (units::bytes(content.bytes), content.key.short());
            print(&format!("{:10}  {size:>10}  {key}  {run:24}  {name}\n", content.kind))?;
        }
        let count = |kind: &str| contents.iter().filter(|content| content.kind == kind).count();
        print(&format!(
            "{} results, {} source trees, {} unfinished, {} in all\n",
            count("result"),
            count("source"),
            count("unfinished"),
            units::bytes(contents.iter().map(|content| content.bytes).sum())
        ))?;
        Ok(exit::DONE)
    }
}
