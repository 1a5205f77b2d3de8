//! Free disk space, checked before a run instead of when it has run out.

use super::{Error, Store};
use crate::base::units;

impl Store {
    /// Bytes that this user may still write.
    pub fn free(&self) -> Result<u64, Error> {
        let stat = nix::sys::statvfs::statvfs(self.root()).map_err(std::io::Error::from)?;
        Ok(stat.blocks_available() * stat.fragment_size())
    }

    /// Bytes of the whole file system.
    pub fn size(&self) -> Result<u64, Error> {
        let stat = nix::sys::statvfs::statvfs(self.root()).map_err(std::io::Error::from)?;
        Ok(stat.blocks() * stat.fragment_size())
    }

    /// Refuses a run that needs more than there is.
    pub fn require(&self, needed: u64) -> Result<(), Error> {
        let free = self.free()?;
        if free < needed {
            let (free, needed) = (units::bytes(free), units::bytes(needed));
            return Err(Error::Space { path: self.root().to_owned(), free, needed });
        }
        Ok(())
    }
}
