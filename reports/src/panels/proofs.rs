//! The first proof of each broken guarantee, the others folded away; what was promised before what was not.

use gainsay_checker::finding::Outcome;
use gainsay_checker::{Anomaly, Finding, GUARANTEES};
use maud::{Markup, html};

use crate::page::RunPage;
use crate::proof::{Place, card};
use crate::words;

pub fn render(page: &RunPage) -> Option<Markup> {
    proofs_of(page, "", usize::MAX, Place::Timeline)
}

/// The proofs of a run; at most `most` guarantees, those that were asked for first. Only the run's own page, which has the timeline, folds
/// further proofs of the same guarantee away.
pub fn proofs_of(page: &RunPage, prefix: &str, most: usize, place: Place) -> Option<Markup> {
    let broken = shown(page, most);
    if broken.is_empty() {
        return None;
    }
    let promised = broken.iter().filter(|(finding, ..)| finding.asked).count();
    Some(html! {
        @for (n, (finding, anomalies, violations)) in broken.iter().enumerate() {
            @if n == 0 && promised > 0 {
                h2 { "Proofs" small { (words::count(page.judgement.counts.operations)) " operations reduced to the few that contradict each other" } }
            }
            @if n == promised {
                h2 { "Proofs that do not count" small { "not promised by this mode and policy, or not asked for; yet it happened" } }
            }
            section id=(format!("{prefix}{}", finding.guarantee)) {
                @if let Some(known) = GUARANTEES.iter().find(|known| known.name == finding.guarantee) {
                    p.sub.about { b { (finding.guarantee.replace('-', " ")) } ": " (known.about) }
                } @else {
                    p.sub.about { b { (finding.guarantee.replace('-', " ")) } }
                }
                (card(page, &format!("{prefix}{}-1", finding.guarantee), n + 1, &anomalies[0], place))
                @if anomalies.len() > 1 && place == Place::Timeline {
                    details {
                        summary { (anomalies.len() - 1) " more of " (words::count(*violations)) " violations of " (finding.guarantee.replace('-', " ")) }
                        @for (i, anomaly) in anomalies.iter().enumerate().skip(1) {
                            (card(page, &format!("{prefix}{}-{}", finding.guarantee, i + 1), i + 1, anomaly, Place::Nowhere))
                        }
                    }
                }
            }
        }
    })
}

/// The broken guarantees whose proofs are shown, at most `most`: those that were asked for first.
pub fn shown(page: &RunPage, most: usize) -> Vec<(&Finding, &[Anomaly], u64)> {
    let mut broken: Vec<_> = page.judgement.findings.iter().filter_map(proven).collect();
    broken.sort_by_key(|(finding, ..)| !finding.asked);
    broken.truncate(most);
    broken
}

fn proven(finding: &Finding) -> Option<(&Finding, &[Anomaly], u64)> {
    match &finding.outcome {
        Outcome::Broken { anomalies, violations, .. } if !anomalies.is_empty() => {
            Some((finding, anomalies.as_slice(), *violations))
        }
        _ => None,
    }
}
