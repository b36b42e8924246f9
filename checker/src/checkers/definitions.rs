//! The measure of the guarantees of sessions: their definitions, searched.
//!
//! A guarantee holds if some `vis` (for each read a set of writes that were invoked before it completed) and some `ar` (an order of the
//! writes) explain every value and satisfy the condition (Viotti & Vukolić 2016), for each session on its own. Both are simply tried. Nothing
//! is shared with the checkers but the histories.

pub mod lost;
pub mod tiny;

use tiny::{Tiny, What};

/// A guarantee of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // They are what they are called.
pub enum Guarantee {
    ReadYourWrites,
    MonotonicReads,
    MonotonicWrites,
    WritesFollowReads,
}

use Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};

/// Whether it writes.
pub fn is_write(op: &Tiny) -> bool {
    !matches!(op.what, What::Read(_) | What::ReadList(_) | What::ReadSet(_))
}

fn before(a: &Tiny, b: &Tiny) -> bool {
    a.session == b.session && a.known && a.to < b.from
}

/// Whether `vis` (a set of positions in `writes`) under the order `ar` explains what the read returned.
fn explains(ops: &[Tiny], read: &Tiny, ar: &[usize], vis: u32) -> bool {
    match &read.what {
        What::Read(parts) => parts.iter().all(|(key, value)| {
            let last = ar.iter().rev().find(|&&write| {
                vis >> write & 1 == 1
                    && matches!(&ops[write].what, What::Write { key: k, .. } | What::Delete { key: k } if k == key)
            });
            let held = last.and_then(|&write| match ops[write].what {
                What::Write { value, .. } => Some(value),
                _ => None,
            });
            held == *value
        }),
        What::ReadList(parts) => parts.iter().all(|(key, list)| {
            let held: Vec<i64> = ar
                .iter()
                .filter(|&&write| vis >> write & 1 == 1)
                .filter_map(|&write| match ops[write].what {
                    What::Append { key: k, value } if k == *key => Some(value),
                    _ => None,
                })
                .collect();
            held == *list
        }),
        What::ReadSet(parts) => parts.iter().all(|(key, set)| {
            let mut held: Vec<i64> = Vec::new();
            for &write in ar.iter().filter(|&&write| vis >> write & 1 == 1) {
                match ops[write].what {
                    What::Add { key: k, value } if k == *key => held.push(value),
                    What::Remove { key: k, value } if k == *key => held.retain(|&it| it != value),
                    _ => {}
                }
            }
            held.sort_unstable();
            let mut set = set.clone();
            set.sort_unstable();
            held == set
        }),
        _ => true,
    }
}

/// What is known of the order of writes beside what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    Nothing,
    /// What was over before another began comes before it.
    RealTime,
}

/// Whether the order respects what is claimed and reported.
fn respects(ops: &[Tiny], claim: Claim, ar: &[usize]) -> bool {
    let key = |op: &Tiny| match op.what {
        What::Write { key, .. } | What::Delete { key } | What::Append { key, .. } => key,
        What::Add { key, .. } | What::Remove { key, .. } => key,
        _ => usize::MAX,
    };
    ar.iter().enumerate().all(|(at, &later)| {
        ar[..at].iter().all(|&earlier| {
            let (a, b) = (&ops[earlier], &ops[later]);
            let timed = claim == Claim::Nothing || !b.known || b.to >= a.from;
            let ranked = match (a.rank.filter(|_| a.known), b.rank.filter(|_| b.known)) {
                (Some(first), Some(second)) => key(a) != key(b) || first < second,
                _ => true,
            };
            timed && ranked
        })
    })
}

/// Whether the guarantee holds for session `judged`, by search. Cost: exponential; meant for eight operations.
pub fn holds(ops: &[Tiny], guarantee: Guarantee, judged: usize, claim: Claim) -> bool {
    let writes: Vec<usize> = (0..ops.len()).filter(|&i| is_write(&ops[i])).collect();
    let reads: Vec<usize> = (0..ops.len()).filter(|&i| !is_write(&ops[i])).collect();
    let mut found = false;
    permute(&mut writes.clone(), 0, &mut |ar| {
        if !found
            && respects(ops, claim, ar)
            && assign(ops, guarantee, judged, ar, &writes, &reads, 0, &mut vec![0; ops.len()])
        {
            found = true;
        }
    });
    found
}

fn permute(items: &mut Vec<usize>, at: usize, visit: &mut impl FnMut(&[usize])) {
    if at == items.len() {
        visit(items);
        return;
    }
    for i in at..items.len() {
        items.swap(at, i);
        permute(items, at + 1, visit);
        items.swap(at, i);
    }
}

#[allow(clippy::too_many_arguments)]
fn assign(
    ops: &[Tiny],
    guarantee: Guarantee,
    judged: usize,
    ar: &[usize],
    writes: &[usize],
    reads: &[usize],
    at: usize,
    vis: &mut Vec<u32>,
) -> bool {
    let Some(&read) = reads.get(at) else { return satisfied(ops, guarantee, judged, ar, writes, reads, vis) };
    let possible: Vec<usize> = writes.iter().copied().filter(|&w| ops[w].from <= ops[read].to).collect();
    for mask in 0..1_u32 << possible.len() {
        let set = possible.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).fold(0, |set, (_, &w)| set | 1 << w);
        // The reads of other sessions have values too, but only their own sessions judge the order that these imply: here they show
        // just which writes they took into account.
        let fits = if ops[read].session == judged { explains(ops, &ops[read], ar, set) } else { shows(ops, read, set) };
        if fits {
            vis[read] = set;
            if assign(ops, guarantee, judged, ar, writes, reads, at + 1, vis) {
                return true;
            }
        }
    }
    false
}

/// For a read of another session: what it returned is visible to it (nothing said of the order).
fn shows(ops: &[Tiny], read: usize, set: u32) -> bool {
    let visible = |key: usize, value: i64| {
        (0..ops.len()).any(|w| {
            set >> w & 1 == 1
                && matches!(ops[w].what, What::Write { key: k, value: v } | What::Append { key: k, value: v } | What::Add { key: k, value: v } if k == key && v == value)
        })
    };
    match &ops[read].what {
        What::Read(parts) => parts.iter().all(|(key, value)| value.is_none_or(|value| visible(*key, value))),
        What::ReadList(parts) | What::ReadSet(parts) => {
            parts.iter().all(|(key, list)| list.iter().all(|&value| visible(*key, value)))
        }
        _ => true,
    }
}

fn satisfied(
    ops: &[Tiny],
    guarantee: Guarantee,
    judged: usize,
    ar: &[usize],
    writes: &[usize],
    reads: &[usize],
    vis: &[u32],
) -> bool {
    let place = |write: usize| ar.iter().position(|&w| w == write).expect("every write is in the order");
    let mine = |read: usize| ops[read].session == judged;
    match guarantee {
        ReadYourWrites => reads
            .iter()
            .filter(|&&r| mine(r))
            .all(|&r| writes.iter().all(|&w| !before(&ops[w], &ops[r]) || vis[r] >> w & 1 == 1)),
        MonotonicReads => reads
            .iter()
            .filter(|&&r| mine(r))
            .all(|&r| reads.iter().all(|&earlier| !before(&ops[earlier], &ops[r]) || vis[earlier] & !vis[r] == 0)),
        MonotonicWrites => writes.iter().all(|&second| {
            writes.iter().filter(|&&first| first != second && before(&ops[first], &ops[second])).all(|&first| {
                place(first) < place(second)
                    && reads.iter().all(|&r| vis[r] >> second & 1 == 0 || vis[r] >> first & 1 == 1)
            })
        }),
        WritesFollowReads => writes.iter().all(|&w| {
            reads.iter().filter(|&&read| before(&ops[read], &ops[w])).all(|&read| {
                writes.iter().filter(|&&seen| vis[read] >> seen & 1 == 1).all(|&seen| {
                    place(seen) < place(w) && reads.iter().all(|&r| vis[r] >> w & 1 == 0 || vis[r] >> seen & 1 == 1)
                })
            })
        }),
    }
}

/// Whether one order of all writes exists of which every read sees a beginning; where `grows`, later reads of a session see no shorter one.
pub fn prefix_holds(ops: &[Tiny], grows: bool, claim: Claim) -> bool {
    let mut writes: Vec<usize> = (0..ops.len()).filter(|&i| is_write(&ops[i])).collect();
    let reads: Vec<usize> = (0..ops.len()).filter(|&i| !is_write(&ops[i])).collect();
    let mut found = false;
    permute(&mut writes, 0, &mut |ar| {
        let place = |write: usize| ar.iter().position(|&w| w == write).expect("every write is in the order");
        let ordered = ar.iter().all(|&a| ar.iter().all(|&b| !before(&ops[a], &ops[b]) || place(a) < place(b)));
        if found || !ordered || !respects(ops, claim, ar) {
            return;
        }
        let mut seen = vec![0_usize; ops.len()];
        found = reads.iter().all(|&r| {
            let least =
                reads.iter().filter(|&&e| grows && before(&ops[e], &ops[r])).map(|&e| seen[e]).max().unwrap_or(0);
            let fits = (least..=ar.len()).find(|&length| {
                let vis = ar[..length].iter().fold(0, |set, &w| set | 1 << w);
                ar[..length].iter().all(|&w| ops[w].from <= ops[r].to) && explains(ops, &ops[r], ar, vis)
            });
            seen[r] = fits.unwrap_or(0);
            fits.is_some()
        });
    });
    found
}
