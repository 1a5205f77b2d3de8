//! Turns targets and recipes into one graph of stages, each with the key of its result. Pure:
//! starts no process, uses no network, reads files of the recipe directories only.

pub mod build;
pub mod context;
pub mod explain;
pub mod graph;
pub mod host_facts;
pub mod instance;
pub mod job;
pub mod key_inputs;
pub mod request;
pub mod stage_id;
pub mod versions;

pub use build::plan;
pub use graph::{Plan, Stage, StageId, Work};
pub use host_facts::HostFacts;
pub use key_inputs::KeyInputs;
pub use request::Request;
