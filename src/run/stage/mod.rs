//! The work of single stages: fetch and unpack sources, run build steps, read the results of checks.

pub mod build;
pub mod check;
mod checked;
mod claim;
mod command;
pub mod elsewhere;
mod evidence;
pub mod fetch;
pub mod pull;
pub mod unpack;
