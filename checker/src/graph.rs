//! Directed graphs in flat arrays: components and shortest paths.
//!
//! An edge carries a tag, so that a proof can say why it is there. Building is a counting pass, components are Tarjan's
//! without recursion, both linear; a path is found breadth first, so it is a shortest one. About 12 bytes an edge.

/// An edge with the reason that put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) tag: u32,
}

/// A graph that no longer changes.
pub(crate) struct Graph {
    heads: Vec<u32>,
    targets: Vec<u32>,
    tags: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

impl Graph {
    /// The graph with `nodes` nodes and these edges.
    pub(crate) fn new(nodes: usize, arrows: &[Arrow]) -> Graph {
        let mut heads = vec![0_u32; nodes + 1];
        for arrow in arrows {
            heads[arrow.from as usize + 1] += 1;
        }
        for node in 0..nodes {
            heads[node + 1] += heads[node];
        }
        let mut next = heads.clone();
        let (mut targets, mut tags) = (vec![0; arrows.len()], vec![0; arrows.len()]);
        for arrow in arrows {
            let at = &mut next[arrow.from as usize];
            targets[*at as usize] = arrow.to;
            tags[*at as usize] = arrow.tag;
            *at += 1;
        }
        Graph { heads, targets, tags }
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.heads.len() - 1
    }

    fn out(&self, node: u32) -> std::ops::Range<usize> {
        self.heads[node as usize] as usize..self.heads[node as usize + 1] as usize
    }

    /// The nodes that arrows lead to from `node`.
    pub(crate) fn next(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.targets[self.out(node)].iter().copied()
    }

    /// The strongly connected component of each node, and whether each component holds a cycle.
    pub(crate) fn components(&self) -> Components {
        let nodes = self.nodes();
        let mut search = Tarjan {
            order: vec![UNSEEN; nodes],
            low: vec![0; nodes],
            of: vec![UNSEEN; nodes],
            stack: Vec::new(),
            sizes: Vec::new(),
            count: 0,
        };
        let mut frames: Vec<(u32, usize)> = Vec::new();
        for root in 0..nodes as u32 {
            if search.order[root as usize] != UNSEEN {
                continue;
            }
            search.enter(root);
            frames.push((root, self.out(root).start));
            while let Some((node, at)) = frames.last_mut() {
                let node = *node;
                if *at < self.out(node).end {
                    let next = self.targets[*at];
                    *at += 1;
                    if search.order[next as usize] == UNSEEN {
                        search.enter(next);
                        frames.push((next, self.out(next).start));
                    } else if search.of[next as usize] == UNSEEN {
                        search.low[node as usize] = search.low[node as usize].min(search.order[next as usize]);
                    }
                    continue;
                }
                frames.pop();
                search.leave(node);
                if let Some((parent, _)) = frames.last() {
                    let low = search.low[node as usize];
                    search.low[*parent as usize] = search.low[*parent as usize].min(low);
                }
            }
        }
        Components { of: search.of, sizes: search.sizes }
    }

    /// A shortest path from `from` to `to` through nodes that `allowed` accepts, as arrows; empty if they are one node.
    pub(crate) fn path(&self, from: u32, to: u32, allowed: impl Fn(u32) -> bool) -> Option<Vec<Arrow>> {
        let mut came: crate::intern::FastMap<u32, Arrow> = crate::intern::FastMap::default();
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            if node == to {
                let mut path = Vec::new();
                let mut at = to;
                while at != from {
                    let arrow = came[&at];
                    path.push(arrow);
                    at = arrow.from;
                }
                path.reverse();
                return Some(path);
            }
            for edge in self.out(node) {
                let next = self.targets[edge];
                if next != from && allowed(next) && !came.contains_key(&next) {
                    came.insert(next, Arrow { from: node, to: next, tag: self.tags[edge] });
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// Which nodes lie on cycles together.
pub(crate) struct Components {
    /// The component of each node.
    pub(crate) of: Vec<u32>,
    /// The number of nodes of each component.
    pub(crate) sizes: Vec<u32>,
}

impl Components {
    /// Whether any two nodes lie on a cycle.
    pub(crate) fn any_cycle(&self) -> bool {
        self.sizes.iter().any(|&size| size > 1)
    }

    /// Whether both ends lie on a cycle together.
    pub(crate) fn together(&self, a: u32, b: u32) -> bool {
        self.of[a as usize] == self.of[b as usize]
    }
}

struct Tarjan {
    order: Vec<u32>,
    low: Vec<u32>,
    of: Vec<u32>,
    stack: Vec<u32>,
    sizes: Vec<u32>,
    count: u32,
}

impl Tarjan {
    fn enter(&mut self, node: u32) {
        self.order[node as usize] = self.count;
        self.low[node as usize] = self.count;
        self.count += 1;
        self.stack.push(node);
    }

    fn leave(&mut self, node: u32) {
        if self.low[node as usize] != self.order[node as usize] {
            return;
        }
        let component = self.sizes.len() as u32;
        let mut size = 0;
        while let Some(member) = self.stack.pop() {
            self.of[member as usize] = component;
            size += 1;
            if member == node {
                break;
            }
        }
        self.sizes.push(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: u32, to: u32) -> Arrow {
        Arrow { from, to, tag: from * 10 + to }
    }

    #[test]
    fn a_cycle_is_one_component_and_a_chain_is_many() {
        let graph = Graph::new(5, &[arrow(0, 1), arrow(1, 2), arrow(2, 0), arrow(2, 3), arrow(3, 4)]);
        let components = graph.components();
        assert!(components.together(0, 2) && !components.together(2, 3));
        assert_eq!(components.sizes.iter().sum::<u32>(), 5);
    }

    #[test]
    fn a_path_is_a_shortest_one_and_keeps_its_tags() {
        let graph = Graph::new(4, &[arrow(0, 1), arrow(1, 2), arrow(2, 3), arrow(0, 2)]);
        let path = graph.path(0, 3, |_| true).unwrap();
        assert_eq!(path.iter().map(|arrow| arrow.tag).collect::<Vec<_>>(), vec![2, 23]);
        assert!(graph.path(3, 0, |_| true).is_none());
    }
}
