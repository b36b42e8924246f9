//! Violations of session guarantees in words.

use super::known;
use super::provenance::{self, Stop};
use crate::circles::{Circle, KNOWN};
use crate::facts::{self, Facts, NONE, Shown};
use crate::finding::Anomaly;
use crate::proof::{self, Part, acknowledged, did, from_node, got, key_name, seconds, sentence, who};
use crate::visibility::{Actors, Keep, Lack, Sight, Wants, keep};

/// When a circle was seen: at the completion of the read that closes it.
pub(super) fn time_of(facts: &Facts, circle: &Circle) -> u64 {
    let op = &facts.history.ops[op_of(facts, circle) as usize];
    if op.completed == u64::MAX { op.invoked } else { op.completed }
}

/// The operation at which a circle is located: the read that closes it, or else the latest write in it.
pub(super) fn op_of(facts: &Facts, circle: &Circle) -> u32 {
    match circle.part {
        Some(part) => facts.parts[part as usize].op,
        None => {
            let real = |write: &u32| (*write as usize) < facts.writes.len();
            let writes = circle.path.iter().map(|arrow| arrow.to).chain([circle.to]).filter(real);
            writes.map(|write| facts.writes[write as usize].op).max().unwrap_or(0)
        }
    }
}

/// Everything that a sentence needs.
pub(super) struct Telling<'a, 'h> {
    pub(super) facts: &'a Facts<'h>,
    pub(super) wants: Wants,
    pub(super) actors: Actors<'a>,
    pub(super) name: &'static str,
    pub(super) sight: &'a Sight,
}

impl Telling<'_, '_> {
    /// A read that lacks something, or returned something older.
    pub(super) fn lack(&self, lack: &Lack, time: u64) -> Anomaly {
        let facts = self.facts;
        let part = &facts.parts[lack.part as usize];
        let proves = |write: u32| write == lack.missing || self.proves(part, write);
        let chain = provenance::chain(facts, self.wants, self.actors, lack.part, proves);
        let missing = match chain.first() {
            Some(Stop::Write(write)) => *write,
            _ => lack.missing,
        };
        let read = &facts.history.ops[part.op as usize];
        let seen = got(facts.reading(part));
        let key = key_name(facts, part.key);
        let finish = format!(
            "at {} {} read {key}{} and got {seen}",
            seconds(read.completed),
            self.again(&chain, part.op),
            from_node(read)
        );
        let story = self.story(&chain, missing);
        let older = match part.shown {
            Shown::One(_) => ", which is older",
            _ => "",
        };
        let text = format!("{}; {finish}{older}.", sentence(&story));
        let mut parts = vec![Part { op: part.op, role: "stale read" }];
        parts.extend(self.stops(&chain, missing, part.op));
        let mut edges = self.reasons(&chain);
        let missing = facts.writes.get(missing as usize).map_or(part.op, |write| write.op);
        edges.push((missing, part.op, self.must()));
        if let Shown::One(write) = part.shown {
            let returned = facts.writes[write as usize].op;
            parts.push(Part { op: returned, role: "what the read returned" });
            edges.push((returned, missing, format!("counts before it ({})", self.order(part.key))));
        }
        proof::anomaly(facts.history, self.name, text, Some(key), &parts, &edges, time)
    }

    /// Whether the read is wrong if it must have seen that write, whatever else it must have seen: of several such the nearest proves it best.
    fn proves(&self, part: &facts::Part, write: u32) -> bool {
        let facts = self.facts;
        let (entry, key) = (&facts.writes[write as usize], &facts.keys[part.key as usize]);
        if entry.key != part.key {
            return false;
        }
        match (keep(facts, part.key as usize), &part.shown) {
            (Keep::Latest, Shown::One(shown)) => facts.before(*shown, write),
            (Keep::Latest, Shown::Nil) => key.deletes.is_empty(),
            (Keep::Top, Shown::Prefix(length)) => entry.place != NONE && entry.place >= *length,
            _ => false,
        }
    }

    /// The same session reading again, or who else reads.
    fn again(&self, chain: &[Stop], op: u32) -> String {
        let first = match chain.iter().rev().nth(1) {
            Some(Stop::Read(read)) => Some(self.facts.reads[*read as usize].op),
            Some(Stop::Write(write)) => Some(self.facts.writes[*write as usize].op),
            None => None,
        };
        let ops = &self.facts.history.ops;
        match first {
            Some(first) if ops[first as usize].session == ops[op as usize].session => "the same session".to_string(),
            _ => who(&ops[op as usize]),
        }
    }

    /// The chain without the read at its end.
    fn story(&self, chain: &[Stop], missing: u32) -> String {
        if chain.len() < 2 {
            return self.wrote(missing);
        }
        let all_own = chain.len() == 3 && matches!(chain[1], Stop::Read(_));
        let told: Vec<String> = chain[..chain.len() - 1]
            .iter()
            .skip(usize::from(all_own))
            .map(|stop| match stop {
                Stop::Write(write) => self.wrote(*write),
                Stop::Read(read) => self.read(*read),
            })
            .collect();
        told.join("; then ")
    }

    fn wrote(&self, write: u32) -> String {
        if write as usize >= self.facts.writes.len() {
            return "an earlier read had shown it deleted, or with a value that several writes wrote".to_string();
        }
        let op = self.facts.op_of(write);
        let step = &op.steps[self.facts.writes[write as usize].step as usize];
        format!("{} {} {}", who(op), did(&step.action, &step.key), acknowledged(op))
    }

    fn read(&self, read: u32) -> String {
        let entry = &self.facts.reads[read as usize];
        let op = &self.facts.history.ops[entry.op as usize];
        let told: Vec<String> = self
            .facts
            .parts_of(entry)
            .iter()
            .map(|part| format!("{} = {}", key_name(self.facts, part.key), got(self.facts.reading(part))))
            .collect();
        format!("{} read {}{} at {}", who(op), told.join(", "), from_node(op), seconds(op.completed))
    }

    fn stops(&self, chain: &[Stop], missing: u32, read: u32) -> Vec<Part> {
        let real = (missing as usize) < self.facts.writes.len();
        if chain.is_empty() && real {
            return vec![Part { op: self.facts.writes[missing as usize].op, role: "write that is missing" }];
        }
        chain
            .iter()
            .map(|stop| match stop {
                Stop::Write(write) => Part {
                    op: self.facts.writes[*write as usize].op,
                    role: if *write == missing { "write that is missing" } else { "write that was seen" },
                },
                Stop::Read(read) => Part { op: self.facts.reads[*read as usize].op, role: "earlier read" },
            })
            .filter(|part| part.op != read)
            .collect()
    }

    fn reasons(&self, chain: &[Stop]) -> Vec<(u32, u32, String)> {
        let op = |stop: Stop| match stop {
            Stop::Write(write) => self.facts.writes[write as usize].op,
            Stop::Read(read) => self.facts.reads[read as usize].op,
        };
        let why = |a: Stop, b: Stop| match (a, b) {
            (Stop::Write(write), Stop::Read(read)) if self.shows(read, write) => "the read shows it",
            (Stop::Write(_), Stop::Read(_)) => "the same session had it acknowledged before it read",
            (Stop::Write(_), Stop::Write(_)) => "the same session had it acknowledged before it wrote again",
            (Stop::Read(_), Stop::Write(_)) => "the same session had read this before it wrote",
            (Stop::Read(_), Stop::Read(_)) => "the same session had read this before",
        };
        chain.windows(2).map(|pair| (op(pair[0]), op(pair[1]), why(pair[0], pair[1]).to_string())).collect()
    }

    fn shows(&self, read: u32, write: u32) -> bool {
        self.facts
            .parts_of(&self.facts.reads[read as usize])
            .iter()
            .any(|part| self.facts.shown_by(part).contains(&write))
    }

    fn must(&self) -> String {
        match self.name {
            "read-your-writes" => "its own session's read must see it",
            "read-your-writes-user" => "every device of its user must see it from then on",
            "monotonic-reads" => "a later read of the session must still see it",
            "monotonic-reads-user" => "a later read of the user must still see it",
            "monotonic-writes" => "whoever sees the later write must see the earlier one",
            "writes-follow-reads" => "whoever sees a write must see what its author had read",
            _ => "the read must see it",
        }
        .to_string()
    }

    fn order(&self, key: u32) -> &'static str {
        match self.facts.keys[key as usize].order {
            crate::facts::Order::Reported => "by the versions that the database reported",
            crate::facts::Order::RealTime => "it was acknowledged before the other was sent, and one leader decides",
            crate::facts::Order::Observed => "as the lists show",
            crate::facts::Order::Unknown => "as other reads of the same session show",
        }
    }

    /// Reads that can only be right if a write counts before itself.
    pub(super) fn circle(&self, circle: &Circle, time: u64) -> Anomaly {
        let facts = self.facts;
        let mut parts = Vec::new();
        let mut edges = Vec::new();
        let mut told = Vec::new();
        let mut key = None;
        if let Some(part) = circle.part {
            let entry = &facts.parts[part as usize];
            let op = &facts.history.ops[entry.op as usize];
            key = Some(key_name(facts, entry.key));
            parts.push(Part { op: entry.op, role: "read that closes the circle" });
            let after = if (circle.from as usize) < facts.writes.len() {
                format!(", after {}", self.written(circle.from))
            } else {
                String::new()
            };
            told.push(format!(
                "at {} {} read {}{} and got {}{after}",
                seconds(op.completed),
                who(op),
                key_name(facts, entry.key),
                from_node(op),
                got(facts.reading(entry))
            ));
        }
        for arrow in &circle.path {
            self.arrow(arrow, &mut parts, &mut edges, &mut told);
        }
        for write in [circle.from, circle.to] {
            if let Some(entry) = facts.writes.get(write as usize) {
                parts.push(Part { op: entry.op, role: "write" });
            }
        }
        if let (Some(from), Some(to)) = (facts.writes.get(circle.from as usize), facts.writes.get(circle.to as usize)) {
            edges.push((from.op, to.op, "the read that returned the second must have seen the first".to_string()));
        }
        told.truncate(4);
        let text = format!("{}: no order of the writes explains that.", sentence(&told.join("; ")));
        proof::anomaly(facts.history, self.name, text, key, &parts, &edges, time)
    }

    fn written(&self, write: u32) -> String {
        let op = self.facts.op_of(write);
        let step = &op.steps[self.facts.writes[write as usize].step as usize];
        format!("{} {}", who(op), did(&step.action, &step.key))
    }

    fn arrow(
        &self,
        arrow: &crate::graph::Arrow,
        parts: &mut Vec<Part>,
        edges: &mut Vec<(u32, u32, String)>,
        told: &mut Vec<String>,
    ) {
        let facts = self.facts;
        let op = |write: u32| facts.writes.get(write as usize).map_or(NONE, |write| write.op);
        let why = match arrow.tag {
            known::REPORTED => "counts before it by the versions that the database reported",
            known::REAL_TIME => "was acknowledged before the other was sent, and one leader decides",
            known::LISTED => "stands before it in a list",
            known::WROTE => "the same session had it acknowledged before it wrote again",
            known::READ => "was seen before the other was written",
            _ => "a read that had to see the first returned the second",
        };
        if arrow.tag < KNOWN {
            let part = &facts.parts[self.sight.demands[arrow.tag as usize].part as usize];
            let read = &facts.history.ops[part.op as usize];
            parts.push(Part { op: part.op, role: "earlier read" });
            let (key, seen) = (key_name(facts, part.key), got(facts.reading(part)));
            told.push(format!(
                "at {} {} read {key}{} and got {seen}",
                seconds(read.completed),
                who(read),
                from_node(read)
            ));
        } else if op(arrow.to) != NONE {
            told.push(format!("{} {}", self.wrote(arrow.to), why_short(arrow.tag)));
        }
        for write in [arrow.from, arrow.to] {
            if op(write) != NONE {
                parts.push(Part { op: op(write), role: "write" });
            }
        }
        if op(arrow.from) != NONE && op(arrow.to) != NONE {
            edges.push((op(arrow.from), op(arrow.to), why.to_string()));
        }
    }
}

fn why_short(tag: u32) -> &'static str {
    match tag {
        known::REPORTED => "with a later version",
        known::REAL_TIME => "afterwards",
        known::LISTED => "later in the list",
        known::WROTE => "after its own earlier write",
        _ => "after having seen that",
    }
}
