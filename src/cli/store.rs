//! `crossmill store`.

use super::options::Place;
use super::session::Session;
use super::{Outcome, exit};
use clap::{Args, Subcommand};

/// Look after the store
#[derive(Debug, Args)]
pub struct StoreCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the store's directory
    Path(Place),
    /// Read every byte of every result and compare it with what was published
    Verify(Place),
}

impl StoreCommand {
    /// Does it.
    pub fn run(self) -> Outcome {
        match self.what {
            What::Path(place) => {
                super::print(&format!("{}\n", Session::open(&place)?.store_dir().display()))?;
                Ok(exit::DONE)
            }
            What::Verify(place) => verify(&place),
        }
    }
}

fn verify(place: &Place) -> Outcome {
    let store = Session::open(place)?.store()?;
    let keys = store.keys()?;
    let mut damaged = 0;
    for key in &keys {
        if let Err(error) = store.verify(key) {
            damaged += 1;
            super::print(&format!("damaged: {error}\n"))?;
        }
    }
    super::print(&format!("{} results, {damaged} damaged\n", keys.len()))?;
    Ok(if damaged == 0 { exit::DONE } else { exit::STORE })
}
