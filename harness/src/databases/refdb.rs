//! The reference database, reached as a foreign one would be: through the client library that it ships.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use gainsay_checker::{Action, Atom, Kind, Reading, Steps, Version};
use gainsay_workloads::{Capabilities, Draft};
use refdb::client::{Code, Failed, Operation, Outcome, Pool, Refusal, Reply, Session};
use refdb::config::{Conflicts, Failover, ModeArgs, ModeConfig, NEWEST_FORMAT, Policy, ReadPolicy};
use refdb::value::Value;

use crate::cli::options::usage;
use crate::database::{Answer, Client, Completion, Database, Held, NodePlace, NodeStatus, Program, REQUEST_TIMEOUT};

/// Where nodes serve clients and each other.
const CLIENT_PORT: u16 = 7_000;
const PEER_PORT: u16 = 7_001;

/// A cluster of the reference database.
pub struct RefDb {
    config: ModeConfig,
    run: OnceLock<String>,
    pool: OnceLock<Arc<Pool>>,
}

impl RefDb {
    /// A cluster of `nodes` nodes in the mode that the flags say.
    pub fn new(args: &ModeArgs, nodes: usize) -> anyhow::Result<RefDb> {
        let config = args.config(nodes).map_err(usage)?;
        Ok(RefDb { config, run: OnceLock::new(), pool: OnceLock::new() })
    }

    fn merges(&self) -> bool {
        matches!(&self.config.policy, Policy::MultiLeader(mode) if mode.conflicts == Conflicts::Merge)
    }

    fn started(&self, place: &NodePlace, config: &ModeConfig) -> Program {
        let peers: Vec<String> = place
            .peers
            .iter()
            .filter(|(name, _)| *name != place.name)
            .map(|(name, ip)| format!("{name}={}", SocketAddr::new(*ip, PEER_PORT)))
            .collect();
        let mut args = vec!["refdb".to_string(), "--name".to_string(), place.name.clone()];
        args.extend(["--run".to_string(), self.run.get().cloned().unwrap_or_default()]);
        args.extend(["--dir".to_string(), place.data.display().to_string()]);
        args.extend(["--listen".to_string(), SocketAddr::new(place.bind, CLIENT_PORT).to_string()]);
        args.extend(["--peer-listen".to_string(), SocketAddr::new(place.bind, PEER_PORT).to_string()]);
        if !peers.is_empty() {
            args.extend(["--peers".to_string(), peers.join(",")]);
        }
        args.extend(config.flags());
        let program = std::env::current_exe().unwrap_or_else(|_| "gainsay".into());
        Program { program, args, env: Vec::new() }
    }

    fn pool(&self) -> Result<&Arc<Pool>, String> {
        self.pool.get().ok_or_else(|| "the cluster is not connected yet".to_string())
    }
}

struct RefDbClient {
    session: Session,
    merges: bool,
    /// Whether texts written to keys under `sql/` are statements.
    tables: bool,
}

impl Client for RefDbClient {
    fn call<'a>(&'a mut self, draft: &'a Draft) -> Answer<'a, Completion> {
        Box::pin(async move {
            let ops = draft.steps.iter().map(|step| self.operation(&step.key, &step.action)).collect();
            match self.session.execute(ops).await {
                Ok(reply) => success(draft, reply, self.merges),
                Err(failed) => failure(draft, &failed),
            }
        })
    }

    fn belongs_to(&mut self, user: usize) {
        self.session.belongs_to(&user.to_string());
    }

    fn renew(&mut self, session: u64) {
        self.session.renew(&session.to_string());
    }
}

impl RefDbClient {
    fn operation(&self, key: &Atom, action: &Action) -> Operation {
        match (key, action) {
            (Atom::Text(key), Action::Write(Atom::Text(text))) if self.tables && key.starts_with("sql/") => {
                Operation::Sql { text: text.to_string() }
            }
            _ => operation(key, action),
        }
    }
}

fn text(atom: &Atom) -> String {
    atom.to_string()
}

fn value(atom: &Atom) -> Value {
    match atom {
        Atom::Int(value) => Value::Int(*value),
        Atom::Text(value) => Value::Text(value.to_string()),
    }
}

fn atom(value: Value) -> Atom {
    match value {
        Value::Int(value) => Atom::Int(value),
        Value::Text(value) => Atom::Text(value.into()),
    }
}

fn operation(key: &Atom, action: &Action) -> Operation {
    let key = text(key);
    match action {
        Action::Read(_) => Operation::Read { key },
        Action::Write(new) => Operation::Write { key, value: value(new) },
        Action::Cas { old, new } => Operation::Cas { key, old: old.as_ref().map(value), value: value(new) },
        Action::Append(new) => Operation::Append { key, value: value(new) },
        Action::Add(new) => Operation::Add { key, value: value(new) },
        Action::Remove(old) => Operation::Remove { key, value: value(old) },
        Action::Delete => Operation::Delete { key },
    }
}

fn reading(outcome: Outcome) -> Reading {
    let atoms = |values: Vec<Value>| values.into_iter().map(atom).collect();
    match outcome {
        Outcome::Done | Outcome::Nil => Reading::Nil,
        Outcome::Value(value) => Reading::One(atom(value)),
        Outcome::List(values) | Outcome::Set(values) => Reading::Many(atoms(values)),
        Outcome::Siblings(values) => Reading::Siblings(atoms(values)),
    }
}

fn version(version: refdb::client::Version) -> Version {
    use refdb::client::Version as Theirs;
    match version {
        Theirs::Position { term, index } | Theirs::Dated { term, index, .. } => Version::Position(term, index),
        Theirs::Vector { seen, dots } => Version::Vector {
            seen: seen.into_iter().map(|(actor, counter)| (actor.into(), counter)).collect(),
            dots: dots.into_iter().map(|(actor, counter)| (actor.into(), counter)).collect(),
        },
        Theirs::Stamp { timestamp, writer } => Version::Stamp { timestamp, writer: writer.into() },
    }
}

/// What a cluster that merges plain values by concatenation shows: "14/27" is a text that nobody wrote, and stands for both.
fn taken_apart(reading: Reading) -> Reading {
    match reading {
        Reading::One(Atom::Text(text)) if text.contains('/') => {
            let part = |part: &str| part.parse().map_or_else(|_| Atom::Text(part.into()), Atom::Int);
            Reading::Siblings(text.split('/').map(part).collect())
        }
        other => other,
    }
}

fn success(draft: &Draft, reply: Reply, merges: bool) -> Completion {
    let mut steps: Steps = draft.steps.clone();
    for (step, outcome) in steps.iter_mut().zip(reply.results) {
        if let Action::Read(seen) = &mut step.action {
            let reading = reading(outcome);
            *seen = Some(if merges { taken_apart(reading) } else { reading });
        }
    }
    Completion {
        kind: Kind::Ok,
        steps,
        node: Some(reply.node.into()),
        version: reply.version.map(version),
        error: None,
        session_over: false,
    }
}

/// Whether an error certainly means that nothing happened. The database's own word `definite` is believed, since its protocol decides it
/// before anything is written; so is a connection that never came to be. A read that failed changed nothing. All else: nobody knows.
fn failure(draft: &Draft, failed: &Failed) -> Completion {
    let Refusal { code, definite, message, .. } = &failed.refusal;
    let only_reads = !draft.steps.iter().any(|step| step.action.writes());
    let kind = if *definite || only_reads { Kind::Fail } else { Kind::Info };
    let name = serde_json::to_value(code).ok().and_then(|name| name.as_str().map(str::to_string)).unwrap_or_default();
    Completion {
        kind,
        steps: draft.steps.clone(),
        node: (!failed.node.is_empty()).then(|| failed.node.as_str().into()),
        version: None,
        error: Some(format!("{name}: {message}").into()),
        session_over: *code == Code::TokenDiscarded,
    }
}

impl Database for RefDb {
    fn capabilities(&self) -> Capabilities {
        let everything = Capabilities { cas: true, lists: true, sets: true, deletes: true, atomic_reads: true };
        match &self.config.policy {
            Policy::SingleLeader(_) | Policy::Raft(_) | Policy::Chain(_) => everything,
            // A read of several shards is several reads. Where something is promised of several keys it is not asked for as one: it would be
            // judged as one.
            Policy::Partitioned(mode) => {
                let tracked = mode.causal_tokens || mode.each.reads == ReadPolicy::Leader;
                Capabilities { atomic_reads: mode.shards == 1 || !tracked, ..everything }
            }
            Policy::Leaderless(_) => {
                Capabilities { cas: false, lists: false, sets: false, atomic_reads: false, ..everything }
            }
            Policy::MultiLeader(mode) => match mode.conflicts {
                Conflicts::Siblings => Capabilities { cas: false, lists: false, sets: false, ..everything },
                Conflicts::Merge => Capabilities { cas: false, lists: false, ..everything },
                _ => everything,
            },
        }
    }

    fn label(&self) -> String {
        self.config.label()
    }

    fn promises(&self) -> Vec<String> {
        self.config.promises().into_iter().map(str::to_string).collect()
    }

    fn order_is_real_time(&self) -> bool {
        self.config.order_is_real_time()
    }

    fn has_leader(&self) -> bool {
        matches!(self.config.policy, Policy::SingleLeader(_) | Policy::Raft(_) | Policy::Chain(_))
    }

    fn can_switch_over(&self) -> bool {
        matches!(&self.config.policy, Policy::SingleLeader(mode) if mode.failover != Failover::Off)
    }

    fn switch_over<'a>(&'a self, node: &'a str) -> Answer<'a, Result<(), String>> {
        Box::pin(async move { self.pool()?.promote(node).await.map(drop).map_err(|refusal| refusal.message) })
    }

    fn ports(&self) -> Vec<u16> {
        vec![CLIENT_PORT, PEER_PORT]
    }

    fn identify(&self, run: &str) {
        // Each run builds its own adapter, so the identity is set once.
        let _ = self.run.set(run.to_string());
    }

    fn program(&self, place: &NodePlace) -> Option<Program> {
        Some(self.started(place, &self.config))
    }

    fn can_upgrade(&self) -> bool {
        matches!(&self.config.policy, Policy::SingleLeader(mode) if mode.format_version < NEWEST_FORMAT)
    }

    fn upgraded(&self, place: &NodePlace) -> Option<Program> {
        let mut config = self.config.clone();
        match &mut config.policy {
            Policy::SingleLeader(mode) if mode.format_version < NEWEST_FORMAT => mode.format_version = NEWEST_FORMAT,
            _ => return None,
        }
        Some(self.started(place, &config))
    }

    fn connect(&self, nodes: &[(String, IpAddr)]) -> anyhow::Result<()> {
        let nodes = nodes.iter().map(|(name, ip)| (name.clone(), SocketAddr::new(*ip, CLIENT_PORT))).collect();
        let pool = Pool::new(nodes, REQUEST_TIMEOUT)?;
        self.pool.set(Arc::new(pool)).map_err(|_| anyhow::anyhow!("the cluster is connected once"))
    }

    fn healthy<'a>(&'a self, node: &'a str) -> Answer<'a, Result<(), String>> {
        Box::pin(async move {
            let health = self.pool()?.health(node).await.map_err(|refusal| refusal.message)?;
            match self.run.get() {
                Some(run) if *run != health.run => Err(format!("another run's node answers at {node}'s address")),
                _ if !health.ready => Err(format!("{node} knows no leader yet")),
                _ => Ok(()),
            }
        })
    }

    fn client(&self, _: usize, session: u64, seed: u64) -> anyhow::Result<Box<dyn Client>> {
        let pool = self.pool().map_err(anyhow::Error::msg)?.clone();
        let session = Session::new(pool, &self.config, &session.to_string(), seed);
        let tables = matches!(self.config.policy, Policy::SingleLeader(_));
        Ok(Box::new(RefDbClient { session, merges: self.merges(), tables }))
    }

    fn status<'a>(&'a self, node: &'a str) -> Answer<'a, Option<NodeStatus>> {
        Box::pin(async move {
            let status = self.pool().ok()?.status(node).await.ok()?;
            // The head of a chain is where writes go: what strikes leaders strikes it.
            let head = status.status.role == "head";
            Some(NodeStatus {
                role: if head { "leader".to_string() } else { status.status.role },
                term: status.status.term,
                position: status.status.position,
                clock_ns: Some(status.clock_ns),
                leader: status.status.leader,
            })
        })
    }

    fn final_reads<'a>(&'a self, node: &'a str, keys: &'a [Atom]) -> Answer<'a, Result<Vec<Held>, String>> {
        Box::pin(async move {
            let pool = self.pool()?;
            let names: Vec<String> = pool.nodes().map(str::to_string).collect();
            let dump = pool.dump(node).await.map_err(|refusal| refusal.message)?;
            let mut rows: std::collections::HashMap<String, refdb::client::Held> =
                dump.rows.into_iter().map(|row| (row.key.clone(), row)).collect();
            let mut held = Vec::with_capacity(keys.len());
            for key in keys {
                let name = text(key);
                if !refdb::client::holds(&self.config, &names, &name, node) {
                    continue;
                }
                held.push(match rows.remove(&name) {
                    Some(row) => {
                        let reading = reading(row.outcome);
                        let reading = if self.merges() { taken_apart(reading) } else { reading };
                        (key.clone(), reading, row.version.map(version))
                    }
                    None => (key.clone(), Reading::Nil, None),
                });
            }
            Ok(held)
        })
    }

    fn settled<'a>(&'a self, nodes: &'a [String]) -> Answer<'a, Result<(), String>> {
        Box::pin(async move {
            let pool = self.pool()?;
            match self.config.policy {
                Policy::SingleLeader(_) | Policy::Raft(_) => same_position(pool, nodes).await,
                Policy::Chain(_) => whole_chain(pool, nodes).await,
                Policy::Leaderless(_) => same_rows(pool, nodes).await,
                Policy::MultiLeader(_) => same_changes(pool, nodes).await,
                Policy::Partitioned(_) => same_shards(pool, nodes).await,
            }
        })
    }

    fn curl(&self, address: &str) -> Option<String> {
        Some(format!("curl -s http://{address}/v1/status"))
    }
}

/// One leader, and everybody where it is.
async fn same_position(pool: &Pool, nodes: &[String]) -> Result<(), String> {
    let mut positions = Vec::new();
    let mut leaders = 0;
    for node in nodes {
        let status = pool.status(node).await.map_err(|refusal| refusal.message)?.status;
        leaders += usize::from(status.role == "leader");
        positions.push((status.position_term, status.position, status.term));
    }
    if leaders != 1 {
        return Err(format!("{leaders} nodes say that they lead"));
    }
    match positions.iter().any(|position| *position != positions[0]) {
        true => Err(format!("positions differ: {positions:?}")),
        false => Ok(()),
    }
}

/// Everybody is in the chain again, and where its head is.
async fn whole_chain(pool: &Pool, nodes: &[String]) -> Result<(), String> {
    let mut positions = Vec::new();
    for node in nodes {
        let status = pool.status(node).await.map_err(|refusal| refusal.message)?.status;
        if matches!(status.role.as_str(), "outside" | "joining") {
            return Err(format!("{node} is not back in the chain"));
        }
        positions.push((status.term, status.position_term, status.position));
    }
    match positions.iter().any(|position| *position != positions[0]) {
        true => Err(format!("positions differ: {positions:?}")),
        false => Ok(()),
    }
}

/// Every shard is where its leader is on all nodes that hold it.
async fn same_shards(pool: &Pool, nodes: &[String]) -> Result<(), String> {
    let mut known: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for node in nodes {
        let status = pool.status(node).await.map_err(|refusal| refusal.message)?.status;
        if !status.ready {
            return Err(format!("{node} knows no leader of some shard"));
        }
        for (shard, position) in status.applied {
            let first = *known.entry(shard.clone()).or_insert(position);
            if first != position {
                return Err(format!("{shard} is at {first} and, on {node}, at {position}"));
            }
        }
    }
    Ok(())
}

/// Everybody has applied the same changes. Whether that made the rows alike is for the checker.
async fn same_changes(pool: &Pool, nodes: &[String]) -> Result<(), String> {
    let mut statuses = Vec::new();
    for node in nodes {
        statuses.push(pool.status(node).await.map_err(|refusal| refusal.message)?.status);
    }
    match statuses.iter().any(|status| status.applied != statuses[0].applied) {
        true => {
            let counts: Vec<u64> = statuses.iter().map(|status| status.position).collect();
            Err(format!("not every change is everywhere yet: {counts:?}"))
        }
        false => Ok(()),
    }
}

/// Every key alike on all replicas that hold it, and nothing on its way to them. A replica may have collected a tombstone that others still hold.
async fn same_rows(pool: &Pool, nodes: &[String]) -> Result<(), String> {
    let mut known: std::collections::HashMap<String, (Outcome, String)> = std::collections::HashMap::new();
    let mut dumps = Vec::new();
    for node in nodes {
        dumps.push(pool.dump(node).await.map_err(|refusal| refusal.message)?);
    }
    let mut counts: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for dump in dumps {
        if dump.kept_for_others > 0 {
            return Err(format!("{} keeps {} rows for others", dump.node, dump.kept_for_others));
        }
        for row in dump.rows.into_iter().filter(|row| row.outcome != Outcome::Nil) {
            *counts.entry(row.key.clone()).or_default() += 1;
            let (first, node) =
                known.entry(row.key.clone()).or_insert_with(|| (row.outcome.clone(), dump.node.clone()));
            if *first != row.outcome {
                return Err(format!("{} differs between {node} and {}", row.key, dump.node));
            }
        }
    }
    let most = counts.values().max().copied().unwrap_or(0);
    match counts.iter().find(|(_, count)| **count < most) {
        Some((key, count)) => Err(format!("{key} is on {count} replicas of {most}")),
        None => Ok(()),
    }
}
