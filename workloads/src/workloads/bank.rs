//! `bank`: transfers between accounts, and reads of all accounts of a bank at once.
//!
//! An account is a register, a balance is written as `BALANCE#WRITE`, so that every value is unique and the other checkers can follow it too. A bank is
//! opened by one client in one transaction; a transfer compares and sets two accounts that its client has just read, so on one leader nothing
//! is ever lost or made. like: Jepsen's `tests.bank`.

use std::sync::Arc;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step, Steps};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{Params, Workload};

/// How many banks are open at once.
const ACTIVE: u64 = 4;
/// How many accounts a bank has.
const ACCOUNTS: usize = 4;
/// What is on each when the bank opens.
const OPENING: i64 = 100;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "bank",
    about: "transfers between two accounts, reads of all accounts of a bank at once",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "totals"],
    ops_per_key: 60,
    refuses: |can| match (can.cas, can.atomic_reads) {
        (false, _) => Some("it cannot compare and set"),
        (_, false) => Some("it cannot read several keys at once"),
        _ => None,
    },
    user: |_| None,
    build: |params| Box::new(Bank::new(params)),
};

struct Bank {
    values: UniqueValues,
    window: Window,
    done: u64,
    /// The next bank that this client opens.
    own: u64,
    /// A bank that was read just now, with what its accounts hold.
    fresh: Option<(u64, Vec<Atom>)>,
}

impl Bank {
    fn new(params: &Params) -> Self {
        Bank {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            done: 0,
            own: params.client as u64,
            fresh: None,
        }
    }

    fn written(&mut self, balance: i64) -> Atom {
        Atom::Text(Arc::from(format!("{balance}#{}", self.values.draw())))
    }

    fn opening(&mut self, bank: u64) -> Steps {
        let accounts = 0..ACCOUNTS;
        accounts
            .map(|nth| Step { key: account(bank, nth), action: Action::Cas { old: None, new: self.written(OPENING) } })
            .collect()
    }

    /// Moves some of what one account has to another; `None` where it has nothing.
    fn transfer(&mut self, bank: u64, held: &[Atom], rng: &mut ChaCha8Rng) -> Option<Steps> {
        let from = rng.random_range(0..ACCOUNTS);
        let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let [has, gets] = [balance(&held[from])?, balance(&held[to])?];
        let amount = rng.random_range(1..=has.clamp(1, 30));
        let mut step = |nth: usize, balance: i64| {
            let new = self.written(balance);
            Step { key: account(bank, nth), action: Action::Cas { old: Some(held[nth].clone()), new } }
        };
        (has >= amount).then(|| [step(from, has - amount), step(to, gets + amount)].into_iter().collect())
    }
}

fn account(bank: u64, nth: usize) -> Atom {
    Atom::Text(Arc::from(format!("bank-{bank}/account-{nth}")))
}

fn balance(value: &Atom) -> Option<i64> {
    let Atom::Text(text) = value else { return None };
    text.split('#').next()?.parse().ok()
}

impl Generator for Bank {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let base = self.window.base(self.done, context.clients);
        let bank = self.window.draw(self.done, context.clients, rng) as u64;
        self.done += 1;
        let txn = |steps: Steps| Next::Op(Draft { function: Function::Txn, steps });
        // A client that was stalled opens no bank that the others have left.
        while self.own < base {
            self.own += context.clients.max(1) as u64;
        }
        if self.own < base + ACTIVE {
            let opened = self.own;
            self.own += context.clients.max(1) as u64;
            return txn(self.opening(opened));
        }
        if let Some((bank, held)) = self.fresh.take()
            && let Some(steps) = self.transfer(bank, &held, rng)
        {
            return txn(steps);
        }
        txn((0..ACCOUNTS).map(|nth| Step { key: account(bank, nth), action: Action::Read(None) }).collect())
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        if completion.kind != Kind::Ok || completion.steps.len() != ACCOUNTS {
            return;
        }
        let held = completion.steps.iter().map(|step| match &step.action {
            Action::Read(Some(Reading::One(value))) => Some(value.clone()),
            _ => None,
        });
        let bank = completion.steps.first().and_then(|step| match &step.key {
            Atom::Text(key) => key.strip_prefix("bank-")?.split('/').next()?.parse().ok(),
            Atom::Int(_) => None,
        });
        self.fresh = bank.zip(held.collect());
    }
}
