//! Clusters of several leaders: asking them, and looking at what each holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use refdb::config::{ModeConfig, MultiLeader, Policy};
use refdb::mode::Ticket;
use refdb::modes::multi_leader::row::Row;
use refdb::operation::{Code, Operation, Outcome, Reply, Request};
use refdb::value::Value;

use super::{World, config};

pub const MS: Duration = Duration::from_millis(1);

pub const LIMIT: Duration = Duration::from_secs(20);

pub fn policy(flags: &str, nodes: usize) -> MultiLeader {
    let ModeConfig { policy: Policy::MultiLeader(policy), .. } = config(&format!("--mode multi-leader {flags}"), nodes)
    else {
        panic!("the mode was named")
    };
    policy
}

pub fn cluster(flags: &str, nodes: usize, seed: u64) -> World {
    World::new(&format!("--mode multi-leader {flags}"), nodes, seed)
}

pub fn write(key: &str, value: i64) -> Request {
    one(Operation::Write { key: key.to_string(), value: Value::Int(value) })
}

pub fn one(operation: Operation) -> Request {
    Request { ops: vec![operation], ..Request::default() }
}

pub fn answer(world: &mut World, ticket: Ticket) -> Result<Reply, Code> {
    assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result.map_err(|refusal| refusal.code)
}

pub fn done(world: &mut World, node: usize, request: Request) -> Reply {
    let ticket = world.ask(node, request);
    answer(world, ticket).unwrap_or_else(|code| panic!("refused: {code:?}"))
}

/// Every row of a node as text.
pub fn rows(world: &World, node: usize) -> BTreeMap<String, String> {
    world.disk(node).versions.into_iter().collect()
}

pub fn shown(world: &World, policy: &MultiLeader, node: usize, key: &str) -> Outcome {
    let text = rows(world, node).remove(key);
    let row: Row = text.map_or_else(Row::default, |text| serde_json::from_str(&text).expect("a row"));
    row.outcome(policy)
}

pub fn everywhere(world: &World) -> bool {
    let applied = |node: usize| world.status(node).map(|status| status.applied);
    (1..world.machines.len()).all(|node| applied(node).is_some() && applied(node) == applied(0))
}

pub fn alike(world: &World) -> bool {
    (1..world.machines.len()).all(|node| rows(world, node) == rows(world, 0))
}

pub fn settle(world: &mut World) {
    world.heal();
    let settled = world.until(LIMIT, everywhere);
    let counts: Vec<_> =
        (0..world.machines.len()).map(|node| world.status(node).map(|status| status.position)).collect();
    assert!(settled, "not every change is everywhere: {counts:?}");
}

pub fn ints(outcome: &Outcome) -> BTreeSet<i64> {
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    match outcome {
        Outcome::Value(value) => int(value).into_iter().collect(),
        Outcome::Siblings(values) | Outcome::Set(values) => values.iter().filter_map(int).collect(),
        _ => BTreeSet::new(),
    }
}
pub const TOPOLOGIES: [&str; 4] = ["all-to-all", "circular", "star", "tree"];
