//! BTF as a C header, in the layout of `bpftool btf dump format c`.
//!
//! ```text
//! order     which named types are defined in which order, so that each is complete where it is contained
//! define    forward declarations and definitions, one after the other
//! declare   the text of one declaration: declarators, bodies, padding
//! names     a name that several types share gets a number
//! ```
//!
//! Nothing recurses over the file, and text that would grow beyond all measure, as nested nameless types can
//! demand, is refused.

mod declare;
mod define;
mod names;
mod order;

use crate::debuginfo::btf::{Btf, CLayout};
use std::io::{self, Write};

/// Why types cannot be written as C.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// C can name a type in itself only by a tag or a typedef.
    #[error("type {id} has no name and refers to itself, which C cannot declare")]
    Nameless {
        /// The type.
        id: u32,
    },
    /// Two members share bits.
    #[error("type {id}: member {member} overlaps the one before it, which C cannot declare")]
    Overlap {
        /// The type.
        id: u32,
        /// The index of the member.
        member: usize,
    },
    /// Nested nameless types double the text at each level.
    #[error("the declaration of type {id} is too large: types without a name are nested in it too often")]
    TooLarge {
        /// The type.
        id: u32,
    },
    /// The text cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes the types of a file and its bases as a header. The file must be valid.
pub fn header(btf: &Btf<'_>, pointer: u8, out: &mut dyn Write) -> Result<(), HeaderError> {
    let layout = CLayout::new(btf, pointer);
    let queue = order::order(btf)?;
    out.write_all(HEAD.as_bytes())?;
    define::define(btf, &layout, &queue, out)?;
    out.write_all(TAIL.as_bytes())?;
    Ok(())
}

// The attribute makes clang relocate accesses to the kernel that a program is loaded into.
const HEAD: &str = "#ifndef __VMLINUX_H__\n\
    #define __VMLINUX_H__\n\n\
    #ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n\
    #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n\
    #endif\n\n";

const TAIL: &str = "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n\
    #pragma clang attribute pop\n\
    #endif\n\n\
    #endif /* __VMLINUX_H__ */\n";
