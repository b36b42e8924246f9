//! Several runs on one page: what each kept, and what it costs.

use std::collections::BTreeSet;

use gainsay_checker::finding::Outcome;
use maud::{Markup, html};

use crate::chart::{Axis, Chart};
use crate::layout;
use crate::page::{RunPage, verdict_words};
use crate::panels::{latency_series, proofs_of, verdict_table};
use crate::proof::Place;
use crate::words;

/// Guarantees whose proofs a comparison shows for each run; the others are a click away in its own report.
const PROOFS: usize = 3;

/// A page that compares `pages`, under `headline`.
pub fn compare_page(headline: &str, pages: &[RunPage]) -> String {
    let body = html! {
        header.top { b { "gainsay" } span { "comparison of " (pages.len()) " runs" @if let Some(seed) = common_seed(pages) { ", all with seed " (seed) } } }
        h1 { (headline) }
        p.sub { "● held (with evidence below) · ✕ broken, with how often · ? budget ran out · ○ too little evidence. Every ✕ opens its proof." }
        (matrix(pages))
        (runs(pages))
        (proofs(pages))
        (again(pages))
    };
    layout::page(headline, true, &body).into_string()
}

fn common_seed(pages: &[RunPage]) -> Option<u64> {
    let seeds: BTreeSet<u64> =
        pages.iter().filter_map(|page| page.history.meta.as_ref().map(|meta| meta.seed)).collect();
    (seeds.len() == 1).then(|| seeds.first().copied()).flatten()
}

/// Every guarantee that any run has a finding for, in the order of the first that has it.
fn guarantees(pages: &[RunPage]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for finding in pages.iter().flat_map(|page| &page.judgement.findings) {
        if !names.contains(&finding.guarantee.as_str()) {
            names.push(&finding.guarantee);
        }
    }
    names
}

fn prefix(run: usize) -> String {
    format!("run{}-", run + 1)
}

fn matrix(pages: &[RunPage]) -> Markup {
    let names = guarantees(pages);
    html! {
        div.scroll { table {
            tr {
                th { "mode and policy" }
                @for name in &names { th { (name.replace('-', " ")) } }
                th.n { "p50" } th.n { "p99" } th { "writes answered during faults" } th.n { "acknowledged writes lost" }
            }
            @for (run, page) in pages.iter().enumerate() {
                tr {
                    td { a href=(format!("#{}", prefix(run))) { (page.label()) } }
                    @for name in &names { (cell(page, name, run)) }
                    @let quantiles = page.quantiles(|_| true, &[0.5, 0.99]).unwrap_or_default();
                    @for i in 0..2 { td.n { (quantiles.get(i).map(|ms| words::millis(*ms)).unwrap_or_default()) } }
                    td { @if let Some(share) = page.answered_during_faults(true) { (words::percent(share)) span.bar style=(format!("width:{:.0}px", share * 60.0)) {} } }
                    td class=(if lost(page) > 0 { "n v broken" } else { "n" }) { @if page.judgement.ledger.is_some() { (words::count(lost(page))) } @else { "not judged" } }
                }
            }
        } }
    }
}

fn lost(page: &RunPage) -> u64 {
    page.judgement.ledger.as_ref().map_or(0, |ledger| ledger.lost)
}

fn cell(page: &RunPage, name: &str, run: usize) -> Markup {
    let Some(finding) = page.finding(name) else { return html! { td {} } };
    let (word, sign, class) = verdict_words(&finding.outcome);
    let evidence = &finding.evidence;
    let hover = format!("{word}: {} {}", words::count(evidence.opportunities), evidence.unit);
    html! {
        td class=(format!("v {class}")) title=(hover) {
            @if let Outcome::Broken { violations, .. } = &finding.outcome {
                a.broken href=(format!("#{}{name}", prefix(run))) { (sign) " " (words::count(*violations)) }
            } @else { (sign) }
            @if !finding.asked { span.sub title="not promised" { " °" } }
        }
    }
}

fn runs(pages: &[RunPage]) -> Markup {
    html! {
        p.sub { "° not promised by that mode and policy." }
        @for (run, page) in pages.iter().enumerate() {
            h2 id=(prefix(run)) { (page.label()) small { (page.judgement.headline) } }
            (verdict_table(page, &prefix(run)))
            @let (series, drawn, all) = latency_series(page);
            @if all > 0 {
                p.sub { "Latency from the moment each operation was due; " (words::count(drawn as u64)) " of " (words::count(all as u64)) " drawn." }
                (Chart { title: "Latency over time", series: &series, faults: &page.judgement.faults, end: page.load_end(), axis: Axis::LogMillis, unit: "ms" }.render())
            }
        }
    }
}

fn proofs(pages: &[RunPage]) -> Markup {
    html! {
        @for (run, page) in pages.iter().enumerate() {
            @if let Some(proofs) = proofs_of(page, &prefix(run), PROOFS, Place::Nowhere) {
                p.sub style="margin-top:40px" { code { (page.label()) } }
                (proofs)
            }
        }
    }
}

fn again(pages: &[RunPage]) -> Markup {
    html! {
        h2 { "Again" }
        @for page in pages {
            @if let Some(command) = &page.command { pre { (command) } }
            p.sub { "Its own report: " code { (page.directory) "/report.html" } }
        }
    }
}
