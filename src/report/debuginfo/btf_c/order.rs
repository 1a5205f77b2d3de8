//! The order in which a header defines types.
//!
//! A type that is contained in another comes before it; one that is only pointed at does not need to, because
//! a forward declaration is enough for it. Typedefs need what they name, unless that can be declared before it
//! is defined. Otherwise the order is that of the ids.

use super::HeaderError;
use crate::debuginfo::btf::{Btf, Kind, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// A type that is being looked at: its references are followed one by one.
struct Frame {
    id: u32,
    by_pointer: bool,
    next: usize,
    // Whether a reference so far led to a definition that this one depends on.
    depends: bool,
}

struct Orderer<'b, 'a> {
    btf: &'b Btf<'a>,
    states: Vec<State>,
    referred: Vec<bool>,
    queue: Vec<u32>,
    // Steps that are left before the file is refused.
    budget: u64,
}

/// Returns the types that are defined on their own, in order.
pub(super) fn order(btf: &Btf<'_>) -> Result<Vec<u32>, HeaderError> {
    let len = btf.next_id() as usize;
    let mut referred = vec![false; len];
    for found in btf.all_types() {
        for id in found.references() {
            if let Some(slot) = referred.get_mut(id as usize) {
                *slot = true;
            }
        }
    }
    let elements: u64 = btf.all_types().map(|found| found.data.len() as u64).sum();
    let budget = (len as u64 + elements) * 64 + (1 << 20);
    let mut orderer = Orderer { btf, states: vec![State::New; len], referred, queue: Vec::new(), budget };
    for found in btf.all_types() {
        orderer.from(found.id)?;
    }
    Ok(orderer.queue)
}

/// Returns a type that a declaration mentions, by number from 0. An array's index is not one of them.
pub(super) fn mentioned(found: &Type<'_>, index: usize) -> Option<u32> {
    let only = |id| (index == 0).then_some(id);
    match found.kind {
        Kind::Ptr => only(found.size_or_type),
        kind if kind.is_modifier() => only(found.size_or_type),
        Kind::Array => only(found.array()?.element),
        Kind::FuncProto if index == 0 => Some(found.size_or_type),
        Kind::FuncProto => found.data.group::<2>(index - 1).map(|[_, id]| id),
        _ => found.member(index).map(|member| member.type_id),
    }
}

impl Orderer<'_, '_> {
    fn from(&mut self, id: u32) -> Result<(), HeaderError> {
        let mut stack = Vec::new();
        // What the reference that was followed last comes to.
        let mut outcome = self.enter(id, false, &mut stack)?;
        while let Some(frame) = stack.last_mut() {
            self.budget = self.budget.checked_sub(1).ok_or(HeaderError::TooLarge { id })?;
            let Some(found) = self.btf.type_by_id(frame.id) else { break };
            if let Some(depends) = outcome.take() {
                frame.depends |= depends;
            }
            let pointed = match found.kind {
                Kind::Ptr => true,
                Kind::Array | Kind::Struct | Kind::Union => false,
                _ => frame.by_pointer,
            };
            let next = mentioned(&found, frame.next);
            frame.next += 1;
            match next {
                Some(to) => outcome = self.enter(to, pointed, &mut stack)?,
                None => {
                    let frame = stack.pop().expect("it was the last");
                    outcome = Some(self.leave(&found, &frame));
                }
            }
        }
        Ok(())
    }

    fn state(&mut self, id: u32) -> Option<&mut State> {
        self.states.get_mut(id as usize)
    }

    fn set(&mut self, id: u32, state: State) {
        if let Some(slot) = self.state(id) {
            *slot = state;
        }
    }

    // Returns whether a definition is depended on, if that is known without following references.
    fn enter(&mut self, id: u32, by_pointer: bool, stack: &mut Vec<Frame>) -> Result<Option<bool>, HeaderError> {
        let Some(found) = self.btf.type_by_id(id) else { return Ok(Some(true)) };
        let has_name = found.name_off != 0;
        match self.state(id) {
            Some(State::Done) => return Ok(Some(true)),
            Some(State::Open) if by_pointer && has_name && found.kind != Kind::FuncProto => return Ok(Some(false)),
            Some(State::Open) => return Err(HeaderError::Nameless { id }),
            _ => {}
        }
        match found.kind {
            Kind::Struct | Kind::Union if by_pointer && has_name => return Ok(Some(false)),
            Kind::Struct | Kind::Union | Kind::FuncProto => self.set(id, State::Open),
            Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                if has_name || !self.referred.get(id as usize).copied().unwrap_or(false) {
                    self.queue.push(id);
                }
                self.set(id, State::Done);
                return Ok(Some(true));
            }
            Kind::Ptr | Kind::Array | Kind::Typedef => {}
            kind if kind.is_modifier() => {}
            _ => {
                self.set(id, State::Done);
                return Ok(Some(false));
            }
        }
        stack.push(Frame { id, by_pointer, next: 0, depends: false });
        Ok(None)
    }

    // After all references were followed. Returns whether those that refer to it depend on a definition.
    fn leave(&mut self, found: &Type<'_>, frame: &Frame) -> bool {
        match found.kind {
            Kind::Struct | Kind::Union => {
                if found.name_off != 0 {
                    self.queue.push(found.id);
                }
                self.set(found.id, State::Done);
                true
            }
            Kind::Typedef => {
                if frame.by_pointer && !frame.depends {
                    return false;
                }
                self.queue.push(found.id);
                self.set(found.id, State::Done);
                true
            }
            Kind::Ptr => {
                self.set(found.id, State::Done);
                frame.depends
            }
            // It may be reached again, by a pointer or not.
            Kind::FuncProto => {
                self.set(found.id, State::New);
                frame.depends
            }
            _ => frame.depends,
        }
    }
}
