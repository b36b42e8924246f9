//! Plans which fault strikes when and whom, from a seed alone.
//!
//! Chance without memory often spares the leader or leaves out a kind in a short run. So faults are dealt from a shuffled
//! deck that holds every kind twice, once against the leader and once against somebody else; the roles alternate. A run
//! that has room for the whole deck has done everything once, a longer one deals again.

use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::Error;
use crate::faults;
use crate::schedule::{Params, Plan, Planned, Schedule, Shape, Targets, Victims};

/// The load runs alone for this long.
const FIRST_MS: u64 = 1_000;
/// Every fault is over this long before the load ends.
const TAIL_MS: u64 = 500;
/// From one onset to the next, in runs of up to a minute.
const INTERVAL_MS: u64 = 3_500;
/// Onsets come no closer than this, however short the run: a fault and the calm after it.
const CLOSEST_MS: u64 = SHORTEST_MS + CALM_MS;
/// Onsets come no further apart than this, however long the run, unless the caller wishes so.
const WIDEST_MS: u64 = 15_000;
/// No fault is shorter: an election takes about a second.
const SHORTEST_MS: u64 = 1_200;
/// The least calm between two faults.
const CALM_MS: u64 = 400;
/// Runs longer than this have wider intervals.
const LONG_RUN_MS: u64 = 60_000;
/// The share of an interval that a fault takes: this many in `SHARE_OF`.
const SHARE: u64 = 4;
/// See `SHARE`.
const SHARE_OF: u64 = 7;
/// Clock offsets are 1.5 to the power of these; smaller ones cannot be told from the time that measuring takes.
const CLOCK_POWERS: std::ops::RangeInclusive<i32> = 12..=31;
/// How many nodes a ring of overlapping majorities needs.
const SMALLEST_RING: usize = 4;

/// Plans a schedule. The same plan gives the same schedule, always.
pub fn plan(plan: &Plan) -> Result<Schedule, Error> {
    for kind in &plan.kinds {
        faults::find(kind)?;
    }
    let mut schedule = Schedule::empty(plan.seed);
    if plan.kinds.is_empty() {
        return Ok(schedule);
    }
    if plan.nodes.is_empty() {
        return Err(Error("faults are asked for, but there is no node to strike".into()));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let beat = Beat::of(plan)?;
    let mut deck = Deck { kinds: &plan.kinds, cards: Vec::new(), last: None };
    for nth in 0..beat.count {
        let (kind, aim) = deck.deal(&mut rng);
        let latest = beat.interval - beat.lasts - CALM_MS;
        let sway = if latest == 0 { 0 } else { rng.random_range(0..=latest.min(beat.interval / 10)) };
        let victims = match kind.as_str() {
            // Leadership goes to one that does not have it.
            "switchover" => victims(&Plan { targets: Targets::One, ..plan.clone() }, Aim::Other, &mut rng),
            _ => victims(plan, aim, &mut rng),
        };
        schedule.faults.push(Planned {
            id: nth + 1,
            params: params(&kind, plan, &victims, &mut rng),
            kind,
            at_ms: beat.first + nth * beat.interval + sway,
            lasts_ms: beat.lasts,
            victims,
        });
    }
    Ok(schedule)
}

/// When faults begin and how long they last.
struct Beat {
    first: u64,
    interval: u64,
    lasts: u64,
    count: u64,
}

impl Beat {
    fn of(plan: &Plan) -> Result<Beat, Error> {
        let limit = plan.time_limit.as_millis() as u64;
        let first = FIRST_MS.min(limit / 8);
        let room = limit.saturating_sub(first + TAIL_MS);
        if room < SHORTEST_MS {
            let least = Duration::from_millis(SHORTEST_MS + TAIL_MS).as_secs_f64() * 8.0 / 7.0;
            return Err(Error(format!(
                "a time limit of {:.1} s leaves no room for a fault: at least {least:.1} s are needed",
                plan.time_limit.as_secs_f64()
            )));
        }
        let interval = match plan.interval {
            Some(interval) => (interval.as_millis() as u64).max(CLOSEST_MS),
            None if limit > LONG_RUN_MS => {
                let stretch = (limit as f64 / LONG_RUN_MS as f64).sqrt();
                ((INTERVAL_MS as f64 * stretch) as u64).min(WIDEST_MS)
            }
            None => {
                let whole_deck = 2 * plan.kinds.len() as u64;
                (room / whole_deck).clamp(CLOSEST_MS, INTERVAL_MS)
            }
        };
        let lasts = (interval * SHARE / SHARE_OF).clamp(SHORTEST_MS, (interval - CALM_MS).min(room).max(SHORTEST_MS));
        // The last onset may sway by a tenth of the interval, within the calm that follows it.
        let sway = (interval - lasts - CALM_MS).min(interval / 10);
        let count = room.saturating_sub(lasts + sway) / interval + 1;
        let fits = lasts + sway <= room;
        Ok(Beat { first, interval: if fits { interval } else { lasts + CALM_MS }, lasts, count })
    }
}

/// At whom a card is aimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Aim {
    Leader,
    Other,
}

/// Deals kinds and aims.
struct Deck<'a> {
    kinds: &'a [String],
    /// What is still to be dealt, the next card last.
    cards: Vec<(String, Aim)>,
    last: Option<String>,
}

impl Deck<'_> {
    fn deal(&mut self, rng: &mut ChaCha8Rng) -> (String, Aim) {
        if self.cards.is_empty() {
            self.cards = self.shuffled(rng);
        }
        let card = self.cards.pop().expect("a deck of at least one kind has just been shuffled");
        self.last = Some(card.0.clone());
        card
    }

    /// Two passes over all kinds. Roles alternate from the first card to the last, and the second pass gives each kind
    /// the role that the first did not.
    fn shuffled(&self, rng: &mut ChaCha8Rng) -> Vec<(String, Aim)> {
        let mut kinds = self.kinds.to_vec();
        kinds.shuffle(rng);
        if kinds.len() > 1 && self.last.as_ref() == kinds.first() {
            kinds.rotate_left(1);
        }
        let led: Vec<String> = kinds.iter().step_by(2).cloned().collect();
        let spared: Vec<String> = kinds.iter().skip(1).step_by(2).cloned().collect();
        let mut next_leader = spared.into_iter();
        let mut next_other = led.into_iter();
        let mut cards: Vec<(String, Aim)> = Vec::with_capacity(2 * kinds.len());
        for (at, kind) in kinds.iter().enumerate() {
            cards.push((kind.clone(), if at % 2 == 0 { Aim::Leader } else { Aim::Other }));
        }
        for at in kinds.len()..2 * kinds.len() {
            let (source, aim) =
                if at % 2 == 0 { (&mut next_leader, Aim::Leader) } else { (&mut next_other, Aim::Other) };
            cards.extend(source.next().map(|kind| (kind, aim)));
        }
        cards.reverse();
        cards
    }
}

/// Whom a card strikes.
fn victims(plan: &Plan, aim: Aim, rng: &mut ChaCha8Rng) -> Victims {
    let count = plan.nodes.len();
    let minority = (count - 1) / 2;
    let size = match plan.targets {
        Targets::All => return Victims::Nodes(plan.nodes.clone()),
        Targets::Primaries if plan.has_leader => return Victims::Leaders,
        Targets::One | Targets::Primaries => 1,
        Targets::Minority => minority.max(1),
        Targets::Majority => count / 2 + 1,
    };
    if !plan.has_leader {
        let mut names = plan.nodes.clone();
        names.shuffle(rng);
        names.truncate(size);
        names.sort_unstable();
        return Victims::Nodes(names);
    }
    match (aim, size) {
        (Aim::Leader, 1) => Victims::Leader,
        (Aim::Leader, n) => Victims::LeaderAnd(n - 1),
        (Aim::Other, 1) => Victims::Follower(rng.random_range(0..count.max(2) - 1)),
        (Aim::Other, n) => Victims::Followers(n),
    }
}

/// What a kind needs beside its victims.
fn params(kind: &str, plan: &Plan, victims: &Victims, rng: &mut ChaCha8Rng) -> Params {
    match kind {
        "partition" => Params::Partition(shape(plan, victims, rng)),
        "clock" => {
            let size = 1.5_f64.powi(rng.random_range(CLOCK_POWERS)) as i64;
            Params::Clock { offset_ms: if rng.random_bool(0.5) { size } else { -size } }
        }
        "packet" => {
            let delay_ms = rng.random_range(50..=400);
            Params::Packet { delay_ms, jitter_ms: delay_ms / 4, loss_percent: rng.random_range(0..=10), among: false }
        }
        // Small enough for a reader whose numbers are floating-point.
        "power" => Params::Power { seed: rng.random_range(0..1 << 32) },
        "restore" => Params::Restore { age_ms: rng.random_range(500..=1_000) },
        "disk-slow" => Params::Slow { delay_ms: rng.random_range(50..=400) },
        _ => Params::Nothing,
    }
}

fn shape(plan: &Plan, victims: &Victims, rng: &mut ChaCha8Rng) -> Shape {
    match plan.targets {
        Targets::All if plan.nodes.len() >= SMALLEST_RING => Shape::MajoritiesRing,
        Targets::Minority | Targets::Majority => Shape::Halves,
        _ if matches!(victims, Victims::Nodes(names) if names.len() > 1) => Shape::Isolate,
        _ => match rng.random_range(0..6) {
            0 => Shape::OneWayOut,
            1 => Shape::OneWayIn,
            _ => Shape::Isolate,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kinds: &[&str], targets: Targets, seconds: f64, seed: u64) -> Plan {
        Plan {
            kinds: kinds.iter().map(|k| k.to_string()).collect(),
            targets,
            nodes: vec!["n1".into(), "n2".into(), "n3".into()],
            time_limit: Duration::from_secs_f64(seconds),
            interval: None,
            seed,
            has_leader: true,
        }
    }

    const FOUR: [&str; 4] = ["partition", "kill", "pause", "clock"];
    const FIVE: [&str; 5] = ["partition", "kill", "pause", "clock", "packet"];

    #[test]
    fn the_same_plan_gives_the_same_schedule() {
        let one = plan(&ask(&FOUR, Targets::One, 30.0, 7)).expect("a plan");
        assert_eq!(one, plan(&ask(&FOUR, Targets::One, 30.0, 7)).expect("a plan"));
        assert_ne!(one, plan(&ask(&FOUR, Targets::One, 30.0, 8)).expect("a plan"));
        assert_eq!(one, Schedule::from_json(&one.to_json()).expect("its own JSON"));
    }

    #[test]
    fn half_a_minute_deals_the_whole_deck_of_four_kinds() {
        for seed in 0..200 {
            let faults = plan(&ask(&FOUR, Targets::One, 30.0, seed)).expect("a plan").faults;
            assert_eq!(faults.len(), 8);
            for kind in FOUR {
                let struck: Vec<&Victims> = faults.iter().filter(|f| f.kind == kind).map(|f| &f.victims).collect();
                assert!(struck.contains(&&Victims::Leader), "seed {seed}: {kind} spares the leader");
                assert!(
                    struck.iter().any(|v| matches!(v, Victims::Follower(_))),
                    "seed {seed}: {kind} spares the rest"
                );
            }
            for pair in faults.windows(2) {
                let leads = |f: &Planned| f.victims == Victims::Leader;
                assert_ne!(leads(&pair[0]), leads(&pair[1]), "seed {seed}: roles do not alternate");
            }
        }
    }

    #[test]
    fn faults_never_overlap_and_end_before_the_load_does() {
        for seed in 0..50 {
            for kinds in [&FIVE[..1], &FIVE[..3], &FIVE[..]] {
                for seconds in [2.0, 2.5, 3.0, 5.0, 8.0, 10.0, 15.0, 30.0, 47.3, 60.0, 600.0, 7_200.0] {
                    for interval in [None, Some(0.1), Some(2.0), Some(10.0), Some(500.0)] {
                        let interval = interval.map(Duration::from_secs_f64);
                        let ask = Plan { interval, ..ask(kinds, Targets::One, seconds, seed) };
                        check(&ask);
                    }
                }
            }
        }
    }

    fn check(ask: &Plan) {
        let faults = plan(ask).expect("a plan").faults;
        let limit = ask.time_limit.as_millis() as u64;
        assert!(!faults.is_empty(), "{ask:?}");
        let mut free = 0;
        for fault in &faults {
            assert!(fault.at_ms >= free, "{ask:?}: {fault:?} begins before {free}");
            assert!(fault.lasts_ms >= SHORTEST_MS, "{ask:?}: {fault:?}");
            free = fault.at_ms + fault.lasts_ms + CALM_MS;
            assert!(fault.at_ms + fault.lasts_ms + TAIL_MS <= limit, "{ask:?}: {fault:?}");
        }
    }

    #[test]
    fn leadership_is_given_to_one_node_that_does_not_have_it() {
        for targets in Targets::ALL {
            for fault in plan(&ask(&["switchover", "kill"], targets, 30.0, 5)).expect("a plan").faults {
                assert!(fault.kind != "switchover" || matches!(fault.victims, Victims::Follower(_)), "{fault:?}");
            }
        }
    }

    #[test]
    fn no_room_is_said_in_one_sentence() {
        let error = plan(&ask(&FOUR, Targets::One, 1.0, 0)).expect_err("too short").to_string();
        assert!(error.contains("1.0 s") && error.contains("at least"), "{error}");
        assert!(plan(&ask(&["flood"], Targets::One, 30.0, 0)).expect_err("unknown").to_string().contains("\"flood\""));
        assert!(plan(&ask(&[], Targets::One, 1.0, 0)).expect("no faults, no time").faults.is_empty());
    }

    #[test]
    fn a_database_without_a_leader_is_struck_by_name() {
        let ask = Plan { has_leader: false, ..ask(&FOUR, Targets::Minority, 30.0, 3) };
        for fault in plan(&ask).expect("a plan").faults {
            assert!(matches!(&fault.victims, Victims::Nodes(names) if names.len() == 1), "{fault:?}");
        }
    }

    #[test]
    fn clock_offsets_can_be_measured_and_stay_below_five_minutes() {
        for seed in 0..300 {
            for fault in plan(&ask(&["clock"], Targets::One, 60.0, seed)).expect("a plan").faults {
                let Params::Clock { offset_ms } = fault.params else { panic!("{fault:?}") };
                assert!((100..=288_000).contains(&offset_ms.abs()), "{offset_ms}");
            }
        }
    }
}
