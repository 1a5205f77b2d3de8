//! The canonical frame address at an address, to which locations on the stack are relative.

use super::Frame;
use crate::debuginfo::elf::{self, Elf};
use gimli::{BaseAddresses, CfaRule, EndianSlice, RunTimeEndian, UnwindContext, UnwindSection as _};
use std::borrow::Cow;

/// The call-frame information of a file.
#[derive(Debug, Default)]
pub struct Frames<'a> {
    debug: Option<Cow<'a, [u8]>>,
    eh: Option<(Cow<'a, [u8]>, u64)>,
    big: bool,
    address_size: u8,
}

impl<'a> Frames<'a> {
    /// Reads the sections of a file.
    pub fn load(elf: &Elf<'a>) -> Result<Self, elf::Error> {
        let filled = |name: &str| elf.section(name).filter(|section| section.kind != object::elf::SHT_NOBITS.0);
        let eh = match filled(".eh_frame") {
            Some(section) => Some((elf.data(section)?.bytes, section.address)),
            None => None,
        };
        Ok(Self {
            debug: filled(".debug_frame").map(|section| elf.data(section)).transpose()?.map(|data| data.bytes),
            eh,
            big: elf.endian() == object::Endianness::Big,
            address_size: elf.address_size(),
        })
    }

    /// Returns the canonical frame address at an address of the code.
    #[must_use]
    pub fn cfa(&self, pc: u64) -> Frame {
        let endian = if self.big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let mut found = None;
        if let Some((bytes, address)) = &self.eh {
            let mut section = gimli::EhFrame::from(EndianSlice::new(bytes, endian));
            section.set_address_size(self.address_size);
            let bases = BaseAddresses::default().set_eh_frame(*address);
            let mut context = UnwindContext::new();
            let row = section.unwind_info_for_address(&bases, &mut context, pc, gimli::EhFrame::cie_from_offset);
            found = row.ok().and_then(|row| rule(row.cfa()));
        }
        if let (None, Some(bytes)) = (found, &self.debug) {
            let mut section = gimli::DebugFrame::from(EndianSlice::new(bytes, endian));
            section.set_address_size(self.address_size);
            let bases = BaseAddresses::default();
            let mut context = UnwindContext::new();
            let row = section.unwind_info_for_address(&bases, &mut context, pc, gimli::DebugFrame::cie_from_offset);
            found = row.ok().and_then(|row| rule(row.cfa()));
        }
        found.unwrap_or(Frame::Unknown("no call-frame information defines its frame base"))
    }
}

fn rule(rule: &CfaRule<usize>) -> Option<Frame> {
    match rule {
        CfaRule::RegisterAndOffset { register, offset } => Some(Frame::At(u32::from(register.0), *offset)),
        CfaRule::Expression(_) => None,
    }
}
