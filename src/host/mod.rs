//! The machine that builds: its tools and their identity. Starts no process itself.

pub mod tools;
