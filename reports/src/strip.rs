//! The small strip beside each guarantee: the run's time from left to right, faults shaded, a tick for each violation.

use gainsay_checker::FaultWindow;
use maud::{Markup, html};

/// Width and height of a strip.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 22.0;
/// Ticks that fall on the same pixel are drawn once.
const COLUMNS: usize = 300;

/// The CSS variable that shades a kind of fault.
pub fn shade(kind: &str) -> &'static str {
    match kind {
        "partition" => "var(--f-partition)",
        "kill" => "var(--f-kill)",
        "pause" => "var(--f-pause)",
        "clock" => "var(--f-clock)",
        "packet" => "var(--f-packet)",
        _ => "var(--f-other)",
    }
}

/// A fault as its kind and what was done, the kind once: `partition: n1 | n2 n3`, `kill n1 with SIGKILL`.
pub fn described(fault: &FaultWindow) -> String {
    if fault.what.starts_with(&fault.kind) { fault.what.clone() } else { format!("{}: {}", fault.kind, fault.what) }
}

/// A strip over `0..end` nanoseconds.
pub fn strip(faults: &[FaultWindow], times: &[u64], end: u64) -> Markup {
    let x = |time: u64| time.min(end) as f64 / end.max(1) as f64 * WIDTH;
    let mut columns: Vec<usize> = times.iter().map(|time| (x(*time) / WIDTH * (COLUMNS - 1) as f64) as usize).collect();
    columns.dedup();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) class="strip" role="img" aria-label=(format!("{} violations over time", times.len())) {
            @for fault in faults {
                @let from = x(fault.start);
                rect x=(format!("{from:.1}")) y="0" width=(format!("{:.1}", (x(fault.end.unwrap_or(end)) - from).max(1.0))) height=(HEIGHT)
                    fill=(shade(&fault.kind)) { title { (described(fault)) } }
            }
            line x1="0" x2=(WIDTH) y1=(HEIGHT - 0.5) y2=(HEIGHT - 0.5) stroke="var(--line)" {}
            @for column in columns {
                @let at = format!("{:.1}", column as f64 + 0.5);
                line x1=(at) x2=(at) y1="4" y2="19" stroke="var(--broken)" stroke-width="1.3" {}
            }
        }
    }
}
