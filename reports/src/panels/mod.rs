//! The table of panels, in the order of the page. A panel with nothing to say answers `None` and is left out.

mod availability;
mod failover;
mod faults;
mod latency;
mod ledger;
mod proofs;
mod ran;
mod replicas;
mod timeline;
mod verdict;

use maud::{Markup, html};

use crate::layout;
use crate::page::RunPage;

pub use self::availability::series as availability_series;
pub use self::latency::latency_series;
pub use self::proofs::{proofs_of, shown};
pub use self::verdict::table as verdict_table;

/// Draws its part of a run's page.
pub type Panel = fn(&RunPage) -> Option<Markup>;

/// Every panel.
pub const PANELS: &[Panel] = &[
    verdict::render,
    proofs::render,
    timeline::render,
    latency::render,
    availability::render,
    faults::render,
    failover::render,
    replicas::render,
    ledger::render,
    ran::render,
];

/// The whole page of a run.
pub fn render(page: &RunPage) -> Markup {
    let body = html! {
        @for panel in PANELS {
            @if let Some(part) = panel(page) { (part) }
        }
    };
    layout::page(&page.judgement.headline, false, &body)
}
