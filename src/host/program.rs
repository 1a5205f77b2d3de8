//! crossmill's own program, as the keys of stages that run it have it.

use crate::base::Key;
use object::{Object, ReadCache};
use std::io;
use std::path::Path;

/// Bytes of the shortest build ID that is a digest: others are chosen by hand, or too short to tell programs apart.
const SHORTEST: usize = 16;

/// Returns the identity of a program: the build ID that the linker computed from all of it and that strip(1) keeps; the
/// digest of the file where it has none. Reads headers alone, where it would take longest of all that a build with nothing
/// to do does.
///
/// # Errors
/// When the file cannot be read.
pub fn identity(program: &Path) -> io::Result<String> {
    let cache = ReadCache::new(fs_err::File::open(program)?);
    let elf = object::File::parse(&cache).ok();
    let build_id = elf.as_ref().and_then(|elf| elf.build_id().ok().flatten());
    match build_id.filter(|id| id.len() >= SHORTEST) {
        Some(id) => Ok(id.iter().fold("build ID ".to_owned(), |text, byte| format!("{text}{byte:02x}"))),
        None => Ok(Key::of(&fs_err::read(program)?).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Tool;

    #[test]
    fn a_program_is_its_build_id_or_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let compile = |name: &str, id: &str, value: &str| {
            fs_err::write(at("p.c"), format!("int main(void) {{ return {value}; }}\n")).unwrap();
            let arguments = ["-g", "-o", name, "p.c", &format!("-Wl,--build-id={id}")];
            let run = Tool::new("cc").args(arguments).dir(dir.path()).run(io::empty()).unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            identity(&at(name)).unwrap()
        };
        let (one, other) = (compile("one", "sha1", "1"), compile("other", "sha1", "2"));
        assert!(one.starts_with("build ID ") && one.len() == 9 + 40, "{one}");
        assert_ne!(one, other);
        let stripped = Tool::new("strip").arg(at("one")).run(io::empty()).unwrap();
        assert!(stripped.status.success());
        assert_eq!(identity(&at("one")).unwrap(), one);
        for id in ["none", "0x12345678"] {
            let (one, other) = (compile("one", id, "1"), compile("other", id, "2"));
            assert!(one.len() == 64 && one != other, "{one}");
        }
        fs_err::write(at("script"), "#!/bin/sh\n").unwrap();
        assert_eq!(identity(&at("script")).unwrap(), Key::of(b"#!/bin/sh\n").to_string());
        assert!(identity(&at("missing")).is_err());
    }
}
