//! What guarantees cost: how many a run kept, against its latency.

use gainsay_checker::finding::Outcome;
use maud::{Markup, html};

use crate::page::RunPage;
use crate::words;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 1160.0;
/// Height of a row: this at most and at least, and otherwise so that all rows together take [`ROWS`].
const ROW: (f64, f64) = (26.0, 44.0);
const ROWS: f64 = 180.0;
const TOP: f64 = 20.0;
/// Room that a character of a label takes.
const CHARACTER: f64 = 6.4;

/// A run as a point.
struct Point<'a> {
    label: &'a str,
    kept: usize,
    ms: f64,
    answered: Option<f64>,
}

/// Runs as points; nothing for fewer than two that were measured.
pub fn scatter(pages: &[RunPage]) -> Markup {
    let points: Vec<Point<'_>> = pages.iter().filter_map(point).collect();
    let judged = pages.iter().map(|page| page.judgement.findings.len()).max().unwrap_or(0);
    if points.len() < 2 || judged == 0 {
        return html! {};
    }
    let low = points.iter().map(|point| point.ms).fold(f64::MAX, f64::min) / 1.3;
    let high = points.iter().map(|point| point.ms).fold(low, f64::max) * 1.3;
    let x = |ms: f64| LEFT + (ms / low).ln() / (high / low).ln() * (RIGHT - LEFT);
    let most = points.iter().map(|point| point.kept).max().unwrap_or(0);
    let least = points.iter().map(|point| point.kept).min().unwrap_or(0);
    let row = (ROWS / (most - least).max(1) as f64).clamp(ROW.0, ROW.1);
    let y = |kept: usize| TOP + 16.0 + (most - kept) as f64 * row;
    let bottom = y(least) + 26.0;
    let places: Vec<(f64, f64, usize)> =
        points.iter().map(|point| (x(point.ms), y(point.kept), point.label.chars().count())).collect();
    let labels = labels(&places);
    html! {
        h2 { "What guarantees cost" small { "guarantees seen to hold, promised or not, against the median latency of successful writes (logarithmic); size: writes answered during faults" } }
        div.scroll { svg.chart viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + 22.0)) role="img" {
            title { "Guarantees that held against the median latency of writes" }
            @for kept in least..=most {
                line x1=(LEFT) x2=(RIGHT) y1=(y(kept)) y2=(y(kept)) stroke="var(--line)" {}
                text x=(LEFT - 10.0) y=(y(kept) + 4.0) text-anchor="end" { (kept) " of " (judged) }
            }
            @for ms in ticks(low, high) { text x=(format!("{:.1}", x(ms))) y=(bottom + 14.0) text-anchor="middle" { (tick(ms)) } }
            @for (i, point) in points.iter().enumerate() {
                @let (cx, cy) = (x(point.ms), y(point.kept));
                @let radius = 4.0 + 5.0 * point.answered.unwrap_or(1.0);
                circle cx=(format!("{cx:.1}")) cy=(format!("{cy:.1}")) r=(format!("{radius:.1}")) fill="var(--ok)" stroke="var(--bar)" {
                    title { (point.label) ": " (point.kept) " held, median write " (words::millis(point.ms)) @if let Some(share) = point.answered { ", " (words::percent(share)) " of writes answered during faults" } }
                }
                @if let Some((label_x, label_y)) = labels[i] {
                    text.ink x=(format!("{label_x:.1}")) y=(format!("{label_y:.1}")) text-anchor="middle" { (point.label) }
                }
            }
        } }
    }
}

/// Where each label stands, none over another; `None` where there is no room, and only the title tells.
fn labels(places: &[(f64, f64, usize)]) -> Vec<Option<(f64, f64)>> {
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let place = |&(x, y, characters): &(f64, f64, usize)| {
        let half = characters as f64 * CHARACTER / 2.0;
        let x = x.clamp(LEFT + half, (RIGHT - half).max(LEFT + half));
        let free = |&shift: &f64| {
            taken.iter().all(|(from, to, at)| x + half < *from || x - half > *to || (y + shift - at).abs() > 11.0)
        };
        let shift = [-14.0, 22.0, -26.0].into_iter().find(free)?;
        taken.push((x - half, x + half, y + shift));
        Some((x, y + shift))
    };
    places.iter().map(place).collect()
}

fn point(page: &RunPage) -> Option<Point<'_>> {
    let kept = page.judgement.findings.iter().filter(|finding| finding.outcome == Outcome::Held).count();
    let ms = *page.quantiles(RunPage::writes, &[0.5])?.first()?;
    Some(Point { label: page.label(), kept, ms, answered: page.answered_during_faults(true) })
}

/// Round numbers between the two: more of them where the range is narrow.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let digits: &[f64] = if high / low > 20.0 { &[1.0, 2.0, 5.0] } else { &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0] };
    let decades = (-4..7).map(|power| 10_f64.powi(power));
    let all = decades.flat_map(|decade| digits.iter().map(move |digit| digit * decade));
    all.filter(|ms| (low..=high).contains(ms)).collect()
}

fn tick(ms: f64) -> String {
    let (value, unit) = if ms < 1_000.0 { (ms, "ms") } else { (ms / 1e3, "s") };
    // Powers of ten below one are not exact.
    format!("{} {unit}", (value * 1e4).round() / 1e4)
}
