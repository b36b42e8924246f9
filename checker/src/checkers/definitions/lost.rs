//! The measure of lost writes: orders of what was done to one key, tried.
//!
//! Nothing is lost if for every replica some order of the acknowledged operations, and of some of those of unknown outcome, that keeps real time
//! leaves what the replica showed in the end. Of a list only which elements are there counts, and that those of acknowledged operations are there once. A register's value that some replica shows is not lost where another
//! lacks it: that is divergence, judged elsewhere. Shares nothing with the checker but the history types.

use rand::{Rng, RngExt, seq::SliceRandom as _};

use crate::action::{Action, Atom, Reading, Step};
use crate::event::{Event, Function, Kind, OpEvent, Process};
use crate::history::History;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// One value.
    Register,
    /// Elements in order.
    List,
    /// Elements.
    Set,
}

/// What was done; values are unique but for those that are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The register's value, or an element.
    Put(i64),
    /// The element goes.
    Take(i64),
    /// The register is emptied.
    Delete,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// When it was called.
    pub from: u64,
    /// When it was over.
    pub to: u64,
    /// Whether it was acknowledged; else its outcome is unknown.
    pub known: bool,
    /// What it did.
    pub deed: Deed,
}

/// The life of a key, and what each replica showed in the end.
#[derive(Clone, Debug)]
pub struct World {
    /// What the key holds.
    pub holds: Holds,
    /// What was done to it.
    pub done: Vec<Done>,
    /// Of each replica: a register's value or none; the elements.
    pub finals: Vec<Vec<i64>>,
}

impl World {
    /// A few operations and mostly sensible ends.
    pub fn drawn(rng: &mut impl Rng) -> World {
        let holds = [Holds::Register, Holds::List, Holds::Set][rng.random_range(0..3)];
        let mut done: Vec<Done> = Vec::new();
        for value in 0..rng.random_range(1..=6) {
            let from = rng.random_range(1..12);
            let known = rng.random_ratio(4, 5);
            let earlier: Vec<i64> =
                done.iter().filter_map(|it| if let Deed::Put(it) = it.deed { Some(it) } else { None }).collect();
            let deed = match holds {
                Holds::Register if rng.random_ratio(1, 6) => Deed::Delete,
                Holds::Set if !earlier.is_empty() && rng.random_ratio(1, 3) => {
                    Deed::Take(earlier[rng.random_range(0..earlier.len())])
                }
                _ => Deed::Put(value),
            };
            done.push(Done { from, to: from + 1 + rng.random_range(0..4), known, deed });
        }
        let nodes = rng.random_range(1..=3);
        let sound = rng.random_ratio(1, 2);
        let likely = World::end(holds, &World::some_order(&done, rng));
        let finals = (0..nodes)
            .map(|_| if sound || rng.random_ratio(1, 2) { likely.clone() } else { World::odd_end(holds, &done, rng) })
            .collect();
        World { holds, done, finals }
    }

    /// An order that keeps real time of what is known and some of what is not.
    fn some_order(done: &[Done], rng: &mut impl Rng) -> Vec<Deed> {
        let mut left: Vec<Done> = done.iter().copied().filter(|it| it.known || rng.random_ratio(1, 2)).collect();
        left.shuffle(rng);
        let mut order = Vec::new();
        while !left.is_empty() {
            let first = |at: &usize| left.iter().all(|other| !other.known || other.to >= left[*at].from);
            let at = (0..left.len()).find(first).unwrap_or(0);
            order.push(left.remove(at).deed);
        }
        order
    }

    fn odd_end(holds: Holds, done: &[Done], rng: &mut impl Rng) -> Vec<i64> {
        let mut values: Vec<i64> =
            done.iter().filter_map(|it| if let Deed::Put(it) = it.deed { Some(it) } else { None }).collect();
        if holds == Holds::Register {
            values.shuffle(rng);
            values.truncate(rng.random_range(0..=1));
        } else {
            values.retain(|_| rng.random_ratio(5, 6));
            if holds == Holds::List && !values.is_empty() && rng.random_ratio(1, 8) {
                values.push(values[0]);
            }
        }
        values
    }

    fn end(holds: Holds, order: &[Deed]) -> Vec<i64> {
        let mut held: Vec<i64> = Vec::new();
        for deed in order {
            match *deed {
                Deed::Put(value) => {
                    if holds == Holds::Register {
                        held.clear();
                    }
                    held.push(value);
                }
                Deed::Take(value) => held.retain(|&it| it != value),
                Deed::Delete => held.clear(),
            }
        }
        held
    }

    /// Whether every replica's end is explained. Cost: exponential; meant for six operations.
    pub fn is_explained(&self) -> bool {
        self.finals.iter().enumerate().all(|(node, shown)| {
            let elsewhere = |deed: Deed| {
                let others = self.finals.iter().enumerate().filter(|(other, _)| *other != node);
                self.holds == Holds::Register
                    && matches!(deed, Deed::Put(it) if !shown.contains(&it) && others.into_iter().any(|(_, end)| end.contains(&it)))
            };
            let done: Vec<Done> =
                self.done.iter().map(|it| Done { known: it.known && !elsewhere(it.deed), ..*it }).collect();
            let mut shown = shown.clone();
            shown.sort_unstable();
            let unknown = |value: i64| self.done.iter().any(|it| it.deed == Deed::Put(value) && !it.known);
            shown.dedup_by(|a, b| a == b && unknown(*a));
            self.leads_to(&done, &mut vec![false; done.len()], &mut Vec::new(), &shown)
        })
    }

    fn leads_to(&self, done: &[Done], placed: &mut [bool], order: &mut Vec<Deed>, shown: &[i64]) -> bool {
        if done.iter().zip(&*placed).all(|(it, &placed)| placed || !it.known) {
            let mut end = World::end(self.holds, order);
            end.sort_unstable();
            if end == shown {
                return true;
            }
        }
        (0..done.len()).any(|next| {
            // Times are those of the world itself: what was over before comes before, also if it need not be there.
            let late = |(other, &placed): (usize, &bool)| {
                placed || !done[other].known || self.done[other].to >= self.done[next].from
            };
            if placed[next] || !placed.iter().enumerate().all(late) {
                return false;
            }
            placed[next] = true;
            order.push(done[next].deed);
            let found = self.leads_to(done, placed, order, shown);
            order.pop();
            placed[next] = false;
            found
        })
    }

    /// The history of it: every operation by a process of its own, the final reads at the end.
    pub fn history(&self) -> History {
        let mut events: Vec<(u64, u8, OpEvent)> = Vec::new();
        for (number, it) in self.done.iter().enumerate() {
            let (function, action) = match (self.holds, it.deed) {
                (Holds::Register, Deed::Put(value)) => (Function::Write, Action::Write(value.into())),
                (Holds::List, Deed::Put(value)) => (Function::Append, Action::Append(value.into())),
                (Holds::Set, Deed::Put(value)) => (Function::Add, Action::Add(value.into())),
                (_, Deed::Take(value)) => (Function::Remove, Action::Remove(value.into())),
                (_, Deed::Delete) => (Function::Delete, Action::Delete),
            };
            let mut event = event(number as u64, function, action);
            events.push((it.from, 0, event.clone()));
            event.kind = if it.known { Kind::Ok } else { Kind::Info };
            events.push((it.to, 1, event));
        }
        let over = 1 + self.done.iter().map(|it| it.to).max().unwrap_or(0);
        for (node, shown) in self.finals.iter().enumerate() {
            let process = (self.done.len() + node) as u64;
            let mut event = event(process, Function::Read, Action::Read(None));
            (event.last, event.node) = (true, Some(format!("n{node}").into()));
            events.push((over, 0, event.clone()));
            let reading = match (self.holds, shown.as_slice()) {
                (Holds::Register, [value, ..]) => Reading::One((*value).into()),
                (Holds::Register, []) => Reading::Nil,
                (_, many) => Reading::Many(many.iter().map(|&value| value.into()).collect()),
            };
            event.steps[0].action = Action::Read(Some(reading));
            event.kind = Kind::Ok;
            events.push((over + 1, 1, event));
        }
        events.sort_by_key(|(time, class, event)| (*time, *class, event.process));
        let events = events
            .into_iter()
            .enumerate()
            .map(|(index, (time, _, event))| Event::Op(OpEvent { index: index as u64, time, ..event }));
        History::from_events(events).expect("each operation ends once, after it began")
    }
}

fn event(process: u64, function: Function, action: Action) -> OpEvent {
    OpEvent {
        index: 0,
        time: 0,
        intended: None,
        kind: Kind::Invoke,
        process: Process(process),
        function,
        steps: [Step { key: Atom::Int(1), action }].into_iter().collect(),
        session: None,
        user: None,
        node: None,
        version: None,
        error: None,
        last: false,
    }
}
