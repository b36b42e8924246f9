//! Several runs on one page: what each kept, and what it costs.
//!
//! A matrix first, readable without colour: a sign a verdict, a number beside each sign that is not good. Then what the guarantees cost,
//! then the same charts for every run with the same scales, then each run's evidence and first proofs.

use std::collections::BTreeSet;

use gainsay_checker::GUARANTEES;
use gainsay_checker::finding::Outcome;
use maud::{Markup, html};

use crate::chart::{Axis, Chart, WIDE, fault_key};
use crate::cost;
use crate::layout;
use crate::page::{RunPage, verdict_words};
use crate::panels::{availability_series, latency_series, proofs_of, shown, verdict_table};
use crate::proof::Place;
use crate::words;

/// Proofs on a comparison's page, and of each run at least; the others are in the run's own report.
const PROOFS: usize = 120;
const FEWEST_PROOFS: usize = 2;
/// Points of all latency charts together, and of one at least.
const POINTS: usize = 12_000;
const FEWEST_POINTS: usize = 200;

/// A page that compares `pages`, under `headline`.
pub fn compare_page(headline: &str, pages: &[RunPage]) -> String {
    let most = (PROOFS / pages.len().max(1)).max(FEWEST_PROOFS);
    let body = html! {
        header.top { b { "gainsay" } span { "comparison of " (pages.len()) " runs" @if let Some(seed) = common_seed(pages) { ", all with seed " (seed) } } }
        h1 { (headline) }
        p.sub { "● held · ✕ broken, and how often · ? undecided · ○ too little to see · ° not promised, or not asked for. Point at a sign for its evidence; every ✕ leads to its proof." }
        (matrix(pages, most))
        (cost::scatter(pages))
        (multiples(pages))
        @for (run, page) in pages.iter().enumerate() { (one(page, run, most)) }
        (again(pages))
    };
    layout::page(headline, true, &body).into_string()
}

fn common_seed(pages: &[RunPage]) -> Option<u64> {
    let seeds: BTreeSet<u64> =
        pages.iter().filter_map(|page| page.history.meta.as_ref().map(|meta| meta.seed)).collect();
    (seeds.len() == 1).then(|| seeds.first().copied()).flatten()
}

/// Every guarantee that any run has a finding for: those with a definition in their order, then the others.
fn guarantees(pages: &[RunPage]) -> Vec<&str> {
    let found: Vec<&str> =
        pages.iter().flat_map(|page| &page.judgement.findings).map(|finding| finding.guarantee.as_str()).collect();
    let mut names: Vec<&str> = GUARANTEES.iter().map(|known| known.name).filter(|name| found.contains(name)).collect();
    for name in found {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn prefix(run: usize) -> String {
    format!("run{}-", run + 1)
}

/// The label of a run as its first word and the rest.
fn mode(page: &RunPage) -> (&str, &str) {
    let label = if page.label().is_empty() { page.directory.as_str() } else { page.label() };
    label.split_once(' ').unwrap_or((label, ""))
}

fn matrix(pages: &[RunPage], most: usize) -> Markup {
    let names = guarantees(pages);
    html! {
        div.scroll { table.matrix {
            tr {
                th { "mode" } th { "policy" }
                @for name in &names {
                    @let about = GUARANTEES.iter().find(|known| known.name == *name).map(|known| known.about);
                    th.c title=[about] { (name.replace('-', " ")) }
                }
                th.n { "p50" } th.n { "p99" } th { "writes answered during faults" } th.n { "acked writes lost" }
            }
            @for (run, page) in pages.iter().enumerate() {
                @let (mode, policy) = mode(page);
                tr {
                    td.t { a href=(format!("#{}", prefix(run))) { (mode) } }
                    td.policy { (policy) }
                    @for name in &names { (cell(page, name, run, most)) }
                    @let quantiles = page.quantiles(|_| true, &[0.5, 0.99]).unwrap_or_default();
                    @for i in 0..2 { td.n.t { (quantiles.get(i).map(|ms| words::millis(*ms)).unwrap_or_default()) } }
                    td.t { @match page.answered_during_faults(true) { Some(share) => { span.share { (words::percent(share)) } span.bar style=(format!("width:{:.0}px", share * 44.0)) {} } None => { span.sub { "no faults" } } } }
                    td class=(if lost(page) > 0 { "n v broken" } else { "n" }) { @if page.judgement.ledger.is_some() { @if lost(page) > 0 { "✕ " } (words::count(lost(page))) } @else { "not judged" } }
                }
            }
        } }
    }
}

fn lost(page: &RunPage) -> u64 {
    page.judgement.ledger.as_ref().map_or(0, |ledger| ledger.lost)
}

fn cell(page: &RunPage, name: &str, run: usize, most: usize) -> Markup {
    let Some(finding) = page.finding(name) else { return html! { td.c title="not judged" { "–" } } };
    let (word, sign, class) = verdict_words(&finding.outcome);
    let evidence = &finding.evidence;
    let hover = match &finding.outcome {
        Outcome::Held => format!("{word}: 0 of {} {}", words::count(evidence.opportunities), evidence.unit),
        Outcome::Broken { violations, .. } => {
            let of = words::count(evidence.opportunities);
            format!("{word}: {} of {of} {}", words::count(*violations), evidence.unit)
        }
        Outcome::Unknown { why } | Outcome::Vacuous { why } => format!("{word}: {why}"),
    };
    let promised = if finding.asked { "" } else { "aside" };
    html! {
        td class=(format!("c v {class} {promised}")) title=(hover) {
            @if let Outcome::Broken { violations, .. } = &finding.outcome {
                @let place = if shown(page, most).iter().any(|(proof, ..)| proof.guarantee == name) { name } else { "" };
                a.broken href=(format!("#{}{place}", prefix(run))) { (sign) "\u{a0}" (words::count(*violations)) }
            } @else { (sign) }
            @if !finding.asked { sup title="not promised, or not asked for" { "°" } }
        }
    }
}

/// The same two charts for each run, beside each other, with the same scales.
fn multiples(pages: &[RunPage]) -> Markup {
    let most = (POINTS / pages.len().max(1)).max(FEWEST_POINTS);
    let latencies: Vec<_> = pages.iter().map(|page| latency_series(page, most)).collect();
    let points = latencies.iter().flat_map(|(series, ..)| series.iter().flat_map(|series| &series.points));
    let slowest = points.map(|(_, ms)| *ms).fold(0.0, f64::max);
    let end = pages.iter().map(RunPage::load_end).max().unwrap_or(1);
    let width = if pages.len() < 3 { WIDE * 3 / 5 } else { WIDE * 2 / 5 };
    html! {
        h2 { "Side by side" small { "shaded: faults; the same scales for all" } }
        div.key { (fault_key(pages.iter().flat_map(|page| &page.judgement.faults))) }
        div class=(if pages.len() < 3 { "multiples two" } else { "multiples three" }) {
            @for ((page, (series, drawn, all)), run) in pages.iter().zip(&latencies).zip(0..) {
                @let (mode, policy) = mode(page);
                @let faults = &page.judgement.faults;
                figure {
                    figcaption { a href=(format!("#{}", prefix(run))) { b { (mode) } } " " (policy) }
                    @if *all > 0 {
                        p.sub { "Latency from when each was due; " (words::count(*drawn as u64)) " of " (words::count(*all as u64)) " drawn" }
                        (Chart { title: "Latency over time", series, faults, end, axis: Axis::LogMillis, unit: "ms", width, reach: slowest }.render())
                    }
                    @if let Some((_, available)) = availability_series(page) {
                        p.sub { "Share answered of what was due" }
                        (Chart { title: "Share of operations answered over time, percent", series: &available, faults, end, axis: Axis::Linear, unit: "%", width, reach: 100.0 }.render())
                    }
                }
            }
        }
    }
}

fn one(page: &RunPage, run: usize, most: usize) -> Markup {
    let (mode, policy) = mode(page);
    html! {
        h2.run id=(prefix(run)) { (mode) " " small { (policy) } }
        p { (page.judgement.headline) }
        (verdict_table(page, &prefix(run), most))
        @if let Some(proofs) = proofs_of(page, &prefix(run), most, Place::Nowhere) { (proofs) }
    }
}

fn again(pages: &[RunPage]) -> Markup {
    html! {
        h2 { "Again" small { "the commands that repeat these runs" } }
        @for page in pages {
            @if let Some(command) = &page.command { pre { (command) } }
            p.sub { "Its own report, with every proof: " code { (page.directory) "/report.html" } }
        }
    }
}
