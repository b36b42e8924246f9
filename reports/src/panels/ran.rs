//! What was run, and the commands that repeat it.

use maud::{Markup, html};

use crate::page::RunPage;

pub fn render(page: &RunPage) -> Option<Markup> {
    if page.facts.is_empty() && page.command.is_none() {
        return None;
    }
    Some(html! {
        h2 { "What ran" }
        table.facts {
            @for (name, value) in &page.facts { tr { td.sub { (name) } td { (value) } } }
            tr { td.sub { "files" } td { code { (page.directory) } } }
        }
        @for note in page.notes.iter().chain(&page.judgement.notes) { p.sub { "Note: " (note) } }
        @if let Some(command) = &page.command {
            h3 { "Again" }
            pre { (command) }
            p.sub { "The same faults at the same moments, without the random generator that chose them:" }
            pre { (command) " --schedule " (page.directory) "/schedule.json" }
            p.sub { "The verdict alone, from the history:" }
            pre { "gainsay check " (page.directory) }
        }
    })
}
