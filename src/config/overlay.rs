//! How one description of a target overrides another: values of the upper one win; lists of
//! options, requirements and quirks are appended to.

use super::raw::{RawKernel, RawTarget};

/// Returns `lower` overridden by `upper`.
pub fn target(lower: &RawTarget, upper: RawTarget) -> RawTarget {
    let mut options = lower.options.clone();
    for (package, more) in upper.options {
        options.entry(package).or_default().extend(more);
    }
    let mut expect = lower.expect.clone();
    expect.extend(upper.expect);
    let mut known_failure = lower.known_failure.clone();
    known_failure.extend(upper.known_failure);
    let mut facts = lower.facts.clone();
    facts.extend(upper.facts);
    let mut set = lower.set.clone();
    set.extend(upper.set);
    let mut with = lower.with.clone();
    with.extend(upper.with);
    let lower = lower.clone();
    RawTarget {
        summary: upper.summary.or(lower.summary),
        inherits: upper.inherits.or(lower.inherits),
        tier: upper.tier.or(lower.tier),
        triple: upper.triple.or(lower.triple),
        toolchain: upper.toolchain.or(lower.toolchain),
        arch: upper.arch.or(lower.arch),
        aliases: lower.aliases.into_iter().chain(upper.aliases).collect(),
        release_set: upper.release_set.or(lower.release_set),
        with,
        kernel: match (lower.kernel, upper.kernel) {
            (Some(lower), Some(upper)) => Some(kernel(lower, upper)),
            (lower, upper) => upper.or(lower),
        },
        options,
        requires: lower.requires.into_iter().chain(upper.requires).collect(),
        expect,
        known_failure,
        facts,
        set,
        quirk: lower.quirk.into_iter().chain(upper.quirk).collect(),
        notes: lower.notes.into_iter().chain(upper.notes).collect(),
    }
}

fn kernel(lower: RawKernel, upper: RawKernel) -> RawKernel {
    RawKernel {
        defconfig: upper.defconfig.or(lower.defconfig),
        fragments: upper.fragments.or(lower.fragments),
        tiny_fragments: upper.tiny_fragments.or(lower.tiny_fragments),
        image: upper.image.or(lower.image),
        make_target: upper.make_target.or(lower.make_target),
    }
}
