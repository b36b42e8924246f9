//! Any database, through a program that speaks JSON lines.
//!
//! `--start CMD` starts a node, `--client CMD` a client; how `CMD` is split into words is said in `command`. A node starts in its
//! directory, a client where the harness stands. In the start command these are replaced: `{name}`, `{ip}`
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
//! `role`, `term`, `position`, where it knows; replicas count as settled once all are at the same position) and a `read` with `"final":true`, which must show what that very node holds.
//! A client that does not answer in time, ends, or answers what cannot be understood is killed and started again, since its next
//! answer could not be told apart; the operation's outcome is unknown then, never a failure.

mod command;

use std::collections::HashMap;
use std::net::IpAddr;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use gainsay_checker::{Action, Atom, Event, Function, Kind, OpEvent, Process, Reading, Step, json};
use gainsay_workloads::{Capabilities, Draft};
use serde_json::{Value, json};
use smallvec::smallvec;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use command::{Words, words};

use crate::cli::options::usage;
use crate::database::{Answer, Client, Completion, Database, Held, NodePlace, NodeStatus, Program, REQUEST_TIMEOUT};

/// How long a program may take for one of the final reads, or to answer for the first time (an interpreter has to start).
const PATIENCE: Duration = Duration::from_secs(10);

/// A database that the harness did not write.
pub struct Exec {
    start: Option<String>,
    client: Words,
    ports: Vec<u16>,
    can: Capabilities,
    nodes: OnceLock<Vec<(String, IpAddr)>>,
    /// One client for each node, for questions about that node.
    askers: OnceLock<HashMap<String, Mutex<Connection>>>,
}

impl Exec {
    /// A database whose nodes are started by `start` (`None`: they run already) and reached through `client`.
    ///
    /// # Errors
    /// Where a command cannot be split into words.
    pub fn new(start: Option<String>, client: &str, ports: Vec<u16>, can: Capabilities) -> anyhow::Result<Self> {
        let client = words(client, str::to_string).map_err(|why| usage(format!("--client: {why}")))?;
        if let Some(start) = &start {
            words(start, str::to_string).map_err(|why| usage(format!("--start: {why}")))?;
        }
        Ok(Exec { start, client, ports, can, nodes: OnceLock::new(), askers: OnceLock::new() })
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
        let asker = self.askers.get().and_then(|askers| askers.get(node));
        let mut connection = asker.ok_or_else(|| format!("{node} is not known"))?.lock().await;
        connection.exchange(&json!({"type": "invoke", "f": f, "value": null, "node": node}).to_string(), PATIENCE).await
    }
}

/// A client program, started when it is first needed.
struct Connection {
    command: Words,
    nodes: String,
    port: u16,
    node: Option<String>,
    running: Option<Running>,
}

/// One running client program; dropping it kills it.
struct Running {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    async fn exchange(&mut self, line: &str) -> Result<Value, String> {
        let gone = |error: std::io::Error| format!("the client is gone: {error}");
        self.input.write_all(format!("{line}\n").as_bytes()).await.map_err(gone)?;
        match self.output.next_line().await.map_err(gone)? {
            Some(answer) => serde_json::from_str(&answer).map_err(|error| format!("{answer:?} is no JSON: {error}")),
            None => Err("the client ended without an answer".to_string()),
        }
    }
}

impl Connection {
    fn start(&self) -> Result<Running, String> {
        let program = self.command.program.display();
        let mut command = Command::new(&self.command.program);
        command
            .args(&self.command.args)
            .env("GAINSAY_NODES", &self.nodes)
            .env("GAINSAY_PORT", self.port.to_string())
            .env("GAINSAY_NODE", self.node.as_deref().unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("starting {program}: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{program} has no standard input and output"));
        };
        Ok(Running { _child: child, input, output: BufReader::new(output).lines() })
    }

    /// Sends one line and waits for the next. Any failure ends the program, and so does a caller who gives up waiting, since the
    /// answer would be taken for that of the next question; the next call starts it again.
    async fn exchange(&mut self, line: &str, limit: Duration) -> Result<Value, String> {
        let (mut running, limit) = match self.running.take() {
            Some(running) => (running, limit),
            None => (self.start()?, limit + PATIENCE),
        };
        let outcome = tokio::time::timeout(limit, running.exchange(line)).await;
        let answer = outcome.unwrap_or_else(|_| Err("timeout: no answer".to_string()))?;
        self.running = Some(running);
        Ok(answer)
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
            Ok(answer) => understood(answer, &event).unwrap_or_else(|why| {
                self.connection.running = None;
                unknown(&event, &why)
            }),
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
        Event::Op(answer) if answer.kind != Kind::Invoke && answers(event, &answer) => Ok(Completion {
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

/// Whether `answered` is about what was asked: the same steps, but for what reads return.
fn answers(asked: &OpEvent, answered: &OpEvent) -> bool {
    let same = |(asked, answered): (&Step, &Step)| {
        let read = matches!((&asked.action, &answered.action), (Action::Read(_), Action::Read(_)));
        asked.key == answered.key && (read || asked.action == answered.action)
    };
    asked.steps.len() == answered.steps.len() && asked.steps.iter().zip(&answered.steps).all(same)
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
        // The command was split once when the database was made, so it can be split again.
        let words = words(self.start.as_ref()?, |word| filled(word, place)).ok()?;
        let nodes: Vec<String> = place.peers.iter().map(|(name, ip)| format!("{name}={ip}")).collect();
        let env = [
            ("GAINSAY_NAME", place.name.clone()),
            ("GAINSAY_IP", place.bind.to_string()),
            ("GAINSAY_DIR", place.data.display().to_string()),
            ("GAINSAY_NODES", nodes.join(",")),
        ];
        Some(Program {
            program: words.program,
            args: words.args,
            env: env.map(|(name, value)| (name.to_string(), value)).to_vec(),
        })
    }

    fn connect(&self, nodes: &[(String, IpAddr)]) -> anyhow::Result<()> {
        self.nodes.set(nodes.to_vec()).map_err(|_| anyhow::anyhow!("the database is connected once"))?;
        let asker = |(name, _): &(String, IpAddr)| (name.clone(), Mutex::new(self.connection(Some(name))));
        self.askers
            .set(nodes.iter().map(asker).collect())
            .map_err(|_| anyhow::anyhow!("the database is connected once"))
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
            let mut positions = Vec::new();
            for node in nodes {
                self.healthy(node).await?;
                positions.push(self.status(node).await.map(|status| status.position));
            }
            match positions.iter().all(|position| *position == positions[0]) {
                true => Ok(()),
                false => Err(format!("the nodes are at positions {positions:?}")),
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(script: &str) -> ExecClient {
        let command = Words { program: "/bin/sh".into(), args: vec!["-c".to_string(), script.to_string()] };
        let connection = Connection { command, nodes: String::new(), port: 1, node: None, running: None };
        ExecClient { connection, process: 3, session: 3 }
    }

    async fn write(client: &mut ExecClient) -> Completion {
        let steps = smallvec![Step { key: Atom::Int(5), action: Action::Write(Atom::Int(17)) }];
        client.operation(Function::Write, &steps, None).await
    }

    #[tokio::test]
    async fn an_answer_says_how_an_operation_ended() {
        for (line, kind) in [
            (r#"{"type":"ok","value":[5,17],"node":"n2"}"#, Kind::Ok),
            (r#"{"type":"ok"}"#, Kind::Ok),
            (r#"{"type":"fail","error":"not the leader"}"#, Kind::Fail),
            (r#"{"type":"info"}"#, Kind::Info),
        ] {
            let mut client = client(&format!("while read -r asked; do echo '{line}'; done"));
            assert_eq!(write(&mut client).await.kind, kind, "{line}");
            assert_eq!(write(&mut client).await.kind, kind, "{line}, a second time");
        }
    }

    #[tokio::test]
    async fn a_client_that_dies_or_answers_garbage_leaves_the_outcome_unknown() {
        for script in [
            "exit 1",
            "read -r asked",
            "read -r asked; echo garbage",
            "read -r asked; echo '[1]'",
            r#"read -r asked; printf '{"type":'"#,
            r#"read -r asked; echo '{"type":"perhaps"}'"#,
            r#"read -r asked; echo '{"type":"invoke","value":[5,17]}'"#,
            r#"read -r asked; echo '{"type":"ok","value":[6,17]}'"#,
            r#"read -r asked; echo '{"type":"ok","value":[5,18]}'"#,
            r#"read -r asked; echo '{"type":"ok","value":"nonsense"}'"#,
            r#"read -r asked; printf '\377\376\n'"#,
        ] {
            let mut client = client(script);
            let completion = write(&mut client).await;
            assert_eq!(completion.kind, Kind::Info, "{script}");
            assert!(completion.error.is_some() && client.connection.running.is_none(), "{script}");
        }
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_started_leaves_the_outcome_unknown() {
        let mut client = client("");
        client.connection.command.program = "/no/such/program".into();
        let completion = write(&mut client).await;
        assert_eq!(completion.kind, Kind::Info);
        assert!(completion.error.is_some_and(|why| why.contains("/no/such/program")));
    }

    #[tokio::test]
    async fn a_client_is_started_again_after_it_died() {
        let mut client = client(r#"read -r asked; echo '{"type":"ok"}'; exit 0"#);
        assert_eq!(write(&mut client).await.kind, Kind::Ok);
        assert_eq!(write(&mut client).await.kind, Kind::Info);
        assert_eq!(write(&mut client).await.kind, Kind::Ok);
    }
}
