//! What an anomaly rules out, and which policy would have prevented it.
//!
//! Only what is true of the mechanism is said: fencing, for instance, does not keep a leader that is cut off from acknowledging
//! what its followers never get.

/// The stronger guarantees that a break of this one rules out too.
pub fn rules_out(anomaly: &str) -> &'static str {
    match anomaly {
        "read-your-writes" => "read-your-writes, PRAM, causal consistency, sequential consistency, linearizability",
        "monotonic-reads" => "monotonic reads, PRAM, causal consistency, sequential consistency, linearizability",
        "monotonic-writes" => "monotonic writes, PRAM, causal consistency, consistent prefix, linearizability",
        "writes-follow-reads" => "writes follow reads, causal consistency, consistent prefix, linearizability",
        "consistent-prefix" => "consistent prefix, snapshot isolation, linearizability",
        "linearizable" | "nonlinearizable" => "linearizability, strict serializability",
        "convergence" | "divergence" | "lost-on-some-replicas" => "eventual consistency and everything above it",
        "value-nobody-wrote" | "failed-write-read" => "every consistency model",
        _ => "no acknowledged write lost, linearizability, strict serializability",
    }
}

/// What would have prevented it in the mode of this label; `None` where nothing certain can be said.
pub fn prevention(anomaly: &str, label: &str) -> Option<&'static str> {
    let has = |part: &str| label.contains(part);
    let lost = matches!(
        anomaly,
        "never-visible" | "visible-then-lost" | "rolled-back" | "lost-writes" | "lost-on-some-replicas"
    );
    if lost && has("ack=async") {
        return Some(
            "ack=semi-sync or ack=sync: a write is then acknowledged only once another node has it on disk. fencing=on would not have helped",
        );
    }
    if lost && has("versions=lww") {
        return Some("versions=vectors: concurrent writes are then kept side by side instead of one silently winning");
    }
    if lost && has("fencing=off") {
        return Some("fencing=on: the deposed leader's writes are then refused");
    }
    if matches!(anomaly, "read-your-writes" | "monotonic-reads") && (has("reads=any") || has("reads=sticky")) {
        return Some(
            "reads=token: the session carries the position that it has seen, and no replica answers from before it",
        );
    }
    if anomaly.contains("linearizable") && has("single-leader") && !has("reads=leader") {
        return Some("reads=leader with lease=on and ack=semi-sync");
    }
    None
}
