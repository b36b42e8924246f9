//! The checkers against brute force, and against second algorithms that share nothing with them but the history types.
//!
//! A [`Family`] draws a history from a number and judges it twice, once or for several questions, each a [`Line`]. Small ones (up to
//! eight calls or transactions) are compared with brute force straight from the definitions, larger ones with another algorithm:
//! monitors with a plain search, the graph of dependencies with the direct questions about commit orders, single registers as objects and
//! as transactions. About half of the histories are spoilt. A line costs about 50 µs a history, so that a million of each take minutes.

pub mod exhaustive;
mod objects;
mod seen;
mod sessions;
mod transactions;

use crate::jepsen;

/// What came of one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both say that it is right.
    Valid,
    /// Both say that it is not.
    Invalid,
    /// One of them did not decide.
    Undecided,
    /// They disagree.
    Differ(String),
}

/// What came of many histories, for one question.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Both say that so many are right.
    pub valid: u64,
    /// Both say that so many are not.
    pub invalid: u64,
    /// One way did not decide so many.
    pub undecided: u64,
    /// They disagree about so many.
    pub differ: u64,
    /// The first of these: their numbers, and how.
    pub first: Vec<(u64, String)>,
}

impl Tally {
    /// How many disagreements are kept.
    const KEPT: usize = 3;

    /// Counts what came of the history of that number.
    pub fn add(&mut self, number: u64, came: Compared) {
        match came {
            Compared::Valid => self.valid += 1,
            Compared::Invalid => self.invalid += 1,
            Compared::Undecided => self.undecided += 1,
            Compared::Differ(how) => {
                self.differ += 1;
                if self.first.len() < Tally::KEPT {
                    self.first.push((number, how));
                }
            }
        }
    }

    /// Takes another part's counts in.
    pub fn join(&mut self, other: Tally) {
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.undecided += other.undecided;
        self.differ += other.differ;
        self.first.extend(other.first);
        self.first.sort();
        self.first.truncate(Tally::KEPT);
    }
}

/// A question that two ways answer.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is compared.
    pub name: String,
    /// With what.
    pub with: &'static str,
}

/// Histories of one kind, and what is asked about each.
pub struct Family {
    /// The questions.
    pub lines: Vec<Line>,
    run: Box<dyn Fn(u64) -> Vec<Compared> + Send + Sync>,
}

impl Family {
    /// Draws the history of that number, and judges it twice: what came of each of [`Family::lines`], in their order.
    pub fn compare(&self, seed: u64) -> Vec<Compared> {
        (self.run)(seed)
    }

    fn new(lines: Vec<(String, &'static str)>, run: impl Fn(u64) -> Vec<Compared> + Send + Sync + 'static) -> Family {
        let lines = lines.into_iter().map(|(name, with)| Line { name, with }).collect();
        Family { lines, run: Box::new(run) }
    }

    fn one(
        name: impl Into<String>,
        with: &'static str,
        run: impl Fn(u64) -> Compared + Send + Sync + 'static,
    ) -> Family {
        Family::new(vec![(name.into(), with)], move |seed| vec![run(seed)])
    }
}

const BRUTE: &str = "brute force";

/// Everything that is compared.
pub fn families() -> Vec<Family> {
    let mut all = objects::families();
    all.extend(transactions::families());
    all.extend(sessions::families());
    all.extend(seen::families());
    for &name in jepsen::plain::NAMES {
        all.push(Family::one(name, "its definition", move |seed| workload(name, seed)));
    }
    all
}

fn settle(fast: Option<bool>, slow: Option<bool>, differ: impl FnOnce() -> String) -> Compared {
    match (fast, slow) {
        (Some(a), Some(b)) if a != b => Compared::Differ(differ()),
        (Some(true), Some(_)) => Compared::Valid,
        (Some(false), Some(_)) => Compared::Invalid,
        _ => Compared::Undecided,
    }
}

fn workload(name: &str, seed: u64) -> Compared {
    // Odd histories are spoilt, so the size must not go by that.
    let half = seed / 2;
    let ops = if half.is_multiple_of(5) { 120 } else { 4 + (half % 20) as usize };
    match jepsen::plain::compare(name, seed, ops) {
        Ok(jepsen::Verdict::Holds) => Compared::Valid,
        Ok(jepsen::Verdict::Violated) => Compared::Invalid,
        Ok(jepsen::Verdict::Unknown { .. }) => Compared::Undecided,
        Err(differ) => Compared::Differ(differ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_agrees_on_its_first_histories_and_sees_both_kinds() {
        for family in families() {
            let mut seen = vec![[0; 2]; family.lines.len()];
            for seed in 0..150 {
                for ((came, line), seen) in family.compare(seed).into_iter().zip(&family.lines).zip(&mut seen) {
                    match came {
                        Compared::Valid => seen[0] += 1,
                        Compared::Invalid => seen[1] += 1,
                        Compared::Undecided => {}
                        Compared::Differ(how) => panic!("{} against {}, seed {seed}: {how}", line.name, line.with),
                    }
                }
            }
            for ([valid, invalid], line) in seen.into_iter().zip(&family.lines) {
                assert!(valid >= 5 && invalid >= 5, "{}: {valid} valid, {invalid} invalid", line.name);
            }
        }
    }
}
