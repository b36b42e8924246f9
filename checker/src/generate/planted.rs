//! Anomalies planted into a valid history: the drawings of the explanations, on keys and processes of their own.

use super::Written;
use crate::explain;
use crate::value::Value;

/// Keys from here on are those of what was planted.
pub const KEYS: i64 = 1_000_000_000;

/// Processes from here on too.
pub const PROCESSES: u64 = 500_000;

/// The events of `anomaly`'s drawing, for a history of transactions; `lists` says over what.
///
/// # Errors
///
/// A sentence: nobody knows the anomaly, or transactions of that shape cannot show it.
pub fn planted(anomaly: &str, lists: bool) -> Result<Vec<Written>, String> {
    let Some(entry) = explain::named(anomaly).filter(|entry| entry.about == explain::About::Anomaly) else {
        let known: Vec<&str> = names();
        return Err(format!("no anomaly is called {anomaly:?}; there are {}", known.join(", ")));
    };
    if entry.drawing.is_empty() {
        return Err(format!("{} has no drawing of transactions that could be planted", entry.name));
    }
    let drawn_lists = !entry.drawing.contains('=');
    let drawing = if drawn_lists == lists {
        entry.drawing.to_string()
    } else if drawn_lists && !entry.drawing.contains(',') {
        // Lists of one element are registers.
        entry.drawing.replace('+', "=")
    } else {
        let (has, wants) = if drawn_lists { ("lists", "registers") } else { ("registers", "lists") };
        return Err(format!("{} shows in {has} only: it cannot be planted among {wants}", entry.name));
    };
    let mut events = crate::drawn::events(&drawing)?;
    let mut keys: Vec<Value> = Vec::new();
    for event in &mut events {
        event.process += PROCESSES;
        let Value::List(steps) = &mut event.value else { continue };
        for step in steps {
            if let Value::List(parts) = step
                && let Some(key) = parts.get_mut(1)
            {
                let at = keys.iter().position(|known| known == key).unwrap_or_else(|| {
                    keys.push(key.clone());
                    keys.len() - 1
                });
                *key = Value::Int(KEYS + at as i64);
            }
        }
    }
    Ok(events)
}

/// What can be planted.
pub fn names() -> Vec<&'static str> {
    explain::entries()
        .filter(|entry| entry.about == explain::About::Anomaly && !entry.drawing.is_empty())
        .map(|entry| entry.name)
        .collect()
}
