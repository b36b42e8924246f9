//! Packet: the links between a victim and all other nodes, or only those among the victims, become slow, uneven and (where the
//! network can) lossy. All other links and those of clients stay as they are.

use std::time::Duration;

use super::{Connect, Fault, Proof, Scene, connects};
use crate::Error;
use crate::link::{Endpoint, LinkProbe, LinkRule};
use crate::schedule::Params;
use crate::target::Body;

/// How long a connect over a slow link may take: two delays, and one lost segment that is sent again after a second.
const SLOW_LIMIT: Duration = Duration::from_millis(1_500);

/// See the module.
pub struct Packet;

/// The planned rule as far as the network keeps it, and what had to be left out.
fn rule(scene: Scene<'_>) -> (LinkRule, Option<String>) {
    let Params::Packet { delay_ms, jitter_ms, loss_percent, .. } = scene.params else {
        return (LinkRule::default(), None);
    };
    let slow = LinkRule {
        delay: Duration::from_millis(delay_ms),
        jitter: Duration::from_millis(jitter_ms.min(delay_ms)),
        ..LinkRule::default()
    };
    let lossy = LinkRule { loss: loss_percent.min(100) as f64 / 100.0, ..slow.clone() };
    match scene.body().link_unsupported(&lossy) {
        Some(why) if loss_percent > 0 => (slow, Some(why)),
        _ => (lossy, None),
    }
}

/// Whether only the links among the victims are meant.
fn among(scene: Scene<'_>) -> bool {
    matches!(scene.params, Params::Packet { among: true, .. })
}

/// Every directed link between a victim and another node, or between victims.
fn links(scene: Scene<'_>) -> Vec<(&str, &str)> {
    let nodes = scene.target.nodes();
    let enough = if among(scene) { 2 } else { 1 };
    let mut links = Vec::new();
    for (a, from) in nodes.iter().enumerate() {
        for to in &nodes[a + 1..] {
            if [from, to].into_iter().filter(|node| scene.victims.contains(node)).count() >= enough {
                links.extend([(from.as_str(), to.as_str()), (to.as_str(), from.as_str())]);
            }
        }
    }
    links
}

fn set(scene: Scene<'_>, rule: &LinkRule) -> Result<(), Error> {
    links(scene).into_iter().try_for_each(|(from, to)| {
        scene.body().set_link(&Endpoint::Node(from.into()), &Endpoint::Node(to.into()), rule.clone())
    })
}

/// The times of one connect per victim, to the first node it has a slow link to.
fn times<'a>(scene: Scene<'a>) -> Vec<(&'a str, &'a str, LinkProbe)> {
    let links = links(scene);
    let pairs: Vec<(&str, &str)> = scene
        .victims
        .iter()
        .filter_map(|victim| links.iter().find(|(from, _)| *from == victim.as_str()).copied())
        .collect();
    let port = scene.peer_port();
    let tries: Vec<Connect<'_>> =
        pairs.iter().map(|(from, to)| Connect { from: Endpoint::Node((*from).to_string()), to, port }).collect();
    let answers = connects(scene.body(), &tries, SLOW_LIMIT);
    pairs.into_iter().zip(answers).map(|((from, to), answer)| (from, to, answer)).collect()
}

impl Fault for Packet {
    fn unsupported(&self, body: &dyn Body) -> Option<String> {
        let slow =
            LinkRule { delay: Duration::from_millis(50), jitter: Duration::from_millis(10), ..LinkRule::default() };
        body.link_unsupported(&slow)
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        let (rule, left_out) = rule(scene);
        let victims = scene.victims.join(", ");
        let (delay, jitter) = (rule.delay.as_millis(), rule.jitter.as_millis());
        let loss = match left_out {
            Some(why) => format!("no loss ({why})"),
            None => format!("{:.0} % loss", rule.loss * 100.0),
        };
        let whose =
            if among(scene) { format!("among {victims}") } else { format!("between {victims} and all other nodes") };
        format!("slow links {whose}: {delay} ± {jitter} ms each way, {loss}")
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        set(scene, &rule(scene).0)
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        let rule = rule(scene).0;
        let least = rule.delay.saturating_sub(rule.jitter) + rule.delay.saturating_sub(rule.jitter);
        if least.is_zero() {
            return Proof::Indeterminate("no delay is planned, and loss alone cannot be told by one connect".into());
        }
        let mut seen = Vec::new();
        for (from, to, answer) in times(scene) {
            match answer {
                LinkProbe::Connected(took) if took >= least => {
                    seen.push(format!("{from} needed {} ms to connect to {to}", took.as_millis()));
                }
                LinkProbe::Connected(took) => {
                    let (took, least) = (took.as_millis(), least.as_millis());
                    return Proof::NoEffect(format!(
                        "{from} connected to {to} in {took} ms; at least {least} ms were due"
                    ));
                }
                LinkProbe::Refused => return Proof::Indeterminate(format!("{to} refuses {from}")),
                LinkProbe::TimedOut => {
                    return Proof::Indeterminate(format!("{from} could not connect to {to} within {SLOW_LIMIT:?}"));
                }
            }
        }
        Proof::Proven(seen.join(", "))
    }

    fn watch(&self, _scene: Scene<'_>) -> Option<String> {
        None
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        set(scene, &LinkRule::default())
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        let rule = rule(scene).0;
        let mut seen = Vec::new();
        for (from, to, answer) in times(scene) {
            match answer {
                LinkProbe::Connected(took) if took < rule.delay.max(Duration::from_millis(20)) => {
                    seen.push(format!("{from} connects to {to} in {:.1} ms", took.as_secs_f64() * 1e3));
                }
                other => return Err(Error(format!("the link from {from} to {to} is still slow: {other:?}"))),
            }
        }
        Ok(seen.join(", "))
    }
}
