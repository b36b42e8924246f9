//! The verdict: one line in words, then a row for each guarantee with its evidence and when it broke.

use gainsay_checker::finding::Outcome;
use gainsay_checker::history::Effect;
use gainsay_checker::{Finding, GUARANTEES};
use maud::{Markup, html};

use super::proofs::shown;
use crate::page::{RunPage, verdict_words};
use crate::strip::strip;
use crate::words;

pub fn render(page: &RunPage) -> Option<Markup> {
    let judgement = &page.judgement;
    let (first, then) = headline(&judgement.headline);
    let (word, rest) = first.split_once(' ').unwrap_or((first, ""));
    Some(html! {
        header.top { b { "gainsay" } @if let Some(meta) = &page.history.meta { span { (meta.workload) " workload, seed " (meta.seed) } } code { (page.label()) } }
        h1 { span class=(judgement.result) { (word) } " " (rest) }
        @if !then.is_empty() { p.lead { (then) } }
        p.sub { (summary(page)) }
        h2 { "What held, what broke" small { "shaded: faults; ticks: when a guarantee was seen broken" } }
        (table(page, "", usize::MAX))
    })
}

/// A headline stays a line or two: what follows its first statement is said below it.
fn headline(text: &str) -> (&str, &str) {
    if text.chars().count() <= HEADLINE {
        return (text, "");
    }
    let end = ["; ", ". "].iter().filter_map(|end| text.find(end)).min();
    end.map_or((text, ""), |end| (&text[..end], text[end + 2..].trim_start()))
}

/// Characters that make two lines.
const HEADLINE: usize = 110;

fn summary(page: &RunPage) -> String {
    let counts = &page.judgement.counts;
    let faults = &page.judgement.faults;
    let proven = faults.iter().filter(|fault| fault.effect == Effect::Proven).count();
    let mut text = format!(
        "{} operations in {:.0} s: {} succeeded, {} certainly failed, {} with unknown outcome. ",
        words::count(counts.operations),
        page.load_end() as f64 / 1e9,
        words::count(counts.ok),
        words::count(counts.fail),
        words::count(counts.info),
    );
    text += &match (faults.len(), proven) {
        (0, _) => "No fault was injected.".to_string(),
        (1, 1) => "One fault, proven to have taken effect.".to_string(),
        (all, proven) if all == proven => format!("{all} faults, all proven to have taken effect."),
        (all, 0) => format!("{all} faults, none of them proven to have taken effect: this run is no evidence."),
        (all, proven) => format!("{all} faults, {proven} of them proven to have taken effect."),
    };
    if let Some(ms) = page.judgement.divergence_ms {
        text += &format!(" All replicas were equal {} after healing.", words::millis(ms));
    }
    text
}

/// The table of guarantees; `prefix` tells the proofs of several runs on one page apart, of which at most `most` are shown.
pub fn table(page: &RunPage, prefix: &str, most: usize) -> Markup {
    let linked: Vec<&str> = shown(page, most).into_iter().map(|(finding, ..)| finding.guarantee.as_str()).collect();
    let end = page.load_end();
    let (promised, others): (Vec<&Finding>, Vec<&Finding>) =
        page.judgement.findings.iter().partition(|finding| finding.asked);
    html! {
        div.scroll { table.verdict {
            tr { th { "guarantee" } th { "verdict" } th { "evidence" } th { "when, 0 to " (format!("{:.0}", end as f64 / 1e9)) " s" } th {} }
            @for finding in promised { (row(page, finding, prefix, &linked)) }
            @if !others.is_empty() {
                tr { th.group colspan="5" { "Not promised, or not asked for: shown, and does not count" } }
            }
            @for finding in others { (row(page, finding, prefix, &linked)) }
        } }
    }
}

fn row(page: &RunPage, finding: &Finding, prefix: &str, linked: &[&str]) -> Markup {
    let (word, sign, class) = verdict_words(&finding.outcome);
    let times: &[u64] = match &finding.outcome {
        Outcome::Broken { times, .. } => times,
        _ => &[],
    };
    let about = GUARANTEES.iter().find(|known| known.name == finding.guarantee).map(|known| known.about);
    html! {
        tr class=(if finding.asked { "" } else { "aside" }) {
            td.name title=[about] { (finding.guarantee.replace('-', " ")) }
            td class=(format!("v {class}")) { (sign) " " (word) }
            td { (evidence(finding)) }
            td { (strip(&page.judgement.faults, times, page.load_end())) }
            td { @if linked.contains(&finding.guarantee.as_str()) { a href=(format!("#{prefix}{}", finding.guarantee)) { "proof" } } }
        }
    }
}

fn evidence(finding: &Finding) -> String {
    let evidence = &finding.evidence;
    match &finding.outcome {
        Outcome::Held => {
            let bound =
                evidence.upper_bound.map(|bound| format!(" · at most {}", words::percent(bound))).unwrap_or_default();
            format!("0 of {} {}{bound}", words::count(evidence.opportunities), evidence.unit)
        }
        Outcome::Broken { violations, .. } => {
            format!("{} of {} {}", words::count(*violations), words::count(evidence.opportunities), evidence.unit)
        }
        Outcome::Unknown { why } | Outcome::Vacuous { why } => why.clone(),
    }
}
