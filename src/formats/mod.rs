//! Bytes and text of others: no file is opened here and no process started.

pub mod apt;
pub mod btf;
pub mod buildlog;
pub mod elf;
pub mod inline;
pub mod verdict;
