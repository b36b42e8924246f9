//! Writes: to all homes at once, achieved with `w` of them. What reached fewer is not taken back: whoever has it keeps it, and it may win yet.

use super::coordinate::Kind;
use super::row::Row;
use super::stamp::learned;
use super::{Message, Node};
use crate::mode::{Output, Ticket};
use crate::operation::{Outcome, Reply, Request};
use crate::store::{Store, StoreError};
use crate::value::Value;

/// A write under way.
pub struct Write {
    /// What every home is to merge.
    pub row: Row,
    /// What the client is told once enough have it.
    pub reply: Reply,
}

impl Node {
    /// Sets a key, or deletes it.
    pub(super) fn write(
        &mut self,
        store: &mut Store,
        ticket: Ticket,
        (key, value): (&str, Option<Value>),
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let (row, version) = self.stamp(store, key, value, request.context.get(key))?;
        let contexts = learned(&row, &version).into_iter().collect();
        let reply =
            Reply { node: self.me.name.clone(), results: vec![Outcome::Done], version: Some(version), contexts };
        let id = self.begin(ticket, key, Kind::Write(Write { row: row.clone(), reply }));
        self.ask_all(store, id, out)?;
        for datacentre in (0..self.placement.datacentres()).filter(|one| *one != self.datacentre) {
            for home in self.placement.homes_in(key, datacentre) {
                // Nobody there was asked, so nobody there counts.
                let put = Message::Put { task: id, key: key.to_string(), row: row.clone(), home: None };
                out.push(self.send(&home, put));
            }
        }
        Ok(())
    }

    /// A replica has a write on disk.
    pub(super) fn stored(&mut self, id: u64, from: &str, out: &mut Vec<Output>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if !task.answered(from) {
            return;
        }
        if task.answers() >= self.policy.w
            && let Kind::Write(write) = &task.kind
            && let Some(ticket) = task.ticket.take()
        {
            out.push(Output::Reply(ticket, Ok(write.reply.clone())));
        }
        // An achieved write is followed up only where somebody may have to stand in.
        let complete = task.asked.iter().all(|asked| asked.answered);
        if complete || (task.ticket.is_none() && !self.policy.sloppy) {
            self.tasks.remove(&id);
        }
    }
}
