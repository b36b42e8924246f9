//! Where keys live: rendezvous hashing within each datacentre (Thaler and Ravishankar 1998).
//!
//! Every node ranks all nodes of a datacentre by the hash of their name with the key. The first `n` are the key's home nodes there, those after them stand in
//! when homes can't be reached, in this order. A node that comes or goes moves only the keys that it ranks high for, and no node needs a table.
//!
//! like: Dynamo's preference list, Cassandra's NetworkTopologyStrategy (`n` replicas in each datacentre).

use crate::config::Leaderless;

/// Which node holds what.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The nodes of each datacentre, in the order of all nodes.
    datacentres: Vec<Vec<String>>,
    n: usize,
}

impl Placement {
    /// The placement of `policy` over all `nodes`, dealt out evenly to its datacentres: the first ones to the first.
    pub fn new(policy: &Leaderless, nodes: &[String]) -> Placement {
        Placement { datacentres: dealt_out(nodes, policy.datacentres), n: policy.n }
    }

    /// How many datacentres there are.
    pub fn datacentres(&self) -> usize {
        self.datacentres.len()
    }

    /// The nodes of datacentre `number`, from 0; none where there is no such.
    pub fn nodes_of(&self, number: usize) -> &[String] {
        self.datacentres.get(number).map_or(&[], Vec::as_slice)
    }

    /// The number of a node's datacentre, from 0; strangers are taken to be in the first.
    pub fn datacentre(&self, node: &str) -> usize {
        self.datacentres.iter().position(|nodes| nodes.iter().any(|one| one == node)).unwrap_or(0)
    }

    /// All nodes of a datacentre, in the order in which they should hold `key`: its `n` homes first.
    pub fn preference(&self, key: &str, datacentre: usize) -> Vec<String> {
        let nodes = self.nodes_of(datacentre);
        let mut ranked: Vec<(u64, &String)> = nodes.iter().map(|node| (hash(&[node, key]), node)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.into_iter().map(|(_, node)| node.clone()).collect()
    }

    /// The homes of `key` in one datacentre.
    pub fn homes_in(&self, key: &str, datacentre: usize) -> Vec<String> {
        let mut preference = self.preference(key, datacentre);
        preference.truncate(self.n);
        preference
    }

    /// The homes of `key` in all datacentres.
    pub fn homes(&self, key: &str) -> Vec<String> {
        (0..self.datacentres()).flat_map(|datacentre| self.homes_in(key, datacentre)).collect()
    }

    /// Whether `node` is a home of `key`.
    pub fn is_home(&self, key: &str, node: &str) -> bool {
        self.homes_in(key, self.datacentre(node)).iter().any(|home| home == node)
    }
}

/// FNV-1a, 64 bits, with a final mix: the same on every node and version, which the standard library's hash is not.
pub fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

/// The nodes of each of `count` datacentres: as many in each as in the others, the first ones in the first.
pub fn dealt_out(nodes: &[String], count: usize) -> Vec<Vec<String>> {
    let count = count.clamp(1, nodes.len().max(1));
    let mut datacentres = vec![Vec::new(); count];
    for (number, node) in nodes.iter().enumerate() {
        datacentres[number * count / nodes.len()].push(node.clone());
    }
    datacentres
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modes::leaderless::tests::policy;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("n{number}")).collect()
    }

    #[test]
    fn a_node_that_goes_moves_only_the_keys_that_it_held() {
        let policy = policy("--n 3", 6);
        let (before, after) = (Placement::new(&policy, &names(6)), Placement::new(&policy, &names(5)));
        let mut moved = 0;
        for key in (0..500).map(|number| format!("k{number}")) {
            let (old, new) = (before.homes(&key), after.homes(&key));
            let stay: Vec<&String> = old.iter().filter(|home| *home != "n6").collect();
            assert!(stay.iter().all(|home| new.contains(home)), "{key}: {old:?} became {new:?}");
            moved += usize::from(old.contains(&"n6".to_string()));
        }
        assert!((200..300).contains(&moved), "half of the keys should have lived on n6, not {moved} of 500");
    }

    #[test]
    fn each_datacentre_holds_every_key() {
        let policy = policy("--n 2 --datacentres 2", 5);
        let placement = Placement::new(&policy, &names(5));
        assert_eq!((placement.nodes_of(0).len(), placement.nodes_of(1).len()), (3, 2));
        for key in ["a", "b", "c"] {
            assert_eq!(placement.homes(key).len(), 4);
            assert!(placement.homes_in(key, 1).iter().all(|home| placement.datacentre(home) == 1));
            assert!(placement.homes(key).iter().all(|home| placement.is_home(key, home)));
        }
    }
}
