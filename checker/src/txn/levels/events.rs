//! Serializable, snapshot isolation and prefix as one question: an order of events.
//!
//! Under serializability a transaction is one event. Under prefix and snapshot isolation one that reads and writes is two, a beginning, where it
//! reads what has been committed, and a commit (Biswas & Enea, OOPSLA 2019, section 5, split transactions so to reduce snapshot isolation to
//! serializability); one that does only one of both is one event without loss.
//!
//! Of each key, a version with its readers is a *block*: no other version may be committed between its commit and its last reader. Under
//! serializability and snapshot isolation a transaction that reads a version and writes the next belongs to the block of what it read, so chains of
//! updates are one block. What is left to find is the order of the blocks of each key. Lists show it, but for appends that nobody saw; those come last, and
//! only snapshot isolation cares in which order. "All readers of this" is a virtual node, so there is no product of readers and writers.

use crate::history::Outcome;
use crate::txn::levels::facts::Facts;
use crate::txn::levels::precedence::{Precedence, Successors, shortest};
use crate::txn::levels::proof::{INITIAL, Link, Proof, Why};
use crate::txn::levels::{Level, Within};
use crate::txn::transactions::{NOBODY, Shape};

/// What stands between the first commit of a version, or of a chain of updates, and the last reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) key: u32,
    /// Where the transaction that commits first begins.
    pub(crate) begin: u32,
    /// The first commit.
    pub(crate) head: u32,
    /// The last commit.
    pub(crate) tail: u32,
    /// All readers of the last version; the last commit if there are none.
    pub(crate) last: u32,
}

/// One event before another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) why: Why,
}

/// The question.
pub(crate) struct Events<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) level: Level,
    begin: Vec<u32>,
    commit: Vec<u32>,
    /// The transaction of each event; virtual nodes have larger numbers.
    pub(crate) txn: Vec<u32>,
    /// Events and virtual nodes.
    pub(crate) nodes: u32,
    /// Virtual nodes below this number are completions in real time, those above stand for readers.
    pub(crate) completions_end: u32,
    /// Whether what a process does is in order.
    pub(crate) sessions: bool,
    /// How many processes there are.
    pub(crate) processes: usize,
    /// Up to so many nodes, who reaches whom is kept as a matrix.
    pub(crate) few: usize,
    pub(crate) edges: Vec<Edge>,
    /// Key by key; those of one key must be ordered.
    pub(crate) blocks: Vec<Block>,
    /// Where each key's blocks begin.
    pub(crate) key_first: Vec<u32>,
}

impl<'a> Events<'a> {
    /// An error if two transactions update one version, or one updates two.
    pub(crate) fn of(facts: &'a Facts<'a>, level: Level, within: Within) -> Result<Events<'a>, Proof> {
        let mut events = Events {
            facts,
            level,
            begin: Vec::new(),
            commit: Vec::new(),
            txn: Vec::new(),
            nodes: 0,
            completions_end: 0,
            sessions: within != Within::Nothing,
            processes: 0,
            few: 8_000,
            edges: Vec::new(),
            blocks: Vec::new(),
            key_first: Vec::new(),
        };
        events.number();
        events.asked(&Precedence::of(facts, within));
        match facts.txns.shape {
            Shape::Registers => events.registers()?,
            Shape::Lists => events.lists(),
        }
        Ok(events)
    }

    fn number(&mut self) {
        for t in 0..self.facts.txns.len() as u32 {
            let split = self.level != Level::Serializable
                && !self.facts.reads(t).is_empty()
                && !self.facts.writes(t).is_empty();
            if !self.facts.counts[t as usize] {
                self.begin.push(NOBODY);
                self.commit.push(NOBODY);
                continue;
            }
            self.begin.push(self.txn.len() as u32);
            self.txn.push(t);
            if split {
                self.edges.push(Edge { from: self.txn.len() as u32 - 1, to: self.txn.len() as u32, why: Why::Session });
                self.txn.push(t);
            }
            self.commit.push(self.txn.len() as u32 - 1);
        }
        self.nodes = self.txn.len() as u32;
    }

    fn edge(&mut self, from: u32, to: u32, why: Why) {
        if from != to {
            self.edges.push(Edge { from, to, why });
        }
    }

    fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    fn asked(&mut self, precedence: &Precedence) {
        let n = self.facts.txns.len() as u32;
        let first = self.nodes;
        self.nodes += precedence.nodes() as u32 - n;
        self.completions_end = self.nodes;
        self.processes = precedence.processes();
        precedence.each_asked(&mut |from, to| {
            let why =
                if from.max(to) < n { precedence.asked(from, to).unwrap_or(Why::RealTime) } else { Why::RealTime };
            let from = if from < n { self.commit[from as usize] } else { first + from - n };
            let to = if to < n { self.begin[to as usize] } else { first + to - n };
            self.edges.push(Edge { from, to, why });
        });
        for t in 0..n {
            for read in self.facts.reads(t).iter().filter(|read| read.from != INITIAL) {
                let (from, to) = (self.commit[read.from as usize], self.begin[t as usize]);
                self.edges.push(Edge { from, to, why: Why::ReadsFrom { key: read.key } });
            }
        }
    }

    /// What comes between two blocks of a key if the first is before the second.
    pub(crate) fn between(&self, first: Block, second: Block, mut visit: impl FnMut(u32, u32)) {
        let isolated = self.level == Level::SnapshotIsolation;
        // Without readers, that one commits before the other begins says all.
        if first.last != second.head && !(isolated && first.last == first.tail) {
            visit(first.last, second.head);
        }
        if isolated && first.tail != second.begin {
            visit(first.tail, second.begin);
        }
    }

    fn registers(&mut self) -> Result<(), Proof> {
        let versions = Versions::of(self)?;
        let keys = self.facts.txns.keys.len();
        let mut next_block = 0;
        for key in 0..keys as u32 {
            self.key_first.push(self.blocks.len() as u32);
            let initial = versions.block(self, INITIAL, key);
            for &writer in self.facts.writers(key) {
                if versions.is_update(self, writer, key) {
                    continue;
                }
                let block = versions.block(self, writer, key).expect("a version has a commit");
                if let Some(initial) = initial {
                    // Readers of the initial state, or of the last in a chain of updates of it.
                    let updated = initial.tail != NOBODY;
                    let source = if updated { self.txn[initial.tail as usize] } else { INITIAL };
                    let why = match initial.last == initial.tail {
                        // The update itself read the initial state, or another update did.
                        true => Why::Updates { first: INITIAL, key },
                        false => Why::Overwritten { source, key },
                    };
                    self.edge(initial.last, block.head, why);
                    if self.level == Level::SnapshotIsolation && initial.tail != NOBODY {
                        self.edge(initial.tail, block.begin, Why::Conflict { key });
                    }
                }
                self.blocks.push(block);
            }
            // One alone needs no order.
            if self.blocks.len() == next_block + 1 {
                self.blocks.pop();
            }
            next_block = self.blocks.len();
        }
        self.key_first.push(self.blocks.len() as u32);
        Ok(())
    }

    fn lists(&mut self) {
        let serializable = self.level == Level::Serializable;
        let facts = self.facts;
        let keys = facts.txns.keys.len();
        // The next writer in each key's order after a writer, and the hidden ones of each key.
        let mut next: crate::intern::FastMap<(u32, u32), u32> = Default::default();
        let mut hidden: Vec<Vec<u32>> = vec![Vec::new(); keys];
        let mut first = vec![INITIAL; keys];
        let mut last = vec![INITIAL; keys];
        for key in 0..keys as u32 {
            for &version in facts.txns.order(key) {
                let writer = facts.txns.writer[version as usize];
                let before = std::mem::replace(&mut last[key as usize], writer);
                if before == INITIAL {
                    first[key as usize] = writer;
                } else if before != writer {
                    next.insert((before, key), writer);
                }
            }
        }
        facts.each_order(|key, from, to| {
            let shown = next.get(&(from, key)) == Some(&to);
            if !shown && last[key as usize] == from {
                hidden[key as usize].push(to);
            }
            let target = if self.level == Level::SnapshotIsolation { &self.begin } else { &self.commit };
            let (from, to) = (self.commit[from as usize], target[to as usize]);
            self.edges.push(Edge { from, to, why: Why::Order { key } });
        });
        for key in 0..keys {
            if last[key] == INITIAL {
                hidden[key] = facts.writers(key as u32).to_vec();
            }
        }
        let all: Vec<u32> = hidden.iter().map(|hidden| if hidden.is_empty() { NOBODY } else { self.node() }).collect();
        let mut updates = vec![NOBODY; keys];
        for t in 0..facts.txns.len() as u32 {
            for read in facts.reads(t) {
                let (key, from) = (read.key, self.begin[t as usize]);
                let why = Why::Overwritten { source: read.from, key };
                if read.from != last[key as usize] {
                    let after = if read.from == INITIAL { first[key as usize] } else { next[&(read.from, key)] };
                    self.edge(from, self.commit[after as usize], why);
                    continue;
                }
                let node = all[key as usize];
                if node == NOBODY {
                    continue;
                }
                if serializable && hidden[key as usize].binary_search(&t).is_ok() {
                    let update = std::mem::replace(&mut updates[key as usize], t);
                    if update == NOBODY {
                        for &other in &hidden[key as usize] {
                            self.edge(from, self.commit[other as usize], why);
                        }
                    } else if update != t {
                        // The other has an edge to this one: a circle, and no need for more.
                        self.edge(from, self.commit[update as usize], why);
                    }
                } else {
                    self.edge(from, node, why);
                }
            }
        }
        for key in 0..keys {
            self.key_first.push(self.blocks.len() as u32);
            for &writer in &hidden[key] {
                let (begin, commit) = (self.begin[writer as usize], self.commit[writer as usize]);
                self.edge(all[key], commit, Why::Overwritten { source: last[key], key: key as u32 });
                if self.level == Level::SnapshotIsolation && hidden[key].len() > 1 {
                    self.blocks.push(Block { key: key as u32, begin, head: commit, tail: commit, last: commit });
                }
            }
        }
        self.key_first.push(self.blocks.len() as u32);
    }

    /// The blocks of each key that has any, as a range of their numbers.
    pub(crate) fn keys(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.key_first.windows(2).map(|pair| pair[0] as usize..pair[1] as usize).filter(|range| !range.is_empty())
    }

    pub(crate) fn successors(&self) -> Successors {
        Successors::of(self.nodes as usize, |visit| self.edges.iter().for_each(|edge| visit(edge.from, edge.to)))
    }

    /// Why a block that must come before another does. Where nobody reads the first, it is because somebody who reads the second sees it; who, is
    /// looked up when it is asked for.
    pub(crate) fn follows(&self, first: Block, second: Block, edge: (u32, u32)) -> Why {
        let key = first.key;
        if self.level == Level::SnapshotIsolation && edge == (first.tail, second.begin) {
            return Why::Conflict { key };
        }
        match first.last == first.tail {
            true if first.head == first.tail => Why::Seen { by: NOBODY, key },
            true => Why::Updates { first: self.txn[first.head as usize], key },
            false => Why::Overwritten { source: self.txn[first.tail as usize], key },
        }
    }

    /// Who reads `key` from `source` or a chain of updates of it, and is reached from `seen`; and whether it is from `source` itself.
    fn witness(&self, successors: &Successors, seen: u32, source: u32, key: u32) -> Option<(u32, bool)> {
        let mut reached = vec![false; self.nodes as usize];
        let mut queue = vec![self.commit[seen as usize]];
        while let Some(node) = queue.pop() {
            for &next in successors.next(node) {
                if !std::mem::replace(&mut reached[next as usize], true) {
                    queue.push(next);
                }
            }
        }
        let mut from = source;
        for _ in 0..self.facts.txns.len() {
            let readers = (0..self.facts.txns.len() as u32)
                .filter(|&t| self.facts.reads(t).iter().any(|read| read.key == key && read.from == from));
            let mut update = None;
            for t in readers.filter(|&t| t != seen) {
                if reached[self.begin[t as usize] as usize] {
                    return Some((t, from == source));
                }
                update = update.or(Some(t).filter(|&t| self.facts.writes(t).binary_search(&key).is_ok()));
            }
            from = update?;
        }
        None
    }

    /// Fills in who sees what in links that were drawn without.
    fn explain(&self, link: Link) -> Link {
        let Why::Seen { by: NOBODY, key } = link.why else { return link };
        let why = match self.witness(&self.successors(), link.from, link.to, key) {
            Some((by, true)) => Why::Seen { by, key },
            Some((by, false)) => Why::SeenUpdated { by, key },
            None => Why::Order { key },
        };
        Link { why, ..link }
    }

    /// A short circle among the edges.
    pub(crate) fn circle(&self) -> Proof {
        let whys: Vec<Why> = self.edges.iter().map(|edge| edge.why).collect();
        let arrows: Vec<crate::graph::Arrow> = self
            .edges
            .iter()
            .enumerate()
            .map(|(tag, edge)| crate::graph::Arrow { from: edge.from, to: edge.to, tag: tag as u32 })
            .collect();
        let events = shortest(self.nodes as usize, &arrows, &whys, self.txn.len() as u32);
        let name = |event: u32| self.txn[event as usize];
        let links = events.iter().map(|link| Link { from: name(link.from), to: name(link.to), why: link.why });
        Proof::Cycle(links.filter(|link| link.from != link.to).map(|link| self.explain(link)).collect())
    }

    fn outcome(&self, t: u32) -> Outcome {
        self.facts.txns.txns[t as usize].outcome
    }

    /// When a node should come, where nothing else says so: at the completion of its transaction, or where that is not known, in the order of the input.
    pub(crate) fn hint(&self, event: u32) -> u64 {
        let t = self.txn[event as usize];
        let txn = self.facts.txns.txns[t as usize];
        let known = txn.end != u32::MAX && self.outcome(t) == Outcome::Ok;
        let rank =
            if event == self.begin[t as usize] && event != self.commit[t as usize] { txn.start } else { txn.end };
        (u64::from(if known { rank } else { txn.start }) << 32) | u64::from(event)
    }
}

/// The versions of registers: who reads each, and who updates it.
struct Versions {
    /// The first version of each transaction; the initial ones of all keys come last.
    first: Vec<u32>,
    /// The node of all readers that are no updates: an event if there is one reader, a virtual node if there are several.
    readers: Vec<u32>,
    update: Vec<u32>,
    updated: Vec<bool>,
}

impl Versions {
    fn of(events: &mut Events) -> Result<Versions, Proof> {
        let facts = events.facts;
        let n = facts.txns.len() as u32;
        let mut first = vec![0_u32];
        for t in 0..n {
            first.push(first[t as usize] + facts.writes(t).len() as u32);
        }
        let count = first[n as usize] as usize + facts.txns.keys.len();
        let (readers, update) = (vec![NOBODY; count], vec![NOBODY; count]);
        let mut versions = Versions { first, readers, update, updated: vec![false; count] };
        let blocks = events.level != Level::Prefix;
        for t in 0..n {
            for read in facts.reads(t) {
                let version = versions.number(facts, read.from, read.key);
                let writes = blocks && facts.writes(t).binary_search(&read.key).is_ok();
                if writes {
                    versions.updates(facts, t, version, read.key, read.from)?;
                } else {
                    versions.read_by(events, version, events.begin[t as usize], read.from, read.key);
                }
            }
        }
        // Whoever reads a version reads it before the update.
        for t in 0..n {
            for read in facts.reads(t) {
                let version = versions.number(facts, read.from, read.key);
                if versions.update[version as usize] == t && versions.readers[version as usize] != NOBODY {
                    let why = Why::Overwritten { source: read.from, key: read.key };
                    events.edge(versions.readers[version as usize], events.commit[t as usize], why);
                }
            }
        }
        Ok(versions)
    }

    fn number(&self, facts: &Facts, writer: u32, key: u32) -> u32 {
        if writer == INITIAL {
            return self.first[facts.txns.len()] + key;
        }
        let at = facts.writes(writer).binary_search(&key).expect("who is read from wrote the key");
        self.first[writer as usize] + at as u32
    }

    fn updates(&mut self, facts: &Facts, t: u32, version: u32, key: u32, source: u32) -> Result<(), Proof> {
        let other = std::mem::replace(&mut self.update[version as usize], t);
        if other != NOBODY && other != t {
            let why = Why::Overwritten { source, key };
            return Err(Proof::Cycle(vec![Link { from: other, to: t, why }, Link { from: t, to: other, why }]));
        }
        let own = self.number(facts, t, key);
        if other != t && std::mem::replace(&mut self.updated[own as usize], true) {
            let others = facts.reads(t).iter().find(|read| read.key == key && read.from != source);
            let first = others.map_or(source, |read| read.from);
            let why = Why::Seen { by: t, key };
            return Err(Proof::Cycle(vec![
                Link { from: first, to: source, why },
                Link { from: source, to: first, why },
            ]));
        }
        Ok(())
    }

    fn read_by(&mut self, events: &mut Events, version: u32, reader: u32, source: u32, key: u32) {
        let why = Why::Overwritten { source, key };
        let known = self.readers[version as usize];
        if known == NOBODY || known == reader {
            self.readers[version as usize] = reader;
            return;
        }
        let node = if known < events.txn.len() as u32 {
            let node = events.node();
            self.readers[version as usize] = node;
            events.edge(known, node, why);
            node
        } else {
            known
        };
        events.edge(reader, node, why);
    }

    /// Whether a version was written by an update of another.
    fn is_update(&self, events: &Events, writer: u32, key: u32) -> bool {
        self.updated[self.number(events.facts, writer, key) as usize]
    }

    /// The block that begins with a version. Of the initial one only if it matters, and without head.
    fn block(&self, events: &Events, writer: u32, key: u32) -> Option<Block> {
        let (begin, head) = match writer {
            INITIAL => (NOBODY, NOBODY),
            _ => (events.begin[writer as usize], events.commit[writer as usize]),
        };
        let mut version = self.number(events.facts, writer, key);
        let mut tail = head;
        // A circle of updates never gets here, since none of its versions begins a block.
        while self.update[version as usize] != NOBODY {
            let update = self.update[version as usize];
            tail = events.commit[update as usize];
            version = self.number(events.facts, update, key);
        }
        let readers = self.readers[version as usize];
        let last = if readers == NOBODY { tail } else { readers };
        (last != NOBODY).then_some(Block { key, begin, head, tail, last })
    }
}
