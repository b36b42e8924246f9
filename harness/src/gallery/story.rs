//! A claim's outcome in plain words: what went wrong, the operations that prove it, who served them, and during which fault.

use gainsay_checker::finding::{Anomaly, Judgement, Witness};

use crate::run::FINAL_PROCESS;

/// The story of an anomaly, line by line.
pub fn tell(anomaly: &Anomaly, judgement: &Judgement) -> Vec<String> {
    let mut lines = vec![anomaly.sentence.clone()];
    for (nth, witness) in anomaly.witnesses.iter().enumerate() {
        lines.push(format!("  {}. {}", nth + 1, operation(witness)));
    }
    for edge in &anomaly.edges {
        lines.push(format!("  {} → {}: {}", edge.from + 1, edge.to + 1, edge.why));
    }
    let active = judgement.faults.iter().filter(|fault| anomaly.faults.contains(&fault.id));
    for fault in active {
        let end = fault.end.map_or("the end".to_string(), |end| format!("{:.3} s", seconds(end)));
        lines.push(format!("  meanwhile, from {:.3} s to {end}: {}", seconds(fault.start), fault.what));
    }
    lines
}

/// One operation: when, who, what, at which node and position, and its part in the proof.
fn operation(witness: &Witness) -> String {
    let end = match witness.completed {
        Some(completed) => format!("{:.3} s", seconds(completed)),
        None => "never".to_string(),
    };
    let at = witness.node.as_ref().map_or(String::new(), |node| format!(", served by {node}"));
    let position = witness.version.as_ref().map_or(String::new(), |version| format!(" at {version}"));
    let who = if witness.process >= FINAL_PROCESS {
        "after healing".to_string()
    } else {
        format!("session {}", witness.session)
    };
    format!(
        "{:.3} s to {end}, {who}: {}{at}{position} ({}, {})",
        seconds(witness.invoked),
        witness.text,
        witness.role,
        witness.outcome
    )
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
