//! Primitive types shared by all layers. Opens files only through [`files`], starts no process,
//! prints nothing.

pub mod access;
pub mod check_result;
pub mod decode;
pub mod diagnostic;
pub mod digest;
pub mod files;
pub mod isolation;
pub mod name;
pub mod rule;
pub mod secret;
pub mod stage_name;
pub mod suggest;
pub mod text;
pub mod units;

pub use diagnostic::{Diagnose, Diagnostic, Location};
pub use digest::{Key, Sha256};
pub use name::{PackageName, TargetName, Version};
pub use stage_name::{BadStageName, StageName};
