//! Clients' requests: transactions at the leader, reads anywhere, tokens.

use std::time::Duration;

use super::{CONFIRM_LIMIT, Node, Pending, Position, Role, Waiting};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Operation, Outcome, Refusal, Reply, Request, Version, apply_all};
use crate::store::sql;
use crate::store::{Store, StoreError};

/// How long a replica waits for a token unless told otherwise, and at most.
const TOKEN_WAIT: Duration = Duration::from_millis(30);
const TOKEN_WAIT_MOST: Duration = Duration::from_secs(2);
/// How many reads may wait for their tokens.
const WAITING: usize = 10_000;

/// How a token relates to this node's log.
enum Token {
    Reached,
    Ahead,
    Discarded,
}

impl Node {
    /// A client asks.
    pub fn request(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let writes = request.ops.iter().any(Operation::writes);
        if (writes || request.leader)
            && let Err(refusal) = self.must_lead(writes)
        {
            out.push(Output::Reply(ticket, Err(refusal)));
            return Ok(());
        }
        if self.suspect && !self.is_leader() {
            out.push(Output::Reply(ticket, Err(behind(&self.me.name))));
            return Ok(());
        }
        match self.fits(&request) {
            Token::Reached if self.lags(now, &request) => {
                out.push(Output::Reply(ticket, Err(lags(&self.me.name))));
                return Ok(());
            }
            Token::Reached => {}
            Token::Discarded => {
                out.push(Output::Reply(ticket, Err(discarded())));
                return Ok(());
            }
            Token::Ahead => {
                let wait = request.wait_ms.map_or(TOKEN_WAIT, Duration::from_millis).min(TOKEN_WAIT_MOST);
                if self.waiting.len() >= WAITING {
                    out.push(Output::Reply(ticket, Err(behind(&self.me.name))));
                } else {
                    self.waiting.push(Waiting { ticket, request, deadline: now + wait });
                }
                return Ok(());
            }
        }
        match self.execute(store, &request.ops)? {
            Err(refusal) => out.push(Output::Reply(ticket, Err(refusal))),
            Ok(results) => self.answer(now, ticket, &request, results, writes, out),
        }
        Ok(())
    }

    fn must_lead(&self, writes: bool) -> Result<(), Refusal> {
        let refusal = match &self.role {
            Role::Leader(leading) => match &leading.handing_to {
                Some((heir, _)) if writes => Refusal {
                    leader: Some(heir.clone()),
                    ..Refusal::definite(Code::NotLeader, format!("{} is handing over to {heir}", self.me.name))
                },
                _ => return Ok(()),
            },
            _ => match &self.leader {
                Some(leader) => Refusal {
                    leader: Some(leader.clone()),
                    ..Refusal::definite(Code::NotLeader, format!("{} does not lead, {leader} does", self.me.name))
                },
                None => Refusal::definite(Code::NoLeader, format!("{} knows no leader at the moment", self.me.name)),
            },
        };
        Err(refusal)
    }

    /// How everything that the request must not be older than relates to this node's log.
    fn fits(&self, request: &Request) -> Token {
        let mut worst = Token::Reached;
        for token in request.token.iter().chain(&request.also) {
            match self.token(*token) {
                Token::Discarded => return Token::Discarded,
                Token::Ahead => worst = Token::Ahead,
                Token::Reached => {}
            }
        }
        // Whoever leads has applied whatever there is.
        let late = request.after_wall.is_some_and(|wall| self.wall < wall) && !self.is_leader();
        if late { Token::Ahead } else { worst }
    }

    /// Whether this node's history contains the token. Where it is known to have gone on in a later term without the token's entry, it never will.
    fn token(&self, token: Position) -> Token {
        if self.contains(token) {
            return Token::Reached;
        }
        let later = self.terms.iter().find(|(term, _)| *term > token.0);
        // A tail of this node's own may be what is discarded: only what is committed proves anything.
        if later.is_some_and(|(_, first)| *first <= self.committed) { Token::Discarded } else { Token::Ahead }
    }

    /// Whether the entry at a position is part of this log.
    pub fn contains(&self, (term, index): Position) -> bool {
        index <= self.last.1 && self.term_at(index) == term
    }

    /// Does all operations or none; the changes become one entry.
    fn execute(&mut self, store: &mut Store, ops: &[Operation]) -> Result<Result<Vec<Outcome>, Refusal>, StoreError> {
        if ops.iter().any(|operation| matches!(operation, Operation::Sql { .. })) {
            return self.transact(store, ops);
        }
        let of_tables = |operation: &&Operation| operation.writes() && store.is_sql(operation.key());
        if let Some(operation) = ops.iter().find(of_tables) {
            let why = format!("{} is a row of a table; write it by the operation sql", operation.key());
            return Ok(Err(Refusal::definite(Code::BadRequest, why)));
        }
        let (results, changes) = match apply_all(ops, |key| store.get(key))? {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if ops.iter().any(Operation::writes) {
            let entry = self.entry(changes);
            self.write(store, entry)?;
        }
        Ok(Ok(results))
    }

    fn answer(
        &mut self,
        now: Duration,
        ticket: Ticket,
        request: &Request,
        results: Vec<Outcome>,
        writes: bool,
        out: &mut Vec<Output>,
    ) {
        let early = !writes && self.policy.bug == Some(Bug::EarlyVisible);
        let (term, index) = if writes || early || !self.is_leader() { self.last } else { self.decisive(request) };
        let version = Some(match request.dated {
            true => Version::Dated { term, index, wall: self.cache.back().map_or(self.wall, |entry| entry.wall) },
            false => Version::Position { term, index },
        });
        let reply = Reply { node: self.me.name.clone(), results, version, contexts: Vec::new() };
        let lease = self.lease_until();
        match &mut self.role {
            Role::Leader(_) if early => out.push(match lease {
                Some(until) if request.leader => Output::ReplyBefore(ticket, Ok(reply), until),
                _ => Output::Reply(ticket, Ok(reply)),
            }),
            Role::Leader(leading) => leading.wait(Pending {
                position: index,
                ticket,
                reply,
                writes,
                // A leader that may have been replaced does not know what it lacks.
                leased: (request.leader || request.max_lag_ms.is_some()) && !writes,
                deadline: now + CONFIRM_LIMIT,
            }),
            Role::Follower | Role::Candidate(_) => out.push(Output::Reply(ticket, Ok(reply))),
        }
    }

    /// The position that a leader's read stands at: no entry after it touches the keys, so nothing after it has to be confirmed first. Nor does it lie before the
    /// entry that opened the term, or before the token.
    fn decisive(&self, request: &Request) -> Position {
        if self.cache.front().is_none_or(|oldest| oldest.index > self.committed + 1) {
            return self.last;
        }
        // A statement may touch any row.
        let touches = |key: &str| {
            let of = |asked: &str| asked == key || (key == sql::RUN && asked.starts_with(sql::KEYS));
            request.ops.iter().any(|operation| of(operation.key()))
        };
        let open = self.cache.iter().rev().take_while(|entry| entry.index > self.committed);
        let newest = open.into_iter().find(|entry| entry.changes.iter().any(|(key, _)| touches(key)));
        let opened = self.terms.last().map_or(0, |(_, first)| *first);
        let token = request.token.map_or(0, |(_, index)| index);
        let index = newest.map_or(0, |entry| entry.index).max(self.committed).max(opened).max(token).min(self.last.1);
        (self.term_at(index), index)
    }

    /// Looks again at the reads that wait for their tokens.
    pub fn serve_waiting(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        for waiting in std::mem::take(&mut self.waiting) {
            match self.fits(&waiting.request) {
                Token::Ahead if now < waiting.deadline => self.waiting.push(waiting),
                Token::Ahead => out.push(Output::Reply(waiting.ticket, Err(behind(&self.me.name)))),
                Token::Reached | Token::Discarded => self.request(store, now, waiting.ticket, waiting.request, out)?,
            }
        }
        Ok(())
    }
}

fn behind(name: &str) -> Refusal {
    Refusal::definite(Code::Behind, format!("{name} has not caught up with the token"))
}

fn lags(name: &str) -> Refusal {
    Refusal::definite(Code::Behind, format!("{name} does not know that it lags by no more than was asked for"))
}

fn discarded() -> Refusal {
    Refusal::definite(Code::TokenDiscarded, "the token's write was discarded by a failover; begin a new session")
}
