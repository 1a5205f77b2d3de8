//! Whether what is there is as it should be: first of all, the host.

pub mod btf;
pub mod doctor;
pub mod inline;
pub mod input;
pub mod judge;
pub mod sframe;
