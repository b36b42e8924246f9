//! A cycle as a picture: SVG, drawn here, without any other program.
//!
//! Transactions are boxes in a column, in the order of the cycle, their steps beside each other; each dependency is a curve from the step that causes it to
//! the step that suffers it, on the right for those that lead down and on the left for the one that leads back. Colours are Elle's, and every curve has its name,
//! so that colour is not needed.

use std::fmt::Write as _;

use super::check::Case;
use super::dependencies::{Dependencies, relation};
use super::steps::reasons;
use super::words::Teller;

const ROW: usize = 64;
const BOX: usize = 30;
const LEFT: usize = 96;
const CHAR: usize = 8;
const PAD: usize = 10;
/// More transactions than this are not drawn.
const MOST: usize = 40;

/// The picture of a case that is a cycle of at most forty transactions.
pub fn draw(dependencies: &Dependencies<'_>, case: &Case) -> Option<String> {
    let Case::Cycle { cycle, .. } = case else { return None };
    let who = case.txns();
    if who.len() > MOST || who.is_empty() {
        return None;
    }
    let teller = Teller::new(dependencies, &who);
    // Where each step of each transaction begins, and its text.
    let rows: Vec<Vec<(usize, String)>> = who
        .iter()
        .map(|&txn| {
            let mut x = LEFT;
            let texts = teller.steps(txn);
            texts
                .into_iter()
                .map(|text| {
                    let at = x;
                    x += text.chars().count() * CHAR + 2 * PAD;
                    (at, text)
                })
                .collect()
        })
        .collect();
    let width =
        rows.iter().filter_map(|row| row.last().map(|(x, text)| x + text.chars().count() * CHAR + 2 * PAD)).max();
    let width = width.unwrap_or(LEFT) + 150;
    let height = ROW * who.len() + 30;
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"ui-monospace, monospace\" font-size=\"13\"><defs>"
    );
    for (name, colour) in COLOURS {
        let _ = write!(
            out,
            "<marker id=\"a-{name}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>"
        );
    }
    let _ = write!(out, "</defs><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
    for (at, row) in rows.iter().enumerate() {
        let y = 20 + at * ROW;
        let _ = write!(out, "<text x=\"8\" y=\"{}\" fill=\"#111\" font-weight=\"bold\">T{}</text>", y + 20, at + 1);
        for (x, text) in row {
            let wide = text.chars().count() * CHAR + 2 * PAD;
            let _ = write!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{BOX}\" fill=\"#eef6ff\" stroke=\"#6DB6FE\"/><text x=\"{}\" y=\"{}\" fill=\"#111\">{}</text>",
                x + PAD,
                y + 20,
                escape(text)
            );
        }
    }
    for (at, &(txn, wanted)) in cycle.edges.iter().enumerate() {
        let next = (at + 1) % cycle.edges.len();
        let to = cycle.edges[next].0;
        let label = label(wanted);
        let wanted = if wanted == relation::INFERRED { relation::WW } else { wanted };
        let all = reasons(dependencies, txn, to);
        let reason = all.iter().find(|it| it.relation == wanted);
        let place = |row: &Vec<(usize, String)>, step: usize| {
            row.get(step).or(row.first()).map_or(LEFT, |(x, text)| x + (text.chars().count() * CHAR + 2 * PAD) / 2)
        };
        let (from_x, to_x) = match reason {
            Some(reason) => (place(&rows[at], reason.from_step), place(&rows[next], reason.to_step)),
            None => (LEFT + 6, LEFT + 6),
        };
        curve(&mut out, label, (from_x, at), (to_x, next), width);
    }
    out.push_str("</svg>");
    Some(out)
}

/// A dependency from one row to another.
fn curve(out: &mut String, label: &str, from: (usize, usize), to: (usize, usize), width: usize) {
    let colour = COLOURS.iter().find(|(name, _)| *name == label).map_or("#444", |(_, colour)| colour);
    let down = to.1 > from.1;
    let (from_y, to_y) =
        if down { (20 + from.1 * ROW + BOX, 20 + to.1 * ROW) } else { (20 + from.1 * ROW, 20 + to.1 * ROW + BOX) };
    let (path, x, y) = if down {
        let middle = (from_y + to_y) / 2;
        (
            format!("M{} {from_y}C{} {middle} {} {middle} {} {to_y}", from.0, from.0, to.0, to.0),
            from.0.midpoint(to.0) + 6,
            middle + 4,
        )
    } else {
        // Back up, around the right of everything.
        // A curve reaches three quarters of the way to its handles: they are put so that it turns right of every box.
        let turn = width - 90;
        let side = ((turn * 8).saturating_sub(from.0 + to.0)) / 6;
        (
            format!("M{} {from_y}C{side} {} {side} {} {} {to_y}", from.0, from_y.saturating_sub(6), to_y + 6, to.0),
            turn + 8,
            from_y.midpoint(to_y) + 4,
        )
    };
    let _ = write!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" marker-end=\"url(#a-{label})\"/><text x=\"{x}\" y=\"{y}\" fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\">{label}</text>"
    );
}

const COLOURS: [(&str, &str); 5] =
    [("ww", "#C02700"), ("wr", "#C000A5"), ("rw", "#5B00C0"), ("rt", "#0050C0"), ("process", "#008A8A")];

fn label(wanted: u8) -> &'static str {
    match wanted {
        relation::WW | relation::INFERRED => "ww",
        relation::WR => "wr",
        relation::RW => "rw",
        relation::PROCESS => "process",
        _ => "rt",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
