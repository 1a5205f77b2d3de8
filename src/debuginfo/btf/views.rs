//! The data of each kind, interpreted. A view of another kind is empty or `None`.

use super::{Grammar, loc};
use super::{Kind, LocParam, LocSite, OldLocParam, OldLocSite, Type, Words};

/// An INT's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int {
    /// 0, or one of SIGNED 1, CHAR 2, BOOL 4.
    pub encoding: u8,
    /// The first bit.
    pub offset: u8,
    /// How many bits.
    pub bits: u8,
}

/// An ARRAY's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// The type of its elements.
    pub element: u32,
    /// The type of its index.
    pub index: u32,
    /// How many.
    pub len: u32,
}

/// A member of a STRUCT or UNION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name_off: u32,
    /// Its type.
    pub type_id: u32,
    /// Where it begins, bits.
    pub bit_offset: u32,
    /// Its width, bits; 0 when it is no bit field.
    pub bit_size: u32,
}

/// A parameter of a FUNC_PROTO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Param {
    /// Its name.
    pub name_off: u32,
    /// Its type; 0 for `...`.
    pub type_id: u32,
}

/// A value of an ENUM or ENUM64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator {
    /// Its name.
    pub name_off: u32,
    /// Its bits; a signed one is extended to 64.
    pub value: u64,
}

/// A variable of a DATASEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionVar {
    /// The VAR.
    pub type_id: u32,
    /// Where it begins in the section, bytes.
    pub offset: u32,
    /// Its size, bytes.
    pub size: u32,
}

impl<'a> Type<'a> {
    fn data_if(&self, wanted: bool) -> Words<'a> {
        if wanted { self.data } else { self.data.skip(self.data.len()) }
    }

    /// Returns an INT's encoding.
    #[must_use]
    pub fn int(&self) -> Option<Int> {
        let word = self.data_if(self.kind == Kind::Int).get(0)?;
        let [bits, _, offset, high] = word.to_le_bytes();
        Some(Int { encoding: high & 0xf, offset, bits })
    }

    /// Returns an ARRAY's elements.
    #[must_use]
    pub fn array(&self) -> Option<Array> {
        let [element, index, len] = self.data_if(self.kind == Kind::Array).group(0)?;
        Some(Array { element, index, len })
    }

    /// Returns the members of a STRUCT or UNION.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<'a> {
        let flag = self.kind_flag;
        let data = self.data_if(matches!(self.kind, Kind::Struct | Kind::Union));
        data.groups().map(move |words| member(words, flag))
    }

    /// A member of a STRUCT or UNION.
    #[must_use]
    pub fn member(&self, index: usize) -> Option<Member> {
        let data = self.data_if(matches!(self.kind, Kind::Struct | Kind::Union));
        Some(member(data.group(index)?, self.kind_flag))
    }

    /// Returns the parameters of a FUNC_PROTO.
    pub fn params(&self) -> impl Iterator<Item = Param> + use<'a> {
        let data = self.data_if(self.kind == Kind::FuncProto);
        data.groups().map(|[name_off, type_id]| Param { name_off, type_id })
    }

    /// Returns the values of an ENUM or ENUM64.
    pub fn enumerators(&self) -> impl Iterator<Item = Enumerator> + use<'a> {
        let signed = self.kind_flag;
        let small = self.data_if(self.kind == Kind::Enum).groups();
        let small = small.map(move |[name_off, value]| {
            let extended = i64::from(value.cast_signed()).cast_unsigned();
            Enumerator { name_off, value: if signed { extended } else { u64::from(value) } }
        });
        let large = self.data_if(self.kind == Kind::Enum64).groups();
        let large =
            large.map(|[name_off, low, high]| Enumerator { name_off, value: u64::from(high) << 32 | u64::from(low) });
        small.chain(large)
    }

    /// Returns the variables of a DATASEC.
    pub fn section_vars(&self) -> impl Iterator<Item = SectionVar> + use<'a> {
        let data = self.data_if(self.kind == Kind::DataSec);
        data.groups().map(|[type_id, offset, size]| SectionVar { type_id, offset, size })
    }

    /// Returns a VAR's linkage: 0 static, 1 global, 2 extern.
    #[must_use]
    pub fn var_linkage(&self) -> Option<u32> {
        self.data_if(self.kind == Kind::Var).get(0)
    }

    /// Returns which member or parameter a DECL_TAG is about; -1 for the whole.
    #[must_use]
    pub fn component_index(&self) -> Option<i32> {
        Some(self.data_if(self.kind == Kind::DeclTag).get(0)?.cast_signed())
    }

    /// Returns a LOC_PARAM of form (iii).
    #[must_use]
    pub fn loc_param(&self) -> Option<LocParam<'a>> {
        let data = self.data_if(self.kind == Kind::LocParam && self.grammar == Grammar::Wide);
        Some(LocParam { size: self.size_or_type, flags: data.get(0)?, values: data.skip(1) })
    }

    /// Returns a LOC_PARAM of form (ii).
    #[must_use]
    pub fn old_loc_param(&self) -> Option<OldLocParam> {
        let data = self.data_if(self.kind == Kind::LocParam && self.grammar == Grammar::Narrow);
        loc::old_param(self, data)
    }

    /// Returns the LOC_PARAMs of a LOC_PROTO, 0 for what is not available.
    #[must_use]
    pub fn loc_proto(&self) -> Option<Words<'a>> {
        (self.kind == Kind::LocProto).then_some(self.data)
    }

    /// Returns the sites of a LOCSEC of form (iii).
    pub fn loc_sites(&self) -> impl Iterator<Item = LocSite> + use<'a> {
        let data = self.data_if(self.kind == Kind::LocSec && self.grammar == Grammar::Wide);
        data.groups().map(|[func, loc_proto, offset]| LocSite { func, offset, loc_proto })
    }

    /// Returns the sites of a LOCSEC of form (ii).
    pub fn old_loc_sites(&self) -> impl Iterator<Item = OldLocSite> + use<'a> {
        let data = self.data_if(self.kind == Kind::LocSec && self.grammar == Grammar::Narrow);
        let sites = data.groups();
        sites.map(|[name_off, func_proto, loc_proto, offset]| OldLocSite { name_off, func_proto, loc_proto, offset })
    }
}

fn member([name_off, type_id, offset]: [u32; 3], flag: bool) -> Member {
    let (bit_offset, bit_size) = if flag { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
    Member { name_off, type_id, bit_offset, bit_size }
}
