//! What became of every acknowledged write, in total and on each replica.

use maud::{Markup, html};

use crate::page::RunPage;
use crate::words;

pub fn render(page: &RunPage) -> Option<Markup> {
    let ledger = page.judgement.ledger.as_ref()?;
    let rows = [
        ("present on every replica", ledger.present),
        ("on some replicas only", ledger.on_some),
        ("replaced by a later write", ledger.replaced),
        ("removed or deleted", ledger.removed),
        ("lost", ledger.lost),
    ];
    Some(html! {
        h2 { "Ledger" small { (words::count(ledger.acknowledged)) " acknowledged writes, from the final reads of every node" } }
        div.two {
            table {
                @for (name, number) in rows {
                    tr { td { (name) } td class=(if name == "lost" && number > 0 { "n v broken" } else { "n" }) { (words::count(number)) } }
                }
                @if ledger.duplicated > 0 { tr { td { "counted twice" } td.n.v.broken { (words::count(ledger.duplicated)) } } }
                tr.aside { td { "not acknowledged, yet present" } td.n { (words::count(ledger.unacknowledged_present)) } }
            }
            table {
                tr { th { "replica" } th.n { "holds" } th.n { "lacks what another holds" } }
                @for (node, holds, lacks) in &ledger.replicas {
                    tr { td { (node) } td.n { (words::count(*holds)) } td class=(if *lacks > 0 { "n v broken" } else { "n" }) { (words::count(*lacks)) } }
                }
            }
        }
    })
}
