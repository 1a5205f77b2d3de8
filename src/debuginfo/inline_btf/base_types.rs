//! Types of the base BTF, found by name and by shape, so that a type of DWARF
//! becomes the base's type where the base has it.

use crate::debuginfo::btf::{Btf, Kind, Type};
use std::collections::HashMap;

/// An index of the base's types. Empty without a base.
#[derive(Debug, Default)]
pub struct BaseTypes<'b> {
    btf: Option<Btf<'b>>,
    wrappers: HashMap<(Kind, u32), u32>,
    typedefs: HashMap<(&'b [u8], u32), u32>,
    named: HashMap<Kind, HashMap<&'b [u8], Vec<u32>>>,
    arrays: HashMap<(u32, u32), u32>,
    // Return type, parameters.
    protos: HashMap<Vec<u32>, u32>,
    index_type: Option<u32>,
}

/// More types of one name than this are not compared: a file may hold a million.
const MOST_OF_ONE_NAME: usize = 64;

impl<'b> BaseTypes<'b> {
    /// Returns the index of a base and of the bases below it.
    #[must_use]
    pub fn new(btf: &Btf<'b>) -> Self {
        let mut known = Self { btf: Some(btf.clone()), ..Self::default() };
        for found in btf.all_types() {
            known.add(btf, &found);
        }
        known
    }

    fn add(&mut self, btf: &Btf<'b>, found: &Type<'b>) {
        let name = btf.string(found.name_off).unwrap_or_default();
        match found.kind {
            Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict => {
                self.wrappers.entry((found.kind, found.size_or_type)).or_insert(found.id);
            }
            Kind::Typedef => {
                self.typedefs.entry((name, found.size_or_type)).or_insert(found.id);
                self.note(found, name);
            }
            Kind::Array => {
                if let Some(array) = found.array() {
                    self.arrays.entry((array.element, array.len)).or_insert(found.id);
                    self.index_type.get_or_insert(array.index);
                }
            }
            Kind::FuncProto => {
                let shape = std::iter::once(found.size_or_type).chain(found.params().map(|param| param.type_id));
                self.protos.entry(shape.collect()).or_insert(found.id);
            }
            Kind::Int
            | Kind::Float
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64
            | Kind::Fwd
            | Kind::Func => self.note(found, name),
            _ => {}
        }
    }

    fn note(&mut self, found: &Type<'b>, name: &'b [u8]) {
        if !name.is_empty() {
            let ids = self.named.entry(found.kind).or_default().entry(name).or_default();
            if ids.len() < MOST_OF_ONE_NAME {
                ids.push(found.id);
            }
        }
    }

    /// Returns the base itself.
    #[must_use]
    pub fn btf(&self) -> Option<&Btf<'b>> {
        self.btf.as_ref()
    }

    /// Returns a pointer to, or a qualified form of, a type.
    #[must_use]
    pub fn wrapper(&self, kind: Kind, target: u32) -> Option<u32> {
        self.wrappers.get(&(kind, target)).copied()
    }

    /// Returns a typedef of exactly this type.
    #[must_use]
    pub fn typedef(&self, name: &[u8], target: u32) -> Option<u32> {
        self.typedefs.get(&(name, target)).copied()
    }

    /// Returns all of this kind and name, in the base's order.
    #[must_use]
    pub fn named(&self, kind: Kind, name: &[u8]) -> &[u32] {
        self.named.get(&kind).and_then(|names| names.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Returns a type of this kind, name and size.
    #[must_use]
    pub fn sized(&self, kind: Kind, name: &[u8], size: u32) -> Option<u32> {
        let fits = |id: &&u32| self.type_by_id(**id).is_some_and(|found| found.size_or_type == size);
        self.named(kind, name).iter().find(fits).copied()
    }

    /// Returns an array.
    #[must_use]
    pub fn array(&self, element: u32, len: u32) -> Option<u32> {
        self.arrays.get(&(element, len)).copied()
    }

    /// The index type of arrays.
    #[must_use]
    pub fn index_type(&self) -> Option<u32> {
        self.index_type
    }

    /// Returns a prototype of this return type and these parameters.
    #[must_use]
    pub fn proto(&self, shape: &[u32]) -> Option<u32> {
        self.protos.get(shape).copied()
    }

    fn type_by_id(&self, id: u32) -> Option<Type<'b>> {
        self.btf.as_ref()?.type_by_id(id)
    }

    /// Returns the FUNC of this name whose prototype equals `params` (ids of the base;
    /// nothing for a type it does not have) and `variadic`.
    #[must_use]
    pub fn function(&self, name: &[u8], returns: Option<u32>, params: &[Option<u32>], variadic: bool) -> Option<u32> {
        let candidates = self.named(Kind::Func, name);
        candidates.iter().copied().find(|id| self.is_of_sense(*id, returns, params, variadic).unwrap_or(false))
    }

    fn is_of_sense(&self, func: u32, returns: Option<u32>, params: &[Option<u32>], variadic: bool) -> Option<bool> {
        let proto = self.type_by_id(self.type_by_id(func)?.size_or_type)?;
        if proto.kind != Kind::FuncProto {
            return None;
        }
        let mut theirs: Vec<u32> = proto.params().map(|param| param.type_id).collect();
        let is_variadic = theirs.last() == Some(&0);
        if is_variadic {
            theirs.pop();
        }
        let same = |ours: Option<u32>, theirs: u32| ours.is_some_and(|ours| self.is_same_sense(ours, theirs));
        Some(
            is_variadic == variadic
                && theirs.len() == params.len()
                && same(returns, proto.size_or_type)
                && params.iter().zip(&theirs).all(|(ours, theirs)| same(*ours, *theirs)),
        )
    }

    // The same names and kinds all the way down. Several types of one name and size
    // are one sense: which of them a file means is not always known.
    fn is_same_sense(&self, ours: u32, theirs: u32) -> bool {
        let (mut ours, mut theirs) = (ours, theirs);
        // A chain longer than this is no type of a C program.
        for _ in 0..64 {
            if ours == theirs {
                return true;
            }
            let (Some(a), Some(b)) = (self.type_by_id(ours), self.type_by_id(theirs)) else { return false };
            let name = |found: &Type<'b>| self.btf.as_ref().and_then(|btf| btf.string(found.name_off));
            if a.kind != b.kind || name(&a) != name(&b) {
                return false;
            }
            match a.kind {
                Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::Typedef => {
                    (ours, theirs) = (a.size_or_type, b.size_or_type);
                }
                Kind::Struct | Kind::Union | Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                    return a.size_or_type == b.size_or_type && name(&a).is_some_and(|name| !name.is_empty());
                }
                Kind::Fwd => return true,
                _ => return false,
            }
        }
        false
    }
}
