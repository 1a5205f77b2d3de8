//! Sizes and alignments of types as a C compiler lays them out, and what a declaration needs so that its members
//! get the offsets that BTF records: `packed`, `aligned`, padding.

use super::{Btf, Kind, Member, Type};

/// How a type is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laid {
    /// Bytes; 0 for what has no size.
    pub size: u64,
    /// Bytes, a power of two.
    pub align: u64,
    /// The declaration needs `packed`.
    pub packed: bool,
    /// The declaration needs `aligned` with this number of bytes.
    pub aligned: Option<u64>,
}

impl Laid {
    const NONE: Self = Self { size: 0, align: 1, packed: false, aligned: None };

    fn plain(size: u64, align: u64) -> Self {
        Self { size, align, packed: false, aligned: None }
    }
}

/// The layouts of all types of a file and its bases.
#[derive(Debug)]
pub struct CLayout {
    laid: Vec<Option<Laid>>,
    pointer: u64,
}

impl CLayout {
    /// Lays out all types. The file must be valid: a type that contains itself has no layout.
    #[must_use]
    pub fn new(btf: &Btf<'_>, pointer: u8) -> Self {
        let mut layout = Self { laid: vec![None; btf.next_id() as usize], pointer: u64::from(pointer) };
        for found in btf.all_types() {
            layout.lay_out(btf, found.id);
        }
        layout
    }

    /// Returns the layout of a type.
    #[must_use]
    pub fn of(&self, id: u32) -> Laid {
        self.laid.get(id as usize).copied().flatten().unwrap_or(Laid::NONE)
    }

    /// Returns bytes of a pointer.
    #[must_use]
    pub fn pointer(&self) -> u64 {
        self.pointer
    }

    fn known(&self, id: u32) -> bool {
        // Nothing is known of void and of ids that do not exist, and nothing will be.
        self.laid.get(id as usize).is_none_or(|laid| laid.is_some()) || id == 0
    }

    // Depth first: what a type contains is laid out before it.
    fn lay_out(&mut self, btf: &Btf<'_>, id: u32) {
        let mut open = vec![(id, false)];
        while let Some((id, entered)) = open.pop() {
            let Some(found) = btf.type_by_id(id).filter(|_| !self.known(id)) else { continue };
            if !entered {
                open.push((id, true));
                open.extend(contained(&found).filter(|id| !self.known(*id)).map(|id| (id, false)));
                // A type that contains itself would come here again and again.
                if open.len() > self.laid.len().saturating_mul(4) + (1 << 20) {
                    return;
                }
                continue;
            }
            let laid = self.lay(&found);
            if let Some(slot) = self.laid.get_mut(id as usize) {
                *slot = Some(laid);
            }
        }
    }

    fn lay(&self, found: &Type<'_>) -> Laid {
        let size = u64::from(found.size_or_type);
        // A type of 16 bytes has that alignment on 64-bit machines; on others a word is the rule.
        let number = |size: u64| {
            let most = if self.pointer == 8 { 16 } else { self.pointer };
            Laid::plain(size, size.max(1).next_power_of_two().min(most))
        };
        match found.kind {
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => number(size),
            Kind::Ptr => number(self.pointer),
            Kind::Array => found.array().map_or(Laid::NONE, |array| {
                let element = self.of(array.element);
                Laid::plain(element.size.saturating_mul(u64::from(array.len)), element.align)
            }),
            Kind::Struct => self.structure(found, size),
            Kind::Union => self.union(found, size),
            kind if kind.is_modifier() => {
                let of = self.of(found.size_or_type);
                Laid::plain(of.size, of.align)
            }
            _ => Laid::NONE,
        }
    }

    fn structure(&self, found: &Type<'_>, size: u64) -> Laid {
        let align = found.members().map(|member| self.of(member.type_id).align).max().unwrap_or(1);
        let packed = !size.is_multiple_of(align) || found.members().any(|member| self.is_misplaced(&member));
        Laid { size, align: if packed { 1 } else { align }, packed, aligned: None }
    }

    // Whether a compiler would put the member elsewhere, whatever comes before it.
    fn is_misplaced(&self, member: &Member) -> bool {
        let of = self.of(member.type_id);
        let at = u64::from(member.bit_offset);
        match u64::from(member.bit_size) {
            0 => !at.is_multiple_of(of.align * 8),
            // A bit field does not cross the boundary of a unit of its type.
            bits => of.size > 0 && at % (of.size * 8) + bits > of.size * 8,
        }
    }

    fn union(&self, found: &Type<'_>, size: u64) -> Laid {
        let align = found.members().map(|member| self.of(member.type_id).align).max().unwrap_or(1);
        if !size.is_multiple_of(align) {
            return Laid { size, align: 1, packed: true, aligned: None };
        }
        let widest = found.members().map(|member| match member.bit_size {
            0 => self.of(member.type_id).size,
            bits => u64::from(bits).div_ceil(8),
        });
        let widest = widest.max().unwrap_or(0);
        if widest.next_multiple_of(align) == size {
            return Laid::plain(size, align);
        }
        let larger = (1..=30).map(|shift| 1_u64 << shift).find(|align| widest.max(1).next_multiple_of(*align) == size);
        match larger {
            Some(larger) => Laid { size, align: larger.max(align), packed: false, aligned: Some(larger) },
            None => Laid::plain(size, align),
        }
    }

    /// Returns where a compiler puts a member that follows one that ends at bit `end`.
    #[must_use]
    pub fn natural(&self, end: u64, member: &Member, packed: bool) -> u64 {
        let of = self.of(member.type_id);
        match (u64::from(member.bit_size), packed) {
            (0, true) => end.next_multiple_of(8),
            (0, false) => end.next_multiple_of(of.align * 8),
            (_, true) => end,
            (bits, false) => {
                let unit = (of.size * 8).max(1);
                if end % unit + bits > unit { end.next_multiple_of(unit) } else { end }
            }
        }
    }

    /// Returns the bit after a member.
    #[must_use]
    pub fn end(&self, member: &Member) -> u64 {
        let bits = match u64::from(member.bit_size) {
            0 => self.of(member.type_id).size.saturating_mul(8),
            bits => bits,
        };
        u64::from(member.bit_offset).saturating_add(bits)
    }
}

// The types whose layouts a type's layout depends on.
fn contained<'a>(found: &Type<'a>) -> impl Iterator<Item = u32> + use<'a> {
    let one = match found.kind {
        Kind::Array => found.array().map(|array| array.element),
        kind if kind.is_modifier() => Some(found.size_or_type),
        _ => None,
    };
    one.into_iter().chain(found.members().map(|member| member.type_id))
}

/// Returns the bytes of a pointer, which BTF does not record: those of `long`, as in every kernel, else 8.
#[must_use]
pub fn pointer_size(btf: &Btf<'_>) -> u8 {
    let long = btf.all_types().find(|found| {
        found.kind == Kind::Int
            && matches!(btf.name(found.name_off), Some(b"long" | b"long int" | b"long unsigned int" | b"unsigned long"))
    });
    long.and_then(|found| u8::try_from(found.size_or_type).ok()).filter(|size| matches!(size, 4 | 8)).unwrap_or(8)
}
