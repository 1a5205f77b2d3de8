//! Bodies of the fuzz targets of BTF; the tests replay the corpus through them.

use crossmill::debuginfo::btf::validate::{Context, validate};
use crossmill::debuginfo::btf::{Btf, Builder, FuncIndex, HEADER_32, Order};

/// Reads all that an input holds.
pub fn read(data: &[u8]) {
    let Ok((btf, stopped)) = Btf::open(data, None) else { return };
    for found in btf.types() {
        let elements = found.members().count() + found.params().count() + found.enumerators().count();
        let sites = found.section_vars().count() + found.loc_sites().count() + found.old_loc_sites().count();
        assert!((elements + sites) * 4 <= data.len());
        assert!(found.references().count() + found.names().count() <= data.len() / 4 + 1);
        let _ = (found.int(), found.array(), found.var_linkage(), found.component_index());
        let _ = (found.loc_param().map(|param| param.value()), found.old_loc_param(), found.loc_proto());
        let _ = btf.text(found.name_off);
    }
    let _ = FuncIndex::functions(&btf).first(b"main");
    if stopped.is_none() {
        again(&btf);
    }
}

// Data that was read in full is equal when it is written and read again.
fn again(btf: &Btf<'_>) {
    let header_32 = btf.header().len >= HEADER_32;
    let mut builder =
        Builder::new(btf.base().as_ref(), btf.endian(), header_32).order(Order::AsPushed).grammar(btf.grammar());
    if builder.copy(btf).is_err() {
        return;
    }
    let Ok(bytes) = builder.finish() else { return };
    // Kinds that are not known lose their layout entry.
    let Ok(copy) = Btf::parse(&bytes, btf.base().as_ref()) else { return };
    if copy.grammar() == btf.grammar() {
        assert_eq!(copy.len(), btf.len());
        assert_eq!(copy.strings(), btf.strings());
    }
}

/// Checks an input: {u16 length of the base, the base, the file}; without a base where the length is 0.
pub fn check(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((base, file)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len))) else { return };
    let base = if base.is_empty() { None } else { Btf::open(base, None).ok().map(|(base, _)| base) };
    let sections = Some(vec![(".text".to_owned(), 0x1000)]);
    let checked = validate(file, base.as_ref(), &Context { sections, pointer: None });
    let kept = checked.findings.list().len() as u64;
    assert!(kept <= checked.findings.errors() + checked.findings.warnings());
    for finding in checked.findings.list() {
        assert!(!finding.to_string().is_empty());
    }
    if let Some(btf) = &checked.btf {
        crossmill::report::debuginfo::btf::raw(btf, &mut std::io::sink()).expect("a sink takes all");
        if checked.findings.errors() == 0 {
            // Types that C cannot declare are refused.
            let _ = crossmill::report::debuginfo::btf_c::header(btf, 8, &mut std::io::sink());
        }
        again(btf);
    }
}
