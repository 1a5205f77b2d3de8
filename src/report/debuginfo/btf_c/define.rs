//! Definitions one after the other, each after the forward declarations that it needs.

use super::declare::Writer;
use super::order::mentioned;
use super::{HeaderError, names};
use crate::debuginfo::btf::{Btf, CLayout, Kind, Type};
use std::io::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    // What it mentions is being declared.
    Open,
    Done,
}

enum Step {
    // A type, and the one whose definition mentions it; 0 for a definition of its own.
    Look(u32, u32),
    Typedef(u32),
    // A structure or union, and whether it is defined now.
    Body(u32, bool),
}

struct Definer<'d, 'b, 'a> {
    btf: &'b Btf<'a>,
    writer: Writer<'d, 'b, 'a>,
    states: Vec<State>,
    forward: Vec<bool>,
    steps: Vec<Step>,
}

/// Writes the definitions of the types in the queue.
pub(super) fn define(btf: &Btf<'_>, layout: &CLayout, queue: &[u32], out: &mut dyn Write) -> Result<(), HeaderError> {
    let len = btf.next_id() as usize;
    let writer = Writer::new(btf, layout, out);
    let mut definer =
        Definer { btf, writer, states: vec![State::New; len], forward: vec![false; len], steps: Vec::new() };
    for id in queue {
        definer.writer.begin(*id);
        definer.steps.push(Step::Look(*id, 0));
        while let Some(step) = definer.steps.pop() {
            definer.writer.spend(1)?;
            definer.step(step)?;
        }
    }
    definer.writer.flush()
}

impl<'a> Definer<'_, '_, 'a> {
    fn step(&mut self, step: Step) -> Result<(), HeaderError> {
        match step {
            Step::Look(id, within) => match self.btf.type_by_id(id) {
                Some(found) => self.look(&found, within),
                None => Ok(()),
            },
            Step::Typedef(id) => {
                let Some(found) = self.btf.type_by_id(id) else { return Ok(()) };
                if !self.is_forward(id) {
                    self.writer.typedef(&found)?;
                }
                self.set(id, State::Done);
                Ok(())
            }
            Step::Body(id, defined) => {
                if let Some(found) = self.btf.type_by_id(id).filter(|_| defined) {
                    self.writer.definition(&found)?;
                }
                self.set(id, if defined { State::Done } else { State::New });
                Ok(())
            }
        }
    }

    fn state(&self, id: u32) -> State {
        self.states.get(id as usize).copied().unwrap_or(State::Done)
    }

    fn set(&mut self, id: u32, state: State) {
        if let Some(slot) = self.states.get_mut(id as usize) {
            *slot = state;
        }
    }

    fn is_forward(&self, id: u32) -> bool {
        self.forward.get(id as usize).copied().unwrap_or(true)
    }

    fn set_forward(&mut self, id: u32) {
        if let Some(slot) = self.forward.get_mut(id as usize) {
            *slot = true;
        }
    }

    fn look(&mut self, found: &Type<'a>, within: u32) -> Result<(), HeaderError> {
        match self.state(found.id) {
            State::Done => return Ok(()),
            State::Open => return self.mentioned_in_itself(found, within),
            State::New => {}
        }
        let is_own = within == 0;
        match found.kind {
            Kind::Int | Kind::Float => {
                if names::number(self.btf, found.name_off).is_none() {
                    self.writer.alias(found)?;
                }
                self.set(found.id, State::Done);
            }
            Kind::Enum | Kind::Enum64 => {
                if is_own {
                    self.writer.definition(found)?;
                }
                self.set(found.id, State::Done);
            }
            Kind::Fwd => {
                self.writer.forward(found)?;
                self.set(found.id, State::Done);
            }
            Kind::Typedef => {
                self.set(found.id, State::Open);
                self.steps.push(Step::Typedef(found.id));
                self.steps.push(Step::Look(found.size_or_type, found.id));
            }
            Kind::Struct | Kind::Union => self.aggregate(found, within)?,
            _ => self.look_at_mentioned(found, within),
        }
        Ok(())
    }

    fn look_at_mentioned(&mut self, found: &Type<'a>, within: u32) {
        let start = self.steps.len();
        let mentioned = (0..).map_while(|index| mentioned(found, index));
        self.steps.extend(mentioned.map(|id| Step::Look(id, within)));
        if let Some(added) = self.steps.get_mut(start..) {
            added.reverse();
        }
    }

    // One that contains all of its members' types in its text needs these declared; otherwise its tag is enough.
    fn aggregate(&mut self, found: &Type<'a>, within: u32) -> Result<(), HeaderError> {
        let is_own = within == 0;
        if is_own || found.name_off == 0 {
            self.set(found.id, State::Open);
            self.steps.push(Step::Body(found.id, is_own));
            self.look_at_mentioned(found, if found.name_off == 0 { within } else { found.id });
        } else if !self.is_forward(found.id) && found.id != within {
            self.writer.forward(found)?;
            self.set_forward(found.id);
        }
        Ok(())
    }

    fn mentioned_in_itself(&mut self, found: &Type<'a>, within: u32) -> Result<(), HeaderError> {
        if self.is_forward(found.id) {
            return Ok(());
        }
        match found.kind {
            // In its own definition the tag is known.
            Kind::Struct | Kind::Union if found.id == within => return Ok(()),
            Kind::Struct | Kind::Union if found.name_off == 0 => {
                return Err(HeaderError::Nameless { id: found.id });
            }
            Kind::Struct | Kind::Union => self.writer.forward(found)?,
            Kind::Typedef => self.writer.typedef(found)?,
            _ => return Ok(()),
        }
        self.set_forward(found.id);
        Ok(())
    }
}
