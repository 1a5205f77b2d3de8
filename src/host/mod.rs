//! The machine that builds: its tools, their identity, and what comes before its compilers.

pub mod compiler_launcher;
pub mod machine;
pub mod program;
pub mod tools;
