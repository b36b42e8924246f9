//! The first proof of each broken guarantee, the others folded away.

use gainsay_checker::finding::Outcome;
use maud::{Markup, html};

use crate::page::RunPage;
use crate::proof::card;

pub fn render(page: &RunPage) -> Option<Markup> {
    proofs_of(page, "", usize::MAX)
}

/// The proofs of a run; at most `most` guarantees, those that were asked for first.
pub fn proofs_of(page: &RunPage, prefix: &str, most: usize) -> Option<Markup> {
    let mut broken: Vec<_> = page
        .judgement
        .findings
        .iter()
        .filter_map(|finding| match &finding.outcome {
            Outcome::Broken { anomalies, violations, .. } if !anomalies.is_empty() => {
                Some((finding, anomalies, *violations))
            }
            _ => None,
        })
        .collect();
    broken.sort_by_key(|(finding, ..)| !finding.asked);
    if broken.is_empty() {
        return None;
    }
    let (faults, label) = (&page.judgement.faults, page.label());
    Some(html! {
        h2 { "Proofs" small { (crate::words::count(page.judgement.counts.operations)) " operations reduced to the few that contradict each other" } }
        @for (n, (finding, anomalies, violations)) in broken.iter().take(most).enumerate() {
            (card(&format!("{prefix}{}", finding.guarantee), n + 1, &anomalies[0], faults, label))
            @if anomalies.len() > 1 {
                details {
                    summary { (anomalies.len() - 1) " more of " (crate::words::count(*violations)) " violations of " (finding.guarantee) }
                    @for (i, anomaly) in anomalies.iter().enumerate().skip(1) {
                        (card(&format!("{prefix}{}-{}", finding.guarantee, i + 1), i + 1, anomaly, faults, label))
                    }
                }
            }
        }
    })
}
