//! Child processes in groups that never outlive their run.
//!
//! Every step runs below a supervisor of its own: crossmill itself, started again as `crossmill
//! __supervise`. The supervisor guarantees this when crossmill is killed, because it sees its
//! control pipe close:
//!
//! ```text
//! crossmill ── control pipe ──> supervisor ── group ──> make ──> cc1 …
//!           <── report pipe ──  (own session, subreaper, holds the lock)
//! ```
//!
//! Nothing here knows of stages or recipes: a command comes in, an outcome
//! goes out.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "everything is started here")]

pub mod error;
pub mod group;
mod inherit;
pub mod isolation;
pub mod jobs;
mod limits;
pub mod machine_cpu;
pub mod memory;
pub mod oom;
pub mod probe;
mod remains;
pub mod sampler;
pub mod supervise;
mod tool;
mod tree;
pub mod wire;

pub use error::Error;
pub use group::{Command, Running, await_supervisors, spawn};
pub use jobs::{JobServer, Token};
pub use memory::{Memory, RssSampler};
pub use probe::{find_program, probe};
pub use remains::{end_remains, inherited_ignored};
pub use sampler::{UsageNow, UsageSampler};
pub use tool::{Tool, ToolStream};
pub use wire::{Outcome, Status, StopRecord, Usage};
