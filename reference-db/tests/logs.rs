//! What travels in the log decides what the followers become: statements under faults that a seed decides.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use refdb::operation::{Code, Operation, Outcome, Refusal, Request};
use refdb::store::{changes, sql};
use refdb::value::{Cell, Value};
use world::{World, append, every, harm};

const SECOND: Duration = Duration::from_secs(1);

const TABLES: &[&str] = &[
    "create table u_notes (id integer primary key, body text unique, at text default (datetime('now')))",
    "create table u_audit (note integer, mark)",
    "create index u_by_mark on u_audit (mark)",
    "create trigger u_log after insert on u_notes begin insert into u_audit values (new.id, 'seen'); end",
];

fn sql(texts: &[&str]) -> Request {
    let ops = texts.iter().map(|text| Operation::Sql { text: text.to_string() }).collect();
    Request { ops, ..Request::default() }
}

fn led(flags: &str, seed: u64) -> World {
    let mut world = World::new(flags, 3, seed);
    assert!(world.until(SECOND * 5, |world| world.leader().is_some()), "somebody leads");
    world
}

/// Asks the leader and waits for the answer.
fn ask(world: &mut World, request: Request) -> Result<Vec<Outcome>, Refusal> {
    let leader = world.leader().expect("somebody leads");
    let ticket = world.ask(leader, request);
    assert!(world.until(SECOND * 8, |world| world.answers.contains_key(&ticket)), "it is answered");
    world.answers.remove(&ticket).expect("an answer").result.map(|reply| reply.results)
}

/// Whether all nodes come to stand at the same place.
fn settled(world: &mut World) -> bool {
    world.until(SECOND * 10, |world| {
        let place = |node| world.status(node).map(|status| (status.position_term, status.position, status.leader));
        world.leader().is_some() && place(0) == place(1) && place(1) == place(2)
    })
}

fn same(world: &World) -> bool {
    let first = world.disk(0).rows;
    (1..world.machines.len()).all(|node| world.disk(node).rows == first)
}

#[test]
fn chance_runs_again_on_each_follower_unless_its_rows_or_literals_travel() {
    let converges = |flags: &str| {
        let mut world = led(flags, 1);
        ask(&mut world, sql(&["create table u_draws (id integer primary key, drawn integer)"])).expect("a table");
        for id in 0..5 {
            let text = format!("insert into u_draws values ({id}, random())");
            ask(&mut world, sql(&[&text])).expect("a row");
        }
        assert!(settled(&mut world));
        same(&world)
    };
    assert!(converges("--log row") && converges("--log mixed") && converges("--log statement --literals on"));
    assert!(!converges("--log statement"));
}

#[test]
fn a_default_or_a_trigger_that_asks_the_clock_or_chance_is_seen_by_mixed_alone() {
    let tables = [
        "create table u_a (id integer primary key, mark default (random()))",
        "create table u_b (id, mark)",
        "create trigger u_t after delete on u_a begin insert into u_b values (old.id, random()); end",
    ];
    let writes = ["insert into u_a (id) values (1), (2)", "delete from u_a where id = 2"];
    let converges = |flags: &str| {
        let mut world = led(flags, 2);
        for text in tables.iter().chain(&writes) {
            ask(&mut world, sql(&[text])).expect("it runs");
        }
        assert!(settled(&mut world));
        same(&world)
    };
    assert!(converges("--log mixed") && converges("--log row") && converges("--log wal"));
    assert!(!converges("--log statement"));
    let mut world = led("--log statement --literals on", 2);
    assert_eq!(ask(&mut world, sql(&tables[..1])).expect_err("no literal reaches it").code, Code::Unsupported);
}

#[test]
fn what_a_statement_did_without_the_update_hook_is_copied_too() {
    for flags in ["--log row", "--log statement --literals on"] {
        let mut world = led(flags, 3);
        TABLES[1..2].iter().chain(&["create table u_notes (id integer primary key, body text unique)"]).for_each(
            |text| {
                ask(&mut world, sql(&[text])).expect("a table");
            },
        );
        for text in [
            "insert into u_notes values (1, 'a'), (2, 'b'), (3, 'c')",
            "insert or replace into u_notes values (4, 'b')",
            "update u_notes set id = 9 where id = 1",
            "insert into u_notes values (20, 'it''s' || char(0, 10) || 'ö'), (21, 1e300 / 3), (22, x'00ff'), (23, null)",
            "update u_notes set body = body where id >= 20",
            "update u_notes set body = case body when 'a' then 'c' else 'x' end where id in (3, 9)",
        ] {
            ask(&mut world, sql(&[text])).expect(text);
        }
        assert!(settled(&mut world) && same(&world), "{flags}");
        let rows = world.disk(0).rows;
        assert!(!rows.iter().any(|(key, _)| key == "sql/row/u_notes/2"), "{flags}: {rows:?}");
        assert!(rows.iter().any(|(_, cell)| format!("{cell:?}").contains("X'697427730")), "{flags}: {rows:?}");
        ask(&mut world, sql(&["delete from u_notes"])).expect("all go");
        assert!(settled(&mut world) && same(&world), "{flags}");
        assert!(!world.disk(1).rows.iter().any(|(key, _)| key.starts_with("sql/row/u_notes")), "{flags}");
        ask(&mut world, sql(&["drop table u_notes"])).expect("it goes");
        assert!(settled(&mut world) && same(&world), "{flags}");
    }
}

#[test]
fn a_statement_reaches_nothing_but_users_tables() {
    let mut world = led("", 4);
    ask(&mut world, sql(&["create table u_a (id integer primary key)"])).expect("a table");
    for text in [
        "select * from kv",
        "delete from log",
        "update sqlite_master set sql = ''",
        "create table mine (id)",
        "create table u_w (id primary key) without rowid",
        "create table u_i (id integer primary key autoincrement)",
        "create table u_g (id, twice as (id * 2))",
        "create temp table u_t (id)",
        "drop trigger watch_insert_u_a",
        "drop trigger [watch_insert_u_a]",
        "drop trigger 'watch_insert_u_a'",
        "attach '/tmp/x' as u_x",
        "pragma journal_mode = delete",
        "begin",
        "commit",
        "insert or rollback into u_a values (1)",
        "alter table u_a rename to kv",
        "select load_extension('x')",
        "insert into u_a values (1); delete from u_a",
        "insert into u_a values (?)",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n",
        "nonsense",
        "",
    ] {
        let refusal = ask(&mut world, sql(&[text])).expect_err(text);
        assert!(refusal.definite, "{text}");
    }
    // What came before a refused statement in the same request is taken back with it.
    let both = sql(&["insert into u_a values (1)", "insert into u_a values (1)"]);
    assert!(ask(&mut world, both).is_err());
    assert_eq!(
        ask(&mut world, sql(&["select count(*) from u_a"])).expect("an answer"),
        [Outcome::List(vec![Value::Text("0".to_string())])]
    );
    let write = Operation::Write { key: "sql/row/u_a/1".to_string(), value: Value::Int(1) };
    assert!(ask(&mut world, Request { ops: vec![write], ..Request::default() }).is_err());
}

/// Statements and appends while nodes die and links break; then everybody must hold the same, as often as the format promises it.
fn under_faults(flags: &str, seed: u64, tables: &[&str]) -> World {
    let mut world = led(flags, seed);
    for text in tables {
        let leader = world.leader().unwrap_or(0);
        world.ask(leader, sql(&[text]));
        world.run(SECOND / 5);
    }
    for step in 0..60 {
        let node = world.leader().unwrap_or(0);
        let id = world.rng.random_range(0..12);
        let text = match world.rng.random_range(0..5) {
            0 => format!("insert or replace into u_notes (id, body) values ({id}, 'b{}')", step % 7),
            1 => format!("update or ignore u_notes set body = 'c' || abs(random()) where id < {id}"),
            2 => format!("delete from u_notes where id in (select id from u_notes limit {})", id / 4),
            3 => format!("insert into u_audit values ({id}, datetime('now'))"),
            _ => format!("update u_audit set mark = mark || 'x' where note = {id}"),
        };
        world.ask(node, sql(&[&text]));
        world.ask(node, append("list", step));
        world.run(SECOND / 20);
        if step % 15 == 14 {
            let node = world.rng.random_range(0..3);
            harm(&mut world, node);
            world.run(SECOND);
            world.heal();
            (0..3).for_each(|node| world.start(node));
            world.run(SECOND);
        }
    }
    assert!(settled(&mut world), "it settles");
    world
}

#[test]
fn rows_and_what_mixed_makes_of_statements_converge_under_faults() {
    every(0..6, |seed| {
        for flags in ["--log row --ack async", "--log mixed", "--log wal", "--log statement --literals on"] {
            let tables: Vec<&str> = match flags.contains("literals") {
                true => vec!["create table u_notes (id integer primary key, body text unique)", TABLES[1]],
                false => TABLES.to_vec(),
            };
            let world = under_faults(flags, seed, &tables);
            assert!(same(&world), "{flags}, seed {seed}");
        }
    });
}

#[test]
fn a_copy_that_is_rebuilt_from_the_changes_equals_the_database() {
    for flags in ["--log row", "--log wal"] {
        rebuilt_equals(&under_faults(flags, 7, TABLES));
    }
}

fn rebuilt_equals(world: &World) {
    let mut copy: BTreeMap<String, Cell> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = changes::read(&world.database(1), after, 7, u64::MAX).expect("the changes").expect("all are kept");
        for line in &page {
            match line {
                changes::Line::Row { key, value: Some(value), .. } => drop(copy.insert(key.clone(), value.clone())),
                changes::Line::Row { key, value: None, .. } => drop(copy.remove(key)),
                changes::Line::Commit { index, .. } => after = *index,
                changes::Line::Statement { .. } => panic!("a row log has no statements"),
            }
        }
        if page.is_empty() {
            break;
        }
    }
    let held: BTreeMap<String, Cell> = world.disk(1).rows.into_iter().collect();
    assert!(held.keys().any(|key| matches!(sql::place(key), Some(sql::Place::Row(..)))), "there are rows");
    assert_eq!(copy, held);
}

/// What the change table of a node holds: entry and key of each row.
fn captured(world: &World, node: usize) -> Vec<(i64, String)> {
    let database = rusqlite::Connection::open(world.database(node)).expect("the database");
    let mut query = database.prepare("SELECT idx, key FROM changed ORDER BY number").expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

#[test]
fn what_triggers_wrote_down_makes_replicas_equal_under_faults() {
    every(0..6, |seed| {
        for flags in ["--log trigger", "--log trigger --ack async"] {
            let world = under_faults(flags, seed, TABLES);
            assert!(same(&world), "{flags}, seed {seed}");
        }
    });
}

#[test]
fn a_leader_captures_its_own_rows_once_and_a_follower_none() {
    let mut world = led("--log trigger", 5);
    let first = world.leader().expect("a leader");
    ask(&mut world, append("k", 1)).expect("it is acknowledged");
    ask(&mut world, sql(&[TABLES[1], "insert into u_audit values (1, 'a'), (2, 'b')"])).expect("both run");
    let heir = (first + 1) % 3;
    let ticket = world.promote(heir);
    assert!(world.until(SECOND * 8, |world| world.answers.contains_key(&ticket) && world.leader() == Some(heir)));
    ask(&mut world, append("k", 2)).expect("it is acknowledged");
    ask(&mut world, sql(&["insert or replace into u_audit (rowid, note) values (1, 9)"])).expect("it runs");
    assert!(settled(&mut world) && same(&world));
    let keys = |rows: Vec<(i64, String)>| rows.into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    let audit = "sql/row/u_audit/1";
    assert_eq!(
        keys(captured(&world, first)),
        ["k", "sql/schema/table/u_audit", audit, "sql/row/u_audit/2"],
        "what it wrote while it led"
    );
    assert_eq!(keys(captured(&world, heir)), ["k", audit, audit], "a row goes and comes in a REPLACE");
    assert!(captured(&world, (first + 2) % 3).is_empty());
}

#[test]
fn with_a_prefix_the_rest_stays_on_its_leader() {
    let mut world = led("--log trigger --replicate u_shared", 6);
    let first = world.leader().expect("a leader");
    for text in [
        "create table u_shared_notes (id integer primary key, body)",
        "create table u_private (id integer primary key, body)",
        "create index u_shared_by_body on u_private (body)",
        "create trigger u_t after insert on u_private begin insert into u_shared_notes (body) values (new.body); end",
        "insert into u_private values (7, 'p')",
    ] {
        ask(&mut world, sql(&[text])).expect(text);
    }
    ask(&mut world, append("u_shared_list", 1)).expect("it is acknowledged");
    ask(&mut world, append("list", 1)).expect("it is acknowledged");
    assert!(settled(&mut world));
    let keys =
        |world: &World, node: usize| world.disk(node).rows.into_iter().map(|(key, _)| key).collect::<Vec<String>>();
    let shared = ["u_shared_list", "sql/schema/table/u_shared_notes", "sql/row/u_shared_notes/1"];
    let is_shared = |key: &String| shared.contains(&key.as_str());
    let other = (first + 1) % 3;
    assert_eq!(keys(&world, other).len(), shared.len(), "{:?}", keys(&world, other));
    assert!(keys(&world, other).iter().all(is_shared));
    assert!(keys(&world, first).len() > 6 && shared.iter().all(|key| keys(&world, first).contains(&key.to_string())));
    // A copy of everything is one of what is replicated.
    let late = (first + 2) % 3;
    world.wipe(late);
    world.start(late);
    ask(&mut world, append("u_shared_list", 2)).expect("it is acknowledged");
    assert!(settled(&mut world));
    assert_eq!(keys(&world, late), keys(&world, other));
}

#[test]
fn a_tail_that_triggers_captured_is_taken_back() {
    let mut world = led("--log trigger --ack async", 8);
    let first = world.leader().expect("a leader");
    ask(&mut world, sql(&["create table u_a (id integer primary key, body)", "insert into u_a values (1, 'a')"]))
        .expect("both run");
    ask(&mut world, append("k", 1)).expect("it is acknowledged");
    assert!(settled(&mut world));
    world.cut_off(first);
    for text in ["update u_a set body = 'lost'", "insert into u_a values (2, 'lost')", "create table u_b (id)"] {
        world.ask(first, sql(&[text]));
    }
    world.ask(first, append("k", 2));
    assert!(world.until(SECOND * 8, |world| world.leader().is_some_and(|leader| leader != first)));
    ask(&mut world, append("k", 3)).expect("it is acknowledged");
    world.heal();
    assert!(settled(&mut world) && same(&world));
    assert!(world.machines[first].kept.iter().any(|(_, lines)| lines.iter().any(|line| line.contains("lost"))));
}

#[test]
fn a_follower_that_lost_its_disk_is_filled_again_under_the_same_leader() {
    for flags in ["--log row", "--log trigger"] {
        let mut world = led(flags, 9);
        let first = world.leader().expect("a leader");
        // Fewer than a newcomer is spared.
        (0..20).for_each(|value| drop(ask(&mut world, append("k", value)).expect("it is acknowledged")));
        assert!(settled(&mut world));
        world.wipe((first + 1) % 3);
        world.start((first + 1) % 3);
        ask(&mut world, append("k", 20)).expect("it is acknowledged");
        assert!(settled(&mut world) && same(&world), "{flags}");
        assert_eq!(world.leader(), Some(first));
    }
}
