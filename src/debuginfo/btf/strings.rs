//! Strings of a section and of a chain.

use super::Btf;
use std::collections::HashMap;

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

/// The offset of each string of a chain; of equal ones the first.
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
