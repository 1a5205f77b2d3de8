//! The machine that builds: its tools and their identity.

pub mod machine;
pub mod tools;
