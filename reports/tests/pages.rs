//! Pages of runs and comparisons: complete, safe, small, whatever the run.

mod made;

use gainsay_checker::{Action, History, Outcome};
use gainsay_reports::{compare_page, run_page};
use made::{HOSTILE, eventful, history, ms, op, page};

/// No page may be larger.
const LARGEST: usize = 5_000_000;

const LABEL: &str = "single-leader ack=async failover=auto reads=any fencing=on";

/// Every element that was opened is closed: an SVG element that is not swallows what follows it.
fn assert_closed(html: &str) {
    for tag in [
        "line", "rect", "path", "circle", "g", "svg", "a", "text", "tspan", "table", "tr", "td", "div", "section",
        "details", "figure",
    ] {
        let start = format!("<{tag}");
        let opened = html.match_indices(&start).filter(|(at, _)| {
            let rest = &html[at + tag.len() + 1..];
            let own = rest.starts_with([' ', '>', '/', '\n']);
            own && !rest[..rest.find('>').unwrap_or(0)].ends_with('/')
        });
        assert_eq!(opened.count(), html.matches(&format!("</{tag}>")).count(), "<{tag}> is not closed everywhere");
    }
}

fn assert_sound(html: &str) {
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("<title>"), "a page has a title");
    assert!(html.len() < LARGEST, "{} bytes", html.len());
    for foreign in ["src=", "@import", "url(", "http://", "https://"] {
        assert!(!html.contains(foreign), "the page fetches something: {foreign}");
    }
    for (at, _) in html.match_indices("<svg") {
        let head = &html[at..(at + 400).min(html.len())];
        let named = head.contains("<title>") || head.contains("aria-label") || head.contains("aria-hidden");
        assert!(named, "a picture without a name: {head}");
    }
    assert_closed(html);
}

#[test]
fn every_panel_is_on_the_page_in_the_order_of_the_table() {
    let html = run_page(&eventful(LABEL, ""));
    assert_sound(&html);
    let titles = [
        "What held, what broke",
        "Proofs",
        "Timeline",
        "Latency",
        "Rate",
        "Availability",
        "Faults",
        "Failover",
        "Who led",
        "Replication lag",
        "Clock offset",
        "Ledger",
        "What ran",
    ];
    let mut from = 0;
    for title in titles {
        let heading = html[from..].find(&format!(">{title}<"));
        from += heading.unwrap_or_else(|| panic!("{title} is missing or out of order"));
    }
}

#[test]
fn links_on_a_page_lead_somewhere() {
    let runs = [eventful(LABEL, ""), eventful("leaderless n=3 w=2 r=2 versions=lww", "")];
    for html in [run_page(&runs[0]), compare_page("Two", &runs)] {
        assert!(html.matches("href=\"#").count() > 3);
        for (at, start) in html.match_indices("href=\"#") {
            let target = html[at + start.len()..].split('"').next().unwrap_or_default();
            assert!(html.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
        }
    }
}

#[test]
fn hostile_text_stays_text() {
    let mut run = eventful(&format!("single-leader {HOSTILE}"), HOSTILE);
    run.facts.push((HOSTILE.to_string(), HOSTILE.to_string()));
    run.notes.push(HOSTILE.to_string());
    run.command = Some(HOSTILE.to_string());
    run.directory = HOSTILE.to_string();
    for sample in &mut run.samples {
        sample.node += HOSTILE;
    }
    run.judgement.headline = format!("Broken {HOSTILE}");
    for html in [run_page(&run), compare_page(HOSTILE, &[run.clone(), run.clone()])] {
        assert_sound(&html);
        assert!(html.contains("&lt;script&gt;alert"), "the text is there");
        assert!(!html.contains("<script>alert") && !html.contains("<b>'") && !html.contains("'&<b>"));
        assert_eq!(html.matches("<script>").count(), 1, "only the page's own script");
    }
}

#[test]
fn a_failover_shows_what_it_cost() {
    let run = eventful(LABEL, "");
    let html = run_page(&run);
    let panel = html.split(">Failover<").nth(1).unwrap_or_default();
    let row = panel.split("<tr>").nth(2).unwrap_or_default();
    assert!(row.contains("n1 → n2") && row.contains("kill n1"), "{row}");
    assert!(row.contains("+500\u{a0}ms") && row.contains("+1.00\u{a0}s") && row.contains("1.10\u{a0}s"), "{row}");
    assert!(row.contains("n v broken\">1<"), "one acknowledged write was lost: {row}");
}

#[test]
fn a_million_operations_make_a_small_page() {
    let ops = (0..1_000_000_u64).map(|i| {
        let outcome = match i % 7 {
            0 => Outcome::Fail,
            1 => Outcome::Info,
            _ => Outcome::Ok,
        };
        let mut op = op(i * 2, i % 200, "1", Action::Write((i as i64).into()), outcome, i * 10_000);
        op.completed += i.wrapping_mul(2_654_435_761) % ms(900);
        op
    });
    let history = history(LABEL, ops.collect());
    let mut run = page(History::default());
    run.judgement.counts.operations = 1_000_000;
    run.history = history;
    assert_sound(&run_page(&run));
    assert_sound(&compare_page("Many", &[run.clone(), run]));
}

#[test]
fn an_empty_history_makes_a_page() {
    assert_sound(&run_page(&page(History::default())));
    assert_sound(&compare_page("Nothing", &[]));
    assert_sound(&compare_page("Nothing", &[page(History::default())]));
}

#[test]
fn a_history_without_faults_says_so() {
    let ops = vec![
        op(0, 0, "1", Action::Write(1.into()), Outcome::Ok, ms(1)),
        op(2, 0, "1", Action::Read(None), Outcome::Fail, ms(900)),
    ];
    let html = run_page(&page(history(LABEL, ops)));
    assert_sound(&html);
    assert!(html.contains("No fault was injected.") && !html.contains(">Faults<"));
}

#[test]
fn operations_of_unknown_outcome_alone_make_a_page() {
    let ops = (0..50).map(|i| {
        let mut op = op(i * 2, i, "1", Action::Write((i as i64).into()), Outcome::Info, ms(i * 20));
        op.completed = u64::MAX;
        op
    });
    let html = run_page(&page(history(LABEL, ops.collect())));
    assert_sound(&html);
    assert!(html.contains(">Timeline<"));
}
