//! Sizes, and what is behind modifiers. Each type is resolved once.

use crate::debuginfo::btf::{Btf, Kind, pointer_size};

/// A resolved type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Bytes; nothing where it has none. Saturates.
    pub size: Option<u64>,
    /// The id behind all modifiers; 0 for void, and where there is no end.
    pub end: u32,
}

const NOTHING: Resolved = Resolved { size: None, end: 0 };

#[derive(Debug, Clone, Copy)]
enum State {
    New,
    Busy,
    Known(Resolved),
}

/// Resolves types of a file and its bases.
#[derive(Debug)]
pub(super) struct Resolver<'a, 'b> {
    btf: &'b Btf<'a>,
    states: Vec<State>,
    pointer: u64,
}

impl<'a, 'b> Resolver<'a, 'b> {
    pub fn new(btf: &'b Btf<'a>, pointer: Option<u8>) -> Self {
        let pointer = u64::from(pointer.unwrap_or_else(|| pointer_size(btf)));
        let count = usize::try_from(btf.next_id()).unwrap_or(usize::MAX);
        Self { btf, states: vec![State::New; count], pointer }
    }

    fn state(&self, id: u32) -> Option<State> {
        usize::try_from(id).ok().and_then(|index| self.states.get(index)).copied()
    }

    fn set(&mut self, id: u32, state: State) {
        if let Some(slot) = usize::try_from(id).ok().and_then(|index| self.states.get_mut(index)) {
            *slot = state;
        }
    }

    /// Returns the size of a type and what is behind its modifiers.
    pub fn resolve(&mut self, id: u32) -> Resolved {
        let mut path: Vec<u32> = Vec::new();
        let mut at = id;
        let mut found = loop {
            match self.state(at) {
                Some(State::New) => {}
                Some(State::Known(known)) => break known,
                // A circle, or no such type.
                Some(State::Busy) | None => break NOTHING,
            }
            let Some(this) = self.btf.type_by_id(at) else { break NOTHING };
            match this.kind {
                kind if kind.is_modifier() => {
                    self.set(at, State::Busy);
                    path.push(at);
                    at = this.size_or_type;
                }
                Kind::Array => {
                    self.set(at, State::Busy);
                    path.push(at);
                    at = this.array().map_or(0, |array| array.element);
                }
                _ => {
                    let known = Resolved { size: self.own_size(at), end: at };
                    self.set(at, State::Known(known));
                    break known;
                }
            }
        };
        while let Some(at) = path.pop() {
            if let Some(array) = self.btf.type_by_id(at).and_then(|this| this.array()) {
                let size = found.size.map(|size| size.saturating_mul(u64::from(array.len)));
                found = Resolved { size, end: at };
            }
            self.set(at, State::Known(found));
        }
        found
    }

    fn own_size(&self, id: u32) -> Option<u64> {
        let this = self.btf.type_by_id(id)?;
        match this.kind {
            Kind::Ptr => Some(self.pointer),
            Kind::Int | Kind::Float | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
                Some(u64::from(this.size_or_type))
            }
            _ => None,
        }
    }
}
