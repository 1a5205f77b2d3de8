//! `crossmill recipe initramfs`: packs init and files into an initramfs.

use super::super::{CliError, CliResult, exit};
use crate::base::Diagnostic;
use clap::Args;
use cpio::NewcBuilder;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Pack an initramfs of /init, /dev/console and files
///
/// Format `newc` of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. Root
/// owns everything, and all dates are SOURCE_DATE_EPOCH, so equal files give equal bytes.
#[derive(Debug, Args)]
pub struct Initramfs {
    /// The program that becomes /init
    init: PathBuf,
    /// Files to add to the root directory; programs stay executable
    files: Vec<PathBuf>,
    /// The archive
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The date of everything in it, seconds since 1970
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", default_value_t = 0, hide_default_value = true)]
    date: u32,
}

const DIRECTORY: u32 = 0o040_755;
const CONSOLE: u32 = 0o020_600;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

impl Initramfs {
    pub(super) fn run(self) -> CliResult {
        let mut entries = vec![
            (NewcBuilder::new("dev").mode(DIRECTORY), Vec::new()),
            // Without it, init has no standard output.
            (NewcBuilder::new("dev/console").mode(CONSOLE).rdev_major(5).rdev_minor(1), Vec::new()),
            (NewcBuilder::new("init").mode(PROGRAM), fs_err::read(&self.init)?),
        ];
        let mut names = vec!["dev".to_owned(), "init".to_owned()];
        for path in &self.files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if names.contains(&name) {
                return Err(
                    Diagnostic::new(format!("`{}`: the initramfs has a `{name}` already", path.display())).into()
                );
            }
            let is_program = fs_err::metadata(path)?.permissions().mode() & 0o111 != 0;
            let mode = if is_program { PROGRAM } else { FILE };
            entries.push((NewcBuilder::new(&name).mode(mode), fs_err::read(path)?));
            names.push(name);
        }
        let mut out = BufWriter::new(fs_err::File::create(&self.output)?);
        for (inode, (entry, content)) in (1u32..).zip(entries) {
            let size = u32::try_from(content.len()).map_err(|_| too_large(&self.output))?;
            let mut entry = entry.ino(inode).nlink(1).mtime(self.date).write(&mut out, size);
            entry.write_all(&content)?;
            entry.finish()?;
        }
        cpio::newc::trailer(&mut out)?.flush()?;
        Ok(exit::DONE)
    }
}

fn too_large(path: &Path) -> CliError {
    Diagnostic::new(format!("`{}`: a file of 4 GiB or more does not fit the format newc", path.display())).into()
}
