//! DWARF call frames, SFrame, BTF and inline BTF: readers, writers, validators and
//! comparisons. Imports nothing of crossmill but `base` and the result of a check; README.md is the map.

pub mod btf;
pub mod cfi;
pub mod elf;
pub mod frame;
pub mod inline_btf;
pub mod input;
pub mod sframe;
