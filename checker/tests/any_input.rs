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

/// The inputs that were not answered as they should.
#[derive(Default)]
struct Unanswered(Vec<String>);

impl Unanswered {
    /// Runs an entry, and remembers what it did not answer.
    fn run(&mut self, (name, entry): Entry, bytes: &[u8], what: &str) {
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| entry(bytes)));
        let wrong = match done {
            Err(_) => "panics".to_string(),
            Ok(()) if started.elapsed() > LONGEST => format!("takes {:?}", started.elapsed()),
            Ok(()) => return,
        };
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]);
        self.0.push(format!("{name} {wrong} on {what}:\n{shown}"));
        assert!(self.0.len() < 10, "{}", self.0.join("\n\n"));
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
        }
    }
}

fn rounds(entries: &[Entry], default: u64) {
    let seeds = seeds::all();
    let mut unanswered = Unanswered::default();
    let first = setting("ANY_INPUT_SEED", 0);
    for seed in first..first + setting("ANY_INPUT_ROUNDS", default) {
        let mut dice = Dice(seed);
        let (one, two) = (dice.below(seeds.len()), dice.below(seeds.len()));
        let text = mutated(&mut dice, &seeds[one], &seeds[two]);
        entries.iter().for_each(|&entry| unanswered.run(entry, &text, &format!("seed {seed}")));
    }
}

#[test]
fn readers_answer_whatever_they_read() {
    rounds(READERS, 12_000);
}

#[test]
fn deciders_answer_whatever_was_read() {
    rounds(DECIDERS, 1000);
}

#[test]
fn what_is_unharmed_is_answered() {
    let mut unanswered = Unanswered::default();
    for (at, text) in seeds::all().iter().enumerate() {
        for &entry in READERS.iter().chain(DECIDERS) {
            unanswered.run(entry, text, &format!("the history {at}"));
        }
    }
}

#[test]
fn depth_costs_no_stack() {
    let mut unanswered = Unanswered::default();
    for (levels, entries) in [(100_000, READERS), (20_000, DECIDERS)] {
        for (at, text) in mutate::deep(levels).iter().enumerate() {
            for &entry in entries {
                unanswered.run(entry, text, &format!("the nested text {at}"));
            }
        }
    }
}

#[test]
fn deciders_answer_whatever_they_are_given() {
    let mut unanswered = Unanswered::default();
    let first = setting("ANY_INPUT_SEED", 0);
    for seed in first..first + setting("ANY_INPUT_ROUNDS", 300) {
        let mut dice = Dice(seed);
        let bytes: Vec<u8> = (0..8 + dice.below(200)).map(|_| dice.below(256) as u8).collect();
        STRUCTURED.iter().for_each(|&entry| unanswered.run(entry, &bytes, &format!("seed {seed}")));
    }
}
