//! Bodies of the fuzz targets of SFrame; the tests replay the corpus through them.

use crossmill::debuginfo::sframe::compare::{examine, side_by_side};
use crossmill::debuginfo::sframe::{
    Abi, Addressing, Container, Findings, Relocation, SHT_GNU_SFRAME, Tables, validate,
};

/// A section: every rule, every row, and lookups.
pub fn reader(bytes: &[u8]) {
    // The first byte chooses what the file around the section is.
    let Some((choice, section)) = bytes.split_first() else { return };
    let relocatable = choice & 1 != 0;
    let container = Container {
        name: if choice & 2 != 0 { ".init.sframe" } else { ".sframe" },
        kind: if choice & 4 != 0 { 1 } else { SHT_GNU_SFRAME },
        address: 0x1000,
        relocatable,
        machine: Abi::of(choice >> 4),
        segment: (choice & 8 != 0).then_some((0x1000, 0x2000)),
        code: &[(0x10, 0x1000), (0x2000, 0x10_0000)],
        relocations: &[(28, Relocation::Applied), (44, Relocation::None), (60, Relocation::Broken("x"))],
    };
    let mut findings = Findings::default();
    let statistics = validate(section, &container, &mut findings);
    assert!(findings.kept().len() <= 100 * crossmill::debuginfo::sframe::RULES.len());
    for (_, table) in Tables::new(section, Addressing { address: 0x1000, relocatable }) {
        let Ok(table) = table else { continue };
        for pc in [0, 0x1000, 0x2000, 0x2010, u64::MAX] {
            let _ = table.row_at(pc);
        }
        if statistics.excessive {
            continue;
        }
        for entry in table.entries().flatten() {
            for fre in table.fres(&entry).flatten() {
                let _ = table.decode(&entry, &fre).normal();
            }
        }
    }
}

/// A whole file: the cross-check.
pub fn cross(bytes: &[u8]) {
    let _ = examine("fuzz", bytes);
    let _ = side_by_side(bytes, "0x1000");
}
