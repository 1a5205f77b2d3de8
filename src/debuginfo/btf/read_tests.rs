use super::sample::{all, everything};
use super::*;
use proptest::prelude::*;

fn both() -> [Endian; 2] {
    [Endian::Little, Endian::Big]
}

#[test]
fn every_kind_reads_in_both_byte_orders() {
    for endian in both() {
        for header_32 in [false, true] {
            let bytes = everything(endian, header_32, Grammar::Wide);
            let btf = Btf::parse(&bytes, None).unwrap();
            assert_eq!((btf.endian(), btf.grammar(), btf.len()), (endian, Grammar::Wide, 23));
            assert_eq!(btf.layout().len(), if header_32 { 23 } else { 0 });
            let get = |id| btf.type_by_id(id).unwrap();
            assert_eq!(get(1).int(), Some(Int { encoding: 1, offset: 0, bits: 32 }));
            assert_eq!(get(3).array(), Some(Array { element: 1, index: 1, len: 4 }));
            let bits = get(4).member(2).unwrap();
            assert_eq!((btf.string(bits.name_off), bits.bit_offset, bits.bit_size), (Some(&b"bits"[..]), 128, 3));
            assert_eq!(get(6).enumerators().map(|value| value.value.cast_signed()).collect::<Vec<_>>(), [-1, 7]);
            assert_eq!((get(12).kind, get(12).vlen, get(12).size_or_type), (Kind::Func, 1, 13));
            assert_eq!(get(13).params().map(|param| param.type_id).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(get(14).var_linkage(), Some(1));
            assert_eq!(get(15).section_vars().next(), Some(SectionVar { type_id: 14, offset: 0, size: 4 }));
            assert_eq!(get(17).component_index(), Some(1));
            assert_eq!(get(19).enumerators().next().unwrap().value, 0x2_0000_0001);
            let param = get(21).loc_param().unwrap();
            assert_eq!((param.size, param.flags), (4, flags::REG | flags::OFFSET));
            assert_eq!((param.register(), param.value()), (Some(5), Some(8)));
            assert_eq!(get(22).loc_proto().unwrap().iter().collect::<Vec<_>>(), [21, 0]);
            let sites: Vec<LocSite> = get(23).loc_sites().collect();
            assert_eq!(sites[0], LocSite { func: 12, offset: 0x10, loc_proto: 22 });
            assert_eq!(sites[1].offset, 0x20);
        }
    }
}

#[test]
fn the_older_form_is_told_by_its_parameters() {
    for endian in both() {
        let bytes = everything(endian, false, Grammar::Narrow);
        let btf = Btf::parse(&bytes, None).unwrap();
        assert_eq!((btf.grammar(), btf.len(), btf.is_grammar_decided()), (Grammar::Narrow, 23, true));
        let param = btf.type_by_id(21).unwrap().old_loc_param().unwrap();
        assert_eq!(param.size, -4);
        assert_eq!(param.place, OldPlace::Register { register: 5, flags: old_flags::DEREF, offset: 8 });
        let sites: Vec<OldLocSite> = btf.type_by_id(23).unwrap().old_loc_sites().collect();
        assert_eq!((sites[1].func_proto, sites[1].loc_proto, sites[1].offset), (13, 22, 0x20));
        assert_eq!(btf.string(sites[0].name_off), Some(&b"work"[..]));
    }
}

#[test]
fn old_sites_without_any_parameter_are_told_by_where_types_end() {
    let mut builder = Builder::new(None, Endian::Little, false).grammar(Grammar::Narrow).order(Order::AsPushed);
    let name = builder.string("f");
    let proto = builder.func_proto(0, &[]);
    let loc_proto = builder.loc_proto(&[]);
    builder.push(Kind::LocSec, name, false, 1, 0, &[name, proto, loc_proto, 4]);
    let bytes = builder.finish().unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    assert_eq!(btf.grammar(), Grammar::Narrow);
    assert_eq!(btf.type_by_id(3).unwrap().old_loc_sites().next().unwrap().offset, 4);
}

#[test]
fn info_words_are_told_apart_by_what_can_be_walked() {
    let bytes = everything(Endian::Little, false, Grammar::Wide);
    // Bit 20 of the info word of type 1, an INT: nothing of it depends on the count.
    let mut odd = bytes.clone();
    odd[24 + 6] |= 0x10;
    assert_eq!(Btf::parse(&odd, None).unwrap().grammar(), Grammar::Wide);
    // A struct whose count has bits that only the wide word counts: it goes beyond the section.
    let mut builder = Builder::new(None, Endian::Little, false);
    let name = builder.string("s");
    builder.push(Kind::Struct, name, false, 0, 4, &[]);
    let mut narrow = builder.finish().unwrap();
    narrow[24 + 6] |= 0x10;
    let btf = Btf::parse(&narrow, None).unwrap();
    assert_eq!((btf.grammar(), btf.is_grammar_decided()), (Grammar::Narrow, true));
    assert_eq!(btf.type_by_id(1).unwrap().vlen, 0);
}

#[test]
fn more_than_65535_elements_are_counted() {
    let mut builder = Builder::new(None, Endian::Little, true);
    let name = builder.string("f");
    let proto = builder.func_proto(0, &[]);
    let func = builder.func("f", proto, 0);
    let loc_proto = builder.loc_proto(&[]);
    assert!(name > 0);
    builder.locsec(".text", (0..70_000).map(|offset| LocSite { func, offset, loc_proto }));
    let bytes = builder.finish().unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    assert_eq!(btf.grammar(), Grammar::Wide);
    assert_eq!(btf.types().find(|found| found.kind == Kind::LocSec).unwrap().vlen, 70_000);
}

#[test]
fn kinds_that_are_not_known_are_skipped_by_their_layout() {
    let mut bytes = everything(Endian::Little, true, Grammar::Wide);
    let header = Header::parse(&bytes).unwrap();
    let layout = header.layout.unwrap();
    // The layout grows by an entry for kind 23, and the strings move up.
    let at = (header.len + layout.offset + layout.len) as usize;
    bytes.splice(at..at, [4, 8, 0, 0]);
    bytes[16..20].copy_from_slice(&(header.strings.offset + 4).to_le_bytes());
    bytes[28..32].copy_from_slice(&(layout.len + 4).to_le_bytes());
    // A type of kind 23 with two elements comes first: {info 4} and {8, 8}.
    let head = [0, 23 << 24 | 2, 0, 9, 9, 9, 9, 9];
    let new: Vec<u8> = head.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    bytes.splice(32..32, new);
    for at in [12, 16, 24] {
        let old = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(old + 32).to_le_bytes());
    }
    let btf = Btf::parse(&bytes, None).unwrap();
    assert_eq!((btf.type_by_id(1).unwrap().kind, btf.type_by_id(2).unwrap().kind), (Kind::Other(23), Kind::Int));
    assert_eq!(btf.len(), 24);
    // Without the entry there is no way on.
    bytes[32 + 7] = 24;
    let (btf, stopped) = Btf::open(&bytes, None).unwrap();
    assert_eq!((btf.len(), stopped), (0, Some(Error::Kind { id: 1, kind: 24, offset: 0 })));
}

#[test]
fn a_chain_of_three_is_one_space_of_ids_and_strings() {
    let main = everything(Endian::Big, false, Grammar::Narrow);
    let main = Btf::parse(&main, None).unwrap();
    let mut builder = Builder::new(Some(&main), Endian::Big, false);
    let proto = builder.func_proto(1, &[]);
    builder.func("of_module", proto, 0);
    let module = builder.finish().unwrap();
    let module = Btf::parse(&module, Some(&main)).unwrap();
    let mut builder = Builder::new(Some(&module), Endian::Big, true);
    assert_eq!(builder.string("work"), main.type_by_id(12).unwrap().name_off);
    assert!(builder.string("of_module") >= main.string_end());
    builder.func("inlined", 24, 0);
    let inline = builder.finish().unwrap();
    let inline = Btf::parse(&inline, Some(&module)).unwrap();
    assert_eq!((main.next_id(), module.first_id(), inline.first_id(), inline.next_id()), (24, 24, 26, 27));
    let functions = FuncIndex::functions(&inline);
    assert_eq!(functions.first(b"work"), Some(12));
    assert_eq!(functions.first(b"of_module"), Some(25));
    assert_eq!(functions.ids(b"inlined").collect::<Vec<_>>(), [26]);
    assert_eq!((functions.len(), functions.first(b"none")), (3, None));
    assert_eq!(inline.base().unwrap().base().unwrap().next_id(), 24);
    assert_eq!(inline.all_types().count(), 26);
    assert_eq!(inline.type_by_id(0).map(|found| found.id), None);
    assert_eq!(inline.type_by_id(27).map(|found| found.id), None);
}

#[test]
fn functions_that_share_a_name_are_all_found() {
    let mut builder = Builder::new(None, Endian::Little, false);
    let proto = builder.func_proto(0, &[]);
    for name in ["same", "other", "same", "same"] {
        builder.func(name, proto, 0);
    }
    let bytes = builder.finish().unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    assert_eq!(FuncIndex::functions(&btf).ids(b"same").collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn a_base_of_the_other_byte_order_is_refused() {
    let (little, big) =
        (everything(Endian::Little, false, Grammar::Wide), everything(Endian::Big, false, Grammar::Wide));
    let base = Btf::parse(&little, None).unwrap();
    assert_eq!(Btf::parse(&big, Some(&base)).unwrap_err(), Error::ByteOrder { base: Endian::Little });
}

// {magic, version, flags, 24, table, locations} with two entries of one parameter.
pub(super) fn obsolete(magic: u16) -> Vec<u8> {
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24_u32, 0, 36, 36, 5] {
        bytes.extend(word.to_le_bytes());
    }
    for entry in 0..2_u32 {
        for word in [70 + entry, 90, 0x40] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
    }
    bytes.extend([0, 9, 5, 0, 0]);
    bytes
}

#[test]
fn the_obsolete_form_is_known_under_any_magic_number() {
    assert_eq!(Btf::parse(&obsolete(MAGIC), None).unwrap_err(), Error::Obsolete);
    assert_eq!(Btf::parse(&obsolete(0x1b7f), None).unwrap_err(), Error::Obsolete);
    for bytes in all() {
        assert!(!is_obsolete_inline(&bytes));
    }
}

#[test]
fn what_is_cut_off_anywhere_is_an_error() {
    for bytes in all() {
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            let error = Btf::parse(cut, None).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn a_type_section_cut_off_anywhere_is_read_as_far_as_it_goes() {
    for bytes in all() {
        let whole = Btf::parse(&bytes, None).unwrap();
        let ends: Vec<u32> = whole.types().map(|found| found.offset).collect();
        for len in 0..whole.header().types.len {
            let mut short = bytes.clone();
            let word = if whole.endian() == Endian::Little { len.to_le_bytes() } else { len.to_be_bytes() };
            short[12..16].copy_from_slice(&word);
            let (btf, stopped) = Btf::open(&short, None).unwrap();
            let complete = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
            assert!(btf.len() <= complete + 1, "{len}: {} of {complete}", btf.len());
            // A LOC_PARAM of the older form that is cut by a word is one of the newer without values.
            if btf.grammar() == whole.grammar() {
                assert_eq!(stopped.is_none(), ends.contains(&len), "{len}");
            }
        }
    }
}

#[test]
fn counts_are_held_against_the_section_before_anything_is_made() {
    let mut builder = Builder::new(None, Endian::Little, false);
    let name = builder.string("s");
    builder.push(Kind::Struct, name, false, 0, 4, &[]);
    let mut bytes = builder.finish().unwrap();
    bytes[28..31].copy_from_slice(&[0xff; 3]);
    let (btf, stopped) = Btf::open(&bytes, None).unwrap();
    // The narrow word has 65,535 of them, as much beyond the section.
    assert_eq!((btf.grammar(), btf.len()), (Grammar::Wide, 0));
    assert!(matches!(stopped, Some(Error::Truncated { id: 1, kind: Kind::Struct, needs: 201_326_592, left: 12, .. })));
}

#[test]
fn strings_without_an_end_are_none() {
    let mut bytes = everything(Endian::Little, false, Grammar::Wide);
    let last = bytes.len() - 1;
    assert_eq!(bytes[last], 0);
    bytes[last] = b'x';
    let btf = Btf::parse(&bytes, None).unwrap();
    let name = btf.string_end() - 3;
    assert_eq!(btf.string(name), None);
    assert_eq!(btf.text(name), "(invalid-name-offset)");
    assert_eq!(btf.string(u32::MAX), None);
    assert_eq!(btf.string(0), Some(&b""[..]));
}

#[test]
fn references_and_names_are_those_of_the_shapes() {
    let bytes = everything(Endian::Little, false, Grammar::Wide);
    let btf = Btf::parse(&bytes, None).unwrap();
    let references = |id| btf.type_by_id(id).unwrap().references().collect::<Vec<_>>();
    assert_eq!(references(1), [0_u32; 0]);
    assert_eq!(references(3), [1, 1]);
    assert_eq!(references(4), [1, 2, 1]);
    assert_eq!(references(13), [1, 1, 2]);
    assert_eq!(references(15), [14]);
    assert_eq!(references(17), [4]);
    assert_eq!(references(22), [21, 0]);
    assert_eq!(references(23), [12, 22, 12, 22]);
    let names = btf.type_by_id(4).unwrap().names().map(|name| btf.text(name).into_owned()).collect::<Vec<_>>();
    assert_eq!(names, ["s", "a", "p", "bits"]);
}

proptest! {
    #[test]
    fn changed_bytes_never_panic_a_reader(which in 0_usize..8, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut bytes = all().swap_remove(which);
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        if let Ok((btf, _)) = Btf::open(&bytes, None) {
            for found in btf.types() {
                let words = found.references().count() + found.names().count() + found.members().count()
                    + found.params().count() + found.enumerators().count() + found.section_vars().count()
                    + found.loc_sites().count() + found.old_loc_sites().count();
                prop_assert!(words <= 2 * bytes.len() + 2);
                let _ = (found.int(), found.array(), found.loc_param(), found.old_loc_param(), found.loc_proto());
                let _ = btf.text(found.name_off);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Btf::open(&bytes, None);
        let mut headed = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0];
        headed.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        headed.extend([0; 8]);
        headed.extend(&bytes);
        let (btf, stopped) = Btf::open(&headed, None).unwrap();
        prop_assert!(btf.len() * 12 <= bytes.len());
        prop_assert!(stopped.is_some() || btf.header().types.len as usize == bytes.len());
    }
}
