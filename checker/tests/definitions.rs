//! The fast procedures against the definitions themselves, on small histories.
//!
//! The definition: a guarantee holds if some `vis` (for each read a set of writes that were invoked before it completed) and some `ar` (an
//! order of the writes) explain every value and satisfy the condition. Here both are simply searched, for each session on its own. The code
//! shares nothing with the crate's.

use gainsay_checker::{Action, Atom, Event, Function, History, Kind, OpEvent, Options, Process, Reading, Step, Vacuity, Verdict, judge};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One operation of a small world.
#[derive(Clone, Debug)]
struct Tiny {
    session: usize,
    from: u64,
    to: u64,
    known: bool,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Write { key: usize, value: i64 },
    Delete { key: usize },
    /// Key and value, `None` for nil.
    Read(Vec<(usize, Option<i64>)>),
    Append { key: usize, value: i64 },
    ReadList(Vec<(usize, Vec<i64>)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guarantee {
    ReadYourWrites,
    MonotonicReads,
    MonotonicWrites,
    WritesFollowReads,
}

use Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};

fn is_write(op: &Tiny) -> bool {
    !matches!(op.what, What::Read(_) | What::ReadList(_))
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
        _ => true,
    }
}

/// Whether the guarantee holds for session `judged`, by search.
fn holds(ops: &[Tiny], guarantee: Guarantee, judged: usize) -> bool {
    let writes: Vec<usize> = (0..ops.len()).filter(|&i| is_write(&ops[i])).collect();
    let reads: Vec<usize> = (0..ops.len()).filter(|&i| !is_write(&ops[i])).collect();
    let mut found = false;
    permute(&mut writes.clone(), 0, &mut |ar| {
        if !found && assign(ops, guarantee, judged, ar, &writes, &reads, 0, &mut vec![0; ops.len()]) {
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
                && matches!(ops[w].what, What::Write { key: k, value: v } | What::Append { key: k, value: v } if k == key && v == value)
        })
    };
    match &ops[read].what {
        What::Read(parts) => parts.iter().all(|(key, value)| value.is_none_or(|value| visible(*key, value))),
        What::ReadList(parts) => parts.iter().all(|(key, list)| list.iter().all(|&value| visible(*key, value))),
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
    let place = |write: usize| ar.iter().position(|&w| w == write).unwrap();
    let mine = |read: usize| ops[read].session == judged;
    match guarantee {
        ReadYourWrites => reads.iter().filter(|&&r| mine(r)).all(|&r| {
            writes.iter().all(|&w| !before(&ops[w], &ops[r]) || vis[r] >> w & 1 == 1)
        }),
        MonotonicReads => reads.iter().filter(|&&r| mine(r)).all(|&r| {
            reads.iter().all(|&earlier| !before(&ops[earlier], &ops[r]) || vis[earlier] & !vis[r] == 0)
        }),
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

fn history(ops: &[Tiny]) -> History {
    let mut events: Vec<(u64, u8, OpEvent)> = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        let key = |key: usize| Atom::Int(key as i64);
        let step = |k: usize, action| Step { key: key(k), action };
        let (function, steps): (Function, Vec<Step>) = match &op.what {
            What::Write { key, value } => (Function::Write, vec![step(*key, Action::Write((*value).into()))]),
            What::Delete { key } => (Function::Delete, vec![step(*key, Action::Delete)]),
            What::Append { key, value } => (Function::Append, vec![step(*key, Action::Append((*value).into()))]),
            What::Read(parts) => {
                let reading = |value: Option<i64>| value.map_or(Reading::Nil, |value| Reading::One(value.into()));
                let steps = parts.iter().map(|(k, value)| step(*k, Action::Read(Some(reading(*value))))).collect();
                (Function::Txn, steps)
            }
            What::ReadList(parts) => {
                let list = |list: &[i64]| Reading::Many(list.iter().map(|&value| value.into()).collect());
                (Function::Txn, parts.iter().map(|(k, it)| step(*k, Action::Read(Some(list(it))))).collect())
            }
        };
        let mut event = OpEvent {
            index: 0,
            time: op.from,
            intended: None,
            kind: Kind::Invoke,
            process: Process(number as u64),
            function,
            steps: steps.into_iter().collect(),
            session: Some(Atom::Int(op.session as i64)),
            user: None,
            node: None,
            version: None,
            error: None,
            last: false,
        };
        events.push((op.from, 0, event.clone()));
        event.kind = if op.known { Kind::Ok } else { Kind::Info };
        event.time = op.to;
        events.push((op.to, 1, event));
    }
    events.sort_by_key(|(time, class, _)| (*time, *class));
    let events = events.into_iter().enumerate().map(|(index, (_, _, mut event))| {
        event.index = index as u64;
        Event::Op(event)
    });
    History::from_events(events).unwrap()
}

/// What a drawing of a counterexample shows.
fn compare(ops: &[Tiny]) -> (bool, u32) {
    let history = history(ops);
    let judgement = judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() });
    let verdict = |name: &str| {
        let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
        !matches!(finding.outcome, Verdict::Broken { .. })
    };
    if !verdict("explainable") {
        return (false, 0);
    }
    let sessions = ops.iter().map(|op| op.session).max().unwrap_or(0) + 1;
    let mut broken = 0;
    for (guarantee, name) in [
        (ReadYourWrites, "read-your-writes"),
        (MonotonicReads, "monotonic-reads"),
        (MonotonicWrites, "monotonic-writes"),
        (WritesFollowReads, "writes-follow-reads"),
    ] {
        let truth = (0..sessions).all(|session| holds(ops, guarantee, session));
        let said = verdict(name);
        assert_eq!(said, truth, "{name}: the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += u32::from(!truth);
    }
    (true, broken)
}

/// Session of each operation and its times: sequential in each session, overlapping between sessions.
fn times(rng: &mut ChaCha8Rng, count: usize, sessions: usize) -> Vec<Tiny> {
    let mut clock = vec![0_u64; sessions];
    let mut ops: Vec<Tiny> = (0..count)
        .map(|_| {
            let session = rng.random_range(0..sessions);
            let from = clock[session] + 1 + rng.random_range(0..3);
            let to = from + 1 + rng.random_range(0..4);
            clock[session] = to;
            Tiny { session, from, to, known: true, what: What::Read(vec![]) }
        })
        .collect();
    ops.sort_by_key(|op| op.from);
    ops
}

fn registers(rng: &mut ChaCha8Rng, count: usize, deletes: u32) -> Vec<Tiny> {
    let (sessions, keys) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let mut ops = times(rng, count, sessions);
    let mut written = vec![Vec::new(); keys];
    for (value, op) in ops.iter_mut().enumerate() {
        let key = rng.random_range(0..keys);
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(5, 6);
            op.what = if rng.random_ratio(deletes, 10) {
                What::Delete { key }
            } else {
                written[key].push(value as i64);
                What::Write { key, value: value as i64 }
            };
        }
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let pick = |rng: &mut ChaCha8Rng, key: usize| {
            let at = rng.random_range(0..=written[key].len());
            (key, written[key].get(at).copied())
        };
        let first = pick(rng, 0);
        op.what = What::Read(match keys {
            1 => vec![first],
            _ if rng.random_ratio(1, 2) => {
                let second = pick(rng, 1);
                vec![first, second]
            },
            _ if rng.random_ratio(1, 2) => vec![pick(rng, 1)],
            _ => vec![first],
        });
    }
    ops
}

fn lists(rng: &mut ChaCha8Rng, count: usize) -> Vec<Tiny> {
    let (sessions, keys) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let mut ops = times(rng, count, sessions);
    let mut written = vec![Vec::new(); keys];
    for (value, op) in ops.iter_mut().enumerate() {
        let key = rng.random_range(0..keys);
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(5, 6);
            op.what = What::Append { key, value: value as i64 };
            written[key].push(value as i64);
        }
    }
    // Mostly the order of appending, sometimes another, sometimes something left out.
    if rng.random_ratio(1, 3) {
        written.iter_mut().for_each(|list| list.reverse());
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let pick = |rng: &mut ChaCha8Rng, key: usize| {
            let length = rng.random_range(0..=written[key].len());
            let mut list = written[key][..length].to_vec();
            if rng.random_ratio(1, 6) && !list.is_empty() {
                list.remove(rng.random_range(0..list.len()));
            }
            (key, list)
        };
        let first = pick(rng, 0);
        op.what = What::ReadList(match keys {
            1 => vec![first],
            _ if rng.random_ratio(1, 2) => {
                let second = pick(rng, 1);
                vec![first, second]
            },
            _ => vec![pick(rng, 1)],
        });
    }
    ops
}

fn sample(count: usize, make: impl Fn(&mut ChaCha8Rng) -> Vec<Tiny>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut judged, mut broken) = (0, 0);
    for _ in 0..count {
        let (sound, violations) = compare(&make(&mut rng));
        judged += u32::from(sound);
        broken += violations;
    }
    assert!(judged as usize > count / 4 && broken as usize > count / 20, "{judged} judged, {broken} broken");
}

#[test]
fn registers_agree_with_the_definitions() {
    sample(30_000, |rng| {
        let count = rng.random_range(2..=6);
        registers(rng, count, 0)
    });
}

#[test]
fn lists_agree_with_the_definitions() {
    sample(30_000, |rng| {
        let count = rng.random_range(2..=6);
        lists(rng, count)
    });
}

/// Deletes are judged by stand-ins: no alarm may be false, and the plain cases must be found.
#[test]
fn deletes_never_raise_a_false_alarm() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..15_000 {
        let count = rng.random_range(2..=5);
        let ops = registers(&mut rng, count, 4);
        let judgement = judge(&history(&ops), &Options { vacuity: Vacuity::Shown, ..Options::default() });
        for (guarantee, name) in [(ReadYourWrites, "read-your-writes"), (MonotonicReads, "monotonic-reads"), (MonotonicWrites, "monotonic-writes"), (WritesFollowReads, "writes-follow-reads")] {
            let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
            if matches!(finding.outcome, Verdict::Broken { .. }) {
                assert!((0..3).any(|session| !holds(&ops, guarantee, session)), "{name} is a false alarm: {ops:#?}");
            }
        }
    }
}
