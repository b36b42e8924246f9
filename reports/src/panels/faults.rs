//! Each fault: when it really began and ended, what proved it, and what became of the operations meanwhile.

use gainsay_checker::history::Effect;
use gainsay_checker::{FaultWindow, Outcome};
use maud::{Markup, html};

use crate::page::RunPage;
use crate::strip::shade;
use crate::words;

pub fn render(page: &RunPage) -> Option<Markup> {
    let faults = &page.judgement.faults;
    if faults.is_empty() {
        return None;
    }
    Some(html! {
        h2 { "Faults" small { "when each really began and ended, what a probe on the node's own path saw, and how the operations under way ended" } }
        div.scroll { table {
            tr { th { "fault" } th { "what" } th { "from" } th { "to" } th { "proof that it took effect" } th.n { "ok" } th.n { "failed" } th.n { "unknown" } }
            @for fault in faults { (row(page, fault)) }
        } }
    })
}

fn row(page: &RunPage, fault: &FaultWindow) -> Markup {
    let end = fault.end.unwrap_or(u64::MAX);
    let mut counts = [0_u64; 3];
    for op in page.load().filter(|op| op.invoked <= end && op.completed >= fault.start) {
        counts[match op.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        }] += 1;
    }
    let (sign, class, word) = match fault.effect {
        Effect::Proven => ("●", "held", "proven"),
        Effect::NoEffect => ("✕", "broken", "no effect"),
        Effect::Indeterminate => ("?", "unknown", "not known"),
    };
    html! {
        tr {
            td { span.kind style=(format!("background:{}", shade(&fault.kind))) { (fault.kind) } }
            td { (fault.what) }
            td.t { (words::seconds(fault.start)) }
            td.t { (fault.end.map_or("not ended".to_string(), words::seconds)) @if let Some(early) = &fault.early { br; span.broken { "ended early: " (early) } } }
            td { span class=(format!("v {class}")) { (sign) " " (word) } " " div.sub { (fault.proof) } }
            @for count in counts { td.n { (words::count(count)) } }
        }
    }
}
