//! One step a line: `r(key,value,session,transaction)` or `w(…)`. Plume, AWDIT, PolySI and IsoVista read it.
//!
//! All four are integers. A transaction -1 is aborted (neighbouring lines of a session with -1 are one). A read of 0 is of the initial state, unless the key's
//! 0 was written. The order of a session's transactions is that of the lines; lines of different sessions may be interleaved.

use std::io::Write;

use crate::formats::registers::{Names, Registers, committed};
use crate::formats::{Malformed, Scan, Unwritable};
use crate::history::Outcome;
use crate::txn::transactions::{LIMIT, Shape, Transactions};

/// Reads a history. Cost: linear, about 80 ns a line: tables for small integers, no allocation a line.
///
/// # Errors
///
/// The line that is no step, and what was expected.
pub fn read(text: &[u8]) -> Result<Transactions, Malformed> {
    let mut scan = Scan::new(text);
    let mut registers = Registers::new(text.len() / 18);
    while scan.line() {
        let writes = match scan.peek() {
            Some(b'r') => false,
            Some(b'w') => true,
            _ => return scan.wrong("r(key,value,session,transaction) or w(…)"),
        };
        scan.at += 1;
        scan.expect(b'(', "(")?;
        let key = scan.integer("a key")?;
        scan.expect(b',', ", and a value")?;
        let value = scan.integer("a value")?;
        scan.expect(b',', ", and a session")?;
        let session = scan.integer("a session")?;
        scan.expect(b',', ", and a transaction")?;
        let name = scan.integer("a transaction")?;
        scan.expect(b')', ")")?;
        scan.end()?;
        let value = Some(value).filter(|&value| writes || value != 0);
        let taken = registers.txn(session, name, name != -1).is_some_and(|txn| registers.step(txn, key, writes, value));
        if !taken {
            return scan.wrong("fewer than 2^32 transactions and steps, and 2^31 keys");
        }
    }
    Ok(registers.finish(Some(0)))
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
    let (names, committed) = (Names::of(txns, Some(0)), committed(txns));
    for (t, txn) in txns.txns.iter().enumerate() {
        let name = if committed[t] { t as i64 } else { -1 };
        for step in
            txns.steps_of(t as u32).iter().filter(|step| step.writes() || step.reads() && txn.outcome == Outcome::Ok)
        {
            let value = if step.version < LIMIT { names.value(step.version) } else { 0 };
            let word = if step.writes() { 'w' } else { 'r' };
            writeln!(out, "{word}({},{value},{},{name})", names.key(step.key()), txn.process)?;
        }
    }
    Ok(())
}
