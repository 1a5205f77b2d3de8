//! The identity of a stage within one plan.

use serde::Serialize;

/// A stage of one plan: an index into [`Plan::stages`](super::graph::Plan::stages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StageId(pub u32);
