//! One part of one read against what it must show.

use super::{Demand, Keep, Lack, Seen, Walk};
use crate::facts::versions::covers;
use crate::facts::{Deed, NONE, Part, Shown};
use crate::history::Outcome;
use crate::meta::SetRule;
use crate::version::Version;

impl Walk<'_, '_> {
    /// Sets down what is wrong or demanded, and answers what the read has seen of the key.
    pub(super) fn judge(&mut self, at: u32, actor: usize, must: Seen) -> Seen {
        let facts = self.facts;
        let part = &facts.parts[at as usize];
        if part.shown == Shown::Skip {
            return must;
        }
        self.count(part, actor, &must);
        match self.keep {
            Keep::Top => self.judge_beginning(at, part, must),
            Keep::Latest => self.judge_register(at, part, must),
            Keep::All => match facts.keys[self.key].kind {
                crate::facts::Kind::Register => self.judge_siblings(at, part, must),
                _ => self.judge_elements(at, part, must),
            },
            Keep::Nothing => must,
        }
    }

    /// An opportunity, if something is demanded of the read.
    fn count(&mut self, part: &Part, actor: usize, must: &Seen) {
        if must.is_empty() {
            return;
        }
        self.sight.opportunities += 1;
        let before = if self.wants.monotonic_reads {
            self.last_read(actor)
        } else {
            let write = match must.top {
                0 => must.writes().last().copied(),
                top => self.facts.keys[self.key].places.get(top as usize - 1).copied(),
            };
            write.and_then(|write| self.facts.writes.get(write as usize)).map(|write| write.op)
        };
        if self.sharpness.sharp_at(part.op, before) {
            self.sight.sharp += 1;
        }
    }

    fn lack(&mut self, part: u32, missing: u32) {
        self.sight.lacks.push(Lack { part, missing });
    }

    /// A list that is a beginning of the longest one: places say everything.
    fn judge_beginning(&mut self, at: u32, part: &Part, must: Seen) -> Seen {
        let Shown::Prefix(length) = part.shown else { return must };
        if must.top > length {
            let places = &self.facts.keys[self.key].places;
            let missing = places[length as usize..must.top as usize].iter().rev().find(|&&write| write != NONE);
            if let Some(&missing) = missing {
                self.lack(at, missing);
            }
        }
        Seen::upto(must.top.max(length))
    }

    /// A register: what it returned, and before that everything it must have seen.
    fn judge_register(&mut self, at: u32, part: &Part, must: Seen) -> Seen {
        match part.shown {
            Shown::One(write) => self.judge_value(at, write, must),
            Shown::Nil => {
                if must.is_empty() {
                    return must;
                }
                let completed = self.facts.history.ops[part.op as usize].completed;
                let deletes = &self.facts.keys[self.key].deletes;
                let invoked = deletes.partition_point(|&write| self.facts.writes[write as usize].invoked <= completed);
                let candidates = deletes[..invoked].to_vec();
                self.judge_candidates(at, &candidates, must)
            }
            Shown::AnyOf(first) => {
                let completed = self.facts.history.ops[part.op as usize].completed;
                let candidates: Vec<u32> = self
                    .facts
                    .writers(first)
                    .filter(|&write| {
                        let write = &self.facts.writes[write as usize];
                        write.outcome != Outcome::Fail && write.invoked <= completed
                    })
                    .collect();
                self.judge_candidates(at, &candidates, must)
            }
            _ => must,
        }
    }

    fn judge_value(&mut self, at: u32, write: u32, must: Seen) -> Seen {
        let mut seen = Seen::one(write);
        let mut lacks = None;
        for &other in must.writes() {
            if other == write || self.known_before(other, write) {
                continue;
            }
            if self.known_before(write, other) {
                lacks = Some(other);
                seen.insert(other);
            } else {
                self.sight.demands.push(Demand { part: at, from: other, to: write });
            }
        }
        if let Some(missing) = lacks {
            self.lack(at, missing);
        }
        seen
    }

    /// A read that one of several writes may explain: nil after a delete, or a value written twice.
    fn judge_candidates(&mut self, at: u32, candidates: &[u32], must: Seen) -> Seen {
        let real = self.facts.writes.len() as u32;
        let fits = |&candidate: &u32| must.writes().iter().all(|&other| !self.known_before(candidate, other));
        if !candidates.iter().rev().any(fits) {
            if let Some(&missing) = must.writes().iter().rev().find(|&&write| write < real) {
                self.lack(at, missing);
            }
            return must;
        }
        let nil = self.facts.parts[at as usize].shown == Shown::Nil;
        let explained =
            |write: &u32| candidates.contains(write) || (nil && *write >= real && self.stands_for_nil(*write));
        let (mut kept, earlier): (Vec<u32>, Vec<u32>) = must.writes().iter().copied().partition(explained);
        if nil && earlier.is_empty() {
            return must;
        }
        let stand_in = real + self.sight.stand_ins.len() as u32;
        self.sight.stand_ins.push(at);
        for from in earlier {
            self.sight.demands.push(Demand { part: at, from, to: stand_in });
        }
        kept.push(stand_in);
        Seen::of(kept)
    }

    fn stands_for_nil(&self, stand_in: u32) -> bool {
        let part = self.sight.stand_ins[stand_in as usize - self.facts.writes.len()];
        self.facts.parts[part as usize].shown == Shown::Nil
    }

    /// A register whose versions are vectors, or that showed siblings.
    fn judge_siblings(&mut self, at: u32, part: &Part, must: Seen) -> Seen {
        let facts = self.facts;
        let real = facts.writes.len() as u32;
        let version = facts.history.ops[part.op as usize].version.as_ref();
        let vector = version.filter(|version| matches!(version, Version::Vector { .. }));
        let shown = facts.shown_by(part);
        let single = if let Shown::One(write) = part.shown { Some(write) } else { None };
        let mut missing = None;
        for &write in must.writes().iter().filter(|&&write| write < real && !shown.contains(&write)) {
            match (vector, facts.writes[write as usize].dot) {
                (Some(vector), Some(dot)) if covers(facts, vector, dot) => {}
                (Some(_), Some(_)) => missing = Some(write),
                _ if part.shown == Shown::Nil => {
                    let completed = facts.history.ops[part.op as usize].completed;
                    let deletes = &facts.keys[self.key].deletes;
                    if !deletes.iter().any(|&delete| facts.writes[delete as usize].invoked <= completed) {
                        missing = Some(write);
                    }
                }
                _ => {
                    if let Some(to) = single {
                        self.sight.demands.push(Demand { part: at, from: write, to });
                    }
                }
            }
        }
        if let Some(missing) = missing {
            self.lack(at, missing);
        }
        let mut seen = must;
        shown.iter().for_each(|&write| seen.insert(write));
        seen
    }

    /// A set, or a list that is not always a beginning of the longest one.
    fn judge_elements(&mut self, at: u32, part: &Part, must: Seen) -> Seen {
        let facts = self.facts;
        let mut shown: Vec<u32> = facts.shown_by(part).iter().copied().filter(|&write| write != NONE).collect();
        shown.sort_unstable();
        let mut missing = None;
        for &write in must.writes() {
            let absent = shown.binary_search(&write).is_err();
            match facts.writes[write as usize].deed {
                Deed::Add if absent && !self.removable(part, write) => missing = Some(write),
                Deed::Append if absent => missing = Some(write),
                Deed::Remove if self.remove_ignored(at, write, &shown) => missing = Some(write),
                _ => {}
            }
        }
        if let Some(missing) = missing {
            self.lack(at, missing);
        }
        let shown = Seen::of(shown);
        let mut seen = must;
        seen.join(&shown);
        seen
    }

    /// Whether some remove may explain that an added element is absent.
    fn removable(&self, part: &Part, add: u32) -> bool {
        let completed = self.facts.history.ops[part.op as usize].completed;
        let sole = self.facts.sole(add);
        self.facts.removes.get(&add).is_some_and(|removes| {
            removes.iter().any(|&remove| {
                self.facts.writes[remove as usize].invoked <= completed && !(sole && self.known_before(remove, add))
            })
        })
    }

    /// Whether a shown element should have been taken away by a remove that the read must have seen.
    fn remove_ignored(&mut self, at: u32, remove: u32, shown: &[u32]) -> bool {
        let Some(&add) = self.facts.removed.get(&remove) else { return false };
        if shown.binary_search(&add).is_err() || !self.facts.sole(add) {
            return false;
        }
        let rule = self.facts.history.meta.as_ref().map(|meta| meta.set_rule).unwrap_or_default();
        let (added, removed) = (&self.facts.writes[add as usize], &self.facts.writes[remove as usize]);
        match rule {
            SetRule::RemoveWins => added.acked < removed.invoked,
            SetRule::ObservedRemove => false,
            SetRule::ByOrder => {
                let ignored = self.known_before(add, remove);
                if !ignored && !self.known_before(remove, add) {
                    self.sight.demands.push(Demand { part: at, from: remove, to: add });
                }
                ignored
            }
        }
    }
}
