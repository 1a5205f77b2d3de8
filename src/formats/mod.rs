//! Bytes and text of others. Opens no file and starts no process.

pub mod buildlog;
//! Bytes and text of others: no file is opened here and no process started.

pub mod apt;
