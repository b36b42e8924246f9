//! The text of AWDIT's tests: `r key value` or `w key value` a line, `-----` between transactions, `=====` between sessions.
//!
//! There is no initial state to read: a value that nobody wrote was not there. Nor are there aborted transactions.

use std::io::Write;

use crate::formats::registers::{Names, Registers, committed};
use crate::formats::{Malformed, Scan, Unwritable};
use crate::history::Outcome;
use crate::txn::transactions::{LIMIT, Shape, Transactions};

/// Reads a history.
///
/// # Errors
///
/// The line that is neither a step nor a rule, and what was expected.
pub fn read(text: &[u8]) -> Result<Transactions, Malformed> {
    let mut scan = Scan::new(text);
    let mut registers = Registers::new(text.len() / 6);
    let (mut session, mut name) = (0, 0);
    while scan.line() {
        let word = scan.peek();
        match word {
            Some(b'-') | Some(b'=') => {
                let begun = scan.at;
                while scan.peek() == word {
                    scan.at += 1;
                }
                if scan.at < begun + 2 {
                    return scan.wrong("----- or =====");
                }
                name += 1;
                session += i64::from(word == Some(b'='));
            }
            Some(b'r') | Some(b'w') => {
                scan.at += 1;
                let key = scan.integer("a key")?;
                let value = scan.integer("a value")?;
                let taken = registers
                    .txn(session, name, true)
                    .is_some_and(|txn| registers.step(txn, key, word == Some(b'w'), Some(value)));
                if !taken {
                    return scan.wrong("fewer than 2^32 transactions and steps, and 2^31 keys");
                }
            }
            _ => return scan.wrong("r key value, w key value, ----- or ====="),
        }
        scan.end()?;
    }
    Ok(registers.finish(None))
}

/// Writes a history: sessions one after the other, without what was aborted. Reads of unknown values are left out, and, since there
/// are no words for them, those of the initial state: what it says then holds if the history does, but not the other way round.
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
    let mut sessions: Vec<Vec<u32>> = vec![Vec::new(); processes];
    for (t, txn) in txns.txns.iter().enumerate().filter(|(t, _)| committed[*t]) {
        sessions[txn.process as usize].push(t as u32);
    }
    let rule = |at: usize, out: &mut dyn Write| if at == 0 { Ok(()) } else { writeln!(out, "=====") };
    for (at, session) in sessions.iter().filter(|session| !session.is_empty()).enumerate() {
        rule(at, out)?;
        for (at, &t) in session.iter().enumerate() {
            if at > 0 {
                writeln!(out, "-----")?;
            }
            let ok = txns.txns[t as usize].outcome == Outcome::Ok;
            for step in txns.steps_of(t).iter().filter(|step| step.writes() || step.reads() && ok) {
                let word = if step.writes() { 'w' } else { 'r' };
                if step.version < LIMIT {
                    writeln!(out, "{word} {} {}", names.key(step.key()), names.value(step.version))?;
                }
            }
        }
    }
    Ok(())
}
