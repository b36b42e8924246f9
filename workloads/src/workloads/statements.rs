//! `statements`: SQL whose effect depends on more than its text: chance, the clock, a trigger; among statements that depend on nothing.
//!
//! A write of a text to a key under `sql/` is a statement; the key says which row it is about, `sql/row/TABLE/ROWID`, and final reads show that row of
//! each replica. Only the reference database with one leader runs statements; to any other the texts are values. What is judged is whether replicas end
//! equal: a statement log runs each text again on every follower (DDIA, chapter 5, "Statement-based replication").

use gainsay_checker::{Action, Atom, Function, OpEvent, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::Workload;

/// How many rows are active at once.
const ACTIVE: u64 = 20;
/// The one table.
const TABLE: &str = "create table if not exists u_notes (id integer primary key, body, mark)";
/// One in so many statements makes sure that the table is there, beside each client's first.
const AGAIN: u32 = 100;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "statements",
    about: "SQL statements, some of which ask the clock, chance or a trigger (refdb, single-leader)",
    exercises: &["convergence"],
    ops_per_key: 40,
    refuses: |_| None,
    user: |_| None,
    build: |params| {
        Box::new(Statements {
            unique: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            done: 0,
        })
    },
};

struct Statements {
    unique: UniqueValues,
    window: Window,
    done: u64,
}

impl Statements {
    /// A statement about the row `id`. The comment at its end keeps every text different from every other.
    fn statement(&mut self, id: i64, rng: &mut ChaCha8Rng) -> String {
        let number = self.unique.draw();
        let text = match rng.random_range(0..10) {
            0..=3 => format!("insert or replace into u_notes (id, body) values ({id}, 'note {number}')"),
            4..=5 => format!("update u_notes set body = body || '.' where id <= {id}"),
            6 => format!("delete from u_notes where id = {id}"),
            7 => format!("insert or replace into u_notes values ({id}, 'drawn', random())"),
            8 => format!("update u_notes set mark = strftime('%Y-%m-%d %H:%M:%f', 'now') where id = {id}"),
            _ => format!(
                "update u_notes set body = 'picked' where id in (select id from u_notes where id <= {id} limit 3)"
            ),
        };
        format!("{text} -- {number}")
    }
}

impl Generator for Statements {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let id = self.window.draw(self.done, context.clients, rng);
        let first = self.done == 0 || rng.random_range(0..AGAIN) == 0;
        self.done += 1;
        let row = || Atom::Text(format!("sql/row/u_notes/{id}").into());
        let write = |key: Atom, text: String| Draft {
            function: Function::Write,
            steps: smallvec![Step { key, action: Action::Write(Atom::Text(text.into())) }],
        };
        Next::Op(if first {
            write(Atom::Text("sql/schema/table/u_notes".into()), format!("{TABLE} -- {}", self.unique.draw()))
        } else if rng.random_bool(0.5) {
            let text = self.statement(id, rng);
            write(row(), text)
        } else {
            Draft { function: Function::Read, steps: smallvec![Step { key: row(), action: Action::Read(None) }] }
        })
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}
