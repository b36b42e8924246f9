//! Transactions taken apart by key: what each did on one key, as an operation of its own.
//!
//! Models of single objects know no transactions. An operation is all that a transaction does on one key; the operations of one transaction
//! are concurrent with each other. So whatever is strictly serializable is linearizable, and whatever is linearizable, sequential.

use super::transactions::{NOBODY, OddRead, Transactions, Txn};

/// Pieces, and which transaction each is of.
pub struct Pieces {
    /// The pieces as transactions; those of one stand together.
    pub txns: Transactions,
    /// By piece.
    pub of: Vec<u32>,
    /// By transaction, and one more: its first piece.
    pub first: Vec<u32>,
}

/// Takes transactions apart. Cost: a few passes and as much memory as they have.
pub fn apart(txns: &Transactions) -> Pieces {
    let mut out = Transactions::none(txns.shape);
    out.keys.clone_from(&txns.keys);
    out.version_key.clone_from(&txns.version_key);
    out.version_value.clone_from(&txns.version_value);
    out.texts.clone_from(&txns.texts);
    out.order_first.clone_from(&txns.order_first);
    out.orders.clone_from(&txns.orders);
    out.place.clone_from(&txns.place);
    out.processes.clone_from(&txns.processes);
    out.writer = vec![NOBODY; txns.writer.len()];
    let (mut of, mut first) = (Vec::new(), Vec::with_capacity(txns.len() + 1));
    let mut odd = txns.odd.iter().peekable();
    let mut moved: Vec<(u32, u32)> = Vec::new();
    let mut keys: Vec<u32> = Vec::new();
    for txn in 0..txns.len() as u32 {
        first.push(of.len() as u32);
        keys.clear();
        let range = txns.step_range(txn);
        for step in &txns.steps[range.clone()] {
            if !keys.contains(&step.key()) {
                keys.push(step.key());
            }
        }
        for &key in &keys {
            out.txns.push(Txn { first: out.steps.len() as u32, ..txns.txns[txn as usize] });
            out.times.extend(txns.times.get(txn as usize));
            let piece = of.len() as u32;
            of.push(txn);
            for at in range.clone().filter(|&at| txns.steps[at].key() == key) {
                let step = txns.steps[at];
                if step.writes() && txns.writer[step.version as usize] == txn {
                    out.writer[step.version as usize] = piece;
                } else if step.writes() {
                    out.doubles.push((piece, step.version));
                }
                moved.push((at as u32, out.steps.len() as u32));
                out.steps.push(step);
            }
        }
        if let Some(OddRead { step, .. }) = odd.peek()
            && range.contains(&(*step as usize))
        {
            while let Some(it) = odd.next_if(|it| range.contains(&(it.step as usize))) {
                let now = moved.iter().rev().find(|(before, _)| *before == it.step).map_or(it.step, |moved| moved.1);
                out.odd.push(OddRead { step: now, versions: it.versions.clone() });
            }
        }
        moved.clear();
    }
    first.push(of.len() as u32);
    out.odd.sort_by_key(|odd| odd.step);
    rank(txns, &mut out, &first);
    Pieces { txns: out, of, first }
}

/// Gives every piece a rank of its own for its beginning and its end, in the order of those of the transactions.
fn rank(txns: &Transactions, out: &mut Transactions, first: &[u32]) {
    let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(txns.len() * 2);
    for (number, txn) in txns.txns.iter().enumerate() {
        if txn.start > 0 {
            events.push((txn.start, false, number as u32));
        }
        if txn.end < super::transactions::LIMIT {
            events.push((txn.end, true, number as u32));
        }
    }
    events.sort_unstable();
    let mut next = 1;
    for (_, ends, txn) in events {
        for piece in first[txn as usize]..first[txn as usize + 1] {
            let it = &mut out.txns[piece as usize];
            if ends {
                it.end = next
            } else {
                it.start = next
            }
            next += 1;
        }
    }
}
