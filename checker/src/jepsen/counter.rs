//! Counters: every read lies between what must and what may have been added.
//!
//! Jepsen's `checker/counter`. The least that a read may return is what was acknowledged before it began, the most is what was tried
//! before it ended; what failed counts in neither, so a read that only a failed addition explains is refused. Negative
//! additions, which Jepsen refuses, count the other way round: they may from when they began, and must from when they were acknowledged.
//!
//! Cost: one pass over the events.

use serde_json::{Value as Json, json};

use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::log::Log;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, &[], counter)
}

pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, &[]);
    let reads = || rows.iter().filter(|row| row.is("read") && row.ok());
    rows.iter().all(|row| row.is("add") || row.is("read"))
        && rows.iter().any(|row| row.is("add"))
        && reads().next().is_some()
        && reads().all(|row| row.value.int().is_some())
}

/// What happens to the bounds, in the order of the events.
#[derive(Clone, Copy)]
enum Moment {
    Begins,
    Ends,
}

/// A read with its bounds.
struct Bounded {
    at: u32,
    lower: i128,
    value: i128,
    upper: i128,
}

impl Bounded {
    /// How far it lies outside.
    fn error(&self) -> i128 {
        (self.lower - self.value).max(self.value - self.upper).max(0)
    }

    fn triple(&self) -> Json {
        json!([clamp(self.lower), clamp(self.value), clamp(self.upper)])
    }
}

fn clamp(it: i128) -> i64 {
    it.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Beginnings and acknowledgements in the order in which they happened; what failed does not occur.
fn moments(rows: &[Row<'_>]) -> Vec<(u32, u32, Moment)> {
    let mut moments = Vec::with_capacity(2 * rows.len());
    for (at, row) in rows.iter().enumerate() {
        if row.failed() {
            continue;
        }
        moments.push((row.call.start, at as u32, Moment::Begins));
        if row.ok() {
            moments.push((row.call.end, at as u32, Moment::Ends));
        }
    }
    moments.sort_by_key(|&(rank, ..)| rank);
    moments
}

/// Sums so far.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Added by what began, and by what was acknowledged.
    added: [i128; 2],
    /// The same of what was taken away.
    taken: [i128; 2],
}

impl Sums {
    fn count(&mut self, by: i128, moment: Moment) {
        let sums = if by >= 0 { &mut self.added } else { &mut self.taken };
        sums[moment as usize] += by;
    }
}

const BEGUN: usize = Moment::Begins as usize;
const ACKNOWLEDGED: usize = Moment::Ends as usize;

fn counter(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("reads");
    if let Some(row) = rows.iter().find(|row| row.is("add") && !row.failed() && row.given().int().is_none()) {
        draft.unknown(format!("operation {} adds {}, which is no integer", row.index(), row.given()));
        return draft;
    }
    let mut sums = Sums::default();
    let mut before = vec![Sums::default(); rows.len()];
    let mut reads: Vec<Bounded> = Vec::new();
    for (_, at, moment) in moments(rows) {
        let row = &rows[at as usize];
        if row.is("add") {
            sums.count(row.given().int().unwrap_or(0).into(), moment);
        } else if let Moment::Begins = moment {
            before[at as usize] = sums;
        } else if row.is("read") {
            let then = before[at as usize];
            let lower = then.added[ACKNOWLEDGED] + sums.taken[BEGUN];
            let upper = sums.added[BEGUN] + then.taken[ACKNOWLEDGED];
            match row.value.int() {
                Some(value) => reads.push(Bounded { at, lower, value: value.into(), upper }),
                None => draft.unknown(format!("operation {} reads {}, which is no integer", row.index(), row.value)),
            }
        }
    }
    draft.evidence.opportunities = reads.len() as u64;
    results(&mut draft, rows, &reads);
    draft
}

fn results(draft: &mut Draft, rows: &[Row<'_>], reads: &[Bounded]) {
    let errors: Vec<&Bounded> = reads.iter().filter(|read| read.error() > 0).collect();
    for read in &errors {
        let index = rows[read.at as usize].index();
        draft.problem("out-of-bounds", 1, || (sentence(read, index), vec![index]));
    }
    draft.number("read-count", reads.len());
    draft.number("error-count", errors.len());
    draft.number("reads", reads.iter().take(64).map(Bounded::triple).collect::<Vec<_>>());
    draft.number("errors", errors.iter().take(64).map(|read| read.triple()).collect::<Vec<_>>());
    if let Some(worst) = errors.iter().max_by_key(|read| read.error()) {
        draft.number("max-absolute-error", worst.triple());
    }
    let relative = |read: &Bounded| {
        let middle = (read.lower + read.upper) as f64 / 2.0;
        if middle == 0.0 { f64::INFINITY } else { (read.error() as f64 / middle).abs() }
    };
    if let Some(worst) = errors.iter().max_by(|a, b| relative(a).total_cmp(&relative(b))) {
        draft.number("max-relative-error", worst.triple());
    }
}

fn sentence(read: &Bounded, index: u64) -> String {
    let Bounded { lower, value, upper, .. } = read;
    if value < lower {
        return format!(
            "The counter was read as {value} (operation {index}), but additions that had been acknowledged before make at least {lower}: \
             acknowledged additions are missing."
        );
    }
    format!(
        "The counter was read as {value} (operation {index}), but all additions that had begun and did not fail make at most {upper}: \
         something was counted twice, or counted although it had failed."
    )
}
