//! Bytes and text of others: no file is opened here and no process started.

pub mod apt;
pub mod buildlog;
pub mod verdict;
