//! A client's request under way: whom it was sent to, who has answered, and what happens when time passes.
//!
//! With sloppy quorums a home that is silent has its part taken by the next node of the key's preference list: at once where the home was silent before,
//! or after [`STAND_IN_AFTER`] without an answer. Every node that has the write on disk counts towards `w`, whoever it stands in for.

use std::collections::VecDeque;
use std::time::Duration;

use super::read::Read;
use super::write::Write;
use super::{Message, Node};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Operation, Refusal, Request};
use crate::store::{Store, StoreError};

/// How long replicas have to answer.
pub const QUORUM_LIMIT: Duration = Duration::from_millis(700);
/// How long after its answer a read waits for the late replicas, to mend them.
pub const REPAIR_WAIT: Duration = Duration::from_millis(300);
/// How long a home may be silent until a request asks somebody else too.
pub const STAND_IN_AFTER: Duration = Duration::from_millis(200);

/// A request under way to the replicas of one key.
pub struct Task {
    /// Whom to answer; `None` once that is done.
    pub ticket: Option<Ticket>,
    /// What it is about.
    pub key: String,
    /// Whom it was sent to.
    pub asked: Vec<Asked>,
    /// Who may stand in, in this order.
    pub spares: VecDeque<String>,
    /// When it ends, whoever is silent then.
    pub deadline: Duration,
    /// When those who are silent get stand-ins.
    pub stand_in_due: Duration,
    /// What is asked.
    pub kind: Kind,
}

/// One replica's part.
pub struct Asked {
    /// Who was asked.
    pub node: String,
    /// The home for which it stands in, or itself.
    pub home: String,
    /// Whether it has answered.
    pub answered: bool,
}

/// What a task asks of replicas.
pub enum Kind {
    /// To keep a row.
    Write(Write),
    /// To show theirs.
    Read(Read),
}

impl Asked {
    /// The home for which it stands in, if it is another.
    pub fn stands_in_for(&self) -> Option<String> {
        (self.node != self.home).then(|| self.home.clone())
    }
}

impl Task {
    /// Notes that `from` has answered; false if it was not asked, or had answered already.
    pub fn answered(&mut self, from: &str) -> bool {
        match self.asked.iter_mut().find(|asked| asked.node == from && !asked.answered) {
            Some(asked) => {
                asked.answered = true;
                true
            }
            None => false,
        }
    }

    /// How many have answered.
    pub fn answers(&self) -> usize {
        self.asked.iter().filter(|asked| asked.answered).count()
    }
}

impl Node {
    /// A client asks this node to coordinate.
    pub(super) fn request(
        &mut self,
        store: &mut Store,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let refuse = |out: &mut Vec<Output>, code, text: &str| {
            out.push(Output::Reply(ticket, Err(Refusal::definite(code, text))))
        };
        match request.ops.as_slice() {
            [] => refuse(out, Code::BadRequest, "a request needs at least one operation"),
            [Operation::Write { key, value }] => {
                self.write(store, ticket, (key, Some(value.clone())), &request, out)?;
            }
            [Operation::Delete { key }] => self.write(store, ticket, (key, None), &request, out)?,
            ops if ops.iter().all(|op| matches!(op, Operation::Read { .. })) => {
                let keys = ops.iter().rev().map(|op| op.key().to_string()).collect();
                self.read(ticket, keys);
            }
            _ => refuse(
                out,
                Code::Unsupported,
                "the leaderless mode reads, writes and deletes registers, one write at a time",
            ),
        }
        Ok(())
    }

    /// Begins a task over the homes of `key` in this datacentre, or those who stand in for them; returns its number.
    pub(super) fn begin(&mut self, ticket: Ticket, key: &str, kind: Kind) -> u64 {
        let mut homes = self.placement.preference(key, self.datacentre);
        let mut spares = VecDeque::from(homes.split_off(self.policy.n.min(homes.len())));
        let suspects = |node: &String| *node != self.me.name && self.liveness.suspects(node, self.now);
        spares.retain(|spare| self.policy.sloppy && !suspects(spare));
        let asked = homes.into_iter().map(|home| {
            let stand_in = if self.policy.sloppy && suspects(&home) { spares.pop_front() } else { None };
            Asked { node: stand_in.unwrap_or_else(|| home.clone()), home, answered: false }
        });
        let asked = asked.collect();
        let id = self.next_task;
        self.next_task += 1;
        let (deadline, stand_in_due) = (self.now + QUORUM_LIMIT, self.now + STAND_IN_AFTER);
        self.tasks.insert(
            id,
            Task { ticket: Some(ticket), key: key.to_string(), asked, spares, deadline, stand_in_due, kind },
        );
        id
    }

    /// Time passed: silent replicas get stand-ins, and requests end.
    pub(super) fn expire(&mut self, store: &mut Store, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let now = self.now;
        // An answered read waits for late homes only to mend them; an achieved write still wants its row with somebody for each home.
        let wanted = |task: &Task| task.ticket.is_some() || matches!(task.kind, Kind::Write(_));
        let slow = |task: &Task| self.policy.sloppy && now >= task.stand_in_due && wanted(task);
        let slow: Vec<u64> = self.tasks.iter().filter(|(_, task)| slow(task)).map(|(id, _)| *id).collect();
        for id in slow {
            self.stand_in(store, id, out)?;
        }
        let late: Vec<u64> = self.tasks.iter().filter(|(_, task)| now >= task.deadline).map(|(id, _)| *id).collect();
        for id in late {
            self.give_up(id, out);
        }
        Ok(())
    }

    /// Asks a spare for each replica that is silent.
    fn stand_in(&mut self, store: &mut Store, id: u64, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(task) = self.tasks.get_mut(&id) else { return Ok(()) };
        task.stand_in_due += STAND_IN_AFTER;
        let silent: Vec<String> =
            task.asked.iter().filter(|asked| !asked.answered).map(|asked| asked.home.clone()).collect();
        let mut new = Vec::new();
        for home in silent {
            let Some(node) = task.spares.pop_front() else { break };
            task.asked.push(Asked { node, home, answered: false });
            new.push(task.asked.len() - 1);
        }
        for number in new {
            self.ask(store, id, number, out)?;
        }
        Ok(())
    }

    /// Sends a task to all replicas that it is for; to this node's own last, whose answer may be all that the client waits for and end the task.
    pub(super) fn ask_all(&mut self, store: &mut Store, id: u64, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(task) = self.tasks.get(&id) else { return Ok(()) };
        let mut replicas: Vec<usize> = (0..task.asked.len()).collect();
        replicas.sort_by_key(|&number| task.asked[number].node == self.me.name);
        for number in replicas {
            self.ask(store, id, number, out)?;
        }
        Ok(())
    }

    /// Sends a task to one of the replicas that it is for.
    pub(super) fn ask(
        &mut self,
        store: &mut Store,
        id: u64,
        number: usize,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(task) = self.tasks.get(&id) else { return Ok(()) };
        let Some(asked) = task.asked.get(number) else { return Ok(()) };
        let (to, home, key) = (asked.node.clone(), asked.stands_in_for(), task.key.clone());
        let message = match &task.kind {
            Kind::Write(write) => Message::Put { task: id, key, row: write.row.clone(), home },
            Kind::Read(_) => Message::Get { task: id, key },
        };
        if to == self.me.name {
            // The coordinator is a replica like any other, without the way.
            self.receive(store, &to, message, out)?;
        } else {
            out.push(self.send(&to, message));
        }
        Ok(())
    }

    /// Ends a task whose time is up.
    fn give_up(&mut self, id: u64, out: &mut Vec<Output>) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        let answers = task.answers();
        match (task.ticket.take(), task.kind) {
            (Some(ticket), Kind::Write(write)) => {
                self.counters.partial_writes += 1;
                let text =
                    format!("{answers} of {} replicas confirmed in time; the write is not taken back", self.policy.w);
                let achieved = self.policy.bug == Some(Bug::CountPartialWrite) && answers > 0;
                let unknown = || Err(Refusal::unknown(Code::QuorumNotReached, text));
                out.push(Output::Reply(ticket, if achieved { Ok(write.reply) } else { unknown() }));
            }
            (Some(ticket), Kind::Read(_)) => {
                let text = format!("{answers} of {} replicas answered in time", self.policy.r);
                out.push(Output::Reply(ticket, Err(Refusal::definite(Code::QuorumNotReached, text))));
            }
            (None, Kind::Read(read)) => self.repair(&task.key, &read, out),
            (None, Kind::Write(_)) => {}
        }
    }
}
