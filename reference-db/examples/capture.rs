//! What triggers that write a change table cost a leader: processor time of its thread for each write, with the row log and with `--log trigger`.
//!
//! Fifty writes a commit, no fsync; lists of fifty numbers, and rows of a user's table. What shipping costs comes on top, in a thread of its own.
//! `cargo run -p refdb --release --example capture`

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use refdb::store::{Change, Entry, Fsync, Store};
use refdb::value::{Cell, Value};

type Failure = Box<dyn std::error::Error>;

const WRITES: u64 = 20_000;
const BATCH: u64 = 50;

fn processor_time() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Microseconds of processor time a write.
fn costs(triggers: bool, write: impl Fn(&mut Store, u64) -> Result<Vec<Change>, Failure>) -> Result<f64, Failure> {
    let dir = tempfile::tempdir()?;
    let mut store = Store::open(dir.path(), Fsync::Never)?;
    store.with_tables()?;
    if triggers {
        store.capture("")?;
    }
    store.attempt()?;
    let ran = store.run("create table u_notes (id integer primary key, body text, mark)")?;
    store.note_definitions(&ran.changes, &ran.undo)?;
    store.keep(Vec::new())?;
    let mut begun = Duration::ZERO;
    for index in 1..=WRITES {
        if index == WRITES / 10 {
            begun = processor_time()?;
        }
        let changes = write(&mut store, index)?;
        let entry = Entry { index, term: 1, changes, wall: 0, origin: None };
        if triggers {
            store.append_captured(&entry)?
        } else {
            store.append(&entry)?
        }
        if index % BATCH == 0 {
            store.commit()?;
        }
    }
    Ok((processor_time()? - begun).as_secs_f64() * 1e6 / (WRITES * 9 / 10) as f64)
}

fn main() -> Result<(), Failure> {
    let list = |_: &mut Store, index: u64| {
        let values = (0..50).map(|n| Value::Int((index + n) as i64)).collect();
        Ok(vec![(format!("list-{}", index % 40), Some(Cell::List(values)))])
    };
    let row = |store: &mut Store, index: u64| {
        store.attempt()?;
        let text = format!("insert or replace into u_notes values ({}, 'note {index}', null)", index % 1_000);
        let ran = store.run(&text)?;
        store.keep(ran.undo)?;
        Ok(ran.changes)
    };
    for round in 1..=3 {
        let (plain, triggers) = (costs(false, list)?, costs(true, list)?);
        let ratio = triggers / plain;
        println!("round {round}: a list, row {plain:.1} µs, trigger {triggers:.1} µs, {ratio:.2} times");
        let (plain, triggers) = (costs(false, row)?, costs(true, row)?);
        let ratio = triggers / plain;
        println!("round {round}: a row of a table, row {plain:.1} µs, trigger {triggers:.1} µs, {ratio:.2} times");
    }
    Ok(())
}
