//! `crossmill publish`.

use super::{CliError, CliResult, exit};
use crate::base::units;
use crate::publish::release::Release;
use crate::publish::sign::Signer;
use crate::publish::upload::Publication;
use crate::publish::upload::destination::Destination;
use crate::report;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Publish a release: archives first, the index last
///
/// DEST is a directory, `s3://BUCKET/PATH`, a URL of a server that takes PUT,
/// `rsync://HOST/MODULE/PATH`, or `ssh://USER@HOST/PATH` (by rsync). What exists
/// there with the same bytes is not uploaded again, so the same command continues
/// an interrupted one. Nothing published is ever replaced with other bytes.
/// Archives that DEST has and the release lacks stay listed.
#[derive(Debug, Args)]
pub struct Publish {
    /// Destination of the release
    #[arg(value_name = "DEST")]
    destination: String,
    /// The release: the directory of `crossmill package --release`
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    /// Keep the N newest versions of each archive and remove the older ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Sign the index of what DEST has then, if it is not the release's own: as for `crossmill package`
    #[arg(long, value_name = "KEY")]
    sign_with: Option<String>,
    /// Only print what would be uploaded and removed
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

impl Publish {
    /// Publishes.
    pub fn run(self) -> CliResult {
        let signer = self.sign_with.as_deref().map(Signer::find).transpose()?;
        let destination = Destination::parse(&self.destination)?;
        // Locked, so that no archive is added meanwhile.
        let release = Release::existing(&self.release)?;
        let publication = Publication {
            release: &self.release,
            index: &release.index,
            destination: &destination,
            keep: self.keep.map(|keep| keep as usize),
            signer: signer.as_ref(),
            dry_run: self.dry_run,
        };
        let (uploaded, removed) = if self.dry_run { ("would upload", "would remove") } else { ("uploaded", "removed") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(
            publication.run(&|index| report::release::pages(index, &BTreeMap::new(), None), &|path, bytes| {
                errln!("{uploaded}: {path} ({})", units::bytes(bytes))
            }),
        );
        let done = done.map_err(CliError::from)?;
        done.removed.iter().for_each(|path| errln!("{removed}: {path}"));
        errln!("{} files, {}; {} existed", done.uploaded.len(), units::bytes(done.bytes), done.existing);
        if self.json {
            let mut value = serde_json::to_value(&done).map_err(std::io::Error::other)?;
            value["schema"] = 1.into();
            value["dry_run"] = self.dry_run.into();
            super::print(&format!("{value:#}\n"))?;
        }
        Ok(exit::DONE)
    }
}
