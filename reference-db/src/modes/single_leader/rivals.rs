//! What a leader does about another one.
//!
//! Fenced, it steps down before a higher term, and there is nothing to decide. With `--fencing off` it does not, and for as long as whoever operates such a system takes
//! to notice there are two. With `--kill-switch on` each of them shuts the other down as soon as it hears of it: two such orders that cross leave nobody
//! (DDIA, chapter 5, "Leader failure: failover"). The one that is told to ends with its next tick, as a process that is told to end does; until then it leads.
//! like: Pacemaker with STONITH and two nodes that fence each other; GitHub's MySQL clusters in December 2012.

use std::time::Duration;

use super::{Message, Node};
use crate::config::Bug;
use crate::mode::Output;

/// With fencing off a leader yields only when one of a higher term has been in touch with it for so many time-outs: the time that whoever
/// operates such a system takes to notice.
const UNFENCED: u32 = 10;

impl Node {
    /// Whether a higher term ends its leading.
    pub fn is_fenced(&self) -> bool {
        self.policy.fencing && self.policy.bug != Some(Bug::IgnoreTerm)
    }

    /// A leader of a higher term is in touch with us while we lead. True if we yield.
    pub fn yields_to_rival(&mut self, now: Duration) -> bool {
        if self.is_fenced() || !self.is_leader() {
            return true;
        }
        let since = *self.rival_since.get_or_insert(now);
        now.saturating_sub(since) >= self.policy.failover_timeout * UNFENCED
    }

    /// Somebody sends what only leaders send. If we lead too, one of us has to go: it is told so each time, since any message may be lost.
    pub fn meets_leader(&mut self, from: &str, out: &mut Vec<Output>) {
        if !self.policy.kill_switch || !self.is_leader() {
            return;
        }
        if self.shot.insert(from.to_string()) {
            out.push(Output::Say(format!("{from} leads too, and is told to shut down")));
        }
        out.push(self.send(from, Message::ShutDown));
    }

    /// Another leader wants this one gone.
    pub fn told_to_shut_down(&mut self, from: &str, out: &mut Vec<Output>) {
        if self.policy.kill_switch && self.is_leader() && !self.ends {
            out.push(Output::Say(format!("shuts down: {from} leads too and told it to")));
            self.ends = true;
        }
    }
}
