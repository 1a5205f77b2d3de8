//! Bytes and text of others. Opens no file and starts no process.

pub mod buildlog;
