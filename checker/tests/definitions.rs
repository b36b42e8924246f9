//! The fast procedures against the definitions themselves, on small histories.
//!
//! The definition: a guarantee holds if some `vis` (for each read a set of writes that were invoked before it completed) and some `ar` (an
//! order of the writes) explain every value and satisfy the condition. Here both are simply searched, for each session on its own. The code
//! shares nothing with the crate's.

mod drawing;
mod tiny;

use gainsay_checker::{Options, Vacuity, Verdict, judge};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tiny::{Tiny, What, history, times};

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

/// What is known of the order of writes beside what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Nothing,
    RealTime,
}

/// Whether the order respects what is claimed and reported.
fn respects(ops: &[Tiny], claim: Claim, ar: &[usize]) -> bool {
    let key = |op: &Tiny| match op.what {
        What::Write { key, .. } | What::Delete { key } | What::Append { key, .. } => key,
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

/// Whether the guarantee holds for session `judged`, by search.
fn holds(ops: &[Tiny], guarantee: Guarantee, judged: usize, claim: Claim) -> bool {
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

/// What a drawing of a counterexample shows.
fn compare(ops: &[Tiny], claim: Claim) -> (bool, u32) {
    let mut history = history(ops);
    if claim == Claim::RealTime {
        history.meta = drawing::draw("order: real-time\n").history.meta;
        history.meta.as_mut().unwrap().guarantees = vec!["all".into()];
    }
    let judgement = judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() });
    let verdict = |name: &str| {
        let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
        assert!(!matches!(finding.outcome, Verdict::Unknown { .. }), "{name} gave up on {ops:#?}");
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
        let truth = (0..sessions).all(|session| holds(ops, guarantee, session, claim));
        let said = verdict(name);
        assert_eq!(said, truth, "{name}: the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += u32::from(!truth);
    }
    for (grows, name) in [(false, "consistent-prefix"), (true, "monotonic-prefix")] {
        let truth = prefix_holds(ops, grows, claim);
        let said = verdict(name);
        assert_eq!(said, truth, "{name}: the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += u32::from(!truth);
    }
    (true, broken)
}

/// Whether one order of all writes exists of which every read sees a beginning; where `grows`, later reads of a session see no shorter one.
fn prefix_holds(ops: &[Tiny], grows: bool, claim: Claim) -> bool {
    let mut writes: Vec<usize> = (0..ops.len()).filter(|&i| is_write(&ops[i])).collect();
    let reads: Vec<usize> = (0..ops.len()).filter(|&i| !is_write(&ops[i])).collect();
    let mut found = false;
    permute(&mut writes, 0, &mut |ar| {
        let place = |write: usize| ar.iter().position(|&w| w == write).unwrap();
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
            }
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
            }
            _ => vec![pick(rng, 1)],
        });
    }
    ops
}

fn sample(count: usize, claim: Claim, make: impl Fn(&mut ChaCha8Rng) -> Vec<Tiny>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut judged, mut broken) = (0, 0);
    for _ in 0..count {
        let (sound, violations) = compare(&make(&mut rng), claim);
        judged += u32::from(sound);
        broken += violations;
    }
    assert!(judged as usize > count / 4 && broken as usize > count / 20, "{judged} judged, {broken} broken");
}

#[test]
fn registers_agree_with_the_definitions() {
    sample(15_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        registers(rng, count, 0)
    });
}

#[test]
fn lists_agree_with_the_definitions() {
    sample(15_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        lists(rng, count)
    });
}

/// Deletes are judged by stand-ins: no alarm may be false, and the plain cases must be found.
#[test]
fn deletes_never_raise_a_false_alarm() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..8_000 {
        let count = rng.random_range(2..=5);
        let ops = registers(&mut rng, count, 4);
        let judgement = judge(&history(&ops), &Options { vacuity: Vacuity::Shown, ..Options::default() });
        for (guarantee, name) in [
            (ReadYourWrites, "read-your-writes"),
            (MonotonicReads, "monotonic-reads"),
            (MonotonicWrites, "monotonic-writes"),
            (WritesFollowReads, "writes-follow-reads"),
        ] {
            let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
            if matches!(finding.outcome, Verdict::Broken { .. }) {
                assert!(
                    (0..3).any(|session| !holds(&ops, guarantee, session, Claim::Nothing)),
                    "{name} is a false alarm: {ops:#?}"
                );
            }
        }
    }
}

#[test]
fn registers_agree_where_real_time_is_claimed() {
    sample(8_000, Claim::RealTime, |rng| {
        let count = rng.random_range(2..=6);
        registers(rng, count, 0)
    });
}

#[test]
fn registers_agree_where_positions_are_reported() {
    sample(8_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        let mut ops = registers(rng, count, 0);
        let mut ranks: Vec<u64> = (1..=ops.len() as u64).collect();
        ranks.shuffle(rng);
        for (op, rank) in ops.iter_mut().zip(ranks).filter(|(op, _)| is_write(op)) {
            op.rank = Some(rank);
        }
        ops
    });
}
