//! What an anomaly rules out, and which policy would have prevented it.
//!
//! Only what is true of the mechanism is said: fencing, for instance, does not keep a leader that is cut off from acknowledging
//! what its followers never get. Where nothing certain can be said, nothing is.

/// The guarantees that a break of this name rules out: itself, and the stronger ones that imply it.
pub fn rules_out(anomaly: &str) -> &'static str {
    match anomaly {
        "read-your-writes" => "read-your-writes, PRAM, causal consistency, sequential consistency, linearizability",
        "monotonic-reads" => "monotonic reads, PRAM, causal consistency, sequential consistency, linearizability",
        "read-your-writes-user" | "monotonic-reads-user" => {
            "the same guarantee across a user's devices, sequential consistency of a user, linearizability"
        }
        "monotonic-writes" => "monotonic writes, PRAM, causal consistency, consistent prefix, linearizability",
        "writes-follow-reads" => "writes follow reads, causal consistency, consistent prefix, linearizability",
        "consistent-prefix" => "consistent prefix, snapshot isolation, linearizability",
        "monotonic-prefix" => "monotonic prefix, sequential consistency, linearizability",
        "no-single-order" => {
            "one order of a register's writes for all sessions, sequential consistency, linearizability"
        }
        "linearizable" | "nonlinearizable" => "linearizability, strict serializability",
        "convergence" | "divergence" | "lost-on-some-replicas" => "eventual consistency, and all that builds on it",
        "value-nobody-wrote" | "failed-write-read" | "read-before-written" => "every consistency model",
        "element-twice" | "duplicated" => "that a write takes effect once, linearizability",
        "lists-contradict" => "one order of a list's appends, serializability, linearizability",
        "cas-replaced-twice" => "atomic compare-and-set, serializability, linearizability",
        "overwritten-by-earlier" | "overwritten-by-concurrent" => {
            "no acknowledged write dropped; by an earlier write, linearizability as well"
        }
        "resurrected" => "that a delete or remove lasts, linearizability",
        _ => "no acknowledged write lost, linearizability, strict serializability",
    }
}

/// What would have prevented it in the mode of this label; `None` where nothing certain can be said.
pub fn prevention(anomaly: &str, label: &str) -> Option<&'static str> {
    let has = |part: &str| label.split(' ').any(|word| word == part);
    match anomaly {
        "never-visible" | "visible-then-lost" | "rolled-back" | "lost-writes" | "lost-on-some-replicas"
            if has("single-leader") =>
        {
            lost_by_a_leader(&has)
        }
        "never-visible"
        | "visible-then-lost"
        | "rolled-back"
        | "lost-writes"
        | "overwritten-by-earlier"
        | "overwritten-by-concurrent"
            if has("versions=lww") =>
        {
            Some("versions=vectors: concurrent writes are then kept side by side instead of one silently winning")
        }
        "read-your-writes" | "monotonic-reads" | "monotonic-prefix" if has("reads=any") || has("reads=sticky") => {
            Some(if has("ack=async") {
                "reads=token: the session carries the position that it has seen, and no replica answers from before it. A write that a failover lost needs ack=semi-sync as well"
            } else {
                "reads=token: the session carries the position that it has seen, and no replica answers from before it"
            })
        }
        "read-your-writes" if has("leaderless") && has("versions=vectors") && !quorums_meet(label) => {
            Some("w + r > n: every read then asks at least one node that acknowledged the write")
        }
        "linearizable" | "nonlinearizable" if has("single-leader") && !has("reads=leader") => Some(
            "reads=leader with lease=on and ack=semi-sync: only the leader answers, and only while no other can lead",
        ),
        _ => None,
    }
}

fn lost_by_a_leader(has: &impl Fn(&str) -> bool) -> Option<&'static str> {
    if has("ack=async") {
        return Some(
            "ack=semi-sync or ack=sync: a write is then acknowledged only once another node has it on disk. Fencing alone does not help: the leader that is cut off does not know it",
        );
    }
    has("fencing=off").then_some("fencing=on: the deposed leader's writes are then refused")
}

/// Whether w + r > n in a label such as `leaderless n=5 w=3 r=3`. True where it cannot be told, so that no advice is given.
fn quorums_meet(label: &str) -> bool {
    let number =
        |name: &str| label.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok());
    match (number("n"), number("w"), number("r")) {
        (Some(n), Some(w), Some(r)) => w + r > n,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_mode() {
        let asynchronous = "single-leader ack=async failover=auto reads=any fencing=on";
        assert!(prevention("rolled-back", asynchronous).is_some_and(|text| text.starts_with("ack=semi-sync")));
        assert!(
            prevention("read-your-writes", asynchronous).is_some_and(|text| text.contains("ack=semi-sync as well"))
        );
        assert_eq!(prevention("rolled-back", "single-leader ack=semi-sync reads=token fencing=on"), None);
        assert_eq!(prevention("value-nobody-wrote", asynchronous), None);
    }

    #[test]
    fn quorums_are_advised_only_where_they_do_not_meet() {
        assert!(prevention("read-your-writes", "leaderless n=5 w=2 r=2 versions=vectors").is_some());
        assert_eq!(prevention("read-your-writes", "leaderless n=5 w=3 r=3 versions=vectors"), None);
        assert_eq!(prevention("monotonic-reads", "leaderless n=5 w=2 r=2 versions=vectors"), None);
    }
}
