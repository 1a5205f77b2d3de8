//! Refuses archives that contain paths of the machine that built it, times of day in static libraries, programs that need
//! more of a machine than the archive promises.

mod elf;
mod static_library;

pub use elf::Needs;

use super::Error;
use super::tree::{Member, Tree};
use crate::config::archive::{Glibc, Promise};
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Facts established about an archive that passed the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portability {
    /// The highest glibc symbol version that any of its programs needs.
    pub glibc: Option<Glibc>,
    /// The shared libraries that its programs need and that are not in the archive.
    pub libraries: BTreeSet<String>,
    /// Programs and shared libraries of the host that were looked at.
    pub programs: usize,
    /// Members of static libraries that were looked at.
    pub objects: usize,
}

/// A defect of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The member.
    pub path: PathBuf,
    /// Description of the defect.
    pub what: String,
}

/// Reads every file of `tree`. `paths` are those that no file may contain.
pub fn check(tree: &Tree, promise: &Promise, paths: &[String]) -> Result<Portability, Error> {
    let finders: Vec<(&String, Finder<'_>)> = paths.iter().map(|path| (path, Finder::new(path.as_bytes()))).collect();
    let own: BTreeSet<String> =
        tree.members().filter_map(|(path, _)| Some(path.file_name()?.to_str()?.into())).collect();
    let mut findings = Vec::new();
    let mut found = Portability::default();
    for (path, member) in tree.members() {
        let mut note = |what: String| findings.push(Finding { path: path.to_owned(), what });
        let Member::File { content, .. } = member else { continue };
        let bytes = content.read()?;
        for (host_path, _) in finders.iter().filter(|(_, finder)| finder.find(&bytes).is_some()) {
            note(format!("contains the path `{host_path}` of this machine"));
        }
        if let Some(objects) = static_library::check(&bytes, &mut note) {
            found.objects += objects;
        }
        match elf::needs(&bytes) {
            Ok(None) => {}
            Ok(Some(needs)) => {
                judge(&needs, promise, &own, &mut note);
                found.programs += 1;
                found.glibc = found.glibc.max(needs.glibc);
                found.libraries.extend(needs.libraries.into_iter().filter(|name| !own.contains(name)));
            }
            Err(why) => note(format!("cannot be read as ELF: {why}")),
        }
    }
    if findings.is_empty() { Ok(found) } else { Err(Error::NotPortable { findings }) }
}

fn judge(needs: &Needs, promise: &Promise, own: &BTreeSet<String>, note: &mut dyn FnMut(String)) {
    if let (Some(needed), Some(promised)) = (needs.glibc, promise.glibc)
        && needed > promised
    {
        note(format!("needs glibc {needed}, the archive promises {promised}"));
    }
    if promise.libraries.is_empty() {
        return;
    }
    for library in
        needs.libraries.iter().filter(|library| !promise.libraries.contains(library) && !own.contains(*library))
    {
        note(format!("needs `{library}`, which not every machine has"));
    }
    if let Some(path) = &needs.search_path {
        note(format!("searches `{path}` for shared libraries"));
    }
}

/// Returns the paths of this machine that no archive may contain: the store, and the user's home.
pub fn host_paths(store: &Path) -> Vec<String> {
    let real = fs_err::canonicalize(store).ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let given = [Some(store.to_owned()), real, home].into_iter().flatten();
    // The root directory, and what is below nothing, would match everything.
    let long = given.filter(|path| path.is_absolute() && path.components().count() > 1);
    let texts: BTreeSet<String> = long.map(|path| format!("{}/", path.display())).collect();
    texts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Selection, Tree};
    use super::*;
    use crate::process::Tool;

    fn of(fill: impl Fn(&Path), promise: &Promise) -> Result<Portability, String> {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let mut tree = Tree::default();
        tree.add(dir.path(), Path::new(""), Selection::default()).unwrap();
        check(&tree, promise, &["/built/here/".to_owned()]).map_err(|error| match error {
            Error::NotPortable { findings } => {
                findings.iter().map(|it| format!("{}: {}\n", it.path.display(), it.what)).collect()
            }
            other => other.to_string(),
        })
    }

    fn run(dir: &Path, program: &str, args: &[&str]) {
        let output = Tool::new(program).args(args).dir(dir).run(std::io::empty()).unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn program(dir: &Path, source: &str, args: &[&str]) {
        fs_err::write(dir.join("p.c"), source).unwrap();
        run(dir, "cc", &[&["p.c", "-o", "p"], args].concat());
    }

    const STRCHR: &str = "#include <string.h>\nint main(int n, char **v) { return strchr(v[0], n) != 0; }\n";

    #[test]
    fn the_glibc_that_a_program_needs_is_that_of_readelf() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), STRCHR, &[]);
        let output = Tool::new("readelf").args(["-V", "p"]).dir(dir.path()).run(std::io::empty()).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let versions = text.split("GLIBC_").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
        let want: Option<Glibc> = versions.max();
        assert!(want.is_some());
        let found = of(|dir| program(dir, STRCHR, &[]), &Promise::default()).unwrap();
        assert_eq!((found.glibc, found.programs), (want, 1));
        assert_eq!(found.libraries, BTreeSet::from(["libc.so.6".to_owned()]));
        let strict = Promise { glibc: Some(Glibc { major: 2, minor: 1 }), libraries: vec!["libm.so.6".into()] };
        let why = of(|dir| program(dir, STRCHR, &["-Wl,-rpath,/opt/lib"]), &strict).unwrap_err();
        assert_eq!(
            why,
            format!(
                "p: needs glibc {}, the archive promises 2.1\np: needs `libc.so.6`, which not every machine has\n\
                 p: searches `/opt/lib` for shared libraries\n",
                want.unwrap()
            )
        );
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let found = of(|dir| program(dir, STRCHR, &["-static"]), &Promise::default()).unwrap();
        assert_eq!((found.glibc, found.libraries.len()), (None, 0));
    }

    #[test]
    fn a_path_of_the_build_is_found_wherever_it_is() {
        let why = of(|dir| fs_err::write(dir.join("f"), b"\0\x01/built/here/x\0").unwrap(), &Promise::default());
        assert_eq!(why.unwrap_err(), "f: contains the path `/built/here/` of this machine\n");
    }

    #[test]
    fn a_static_library_has_no_times_and_no_owners() {
        let library = |dir: &Path, flags: &str| {
            fs_err::write(dir.join("o.c"), "int o;\n").unwrap();
            run(dir, "cc", &["-c", "o.c"]);
            run(dir, "ar", &[flags, "lib.a", "o.o"]);
        };
        assert_eq!(of(|dir| library(dir, "rcsD"), &Promise::default()).unwrap().objects, 1);
        let why = of(|dir| library(dir, "rcsU"), &Promise::default()).unwrap_err();
        assert!(why.starts_with("lib.a: its member `o.o` has a date"), "{why}");
    }
}
