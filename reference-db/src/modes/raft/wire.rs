//! Raft's messages on the wire, in the stream's own encoding rather than the library's.
//!
//! The library trusts its peers, and ends the process on what cannot be. What arrives is looked at first ([`Wire::plausible`]), and the sender's name is the
//! connection's, not the message's.

use raft::eraftpb::{Entry, Message, MessageType};
use serde::{Deserialize, Serialize};

use super::log::new_entry;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Leader to follower: entries, and what is committed.
    Append,
    /// The answer.
    Appended,
    /// Candidate to all: who would vote for me?
    PreVote,
    /// The answer.
    PreVoted,
    /// Candidate to all: who votes for me?
    Vote,
    /// The answer.
    Voted,
    /// Leader to all: I still lead; with a context, the question whether I do.
    Heartbeat,
    /// The answer, with the same context.
    Heard,
    /// A follower asks its leader to make it the leader.
    Transfer,
    /// The leader to it: campaign at once.
    CampaignNow,
}

/// Each kind, as the library calls it.
const KINDS: [(Kind, MessageType); 10] = [
    (Kind::Append, MessageType::MsgAppend),
    (Kind::Appended, MessageType::MsgAppendResponse),
    (Kind::PreVote, MessageType::MsgRequestPreVote),
    (Kind::PreVoted, MessageType::MsgRequestPreVoteResponse),
    (Kind::Vote, MessageType::MsgRequestVote),
    (Kind::Voted, MessageType::MsgRequestVoteResponse),
    (Kind::Heartbeat, MessageType::MsgHeartbeat),
    (Kind::Heard, MessageType::MsgHeartbeatResponse),
    (Kind::Transfer, MessageType::MsgTransferLeader),
    (Kind::CampaignNow, MessageType::MsgTimeoutNow),
];

/// A message. Fields that a kind does not use are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// What it is about.
    pub kind: Kind,
    /// The sender's term.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub term: u64,
    /// The term of the entry at `index`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub log_term: u64,
    /// A position in the log: before the first entry sent, the candidate's last, or the last that matches.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u64,
    /// What the sender knows to be committed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub commit: u64,
    /// That entry's term.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub commit_term: u64,
    /// Term and operations of each entry after `index`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<(u64, String)>,
    /// Whether it is a refusal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reject: bool,
    /// Of a refusal: the newest entry that may be common.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hint: u64,
    /// Which question a heartbeat asks; of a vote, that the leader itself wants it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Wire {
    /// The message as it travels; `None` for the kinds that don't.
    pub fn new(message: Message) -> Option<Wire> {
        let (kind, _) = KINDS.iter().find(|(_, theirs)| *theirs == message.msg_type)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Wire {
            kind: *kind,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            commit: message.commit,
            commit_term: message.commit_term,
            entries: message.entries.iter().map(|entry| (entry.term, text(&entry.data))).collect(),
            reject: message.reject,
            hint: message.reject_hint,
            context: text(&message.context),
        })
    }

    /// The message as the library takes it.
    pub fn message(self, from: u64, to: u64) -> Message {
        let mut message = Message { from, to, term: self.term, log_term: self.log_term, ..Message::default() };
        if let Some((_, kind)) = KINDS.iter().find(|(ours, _)| *ours == self.kind) {
            message.set_msg_type(*kind);
        }
        let first = self.index + 1;
        let entries = self.entries.into_iter().zip(first..);
        let entries: Vec<Entry> = entries.map(|((term, data), index)| new_entry((term, index), data)).collect();
        message.set_entries(entries.into());
        (message.index, message.commit, message.commit_term) = (self.index, self.commit, self.commit_term);
        (message.reject, message.reject_hint) = (self.reject, self.hint);
        message.context = self.context.into();
        message
    }

    /// Whether a node whose log ends with `last` may hear it. A heartbeat names no more than what its sender has been told that this disk has, and an
    /// answer no more than what this log holds: anything else comes from a disk that lost what it had confirmed.
    pub fn plausible(&self, last: u64) -> bool {
        let in_log = match self.kind {
            Kind::Heartbeat => self.commit <= last,
            Kind::Appended => self.reject || self.index <= last,
            Kind::Append => self.in_order(),
            // The library takes term 0 for that of any entry that it does not have.
            Kind::Vote | Kind::PreVote | Kind::Voted | Kind::PreVoted => (self.commit > 0) == (self.commit_term > 0),
            Kind::Heard | Kind::Transfer | Kind::CampaignNow => true,
        };
        // A message of term 0 would pass for one of this node's own.
        in_log && self.term > 0 && self.term.max(self.index) < u64::MAX / 2
    }

    /// Whether the terms of its entries only grow, and up to its own at most.
    fn in_order(&self) -> bool {
        let terms = || self.entries.iter().map(|(term, _)| *term);
        let grow =
            [self.log_term].into_iter().chain(terms()).zip(terms().chain([self.term])).all(|(one, next)| one <= next);
        grow && (self.index > 0) == (self.log_term > 0) && terms().all(|term| term > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(kind: Kind) -> Wire {
        Wire::new(Wire::bare(kind).message(1, 2)).expect("it travels")
    }

    impl Wire {
        fn bare(kind: Kind) -> Wire {
            Wire {
                kind,
                term: 4,
                log_term: 3,
                index: 7,
                commit: 6,
                commit_term: 2,
                entries: Vec::new(),
                reject: true,
                hint: 5,
                context: "12".to_string(),
            }
        }
    }

    #[test]
    fn a_message_is_the_same_after_the_journey() {
        for (kind, _) in KINDS {
            let entries = vec![(3, String::new()), (4, r#"[{"op":"read","key":"k"}]"#.to_string())];
            let sent = Wire { entries, ..Wire::bare(kind) };
            let text = serde_json::to_string(&sent).expect("plain data");
            let arrived: Wire = serde_json::from_str(&text).expect("its own words");
            assert_eq!(Wire::new(arrived.message(1, 2)), Some(sent));
        }
    }

    #[test]
    fn what_would_end_the_process_is_not_heard() {
        assert!(wire(Kind::Heartbeat).plausible(6) && !wire(Kind::Heartbeat).plausible(5));
        let appended = Wire { reject: false, ..wire(Kind::Appended) };
        assert!(appended.plausible(7) && !appended.plausible(6));
        assert!(!Wire { term: 0, ..wire(Kind::Append) }.plausible(9));
        assert!(!Wire { index: u64::MAX, ..wire(Kind::Append) }.plausible(9));
    }
}
