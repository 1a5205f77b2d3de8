//! What a cache did for a run.

use crate::base::units;
use serde::{Deserialize, Serialize};

/// The statistics of the caches of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
// Older event logs lack some.
#[serde(default)]
pub struct Stats {
    /// Requests of all kinds.
    pub requests: u64,
    /// Seconds that requests took, all of them together.
    pub seconds: f64,
    /// Stages that were taken from a cache.
    pub pulled: u64,
    /// Stages that no cache has.
    pub missed: u64,
    /// Stages that a cache has and that could not be taken from it.
    pub failed: u64,
    /// Bytes that were received.
    pub received_bytes: u64,
    /// Stages that were stored.
    pub pushed: u64,
    /// Stages that were stored already.
    pub existing: u64,
    /// Stages that could not be stored.
    pub unpushed: u64,
    /// Objects that were stored.
    pub objects_new: u64,
    /// Objects that were stored already.
    pub objects_existing: u64,
    /// Their bytes before compression: what was stored.
    pub new_bytes: u64,
    /// And what other results shared already.
    pub shared_bytes: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Sources that were taken from a cache.
    pub sources_pulled: u64,
    /// Sources that were stored.
    pub sources_pushed: u64,
}

impl Stats {
    /// Returns the sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            seconds: self.seconds + other.seconds,
            pulled: self.pulled + other.pulled,
            missed: self.missed + other.missed,
            failed: self.failed + other.failed,
            received_bytes: self.received_bytes + other.received_bytes,
            pushed: self.pushed + other.pushed,
            existing: self.existing + other.existing,
            unpushed: self.unpushed + other.unpushed,
            objects_new: self.objects_new + other.objects_new,
            objects_existing: self.objects_existing + other.objects_existing,
            new_bytes: self.new_bytes + other.new_bytes,
            shared_bytes: self.shared_bytes + other.shared_bytes,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            sources_pulled: self.sources_pulled + other.sources_pulled,
            sources_pushed: self.sources_pushed + other.sources_pushed,
        }
    }

    /// Returns the line for the end of a run.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = Vec::new();
        let mut add = |count: u64, text: &str| {
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        };
        add(self.pulled, "pulled");
        add(self.missed, "not cached");
        add(self.failed, "unusable");
        add(self.sources_pulled, "sources pulled");
        add(self.pushed, "pushed");
        add(self.existing, "pushed before");
        add(self.unpushed, "not pushed");
        add(self.sources_pushed, "sources pushed");
        if parts.is_empty() {
            parts.push("not used".to_owned());
        }
        let mut line = format!("remote cache: {}", parts.join(", "));
        if self.requests > 0 {
            let (received, sent) = (units::bytes(self.received_bytes), units::bytes(self.sent_bytes));
            line += &format!("; {received} received, {sent} sent in {} requests", self.requests);
        }
        if self.objects_new + self.objects_existing > 0 {
            let (new, shared) = (units::bytes(self.new_bytes), units::bytes(self.shared_bytes));
            let all = self.objects_new + self.objects_existing;
            line += &format!("; {} of {all} objects were new: {new} new, {shared} shared", self.objects_new);
        }
        line
    }
}
