//! Which cycles a component has: the worst, each with a shortest witness.
//!
//! Adya's anomalies are cycles of certain edges. Elle looks for each kind by listing paths until a timer stops it. Here every kind is first *decided* on
//! the graph of (transaction × what must be remembered of the walk), in linear time, and only then a shortest example is searched, in
//! breadth:
//!
//! | kind | decided by |
//! |---|---|
//! | G0, G1c | components of the graph without anti-dependencies |
//! | G-single | that graph has no cycle, so it has levels; an `rw` edge that leads down, and a path back up between the two levels |
//! | G-nonadjacent | components of transaction × (did an `rw` lead here?) |
//! | G2 | what is left of a component that is none of the above |
//!
//! A closed walk that is not simple is no smaller an offence: where no milder kind exists, a shortest closed walk without adjacent anti-dependencies
//! visits no vertex twice (cut at one, one of the halves would be such a walk, shorter, or a milder kind). Kinds come with the order of
//! processes and with real time, as in Elle; a kind that rules out nothing beyond what was already found in the component is not searched.
//!
//! Besides, the finer conditions of models that Elle names without deciding them: see [`Finer`].

use super::dependencies::{Dependencies, relation::*};
use super::local::{Effort, Local, Rule, Search, Walk, Wanted, bits, usable};

/// A kind of cycle, from the worst to the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Only writes after writes.
    G0,
    /// Writes and reads, no anti-dependency.
    G1c,
    /// Exactly one anti-dependency.
    GSingle,
    /// Several, none next to another.
    GNonadjacent,
    /// Several, at least two next to each other.
    G2,
}

/// Which other order takes part in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum With {
    /// None.
    Data,
    /// The order of a process.
    Process,
    /// Real time.
    RealTime,
}

impl With {
    /// The relations that come in addition.
    pub fn mask(self) -> u8 {
        match self {
            With::Data => 0,
            With::Process => PROCESS,
            With::RealTime => REAL_TIME | CHAIN,
        }
    }
}

/// Conditions of weaker models, each a cycle of a particular form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finer {
    /// A transaction read one write of another and missed another write of it (read atomic).
    FracturedRead,
    /// It missed it *after* having seen the other (monotonic atomic view).
    ObservedVanishes,
    /// After having seen the effect of a transaction it missed what that one depends on (monotonic view).
    Monotonic,
    /// It missed what it transitively read from (causal).
    Causality,
    /// Two transactions saw two others in opposite orders (prefix).
    Prefix,
    /// It missed what it read from or overwrote (update atomic).
    UpdateAtomic,
    /// A cycle with an anti-dependency of update transactions and at most one that only reads (update serializable).
    Update,
}

/// A cycle: each transaction, and the relation by which it comes before the next; the last comes before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The transactions and relations.
    pub edges: Vec<(u32, u8)>,
}

/// A cycle of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// With which other order.
    pub with: With,
    /// The smallest example.
    pub cycle: Cycle,
    /// Whether it is known to be the smallest.
    pub smallest: bool,
}

/// All that a component shows.
#[derive(Clone, Debug, Default)]
pub struct Classified {
    /// The kinds, none of which is implied by another.
    pub found: Vec<Found>,
    /// Finer conditions that are violated.
    pub finer: Vec<(Finer, Cycle)>,
    /// How many transactions it has.
    pub size: usize,
}

/// How many edges may be looked at for one witness.
const EFFORT: u64 = 4_000_000;

/// Which searches are wanted: with which orders.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// The order of processes.
    pub process: bool,
    /// Real time.
    pub real_time: bool,
}

/// Classifies a component, given by its vertices, ascending.
pub fn classify(dependencies: &Dependencies<'_>, component: Vec<u32>, orders: Orders) -> Classified {
    let mut wanted = DATA;
    if orders.process {
        wanted |= PROCESS;
    }
    if orders.real_time {
        wanted |= REAL_TIME | CHAIN;
    }
    let local = Local::new(dependencies, component, wanted);
    let mut classified = Classified { size: local.txns, ..Classified::default() };
    let mut worst: Option<Kind> = None;
    for (with, on) in [(With::Data, true), (With::Process, orders.process), (With::RealTime, orders.real_time)] {
        if !on {
            continue;
        }
        for part in local.parts(DATA | INFERRED | with.mask()) {
            let whole = part.len() == local.len();
            let part_local;
            let part = if whole {
                &local
            } else {
                let vertices = part.iter().map(|&at| local.vertices[at as usize]).collect();
                part_local = Local::new(dependencies, vertices, DATA | with.mask());
                &part_local
            };
            let Some(found) = Part { dependencies, local: part, with }.worst(worst) else { continue };
            if with == With::Data {
                classified.finer.extend(finer(dependencies, part, found.kind));
            }
            let known = classified.found.iter_mut().find(|known| known.kind == found.kind && known.with == with);
            match known {
                Some(known) if known.cycle.edges.len() > found.cycle.edges.len() => *known = found,
                Some(_) => {}
                None => classified.found.push(found),
            }
        }
        worst = classified.found.iter().map(|found| found.kind).min();
    }
    // The parts of a component are searched apart; the shortest of each condition is enough.
    classified.finer.sort_by_key(|(finer, cycle)| (*finer, cycle.edges.len()));
    classified.finer.dedup_by_key(|(finer, _)| *finer);
    classified
}

fn any(_: u8, _: u8) -> Option<u8> {
    Some(0)
}

/// No anti-dependency next to another: the state says whether the last edge was one.
fn apart(state: u8, relation: u8) -> Option<u8> {
    match (state, relation) {
        (1, RW) => None,
        (_, RW) => Some(1),
        _ => Some(0),
    }
}

/// An anti-dependency only after a read dependency or an order: the state says whether the last edge was anything else.
fn after_reads(state: u8, relation: u8) -> Option<u8> {
    match (state, relation) {
        (1, RW) => None,
        (_, RW | WW) => Some(1),
        _ => Some(0),
    }
}

/// A component under one set of relations.
struct Part<'p, 't> {
    dependencies: &'p Dependencies<'t>,
    local: &'p Local,
    with: With,
}

impl Part<'_, '_> {
    /// The worst kind, if it is worse than `than`.
    fn worst(&self, than: Option<Kind>) -> Option<Found> {
        let allowed = |kind: Kind| than.is_none_or(|than| kind < than);
        let extra = self.with.mask();
        if allowed(Kind::G0)
            && let Some(found) = self.without_rw(Kind::G0, WW | extra)
        {
            return Some(found);
        }
        if allowed(Kind::G1c)
            && let Some(found) = self.without_rw(Kind::G1c, WW | WR | INFERRED | extra)
        {
            return Some(found);
        }
        if !allowed(Kind::GSingle) {
            return None;
        }
        let base = WW | WR | INFERRED | extra;
        let levels = self.local.levels(base, |vertex| rank(self.dependencies, vertex))?;
        let mut down = self.leading_down(&levels);
        if let Some(found) = self.single(base, &levels, &down) {
            return Some(found);
        }
        if allowed(Kind::GNonadjacent)
            && let Some(found) = self.nonadjacent(base | RW, &mut down)
        {
            return Some(found);
        }
        if allowed(Kind::G2) { self.through_rw(Kind::G2, base | RW, any, 1, 1, &down, &|_| true) } else { None }
    }

    fn found(&self, kind: Kind, walk: &Walk, smallest: bool) -> Found {
        Found { kind, with: self.with, cycle: cycle(self.local, walk), smallest }
    }

    /// A shortest cycle of relations without anti-dependencies.
    fn without_rw(&self, kind: Kind, allowed: u8) -> Option<Found> {
        let parts = self.local.parts(allowed);
        let mut effort = Effort { left: EFFORT };
        let mut search = Search::default();
        let mut best: Option<Walk> = None;
        for part in &parts {
            let inside: rustc_hash::FxHashSet<u32> = part.iter().copied().collect();
            for &start in part.iter().filter(|&&vertex| (vertex as usize) < self.local.txns) {
                let shorter_than = best.as_ref().map_or(u32::MAX, |best| length(self.local, best));
                if shorter_than <= 2 || effort.left == 0 {
                    break;
                }
                let wanted = Wanted {
                    from: (start, 0),
                    to: start,
                    accept: 1,
                    allowed,
                    rule: any,
                    shorter_than,
                    within: &|vertex| inside.contains(&vertex),
                    enter: &|_| true,
                };
                best = search.walk(self.local, &wanted, &mut effort).or(best);
            }
        }
        best.map(|mut walk| {
            walk.pop();
            self.found(kind, &walk, effort.left > 0)
        })
    }

    /// Anti-dependencies that lead to a lower level, those that span least first: (from, to).
    fn leading_down(&self, levels: &[u32]) -> Vec<(u32, u32)> {
        let mut down: Vec<(u32, u32)> = Vec::new();
        for from in 0..self.local.len() as u32 {
            for edge in self.local.out(from) {
                if edge.mask & RW != 0 && levels[edge.to as usize] < levels[from as usize] {
                    down.push((from, edge.to));
                }
            }
        }
        down.sort_by_key(|&(from, to)| levels[from as usize] - levels[to as usize]);
        down
    }

    fn single(&self, base: u8, levels: &[u32], down: &[(u32, u32)]) -> Option<Found> {
        // The graph without anti-dependencies has no cycle, so a path stays between the levels of its ends.
        let found = shortest_closed(self.local, down.iter().copied(), |search, (from, to), shorter_than, effort| {
            let top = levels[from as usize];
            let wanted = Wanted {
                from: (to, 0),
                to: from,
                accept: 1,
                allowed: base,
                rule: any,
                shorter_than,
                within: &|vertex| levels[vertex as usize] < top,
                enter: &|_| true,
            };
            search.walk(self.local, &wanted, effort)
        });
        found.map(|(walk, smallest)| self.found(Kind::GSingle, &walk, smallest))
    }

    fn nonadjacent(&self, allowed: u8, down: &mut [(u32, u32)]) -> Option<Found> {
        let on = self.local.on_closed_walks(allowed, 2, apart);
        if !on.contains(&true) {
            return None;
        }
        self.through_rw(Kind::GNonadjacent, allowed, apart, 2, 1, down, &|vertex| on[vertex as usize])
    }

    /// A shortest cycle through an anti-dependency that leads down; every cycle has one. `after` states begin it, and it must end in one of `accept`.
    #[allow(clippy::too_many_arguments)]
    fn through_rw(
        &self,
        kind: Kind,
        allowed: u8,
        rule: Rule,
        states: u32,
        accept: u8,
        down: &[(u32, u32)],
        within: &dyn Fn(u32) -> bool,
    ) -> Option<Found> {
        let inside = down.iter().copied().filter(|&(from, to)| within(from) && within(to));
        let found = shortest_closed(self.local, inside, |search, (from, to), shorter_than, effort| {
            let from_state = u8::from(states > 1);
            let wanted = Wanted {
                from: (to, from_state),
                to: from,
                accept,
                allowed,
                rule,
                shorter_than,
                within,
                enter: &|_| true,
            };
            search.walk(self.local, &wanted, effort)
        });
        found.map(|(walk, smallest)| self.found(kind, &walk, smallest))
    }
}

/// The shortest closed walk of an anti-dependency and a walk from its end back to its beginning, which `back` looks for among those shorter than what it is
/// told; and whether it is known to be the shortest.
fn shortest_closed(
    local: &Local,
    edges: impl IntoIterator<Item = (u32, u32)>,
    mut back: impl FnMut(&mut Search, (u32, u32), u32, &mut Effort) -> Option<Walk>,
) -> Option<(Walk, bool)> {
    let mut effort = Effort { left: EFFORT };
    let mut search = Search::default();
    let mut best: Option<Walk> = None;
    for edge in edges {
        let shorter_than = best.as_ref().map_or(u32::MAX, |best| length(local, best) - 1);
        if shorter_than <= 1 || (effort.left == 0 && best.is_some()) {
            break;
        }
        if effort.left == 0 {
            // Deciding is not given up: only finding the *shortest* is.
            effort.left = EFFORT;
        }
        if let Some(walk) = back(&mut search, edge, shorter_than, &mut effort) {
            best = Some(closed(walk));
        }
    }
    best.map(|walk| (walk, effort.left > 0))
}

/// A walk that an anti-dependency from its end to its beginning closes.
fn closed(mut walk: Walk) -> Walk {
    if let Some(last) = walk.last_mut() {
        last.1 = RW;
    }
    walk
}

/// How many edges a closed walk has, without those inside of the chain.
fn length(local: &Local, walk: &Walk) -> u32 {
    walk.iter().filter(|&&(vertex, relation)| (vertex as usize) < local.txns && relation != 0).count() as u32
}

/// A closed walk as a cycle of transactions: what goes through the chain is one step in real time.
fn cycle(local: &Local, walk: &Walk) -> Cycle {
    let mut edges = Vec::new();
    for &(vertex, relation) in walk {
        if (vertex as usize) < local.txns {
            let relation = if relation == CHAIN { REAL_TIME } else { relation };
            edges.push((local.vertices[vertex as usize], relation));
        }
    }
    Cycle { edges }
}

/// A vertex's place in time.
fn rank(dependencies: &Dependencies<'_>, vertex: u32) -> u64 {
    if dependencies.is_txn(vertex) {
        let txn = dependencies.txns.txns[vertex as usize];
        // Those without a completion go where they began.
        u64::from(if txn.end == u32::MAX { txn.start } else { txn.end }) * 2
    } else {
        u64::from(dependencies.group_rank(vertex)) * 2 + 1
    }
}

/// The finer conditions that a part violates whose worst kind is `worst`.
fn finer(dependencies: &Dependencies<'_>, local: &Local, worst: Kind) -> Vec<(Finer, Cycle)> {
    let mut out = Vec::new();
    // Below G1c every model that has a finer condition is already ruled out.
    if worst <= Kind::G1c {
        return out;
    }
    let seeing = Local::seeing(dependencies, local.vertices.clone());
    let local = &seeing;
    let part = Part { dependencies, local, with: With::Data };
    let base = WW | WR | INFERRED;
    let Some(levels) = local.levels(base, |vertex| rank(dependencies, vertex)) else { return out };
    let down = part.leading_down(&levels);
    if worst == Kind::GSingle {
        out.extend(direct(dependencies, local, &down));
        for (finer, allowed) in [(Finer::Causality, WR)] {
            if let Some(found) = part.single(allowed, &levels, &down) {
                out.push((finer, found.cycle));
            }
        }
        if let Some(cycle) = monotonic(dependencies, local, &levels, &down) {
            out.push((Finer::Monotonic, cycle));
        }
    }
    if worst <= Kind::GNonadjacent {
        let on = local.on_closed_walks(base | RW, 2, after_reads);
        if on.contains(&true)
            && let Some(found) =
                part.through_rw(Kind::GNonadjacent, base | RW, after_reads, 2, 1, &down, &|vertex| on[vertex as usize])
        {
            out.push((Finer::Prefix, found.cycle));
        }
    }
    if let Some(cycle) = update(dependencies, &part, &levels, &down) {
        out.push((Finer::Update, cycle));
    }
    out
}

/// Cycles of two transactions: one missed a write of the other though it read or overwrote another.
fn direct(dependencies: &Dependencies<'_>, local: &Local, down: &[(u32, u32)]) -> Vec<(Finer, Cycle)> {
    let mut out: Vec<(Finer, Cycle)> = Vec::new();
    let mut add = |finer: Finer, edges: Vec<(u32, u8)>| {
        if out.iter().all(|(known, _)| *known != finer) {
            out.push((finer, Cycle { edges }));
        }
    };
    for &(reader, writer) in down {
        let back = usable(local.between(writer, reader), WW | WR | INFERRED);
        let (u, v) = (local.vertices[reader as usize], local.vertices[writer as usize]);
        if back & WR != 0 {
            add(Finer::FracturedRead, vec![(u, RW), (v, WR)]);
            let missed = super::steps::last_missing(dependencies, u, v);
            let saw = super::steps::first_seeing(dependencies, u, v);
            if let (Some(missed), Some(saw)) = (missed, saw)
                && saw < missed
            {
                add(Finer::ObservedVanishes, vec![(u, RW), (v, WR)]);
            }
        }
        if back != 0 {
            let relation = if back & WR != 0 { WR } else { WW };
            add(Finer::UpdateAtomic, vec![(u, RW), (v, relation)]);
        }
    }
    out
}

/// A transaction that saw the effect of another at one step, and at a later one missed what that depends on.
fn monotonic(dependencies: &Dependencies<'_>, local: &Local, levels: &[u32], down: &[(u32, u32)]) -> Option<Cycle> {
    let mut effort = Effort { left: EFFORT };
    let mut search = Search::default();
    for &(reader, writer) in down {
        let (u, v) = (local.vertices[reader as usize], local.vertices[writer as usize]);
        let Some(missed) = super::steps::last_missing(dependencies, u, v) else { continue };
        // Every transaction whose effect `u` saw earlier, and that depends on `v`.
        let mut seen: Vec<u32> = Vec::new();
        dependencies.predecessors(u, WW | WR, &mut |from, _| {
            if let Ok(at) = local.vertices.binary_search(&from)
                && levels[at] >= levels[writer as usize]
                && super::steps::first_depending(dependencies, u, from).is_some_and(|step| step < missed)
            {
                seen.push(at as u32);
            }
        });
        if seen.contains(&writer) {
            let relation = bits(usable(local.between(writer, reader), WW | WR | INFERRED)).last().unwrap_or(WR);
            return Some(Cycle { edges: vec![(u, RW), (v, relation)] });
        }
        if seen.is_empty() {
            continue;
        }
        if effort.left == 0 {
            effort.left = EFFORT;
        }
        let wanted = Wanted {
            from: (writer, 0),
            to: reader,
            accept: 1,
            allowed: WW | WR | INFERRED,
            rule: any,
            shorter_than: u32::MAX,
            within: &|vertex| levels[vertex as usize] < levels[reader as usize],
            enter: &|vertex| seen.contains(&vertex),
        };
        if let Some(walk) = search.walk(local, &wanted, &mut effort) {
            return Some(cycle(local, &closed(walk)));
        }
    }
    None
}

/// A cycle with an anti-dependency whose transactions all write, but at most one.
fn update(dependencies: &Dependencies<'_>, part: &Part<'_, '_>, levels: &[u32], down: &[(u32, u32)]) -> Option<Cycle> {
    let local = part.local;
    let writes: Vec<bool> =
        local.vertices.iter().map(|&txn| dependencies.txns.steps_of(txn).iter().any(|step| step.writes())).collect();
    let allowed = DATA | INFERRED;
    let mut starts: Vec<(u32, u32)> = down.to_vec();
    // A transaction that only reads is left by anti-dependencies alone; the one that leads down may be another's.
    for from in (0..local.len() as u32).filter(|&from| !writes[from as usize]) {
        starts.extend(local.out(from).iter().filter(|edge| edge.mask & RW != 0).map(|edge| (from, edge.to)));
    }
    starts.sort_unstable_by_key(|&(from, to)| levels[from as usize].abs_diff(levels[to as usize]));
    starts.dedup();
    let starts = starts.into_iter().filter(|&(_, to)| writes[to as usize]);
    let found = shortest_closed(local, starts, |search, (from, to), shorter_than, effort| {
        let wanted = Wanted {
            from: (to, 0),
            to: from,
            accept: 1,
            allowed,
            rule: any,
            shorter_than,
            within: &|vertex| writes[vertex as usize],
            enter: &|_| true,
        };
        search.walk(local, &wanted, effort)
    });
    found.map(|(walk, _)| cycle(local, &walk))
}
