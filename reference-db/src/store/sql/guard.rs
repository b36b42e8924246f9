//! What a client's statement may touch, decided by SQLite's authorizer while it is prepared: users' tables, and nothing else.
//!
//! It also notes what the statement is: whether it defines something, and whether it asks the clock or chance. SQLite names the functions of triggers and
//! of columns' defaults here too, which no look at the statement's own text would find.

use std::sync::{Arc, Mutex};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// What the names of users' tables, indexes and triggers begin with.
pub const PREFIX: &str = "u_";

/// What the names of the triggers that capture begin with.
pub const WATCH: &str = "watch_";

/// Functions whose answer differs from node to node or from moment to moment. Those of dates do only without a date, but that is their common use.
const CLOCK_OR_CHANCE: &[&str] = &[
    "random",
    "randomblob",
    "current_timestamp",
    "current_date",
    "current_time",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "timediff",
];

/// Functions of the connection, of files or of foreign code.
const FORBIDDEN: &[&str] =
    &["changes", "total_changes", "last_insert_rowid", "load_extension", "readfile", "writefile", "edit", "sqlite_log"];

/// Whether a function's answer differs from node to node or from moment to moment.
pub fn is_clock_or_chance(function: &str) -> bool {
    CLOCK_OR_CHANCE.iter().any(|name| function.eq_ignore_ascii_case(name))
}

/// Whether a name is one of a user's table, index or trigger.
pub fn is_users(name: &str) -> bool {
    name.starts_with(PREFIX) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What was noticed while a statement was prepared.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether it asks the clock or chance.
    pub varies: bool,
    /// Whether it creates or drops something.
    pub defines: bool,
    /// The table that it drops.
    pub drops: Option<String>,
    /// Why it is refused.
    pub why: Option<String>,
}

/// Notes and decides; what was noticed is in `seen` afterwards.
pub fn authorizer(seen: Arc<Mutex<Seen>>) -> impl for<'a> FnMut(AuthContext<'a>) -> Authorization + Send + 'static {
    move |context| {
        let mut seen = seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // What the triggers that capture do is the store's own.
        if context.accessor.is_some_and(|name| name.starts_with(WATCH)) {
            return Authorization::Allow;
        }
        match judge(&context.action, &mut seen) {
            Ok(()) => Authorization::Allow,
            Err(why) => {
                seen.why.get_or_insert(why);
                Authorization::Deny
            }
        }
    }
}

fn judge(action: &AuthAction<'_>, seen: &mut Seen) -> Result<(), String> {
    let users = |name: &str| match is_users(name) {
        true => Ok(()),
        false => Err(format!(
            "{name:?} is no table, index or trigger of users: their names are {PREFIX} and letters, digits or _"
        )),
    };
    let schema =
        |name: &str| matches!(name, "sqlite_master" | "sqlite_schema" | "sqlite_temp_master" | "sqlite_temp_schema");
    match action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Reindex { .. } => Ok(()),
        AuthAction::Function { function_name } => {
            seen.varies |= is_clock_or_chance(function_name);
            match FORBIDDEN.iter().any(|name| function_name.eq_ignore_ascii_case(name)) {
                true => Err(format!("the function {function_name} is not allowed")),
                false => Ok(()),
            }
        }
        AuthAction::Read { table_name, .. } if matches!(*table_name, "json_each" | "json_tree") => Ok(()),
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Read { table_name, .. } => {
            if schema(table_name) {
                Ok(())
            } else {
                users(table_name)
            }
        }
        // The index behind a UNIQUE, and what goes with a dropped table.
        AuthAction::CreateIndex { index_name, table_name } if index_name.starts_with("sqlite_autoindex_") => {
            users(table_name)
        }
        AuthAction::DropTempTrigger { trigger_name, .. } if trigger_name.starts_with(WATCH) => Ok(()),
        AuthAction::CreateTable { table_name: name }
        | AuthAction::CreateIndex { index_name: name, .. }
        | AuthAction::CreateTrigger { trigger_name: name, .. }
        | AuthAction::DropIndex { index_name: name, .. }
        | AuthAction::DropTrigger { trigger_name: name, .. } => {
            seen.defines = true;
            users(name)
        }
        AuthAction::DropTable { table_name } => {
            seen.defines = true;
            seen.drops = Some(table_name.to_string());
            users(table_name)
        }
        _ => Err("only statements on tables are allowed: SELECT, INSERT, UPDATE, DELETE, and CREATE and DROP of \
                  tables, indexes and triggers"
            .to_string()),
    }
}
