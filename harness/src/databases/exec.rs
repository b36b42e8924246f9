//! Any database, through a program that speaks JSON lines.
//!
//! `--start CMD` starts a node, `--client CMD` a client; both are given to `sh`. In `CMD` these are replaced: `{name}`, `{ip}`
//! (where the node is to listen), `{dir}` (a directory of its own), `{nodes}` (`n1=ADDRESS,…`) and `{peers:PORT}`
//! (`n2=ADDRESS:PORT,…`, the node itself left out). The same is in the environment: `GAINSAY_NAME`, `GAINSAY_IP`, `GAINSAY_DIR`,
//! `GAINSAY_NODES`; a client gets `GAINSAY_NODES`, `GAINSAY_PORT` and `GAINSAY_NODE`, the node it should prefer.
//!
//! A client reads one operation a line, in the shape of the history's lines, and answers each with one line:
//!
//! ```text
//! ◀ {"index":0,"time":0,"type":"invoke","process":3,"f":"write","value":[5,17],"session":3}
//! ▶ {"type":"ok","value":[5,17],"node":"n2"}      or "fail" (certainly did not happen), or "info" (cannot know)
//! ```
//!
//! Three more it may be asked, each with `"node"`: `{"f":"health"}` (answer ok once the node serves), `{"f":"status"}` (ok with
//! `role`, `term`, `position`, where it knows) and a `read` with `"final":true`, which must show what that very node holds.
//! A client that does not answer in time is killed and started again, since its next answer could not be told apart.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use gainsay_checker::{Action, Atom, Event, Function, Kind, OpEvent, Process, Reading, Step, json};
use gainsay_workloads::{Capabilities, Draft};
use serde_json::{Value, json};
use smallvec::smallvec;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::database::{Answer, Client, Completion, Database, Held, NodePlace, NodeStatus, Program, REQUEST_TIMEOUT};

/// How long a program may take for one of the final reads, or to answer for the first time (an interpreter has to start).
const PATIENCE: Duration = Duration::from_secs(10);

/// A database that the harness did not write.
pub struct Exec {
    start: Option<String>,
    client: String,
    ports: Vec<u16>,
    can: Capabilities,
    nodes: OnceLock<Vec<(String, IpAddr)>>,
}

impl Exec {
    /// A database whose nodes are started by `start` (`None`: they run already) and reached through `client`.
    pub fn new(start: Option<String>, client: String, ports: Vec<u16>, can: Capabilities) -> Self {
        Exec { start, client, ports, can, nodes: OnceLock::new() }
    }

    fn nodes(&self) -> &[(String, IpAddr)] {
        self.nodes.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn connection(&self, node: Option<&str>) -> Connection {
        let nodes: Vec<String> = self.nodes().iter().map(|(name, ip)| format!("{name}={ip}")).collect();
        Connection {
            command: self.client.clone(),
            nodes: nodes.join(","),
            port: self.ports.first().copied().unwrap_or_default(),
            node: node.map(str::to_string),
            running: None,
        }
    }

    async fn ask(&self, node: &str, f: &str) -> Result<Value, String> {
        let mut connection = self.connection(Some(node));
        connection.exchange(&json!({"type": "invoke", "f": f, "value": null, "node": node}).to_string(), PATIENCE).await
    }
}

/// One running client program.
struct Connection {
    command: String,
    nodes: String,
    port: u16,
    node: Option<String>,
    running: Option<(Child, ChildStdin, Lines<BufReader<ChildStdout>>)>,
}

impl Connection {
    fn start(&mut self) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {}", self.command)).env("GAINSAY_NODES", &self.nodes);
        command
            .env("GAINSAY_PORT", self.port.to_string())
            .env("GAINSAY_NODE", self.node.as_deref().unwrap_or_default());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("starting {:?}: {error}", self.command))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{:?} has no standard input and output", self.command));
        };
        self.running = Some((child, input, BufReader::new(output).lines()));
        Ok(())
    }

    /// Sends one line and waits for the next. Any failure ends the program; the next call starts it again.
    async fn exchange(&mut self, line: &str, limit: Duration) -> Result<Value, String> {
        let limit = if self.running.is_none() { limit + PATIENCE } else { limit };
        if self.running.is_none() {
            self.start()?;
        }
        let Some((_, input, output)) = &mut self.running else { return Err("the client is not running".to_string()) };
        let exchange = async {
            input
                .write_all(format!("{line}\n").as_bytes())
                .await
                .map_err(|error| format!("the client is gone: {error}"))?;
            match output.next_line().await {
                Ok(Some(answer)) => {
                    serde_json::from_str(&answer).map_err(|error| format!("{answer:?} is no JSON: {error}"))
                }
                Ok(None) => Err("the client ended without an answer".to_string()),
                Err(error) => Err(format!("the client is gone: {error}")),
            }
        };
        let outcome =
            tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err("timeout: no answer".to_string()));
        if outcome.is_err() {
            self.running = None;
        }
        outcome
    }
}

struct ExecClient {
    connection: Connection,
    process: u64,
    session: u64,
}

impl ExecClient {
    async fn operation(
        &mut self,
        function: Function,
        steps: &gainsay_checker::Steps,
        last: Option<&str>,
    ) -> Completion {
        let event = OpEvent {
            index: 0,
            time: 0,
            intended: None,
            kind: Kind::Invoke,
            process: Process(self.process),
            function,
            steps: steps.clone(),
            session: Some(Atom::Int(self.session as i64)),
            user: None,
            node: last.map(Into::into),
            version: None,
            error: None,
            last: last.is_some(),
        };
        let mut line = Vec::new();
        json::write_event(&mut line, &Event::Op(event.clone()));
        let text = String::from_utf8_lossy(&line);
        let limit = if last.is_some() { PATIENCE } else { REQUEST_TIMEOUT };
        match self.connection.exchange(text.trim_end(), limit).await {
            Ok(answer) => understood(answer, &event).unwrap_or_else(|why| unknown(&event, &why)),
            Err(why) => unknown(&event, &why),
        }
    }
}

/// What the program's line means. Whatever cannot be understood is an unknown outcome, never a failure.
fn understood(mut answer: Value, event: &OpEvent) -> Result<Completion, String> {
    let map = answer.as_object_mut().ok_or("protocol: the answer is not a map")?;
    let over = map.get("session-over").and_then(Value::as_bool).unwrap_or(false);
    map.insert("index".to_string(), json!(0));
    map.insert("process".to_string(), json!(event.process.0));
    map.insert("f".to_string(), json!(event.function.name()));
    if map.get("value").is_none_or(Value::is_null) || map.get("type") != Some(&json!("ok")) {
        let mut line = Vec::new();
        json::write_event(&mut line, &Event::Op(event.clone()));
        let sent: Value = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
        map.insert("value".to_string(), sent["value"].clone());
    }
    let text = answer.to_string();
    match json::parse_event(text.as_bytes()).map_err(|why| format!("protocol: {why}"))? {
        Event::Op(answer) if answer.kind != Kind::Invoke && same_keys(event, &answer) => Ok(Completion {
            kind: answer.kind,
            steps: answer.steps,
            node: answer.node,
            version: answer.version,
            error: answer.error,
            session_over: over,
        }),
        _ => Err("protocol: the answer is for another operation".to_string()),
    }
}

fn same_keys(asked: &OpEvent, answered: &OpEvent) -> bool {
    let keys = |event: &OpEvent| event.steps.iter().map(|step| step.key.clone()).collect::<Vec<_>>();
    keys(asked) == keys(answered)
}

fn unknown(event: &OpEvent, why: &str) -> Completion {
    Completion {
        kind: Kind::Info,
        steps: event.steps.clone(),
        node: None,
        version: None,
        error: Some(why.into()),
        session_over: false,
    }
}

impl Client for ExecClient {
    fn call<'a>(&'a mut self, draft: &'a Draft) -> Answer<'a, Completion> {
        Box::pin(self.operation(draft.function, &draft.steps, None))
    }

    fn renew(&mut self, session: u64) {
        self.session = session;
    }
}

impl Database for Exec {
    fn capabilities(&self) -> Capabilities {
        self.can
    }

    fn label(&self) -> String {
        "exec".to_string()
    }

    fn promises(&self) -> Vec<String> {
        ["read-your-writes", "monotonic-reads", "consistent-prefix", "lost-writes", "convergence"]
            .map(str::to_string)
            .to_vec()
    }

    fn has_leader(&self) -> bool {
        false
    }

    fn ports(&self) -> Vec<u16> {
        self.ports.clone()
    }

    fn program(&self, place: &NodePlace) -> Option<Program> {
        let start = self.start.as_ref()?;
        let nodes: Vec<String> = place.peers.iter().map(|(name, ip)| format!("{name}={ip}")).collect();
        let env = [
            ("GAINSAY_NAME", place.name.clone()),
            ("GAINSAY_IP", place.bind.to_string()),
            ("GAINSAY_DIR", place.data.display().to_string()),
            ("GAINSAY_NODES", nodes.join(",")),
        ];
        Some(Program {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_string(), format!("exec {}", filled(start, place))],
            env: env.map(|(name, value)| (name.to_string(), value)).to_vec(),
        })
    }

    fn connect(&self, nodes: &[(String, IpAddr)]) -> anyhow::Result<()> {
        self.nodes.set(nodes.to_vec()).map_err(|_| anyhow::anyhow!("the database is connected once"))
    }

    fn healthy<'a>(&'a self, node: &'a str) -> Answer<'a, Result<(), String>> {
        Box::pin(async move {
            let answer = self.ask(node, "health").await?;
            match answer.get("type").and_then(Value::as_str) {
                Some("ok") => Ok(()),
                _ => Err(format!("the client says of {node}: {answer}")),
            }
        })
    }

    fn client(&self, client: usize, session: u64, _: u64) -> anyhow::Result<Box<dyn Client>> {
        let nodes = self.nodes();
        anyhow::ensure!(!nodes.is_empty(), "there are no nodes to talk to");
        let node = &nodes[client % nodes.len()].0;
        Ok(Box::new(ExecClient { connection: self.connection(Some(node)), process: client as u64, session }))
    }

    fn status<'a>(&'a self, node: &'a str) -> Answer<'a, Option<NodeStatus>> {
        Box::pin(async move {
            let answer = self.ask(node, "status").await.ok()?;
            (answer.get("type")? == "ok").then_some(())?;
            let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
            Some(NodeStatus {
                role: answer.get("role")?.as_str()?.to_string(),
                term: number("term"),
                position: number("position"),
                clock_ns: answer.get("clock").and_then(Value::as_i64),
                leader: answer.get("leader").and_then(Value::as_str).map(str::to_string),
            })
        })
    }

    fn final_reads<'a>(&'a self, node: &'a str, keys: &'a [Atom]) -> Answer<'a, Result<Vec<Held>, String>> {
        Box::pin(async move {
            let mut client = ExecClient { connection: self.connection(Some(node)), process: 0, session: 0 };
            let mut held = Vec::with_capacity(keys.len());
            for key in keys {
                let steps = smallvec![Step { key: key.clone(), action: Action::Read(None) }];
                let completion = client.operation(Function::Read, &steps, Some(node)).await;
                let seen = match (completion.kind, completion.steps.into_iter().next()) {
                    (Kind::Ok, Some(Step { action: Action::Read(Some(seen)), .. })) => seen,
                    (Kind::Ok, _) => Reading::Nil,
                    (kind, _) => {
                        return Err(format!(
                            "the final read of {key} at {node} ended as {kind:?}: {:?}",
                            completion.error
                        ));
                    }
                };
                held.push((key.clone(), seen, completion.version));
            }
            Ok(held)
        })
    }

    fn settled<'a>(&'a self, nodes: &'a [String]) -> Answer<'a, Result<(), String>> {
        Box::pin(async move {
            for node in nodes {
                self.healthy(node).await?;
            }
            Ok(())
        })
    }

    fn curl(&self, _: &str) -> Option<String> {
        None
    }
}

/// `command` with its placeholders replaced.
fn filled(command: &str, place: &NodePlace) -> String {
    let nodes: Vec<String> = place.peers.iter().map(|(name, ip)| format!("{name}={ip}")).collect();
    let mut text = command
        .replace("{name}", &place.name)
        .replace("{ip}", &place.bind.to_string())
        .replace("{dir}", &place.data.display().to_string())
        .replace("{nodes}", &nodes.join(","));
    while let Some(at) = text.find("{peers:") {
        let Some(length) = text[at..].find('}') else { break };
        let port = text[at + "{peers:".len()..at + length].to_string();
        let peers: Vec<String> = place
            .peers
            .iter()
            .filter(|(name, _)| *name != place.name)
            .map(|(name, ip)| format!("{name}={ip}:{port}"))
            .collect();
        text.replace_range(at..=at + length, &peers.join(","));
    }
    text
}
