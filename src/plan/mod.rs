//! Targets x recipes as one graph of stages, each with the key that names its
//! result. Pure: no process, no network; files only of the recipe directory.

pub mod build;
pub mod context;
pub mod explain;
pub mod graph;
pub mod instance;
pub mod job;
pub mod material;
pub mod request;
pub mod stage_id;
pub mod versions;

pub use build::plan;
pub use graph::{Plan, Stage, StageId, Work};
pub use material::Material;
pub use request::{HostFacts, Request};
