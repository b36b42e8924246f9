//! Strongly connected components of a graph that is given by its predecessors.
//!
//! Tarjan's algorithm (1972) without recursion, along edges *backwards*: started in the order of time, a predecessor is nearly always done
//! already, so the search stays shallow and near what the processor holds. Cost: one look at each edge, 8 bytes a vertex.

/// Components of more than one vertex, each ascending, in the order of their first vertex.
///
/// `predecessors(vertex, each)` calls `each` for every predecessor; more than once does no harm.
pub fn components(vertices: usize, mut predecessors: impl FnMut(u32, &mut Vec<u32>)) -> Vec<Vec<u32>> {
    const DONE: u32 = u32::MAX;
    // The number of a vertex in the order of discovery, from 1; 0 before, DONE when its component is known.
    let mut number = vec![0_u32; vertices];
    let mut low = vec![0_u32; vertices];
    let mut next = 1;
    let mut stack: Vec<u32> = Vec::new();
    let mut frames: Vec<(u32, usize)> = Vec::new();
    let mut pending: Vec<u32> = Vec::new();
    let mut found = Vec::new();
    for root in 0..vertices as u32 {
        if number[root as usize] != 0 {
            continue;
        }
        let mut enter = Some(root);
        loop {
            if let Some(vertex) = enter.take() {
                number[vertex as usize] = next;
                low[vertex as usize] = next;
                next += 1;
                let from = pending.len();
                predecessors(vertex, &mut pending);
                // A vertex all of whose predecessors are done is alone, and leaves at once.
                if pending[from..].iter().all(|&it| number[it as usize] == DONE) {
                    pending.truncate(from);
                    number[vertex as usize] = DONE;
                } else {
                    stack.push(vertex);
                    frames.push((vertex, from));
                }
            }
            let Some(&(vertex, from)) = frames.last() else { break };
            if pending.len() > from {
                let Some(it) = pending.pop() else { break };
                match number[it as usize] {
                    0 => enter = Some(it),
                    DONE => {}
                    seen => low[vertex as usize] = low[vertex as usize].min(seen),
                }
                continue;
            }
            frames.pop();
            let reached = low[vertex as usize];
            if let Some(&(parent, _)) = frames.last() {
                low[parent as usize] = low[parent as usize].min(reached);
            }
            if reached == number[vertex as usize] {
                let at = stack.iter().rposition(|&it| it == vertex).unwrap_or(0);
                for &member in &stack[at..] {
                    number[member as usize] = DONE;
                }
                if stack.len() - at > 1 {
                    let mut component = stack[at..].to_vec();
                    component.sort_unstable();
                    found.push(component);
                }
                stack.truncate(at);
            }
        }
    }
    found.sort_unstable_by_key(|component| component[0]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn components_are_those_of_reachability() {
        for seed in 0..300 {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let n = rng.random_range(1..12_usize);
            let mut edge = vec![vec![false; n]; n];
            for _ in 0..rng.random_range(0..3 * n) {
                edge[rng.random_range(0..n)][rng.random_range(0..n)] = true;
            }
            let mut reach = edge.clone();
            for k in 0..n {
                for i in 0..n {
                    for j in 0..n {
                        reach[i][j] |= reach[i][k] && reach[k][j];
                    }
                }
            }
            let mut expected: Vec<Vec<u32>> = (0..n)
                .map(|i| {
                    (0..n as u32)
                        .filter(|&j| j as usize == i || (reach[i][j as usize] && reach[j as usize][i]))
                        .collect()
                })
                .filter(|component: &Vec<u32>| component.len() > 1)
                .collect();
            expected.sort();
            expected.dedup();
            let found = components(n, |vertex, out| {
                out.extend((0..n as u32).filter(|&from| edge[from as usize][vertex as usize] && from != vertex));
            });
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}
