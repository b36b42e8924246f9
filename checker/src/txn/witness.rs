//! A commit order within real time, looked for while the history is walked once.
//!
//! Most histories of a store that keeps its word end here: an order in which every transaction takes effect between its invocation and its
//! completion, and reads what is there, is the proof of strict serializability, and nothing that a graph could show is left to look for.
//! Where none is found nothing is known, and the graph is asked.
//!
//! A transaction is committed no sooner than it must be: when it completes, or when one that must be committed reads what it wrote, or
//! overwrites what it reads. What a commit *needs* is followed through those that are pending (just-in-time, as in Lowe, "Testing for
//! linearizability", 2017, here for transactions of many keys). The one thing to choose is the order of blind writes of registers. A write whose last
//! reader begins after another write's block must have begun to be seen comes after it (the zones of Gibbons & Korach, SIAM J. Comput. 1997, with what reads-from
//! says of other transactions' time). Where the choice was wrong all the same, the latest commit that stands in the way is taken back, and the
//! order of that pair is kept from then on.
//!
//! Cost: O(steps · pending transactions of a key), 30 to 40 bytes a transaction; what is taken back is bounded by [`AGAIN`].

use crate::history::Outcome;
use crate::intern::FastMap;

use super::transactions::{LIMIT, NIL, NOBODY, ODD, Shape, Transactions, Txn};

/// What one transaction does to one key.
#[derive(Clone, Copy)]
struct Access {
    key: u32,
    /// The version that must be there; [`ANY`] for a blind write.
    from: u32,
    /// The version that is there afterwards; [`SAME`] for a read, [`HIDDEN`] for an append that no list shows, [`READ_HIDDEN`] for one after
    /// a read of the key.
    to: u32,
}

const ANY: u32 = u32::MAX;
const SAME: u32 = u32::MAX;
const HIDDEN: u32 = u32::MAX - 1;
const READ_HIDDEN: u32 = u32::MAX - 2;

impl Access {
    fn writes(self) -> bool {
        self.to != SAME
    }

    /// Whether it leaves another version of the key, which somebody may read.
    fn replaces(self) -> bool {
        self.to < READ_HIDDEN
    }

    /// Whether what is there must stay until this one has come. An append that no list shows only waits for whoever reads the last one.
    fn holds(self) -> bool {
        self.from != ANY && self.to != HIDDEN
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not invoked yet, or of no account.
    Idle,
    Pending,
    Committed,
}

/// For each transaction of the history, so many commits may be taken back altogether.
const AGAIN: usize = 2;
/// So often one completion may be tried.
const PATIENCE: u32 = 2_000;
/// So many of the last commits can be taken back.
const TRAIL: usize = 1 << 14;

/// Whether a commit order within real time was found that explains every read. That none was found says nothing.
pub fn found(txns: &Transactions) -> bool {
    sound(txns) && Accesses::of(txns).is_some_and(|accesses| Walk::new(txns, accesses).all())
}

/// Whether every value has one writer, and every transaction its time.
fn sound(txns: &Transactions) -> bool {
    let timed = |txn: &Txn| txn.outcome != Outcome::Ok || txn.end < LIMIT;
    txns.doubles.is_empty() && txns.odd.is_empty() && txns.txns.iter().all(timed)
}

/// What every transaction does, transaction after transaction.
struct Accesses {
    first: Vec<u32>,
    all: Vec<Access>,
    /// Whether each is part of the order: committed, or of unknown outcome and seen.
    counts: Vec<bool>,
    /// Versions of lists that nobody but their writer can have seen, since it appended more that is not shown.
    own: Vec<u32>,
}

impl Accesses {
    /// Nothing if a transaction contradicts itself, or reads what cannot be.
    fn of(txns: &Transactions) -> Option<Accesses> {
        let n = txns.len();
        let mut out = Accesses {
            first: Vec::with_capacity(n + 1),
            all: Vec::with_capacity(txns.steps.len()),
            counts: txns.txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect(),
            own: Vec::new(),
        };
        for t in 0..n as u32 {
            out.first.push(out.all.len() as u32);
            match txns.shape {
                _ if txns.txns[t as usize].outcome == Outcome::Fail => {}
                Shape::Registers => out.registers(txns, t)?,
                Shape::Lists => out.lists(txns, t)?,
            }
        }
        out.first.push(out.all.len() as u32);
        Some(out)
    }

    #[inline]
    fn own(&mut self, t: u32, key: u32) -> Option<&mut Access> {
        let first = self.first[t as usize] as usize;
        self.all[first..].iter_mut().find(|access| access.key == key)
    }

    /// A read of what another wrote.
    fn seen(&mut self, txns: &Transactions, version: u32) -> Option<()> {
        if version < LIMIT {
            let writer = txns.writer[version as usize];
            match txns.txns.get(writer as usize)?.outcome {
                Outcome::Fail => return None,
                Outcome::Info => self.counts[writer as usize] = true,
                Outcome::Ok => {}
            }
        }
        Some(())
    }

    fn registers(&mut self, txns: &Transactions, t: u32) -> Option<()> {
        let committed = txns.txns[t as usize].outcome == Outcome::Ok;
        for &step in txns.steps_of(t) {
            let key = step.key();
            let own = self.own(t, key);
            if step.writes() {
                match own {
                    Some(own) => own.to = step.version,
                    None => self.all.push(Access { key, from: ANY, to: step.version }),
                }
            } else if committed && step.reads() {
                match own {
                    Some(own) => {
                        let is = if own.writes() { own.to } else { own.from };
                        if is != initial(txns, key, step.version) {
                            return None;
                        }
                    }
                    None => {
                        self.seen(txns, step.version)?;
                        self.all.push(Access { key, from: initial(txns, key, step.version), to: SAME });
                    }
                }
            }
        }
        Some(())
    }

    fn lists(&mut self, txns: &Transactions, t: u32) -> Option<()> {
        let committed = txns.txns[t as usize].outcome == Outcome::Ok;
        let steps = txns.steps_of(t);
        for (at, &step) in steps.iter().enumerate() {
            let key = step.key();
            let own = self.own(t, key).copied();
            let access = if step.writes() {
                let access = append(txns, key, step.version, own)?;
                // Its own later reads would show it.
                let unseen = txns.place[step.version as usize] == NOBODY;
                if unseen && committed && steps[at..].iter().any(|later| later.reads() && later.key() == key) {
                    return None;
                }
                if access.replaces() {
                    // Those of unknown outcome took place where a list shows them.
                    self.counts[t as usize] = true;
                    if access.to != step.version {
                        self.own.push(access.to);
                    }
                }
                access
            } else if !committed || !step.reads() {
                continue;
            } else {
                let shown = if step.version == ODD { return None } else { initial(txns, key, step.version) };
                match own {
                    Some(own) if own.writes() && own.to != shown || !own.writes() && own.from != shown => return None,
                    Some(own) => own,
                    None => {
                        self.seen(txns, step.version)?;
                        Access { key, from: shown, to: SAME }
                    }
                }
            };
            match self.own(t, key) {
                Some(own) => *own = access,
                None => self.all.push(access),
            }
        }
        Some(())
    }

    #[inline]
    fn of_txn(&self, t: u32) -> &[Access] {
        &self.all[self.first[t as usize] as usize..self.first[t as usize + 1] as usize]
    }
}

/// The number of a version; the initial ones of all keys come after those that were written.
#[inline]
fn initial(txns: &Transactions, key: u32, version: u32) -> u32 {
    if version == NIL { txns.writer.len() as u32 + key } else { version }
}

/// What a transaction does to a list with one append more.
fn append(txns: &Transactions, key: u32, version: u32, own: Option<Access>) -> Option<Access> {
    let place = txns.place[version as usize];
    let order = txns.order(key);
    if place == NOBODY {
        let last = initial(txns, key, order.last().copied().unwrap_or(NIL));
        return match own {
            None => Some(Access { key, from: last, to: HIDDEN }),
            // What it read, or appended and showed before, has to be the end of all that is shown.
            Some(own) if own.writes() && (!own.replaces() || own.to == last) => Some(own),
            Some(own) if !own.writes() && own.from == last => Some(Access { to: READ_HIDDEN, ..own }),
            Some(_) => None,
        };
    }
    let before = initial(txns, key, place.checked_sub(1).map_or(NIL, |before| order[before as usize]));
    match own {
        None => Some(Access { key, from: before, to: version }),
        Some(own) if (if own.writes() { own.to } else { own.from }) == before => Some(Access { to: version, ..own }),
        Some(_) => None,
    }
}

/// The transactions that are invoked at the very instant when the one before them in their process completes, with that one.
fn tied(txns: &[Txn]) -> FastMap<u32, u32> {
    let processes = txns.iter().map(|txn| txn.process as usize + 1).max().unwrap_or(0);
    let mut before = vec![NOBODY; processes];
    let mut tied = FastMap::default();
    for (t, txn) in txns.iter().enumerate() {
        let before = &mut before[txn.process as usize];
        if *before != NOBODY && txns[*before as usize].end >= txn.start {
            tied.insert(t as u32, *before);
        }
        if txn.outcome == Outcome::Ok {
            *before = t as u32;
        }
    }
    tied
}

/// Two versions of a key, of which the first comes before the second.
type Order = (u32, u32);

/// Why a transaction cannot be committed yet.
enum Obstacle {
    /// Another must come first; where that is so because of an order that was chosen, that one.
    Needs(u32, Option<Order>),
    /// Readers of what is there are still to be invoked.
    Held(Order),
    /// It cannot be.
    Never,
}

/// A commit that can be taken back.
struct Commit {
    txn: u32,
    invoked: u32,
    completed: u32,
    /// How many versions had been overwritten before.
    overwritten: u32,
}

struct Walk<'a> {
    txns: &'a Transactions,
    accesses: Accesses,
    /// When each transaction has to be committed at the latest, as reads of what it wrote tell.
    due: Vec<u32>,
    /// When the last reader of each version, or of updates of it, is invoked.
    until: Vec<u32>,
    /// How many have still to read each version.
    readers: Vec<u32>,
    /// The version that is there.
    now: Vec<u32>,
    state: Vec<State>,
    /// Of each key, the pending transactions that touch it.
    pending: Vec<Vec<u32>>,
    trail: Vec<Commit>,
    overwritten: Vec<u32>,
    /// For a version, those that have to come before it, and whether that is certain.
    learnt: FastMap<u32, Vec<(u32, bool)>>,
    /// What is being committed, each because the one before needs it; with the chosen order that is to blame.
    stack: Vec<(u32, Option<Order>)>,
    /// How many commits were taken back; how often since there was progress; how far that was.
    taken_back: usize,
    again: u32,
    furthest: u32,
}

impl<'a> Walk<'a> {
    fn new(txns: &'a Transactions, accesses: Accesses) -> Walk<'a> {
        let versions = txns.writer.len() + txns.keys.len();
        let mut walk = Walk {
            due: txns.txns.iter().map(|txn| txn.end).collect(),
            until: vec![0; versions],
            readers: vec![0; versions],
            now: (txns.writer.len() as u32..versions as u32).collect(),
            state: vec![State::Idle; txns.len()],
            pending: vec![Vec::new(); txns.keys.len()],
            trail: Vec::with_capacity(2 * TRAIL),
            overwritten: Vec::new(),
            learnt: FastMap::default(),
            stack: Vec::new(),
            taken_back: 0,
            again: 0,
            furthest: 0,
            txns,
            accesses,
        };
        walk.bounds();
        walk
    }

    /// Counts readers, and works out when each write must have come and until when it must stay.
    fn bounds(&mut self) {
        let registers = self.txns.shape == Shape::Registers;
        for t in (0..self.txns.len() as u32).rev().filter(|&t| self.accesses.counts[t as usize]) {
            let (start, due) = (self.txns.txns[t as usize].start, self.due[t as usize]);
            for access in self.accesses.of_txn(t) {
                if access.holds() {
                    self.readers[access.from as usize] += 1;
                }
                if !registers || access.from == ANY {
                    continue;
                }
                let mut until = start;
                if access.writes() {
                    until = until.max(self.until[access.to as usize]);
                }
                let latest = &mut self.until[access.from as usize];
                *latest = until.max(*latest);
                let writer = self.txns.writer.get(access.from as usize).copied().unwrap_or(NOBODY);
                if let Some(writer) = self.due.get_mut(writer as usize) {
                    *writer = due.min(*writer);
                }
            }
        }
    }

    fn all(&mut self) -> bool {
        if self.accesses.own.iter().any(|&version| self.readers[version as usize] > 0) {
            return false;
        }
        let txns = &self.txns.txns;
        let mut completions: Vec<(u32, u32)> = txns
            .iter()
            .enumerate()
            .filter(|(_, txn)| txn.outcome == Outcome::Ok)
            .map(|(t, txn)| (txn.end, t as u32))
            .collect();
        completions.sort_unstable();
        let tied = tied(txns);
        let (mut invoked, mut completed) = (0, 0);
        while completed < completions.len() {
            let (end, completes) = completions[completed];
            let invokes = txns.get(invoked).filter(|txn| txn.start <= end);
            let due = match invokes {
                Some(_) => tied.get(&(invoked as u32)).copied(),
                None => Some(completes),
            };
            if let Some(due) = due
                && self.state[due as usize] == State::Pending
                && !self.force(due, invoked as u32, completed as u32)
            {
                let Some(back) = self.take_back(invoked as u32, completed as u32) else { return false };
                (invoked, completed) = (back.0 as usize, back.1 as usize);
                continue;
            }
            match invokes {
                Some(_) => {
                    if self.accesses.counts[invoked] {
                        self.enter(invoked as u32);
                    }
                    invoked += 1;
                }
                None => completed += 1,
            }
        }
        true
    }

    fn enter(&mut self, t: u32) {
        self.state[t as usize] = State::Pending;
        for access in self.accesses.of_txn(t) {
            self.pending[access.key as usize].push(t);
        }
    }

    fn leave(&mut self, t: u32, state: State) {
        self.state[t as usize] = state;
        for access in self.accesses.of_txn(t) {
            let pending = &mut self.pending[access.key as usize];
            if let Some(at) = pending.iter().position(|&other| other == t) {
                pending.swap_remove(at);
            }
        }
    }

    /// Commits `t` and what it needs; false if it cannot be, with the stack as it stood.
    fn force(&mut self, t: u32, invoked: u32, completed: u32) -> bool {
        self.stack.clear();
        self.stack.push((t, None));
        while let Some(&(txn, _)) = self.stack.last() {
            match self.obstacle(txn) {
                None => {
                    self.commit(txn, invoked, completed);
                    self.stack.pop();
                }
                Some(Obstacle::Needs(other, way)) => {
                    self.stack.last_mut().expect("it is not empty").1 = way;
                    if let Some(at) = self.stack.iter().position(|&(txn, _)| txn == other) {
                        // Only what runs in a circle is to blame.
                        self.stack.drain(..at);
                        return false;
                    }
                    if self.state[other as usize] != State::Pending {
                        return false;
                    }
                    self.stack.push((other, None));
                }
                Some(Obstacle::Held(order)) => {
                    self.stack.last_mut().expect("it is not empty").1 = Some(order);
                    return false;
                }
                Some(Obstacle::Never) => return false,
            }
        }
        true
    }

    fn obstacle(&self, t: u32) -> Option<Obstacle> {
        for access in self.accesses.of_txn(t) {
            let now = self.now[access.key as usize];
            if access.from != ANY && access.from != now {
                // Of what is shown before an append nobody may be the writer.
                let writer = self.txns.writer.get(access.from as usize).copied().unwrap_or(NOBODY);
                let needed = self.state.get(writer as usize).is_some_and(|&state| state != State::Committed);
                return Some(if needed { Obstacle::Needs(writer, None) } else { Obstacle::Never });
            }
            if !access.writes() {
                continue;
            }
            if self.readers[now as usize] > u32::from(access.holds()) {
                return Some(match self.reader(access.key, now, t) {
                    Some(reader) => Obstacle::Needs(reader, Some((now, access.to))),
                    None => Obstacle::Held((now, access.to)),
                });
            }
            if access.from == ANY {
                let other = self.earlier(t, *access).map(|other| Obstacle::Needs(other, None));
                if let Some(needs) = other.or_else(|| self.learnt(*access)) {
                    return Some(needs);
                }
            }
        }
        None
    }

    /// A pending reader of `version`, other than `t`.
    fn reader(&self, key: u32, version: u32, t: u32) -> Option<u32> {
        let reads = |&&other: &&u32| {
            other != t && self.accesses.of_txn(other).iter().any(|access| access.from == version && access.holds())
        };
        self.pending[key as usize].iter().find(reads).copied()
    }

    /// A pending writer of the key that has to come before `t`.
    fn earlier(&self, t: u32, access: Access) -> Option<u32> {
        let until = self.until[access.to as usize];
        let before = |&&other: &&u32| {
            if other == t {
                return false;
            }
            let theirs = self.accesses.of_txn(other).iter().find(|theirs| theirs.key == access.key);
            theirs.is_some_and(|theirs| theirs.from == ANY) && self.due[other as usize] < until
        };
        self.pending[access.key as usize].iter().find(before).copied()
    }

    /// Whoever has to come before as was learnt.
    fn learnt(&self, access: Access) -> Option<Obstacle> {
        let writer = |version: u32| self.txns.writer[version as usize];
        let earlier = self.learnt.get(&access.to)?;
        let &(version, certain) =
            earlier.iter().find(|(version, _)| self.state[writer(*version) as usize] != State::Committed)?;
        Some(Obstacle::Needs(writer(version), (!certain).then_some((version, access.to))))
    }

    fn commit(&mut self, t: u32, invoked: u32, completed: u32) {
        if self.trail.len() == 2 * TRAIL {
            let kept = self.trail[TRAIL].overwritten as usize;
            self.overwritten.drain(..kept);
            self.trail.drain(..TRAIL);
            self.trail.iter_mut().for_each(|commit| commit.overwritten -= kept as u32);
        }
        self.trail.push(Commit { txn: t, invoked, completed, overwritten: self.overwritten.len() as u32 });
        self.leave(t, State::Committed);
        for access in self.accesses.of_txn(t) {
            if access.holds() {
                self.readers[access.from as usize] -= 1;
            }
            if access.replaces() {
                self.overwritten.push(std::mem::replace(&mut self.now[access.key as usize], access.to));
            }
        }
    }

    /// Turns around one of the orders that are to blame, takes back what rests on it, and says where to go on: as many had been invoked and
    /// completed.
    fn take_back(&mut self, invoked: u32, completed: u32) -> Option<(u32, u32)> {
        if completed > self.furthest {
            (self.furthest, self.again) = (completed, 0);
        }
        self.again += 1;
        let orders: Vec<(usize, Order)> = self.stack.iter().filter_map(|&(_, order)| self.blamed(order?)).collect();
        // The latest first; when that leads nowhere, any.
        let (at, order) = match self.again {
            0..4 => *orders.iter().max()?,
            tried => *orders.get((tried.wrapping_mul(0x9E37_79B9) >> 16) as usize % orders.len().max(1))?,
        };
        self.turn(order, orders.len() == 1);
        self.taken_back += self.trail.len() - at;
        if self.again > PATIENCE || self.taken_back > AGAIN * self.txns.len() + TRAIL {
            return None;
        }
        let Some(commit) = self.trail.get(at) else { return Some((invoked, completed)) };
        let (back, completed) = (commit.invoked, commit.completed);
        for t in back..invoked {
            if self.state[t as usize] == State::Pending {
                self.leave(t, State::Idle);
            }
        }
        while self.trail.len() > at {
            let commit = self.trail.pop().expect("it is longer than that");
            self.undo(&commit, back);
        }
        Some((back, completed))
    }

    /// The order of blocks that `order` comes from, if it can be turned around, and the commit that has to be taken back for it.
    fn blamed(&self, (first, second): Order) -> Option<(usize, Order)> {
        let (first, second) = (self.head(first)?, self.head(second)?);
        let writer = |version: u32| self.txns.writer.get(version as usize).copied();
        let (before, after) = (writer(first)?, writer(second)?);
        let certain = self.learnt.get(&second).is_some_and(|earlier| earlier.contains(&(first, true)));
        if certain || first == second || self.txns.txns[after as usize].start > self.due[before as usize] {
            return None;
        }
        if self.state[before as usize] != State::Committed {
            return Some((self.trail.len(), (first, second)));
        }
        let at = self.trail.iter().rposition(|commit| commit.txn == before)?;
        Some((at, (first, second)))
    }

    fn turn(&mut self, (first, second): Order, certain: bool) {
        if let Some(earlier) = self.learnt.get_mut(&second) {
            earlier.retain(|&(version, _)| version != first);
        }
        let earlier = self.learnt.entry(first).or_default();
        if !earlier.iter().any(|&(version, _)| version == second) {
            earlier.push((second, certain));
        }
    }

    /// The blind write from which updates led to `version`; nothing if they began at the initial state.
    fn head(&self, mut version: u32) -> Option<u32> {
        loop {
            let writer = self.txns.writer.get(version as usize).copied().filter(|&writer| writer != NOBODY)?;
            let access = self.accesses.of_txn(writer).iter().find(|access| access.to == version)?;
            if access.from == ANY {
                return Some(version);
            }
            version = access.from;
        }
    }

    fn undo(&mut self, commit: &Commit, invoked: u32) {
        let mut at = commit.overwritten as usize;
        for access in self.accesses.of_txn(commit.txn) {
            if access.holds() {
                self.readers[access.from as usize] += 1;
            }
            if access.replaces() {
                self.now[access.key as usize] = self.overwritten[at];
                at += 1;
            }
        }
        self.overwritten.truncate(commit.overwritten as usize);
        self.state[commit.txn as usize] = State::Idle;
        if commit.txn < invoked {
            self.enter(commit.txn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::brute::{self, source};
    use crate::txn::levels::{Level, Within};

    #[test]
    fn an_order_that_is_found_exists() {
        for shape in [Shape::Registers, Shape::Lists] {
            let (mut orders, mut missed) = (0, 0);
            for seed in 0..4_000 {
                let txns = source::drawn(seed, shape, if seed % 4 == 0 { 8 } else { 5 });
                let exists = brute::holds(Level::Serializable, Within::RealTime, &txns);
                match found(&txns) {
                    true => {
                        assert!(exists, "{shape:?} {seed}: {:?} {:?}", txns.txns, txns.steps);
                        orders += 1;
                    }
                    // Values that repeat and times that are not recorded are left to others.
                    false => missed += usize::from(exists && sound(&txns)),
                }
            }
            assert!(orders > 20 * missed && orders > 1_000, "{shape:?}: {orders} found, {missed} missed");
        }
    }

    #[test]
    fn an_append_after_what_nobody_wrote_has_no_order() {
        use crate::txn::builder::{Builder, Raw};
        let mut builder = Builder::new(Shape::Lists);
        let process = builder.process(0);
        let txn = builder.open(process, 0, 0, 0);
        builder.close(txn, 1, 1, 0, Outcome::Ok);
        builder.fill(txn);
        let key = builder.key(Raw::Int(0));
        let [garbage, own] = [7, 8].map(|value| builder.version(key, Raw::Int(value)));
        builder.write(key, own);
        builder.read_list(key, &[garbage, own]);
        let txns = builder.finish().expect("it is well-formed");
        assert!(!found(&txns));
    }

    #[test]
    fn long_histories_of_a_strict_store_have_one() {
        for (shape, keys, processes) in
            [(Shape::Registers, 10, 10), (Shape::Registers, 1, 30), (Shape::Registers, 200, 60), (Shape::Lists, 10, 30)]
        {
            let txns = generated(shape, keys, processes);
            assert!(found(&txns), "{shape:?}, {keys} keys, {processes} processes");
        }
    }

    fn generated(shape: Shape, keys: u64, processes: u64) -> Transactions {
        use crate::generate::{Generator, Kinds, Plan, write_edn};
        let kinds = if shape == Shape::Lists { Kinds::ListAppend } else { Kinds::RwRegister };
        let plan = Plan { kinds, ops: 5_000, keys, processes, info: 0.01, fail: 0.01, seed: 7, ..Plan::default() };
        let mut text = Vec::new();
        Generator::new(plan).for_each(|event| write_edn(&mut text, &event));
        Transactions::read(&text, crate::text::Syntax::Edn).expect("it is well-formed")
    }
}
