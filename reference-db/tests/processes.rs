//! Real nodes: processes, sockets and files on this machine.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use refdb::client::{NodeStatus, Operation, Outcome, Pool, Session};
use refdb::value::Value;

/// The longest that anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

struct Cluster {
    flags: String,
    dir: tempfile::TempDir,
    ports: Vec<(SocketAddr, SocketAddr)>,
    processes: Vec<Option<Child>>,
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Cluster {
    fn start(flags: &str, nodes: usize) -> Cluster {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ports = (0..nodes).map(|_| (free(), free())).collect();
        let processes = (0..nodes).map(|_| None).collect();
        let mut cluster = Cluster { flags: flags.to_string(), dir, ports, processes };
        (0..nodes).for_each(|node| cluster.spawn(node));
        cluster
    }

    fn command(&self, node: usize) -> Command {
        let peers = self.ports.iter().enumerate().map(|(number, ports)| format!("n{}={}", number + 1, ports.1));
        let mut command = Command::new(env!("CARGO_BIN_EXE_refdb"));
        let name = format!("n{}", node + 1);
        command.args(["--name", &name, "--run", "test", "--dir"]).arg(self.dir.path().join(&name));
        command.args(["--listen", &self.ports[node].0.to_string(), "--peer-listen", &self.ports[node].1.to_string()]);
        command.args(["--peers", &peers.collect::<Vec<_>>().join(",")]).args(self.flags.split_whitespace());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn spawn(&mut self, node: usize) {
        self.processes[node] = Some(self.command(node).spawn().expect("refdb starts"));
    }

    /// SIGKILL.
    fn kill(&mut self, node: usize) {
        if let Some(mut process) = self.processes[node].take() {
            process.kill().expect("it can be killed");
            process.wait().expect("it ends");
        }
    }

    /// SIGTERM, as an operator ends a node.
    fn end(&mut self, node: usize) {
        if let Some(mut process) = self.processes[node].take() {
            let pid = nix::unistd::Pid::from_raw(process.id() as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it can be ended");
            process.wait().expect("it ends");
        }
    }

    fn pool(&self) -> Arc<Pool> {
        let nodes = self.ports.iter().enumerate().map(|(number, ports)| (format!("n{}", number + 1), ports.0));
        Arc::new(Pool::new(nodes.collect(), Duration::from_secs(2)).expect("a pool"))
    }

    fn session(&self, name: &str) -> Session {
        let config = config(&self.flags, self.ports.len());
        Session::new(self.pool(), &config, name, 1)
    }
}

fn config(flags: &str, nodes: usize) -> refdb::config::ModeConfig {
    #[derive(clap::Parser)]
    struct Flags {
        #[arg(long)]
        keep_log: Option<u64>,
        #[command(flatten)]
        mode: refdb::config::ModeArgs,
    }
    let words = std::iter::once("test").chain(flags.split_whitespace());
    let flags = <Flags as clap::Parser>::try_parse_from(words).expect("sensible flags");
    flags.mode.config(nodes).expect("sensible flags")
}

/// Asks the nodes for their status until `done` finds what it wants.
async fn until<T>(pool: &Pool, what: &str, done: impl Fn(&[NodeStatus]) -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        let mut all = Vec::new();
        for node in pool.nodes().map(str::to_string).collect::<Vec<_>>() {
            all.extend(pool.status(&node).await);
        }
        if let Some(found) = done(&all) {
            return found;
        }
        assert!(since.elapsed() < LIMIT, "not within {LIMIT:?}: {what}; {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn leader(all: &[NodeStatus]) -> Option<usize> {
    let newest = all.iter().filter(|one| one.status.role == "leader").max_by_key(|one| one.status.term)?;
    newest.node.trim_start_matches('n').parse::<usize>().ok().map(|number| number - 1)
}

async fn append(session: &mut Session, value: i64) -> bool {
    let op = Operation::Append { key: "list".to_string(), value: Value::Int(value) };
    session.execute(vec![op]).await.is_ok()
}

async fn dumped(pool: &Pool, node: usize) -> Vec<Value> {
    let dump = pool.dump(&format!("n{}", node + 1)).await.expect("a dump");
    match dump.rows.into_iter().find(|row| row.key == "list").map(|row| row.outcome) {
        Some(Outcome::List(values)) => values,
        other => panic!("no list but {other:?}"),
    }
}

#[tokio::test]
async fn acknowledged_writes_outlive_a_killed_leader_and_it_rejoins() {
    let mut cluster = Cluster::start("--failover-timeout 300ms", 3);
    let pool = cluster.pool();
    let old = until(&pool, "a first leader", leader).await;
    let mut session = cluster.session("s");
    let mut acknowledged = Vec::new();
    for value in 0..50 {
        if append(&mut session, value).await {
            acknowledged.push(Value::Int(value));
        }
    }
    assert!(acknowledged.len() >= 40, "an idle cluster takes writes");
    cluster.kill(old);
    let new = until(&pool, "a second leader", |all| leader(all).filter(|new| *new != old)).await;
    let held = dumped(&pool, new).await;
    assert!(acknowledged.iter().all(|value| held.contains(value)), "lost: {acknowledged:?} of {held:?}");
    cluster.spawn(old);
    until(&pool, "the old leader catches up", |all| {
        let same = all.iter().all(|one| one.status.position == all[0].status.position && one.status.ready);
        (all.len() == 3 && same).then_some(())
    })
    .await;
    assert_eq!(dumped(&pool, old).await, dumped(&pool, new).await);
}

#[tokio::test]
async fn a_follower_without_a_disk_gets_a_snapshot_while_writes_go_on() {
    let mut cluster = Cluster::start("--keep-log 50", 3);
    let pool = cluster.pool();
    let leads = until(&pool, "a leader", leader).await;
    let mut session = cluster.session("s");
    let lost = (leads + 1) % 3;
    for value in 0..60 {
        append(&mut session, value).await;
    }
    cluster.kill(lost);
    for value in 60..200 {
        append(&mut session, value).await;
    }
    std::fs::remove_dir_all(cluster.dir.path().join(format!("n{}", lost + 1))).expect("its directory");
    cluster.spawn(lost);
    for value in 200..260 {
        append(&mut session, value).await;
    }
    until(&pool, "the new follower has everything", |all| {
        (all.len() == 3 && all.iter().all(|one| one.status.position == all[0].status.position)).then_some(())
    })
    .await;
    assert_eq!(dumped(&pool, lost).await, dumped(&pool, leads).await);
}

/// Whether all nodes stand at the same place.
fn level(all: &[NodeStatus]) -> Option<()> {
    let same = all.iter().all(|one| one.status.position == all[0].status.position && one.status.ready);
    (all.len() == 3 && same).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_upgraded_one_after_the_other_while_writes_go_on() {
    let mut cluster = Cluster::start("--failover-timeout 300ms --format-version 1", 3);
    let pool = cluster.pool();
    until(&pool, "a first leader", leader).await;
    let (done, mut session) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), cluster.session("s"));
    let counted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (ended, count, began) = (done.clone(), counted.clone(), Instant::now());
    let writer = tokio::spawn(async move {
        let (mut acknowledged, mut last, mut silence) = (Vec::new(), began, Duration::ZERO);
        for value in 0.. {
            if append(&mut session, value).await {
                acknowledged.push(Value::Int(value));
                count.store(acknowledged.len(), std::sync::atomic::Ordering::Relaxed);
                silence = silence.max(last.elapsed());
                last = Instant::now();
            }
            if ended.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        (acknowledged, silence)
    });
    cluster.flags = "--failover-timeout 300ms".to_string();
    for node in 0..3 {
        cluster.end(node);
        until(&pool, "one of the others leads", |all| leader(all).filter(|leads| *leads != node)).await;
        let before = until(&pool, "a position", |all| all.iter().map(|one| one.status.position).max()).await;
        cluster.spawn(node);
        let name = format!("n{}", node + 1);
        until(&pool, "the new version takes part", |all| {
            all.iter().find(|one| one.node == name && one.status.position > before && one.status.ready).map(|_| ())
        })
        .await;
        let written = || counted.load(std::sync::atomic::Ordering::Relaxed);
        let enough = written() + 20;
        until(&pool, "writes go on", |_| (written() >= enough).then_some(())).await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let (acknowledged, silence) = writer.await.expect("the writer ends");
    until(&pool, "all have everything", level).await;
    let held = dumped(&pool, 0).await;
    assert!(acknowledged.len() > 50, "writes went on: {}", acknowledged.len());
    assert!(acknowledged.iter().all(|value| held.contains(value)), "lost: {acknowledged:?} of {held:?}");
    assert_eq!((dumped(&pool, 1).await, dumped(&pool, 2).await), (held.clone(), held));
    assert!(silence < Duration::from_secs(6), "no write for {silence:?}");
    let origins = |node: usize| {
        let path = cluster.dir.path().join(format!("n{}/node.sqlite", node + 1));
        let lines = refdb::store::changes::read(&path, 0, usize::MAX >> 1, u64::MAX).expect("the changes");
        let commits = lines.expect("all are kept").into_iter().filter_map(|line| match line {
            refdb::store::changes::Line::Commit { origin, .. } => Some(origin),
            _ => None,
        });
        commits.collect::<Vec<_>>()
    };
    let last = origins(0);
    assert!(last.first().is_some_and(Option::is_none), "the first entry was written by the old version");
    assert!(last.last().is_some_and(Option::is_some), "the last by the new one");
}

#[tokio::test]
async fn consensus_copies_to_whoever_was_away_and_outlives_its_leader() {
    let mut cluster = Cluster::start("--mode raft --keep-log 20", 3);
    let pool = cluster.pool();
    let leads = until(&pool, "a leader", leader).await;
    let mut session = cluster.session("s");
    let away = (leads + 1) % 3;
    cluster.kill(away);
    let mut acknowledged = Vec::new();
    for value in 0..80 {
        if append(&mut session, value).await {
            acknowledged.push(Value::Int(value));
        }
    }
    assert!(acknowledged.len() >= 40, "a majority takes writes");
    cluster.spawn(away);
    let same = |all: &[NodeStatus]| all.iter().all(|one| one.status.position == all[0].status.position);
    until(&pool, "whoever was away has everything", |all| (all.len() == 3 && same(all)).then_some(())).await;
    let old = until(&pool, "a leader", leader).await;
    cluster.kill(old);
    let new = until(&pool, "a second leader", |all| leader(all).filter(|new| *new != old)).await;
    let since = Instant::now();
    while !append(&mut session, 80).await {
        assert!(since.elapsed() < LIMIT, "two of three take no writes");
    }
    let held = dumped(&pool, new).await;
    assert!(acknowledged.iter().all(|value| held.contains(value)), "lost: {acknowledged:?} of {held:?}");
    cluster.spawn(old);
    until(&pool, "the old leader catches up", |all| (all.len() == 3 && same(all)).then_some(())).await;
    assert_eq!(dumped(&pool, old).await, dumped(&pool, new).await);
}

#[tokio::test]
async fn a_client_that_coordinates_reads_its_quorum_writes_with_a_node_down() {
    let mut cluster = Cluster::start("--mode leaderless --coordinator client", 3);
    let pool = cluster.pool();
    until(&pool, "all three", |all| (all.len() == 3).then_some(())).await;
    cluster.kill(2);
    let write = |value| vec![Operation::Write { key: "k".to_string(), value: Value::Int(value) }];
    let read = || vec![Operation::Read { key: "k".to_string() }];
    let mut one = cluster.session("one");
    let mut other = cluster.session("other");
    for value in 1..=3 {
        one.execute(write(value)).await.expect("two of three confirm");
    }
    let seen = other.execute(read()).await.expect("two of three answer");
    assert_eq!(seen.results, [Outcome::Value(Value::Int(3))], "a session's writes replace each other");
    cluster.session("blind").execute(write(4)).await.expect("a quorum");
    let seen = other.execute(read()).await.expect("a quorum");
    let Some(Outcome::Siblings(values)) = seen.results.first() else { panic!("no siblings: {seen:?}") };
    assert!(values.contains(&Value::Int(3)) && values.contains(&Value::Int(4)), "unread values stay: {values:?}");
    other.execute(write(5)).await.expect("a quorum");
    assert_eq!(one.execute(read()).await.expect("a quorum").results, [Outcome::Value(Value::Int(5))]);
    cluster.kill(1);
    let failed = one.execute(write(6)).await.expect_err("one of three is no quorum");
    assert!(!failed.refusal.definite, "the write may be on a replica: {failed:?}");
    assert!(one.execute(read()).await.expect_err("no quorum").refusal.definite);
}

/// What a node shows of a key that it is a home of.
async fn shows(pool: &Pool, node: usize, key: &str) -> Option<Outcome> {
    let dump = pool.dump(&format!("n{}", node + 1)).await.ok()?;
    dump.rows.into_iter().find(|row| row.key == key).map(|row| row.outcome)
}

/// The homes of `k` are killed, stand-ins take a write, and hand it over when the homes are back; whoever coordinates.
async fn stand_ins_hand_over(coordinator: &str) {
    let flags = format!(
        "--mode leaderless --n 2 --w 2 --r 1 --sloppy on --anti-entropy off --read-repair off --coordinator {coordinator}"
    );
    let mut cluster = Cluster::start(&flags, 4);
    let pool = cluster.pool();
    until(&pool, "all four", |all| (all.len() == 4).then_some(())).await;
    let names: Vec<String> = pool.nodes().map(str::to_string).collect();
    let config = config(&flags, 4);
    let homes: Vec<usize> = (0..4).filter(|node| refdb::client::holds(&config, &names, "k", &names[*node])).collect();
    homes.iter().for_each(|home| cluster.kill(*home));
    let write = vec![Operation::Write { key: "k".to_string(), value: Value::Int(1) }];
    // A coordinating node may not suspect the homes yet; its stand-ins come a little later then.
    cluster.session("s").execute(write).await.expect("two stand-ins confirm");
    homes.iter().for_each(|home| cluster.spawn(*home));
    let since = Instant::now();
    for home in homes {
        while shows(&pool, home, "k").await != Some(Outcome::Value(Value::Int(1))) {
            assert!(since.elapsed() < LIMIT, "n{} never got its hint", home + 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let kept = async |node: &String| pool.dump(node).await.map_or(1, |dump| dump.kept_for_others);
    for node in &names {
        while kept(node).await > 0 {
            assert!(since.elapsed() < LIMIT, "{node} keeps its hint");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_node_s_stand_ins_hand_over_to_their_homes() {
    stand_ins_hand_over("node").await;
}

#[tokio::test]
async fn a_client_s_stand_ins_hand_over_to_their_homes() {
    stand_ins_hand_over("client").await;
}

#[tokio::test]
async fn sessions_write_in_their_datacentres_and_every_node_has_it_in_the_end() {
    let mut cluster = Cluster::start("--mode multi-leader --datacentres 2", 4);
    let pool = cluster.pool();
    until(&pool, "all four", |all| (all.len() == 4).then_some(())).await;
    let same = |all: &[NodeStatus]| {
        let first = &all.first()?.status.applied;
        (all.len() == 4 && !first.is_empty() && all.iter().all(|one| one.status.applied == *first)).then_some(())
    };
    let write = |value| vec![Operation::Write { key: "k".to_string(), value: Value::Int(value) }];
    let mut served = std::collections::BTreeSet::new();
    for value in 0..12 {
        let reply = cluster.session(&value.to_string()).execute(write(value)).await.expect("its leader lives");
        served.insert(reply.node);
    }
    assert_eq!(served.into_iter().collect::<Vec<_>>(), ["n1", "n2"], "only leaders write, each its own sessions");
    cluster.kill(1);
    let mut refused = 0;
    for value in 0..12 {
        let answer = cluster.session(&value.to_string()).execute(write(100 + value)).await;
        refused += usize::from(answer.is_err_and(|failed| failed.refusal.definite));
    }
    assert!((1..12).contains(&refused), "a datacentre without its leader writes nothing: {refused}");
    cluster.spawn(1);
    until(&pool, "the same everywhere", same).await;
    let first = pool.dump("n1").await.expect("a dump").rows;
    assert!(matches!(first[0].outcome, Outcome::Siblings(_)), "twelve sessions that read nothing: {first:?}");
    for node in ["n2", "n3", "n4"] {
        assert_eq!(pool.dump(node).await.expect("a dump").rows, first);
    }
}

#[tokio::test]
async fn a_record_is_written_at_its_home_from_wherever_it_is_asked_for() {
    let flags = "--mode multi-leader --datacentres 3 --conflicts avoid --home-timeout 300ms";
    let mut cluster = Cluster::start(flags, 3);
    let pool = cluster.pool();
    until(&pool, "all three", |all| (all.len() == 3).then_some(())).await;
    let mut homes = std::collections::BTreeSet::new();
    for session in 0..12 {
        let write = vec![Operation::Append { key: "k".to_string(), value: Value::Int(session) }];
        homes.insert(cluster.session(&session.to_string()).execute(write).await.expect("its home lives").node);
    }
    assert_eq!(homes.len(), 1, "one record, one home");
    let home = homes.first().expect("one").clone();
    cluster.kill(pool.nodes().position(|node| node == home).expect("a node"));
    let since = Instant::now();
    let mut session = cluster.session("after");
    let moved = loop {
        match session.execute(vec![Operation::Append { key: "k".to_string(), value: Value::Int(12) }]).await {
            Ok(reply) => break reply.node,
            Err(failed) => assert!(failed.refusal.definite && since.elapsed() < LIMIT, "{failed:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_ne!(moved, home);
}

fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("refdb runs")
}

#[test]
fn a_port_in_use_is_told_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = output(&mut node(dir.path(), taken.local_addr().expect("its address"), &[]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is another program using the port?"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn wrong_flags_end_with_two() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for flags in [&["--w", "2"][..], &["--nonsense"], &["--keep-log", "0"], &["--page-size", "5000"]] {
        let output = output(&mut node(dir.path(), free(), flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn node(dir: &Path, listen: SocketAddr, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refdb"));
    command.args(["--name", "n1", "--dir"]).arg(dir.join("n1"));
    command.args(["--listen", &listen.to_string(), "--peer-listen", &free().to_string()]).args(flags);
    command
}

#[tokio::test]
async fn a_node_of_another_run_is_not_listened_to() {
    let mut cluster = Cluster::start("--failover-timeout 200ms", 3);
    let pool = cluster.pool();
    until(&pool, "all three follow one leader", |all| {
        (all.len() == 3 && all.iter().all(|one| one.status.ready)).then_some(())
    })
    .await;
    cluster.kill(2);
    let before = until(&pool, "a leader", |all| all.iter().map(|one| one.status.term).max()).await;
    let words = cluster.command(2).get_args().map(|word| word.to_owned()).collect::<Vec<_>>();
    let words = words.into_iter().map(|word| if word == "test" { "another".into() } else { word });
    let mut command = Command::new(env!("CARGO_BIN_EXE_refdb"));
    std::fs::remove_dir_all(cluster.dir.path().join("n3")).expect("its directory");
    cluster.processes[2] =
        Some(command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    let since = Instant::now();
    let mut asked = 0;
    while since.elapsed() < Duration::from_secs(2) {
        if let Ok(status) = pool.status("n3").await {
            assert!(status.run == "another" && status.status.leader.is_none(), "{status:?}");
            asked += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(asked > 0, "it never answered");
    let after =
        until(&pool, "a leader", |all| all.iter().filter(|one| one.run == "test").map(|one| one.status.term).max());
    assert_eq!(after.await, before, "a stranger moved the term");
}

/// Ends all nodes as an operator does, and reads their files.
fn files_at_the_end(cluster: &mut Cluster) -> Vec<Vec<u8>> {
    for process in cluster.processes.iter().flatten() {
        let process = nix::unistd::Pid::from_raw(process.id() as i32);
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).expect("it can be told");
    }
    for process in &mut cluster.processes {
        process.take().expect("it ran").wait().expect("it ends");
    }
    let nodes = 1..=cluster.ports.len();
    nodes.map(|node| std::fs::read(cluster.dir.path().join(format!("n{node}/node.sqlite"))).expect("a file")).collect()
}

fn all_at_one_place(all: &[NodeStatus]) -> Option<()> {
    let one = |status: &NodeStatus| (status.status.position_term, status.status.position, status.status.leader.clone());
    (all.len() == 3 && all.iter().all(|status| one(status) == one(&all[0]) && status.status.ready)).then_some(())
}

#[tokio::test]
async fn nodes_with_a_physical_log_are_equal_byte_for_byte_after_kills_of_follower_and_leader() {
    let mut cluster = Cluster::start("--log wal --failover-timeout 400ms", 3);
    let pool = cluster.pool();
    until(&pool, "a leader with followers", all_at_one_place).await;
    let mut session = cluster.session("s");
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let leads = until(&pool, "a leader", leader).await;
        let victim = if round % 2 == 0 { (leads + 1) % 3 } else { leads };
        for step in 0..30 {
            if step == 10 {
                cluster.kill(victim);
            }
            let value = round * 100 + step;
            if append(&mut session, value).await {
                acknowledged.push(Value::Int(value));
            }
        }
        cluster.spawn(victim);
        until(&pool, "all at one place again", all_at_one_place).await;
    }
    assert!(acknowledged.len() > 100, "{} of 180 writes were acknowledged", acknowledged.len());
    let held = dumped(&pool, 0).await;
    assert!(acknowledged.iter().all(|value| held.contains(value)), "lost: {acknowledged:?} of {held:?}");
    assert_eq!((dumped(&pool, 1).await, dumped(&pool, 2).await), (held.clone(), held));
    until(&pool, "all at one place", all_at_one_place).await;
    let files = files_at_the_end(&mut cluster);
    for page in 0..files[0].len() / 4_096 {
        let of = |node: usize| files[node].get(page * 4_096..(page + 1) * 4_096);
        assert!(of(0) == of(1) && of(0) == of(2), "page {} differs", page + 1);
    }
    assert_eq!((files[0].len(), files[0].len()), (files[1].len(), files[2].len()));
}

#[tokio::test]
async fn a_node_of_another_page_size_follows_and_says_why_it_applies_nothing() {
    let mut cluster = Cluster::start("--log wal", 3);
    let pool = cluster.pool();
    until(&pool, "a leader with followers", all_at_one_place).await;
    let leads = until(&pool, "a leader", leader).await;
    let other = (leads + 1) % 3;
    cluster.kill(other);
    std::fs::remove_dir_all(cluster.dir.path().join(format!("n{}", other + 1))).expect("its directory");
    let mut session = cluster.session("s");
    cluster.flags += " --page-size 16384";
    cluster.spawn(other);
    let name = format!("n{}", other + 1);
    let why = until(&pool, "it is refused", |all| {
        all.iter().find(|one| one.node == name).and_then(|one| one.status.refuses.clone())
    })
    .await;
    assert!(why.contains("pages of 4096 bytes") && why.contains("pages of 16384 bytes"), "{why}");
    assert!(append(&mut session, 1).await, "the others go on");
    let status = pool.status(&name).await.expect("it answers").status;
    assert_eq!((status.role.as_str(), status.position), ("follower", 0));
}
