//! Partition: links between nodes are cut, so that nothing passes; clients still reach every node, on both sides.
//!
//! TCP needs both directions, so a connect over a one-way cut hangs from either end: the probe proves that the pair
//! cannot talk, and says that it cannot tell by itself which of the two directions is the cut one.

use super::{Connect, Fault, PROBE_LIMIT, Proof, Scene, clients_reach, connects};
use crate::Error;
use crate::link::{Endpoint, LinkProbe, LinkRule};
use crate::schedule::{Params, Shape};
use crate::target::Body;

/// How many pairs of nodes a probe tries at most.
const PROBED_PAIRS: usize = 8;
/// With fewer nodes, a ring in which each sees a majority has nothing to cut.
const SMALLEST_RING: usize = 4;

/// See the module.
pub struct Partition;

fn shape(scene: Scene<'_>) -> Shape {
    let planned = match scene.params {
        Params::Partition(shape) => shape,
        _ => Shape::Isolate,
    };
    match planned {
        Shape::MajoritiesRing if scene.target.nodes().len() < SMALLEST_RING => Shape::Isolate,
        other => other,
    }
}

/// Every directed link that is cut.
fn cuts(scene: Scene<'_>) -> Vec<(&str, &str)> {
    let nodes = scene.target.nodes();
    let shape = shape(scene);
    let reach = (nodes.len() / 2).div_ceil(2);
    let cut = |from: usize, to: usize| {
        let (leaves, enters) = (scene.victims.contains(&nodes[from]), scene.victims.contains(&nodes[to]));
        match shape {
            Shape::Isolate => leaves || enters,
            Shape::OneWayOut => leaves,
            Shape::OneWayIn => enters,
            Shape::Halves => leaves != enters,
            Shape::MajoritiesRing => from.abs_diff(to).min(nodes.len() - from.abs_diff(to)) > reach,
        }
    };
    let mut links = Vec::new();
    for from in 0..nodes.len() {
        for to in (0..nodes.len()).filter(|to| *to != from && cut(from, *to)) {
            links.push((nodes[from].as_str(), nodes[to].as_str()));
        }
    }
    links
}

/// Connects over the pairs of nodes between which something is cut, in both directions.
fn probes(scene: Scene<'_>) -> Vec<(String, LinkProbe)> {
    let port = scene.peer_port();
    let mut pairs: Vec<(&str, &str)> = cuts(scene).into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let tries: Vec<Connect<'_>> = pairs
        .iter()
        .take(PROBED_PAIRS)
        .flat_map(|(a, b)| [(*a, *b), (*b, *a)])
        .map(|(from, to)| Connect { from: Endpoint::Node(from.to_string()), to, port })
        .collect();
    let answers = connects(scene.body(), &tries, PROBE_LIMIT);
    tries.iter().zip(answers).map(|(t, answer)| (way(t), answer)).collect()
}

fn way(connect: &Connect<'_>) -> String {
    match &connect.from {
        Endpoint::Node(name) => format!("{name} → {}", connect.to),
        Endpoint::Client => format!("clients → {}", connect.to),
    }
}

impl Fault for Partition {
    fn unsupported(&self, body: &dyn Body) -> Option<String> {
        body.link_unsupported(&LinkRule::cut())
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        let victims = scene.victims.join(", ");
        let others = scene.others().join(", ");
        match shape(scene) {
            Shape::Isolate => format!("cut {victims} from all other nodes, both ways"),
            Shape::OneWayOut => format!("nothing that {victims} sends reaches another node"),
            Shape::OneWayIn => format!("nothing that other nodes send reaches {victims}"),
            Shape::Halves => format!("cut {victims} from {others}, both ways"),
            Shape::MajoritiesRing => "every node sees a majority, no two nodes see the same".to_string(),
        }
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        cuts(scene).into_iter().try_for_each(|(from, to)| {
            scene.body().set_link(&Endpoint::Node(from.into()), &Endpoint::Node(to.into()), LinkRule::cut())
        })
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        let probes = probes(scene);
        if probes.is_empty() {
            return Proof::NoEffect("there is no link to cut between these nodes".into());
        }
        for (way, answer) in &probes {
            match answer {
                LinkProbe::Connected(_) => return Proof::NoEffect(format!("{way} still connects")),
                LinkProbe::Refused => return Proof::NoEffect(format!("{way} is answered, by a refusal")),
                LinkProbe::TimedOut => {}
            }
        }
        // Without this, a node that hangs would pass for a link that is cut.
        if let Err(why) = clients_reach(scene, scene.target.nodes()) {
            return Proof::Indeterminate(format!(
                "connects time out, but {why}, so it may be the node and not the link"
            ));
        }
        let ways: Vec<&str> = probes.iter().map(|(way, _)| way.as_str()).collect();
        let direction = match shape(scene) {
            Shape::OneWayOut | Shape::OneWayIn => " (a connect cannot tell which direction is cut)",
            _ => "",
        };
        let limit = PROBE_LIMIT.as_millis();
        Proof::Proven(format!("no connect within {limit} ms: {}; clients connect{direction}", ways.join(", ")))
    }

    fn watch(&self, _scene: Scene<'_>) -> Option<String> {
        None
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        cuts(scene).into_iter().try_for_each(|(from, to)| {
            scene.body().set_link(&Endpoint::Node(from.into()), &Endpoint::Node(to.into()), LinkRule::default())
        })
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        let probes = probes(scene);
        // A refusal has crossed the link both ways: the link is well, whatever became of the program.
        match probes.iter().find(|(_, answer)| *answer == LinkProbe::TimedOut) {
            Some((way, _)) => Err(Error(format!("{way} still does not connect"))),
            None => Ok("all cut links answer again".to_string()),
        }
    }
}
