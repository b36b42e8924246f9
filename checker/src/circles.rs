//! Demands that run in a circle.
//!
//! A read of a register demands that everything it must have seen counts before what it returned. Each session is judged with an
//! order of its own: only if *its* demands, together with what is known in any case, close a circle is its guarantee broken. If the
//! circle needs the demands of several sessions, there is no single order, which is another finding.
//!
//! One pass over everybody's demands at once finds the components that hold any circle, most often none; only those are looked at
//! session by session. Of the demands in a session's circle, those that point back to a write that the session had met before are
//! the violations; each circle has at least one.

use crate::facts::Facts;
use crate::graph::{Arrow, Graph};
use crate::intern::FastMap;
use crate::visibility::Demand;

/// A demand that closes a circle.
#[derive(Clone, Debug)]
pub(crate) struct Circle {
    /// The part of the read whose demand closes it; none where what is known in any case is a circle of itself.
    pub(crate) part: Option<u32>,
    /// The write that would have to count first.
    pub(crate) from: u32,
    /// The write that the read returned.
    pub(crate) to: u32,
    /// From `to` back to `from`. A tag below [`KNOWN`] is the position of the demand, any other names what is known.
    pub(crate) path: Vec<Arrow>,
}

/// The first tag that is not a demand.
pub(crate) const KNOWN: u32 = 0xffff_ff00;

/// What was found.
#[derive(Default)]
pub(crate) struct Circles {
    /// Circles within one actor's demands.
    pub(crate) own: Vec<Circle>,
    /// Circles that only several actors together close.
    pub(crate) together: Vec<Circle>,
}

/// How many shortest circles are looked for; of the others only the reads are counted.
const PATHS: usize = 8;

/// Looks for circles among `demands` (those from `offset` on are considered, tags count from 0) and `known` arrows over the
/// same writes. `actor` tells whose a demand is.
pub(crate) fn find(demands: &[Demand], offset: usize, known: &[Arrow], actor: impl Fn(&Demand) -> u32) -> Circles {
    let mut found = Circles::default();
    if demands.len() == offset && known.is_empty() {
        return found;
    }
    let mut dense: FastMap<u32, u32> = FastMap::default();
    let mut names: Vec<u32> = Vec::new();
    let mut id = |write: u32| {
        *dense.entry(write).or_insert_with(|| {
            names.push(write);
            names.len() as u32 - 1
        })
    };
    let mut all: Vec<Arrow> =
        known.iter().map(|arrow| Arrow { from: id(arrow.from), to: id(arrow.to), tag: arrow.tag }).collect();
    for (at, demand) in demands.iter().enumerate().skip(offset) {
        all.push(Arrow { from: id(demand.from), to: id(demand.to), tag: at as u32 });
    }
    let components = Graph::new(names.len(), &all).components();
    if !components.any_cycle() {
        return found;
    }
    let inside: Vec<Arrow> = all.into_iter().filter(|arrow| components.together(arrow.from, arrow.to)).collect();
    let (base, asked): (Vec<Arrow>, Vec<Arrow>) = inside.iter().partition(|arrow| arrow.tag >= KNOWN);
    let mut by_actor: FastMap<u32, Vec<Arrow>> = FastMap::default();
    for arrow in &asked {
        by_actor.entry(actor(&demands[arrow.tag as usize])).or_default().push(*arrow);
    }
    let mut actors: Vec<u32> = by_actor.keys().copied().collect();
    actors.sort_unstable();
    if base_circle(names.len(), &base, &mut found) {
        rename(&mut found.own, &names);
        return found;
    }
    for actor in actors {
        one_actor(&base, &by_actor[&actor], demands, &mut found.own);
    }
    if found.own.is_empty() {
        one_actor(&base, &asked, demands, &mut found.together);
    }
    rename(&mut found.own, &names);
    rename(&mut found.together, &names);
    found
}

/// The keys of which some of `chains` lie in a circle of `demands`, `known` and `chains`. Demands of other keys that point along chains lie in none, and
/// what those keys demand in particular takes no circle away from them.
pub(crate) fn touched(facts: &Facts, demands: &[Demand], known: &[Arrow], chains: &[(u32, u32)]) -> Vec<usize> {
    if chains.is_empty() {
        return Vec::new();
    }
    let arrow = |from: u32, to: u32| Arrow { from, to, tag: 0 };
    let mut all: Vec<Arrow> = chains.iter().map(|&(from, to)| arrow(from, to)).collect();
    all.extend(known.iter().map(|known| arrow(known.from, known.to)));
    all.extend(demands.iter().map(|demand| arrow(demand.from, demand.to)));
    // Writes count up from 0, moments down from the largest number.
    let ends = || all.iter().flat_map(|arrow| [arrow.from, arrow.to]);
    let writes = ends().filter(|&node| node <= u32::MAX / 2).max().map_or(0, |node| node + 1);
    let moments = ends().filter(|&node| node > u32::MAX / 2).map(|node| u32::MAX - node + 1).max().unwrap_or(0);
    let id = |node: u32| if node < writes { node } else { writes + (u32::MAX - node) };
    for arrow in &mut all {
        (arrow.from, arrow.to) = (id(arrow.from), id(arrow.to));
    }
    let components = Graph::new((writes + moments) as usize, &all).components();
    let within = |arrow: &Arrow| components.together(arrow.from, arrow.to);
    let inside = chains.iter().zip(&all).filter(|(_, arrow)| within(arrow));
    let mut keys: Vec<usize> = inside.map(|((write, _), _)| facts.writes[*write as usize].key as usize).collect();
    keys.dedup();
    keys
}

/// Whether what is known contradicts itself, without any demand.
fn base_circle(nodes: usize, base: &[Arrow], found: &mut Circles) -> bool {
    if base.is_empty() {
        return false;
    }
    let graph = Graph::new(nodes, base);
    let components = graph.components();
    let mut told: FastMap<u32, ()> = FastMap::default();
    for arrow in base {
        let component = components.of[arrow.from as usize];
        if components.together(arrow.from, arrow.to) && told.insert(component, ()).is_none() {
            let within = |node: u32| components.of[node as usize] == component;
            let path = graph.path(arrow.to, arrow.from, within).unwrap_or_default();
            let closing = std::iter::once(*arrow).chain(path).collect();
            found.own.push(Circle { part: None, from: arrow.from, to: arrow.from, path: closing });
        }
    }
    !found.own.is_empty()
}

fn one_actor(base: &[Arrow], asked: &[Arrow], demands: &[Demand], circles: &mut Vec<Circle>) {
    let mut dense: FastMap<u32, u32> = FastMap::default();
    let mut names: Vec<u32> = Vec::new();
    let mut id = |node: u32| {
        *dense.entry(node).or_insert_with(|| {
            names.push(node);
            names.len() as u32 - 1
        })
    };
    // Demands first, in time: a node's number tells when the actor first met it.
    let mut arrows: Vec<Arrow> =
        asked.iter().map(|arrow| Arrow { from: id(arrow.from), to: id(arrow.to), tag: arrow.tag }).collect();
    arrows.extend(base.iter().map(|arrow| Arrow { from: id(arrow.from), to: id(arrow.to), tag: arrow.tag }));
    let graph = Graph::new(names.len(), &arrows);
    let components = graph.components();
    if !components.any_cycle() {
        return;
    }
    let mut last_of: FastMap<u32, Arrow> = FastMap::default();
    let mut back: Vec<Arrow> = Vec::new();
    for arrow in arrows[..asked.len()].iter().filter(|arrow| components.together(arrow.from, arrow.to)) {
        let component = components.of[arrow.from as usize];
        if arrow.to < arrow.from {
            back.push(*arrow);
            last_of.insert(component, Arrow { from: crate::facts::NONE, ..*arrow });
        } else if last_of.get(&component).is_none_or(|last| last.from != crate::facts::NONE) {
            last_of.insert(component, *arrow);
        }
    }
    back.extend(last_of.into_values().filter(|arrow| arrow.from != crate::facts::NONE));
    back.sort_unstable_by_key(|arrow| arrow.tag);
    for (at, arrow) in back.into_iter().enumerate() {
        let component = components.of[arrow.from as usize];
        let within = |node: u32| components.of[node as usize] == component;
        let path = if at < PATHS { graph.path(arrow.to, arrow.from, within).unwrap_or_default() } else { Vec::new() };
        let path = path
            .into_iter()
            .map(|step| Arrow { from: names[step.from as usize], to: names[step.to as usize], tag: step.tag })
            .collect();
        let (from, to) = (names[arrow.from as usize], names[arrow.to as usize]);
        circles.push(Circle { part: Some(demands[arrow.tag as usize].part), from, to, path });
    }
}

fn rename(circles: &mut [Circle], names: &[u32]) {
    for circle in circles {
        circle.from = names[circle.from as usize];
        circle.to = names[circle.to as usize];
        for arrow in &mut circle.path {
            arrow.from = names[arrow.from as usize];
            arrow.to = names[arrow.to as usize];
        }
    }
}
