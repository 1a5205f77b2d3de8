//! Which GNU tools are built for a file's machine.

use super::Elf;
use object::Endianness::{Big, Little};

impl Elf<'_> {
    /// Returns the triple of a GNU toolchain that reads this file, as distributions name it; `None` for machines that
    /// no distribution has one for. Its first word is the architecture.
    #[must_use]
    pub fn gnu_triple(&self) -> Option<&'static str> {
        let is_64 = self.address_size() == 8;
        Some(match (self.machine(), is_64, self.endian()) {
            (2 | 18, ..) => "sparc-linux-gnu",
            (3, ..) => "i686-linux-gnu",
            (4, ..) => "m68k-linux-gnu",
            (8, false, Big) => "mips-linux-gnu",
            (8, false, Little) => "mipsel-linux-gnu",
            (8, true, Big) => "mips64-linux-gnuabi64",
            (8, true, Little) => "mips64el-linux-gnuabi64",
            (15, ..) => "hppa-linux-gnu",
            (20, ..) => "powerpc-linux-gnu",
            (21, _, Big) => "powerpc64-linux-gnu",
            (21, _, Little) => "powerpc64le-linux-gnu",
            (22, ..) => "s390x-linux-gnu",
            (40, ..) => "arm-linux-gnueabi",
            (42, ..) => "sh4-linux-gnu",
            (43, ..) => "sparc64-linux-gnu",
            (62, true, _) => "x86_64-linux-gnu",
            (62, false, _) => "x86_64-linux-gnux32",
            (183, ..) => "aarch64-linux-gnu",
            (195, ..) => "arc-linux-gnu",
            (243, ..) => "riscv64-linux-gnu",
            (258, ..) => "loongarch64-linux-gnu",
            (0x9026, ..) => "alpha-linux-gnu",
            _ => return None,
        })
    }
}
