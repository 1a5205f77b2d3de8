//! Landlock: the files that processes of a step may open, regardless of their user.

use super::{View, named};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};
use std::io;
use std::path::Path;

/// The newest interface that is asked for; an older kernel enforces what it knows.
const NEWEST: ABI = ABI::V6;

/// Devices that every step may use: none of them keeps what is written to it.
const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];

/// A rule set that is complete but not yet in force.
pub(in crate::process) struct Rules(RulesetCreated);

impl Rules {
    /// Builds the rules of `view`; `private`: `/tmp` is already the step's own. A path that does not exist needs no
    /// rule.
    pub fn new(view: &View, private: bool) -> io::Result<Self> {
        let read = AccessFs::from_read(NEWEST);
        // A device node gives access to a disk regardless of the path rules.
        let own = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
        let written = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::ReadFile;
        let device = AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::IoctlDev;
        let mut rules = Self(create(view).map_err(io::Error::other)?);
        rules.allow(Path::new("/"), read)?;
        for dir in view.own.iter().chain([&view.scratch]).chain(&view.write) {
            rules.allow(dir, own | read)?;
        }
        rules.allow(&view.logs, written)?;
        for dir in DEVICES.iter().map(Path::new).chain(view.devices.iter().map(|path| path.as_path())) {
            rules.allow(dir, device)?;
        }
        // Without a mount namespace these are everybody's, but programs count on them. The store must not come with them.
        for dir in super::view::HIDDEN.iter().map(Path::new) {
            if private || !view.work.starts_with(dir) {
                rules.allow(dir, own | read)?;
            }
        }
        Ok(rules)
    }

    fn allow(&mut self, path: &Path, access: BitFlags<AccessFs>) -> io::Result<()> {
        // A file has no rights of directories; asking for them is an error.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        let Ok(fd) = PathFd::new(path) else { return Ok(()) };
        let rule = PathBeneath::new(fd, access);
        let set = &mut self.0;
        set.add_rule(rule).map_err(io::Error::other).map_err(named(format!("allowing `{}`", path.display())))?;
        Ok(())
    }

    /// Puts the rules in force for this process and all that it starts. It cannot be undone.
    pub fn enforce(self) -> io::Result<()> {
        self.0.restrict_self().map(drop).map_err(io::Error::other)
    }
}

fn create(view: &View) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::Signal)?;
    if !view.network {
        rules = rules.handle_access(AccessNet::from_all(NEWEST))?.scope(Scope::AbstractUnixSocket)?;
    }
    rules.create()
}

/// Returns the kernel's version of the interface, or why it has none.
pub(super) fn kernel_abi() -> io::Result<u32> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call reads no memory and returns a number.
    let abi =
        unsafe { nix::libc::syscall(nix::libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(abi).map_err(|_| io::Error::last_os_error())
}
