//! One anomaly as a card: a sentence, its two to five operations over the faults, why they contradict each other, what the nodes
//! said of themselves at that time, what it rules out and what would have prevented it.

mod picture;

use std::collections::BTreeMap;

use gainsay_checker::{Anomaly, Edge, FaultWindow};
use maud::{Markup, html};

use crate::advice;
use crate::page::{RunPage, Sample};
use crate::strip::described;
use crate::words;

use self::picture::{letter, picture};

/// What a node said is shown beside an anomaly if it is at most so old, nanoseconds.
const FRESH: u64 = 1_000_000_000;

/// Whether the page has a timeline that marks the anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It does, at `at-` and the card's identity.
    Timeline,
    /// It does not.
    Nowhere,
}

/// The card of `anomaly`, number `number` on the page.
pub fn card(page: &RunPage, id: &str, number: usize, anomaly: &Anomaly, place: Place) -> Markup {
    let faults = &page.judgement.faults;
    let active: Vec<&FaultWindow> = faults.iter().filter(|fault| anomaly.faults.contains(&fault.id)).collect();
    let mut edges: Vec<&Edge> = Vec::new();
    for edge in &anomaly.edges {
        if !edges.contains(&edge) {
            edges.push(edge);
        }
    }
    html! {
        div.card id=(id) {
            p.tag {
                "Proof " (number) " · " b { (anomaly.name.replace('-', " ")) }
                @if place == Place::Timeline { " · " a href=(format!("#at-{id}")) { "in the timeline" } }
            }
            h3 { (anomaly.sentence) }
            (active_then(&active))
            (picture(anomaly, &active))
            @if !edges.is_empty() {
                ul.edges {
                    @for edge in edges { li { b { (letter(edge.from)) " → " (letter(edge.to)) } " " (edge.why) } }
                }
            }
            (nodes(&page.samples, anomaly.time))
            div.why {
                div { b { "rules out" } (advice::rules_out(&anomaly.name)) }
                @if let Some(prevention) = advice::prevention(&anomaly.name, page.label()) {
                    div { b { "would have prevented it" } (prevention) }
                }
            }
        }
    }
}

fn active_then(active: &[&FaultWindow]) -> Markup {
    html! {
        @if active.is_empty() {
            p.sub { "No fault was active at that time." }
        } @else {
            p.sub {
                "Active then: "
                @for (i, fault) in active.iter().enumerate() {
                    @if i > 0 { "; " }
                    (described(fault)) ", from " (words::seconds(fault.start))
                    @if let Some(end) = fault.end { " to " (words::seconds(end)) }
                }
                "."
            }
        }
    }
}

/// What each node last said of itself before `time`.
fn nodes(samples: &[Sample], time: u64) -> Markup {
    let before = &samples[..samples.partition_point(|sample| sample.time <= time)];
    let mut last: BTreeMap<&str, &Sample> = BTreeMap::new();
    for sample in before.iter().rev().take_while(|sample| time - sample.time <= FRESH) {
        last.entry(&sample.node).or_insert(sample);
    }
    if !last.values().any(|sample| sample.role.is_some()) {
        return html! {};
    }
    let age = last.values().map(|sample| time - sample.time).max().unwrap_or(0);
    html! {
        p.nodes {
            b { "What the nodes said of themselves, at most " (words::millis(age as f64 / 1e6)) " before" }
            @for (node, sample) in &last {
                span {
                    (node) " "
                    @if let Some(role) = &sample.role {
                        (role) @if sample.term > 0 { ", term " (sample.term) } @if sample.position > 0 { ", applied " (words::count(sample.position)) }
                    } @else { "did not answer" }
                }
            }
        }
    }
}
