//! How many operations succeed each second, and which share of those that were due was answered.

use gainsay_checker::Outcome;
use maud::{Markup, html};

use crate::chart::{Axis, Chart, Colour, Form, Series, WIDE};
use crate::page::RunPage;

/// In how many slices the run's time is cut at most.
const SLICES: u64 = 120;
/// A slice is at least this long, nanoseconds.
const SLICE: u64 = 200_000_000;

pub fn render(page: &RunPage) -> Option<Markup> {
    let (rate, available) = series(page)?;
    let end = page.load_end();
    let chart = |title, series, unit| {
        Chart { title, series, faults: &page.judgement.faults, end, axis: Axis::Linear, unit, width: WIDE, reach: 0.0 }
            .render()
    };
    Some(html! {
        h2 { "Rate" small { "operations that succeeded, a second" } }
        (chart("Successful operations a second over time", &rate, "/s"))
        h2 { "Availability" small { "of the operations due at each moment, the share that was answered, however late; a refused compare-and-set is an answer" } }
        (chart("Share of operations answered over time, percent", &available, "%"))
    })
}

/// Successful operations a second, and the percentage answered of those due: reads and writes each.
pub fn series(page: &RunPage) -> Option<([Series; 2], [Series; 2])> {
    let end = page.load_end();
    let slice = (end / SLICES).max(SLICE);
    let slices = (end / slice) as usize;
    if slices < 2 || page.load().next().is_none() {
        return None;
    }
    let mut tallies = vec![Tally::default(); slices];
    for op in page.load() {
        let writes = usize::from(RunPage::writes(op));
        let due = op.intended.unwrap_or(op.invoked);
        if let Some(tally) = tallies.get_mut((due / slice) as usize) {
            tally.due[writes] += 1;
            tally.answered[writes] += u32::from(RunPage::answered(op));
        }
        if op.outcome == Outcome::Ok
            && let Some(tally) = tallies.get_mut((op.completed / slice) as usize)
        {
            tally.done[writes] += 1;
        }
    }
    let middle = |i: usize| (i as f64 + 0.5) * slice as f64 / 1e9;
    let seconds = slice as f64 / 1e9;
    let line = |name: &str, n: usize, value: &dyn Fn(&Tally) -> Option<f64>| Series {
        name: name.to_string(),
        colour: Colour::Series(n),
        points: tallies
            .iter()
            .enumerate()
            .filter_map(|(i, tally)| value(tally).map(|value| (middle(i), value)))
            .collect(),
        form: Form::Line,
    };
    let rate = [
        line("reads", 0, &|tally| Some(f64::from(tally.done[0]) / seconds)),
        line("writes", 1, &|tally| Some(f64::from(tally.done[1]) / seconds)),
    ];
    let share = |which: usize| {
        move |tally: &Tally| {
            (tally.due[which] > 0).then(|| f64::from(tally.answered[which]) / f64::from(tally.due[which]) * 100.0)
        }
    };
    let available = [line("reads", 0, &share(0)), line("writes", 1, &share(1))];
    Some((rate, available))
}

/// Reads at 0, writes at 1.
#[derive(Clone, Default)]
struct Tally {
    due: [u32; 2],
    answered: [u32; 2],
    done: [u32; 2],
}
