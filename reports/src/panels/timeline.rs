//! All operations of the load as a heat map: sessions as lanes, time in cells, each cell filled by how its operations ended.
//!
//! A bar for each operation would make a million of them 49 MB and a black smear. Cells keep the size bounded by the picture, not by the run,
//! and nothing is left out: every operation colours every cell through which it was under way, so that one which waited for a
//! second shows as a second. The proofs are marked above, and each mark leads to its proof.

use std::collections::HashMap;
use std::fmt::Write as _;

use gainsay_checker::finding::Outcome as Verdict;
use gainsay_checker::{Anomaly, Atom, Op, Outcome};
use maud::{Markup, html};

use crate::page::RunPage;
use crate::strip::{described, shade};
use crate::words;

/// Cells along time.
const COLUMNS: usize = 240;
/// Lanes at most; further sessions share lanes.
const LANES: usize = 24;
const LEFT: f64 = 92.0;
const WIDTH: f64 = 1040.0;
const RIGHT: f64 = 1020.0;
const LANE: f64 = 16.0;
/// Labels under the picture.
const TICKS: u64 = 12;
/// Height of a filled cell.
const FILLED: f64 = 12.0;
/// Room for the marks of the proofs.
const TOP: f64 = 34.0;

pub fn render(page: &RunPage) -> Option<Markup> {
    let lanes = Lanes::of(page);
    if lanes.names.is_empty() {
        return None;
    }
    let end = page.load_end();
    let cell = end as f64 / COLUMNS as f64 / 1e6;
    let bottom = TOP + LANE * lanes.names.len() as f64;
    let operations = page.load().count() as u64;
    Some(html! {
        h2 id="timeline" { "Timeline" small { "all " (words::count(operations)) " operations, none left out; a cell is " (words::millis(cell)) " of a session, filled by how the operations under way then ended" } }
        div.key {
            @for (name, fill, _) in OUTCOMES { span { i style=(format!("background:{fill}")) {} (name) } }
            span { i.diamond {} "a proof" } span { "(a compare-and-set that was refused counts as failed)" }
        }
        div.scroll { svg.chart viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + 22.0)) role="img" {
            title { "Operations of each session over time, by how they ended" }
            @for fault in &page.judgement.faults {
                @let from = x(fault.start, end);
                rect x=(format!("{from:.1}")) y="16" width=(format!("{:.1}", (x(fault.end.unwrap_or(end), end) - from).max(1.0))) height=(format!("{:.1}", bottom - 16.0)) fill=(shade(&fault.kind)) {
                    title { (described(fault)) }
                }
            }
            @for (n, name) in lanes.names.iter().enumerate() {
                @let y = TOP + LANE * n as f64;
                text x=(LEFT - 8.0) y=(y + 11.0) text-anchor="end" { (name) }
                g { title { (name) } @for (at, (_, fill, _)) in OUTCOMES.iter().enumerate() { path d=(lanes.path(n, at, y)) fill=(fill) {} } }
            }
            @for (id, anomaly) in proofs(page) { (mark(&id, anomaly, end, bottom)) }
            @for second in seconds(end) {
                text x=(format!("{:.1}", x(second * 1_000_000_000, end))) y=(bottom + 16.0) text-anchor="middle" { (second) " s" }
            }
        } }
    })
}

/// How an operation ended: word and colour, from below.
const OUTCOMES: [(&str, &str, Outcome); 3] = [
    ("ok", "var(--ok)", Outcome::Ok),
    ("failed", "var(--fail)", Outcome::Fail),
    ("unknown", "var(--info)", Outcome::Info),
];

fn x(time: u64, end: u64) -> f64 {
    LEFT + time.min(end) as f64 / end.max(1) as f64 * (RIGHT - LEFT)
}

/// Whole seconds to be labelled, at most [`TICKS`].
fn seconds(end: u64) -> impl Iterator<Item = u64> {
    let last = end / 1_000_000_000;
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    // Steps rise without end, so one is large enough.
    let step = steps.take(40).find(|step| last / step < TICKS).unwrap_or(u64::MAX);
    (0..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX))
}

/// The first proof of each guarantee, with the identity of its card.
fn proofs(page: &RunPage) -> impl Iterator<Item = (String, &Anomaly)> {
    page.judgement.findings.iter().filter_map(|finding| match &finding.outcome {
        Verdict::Broken { anomalies, .. } => anomalies.first().map(|first| (format!("{}-1", finding.guarantee), first)),
        _ => None,
    })
}

fn mark(id: &str, anomaly: &Anomaly, end: u64, bottom: f64) -> Markup {
    let at = x(anomaly.time, end);
    html! {
        a href=(format!("#{id}")) id=(format!("at-{id}")) class="at" {
            title { (anomaly.name.replace('-', " ")) ", " (words::seconds(anomaly.time)) ": " (anomaly.sentence) }
            line x1=(format!("{at:.1}")) x2=(format!("{at:.1}")) y1="24" y2=(format!("{bottom:.1}")) stroke="var(--broken)" stroke-width="1" {}
            path d=(format!("M{at:.1} 16l6 6l-6 6l-6-6z")) fill="var(--broken)" {}
        }
    }
}

/// For each lane and cell how many operations were under way, by how they ended.
struct Lanes {
    names: Vec<String>,
    cells: Vec<[[u32; 3]; COLUMNS]>,
}

impl Lanes {
    fn of(page: &RunPage) -> Lanes {
        let mut sessions: Vec<&Atom> = Vec::new();
        let mut known: HashMap<&Atom, usize> = HashMap::new();
        for op in page.load() {
            known.entry(&op.session).or_insert_with(|| {
                sessions.push(&op.session);
                sessions.len() - 1
            });
        }
        sessions.sort();
        for (at, session) in sessions.iter().enumerate() {
            known.insert(session, at);
        }
        let shared = sessions.len().div_ceil(LANES).max(1);
        let names: Vec<String> = sessions
            .chunks(shared)
            .map(|lane| match lane {
                [only] => format!("session {}", short(only)),
                [first, .., last] => format!("{} – {}", short(first), short(last)),
                [] => String::new(),
            })
            .collect();
        let mut cells = vec![[[0; 3]; COLUMNS]; names.len()];
        let end = page.load_end();
        for op in page.load() {
            count(&mut cells[known[&op.session] / shared], op, end);
        }
        Lanes { names, cells }
    }

    /// The cells of a lane that one outcome fills, as one path; what did not succeed is stacked on top.
    fn path(&self, lane: usize, outcome: usize, y: f64) -> String {
        let mut path = String::new();
        let step = (RIGHT - LEFT) / COLUMNS as f64;
        for (column, counts) in self.cells[lane].iter().enumerate() {
            let all: u32 = counts.iter().sum();
            if counts[outcome] == 0 {
                continue;
            }
            let share = |count: u32| f64::from(count) / f64::from(all) * FILLED;
            let below: u32 = counts[..outcome].iter().sum();
            // What is rare is never thinner than can be seen.
            let height = share(counts[outcome]).max(1.5);
            let bottom = (y + 1.0 + FILLED - share(below)).max(y + 1.0 + height);
            let left = LEFT + column as f64 * step;
            // Writing into a string cannot fail.
            let _ = write!(path, "M{left:.1} {bottom:.1}v-{height:.1}h{:.1}v{height:.1}z", step - 0.4);
        }
        path
    }
}

fn count(cells: &mut [[u32; 3]; COLUMNS], op: &Op, end: u64) {
    let column = |time: u64| ((time.min(end) as u128 * COLUMNS as u128 / end.max(1) as u128) as usize).min(COLUMNS - 1);
    let at = OUTCOMES.iter().position(|(.., outcome)| *outcome == op.outcome).unwrap_or(2);
    // An operation that was never answered is under way until its process went on; its own invocation is all that is known.
    let last = if op.completed == u64::MAX { op.invoked } else { op.completed };
    for cell in &mut cells[column(op.invoked)..=column(last)] {
        cell[at] += 1;
    }
}

fn short(session: &Atom) -> String {
    let text = session.to_string();
    if text.chars().count() <= 9 { text } else { text.chars().take(8).chain(['…']).collect() }
}
