//! Probe definitions for inlined functions: a symbol and an offset for each
//! call, and how each argument is fetched there.
//!
//! ```text
//! dwarf, stored   the calls of a function, from DWARF or from inline BTF
//! image           symbols, and the code where a kernel accepts no probe
//! select          which calls get a probe, and why others get none
//! format          a probe as a definition of a tracer
//! ```
//!
//! A definition never depends on an absolute address, so it holds under KASLR.

mod dwarf;
mod format;
mod frame;
mod image;
mod registers;
mod select;
mod stored;

pub use dwarf::of_extraction;
pub use format::Format;
pub use frame::Frames;
pub use image::{Image, ImageError, build_id, notes_build_id};
pub use select::{LeftOut, Plan, Planned, Probe, Refused, Request, plan};
pub use stored::{StoredError, of_btf};

use super::location::{Location, Missing};

/// Kind of an argument's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A signed integer or enumeration.
    Signed,
    /// An unsigned one, `bool` included.
    Unsigned,
    /// A pointer.
    Pointer,
    /// A floating-point number.
    Float,
    /// A structure, union or array.
    Aggregate,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgType {
    /// Bytes.
    pub size: u32,
    /// The kind of its value.
    pub class: Class,
}

/// Where an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// In a location.
    At(Location),
    /// The argument of this number, from 0, of a call by the calling convention.
    Convention(u32),
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; empty where it has none.
    pub name: String,
    /// The kind of its value.
    pub class: Class,
}

/// How the frame base of a function is computed at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A register and an offset.
    At(u32, i64),
    /// Not known, and why.
    Unknown(&'static str),
}

/// Whether a call enters a function's own code or an inlined body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The function's copy out of line.
    Copy,
    /// An inlined body.
    Site {
        /// The function it was inlined into.
        caller: String,
        /// It is a split-off part that returned into the function's own copy: no call of its own.
        own_copy: bool,
        /// Where the body ends, if it is one range that is entered at its start and no sibling interleaves.
        end: Option<u64>,
    },
}

/// A place where a call of a function begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its address.
    pub address: u64,
    /// The section it is in, where that is known.
    pub section: Option<String>,
    /// The function entered there.
    pub origin: Origin,
    /// The frame base.
    pub frame: Frame,
    /// Each argument with its size, or why it is not available.
    pub args: Vec<Result<(Fetch, u32), Missing>>,
}

/// A function with all its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub params: Vec<Parameter>,
    /// By address.
    pub calls: Vec<Call>,
}
