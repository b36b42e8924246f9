//! Replication lag, clock offset and leadership of each node over time, from what the nodes said of themselves.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::chart::{Axis, Chart, Colour, Form, Series, WIDE};
use crate::page::{RunPage, Sample};
use crate::strip::{described, shade};
use crate::words;

/// Samples of one round are at most this far apart, nanoseconds.
const ROUND: u64 = 150_000_000;

pub fn render(page: &RunPage) -> Option<Markup> {
    let answered = page.samples.iter().filter(|sample| sample.role.is_some()).count();
    if answered == 0 {
        return None;
    }
    let nodes = by_node(&page.samples);
    let lag = lag(page, &nodes);
    let clocks = clocks(&nodes);
    let chart = |title, series: &[Series], knee, unit| {
        Chart {
            title,
            series,
            faults: &page.judgement.faults,
            end: page.load_end(),
            axis: Axis::Bent(knee),
            unit,
            width: WIDE,
            reach: 0.0,
        }
        .render()
    };
    Some(html! {
        @if nodes.values().flatten().any(|sample| sample.role.as_deref() == Some("leader")) {
            h2 { "Who led" small { "as each node said of itself; the number is the term" } }
            (leaders(page, &nodes))
        }
        @if lag.iter().any(|series| !series.points.is_empty()) {
            h2 { "Replication lag" small { "log entries behind the most advanced node" } }
            (chart("Log entries that each node is behind the most advanced", &lag, 10.0, ""))
        }
        @if clocks.iter().any(|series| !series.points.is_empty()) {
            h2 { "Clock offset" small { "each node's wall clock minus the harness's" } }
            (chart("Offset of each node's wall clock in seconds", &clocks, 0.1, "s"))
        }
    })
}

fn by_node(samples: &[Sample]) -> BTreeMap<&str, Vec<&Sample>> {
    let mut nodes: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        nodes.entry(&sample.node).or_default().push(sample);
    }
    nodes
}

fn lag(page: &RunPage, nodes: &BTreeMap<&str, Vec<&Sample>>) -> Vec<Series> {
    let furthest = |time: u64| {
        let near = page.samples.iter().filter(|sample| sample.role.is_some() && sample.time.abs_diff(time) <= ROUND);
        near.map(|sample| sample.position).max().unwrap_or(0)
    };
    let point =
        |sample: &&Sample| (sample.time as f64 / 1e9, furthest(sample.time).saturating_sub(sample.position) as f64);
    nodes
        .iter()
        .enumerate()
        .map(|(n, (node, samples))| Series {
            name: node.to_string(),
            colour: Colour::Series(n),
            points: samples.iter().filter(|sample| sample.role.is_some() && sample.position > 0).map(point).collect(),
            form: Form::Line,
        })
        .collect()
}

fn clocks(nodes: &BTreeMap<&str, Vec<&Sample>>) -> Vec<Series> {
    nodes
        .iter()
        .enumerate()
        .map(|(n, (node, samples))| Series {
            name: node.to_string(),
            colour: Colour::Series(n),
            points: samples
                .iter()
                .filter_map(|sample| {
                    sample.clock_offset_ns.map(|offset| (sample.time as f64 / 1e9, offset as f64 / 1e9))
                })
                .collect(),
            form: Form::Line,
        })
        .collect()
}

/// A lane for each node; filled while it said that it leads, striped while it did not answer.
fn leaders(page: &RunPage, nodes: &BTreeMap<&str, Vec<&Sample>>) -> Markup {
    let (left, width, lane) = (58.0, 962.0, 20.0);
    let end = page.load_end();
    let x = |time: u64| left + time.min(end) as f64 / end as f64 * width;
    let height = lane * nodes.len() as f64;
    html! {
        div.scroll { svg.chart viewBox=(format!("0 0 1040 {:.0}", height + 20.0)) role="img" {
            title { "Which node led when" }
            @for fault in &page.judgement.faults {
                @let from = x(fault.start);
                rect x=(format!("{from:.1}")) y="0" width=(format!("{:.1}", (x(fault.end.unwrap_or(end)) - from).max(1.0))) height=(height) fill=(shade(&fault.kind)) { title { (described(fault)) } }
            }
            @for (n, (node, samples)) in nodes.iter().enumerate() {
                @let y = n as f64 * lane;
                text.ink x="50" y=(y + 14.0) text-anchor="end" { (node) }
                line x1=(left) x2=(left + width) y1=(y + lane) y2=(y + lane) stroke="var(--line)" {}
                @for (from, to, term) in reigns(samples, end) {
                    rect x=(format!("{:.1}", x(from))) y=(y + 3.0) width=(format!("{:.1}", (x(to) - x(from)).max(2.0))) height=(lane - 6.0) rx="3" fill=(Colour::Series(n).css()) { title { (node) " led in term " (term) " from " (words::seconds(from)) " to " (words::seconds(to)) } }
                    @if x(to) - x(from) > 22.0 { text x=(format!("{:.1}", x(from) + 6.0)) y=(y + 14.0) class="on" { (term) } }
                }
            }
            text x=(left) y=(height + 15.0) { "0 s" }
            text x=(left + width) y=(height + 15.0) text-anchor="end" { (format!("{:.0} s", end as f64 / 1e9)) }
        } }
    }
}

/// From, to and term of each stretch during which the node said that it leads.
fn reigns(samples: &[&Sample], end: u64) -> Vec<(u64, u64, u64)> {
    let mut reigns: Vec<(u64, u64, u64)> = Vec::new();
    let mut open = false;
    for sample in samples.iter().filter(|sample| sample.time <= end) {
        if sample.role.as_deref() == Some("leader") {
            match reigns.last_mut() {
                Some(reign) if open && reign.2 == sample.term => reign.1 = sample.time,
                _ => reigns.push((sample.time, sample.time, sample.term)),
            }
            open = true;
        } else {
            open = false;
        }
    }
    reigns
}
