//! Bytes and text of others: no file is opened here and no process started.

pub mod apt;
pub mod btf;
pub mod buildlog;
pub mod cfi;
pub mod elf;
pub mod frame;
pub mod inline;
pub mod sframe;
pub mod verdict;
