//! What is done to both sides of a scenario: a pattern of strikes, repeated for as long as the load lasts.
//!
//! The seed moves each onset a little, so that different seeds meet the database in different moments; both sides of a scenario have the
//! same seed and so the same moments.

use std::time::Duration;

use gainsay_nemesis::schedule::{Params, Planned, Schedule, Shape, Victims};

/// A strike is over so long before the load ends, milliseconds.
const TAIL_MS: u64 = 400;
/// The seed moves an onset by less than so much, milliseconds.
const SWAY_MS: u64 = 200;

/// As a strike's length: until the load ends. Nothing comes after it.
pub const TO_THE_END: u64 = u64::MAX;

/// The faults of a scenario.
#[derive(Debug)]
pub enum Faults {
    /// None: the mode breaks by itself.
    None,
    /// These strikes, again every so many milliseconds.
    Every(u64, &'static [Strike]),
}

/// One strike of a pattern.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// When it begins, milliseconds after the beginning of the pattern.
    pub at_ms: u64,
    /// How long it lasts, milliseconds.
    pub lasts_ms: u64,
    /// Whom it strikes.
    pub whom: Whom,
    /// What is done to them.
    pub deed: Deed,
}

/// Whom a strike hits; roles are resolved when it begins.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// The node that leads.
    Leader,
    /// The leader and so many others.
    LeaderAnd(usize),
    /// The k-th of those that don't lead, from 0.
    Follower(usize),
    /// So many of those that don't lead.
    Followers(usize),
    /// These nodes.
    Nodes(&'static [&'static str]),
}

/// What a strike does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Cuts links.
    Cut(Shape),
    /// Kills, and starts again at the end.
    Kill,
    /// Stops, and lets go on at the end.
    Pause,
    /// Sets the clock ahead, or behind if negative, by so many milliseconds.
    Clock(i64),
    /// Delays what goes to and from other nodes by so many milliseconds, more or less by so many.
    Slow(u64, u64),
    /// Delays what the victims send to each other; the links to all others stay quick.
    SlowAmong(u64, u64),
    /// Copies the data, and puts the copy back so many milliseconds later.
    Restore(u64),
    /// Kills and empties the disk; starts again at the end, with nothing.
    Wipe,
    /// Makes the victim the leader, planned.
    SwitchOver,
    /// Ends, and starts the newer version at the end.
    Upgrade,
}

impl Faults {
    /// The schedule for a load of `time_limit`; `None` where nothing is done.
    pub fn schedule(&self, time_limit: Duration, seed: u64) -> Option<Schedule> {
        let Faults::Every(period, strikes) = self else { return None };
        let end = u64::try_from(time_limit.as_millis()).unwrap_or(u64::MAX);
        let limit = end.saturating_sub(TAIL_MS);
        let mut schedule = Schedule::empty(seed);
        for round in 0..=limit / (*period).max(1) {
            let sway = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(round as u32 % 64) % SWAY_MS;
            for strike in *strikes {
                let at_ms = round * period + strike.at_ms + sway;
                let id = schedule.faults.len() as u64 + 1;
                if strike.lasts_ms == TO_THE_END && at_ms < limit {
                    schedule.faults.push(Strike { lasts_ms: end - at_ms, ..*strike }.planned(id, at_ms));
                    return Some(schedule);
                }
                if at_ms.saturating_add(strike.lasts_ms) <= limit {
                    schedule.faults.push(strike.planned(id, at_ms));
                }
            }
        }
        Some(schedule)
    }
}

impl Strike {
    fn planned(&self, id: u64, at_ms: u64) -> Planned {
        let packet =
            |delay_ms, jitter_ms, among| ("packet", Params::Packet { delay_ms, jitter_ms, loss_percent: 0, among });
        let (kind, params) = match self.deed {
            Deed::Cut(shape) => ("partition", Params::Partition(shape)),
            Deed::Kill => ("kill", Params::Nothing),
            Deed::Wipe => ("wipe", Params::Nothing),
            Deed::SwitchOver => ("switchover", Params::Nothing),
            Deed::Upgrade => ("upgrade", Params::Nothing),
            Deed::Pause => ("pause", Params::Nothing),
            Deed::Clock(offset_ms) => ("clock", Params::Clock { offset_ms }),
            Deed::Restore(age_ms) => ("restore", Params::Restore { age_ms }),
            Deed::Slow(delay_ms, jitter_ms) => packet(delay_ms, jitter_ms, false),
            Deed::SlowAmong(delay_ms, jitter_ms) => packet(delay_ms, jitter_ms, true),
        };
        let victims = match self.whom {
            Whom::Leader => Victims::Leader,
            Whom::LeaderAnd(others) => Victims::LeaderAnd(others),
            Whom::Follower(nth) => Victims::Follower(nth),
            Whom::Followers(count) => Victims::Followers(count),
            Whom::Nodes(names) => Victims::Nodes(names.iter().map(|name| name.to_string()).collect()),
        };
        Planned { id, kind: kind.to_string(), at_ms, lasts_ms: self.lasts_ms, victims, params }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedules_of_all_scenarios_are_valid_and_strike_at_least_once() {
        for scenario in super::super::scenarios() {
            for seed in 0..50 {
                let Some(schedule) = scenario.faults.schedule(Duration::from_secs(8), seed) else { continue };
                let read = Schedule::from_json(&schedule.to_json());
                assert!(!schedule.faults.is_empty(), "{}", scenario.name);
                assert_eq!(read.unwrap_or_else(|error| panic!("{}: {error}", scenario.name)), schedule);
            }
        }
    }
}
