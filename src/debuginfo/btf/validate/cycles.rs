//! Circles that may not be: of pointers and modifiers alone, and of types that
//! contain each other. Each type is entered once; the way back is on a stack of
//! our own.

use super::{Findings, Reporter, rules, subject};
use crate::debuginfo::btf::{Btf, Kind, Type};

pub(super) fn check(btf: &Btf<'_>, findings: &mut Findings) {
    let mut reporter = Reporter { btf, findings };
    let looped = chains(btf, &mut reporter);
    containment(btf, &looped, &mut reporter);
    tags(btf, &looped, &mut reporter);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

// A place for each own type. What bases have cannot refer to it, so circles are within.
struct Marks<'a, 'b> {
    btf: &'b Btf<'a>,
    marks: Vec<Mark>,
}

impl<'a, 'b> Marks<'a, 'b> {
    fn new(btf: &'b Btf<'a>) -> Self {
        Self { btf, marks: vec![Mark::New; btf.len()] }
    }

    fn slot(&mut self, id: u32) -> Option<&mut Mark> {
        let index = usize::try_from(id.checked_sub(self.btf.first_id())?).ok()?;
        self.marks.get_mut(index)
    }

    // Nothing for what is not the file's own.
    fn of(&mut self, id: u32) -> Option<Mark> {
        self.slot(id).copied()
    }

    fn set(&mut self, id: u32, mark: Mark) {
        if let Some(slot) = self.slot(id) {
            *slot = mark;
        }
    }
}

/// Which own types are on a circle of pointers and modifiers.
struct Looped {
    first_id: u32,
    flags: Vec<bool>,
}

impl Looped {
    fn has(&self, id: u32) -> bool {
        let index = id.checked_sub(self.first_id).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.flags.get(index)) == Some(&true)
    }

    fn set(&mut self, id: u32) {
        let index = id.checked_sub(self.first_id).and_then(|index| usize::try_from(index).ok());
        if let Some(flag) = index.and_then(|index| self.flags.get_mut(index)) {
            *flag = true;
        }
    }
}

fn chains<'a>(btf: &Btf<'a>, reporter: &mut Reporter<'_, 'a, '_>) -> Looped {
    let mut looped = Looped { first_id: btf.first_id(), flags: vec![false; btf.len()] };
    let mut marks = Marks::new(btf);
    let mut path: Vec<u32> = Vec::new();
    for start in btf.types() {
        let mut next = start.id;
        loop {
            match marks.of(next) {
                Some(Mark::New) => {}
                Some(Mark::OnPath) => {
                    circle(btf, &path, next, &mut looped, reporter);
                    break;
                }
                Some(Mark::Done) | None => break,
            }
            let Some(found) = btf.type_by_id(next) else { break };
            if found.kind != Kind::Ptr && !found.kind.is_modifier() {
                break;
            }
            marks.set(next, Mark::OnPath);
            path.push(next);
            next = found.size_or_type;
        }
        for id in path.drain(..) {
            marks.set(id, Mark::Done);
        }
    }
    looped
}

fn circle<'a>(btf: &Btf<'a>, path: &[u32], at: u32, looped: &mut Looped, reporter: &mut Reporter<'_, 'a, '_>) {
    let start = path.iter().rposition(|id| *id == at).unwrap_or(0);
    let members = path.get(start..).unwrap_or_default();
    for id in members {
        looped.set(*id);
    }
    if let Some(found) = btf.type_by_id(at) {
        reporter.add(&found, &rules::CHAIN_LOOP, |_| format!("a circle of {}: {}", members.len(), shown(members)));
    }
}

fn shown(ids: &[u32]) -> String {
    let mut words: Vec<String> = ids.iter().take(8).map(|id| format!("[{id}]")).collect();
    if ids.len() > 8 {
        words.push("…".to_owned());
    }
    words.join(" -> ")
}

// The type that a type contains at this place: each member, the element, what a modifier modifies.
fn contained(found: &Type<'_>, place: usize) -> Option<u32> {
    match found.kind {
        Kind::Struct | Kind::Union => found.member(place).map(|member| member.type_id),
        Kind::Array if place == 0 => found.array().map(|array| array.element),
        kind if kind.is_modifier() && place == 0 => Some(found.size_or_type),
        _ => None,
    }
}

fn containment<'a>(btf: &Btf<'a>, looped: &Looped, reporter: &mut Reporter<'_, 'a, '_>) {
    let mut marks = Marks::new(btf);
    // A type and the place in it that is looked at next.
    let mut path: Vec<(Type<'a>, usize)> = Vec::new();
    for start in btf.types() {
        if marks.of(start.id) != Some(Mark::New) {
            continue;
        }
        marks.set(start.id, Mark::OnPath);
        path.push((start, 0));
        while let Some((found, place)) = path.last_mut() {
            let Some(inner) = contained(found, *place) else {
                marks.set(found.id, Mark::Done);
                path.pop();
                continue;
            };
            *place += 1;
            match marks.of(inner) {
                Some(Mark::New) => {
                    marks.set(inner, Mark::OnPath);
                    if let Some(inner) = btf.type_by_id(inner) {
                        path.push((inner, 0));
                    }
                }
                Some(Mark::OnPath) if !looped.has(inner) => {
                    let (found, place) = (*found, *place);
                    reporter.add(&found, &rules::CONTAINS_ITSELF, |btf| {
                        let back = btf.type_by_id(inner).map_or_else(String::new, |inner| subject(btf, &inner));
                        format!("at place {} it holds {back}, which holds it", place - 1)
                    });
                }
                _ => {}
            }
        }
    }
}

// A TYPE_TAG behind a modifier that a pointer points at.
fn tags<'a>(btf: &Btf<'a>, looped: &Looped, reporter: &mut Reporter<'_, 'a, '_>) {
    for found in btf.types() {
        let before = matches!(found.kind, Kind::Const | Kind::Volatile | Kind::Restrict);
        if !before || looped.has(found.id) {
            continue;
        }
        let inner = btf.type_by_id(found.size_or_type);
        if let Some(tag) = inner.filter(|inner| inner.kind == Kind::TypeTag && !inner.kind_flag) {
            reporter.add(&found, &rules::TAG_ORDER, |btf| format!("it modifies {}", subject(btf, &tag)));
        }
    }
}
