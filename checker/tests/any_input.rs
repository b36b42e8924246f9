//! Whatever is fed to a reader or a decider, it answers: no panic, no stack that overflows, no time without bound.
//!
//! Histories as they ought to be are mutated by a seeded generator. `ANY_INPUT_ROUNDS` says how many times, `ANY_INPUT_SEED` with
//! which seed it begins. The same entries are fuzzed with coverage by `checker/fuzz`.

#[path = "any_input/entries.rs"]
mod entries;
#[path = "any_input/mutate.rs"]
mod mutate;
#[path = "any_input/seeds.rs"]
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use entries::{DECIDERS, Entry, READERS, STRUCTURED};
use mutate::{Dice, mutated};

/// What no input of a few kilobytes may take, on a machine that is busy with other things.
const LONGEST: Duration = Duration::from_secs(20);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// Runs an entry, and says which input it did not answer.
fn run((name, entry): Entry, bytes: &[u8], what: &dyn Fn() -> String) {
    let started = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| entry(bytes)));
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
    assert!(done.is_ok(), "{name} panics on {}:\n{}", what(), shown());
    assert!(started.elapsed() < LONGEST, "{name} takes {:?} on {}:\n{}", started.elapsed(), what(), shown());
}

fn rounds(entries: &[Entry], default: u64) {
    let seeds = seeds::all();
    let first = setting("ANY_INPUT_SEED", 0);
    for seed in first..first + setting("ANY_INPUT_ROUNDS", default) {
        let mut dice = Dice(seed);
        let (one, two) = (dice.below(seeds.len()), dice.below(seeds.len()));
        let text = mutated(&mut dice, &seeds[one], &seeds[two]);
        entries.iter().for_each(|&entry| run(entry, &text, &|| format!("seed {seed}")));
    }
}

#[test]
fn readers_answer_whatever_they_read() {
    rounds(READERS, 20_000);
}

#[test]
fn deciders_answer_whatever_was_read() {
    rounds(DECIDERS, 1000);
}

#[test]
fn what_is_unharmed_is_answered() {
    for (at, text) in seeds::all().iter().enumerate() {
        for &entry in READERS.iter().chain(DECIDERS) {
            run(entry, text, &|| format!("the history {at}"));
        }
    }
}

#[test]
fn depth_costs_no_stack() {
    for (at, text) in mutate::deep(100_000).iter().enumerate() {
        for &entry in READERS.iter().chain(DECIDERS) {
            run(entry, text, &|| format!("the nested text {at}"));
        }
    }
}

#[test]
fn deciders_answer_whatever_they_are_given() {
    let first = setting("ANY_INPUT_SEED", 0);
    for seed in first..first + setting("ANY_INPUT_ROUNDS", 300) {
        let mut dice = Dice(seed);
        let bytes: Vec<u8> = (0..8 + dice.below(200)).map(|_| dice.below(256) as u8).collect();
        STRUCTURED.iter().for_each(|&entry| run(entry, &bytes, &|| format!("seed {seed}")));
    }
}
