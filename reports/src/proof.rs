//! One anomaly as a card: a sentence, its two to five operations on a timeline over the faults, why they contradict each other.
//!
//! The operations of a proof may be seconds apart while each took a millisecond, so the time axis is elastic: every moment that matters has
//! a place, gaps grow with the logarithm of their length, and the labels below tell the true times.

use gainsay_checker::{Anomaly, FaultWindow, Witness};
use maud::{Markup, html};

use crate::advice;
use crate::strip::shade;
use crate::words;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 150.0;
const ROW: f64 = 46.0;
const TOP: f64 = 26.0;
/// Widest share of the axis that one gap may take relative to the shortest.
const BASE_GAP: f64 = 1.0;
/// Room that a character of a label takes.
const CHARACTER: f64 = 6.6;

/// The card of `anomaly`, number `number` on the page, in a run with this label and these faults.
pub fn card(id: &str, number: usize, anomaly: &Anomaly, faults: &[FaultWindow], label: &str) -> Markup {
    let active: Vec<&FaultWindow> = faults.iter().filter(|fault| anomaly.faults.contains(&fault.id)).collect();
    html! {
        div.card id=(id) {
            h3 { "Proof " (number) ": " (anomaly.name.replace('-', " ")) }
            p { (anomaly.sentence) }
            @if active.is_empty() {
                p.sub { "No fault was active at that time." }
            } @else {
                p.sub {
                    "Active then: "
                    @for (i, fault) in active.iter().enumerate() {
                        @if i > 0 { "; " }
                        (fault.kind) " " (fault.what) " from " (words::seconds(fault.start))
                        @if let Some(end) = fault.end { " to " (words::seconds(end)) }
                    }
                    "."
                }
            }
            (timeline(anomaly, &active))
            @if !anomaly.edges.is_empty() {
                ol.edges {
                    @for edge in &anomaly.edges { li { (edge.why) } }
                }
            }
            div.why {
                div { b { "rules out" } (advice::rules_out(&anomaly.name)) }
                @if let Some(prevention) = advice::prevention(&anomaly.name, label) {
                    div { b { "would have prevented it" } (prevention) }
                }
            }
        }
    }
}

/// Maps moments to places.
struct Axis {
    moments: Vec<u64>,
    places: Vec<f64>,
}

impl Axis {
    fn new(witnesses: &[Witness], faults: &[&FaultWindow]) -> Axis {
        let mut moments: Vec<u64> =
            witnesses.iter().flat_map(|witness| [Some(witness.invoked), witness.completed]).flatten().collect();
        let (first, last) = (moments.iter().min().copied().unwrap_or(0), moments.iter().max().copied().unwrap_or(1));
        let edges = faults.iter().flat_map(|fault| [Some(fault.start), fault.end]).flatten();
        moments.extend(edges.filter(|time| (first..=last).contains(time)));
        moments.sort_unstable();
        moments.dedup();
        let gaps: Vec<f64> =
            moments.windows(2).map(|pair| BASE_GAP + (1.0 + (pair[1] - pair[0]) as f64 / 2e5).ln() / 3.0).collect();
        let total: f64 = gaps.iter().sum::<f64>().max(BASE_GAP);
        let room = WIDTH - LEFT - 30.0;
        let mut places = vec![LEFT + 10.0];
        for gap in gaps {
            let last = places[places.len() - 1];
            places.push(last + gap / total * room);
        }
        Axis { moments, places }
    }

    fn place(&self, moment: u64) -> f64 {
        match self.moments.binary_search(&moment) {
            Ok(at) => self.places[at],
            Err(0) => LEFT,
            Err(at) if at == self.moments.len() => WIDTH - 10.0,
            Err(at) => (self.places[at - 1] + self.places[at]) / 2.0,
        }
    }
}

fn timeline(anomaly: &Anomaly, faults: &[&FaultWindow]) -> Markup {
    let witnesses = &anomaly.witnesses;
    let axis = Axis::new(witnesses, faults);
    let bottom = TOP + witnesses.len() as f64 * ROW;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + 24.0)) role="img" {
            title { (anomaly.sentence) }
            @for fault in faults { (band(fault, &axis, bottom)) }
            @for (i, witness) in witnesses.iter().enumerate() { (row(i, witness, &axis)) }
            @for edge in &anomaly.edges { (arrow(edge.from, edge.to, witnesses, &axis)) }
            (ticks(&axis, bottom))
        }
    }
}

fn band(fault: &FaultWindow, axis: &Axis, bottom: f64) -> Markup {
    let from = axis.place(fault.start);
    let to = fault.end.map_or(WIDTH - 10.0, |end| axis.place(end)).max(from + 4.0);
    html! {
        rect x=(format!("{from:.1}")) y="4" width=(format!("{:.1}", to - from)) height=(format!("{:.1}", bottom - 4.0)) fill=(shade(&fault.kind)) {}
        text.bad x=(format!("{:.1}", from + 5.0)) y="17" { (fault.kind) " " (fault.what) }
    }
}

fn row(i: usize, witness: &Witness, axis: &Axis) -> Markup {
    let y = TOP + i as f64 * ROW + 4.0;
    let from = axis.place(witness.invoked);
    let to = witness.completed.map_or(WIDTH - 10.0, |completed| axis.place(completed)).max(from + 6.0);
    let fill = match witness.outcome.as_str() {
        "ok" => "var(--ok)",
        "fail" => "var(--fail)",
        _ => "var(--info)",
    };
    let width = witness.text.chars().count() as f64 * CHARACTER;
    let inside = width + 14.0 < to - from;
    // A bar near the right edge is labelled on its left, so that nothing is cut off.
    let (x, anchor) = if inside {
        (from + 7.0, "start")
    } else if to + width + 12.0 < WIDTH {
        (to + 6.0, "start")
    } else {
        (from - 6.0, "end")
    };
    let (role_x, role_anchor) = if anchor == "end" || to + 320.0 > WIDTH { (to, "end") } else { (from, "start") };
    html! {
        text.ink x=(LEFT - 12.0) y=(y + 12.0) text-anchor="end" { "session " (witness.session) }
        @if let Some(node) = &witness.node { text x=(LEFT - 12.0) y=(y + 26.0) text-anchor="end" { "at " (node) } }
        line x1=(LEFT) x2=(WIDTH - 10.0) y1=(y + 9.0) y2=(y + 9.0) stroke="var(--line)" {}
        rect x=(format!("{from:.1}")) y=(y - 1.0) width=(format!("{:.1}", to - from)) height="20" rx="4" fill=(fill)
            stroke-dasharray=(if witness.outcome == "ok" { "none" } else { "4 3" }) stroke="var(--op)" stroke-width="0.4" {
            title { (witness.text) ", " (witness.outcome) ", " (words::seconds(witness.invoked)) @if let Some(completed) = witness.completed { " to " (words::seconds(completed)) } @if let Some(version) = &witness.version { ", version " (version) } }
        }
        text class=(if inside { "op" } else { "ink" }) x=(format!("{x:.1}")) y=(y + 13.0) text-anchor=(anchor) { (witness.text) @if witness.outcome != "ok" { " (" (witness.outcome) ")" } }
        text x=(format!("{role_x:.1}")) y=(y + 32.0) text-anchor=(role_anchor) { (witness.role) }
    }
}

fn arrow(from: usize, to: usize, witnesses: &[Witness], axis: &Axis) -> Markup {
    let (Some(a), Some(b)) = (witnesses.get(from), witnesses.get(to)) else { return html! {} };
    let (x1, x2) =
        (a.completed.map_or(axis.place(a.invoked), |completed| axis.place(completed)), axis.place(b.invoked));
    let y = |i: usize| TOP + i as f64 * ROW + 13.0;
    let (y1, y2) = if to > from { (y(from) + 11.0, y(to) - 11.0) } else { (y(from) - 11.0, y(to) + 11.0) };
    let angle = (y2 - y1).atan2(x2 - x1);
    let wing = |turn: f64| format!("{:.1} {:.1}", x2 - 7.0 * (angle + turn).cos(), y2 - 7.0 * (angle + turn).sin());
    html! {
        path d=(format!("M{x1:.1} {y1:.1} L{x2:.1} {y2:.1} M{} L{x2:.1} {y2:.1} L{}", wing(0.45), wing(-0.45)))
            stroke="var(--broken)" stroke-width="1.2" stroke-dasharray="5 3" fill="none" {}
    }
}

/// Labels below, as many as fit.
fn ticks(axis: &Axis, bottom: f64) -> Markup {
    let mut free = 0.0;
    html! {
        @for (moment, place) in axis.moments.iter().zip(&axis.places) {
            line x1=(format!("{place:.1}")) x2=(format!("{place:.1}")) y1=(bottom) y2=(bottom + 5.0) stroke="var(--dim)" {}
            @if *place - 28.0 >= free {
                text x=(format!("{place:.1}")) y=(bottom + 17.0) text-anchor="middle" { (words::seconds(*moment)) }
                ({ free = place + 30.0; "" })
            }
        }
    }
}
