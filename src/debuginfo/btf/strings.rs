//! Strings of a section and of a chain.

use super::{Btf, LONGEST_NAME};
use std::collections::HashMap;

/// Returns whether kernels accept a name where BTF needs an identifier. They accept dots, as in `foo.isra.0`.
#[must_use]
pub fn is_identifier(text: &[u8]) -> bool {
    let sign = |byte: &u8| *byte == b'_' || *byte == b'.';
    let first = text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || sign(byte));
    first && text.len() <= LONGEST_NAME && text.iter().all(|byte| byte.is_ascii_alphanumeric() || sign(byte))
}

/// Every string of a section with its offset; what has no end is left out.
pub(super) fn texts(first: u32, section: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = 0;
    let whole = section.iter().rposition(|byte| *byte == 0).and_then(|last| section.get(..last));
    whole.into_iter().flat_map(|whole| whole.split(|byte| *byte == 0)).filter_map(move |text| {
        let offset = u32::try_from(at).ok().and_then(|at| first.checked_add(at));
        at += text.len() + 1;
        Some((offset?, text))
    })
}

/// Returns the offset of each string of a chain; of equal ones the first.
pub(super) fn index<'a>(base: &Btf<'a>) -> HashMap<&'a [u8], u32> {
    let total: usize = base.string_sections().map(|(_, section)| section.len()).sum();
    let mut index = HashMap::with_capacity(total / 20);
    for (first, section) in base.string_sections() {
        for (offset, text) in texts(first, section) {
            index.entry(text).or_insert(offset);
        }
    }
    index
}
