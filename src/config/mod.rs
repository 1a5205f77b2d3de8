//! Targets, recipes, release sets and profiles: parsed, checked, then trusted.
//! Never touches the network or starts a process.

pub mod access;
pub mod archive;
mod check_names;
pub mod expect;
pub mod file;
pub mod host_tools;
pub mod limits;
pub mod load;
pub mod matrix;
mod matrix_load;
mod mentions;
pub mod overlay;
pub mod raw;
pub mod raw_recipe;
pub mod recipe;
pub mod resolved;
pub mod setting;
pub mod snapshot;
pub mod source;
pub mod template;
pub mod toml_error;
pub mod version_range;

pub use resolved::Config;
