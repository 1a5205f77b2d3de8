//! Several toolchains in one tree, with one command for all of them: `bin/xgcc --target=aarch64-linux`, or
//! `bin/aarch64-linux-gcc`.
//!
//! Each toolchain is below `TRIPLE/`, as in its own archive. `share/crossmill/targets` has the lines of all their tables,
//! with paths from the bundle's own directory; recipes/release/driver.c explains the format.

use super::Error;
use super::tree::{Selection, Tree};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// The table that the driver reads, and the meaning of its entries.
const TABLE: &str = "share/crossmill/targets";
const TOOLS: &str = "tools ";
/// The driver, in the result of its package.
pub const DRIVER: &str = "driver";

/// Adds the toolchains `parts`, each with its triple, below `prefix`; `driver` is the program that runs them.
pub fn fill(tree: &mut Tree, prefix: &Path, parts: &[(&str, &Path)], driver: &Path) -> Result<(), Error> {
    let mut table = String::new();
    // The driver's names that no target is part of: one for each program that any of the toolchains has.
    let mut commands = BTreeSet::new();
    for (triple, from) in parts {
        tree.add(from, &prefix.join(triple), Selection::default())?;
        for line in fs_err::read_to_string(from.join(TABLE))?.lines() {
            // Writing to a string cannot fail.
            let _ = match line.strip_prefix(TOOLS) {
                Some(tools) => writeln!(table, "{TOOLS}{triple}/{tools}"),
                None => writeln!(table, "{line}"),
            };
        }
        for name in programs(&from.join("bin"), triple)? {
            commands.extend(name.strip_prefix(triple).map(|rest| rest.replacen('-', "x", 1)));
            tree.add_program(prefix.join("bin").join(name), driver)?;
        }
    }
    for command in commands {
        tree.add_program(prefix.join("bin").join(command), driver)?;
    }
    tree.add_file(prefix.join(TABLE), table.into_bytes())
}

// The names of the programs of one target.
fn programs(bin: &Path, triple: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(bin)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(triple).is_some_and(|rest| rest.starts_with('-')) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
