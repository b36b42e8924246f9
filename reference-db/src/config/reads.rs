//! Where clients read, of modes with a leader: the policies' names, and the durations that some of them carry.
//!
//! A policy is one word, `recent-leader=200ms` with its duration, so that a label can hold it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parse_duration;

/// Where clients read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ReadPolicy {
    /// At the leader.
    Leader,
    /// At a random replica each time.
    Any,
    /// At one replica for each session.
    Sticky,
    /// Keys that the session's user may have changed at the leader, others at any replica.
    OwnWritesLeader,
    /// At the leader for so long after the session's last write, then at any replica.
    RecentLeader(Duration),
    /// At any replica that knows that it lags by no more than this.
    MaxLag(Duration),
    /// At any replica that has what the session has written and read.
    Token,
    /// At any replica that has what the user has written and read at any of his devices.
    SharedToken,
    /// At any replica that has applied something as late as the session's last write, by the clocks of whoever led.
    WallClockToken,
    /// raft: at the leader, once a majority has confirmed that it leads.
    Index,
    /// raft: at the leader, within a lease from the last such confirmation.
    Lease,
}

impl ReadPolicy {
    /// Whether only consensus can read so.
    pub fn is_of_consensus(self) -> bool {
        matches!(self, ReadPolicy::Index | ReadPolicy::Lease)
    }

    /// Whether all devices of a user share what the policy remembers.
    pub fn is_of_the_user(self) -> bool {
        matches!(self, ReadPolicy::SharedToken | ReadPolicy::OwnWritesLeader)
    }
}

/// What a command line may say, for help and errors.
pub const READS: &str = "leader, any, sticky, own-writes-leader, recent-leader=DURATION, max-lag=DURATION, token, shared-token, wall-clock-token, index, lease";

impl fmt::Display for ReadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadPolicy::Leader => f.write_str("leader"),
            ReadPolicy::Any => f.write_str("any"),
            ReadPolicy::Sticky => f.write_str("sticky"),
            ReadPolicy::OwnWritesLeader => f.write_str("own-writes-leader"),
            ReadPolicy::RecentLeader(span) => write!(f, "recent-leader={}ms", span.as_millis()),
            ReadPolicy::MaxLag(span) => write!(f, "max-lag={}ms", span.as_millis()),
            ReadPolicy::Token => f.write_str("token"),
            ReadPolicy::SharedToken => f.write_str("shared-token"),
            ReadPolicy::WallClockToken => f.write_str("wall-clock-token"),
            ReadPolicy::Index => f.write_str("index"),
            ReadPolicy::Lease => f.write_str("lease"),
        }
    }
}

impl FromStr for ReadPolicy {
    type Err = String;

    /// One sentence that names what was wrong.
    fn from_str(text: &str) -> Result<ReadPolicy, String> {
        let (name, span) = match text.split_once('=') {
            Some((name, span)) => (name, Some(span)),
            None => (text, None),
        };
        let policy = match name {
            "leader" => ReadPolicy::Leader,
            "any" => ReadPolicy::Any,
            "sticky" => ReadPolicy::Sticky,
            "own-writes-leader" => ReadPolicy::OwnWritesLeader,
            "token" => ReadPolicy::Token,
            "shared-token" => ReadPolicy::SharedToken,
            "wall-clock-token" => ReadPolicy::WallClockToken,
            "index" => ReadPolicy::Index,
            "lease" => ReadPolicy::Lease,
            "recent-leader" | "max-lag" => {
                let span = span.ok_or_else(|| format!("{name} needs a duration: {name}=200ms"))?;
                let span = parse_duration(span)?;
                return Ok(if name == "max-lag" { ReadPolicy::MaxLag(span) } else { ReadPolicy::RecentLeader(span) });
            }
            _ => return Err(format!("there is no read policy {name:?}; there are {READS}")),
        };
        match span {
            Some(_) => Err(format!("{name} takes no duration; recent-leader and max-lag do")),
            None => Ok(policy),
        }
    }
}

impl From<ReadPolicy> for String {
    fn from(policy: ReadPolicy) -> String {
        policy.to_string()
    }
}

impl TryFrom<String> for ReadPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<ReadPolicy, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_survives_its_name() {
        for text in READS.split(", ") {
            let text = text.replace("DURATION", "250ms");
            let policy: ReadPolicy = text.parse().expect("a policy");
            assert_eq!(policy.to_string(), text);
            let json = serde_json::to_string(&policy).expect("JSON");
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<ReadPolicy>(&json).expect("a policy"), policy);
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        for (text, part) in [
            ("max-lag", "max-lag needs a duration: max-lag=200ms"),
            ("recent-leader=soon", "\"soon\" is no duration"),
            ("max-lag=1ms", "not between 50ms and 600s"),
            ("token=1s", "token takes no duration"),
            ("lender", "there is no read policy \"lender\"; there are leader, any"),
        ] {
            let error = text.parse::<ReadPolicy>().expect_err("it is wrong");
            assert!(error.contains(part), "{error}");
        }
    }
}
