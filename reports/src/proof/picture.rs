//! The two to five operations of a proof on a timeline, over the faults that were active.
//!
//! They may be seconds apart while each took a millisecond, so the time axis is elastic: every moment that matters has a
//! place, gaps grow with the logarithm of their length, and the labels below tell the true times.

use gainsay_checker::{Anomaly, FaultWindow, Witness};
use maud::{Markup, html};

use crate::strip::{described, shade};
use crate::words;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = WIDTH - 30.0;
const ROW: f64 = 46.0;
/// Height of the line that names a fault.
const FAULT: f64 = 15.0;
/// Room of the shortest gap, relative to what its logarithm adds.
const BASE_GAP: f64 = 1.0;
/// Room that a character of a label takes.
const CHARACTER: f64 = 6.4;
/// A label is cut in its middle beyond so many characters; the whole of it is in the title.
const LONGEST: usize = 64;

/// The picture of `anomaly`; `faults` were active.
pub fn picture(anomaly: &Anomaly, faults: &[&FaultWindow]) -> Markup {
    let witnesses = &anomaly.witnesses;
    let axis = Axis::new(witnesses, faults);
    let top = 12.0 + FAULT * faults.len() as f64;
    let bottom = top + witnesses.len() as f64 * ROW;
    let y = |i: usize| top + i as f64 * ROW + 4.0;
    html! {
        div.scroll { svg.chart viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + 24.0)) role="img" {
            title { (anomaly.sentence) }
            @for (i, fault) in faults.iter().enumerate() { (band(fault, &axis, 16.0 + FAULT * i as f64, bottom)) }
            @for (i, _) in witnesses.iter().enumerate() {
                line x1=(LEFT) x2=(WIDTH - 10.0) y1=(y(i) + 9.0) y2=(y(i) + 9.0) stroke="var(--line)" {}
            }
            @for edge in &anomaly.edges { (arrow(edge.from, edge.to, witnesses, &axis, y)) }
            @for (i, witness) in witnesses.iter().enumerate() { (row(i, witness, &axis, y(i))) }
            (ticks(&axis, bottom))
        } }
    }
}

/// The letter that names the witness at position `at`.
pub fn letter(at: usize) -> char {
    u8::try_from(at).ok().filter(|at| *at < 26).map_or('…', |at| char::from(b'A' + at))
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
        let room = RIGHT - LEFT - 10.0;
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

fn band(fault: &FaultWindow, axis: &Axis, y: f64, bottom: f64) -> Markup {
    let from = axis.place(fault.start);
    let to = fault.end.map_or(WIDTH - 10.0, |end| axis.place(end)).max(from + 4.0);
    let label = cut(&described(fault), LONGEST * 2);
    let width = label.chars().count() as f64 * CHARACTER;
    let (x, anchor) = if from + 5.0 + width < WIDTH { (from + 5.0, "start") } else { (WIDTH - 14.0, "end") };
    html! {
        rect x=(format!("{from:.1}")) y="2" width=(format!("{:.1}", to - from)) height=(format!("{:.1}", bottom - 2.0)) fill=(shade(&fault.kind)) {}
        text.ink x=(format!("{x:.1}")) y=(y) text-anchor=(anchor) { (label) }
    }
}

fn row(i: usize, witness: &Witness, axis: &Axis, y: f64) -> Markup {
    let from = axis.place(witness.invoked);
    let to = witness.completed.map_or(WIDTH - 10.0, |completed| axis.place(completed)).max(from + 6.0);
    let (fill, suffix) = match witness.outcome.as_str() {
        "ok" => ("var(--ok)", ""),
        "fail" => ("var(--fail)", " (failed)"),
        _ => ("var(--info)", " (outcome unknown)"),
    };
    // A label stands in its bar, else where there is more room beside it, and is cut to that room.
    let long = witness.text.chars().count() + suffix.chars().count();
    let inside = long as f64 * CHARACTER + 14.0 < to - from;
    let (after, before) = (WIDTH - 8.0 - to, from - LEFT);
    let (x, anchor, room) = match inside {
        true => (from + 7.0, "start", to - from),
        false if after >= before || long as f64 * CHARACTER + 12.0 < after => (to + 6.0, "start", after),
        false => (from - 6.0, "end", before),
    };
    let fits = ((room - 12.0).max(0.0) / CHARACTER) as usize;
    let text = cut(&witness.text, fits.saturating_sub(suffix.chars().count()).clamp(12, LONGEST)) + suffix;
    let role = cut(&witness.role, LONGEST);
    let role_room = role.chars().count() as f64 * CHARACTER;
    let (role_x, role_anchor) = if from + role_room < WIDTH - 10.0 { (from, "start") } else { (to, "end") };
    let who = if witness.role.starts_with("final read") {
        "after healing".to_string()
    } else {
        format!("session {}", cut(&witness.session, 14))
    };
    html! {
        text.ink x=(LEFT - 12.0) y=(y + 12.0) text-anchor="end" { tspan.mark { (letter(i)) } "  " (who) }
        @if let Some(node) = &witness.node { text x=(LEFT - 12.0) y=(y + 26.0) text-anchor="end" { "at " (cut(node, 20)) } }
        rect x=(format!("{from:.1}")) y=(y - 1.0) width=(format!("{:.1}", to - from)) height="20" rx="4" fill=(fill)
            stroke-dasharray=(if witness.outcome == "ok" { "none" } else { "4 3" }) stroke="var(--bar)" stroke-width="0.8" {
            title { (witness.text) ", " (witness.outcome) ", " (words::seconds(witness.invoked)) @if let Some(completed) = witness.completed { " to " (words::seconds(completed)) } @if let Some(version) = &witness.version { ", version " (version) } }
        }
        text class=(if inside { "op" } else { "ink" }) x=(format!("{x:.1}")) y=(y + 13.0) text-anchor=(anchor) { (text) }
        text x=(format!("{role_x:.1}")) y=(y + 32.0) text-anchor=(role_anchor) { (role) }
    }
}

fn arrow(from: usize, to: usize, witnesses: &[Witness], axis: &Axis, y: impl Fn(usize) -> f64) -> Markup {
    let (Some(a), Some(b)) = (witnesses.get(from), witnesses.get(to)) else { return html! {} };
    let (x1, x2) =
        (a.completed.map_or(axis.place(a.invoked), |completed| axis.place(completed)), axis.place(b.invoked));
    let (y1, y2) = if to > from { (y(from) + 20.0, y(to) - 2.0) } else { (y(from) - 2.0, y(to) + 20.0) };
    let angle = (y2 - y1).atan2(x2 - x1);
    let wing = |turn: f64| format!("{:.1} {:.1}", x2 - 7.0 * (angle + turn).cos(), y2 - 7.0 * (angle + turn).sin());
    html! {
        path d=(format!("M{x1:.1} {y1:.1} L{x2:.1} {y2:.1}")) stroke="var(--broken)" stroke-width="1.2" stroke-dasharray="5 3" fill="none" {}
        path d=(format!("M{} L{x2:.1} {y2:.1} L{}", wing(0.45), wing(-0.45))) stroke="var(--broken)" stroke-width="1.2" fill="none" {}
    }
}

/// Labels below, as many as fit; what looks like the label before it tells the distance from it instead.
fn ticks(axis: &Axis, bottom: f64) -> Markup {
    let mut free = 0.0;
    let mut shown: Option<u64> = None;
    let mut label = |moment: u64, place: f64| {
        let same = shown.is_some_and(|before| moment - before < 1_000);
        if place - 30.0 < free || same {
            return None;
        }
        free = place + 32.0;
        let whole = words::seconds(moment);
        let text = match shown {
            Some(before) if words::seconds(before) == whole => {
                format!("+{}", words::millis((moment - before) as f64 / 1e6))
            }
            _ => whole,
        };
        shown = Some(moment);
        Some(text)
    };
    html! {
        @for (moment, place) in axis.moments.iter().zip(&axis.places) {
            line x1=(format!("{place:.1}")) x2=(format!("{place:.1}")) y1=(bottom) y2=(bottom + 5.0) stroke="var(--dim)" {}
            @if let Some(text) = label(*moment, *place) {
                text x=(format!("{place:.1}")) y=(bottom + 17.0) text-anchor="middle" { (text) }
            }
        }
    }
}

/// `text`, its middle left out where it is longer than `most` characters.
fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_string();
    }
    let head: String = text.chars().take(most * 2 / 3).collect();
    let tail: String = text.chars().skip(length - (most / 3).saturating_sub(3)).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_ends() {
        let text = format!("read 1 → [{}]", "17 ".repeat(300));
        let short = cut(&text, 40);
        assert!(short.starts_with("read 1 → [") && short.ends_with(']') && short.chars().count() <= 40, "{short}");
    }
}
