//! Whether what is there is as it should be: first of all, the host.

pub mod doctor;
pub mod judge;
