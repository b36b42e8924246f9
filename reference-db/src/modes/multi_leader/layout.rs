//! Who leads, who follows, and along which links changes travel.
//!
//! Every node computes the same layout from the list of nodes alone: the first `datacentres` of them lead, one in each, and the others are dealt out
//! as followers in turn. Topologies as in DDIA, figure 5-8. Like: MySQL's circular replication, Tungsten's star and all-masters.

use crate::config::Topology;
use crate::modes::leaderless::hash;

/// The nodes with their places.
#[derive(Clone, Debug)]
pub struct Layout {
    nodes: Vec<String>,
    datacentres: usize,
    topology: Topology,
}

impl Layout {
    /// The layout of `nodes`, in whatever order they come; at least one datacentre.
    pub fn new(nodes: &[String], datacentres: usize, topology: Topology) -> Layout {
        let mut nodes = nodes.to_vec();
        // n2 before n10.
        nodes.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        let datacentres = datacentres.clamp(1, nodes.len().max(1));
        Layout { nodes, datacentres, topology }
    }

    /// How many datacentres there are.
    pub fn datacentres(&self) -> usize {
        self.datacentres
    }

    /// The datacentre of a node, from 0; the first for a stranger.
    pub fn datacentre(&self, node: &str) -> usize {
        self.nodes.iter().position(|known| known == node).unwrap_or(0) % self.datacentres
    }

    /// Who leads a datacentre.
    pub fn leader(&self, datacentre: usize) -> &str {
        self.nodes.get(datacentre % self.datacentres).map_or("", String::as_str)
    }

    /// Every leader, by datacentre.
    pub fn leaders(&self) -> &[String] {
        &self.nodes[..self.datacentres.min(self.nodes.len())]
    }

    /// Whether a node leads its datacentre.
    pub fn leads(&self, node: &str) -> bool {
        self.leaders().iter().any(|leader| leader == node)
    }

    /// The nodes of a datacentre, its leader first.
    pub fn members(&self, datacentre: usize) -> Vec<&str> {
        self.nodes.iter().skip(datacentre).step_by(self.datacentres).map(String::as_str).collect()
    }

    /// The datacentre that a session belongs to.
    pub fn datacentre_of_session(&self, session: &str) -> usize {
        (hash(&["session", session]) % self.datacentres as u64) as usize
    }

    /// The datacentre that is a key's home while all are well.
    pub fn home(&self, key: &str) -> usize {
        (hash(&["home", key]) % self.datacentres as u64) as usize
    }

    /// The leaders that the leader of `datacentre` sends to.
    pub fn neighbours(&self, datacentre: usize) -> Vec<&str> {
        let all = 0..self.datacentres;
        let to: Vec<usize> = match self.topology {
            Topology::AllToAll => all.collect(),
            Topology::Circular => vec![(datacentre + 1) % self.datacentres],
            Topology::Star if datacentre == 0 => all.collect(),
            Topology::Star => vec![0],
            Topology::Tree => {
                all.filter(|other| parent(*other) == Some(datacentre) || parent(datacentre) == Some(*other)).collect()
            }
        };
        to.into_iter().filter(|other| *other != datacentre).map(|other| self.leader(other)).collect()
    }

    /// Whether a leader passes on what it was sent by another.
    pub fn forwards(&self) -> bool {
        self.topology != Topology::AllToAll
    }
}

/// The node above in a binary tree; none above the root.
fn parent(datacentre: usize) -> Option<usize> {
    datacentre.checked_sub(1).map(|above| above / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(nodes: usize, datacentres: usize, topology: Topology) -> Layout {
        let names: Vec<String> = (1..=nodes).rev().map(|number| format!("n{number}")).collect();
        Layout::new(&names, datacentres, topology)
    }

    #[test]
    fn followers_are_dealt_out_in_turn() {
        let layout = layout(11, 3, Topology::Star);
        assert_eq!(layout.leaders(), ["n1", "n2", "n3"]);
        assert_eq!(layout.members(1), ["n2", "n5", "n8", "n11"]);
        assert_eq!(layout.datacentre("n11"), 1);
        assert!(layout.leads("n3") && !layout.leads("n4"));
    }

    #[test]
    fn each_topology_has_its_links() {
        assert_eq!(layout(4, 4, Topology::AllToAll).neighbours(2), ["n1", "n2", "n4"]);
        assert_eq!(layout(4, 4, Topology::Circular).neighbours(3), ["n1"]);
        assert_eq!(layout(4, 4, Topology::Star).neighbours(0), ["n2", "n3", "n4"]);
        assert_eq!(layout(4, 4, Topology::Star).neighbours(3), ["n1"]);
        assert_eq!(layout(5, 5, Topology::Tree).neighbours(1), ["n1", "n4", "n5"]);
    }

    #[test]
    fn from_every_leader_each_other_can_be_reached() {
        for topology in [Topology::AllToAll, Topology::Circular, Topology::Star, Topology::Tree] {
            for count in 1..9 {
                let layout = layout(count, count, topology);
                for start in layout.leaders() {
                    let mut reached = vec![start.as_str()];
                    let mut at = 0;
                    while at < reached.len() {
                        for next in layout.neighbours(layout.datacentre(reached[at])) {
                            if !reached.contains(&next) {
                                reached.push(next);
                            }
                        }
                        at += 1;
                    }
                    assert_eq!(reached.len(), count, "{topology:?} of {count} from {start}");
                }
            }
        }
    }
}
