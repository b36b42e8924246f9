//! Who stands where in the chain.
//!
//! Everyone in `chain` is complete: it has every write that was ever acknowledged. Whoever comes back is first `joining`: the tail sends it everything and
//! waits for it before it acknowledges, so that it is complete too by the time it becomes the tail. So each configuration keeps at least one node of
//! the one before, in the same order, and each node's log is a beginning of the log of the node before it.

use serde::{Deserialize, Serialize};

/// A configuration. Those of successive epochs differ by one step: nodes removed, one joining, or the joining one taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its number, from 1, without gaps.
    pub epoch: u64,
    /// The chain from its head to its tail; never empty.
    pub chain: Vec<String>,
    /// Who follows the tail without being part of the chain yet.
    pub joining: Option<String>,
}

impl Configuration {
    /// The first: all nodes. It needs no decision, since everyone is started with the same list.
    pub fn first(nodes: &[String]) -> Configuration {
        Configuration { epoch: 1, chain: nodes.to_vec(), joining: None }
    }

    /// Where writes enter.
    pub fn head(&self) -> &str {
        self.chain.first().map_or("", String::as_str)
    }

    /// Who acknowledges writes and answers reads.
    pub fn tail(&self) -> &str {
        self.chain.last().map_or("", String::as_str)
    }

    /// Whether a node is complete.
    pub fn contains(&self, node: &str) -> bool {
        self.chain.iter().any(|member| member == node)
    }

    /// Whether a node is part of it in any way.
    pub fn concerns(&self, node: &str) -> bool {
        self.contains(node) || self.joining.as_deref() == Some(node)
    }

    /// Who sends to `node`: the one before it, or the tail where it is no part of the chain.
    pub fn predecessor(&self, node: &str) -> Option<&str> {
        match self.chain.iter().position(|member| member == node) {
            Some(0) => None,
            Some(at) => self.chain.get(at - 1).map(String::as_str),
            None => Some(self.tail()),
        }
    }

    /// To whom `node` sends: the one after it, or from the tail to whoever is joining.
    pub fn successor(&self, node: &str) -> Option<&str> {
        let at = self.chain.iter().position(|member| member == node)?;
        self.chain.get(at + 1).or(self.joining.as_ref()).map(String::as_str)
    }

    /// The next configuration as `by` wants it: without the neighbours that are `dead`, and those behind them that are too. `None` where its neighbours live.
    ///
    /// Only neighbours count, since only between them data must flow: a link that is cut elsewhere in the chain harms nothing.
    pub fn without_dead_neighbours(&self, by: &str, dead: impl Fn(&str) -> bool) -> Option<Configuration> {
        let at = self.chain.iter().position(|member| member == by)?;
        let run = |members: &mut dyn Iterator<Item = &String>| members.take_while(|member| dead(member)).count();
        let before = run(&mut self.chain[..at].iter().rev());
        let after = run(&mut self.chain[at + 1..].iter());
        let is_last = at + 1 + after == self.chain.len();
        let joining = self.joining.clone().filter(|joining| !(is_last && dead(joining)));
        if before + after == 0 && joining == self.joining {
            return None;
        }
        let chain = [&self.chain[..at - before], &self.chain[at..=at], &self.chain[at + 1 + after..]].concat();
        Some(Configuration { epoch: self.epoch + 1, chain, joining })
    }

    /// The next configuration, in which `node` is joining; `None` where somebody is already, or it is a member.
    pub fn with_joining(&self, node: &str) -> Option<Configuration> {
        let free = self.joining.is_none() && !self.contains(node);
        free.then(|| Configuration { epoch: self.epoch + 1, joining: Some(node.to_string()), ..self.clone() })
    }

    /// The next configuration, in which whoever is joining is the tail.
    pub fn with_joined(&self) -> Option<Configuration> {
        let mut chain = self.chain.clone();
        chain.push(self.joining.clone()?);
        Some(Configuration { epoch: self.epoch + 1, chain, joining: None })
    }
}

impl std::fmt::Display for Configuration {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "epoch {}: {}", self.epoch, self.chain.join(" → "))?;
        match &self.joining {
            Some(joining) => write!(to, ", {joining} joining"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn five() -> Configuration {
        Configuration::first(&["a", "b", "c", "d", "e"].map(str::to_string))
    }

    #[test]
    fn a_dead_neighbour_goes_with_the_dead_behind_it() {
        let next = five().without_dead_neighbours("c", |node| ["a", "b", "e"].contains(&node)).expect("a dead one");
        assert_eq!(next.chain, ["c", "d", "e"], "e is no neighbour of c");
        assert_eq!(next.epoch, 2);
        assert_eq!(five().without_dead_neighbours("c", |node| node == "a"), None);
        assert_eq!(five().without_dead_neighbours("x", |_| true), None, "strangers propose nothing");
        let alone = five().without_dead_neighbours("d", |node| node != "d").expect("dead ones");
        assert_eq!((alone.head(), alone.tail()), ("d", "d"));
    }

    #[test]
    fn whoever_returns_joins_before_it_is_the_tail() {
        let four = five().without_dead_neighbours("a", |node| node == "b").expect("a dead one");
        let joining = four.with_joining("b").expect("there is room");
        assert_eq!((joining.tail(), joining.successor("e"), joining.predecessor("b")), ("e", Some("b"), Some("e")));
        assert_eq!(joining.with_joining("x"), None, "one at a time");
        assert_eq!(joining.with_joined().expect("it joined").chain, ["a", "c", "d", "e", "b"]);
        let gone = joining.without_dead_neighbours("e", |node| node == "b").expect("the joining one is dead");
        assert_eq!((gone.chain, gone.joining), (four.chain, None));
    }
}
