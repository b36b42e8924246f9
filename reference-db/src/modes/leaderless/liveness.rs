//! Whom this node has heard of lately. A guess, and taken as one: a suspected home gets a stand-in, and one wrongly suspected gets its hints at once.
//!
//! like: the local failure detection of Dynamo (§4.8.3), without its gossip; each node finds out for itself.

use std::collections::BTreeMap;
use std::time::Duration;

/// How often nodes that allow stand-ins let themselves be heard.
pub const PING_EVERY: Duration = Duration::from_millis(100);
/// After so much silence a node is suspected.
const SILENCE: Duration = Duration::from_millis(400);

/// When each peer was heard last.
#[derive(Default)]
pub struct Liveness {
    heard: BTreeMap<String, Duration>,
}

impl Liveness {
    /// Notes a sign of life.
    pub fn heard(&mut self, from: &str, now: Duration) {
        match self.heard.get_mut(from) {
            Some(last) => *last = now,
            None => {
                self.heard.insert(from.to_string(), now);
            }
        }
    }

    /// Whether `node` was silent too long. One that was never heard has had time since this process began.
    pub fn suspects(&self, node: &str, now: Duration) -> bool {
        now.saturating_sub(self.heard.get(node).copied().unwrap_or_default()) > SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_suspect_and_a_word_ends_it() {
        let mut liveness = Liveness::default();
        let at = Duration::from_millis;
        assert!(!liveness.suspects("b", at(300)));
        assert!(liveness.suspects("b", at(500)));
        liveness.heard("b", at(510));
        assert!(!liveness.suspects("b", at(900)) && liveness.suspects("b", at(950)));
    }
}
