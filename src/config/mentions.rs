//! Every use of a package's or check's name in one matrix file, for `check_names`.

use super::file::SourceFile;
use super::matrix::Mention;
use super::raw::{RawMatrix, RawTarget};
use crate::base::PackageName;
use toml::Spanned;

/// Collects the names in one file as written, before overlays are applied.
pub(super) fn of(file: &SourceFile, raw: &RawMatrix) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut note = |name: &Spanned<PackageName>, check: bool| {
        let text = Spanned::new(name.span(), name.get_ref().to_string());
        mentions.push(Mention { at: file.placed(&text), check });
    };
    raw.defaults.packages.iter().flatten().for_each(|name| note(name, false));
    raw.defaults.with.keys().for_each(|name| note(name, false));
    for target in raw.target.values() {
        of_target(target, &mut note);
    }
    mentions
}

fn of_target(target: &RawTarget, note: &mut dyn FnMut(&Spanned<PackageName>, bool)) {
    target.options.keys().for_each(|name| note(name, false));
    target.requires.iter().for_each(|requires| note(&requires.package, false));
    target.expect.keys().for_each(|name| note(name, true));
    for (name, failure) in &target.known_failure {
        note(name, true);
        failure.versions.keys().for_each(|name| note(name, false));
    }
    target.quirk.iter().flat_map(|quirk| quirk.versions.keys()).for_each(|name| note(name, false));
}
