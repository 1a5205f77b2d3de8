//! Shared by several test programs.

#![expect(dead_code, reason = "no test program uses all of it")]

pub mod archives;
pub mod gpg;
pub mod http;
pub mod schema;
