//! How a file is written, told by its beginning.

use crate::formats::{awdit, dbcop, plume};
use crate::history::HistoryError;
use crate::text::{self, Scanner, Syntax, Token, events::Who, template::Learnt};
use crate::txn::Transactions;

/// A way to write histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// EDN, as Jepsen writes it: one map a line, or one list of maps.
    Edn,
    /// JSON lines, or one array.
    Json,
    /// The lines of Jepsen's log, or of its `history.txt`, which Porcupine's examples are made of.
    Jepsen,
    /// `r(key,value,session,transaction)`.
    Plume,
    /// `r key value`, with lines between transactions and sessions.
    Awdit,
    /// dbcop's JSON.
    Dbcop,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] =
        [Format::Edn, Format::Json, Format::Jepsen, Format::Plume, Format::Awdit, Format::Dbcop];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Edn => "edn",
            Format::Json => "json",
            Format::Jepsen => "jepsen-log",
            Format::Plume => "plume",
            Format::Awdit => "awdit",
            Format::Dbcop => "dbcop",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// The format that `text` looks like; EDN where it looks like none.
pub fn recognise(text: &[u8]) -> Format {
    let start = text.trim_ascii_start();
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let solid: Vec<u8> = start.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(16).collect();
    match solid.as_slice() {
        [b'r' | b'w', b'(', ..] => Format::Plume,
        [b'{', b'"', rest @ ..] => {
            let json_lines = text::events(start, Syntax::Json).next().is_some_and(|event| event.is_ok());
            if !json_lines && (rest.starts_with(b"params") || has(start, b"\"data\"")) {
                Format::Dbcop
            } else {
                Format::Json
            }
        }
        [b'[', b'{', b'"', ..] | [b'[', b']'] => Format::Json,
        _ if line == b"-----" || line == b"=====" => Format::Awdit,
        [b'r' | b'w', ..] if line.split(|&byte| byte == b' ').count() == 3 => Format::Awdit,
        _ if log_line(line).is_some() => Format::Jepsen,
        _ => Format::Edn,
    }
}

fn has(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(&text[..text.len().min(4096)], needle).is_some()
}

/// Reads one of the research formats.
pub(super) fn research(text: &[u8], format: Format) -> Result<Transactions, HistoryError> {
    let read = match format {
        Format::Plume => plume::read(text),
        Format::Awdit => awdit::read(text),
        _ => dbcop::read(text),
    };
    read.map_err(|wrong| HistoryError::Line { line: wrong.line, why: wrong.why })
}

/// The parts of a line `… process TAB :type TAB :f TAB value [TAB error]`.
fn log_line(line: &[u8]) -> Option<Vec<&str>> {
    let line = str::from_utf8(line).ok()?;
    // Log lines have a prefix that ends with a dash; history.txt has none.
    let rest = match line.find("jepsen.util") {
        Some(at) => line[at..].split_once('-')?.1,
        None => line,
    };
    let parts: Vec<&str> = rest.split('\t').map(str::trim).filter(|part| !part.is_empty()).collect();
    let [process, kind, _, ..] = parts.as_slice() else { return None };
    let kinds = [":invoke", ":ok", ":fail", ":info"];
    (kinds.contains(kind) && (process.parse::<u64>().is_ok() || process.starts_with(':'))).then_some(parts)
}

/// The events of Jepsen's log lines, as EDN. Lines that are none are left out.
///
/// # Errors
///
/// None of the lines is one.
pub fn events_of_log(text: &[u8]) -> Result<Vec<u8>, HistoryError> {
    use std::io::Write as _;
    let mut out = Vec::with_capacity(text.len() * 2);
    for line in text.split(|&byte| byte == b'\n') {
        let Some(parts) = log_line(line) else {
            // The number of a line stays what it is.
            out.push(b'\n');
            continue;
        };
        // A reply that a failed operation gives instead of a value, such as :timed-out, is an error.
        let (value, error) = match parts.get(3) {
            Some(value) if value.starts_with(':') && parts[1] != ":ok" => ("nil", Some(*value)),
            Some(value) => (*value, parts.get(4).copied()),
            None => ("nil", None),
        };
        // Writing to memory cannot fail.
        let _ = write!(out, "{{:process {}, :type {}, :f {}, :value {value}", parts[0], parts[1], parts[2]);
        if let Some(error) = error {
            let _ = write!(out, ", :error {error}");
        }
        out.extend_from_slice(b"}\n");
    }
    if out.iter().all(|&byte| byte == b'\n') {
        return Err(HistoryError::Line {
            line: 1,
            why: "no line looks like `process TAB :type TAB :f TAB value`".into(),
        });
    }
    Ok(out)
}

/// The names of the operations of clients, in the order in which they first occur.
pub(super) fn functions(text: &[u8], syntax: Syntax) -> Result<Vec<String>, HistoryError> {
    let mut names: Vec<String> = Vec::new();
    let mut last: &[u8] = b"\0";
    let mut lines = Learnt::new(text, syntax);
    loop {
        // Of a line laid out as one before, the name was seen.
        if let Some((_, next)) = lines.guess() {
            lines.accept(next);
            continue;
        }
        let head = match lines.general() {
            None => break,
            Some(Ok(head)) => head,
            Some(Err(wrong)) if crate::log::torn(text, &wrong) => break,
            Some(Err(wrong)) => {
                return Err(HistoryError::Line { line: text::line_of(text, wrong.at), why: wrong.what });
            }
        };
        if head.who == Who::Other || head.f == last {
            continue;
        }
        last = head.f;
        let name = String::from_utf8_lossy(head.f).into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether the first value that is any is a list of steps `[f key value]`.
pub(super) fn looks_like_steps(text: &[u8], syntax: Syntax) -> bool {
    let first = text::events(text, syntax).map_while(Result::ok).find(|head| {
        head.who != Who::Other
            && !head.value.is_empty()
            && head.value != b"nil"
            && head.value != b"null"
            && head.value != b"[]"
    });
    let Some(head) = first else { return false };
    let mut scanner = Scanner::new(head.value, syntax);
    let mut tokens = || scanner.token().ok();
    matches!(tokens(), Some(Token::Open(_)))
        && matches!(tokens(), Some(Token::Open(_)))
        && matches!(tokens(), Some(Token::Word(_) | Token::Text(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_beginning() {
        for (text, format) in [
            ("; comment\n{:type :ok}", Format::Edn),
            ("[{:type :ok}]", Format::Edn),
            ("{\"type\":\"ok\",\"process\":0,\"f\":\"read\"}", Format::Json),
            ("[\n {\"type\":\"ok\"}]", Format::Json),
            ("{\"params\":{},\"data\":[]}", Format::Dbcop),
            ("r(1,2,3,4)\n", Format::Plume),
            ("w 0 1\n-----\nr 0 1", Format::Awdit),
            ("INFO  jepsen.util - 4\t:invoke\t:read\tnil", Format::Jepsen),
            ("4\t:invoke\t:cas\t[1 2]\n", Format::Jepsen),
        ] {
            assert_eq!(recognise(text.as_bytes()), format, "{text}");
        }
    }

    #[test]
    fn log_lines_become_events() {
        let text =
            b"INFO  jepsen.util - 0\t:invoke\t:read\tnil\nnoise\nINFO  jepsen.util - 0\t:fail\t:read\t:timed-out\n";
        let edn = events_of_log(text).unwrap();
        let log = crate::log::Log::read(&edn, Syntax::Edn).unwrap();
        assert_eq!(log.calls.len(), 1);
        assert_eq!(log.calls[0].error.as_ref().and_then(|it| it.text()), Some("timed-out"));
    }
}
