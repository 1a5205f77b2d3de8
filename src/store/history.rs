//! How long stages took here, so that the next run starts the longest first.
//! Losing this file loses no more than good estimates.

use super::{Error, Store};
use crate::base::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Seconds of processor time by what was built: `arm64/gcc 16.2.0 quick`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times(BTreeMap<String, f64>);

impl Times {
    /// What it took the last time.
    pub fn get(&self, what: &str) -> Option<f64> {
        self.0.get(what).copied().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
    }

    /// What it took this time.
    pub fn set(&mut self, what: &str, seconds: f64) {
        self.0.insert(what.to_owned(), seconds);
    }
}

impl Store {
    /// The times of earlier runs; none if the file is missing or unreadable.
    pub fn times(&self) -> Times {
        let text = fs_err::read(self.root().join("times.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Adds `new` to what is kept, where the store can be written.
    pub fn add_times(&self, new: Times) -> Result<(), Error> {
        if new.0.is_empty() || !self.is_writable() {
            return Ok(());
        }
        // Read again: another run may have added its own since.
        let mut times = self.times();
        times.0.extend(new.0);
        let text = serde_json::to_vec_pretty(&times).map_err(|error| Error::Io(error.into()))?;
        Ok(files::write_atomic(&self.root().join("times.json"), &text)?)
    }
}
