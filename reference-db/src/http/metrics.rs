//! A node's figures in Prometheus's text format, version 0.0.4.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::mode::Status;

/// What the format calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters by name, and what the status says as gauges; sorted, so that two readings can be compared line by line.
pub fn text(counters: &HashMap<&'static str, u64>, status: &Status, uptime: f64) -> String {
    let mut out = String::new();
    let mut names: Vec<_> = counters.iter().collect();
    names.sort_unstable();
    for (name, value) in names {
        metric(&mut out, name, "counter", "Counted since the process began.", *value as f64);
    }
    let gauges = [
        ("committed", "The last entry that enough nodes have, as this node knows it.", status.committed as f64),
        ("leads", "1 if this node leads.", f64::from(u8::from(status.role == "leader"))),
        ("position", "The last entry that is applied and on disk.", status.position as f64),
        ("ready", "1 if clients can be served, as far as this node knows.", f64::from(u8::from(status.ready))),
        ("term", "The current term.", status.term as f64),
        ("uptime_seconds", "How long the process has been running.", uptime),
    ];
    for (name, help, value) in gauges {
        metric(&mut out, name, "gauge", help, value);
    }
    if let Some(lag) = status.lag_ms {
        let help = "How long ago it certainly had everything that was acknowledged.";
        metric(&mut out, "lag_seconds", "gauge", help, lag as f64 / 1e3);
    }
    let _ = writeln!(out, "# HELP refdb_follower_position The last entry that a follower has, as its leader knows it.");
    let _ = writeln!(out, "# TYPE refdb_follower_position gauge");
    for (follower, position) in &status.followers {
        let follower = follower.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(out, "refdb_follower_position{{follower=\"{follower}\"}} {position}");
    }
    out
}

fn metric(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    let suffix = if kind == "counter" { "_total" } else { "" };
    let _ = writeln!(
        out,
        "# HELP refdb_{name}{suffix} {help}\n# TYPE refdb_{name}{suffix} {kind}\nrefdb_{name}{suffix} {value}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_type_and_nothing_else_is_said() {
        let followers = [("n\"2".to_string(), 7)].into();
        let status = Status { role: "leader".to_string(), term: 3, followers, ..Status::default() };
        let text = text(&[("commits", 12)].into(), &status, 1.5);
        assert!(text.contains("# TYPE refdb_commits_total counter\nrefdb_commits_total 12\n"));
        assert!(text.contains("refdb_leads 1\n") && text.contains("refdb_uptime_seconds 1.5\n"));
        assert!(text.ends_with("refdb_follower_position{follower=\"n\\\"2\"} 7\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split([' ', '{']).next().unwrap_or_default();
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
