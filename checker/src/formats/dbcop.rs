//! dbcop's JSON: `{"params": …, "data": [[{"events": [{"Read": {"variable": 0, "version": null}}, {"Write": {…}}], "committed": true}]]}`.
//!
//! `data` holds the transactions session by session; a version `null` is the initial state.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::formats::registers::{Names, Registers, committed};
use crate::formats::{Malformed, Unwritable};
use crate::history::Outcome;
use crate::txn::transactions::{LIMIT, Shape, Transactions};

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default)]
    params: Params,
    #[serde(default)]
    info: String,
    #[serde(default)]
    start: String,
    #[serde(default)]
    end: String,
    data: Vec<Vec<Transaction>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Params {
    id: u64,
    n_node: u64,
    n_variable: u64,
    n_transaction: u64,
    n_event: u64,
}

#[derive(Serialize, Deserialize)]
struct Transaction {
    events: Vec<Event>,
    committed: bool,
}

#[derive(Serialize, Deserialize)]
enum Event {
    Read { variable: i64, version: Option<i64> },
    Write { variable: i64, version: i64 },
}

/// Reads a history.
///
/// # Errors
///
/// The line at which it is no JSON of that shape, and what was expected.
pub fn read(text: &[u8]) -> Result<Transactions, Malformed> {
    let wrong = |line: usize, why: String| Malformed { line, why };
    let file: File = serde_json::from_slice(text).map_err(|error| wrong(error.line(), error.to_string()))?;
    let mut registers = Registers::new(text.len() / 50);
    let mut name = 0;
    for (session, txns) in file.data.iter().enumerate() {
        for txn in txns {
            name += 1;
            let taken = registers.txn(session as i64, name, txn.committed).is_some_and(|number| {
                txn.events.iter().all(|event| match *event {
                    Event::Read { variable, version } => registers.step(number, variable, false, version),
                    Event::Write { variable, version } => registers.step(number, variable, true, Some(version)),
                })
            });
            if !taken {
                return Err(wrong(1, "fewer than 2^32 transactions and steps, and 2^31 variables expected".into()));
            }
        }
    }
    Ok(registers.finish(None))
}

/// Writes a history; reads of unknown values are left out.
///
/// # Errors
///
/// It holds lists, or the output fails.
pub fn write(txns: &Transactions, out: &mut impl Write) -> Result<(), Unwritable> {
    if txns.shape == Shape::Lists {
        return Err(Unwritable::Lists);
    }
    let (names, committed) = (Names::of(txns, None), committed(txns));
    let processes = txns.txns.iter().map(|txn| txn.process as usize + 1).max().unwrap_or(0);
    let mut data: Vec<Vec<Transaction>> = Vec::new();
    data.resize_with(processes, Vec::new);
    for (t, txn) in txns.txns.iter().enumerate() {
        let steps = txns.steps_of(t as u32).iter();
        let told = steps.filter(|step| step.writes() || step.reads() && txn.outcome == Outcome::Ok);
        let events = told.map(|step| {
            let variable = names.key(step.key());
            match step.writes() {
                true => Event::Write { variable, version: names.value(step.version) },
                false => Event::Read { variable, version: (step.version < LIMIT).then(|| names.value(step.version)) },
            }
        });
        data[txn.process as usize].push(Transaction { events: events.collect(), committed: committed[t] });
    }
    let params = Params {
        n_node: processes as u64,
        n_variable: txns.keys.len() as u64,
        n_transaction: data.iter().map(Vec::len).max().unwrap_or(0) as u64,
        n_event: txns.txns.iter().enumerate().map(|(t, _)| txns.steps_of(t as u32).len()).max().unwrap_or(0) as u64,
        id: 0,
    };
    let file = File { params, info: String::new(), start: String::new(), end: String::new(), data };
    serde_json::to_writer(&mut *out, &file).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
