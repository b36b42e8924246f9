//! Bank accounts: transfers move money, and every read shows the same total.
//!
//! Jepsen's `tests.bank` as elle-cli has it: each read is judged by the first of four rules that it breaks. It shows an account
//! that does not exist (`unexpected-key`), an account without a balance (`nil-balance`), another total (`wrong-total`), an
//! overdrawn account (`negative-value`). What the accounts are and what they hold together is taken from the first read where the
//! options don't say.
//!
//! Snapshot isolation suffices for the total: a read that breaks it saw part of a transfer, or a transfer was lost in part.
//!
//! Cost: one step for each balance of each read.

use serde_json::{Map, Value as Json, json};

use super::elements::{Elements, NONE};
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, &[], bank)
}

/// Reads of maps, and transfers. Where there are only reads, balances must be numbers.
pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, &[]);
    let reads = || rows.iter().filter(|row| row.is("read") && row.ok());
    let transfers = rows.iter().any(|row| row.is("transfer"));
    let balances =
        |value: &Value| entries(value).is_some_and(|all| all.iter().all(|(_, it)| transfers || it.int().is_some()));
    rows.iter().all(|row| row.is("read") || row.is("transfer"))
        && reads().next().is_some()
        && reads().all(|row| balances(row.value))
}

fn entries(value: &Value) -> Option<&[(Value, Value)]> {
    if let Value::Map(entries) = value { Some(entries) } else { None }
}

/// What one read breaks, by Jepsen's name, and how badly.
struct Wrong {
    kind: &'static str,
    at: usize,
    total: i128,
    badness: f64,
    what: String,
}

struct Bank<'a> {
    accounts: Elements<'a>,
    total: i128,
    /// The index of the read that they were taken from.
    shown_by: Option<u64>,
    overdraft: bool,
}

fn total(balances: &[(Value, Value)]) -> i128 {
    balances.iter().filter_map(|(_, balance)| balance.int()).map(i128::from).sum()
}

impl Bank<'_> {
    fn wrong(&self, at: usize, balances: &[(Value, Value)]) -> Option<Wrong> {
        let total = total(balances);
        let wrong = |kind, badness, what| Some(Wrong { kind, at, total, badness, what });
        let listed = |all: &mut dyn Iterator<Item = &(Value, Value)>| {
            let texts: Vec<String> = all.take(4).map(|(account, it)| format!("{account}: {it}")).collect();
            texts.join(", ")
        };
        let strange = || balances.iter().filter(|(account, _)| self.accounts.find(account) == NONE);
        let empty = || balances.iter().filter(|(_, balance)| balance.int().is_none());
        let negative = || balances.iter().filter(|(_, balance)| balance.int().is_some_and(|it| it < 0));
        if strange().next().is_some() {
            let what = format!("shows accounts that do not exist ({})", listed(&mut strange()));
            return wrong("unexpected-key", strange().count() as f64, what);
        }
        if empty().next().is_some() {
            return wrong(
                "nil-balance",
                empty().count() as f64,
                format!("shows no balance of {}", listed(&mut empty())),
            );
        }
        if total != self.total {
            let badness = (total - self.total).unsigned_abs() as f64 / (self.total.unsigned_abs() as f64).max(1.0);
            let what = match self.shown_by {
                Some(first) => {
                    format!("shows {total} in all, where the read of operation {first} shows {}", self.total)
                }
                None => format!("shows {total} in all, and the accounts hold {}", self.total),
            };
            return wrong(
                "wrong-total",
                badness,
                format!("{what}: it saw part of a transfer, or a transfer was lost in part"),
            );
        }
        if !self.overdraft && negative().next().is_some() {
            let sum: i128 = negative().filter_map(|(_, it)| it.int()).map(i128::from).sum();
            return wrong(
                "negative-value",
                -(sum as f64),
                format!("shows overdrawn accounts ({})", listed(&mut negative())),
            );
        }
        None
    }
}

/// What the options say, or else the first read that shows a balance of each account.
fn open<'a>(reads: &[(usize, &'a [(Value, Value)])], rows: &[Row<'a>], options: &'a Options) -> Option<Bank<'a>> {
    let whole = |(_, all): &&(usize, &[(Value, Value)])| all.iter().all(|(_, balance)| balance.int().is_some());
    let (first, shown) = *reads.iter().find(whole).or(reads.first())?;
    let mut accounts = Elements::default();
    match &options.accounts {
        Some(given) => given.iter().for_each(|account| {
            accounts.id(account);
        }),
        None => shown.iter().for_each(|(account, _)| {
            accounts.id(account);
        }),
    }
    Some(Bank {
        accounts,
        total: options.total_amount.map_or_else(|| total(shown), i128::from),
        shown_by: options.total_amount.is_none().then(|| rows[first].index()),
        overdraft: options.negative_balances,
    })
}

fn bank(rows: &[Row<'_>], options: &Options) -> Draft {
    let mut draft = Draft::of("reads of all accounts");
    let mut reads: Vec<(usize, &[(Value, Value)])> = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.is("read") && row.ok()) {
        match entries(row.value) {
            Some(balances) => reads.push((at, balances)),
            None => {
                draft.unknown(format!("operation {} reads {}, which is no map of accounts", row.index(), row.value))
            }
        }
    }
    reads.sort_by_key(|(at, _)| rows[*at].call.end);
    draft.evidence.opportunities = reads.len() as u64;
    draft.number("read-count", reads.len());
    let Some(bank) = open(&reads, rows, options) else { return draft };
    if bank.shown_by.is_some() || options.accounts.is_none() {
        let what = match (options.accounts.is_none(), bank.shown_by.is_some()) {
            (true, true) => format!("the accounts and their total of {}", bank.total),
            (true, false) => "the accounts".into(),
            _ => format!("the total of {}", bank.total),
        };
        draft.notes.push(format!("{what} were taken from the first read"));
    }
    let wrong: Vec<Wrong> = reads.iter().filter_map(|(at, balances)| bank.wrong(*at, balances)).collect();
    results(&mut draft, rows, &wrong, bank.shown_by);
    oversized(&mut draft, rows, options);
    draft
}

fn results(draft: &mut Draft, rows: &[Row<'_>], wrong: &[Wrong], shown_by: Option<u64>) {
    let mut kinds: Map<String, Json> = Map::new();
    for kind in ["unexpected-key", "nil-balance", "wrong-total", "negative-value"] {
        let these: Vec<&Wrong> = wrong.iter().filter(|it| it.kind == kind).collect();
        let (Some(first), Some(last)) = (these.first(), these.last()) else { continue };
        let index = |it: &Wrong| rows[it.at].index();
        let worst = these.iter().max_by(|a, b| a.badness.total_cmp(&b.badness)).map_or(0, |it| index(it));
        let mut entry = json!({ "count": these.len(), "first": index(first), "worst": worst, "last": index(last) });
        if kind == "wrong-total" {
            entry["lowest"] = these.iter().min_by_key(|it| it.total).map(|it| index(it)).into();
            entry["highest"] = these.iter().max_by_key(|it| it.total).map(|it| index(it)).into();
        }
        kinds.insert(kind.into(), entry);
        let mut ops = vec![index(first)];
        ops.extend(shown_by.filter(|_| kind == "wrong-total"));
        ops.sort_unstable();
        let text = format!("The read of operation {} {}.", index(first), first.what);
        draft.problems_of(kind, these.len() as u64, ops.len(), || (text, ops));
    }
    draft.number("error-count", wrong.len());
    draft.number("first-error", wrong.iter().map(|it| rows[it.at].index()).min());
    draft.number("errors", kinds);
}

fn oversized(draft: &mut Draft, rows: &[Row<'_>], options: &Options) {
    let Some(most) = options.max_transfer else { return };
    let amount = |row: &Row<'_>| row.given().get("amount").and_then(Value::int).is_some_and(|amount| amount > most);
    let count = rows.iter().filter(|row| row.is("transfer") && amount(row)).count();
    if count > 0 {
        draft.notes.push(format!("{count} transfers were of more than {most}"));
    }
}
