//! What can be learnt from a statement's text, token by token: no more than what the authorizer cannot tell.

use super::guard::{WATCH, is_clock_or_chance};

/// A token: where it lies, and whether it is a word, a string or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    begin: usize,
    text: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Text,
    Other,
}

/// The tokens, without spaces and comments. What is not closed ends with the text.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at + 2..].find("*/").map_or(bytes.len(), |end| at + 2 + end + 2);
                continue;
            }
            quote @ (b'\'' | b'"' | b'`') => {
                at = closed(bytes, at, quote);
                if quote == b'\'' { Kind::Text } else { Kind::Other }
            }
            byte if is_word(byte) => {
                at = bytes[at..].iter().position(|byte| !is_word(*byte)).map_or(bytes.len(), |end| at + end);
                Kind::Word
            }
            _ => {
                at += 1;
                Kind::Other
            }
        };
        tokens.push(Token { begin, text: &text[begin..at], kind });
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// Behind the quote that closes the one at `begin`; a doubled quote is part of the text.
fn closed(bytes: &[u8], begin: usize, quote: u8) -> usize {
    let mut at = begin + 1;
    while at < bytes.len() {
        match (bytes[at] == quote, bytes.get(at + 1) == Some(&quote)) {
            (true, true) => at += 2,
            (true, false) => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    tokens(text).into_iter().filter(|token| token.kind == Kind::Word).map(|token| token.text.to_ascii_lowercase())
}

/// The first word, in small letters.
pub fn verb(text: &str) -> Option<String> {
    words(text).next()
}

/// Whether the statement creates or drops something.
pub fn defines(text: &str) -> bool {
    verb(text).is_some_and(|verb| matches!(verb.as_str(), "create" | "drop"))
}

/// Whether the statement certainly changes nothing.
pub fn only_asks(text: &str) -> bool {
    verb(text).is_some_and(|verb| verb == "select")
}

/// A moment, nanoseconds since the epoch, as SQLite writes it: "YYYY-MM-DD HH:MM:SS.SSS", UTC.
pub fn date(wall: i64) -> String {
    let (days, rest) = (wall.div_euclid(86_400_000_000_000), wall.rem_euclid(86_400_000_000_000) / 1_000_000);
    // Days to a date in the proleptic Gregorian calendar, years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = (if month < 10 { month + 3 } else { month - 9 }, year + era * 400);
    let year = if month <= 2 { year + 1 } else { year };
    let (seconds, milliseconds) = (rest / 1_000, rest % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{date:02} {hours:02}:{minutes:02}:{:02}.{milliseconds:03}", seconds % 60)
}

/// Whether a name occurs, quoted or not.
pub fn names(text: &str, name: &str) -> bool {
    tokens(text).iter().any(|token| token.text.trim_matches(['"', '`', '\'', '[', ']']).eq_ignore_ascii_case(name))
}

/// Why a statement is refused before SQLite sees it: what would end the transaction of everybody, and what the log cannot carry.
pub fn refusal(text: &str) -> Option<String> {
    let refused = |word: &String| matches!(word.as_str(), "rollback" | "autoincrement");
    if text.contains('\0') {
        return Some("a statement has no NUL".to_string());
    }
    let known = ["select", "with", "insert", "replace", "update", "delete", "create", "drop"];
    if verb(text).is_none_or(|verb| !known.contains(&verb.as_str())) {
        return Some(format!("a statement begins with one of {}", known.join(", ")));
    }
    // SQLite takes a string for a name where only a name can be.
    let bare = |token: &Token<'_>| token.text.trim_matches(['"', '`', '\'']).to_ascii_lowercase();
    let may_be_name = |token: &Token<'_>| token.kind != Kind::Text || defines(text);
    if tokens(text).iter().any(|token| may_be_name(token) && bare(token).starts_with(WATCH)) {
        return Some(format!("names with {WATCH} are the store's own"));
    }
    words(text).find(|word| refused(word)).map(|word| format!("{} is not allowed here", word.to_uppercase()))
}

/// Whether the statement takes some rows and leaves others without saying in which order: LIMIT without ORDER BY.
pub fn depends_on_order(text: &str) -> bool {
    let words: Vec<String> = words(text).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    has("limit") && !has("order")
}

/// Whether the text itself names a function of clock or chance. For definitions: what they name runs later, where no literal reaches it.
pub fn has_clock_or_chance(text: &str) -> bool {
    let tokens = tokens(text);
    (0..tokens.len()).any(|at| is_asked(&tokens, at))
}

/// Whether the token asks the clock or chance: a keyword such as CURRENT_TIMESTAMP, or a function's name before its parenthesis.
fn is_asked(tokens: &[Token<'_>], at: usize) -> bool {
    let token = tokens[at];
    let called = tokens.get(at + 1).is_some_and(|next| next.text == "(");
    let keyword = token.text.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("current_"));
    token.kind == Kind::Word && is_clock_or_chance(token.text) && (called || keyword)
}

/// The statement with literals in the place of what asks the clock or chance (like: MySQL, whose statement log carries the time and the seed). `now` is
/// "YYYY-MM-DD HH:MM:SS.SSS", UTC; `chance` draws 64 bits. One call in the text becomes one literal, however many rows it was for.
pub fn with_literals(text: &str, now: &str, mut chance: impl FnMut() -> i64) -> String {
    let tokens = tokens(text);
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    let mut replace = |from: usize, to: usize, with: &str| {
        out.push_str(&text[copied..from]);
        out.push_str(with);
        copied = to;
    };
    // How deep in parentheses each open call of a date function began.
    let (mut depth, mut dates) = (0usize, Vec::new());
    while at < tokens.len() {
        let token = tokens[at];
        let end = |index: usize| tokens[index].begin + tokens[index].text.len();
        let lower = token.text.to_ascii_lowercase();
        let after = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        match lower.as_str() {
            "(" => depth += 1,
            ")" => {
                depth = depth.saturating_sub(1);
                while dates.last().is_some_and(|begun| *begun >= depth) {
                    dates.pop();
                }
            }
            "'now'" if !dates.is_empty() => replace(token.begin, end(at), &format!("'{now}'")),
            _ if !is_asked(&tokens, at) => {}
            "current_timestamp" => replace(token.begin, end(at), &format!("'{}'", &now[..now.len().min(19)])),
            "current_date" => replace(token.begin, end(at), &format!("'{}'", &now[..now.len().min(10)])),
            "current_time" => replace(token.begin, end(at), &format!("'{}'", now.get(11..19).unwrap_or(now))),
            "random" if after(2) == ")" => {
                replace(token.begin, end(at + 2), &format!("({})", chance().max(i64::MIN + 1)));
                at += 2;
            }
            "randomblob" if after(3) == ")" && after(2).parse::<usize>().is_ok_and(|length| length <= 1_000) => {
                let length: usize = after(2).parse().unwrap_or(0);
                let digits: String = (0..length.max(1)).map(|_| format!("{:02X}", chance() as u8)).collect();
                replace(token.begin, end(at + 3), &format!("X'{digits}'"));
                at += 3;
            }
            "strftime" if after(3) == ")" => {
                replace(token.begin, end(at + 3), &format!("strftime({},'{now}')", after(2)));
                at += 3;
            }
            "random" | "randomblob" => {}
            _ if after(2) == ")" => {
                replace(token.begin, end(at + 2), &format!("{}('{now}')", token.text));
                at += 2;
            }
            _ => dates.push(depth),
        }
        at += 1;
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> String {
        with_literals(text, "2026-01-02 03:04:05.678", || 7)
    }

    #[test]
    fn what_asks_the_clock_or_chance_becomes_a_literal() {
        for (text, expected) in [
            ("insert into u_a values (random(), 'random()')", "insert into u_a values ((7), 'random()')"),
            ("select CURRENT_TIMESTAMP, current_date", "select '2026-01-02 03:04:05', '2026-01-02'"),
            ("select datetime('now', '+1 day'), 'now'", "select datetime('2026-01-02 03:04:05.678', '+1 day'), 'now'"),
            ("select unixepoch(), random ( )", "select unixepoch('2026-01-02 03:04:05.678'), (7)"),
            ("select strftime('%s')", "select strftime('%s','2026-01-02 03:04:05.678')"),
            ("select randomblob(2) -- random()", "select X'0707' -- random()"),
            ("select date from u_a /* random() */", "select date from u_a /* random() */"),
        ] {
            assert_eq!(literal(text), expected);
        }
    }

    #[test]
    fn a_limit_without_an_order_depends_on_the_order_of_rows() {
        assert!(depends_on_order("delete from u_a where id in (select id from u_a limit 3)"));
        assert!(!depends_on_order("select 'limit'"));
        assert!(!depends_on_order("select id from u_a order by id limit 3"));
    }

    #[test]
    fn a_moment_is_written_as_sqlite_writes_it() {
        assert_eq!(date(0), "1970-01-01 00:00:00.000");
        assert_eq!(date(1_709_210_096_789_000_000), "2024-02-29 12:34:56.789");
        assert_eq!(date(-1_000_000), "1969-12-31 23:59:59.999");
    }

    #[test]
    fn no_text_brings_the_tokens_out_of_step() {
        for text in ["'", "/*", "--", "a'b''", "\"", "é'ü", "random(", "datetime('now'", "))))'now'", "strftime(", ""]
        {
            assert!(literal(text).len() >= text.len().min(1), "{text}");
            assert!(!refusal(text).is_some_and(|why| why.is_empty()));
        }
        assert!(refusal("explain create table u_a (id)").is_some());
        assert!(refusal("insert or rollback into u_a values (1)").is_some());
    }
}
