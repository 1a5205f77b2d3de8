//! Targets, recipes, release sets and profiles: parsed, checked, then trusted.
//! Never touches the network or starts a process.

pub mod host_tools;
pub mod source;
pub mod toml_error;
