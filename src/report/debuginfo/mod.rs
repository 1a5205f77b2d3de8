//! Text and JSON of what `debuginfo` finds.

pub mod btf;
pub mod btf_c;
pub mod btf_json;
mod btf_loc;
pub mod check_btf;
pub mod inline_btf;
pub mod sframe;
