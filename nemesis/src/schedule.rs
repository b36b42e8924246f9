//! A schedule is data: every fault of a run with its moment, its length and its victims, so that it can be read,
//! edited and replayed. Victims are roles rather than names where the role is the point (a leader is only known at the
//! moment of injection), so that a replay harms the leader again even if another node leads by then.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Error;
use crate::faults;

/// The format that this version writes and reads.
const FORMAT: u64 = 1;

/// Whom faults may strike, by Jepsen's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Exactly one node at a time, every second time the leader.
    One,
    /// Less than half of the nodes.
    Minority,
    /// More than half of the nodes.
    Majority,
    /// Every node that says it leads.
    Primaries,
    /// Every node.
    All,
}

impl Targets {
    /// All values, in the order in which help texts list them.
    pub const ALL: [Targets; 5] =
        [Targets::One, Targets::Minority, Targets::Majority, Targets::Primaries, Targets::All];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Targets::One => "one",
            Targets::Minority => "minority",
            Targets::Majority => "majority",
            Targets::Primaries => "primaries",
            Targets::All => "all",
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Targets {
    type Err = Error;

    fn from_str(text: &str) -> Result<Targets, Error> {
        Targets::ALL.into_iter().find(|t| t.name() == text).ok_or_else(|| {
            let names = Targets::ALL.map(Targets::name).join(", ");
            Error(format!("unknown targets {text:?}: the allowed values are {names}"))
        })
    }
}

/// From what a schedule is planned.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The kinds of fault, by name.
    pub kinds: Vec<String>,
    /// Whom they may strike.
    pub targets: Targets,
    /// The nodes of the cluster.
    pub nodes: Vec<String>,
    /// How long the load lasts.
    pub time_limit: Duration,
    /// From one onset to the next; chosen by the time limit if absent.
    pub interval: Option<Duration>,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Whether the database has a leader that can be aimed at.
    pub has_leader: bool,
}

/// Everything that is done to a cluster in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The version of the format.
    pub format: u64,
    /// The seed it was planned from.
    pub seed: u64,
    /// The faults, in the order of their onset.
    pub faults: Vec<Planned>,
}

/// One fault to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Unique within the schedule.
    pub id: u64,
    /// Which fault, by name.
    pub kind: String,
    /// When it begins, in milliseconds after the start of the run.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: u64,
    /// Whom it strikes.
    pub victims: Victims,
    /// What else the kind needs to know.
    pub params: Params,
}

/// Whom a fault strikes; roles are resolved at the moment of injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victims {
    /// The node that says it leads, of the highest term.
    Leader,
    /// Every node that says it leads.
    Leaders,
    /// The leader and so many nodes that do not lead.
    LeaderAnd(usize),
    /// The k-th node (from 0, wrapping around) among those that do not lead.
    Follower(usize),
    /// So many nodes that do not lead.
    Followers(usize),
    /// These nodes, whatever their role.
    Nodes(Vec<String>),
}

impl Victims {
    /// Whether there can be more than one.
    fn may_be_several(&self) -> bool {
        match self {
            Victims::Leader | Victims::Follower(_) => false,
            Victims::Leaders => true,
            Victims::LeaderAnd(others) => *others > 0,
            Victims::Followers(count) => *count > 1,
            Victims::Nodes(names) => names.len() > 1,
        }
    }
}

/// What a kind needs to know beside its victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Params {
    /// Nothing.
    Nothing,
    /// Which links a partition cuts.
    Partition(Shape),
    /// How far ahead (or behind, if negative) the clock is set.
    Clock {
        /// In milliseconds.
        offset_ms: i64,
    },
    /// How slow and unreliable the links become.
    Packet {
        /// Delay of each packet in milliseconds.
        delay_ms: u64,
        /// By how much the delay varies either way, in milliseconds.
        jitter_ms: u64,
        /// How many packets in a hundred are lost.
        loss_percent: u64,
        /// Only the links among the victims, not those to the other nodes: with two victims, a single link.
        among: bool,
    },
    /// What chance decides when power is lost.
    Power {
        /// Draws what a torn write or a prefix keeps.
        seed: u64,
    },
    /// How old the copy is that is put back.
    Restore {
        /// In milliseconds.
        age_ms: u64,
    },
    /// How late an fsync comes.
    Slow {
        /// In milliseconds.
        delay_ms: u64,
    },
}

/// Which links between nodes a partition cuts. Clients reach every node all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Every victim is cut from every other node, both ways.
    Isolate,
    /// Nothing that a victim sends arrives at another node.
    OneWayOut,
    /// Nothing that another node sends arrives at a victim.
    OneWayIn,
    /// The victims on one side, all others on the other side.
    Halves,
    /// Every node sees a majority, no two see the same (four nodes or more); nobody is spared.
    MajoritiesRing,
}

impl Schedule {
    /// An empty schedule of the current format.
    pub fn empty(seed: u64) -> Schedule {
        Schedule { format: FORMAT, seed, faults: Vec::new() }
    }

    /// The schedule as JSON for people to read and edit.
    pub fn to_json(&self) -> String {
        let faults: Vec<Value> = self.faults.iter().map(Planned::to_value).collect();
        let value = serde_json::json!({"format": self.format, "seed": self.seed, "faults": faults});
        let mut text = serde_json::to_string_pretty(&value).expect("a value made of maps and numbers has a JSON form");
        text.push('\n');
        text
    }

    /// Reads what `to_json` wrote or a person edited; the error is one sentence that names the fault and the field.
    pub fn from_json(text: &str) -> Result<Schedule, Error> {
        let wire: Wire = serde_json::from_str(text).map_err(|e| Error::new("the schedule is not valid", e))?;
        if wire.format != FORMAT {
            return Err(Error(format!("the schedule has format {}, this version reads format {FORMAT}", wire.format)));
        }
        let mut faults = Vec::with_capacity(wire.faults.len());
        for (at, value) in wire.faults.into_iter().enumerate() {
            let nth = at + 1;
            faults.push(
                Planned::from_value(value).map_err(|why| Error::new(format!("fault {nth} of the schedule"), why))?,
            );
        }
        let schedule = Schedule { format: FORMAT, seed: wire.seed, faults };
        schedule.check_order()?;
        Ok(schedule)
    }

    /// Faults must come in order, one after another, with an id of their own.
    fn check_order(&self) -> Result<(), Error> {
        for pair in self.faults.windows(2) {
            let end = pair[0].at_ms.saturating_add(pair[0].lasts_ms);
            if pair[1].at_ms < end {
                let (before, after) = (pair[0].id, pair[1].id);
                return Err(Error(format!(
                    "fault {after} begins before fault {before} ends ({end} ms): faults must not overlap"
                )));
            }
        }
        let mut ids: Vec<u64> = self.faults.iter().map(|f| f.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error(format!("two faults of the schedule have the id {}", pair[0]))),
            None => Ok(()),
        }
    }

    /// Refuses a schedule that names a node which the cluster does not have.
    pub fn check_nodes(&self, nodes: &[String]) -> Result<(), Error> {
        for fault in &self.faults {
            let Victims::Nodes(names) = &fault.victims else { continue };
            if let Some(name) = names.iter().find(|n| !nodes.contains(n)) {
                let known = nodes.join(", ");
                return Err(Error(format!("fault {} strikes unknown node {name:?}: the nodes are {known}", fault.id)));
            }
        }
        Ok(())
    }
}

/// The outer form of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u64,
    #[serde(default)]
    seed: u64,
    faults: Vec<Map<String, Value>>,
}

impl Planned {
    fn to_value(&self) -> Value {
        let mut value = serde_json::json!({
            "id": self.id, "kind": self.kind, "at_ms": self.at_ms, "lasts_ms": self.lasts_ms, "victims": self.victims,
        });
        let params = match self.params {
            Params::Nothing => return value,
            Params::Partition(shape) => serde_json::json!({"shape": shape}),
            Params::Clock { offset_ms } => serde_json::json!({"offset_ms": offset_ms}),
            Params::Power { seed } => serde_json::json!({"seed": seed}),
            Params::Restore { age_ms } => serde_json::json!({"age_ms": age_ms}),
            Params::Slow { delay_ms } => serde_json::json!({"delay_ms": delay_ms}),
            Params::Packet { delay_ms, jitter_ms, loss_percent, among } => {
                let mut params =
                    serde_json::json!({"delay_ms": delay_ms, "jitter_ms": jitter_ms, "loss_percent": loss_percent});
                if among {
                    params["among"] = Value::Bool(true);
                }
                params
            }
        };
        value["params"] = params;
        value
    }

    fn from_value(mut map: Map<String, Value>) -> Result<Planned, Error> {
        let kind: String = field(&mut map, "kind")?;
        faults::find(&kind)?;
        let planned = Planned {
            id: field(&mut map, "id")?,
            at_ms: field(&mut map, "at_ms")?,
            lasts_ms: field(&mut map, "lasts_ms")?,
            victims: field(&mut map, "victims")?,
            params: params(&kind, map.remove("params"))?,
            kind,
        };
        if matches!(planned.params, Params::Packet { among: true, .. }) && !planned.victims.may_be_several() {
            return Err(Error("field \"victims\": among whom links are slow, there must be at least two".into()));
        }
        match map.keys().next() {
            Some(key) => Err(Error(format!("unknown field {key:?}"))),
            None => Ok(planned),
        }
    }
}

/// Takes a field that must be there.
fn field<T: serde::de::DeserializeOwned>(map: &mut Map<String, Value>, name: &str) -> Result<T, Error> {
    let value = map.remove(name).ok_or_else(|| Error(format!("field {name:?} is missing")))?;
    serde_json::from_value(value).map_err(|e| Error::new(format!("field {name:?}"), e))
}

/// Reads the parameters that a kind has.
fn params(kind: &str, value: Option<Value>) -> Result<Params, Error> {
    let mut map = match value {
        None => Map::new(),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(Error(format!("field \"params\" is {other}, not an object"))),
    };
    let params = match kind {
        "partition" => Params::Partition(field(&mut map, "shape")?),
        "clock" => Params::Clock { offset_ms: field(&mut map, "offset_ms")? },
        "packet" => Params::Packet {
            delay_ms: field(&mut map, "delay_ms")?,
            jitter_ms: field(&mut map, "jitter_ms")?,
            loss_percent: field(&mut map, "loss_percent")?,
            among: if map.contains_key("among") { field(&mut map, "among")? } else { false },
        },
        "power" => Params::Power { seed: field(&mut map, "seed")? },
        "restore" => Params::Restore { age_ms: field(&mut map, "age_ms")? },
        "disk-slow" => Params::Slow { delay_ms: field(&mut map, "delay_ms")? },
        _ => Params::Nothing,
    };
    match map.keys().next() {
        Some(key) => Err(Error(format!("a {kind} has no parameter {key:?}"))),
        None => Ok(params),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(id: u64, kind: &str, victims: Victims, params: Params) -> Planned {
        Planned { id, kind: kind.into(), at_ms: id * 3_000, lasts_ms: 2_000, victims, params }
    }

    fn schedule() -> Schedule {
        let mut schedule = Schedule::empty(u64::MAX);
        schedule.faults = vec![
            fault(1, "partition", Victims::Leader, Params::Partition(Shape::OneWayOut)),
            fault(2, "kill", Victims::Follower(1), Params::Nothing),
            fault(3, "clock", Victims::Nodes(vec!["n1".into()]), Params::Clock { offset_ms: -287_626 }),
            fault(
                4,
                "packet",
                Victims::LeaderAnd(1),
                Params::Packet { delay_ms: 80, jitter_ms: 20, loss_percent: 7, among: true },
            ),
            fault(5, "pause", Victims::Leaders, Params::Nothing),
        ];
        schedule
    }

    fn refusal(from: &str, to: &str) -> String {
        let text = schedule().to_json();
        assert!(text.contains(from), "{from} is not in {text}");
        Schedule::from_json(&text.replacen(from, to, 1)).expect_err("it is wrong").to_string()
    }

    #[test]
    fn a_schedule_survives_json_exactly() {
        assert_eq!(Schedule::from_json(&schedule().to_json()).expect("we wrote it"), schedule());
    }

    #[test]
    fn a_wrong_schedule_is_refused_in_one_sentence() {
        assert!(refusal("\"kill\"", "\"kil\"").contains("fault 2 of the schedule: unknown fault \"kil\""));
        assert!(refusal("one-way-out", "sideways").contains("\"shape\""));
        assert!(refusal("\"offset_ms\"", "\"offset\"").contains("\"offset_ms\" is missing"));
        assert!(refusal("\"leader-and\": 1", "\"leader-and\": 0").contains("at least two"));
        assert!(refusal("\"at_ms\": 6000", "\"at_ms\": 4000").contains("must not overlap"));
        assert!(refusal("\"format\": 1", "\"format\": 9").contains("format 9"));
        assert!(Schedule::from_json("[").expect_err("no JSON").to_string().starts_with("the schedule is not valid"));
    }

    #[test]
    fn an_unknown_node_is_refused_by_name() {
        let error = schedule().check_nodes(&["n2".to_string(), "n3".to_string()]).expect_err("n1 is missing");
        assert_eq!(error.to_string(), "fault 3 strikes unknown node \"n1\": the nodes are n2, n3");
    }

    #[test]
    fn misspelt_targets_are_answered_with_the_allowed_values() {
        let error = "ones".parse::<Targets>().expect_err("misspelt").to_string();
        assert!(error.contains("one, minority, majority, primaries, all"), "{error}");
        for targets in Targets::ALL {
            assert_eq!(targets.to_string().parse::<Targets>().expect("its own name"), targets);
        }
    }
}
