//! Latency of the operations over time, from when each was due.

use gainsay_checker::{Op, Outcome};
use maud::{Markup, html};

use crate::chart::{Axis, Chart, Colour, Form, Series, WIDE};
use crate::page::RunPage;
use crate::words;

/// How many points are drawn at most; all failures and extremes are among them.
const POINTS: usize = 3_000;
/// In how many slices of time the extremes are kept.
const SLICES: usize = 300;

pub fn render(page: &RunPage) -> Option<Markup> {
    let (series, drawn, all) = latency_series(page, POINTS);
    if all == 0 {
        return None;
    }
    let reads = page.quantiles(|op| !RunPage::writes(op), &[0.5, 0.99, 0.999]);
    let updates = page.quantiles(RunPage::writes, &[0.5, 0.99, 0.999]);
    let row = |name: &str, quantiles: Option<Vec<f64>>| {
        quantiles.map(|q| html! { tr { td { (name) } @for value in q { td.n { (words::millis(value)) } } } })
    };
    Some(html! {
        h2 { "Latency" small { "every operation, from the moment it was due; " (words::count(drawn as u64)) " of " (words::count(all as u64)) " drawn, extremes and failures among them" } }
        (Chart { title: "Latency of operations over time, logarithmic, milliseconds", series: &series, faults: &page.judgement.faults, end: page.load_end(), axis: Axis::LogMillis, unit: "ms", width: WIDE, reach: 0.0 }.render())
        table style="max-width:480px" {
            tr { th { "successful" } th.n { "median" } th.n { "99 %" } th.n { "99.9 %" } }
            @if let Some(row) = row("reads", reads) { (row) }
            @if let Some(row) = row("writes", updates) { (row) }
        }
    })
}

/// The points by outcome, about `most` of them beside the extremes; how many there are, and of how many operations.
pub fn latency_series(page: &RunPage, most: usize) -> (Vec<Series>, usize, usize) {
    let end = page.load_end();
    let ops: Vec<(&Op, f64)> =
        page.load().filter_map(|op| RunPage::latency_ms(op).map(|ms| (op, ms.max(0.001)))).collect();
    let mut extremes: Vec<(Option<usize>, Option<usize>)> = vec![(None, None); SLICES];
    for (i, (op, ms)) in ops.iter().enumerate() {
        let slice = ((op.invoked.min(end) as u128 * (SLICES as u128 - 1)) / end as u128) as usize;
        let (low, high) = &mut extremes[slice];
        if low.is_none_or(|at| *ms < ops[at].1) {
            *low = Some(i);
        }
        if high.is_none_or(|at| *ms > ops[at].1) {
            *high = Some(i);
        }
    }
    let mut keep = vec![false; ops.len()];
    for at in extremes.iter().flat_map(|(low, high)| [*low, *high]).flatten() {
        keep[at] = true;
    }
    let odd = ops.iter().filter(|(op, _)| op.outcome != Outcome::Ok).count();
    let every = (ops.len() / (most / 2).max(1)).max(1);
    let odd_every = (odd / (most / 3).max(1)).max(1);
    let mut odd_seen = 0;
    for (i, (op, _)) in ops.iter().enumerate() {
        if op.outcome == Outcome::Ok {
            keep[i] |= i % every == 0;
        } else {
            keep[i] |= odd_seen % odd_every == 0;
            odd_seen += 1;
        }
    }
    let points = |outcome: Outcome| -> Vec<(f64, f64)> {
        let kept = ops.iter().zip(&keep).filter(|((op, _), keep)| **keep && op.outcome == outcome);
        kept.map(|((op, ms), _)| (op.intended.unwrap_or(op.invoked) as f64 / 1e9, *ms)).collect()
    };
    let series =
        |name: &str, colour, outcome, form| Series { name: name.to_string(), colour, points: points(outcome), form };
    let series = vec![
        series("ok", Colour::Ok, Outcome::Ok, Form::Dots),
        series("unknown", Colour::Info, Outcome::Info, Form::Crosses),
        series("failed", Colour::Fail, Outcome::Fail, Form::Crosses),
    ];
    let drawn = series.iter().map(|series| series.points.len()).sum();
    (series, drawn, ops.len())
}
