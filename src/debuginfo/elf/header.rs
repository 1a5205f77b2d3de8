//! The file header in the words of `readelf -h`, which targets.toml declares a target's programs in.

use super::{Elf, Error};
use object::{Endianness, elf};
use std::borrow::Cow;
use std::fmt;

/// Names of machines as binutils' readelf prints them (`get_machine_name` of binutils/readelf.c), for the machines of
/// Linux and their relatives.
const MACHINES: [(u16, &str); 27] = [
    (elf::EM_SPARC.0, "Sparc"),
    (elf::EM_386.0, "Intel 80386"),
    (elf::EM_68K.0, "MC68000"),
    (elf::EM_MIPS.0, "MIPS R3000"),
    (elf::EM_PARISC.0, "HPPA"),
    (elf::EM_SPARC32PLUS.0, "Sparc v8+"),
    (elf::EM_PPC.0, "PowerPC"),
    (elf::EM_PPC64.0, "PowerPC64"),
    (elf::EM_S390.0, "IBM S/390"),
    (elf::EM_ARM.0, "ARM"),
    (elf::EM_SH.0, "Renesas / SuperH SH"),
    (elf::EM_SPARCV9.0, "Sparc v9"),
    (elf::EM_IA_64.0, "Intel IA-64"),
    (elf::EM_X86_64.0, "Advanced Micro Devices X86-64"),
    (elf::EM_ARC_COMPACT.0, "ARCompact"),
    (elf::EM_OPENRISC.0, "OpenRISC 1000"),
    (elf::EM_XTENSA.0, "Tensilica Xtensa Processor"),
    (elf::EM_ALTERA_NIOS2.0, "Altera Nios II"),
    (elf::EM_TI_C6000.0, "Texas Instruments TMS320C6000 DSP family"),
    (elf::EM_AARCH64.0, "AArch64"),
    (elf::EM_MICROBLAZE.0, "Xilinx MicroBlaze"),
    (elf::EM_ARC_COMPACT2.0, "ARCv2"),
    (elf::EM_RISCV.0, "RISC-V"),
    (elf::EM_BPF.0, "Linux BPF"),
    (elf::EM_CSKY.0, "C-SKY"),
    (elf::EM_LOONGARCH.0, "LoongArch"),
    // Never assigned a number by the generic ABI's registry.
    (0x9026, "Alpha"),
];

/// The facts of a file header that distinguish targets. Displayed as `ELF64, little endian, AArch64, flags 0x0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `ELF32` or `ELF64`.
    pub class: &'static str,
    /// `little endian` or `big endian`.
    pub data: &'static str,
    /// The machine; `<unknown>: 0x1234` if it has no name here.
    pub machine: Cow<'static, str>,
    /// `e_flags`.
    pub flags: u32,
}

impl Header {
    /// Reads the header of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::of(&Elf::parse(bytes)?))
    }

    /// Returns the header of a file that has been read already.
    #[must_use]
    pub fn of(file: &Elf<'_>) -> Self {
        let number = file.machine();
        let name = MACHINES.iter().find(|(machine, _)| *machine == number);
        Self {
            class: if file.address_size() == 8 { "ELF64" } else { "ELF32" },
            data: if file.endian() == Endianness::Little { "little endian" } else { "big endian" },
            machine: name.map_or_else(|| format!("<unknown>: {number:#x}").into(), |(_, name)| (*name).into()),
            flags: file.header_flags(),
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}, flags {:#x}", self.class, self.data, self.machine, self.flags)
    }
}
