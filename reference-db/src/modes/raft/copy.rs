//! A copy of the rows for a follower whose next entry is no longer kept (dissertation, chapter 5).
//!
//! The library decides when one is needed and by what position it must be at least; the rows are read beside the writer when the message would leave, as of a
//! position that is exact and no older. A copy that got lost is called failed after a while, and the library asks the follower anew.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, SnapshotStatus};

use super::{Node, damaged, number};
use crate::mode::Output;
use crate::modes::single_leader::{self, Position};
use crate::store::{Store, StoreError};
use crate::value::Cell;

/// How long a copy may take until its follower confirms it.
const COPYING: Duration = Duration::from_secs(3);

/// Copies under way, both ways.
#[derive(Default)]
pub struct Copies {
    /// To whom, and since when.
    sent: BTreeMap<u64, Duration>,
    arriving: Option<Arriving>,
    installed: u64,
}

struct Arriving {
    from: String,
    term: u64,
    last: Position,
    rows: Vec<(String, Cell)>,
}

impl Copies {
    /// A copy leaves for a node.
    pub fn sent(&mut self, to: u64, now: Duration) {
        self.sent.insert(to, now);
    }

    /// How many were installed here.
    pub fn installed(&self) -> u64 {
        self.installed
    }
}

impl Node {
    /// Calls copies failed that nobody has confirmed.
    pub fn mind_copies(&mut self, now: Duration) {
        let mut late = Vec::new();
        let progress = self.raw.raft.prs();
        self.copies.sent.retain(|to, since| {
            let waits = progress.get(*to).is_some_and(|progress| progress.state == ProgressState::Snapshot);
            let in_time = now.saturating_sub(*since) < COPYING;
            if waits && !in_time {
                late.push(*to);
            }
            waits && in_time
        });
        for to in late {
            self.raw.report_snapshot(to, SnapshotStatus::Failure);
        }
    }

    /// A part of a copy arrives.
    pub fn receive_copy(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        message: single_leader::Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        use single_leader::Message::{SnapshotBegin, SnapshotEnd, SnapshotRows};
        let arriving = &mut self.copies.arriving;
        let is_of = |arriving: &Arriving, term: u64| arriving.from == from && arriving.term == term;
        match message {
            SnapshotBegin { term, last, .. } => {
                *arriving = Some(Arriving { from: from.to_string(), term, last, rows: Vec::new() });
            }
            SnapshotRows { term, rows } => {
                if let Some(arriving) = arriving.as_mut().filter(|arriving| is_of(arriving, term)) {
                    arriving.rows.extend(rows);
                }
            }
            SnapshotEnd { term } if arriving.as_ref().is_some_and(|arriving| is_of(arriving, term)) => {
                self.offer_copy(store, now, out)?;
                self.copies.arriving = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// The copy is complete: the library decides whether it is of use.
    fn offer_copy(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(arriving) = &self.copies.arriving else { return Ok(()) };
        if arriving.term == 0 || arriving.last.1 == 0 {
            return Ok(());
        }
        let mut message = Message {
            from: number(&self.me, &arriving.from),
            to: number(&self.me, &self.me.name),
            term: arriving.term,
            ..Message::default()
        };
        message.set_msg_type(MessageType::MsgSnapshot);
        message.set_snapshot(self.raw.store().snapshot_of(arriving.last));
        // Whatever came before must not meet the new rows.
        self.drain(store, now, out)?;
        // A stale one is refused, and that is all.
        let _ = self.raw.step(message);
        self.drain(store, now, out)
    }

    /// The library takes the copy: its rows replace everything.
    pub fn install(&mut self, store: &mut Store, last: Position, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(arriving) = self.copies.arriving.take().filter(|arriving| arriving.last == last) else {
            return Err(damaged(raft::Error::Store(raft::StorageError::SnapshotOutOfDate)));
        };
        store.install(&arriving.rows, &[])?;
        self.raw.mut_store().restart(store, last)?;
        self.copies.installed += 1;
        out.push(Output::Say(format!("took a copy of everything from {} as of entry {}", arriving.from, last.1)));
        Ok(())
    }
}
