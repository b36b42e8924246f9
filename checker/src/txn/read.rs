//! Transactions from the text of a history.
//!
//! Events are met in order; a transaction's value is looked at once, when it completes: of one that committed the value that it completed
//! with, of any other the value that it was invoked with. Of a list that was read, only what goes beyond the longest list of its key is
//! parsed; the rest is compared as bytes. So long lists cost what comparing memory costs.

use super::builder::{Builder, Raw};
use super::transactions::{LIMIT, NIL, Shape, Transactions, UNKNOWN};
use crate::event::Kind;
use crate::history::{HistoryError, Outcome};
use crate::text::{self, Bracket, Head, Scanner, Syntax, Token, Wrong, events::Who, template::Learnt};

impl Transactions {
    /// Reads the transactions of a history in EDN or JSON.
    ///
    /// Operations are `txn` (or unnamed) with steps `[f key value]`, or single operations `read`, `write`, `append` with `[key value]`. Final reads of single
    /// replicas are left out.
    ///
    /// # Errors
    ///
    /// The line, and what was expected there: among others an operation that is no transaction, and lists among registers.
    pub fn read(text: &[u8], syntax: Syntax) -> Result<Transactions, HistoryError> {
        let shape = shape_of(text, syntax).unwrap_or(Shape::Lists);
        let mut reader = Reader::new(text, syntax, shape);
        let mut lines = Learnt::new(text, syntax);
        loop {
            // A line laid out as one before, whose value reads as one value, needs no closer look.
            if let Some((head, next)) = lines.guess()
                && reader.meet_guess(&head)
            {
                lines.accept(next);
                continue;
            }
            let met = match lines.general() {
                None => break,
                Some(Ok(head)) => reader.meet(&head),
                Some(Err(wrong)) if crate::log::torn(text, &wrong) && reader.rank > 0 => {
                    reader.notes.push("the history ends in the middle of its last line, which was left out".into());
                    break;
                }
                Some(Err(wrong)) => Err(wrong),
            };
            met.map_err(|wrong| HistoryError::Line { line: text::line_of(text, wrong.at), why: wrong.what })?;
        }
        reader.finish().map_err(|wrong| HistoryError::Line { line: text::line_of(text, wrong.at), why: wrong.what })
    }
}

/// Whether a history's transactions append or replace, by the first that writes or shows a list. Nothing where none does.
pub fn shape_of(text: &[u8], syntax: Syntax) -> Option<Shape> {
    let mut seen = None;
    for head in text::events(text, syntax).map_while(Result::ok) {
        match head.f {
            b"append" => return Some(Shape::Lists),
            b"write" => return Some(Shape::Registers),
            b"txn" | b"" | b"read" => {}
            _ => continue,
        }
        let mut scanner = Scanner::new(head.value, syntax);
        let mut depth = 0;
        while let Ok(token) = scanner.token() {
            match token {
                Token::Word(b"append") | Token::Text(b"append") => return Some(Shape::Lists),
                Token::Word(b"w") | Token::Text(b"w") => return Some(Shape::Registers),
                Token::Open(_) => depth += 1,
                Token::Close => depth -= 1,
                Token::End => break,
                _ => {}
            }
            if depth == 3 {
                seen = Some(Shape::Lists);
            }
        }
    }
    seen
}

/// A transaction that has not completed.
#[derive(Clone, Copy)]
struct Open {
    txn: u32,
    value: (usize, usize),
    f: Form,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Steps,
    Read,
    Write,
}

struct Reader<'t> {
    text: &'t [u8],
    syntax: Syntax,
    builder: Builder,
    /// By process number.
    open: Vec<Option<Open>>,
    processes: Vec<u32>,
    rank: u32,
    list: Vec<u32>,
    notes: Vec<String>,
    orphans: u64,
}

/// Processes below this are found without hashing.
const FEW: u64 = 1 << 16;

impl<'t> Reader<'t> {
    fn new(text: &'t [u8], syntax: Syntax, shape: Shape) -> Self {
        Reader {
            text,
            syntax,
            builder: Builder::new(shape),
            open: Vec::new(),
            processes: Vec::new(),
            rank: 0,
            list: Vec::new(),
            notes: Vec::new(),
            orphans: 0,
        }
    }

    fn span(&self, span: &'t [u8]) -> (usize, usize) {
        // A value that is not there lies nowhere in the text.
        if span.is_empty() { (0, 0) } else { (span.as_ptr() as usize - self.text.as_ptr() as usize, span.len()) }
    }

    fn next_rank(&self) -> Option<u32> {
        self.rank.checked_add(1).filter(|&rank| rank < LIMIT)
    }

    fn meet(&mut self, head: &Head<'t>) -> Result<(), Wrong> {
        self.rank = self.next_rank().ok_or_else(|| Wrong::new(head.at, "more events than can be numbered"))?;
        let process = match head.who {
            Who::Client(process) => process,
            Who::Unnamed => 0,
            Who::Other => return Ok(()),
        };
        if head.rest.last == b"true" {
            return Ok(());
        }
        let process = self.process(process);
        let index = u32::try_from(head.index.unwrap_or(u64::from(self.rank) - 1))
            .map_err(|_| Wrong::new(head.at, "an index is less than 2^32 here"))?;
        let time = head.time.unwrap_or(0).max(0) as u64;
        if head.kind == Kind::Invoke {
            let f = self.form(head)?;
            if let Some(open) = self.open[process as usize] {
                let before = self.builder.out.txns[open.txn as usize].index;
                let who = self.builder.out.processes[process as usize];
                let why = format!("process {who} invokes a transaction while that of event {before} is still open");
                return Err(Wrong::new(head.at, why));
            }
            let txn = self.builder.open(process, self.rank, index, time);
            self.open[process as usize] = Some(Open { txn, value: self.span(head.value), f });
            return Ok(());
        }
        let open = match self.open[process as usize].take() {
            Some(open) => open,
            None => {
                let f = self.form(head)?;
                self.orphans += 1;
                Open { txn: self.builder.open(process, 0, index, 0), value: self.span(head.value), f }
            }
        };
        match head.kind {
            Kind::Ok => {
                self.builder.close(open.txn, self.rank, index, time, Outcome::Ok);
                self.steps(open.txn, head.value, open.f, true).map_err(|wrong| inside(head, wrong))
            }
            kind => {
                let outcome = if kind == Kind::Fail { Outcome::Fail } else { Outcome::Info };
                self.builder.close(open.txn, self.rank, index, time, outcome);
                let (at, len) = open.value;
                let text = self.text;
                self.steps(open.txn, &text[at..at + len], open.f, false).map_err(|wrong| inside(head, wrong))
            }
        }
    }

    /// Meets an event whose value may be more than one form. Whether it did; if not, nothing has changed.
    fn meet_guess(&mut self, head: &Head<'t>) -> bool {
        let Who::Client(process) = head.who else { return false };
        if (head.f != b"txn" && !head.f.is_empty()) || !head.rest.last.is_empty() {
            return false;
        }
        let process = self.process(process);
        let open = self.open[process as usize];
        if (head.kind == Kind::Invoke) == open.is_some() {
            return false;
        }
        let time = head.time.unwrap_or(0).max(0) as u64;
        let Some(index) = head.index.and_then(|index| u32::try_from(index).ok()) else { return false };
        let Some(rank) = self.next_rank() else { return false };
        match (head.kind, open) {
            (Kind::Invoke, _) => {
                self.rank = rank;
                let txn = self.builder.open(process, self.rank, index, time);
                let open = Open { txn, value: self.span(head.value), f: Form::Steps };
                self.open[process as usize] = Some(open);
                true
            }
            (Kind::Ok, Some(open)) => {
                self.builder.fill(open.txn);
                if open.f != Form::Steps || !self.quick(head.value) {
                    self.builder.empty();
                    return false;
                }
                self.rank = rank;
                self.open[process as usize] = None;
                self.builder.close(open.txn, self.rank, index, time, Outcome::Ok);
                true
            }
            _ => false,
        }
    }

    /// Reads the steps of a committed transaction written in the plainest way, with integers for keys and values. Whether it was all understood.
    fn quick(&mut self, value: &'t [u8]) -> bool {
        let lists = self.builder.shape() == Shape::Lists;
        let Some((b'[', mut rest)) = value.split_first().map(|(first, rest)| (*first, rest)) else { return false };
        loop {
            rest = gap(rest);
            match rest.first() {
                Some(b'[') => rest = &rest[1..],
                Some(b']') => return rest.len() == 1,
                _ => return false,
            }
            let writes = match rest {
                [b':' | b'"', b'r', b' ' | b'"', ..] => {
                    rest = &rest[3..];
                    false
                }
                [b':' | b'"', b'w', b' ' | b'"', ..] if !lists => {
                    rest = &rest[3..];
                    true
                }
                [b':' | b'"', b'a', b'p', b'p', b'e', b'n', b'd', b' ' | b'"', ..] if lists => {
                    rest = &rest[8..];
                    true
                }
                _ => return false,
            };
            rest = gap(rest);
            let Some((key, after)) = integer(rest) else { return false };
            rest = gap(after);
            let key = self.builder.key(Raw::Int(key));
            if let Some((value, after)) = integer(rest) {
                let version = self.builder.version(key, Raw::Int(value));
                match (writes, lists) {
                    (true, _) => self.builder.write(key, version),
                    (false, false) => self.builder.read(key, version),
                    (false, true) => return false,
                }
                rest = after;
            } else if !writes && (rest.starts_with(b"nil") || rest.starts_with(b"null")) {
                self.builder.read(key, NIL);
                rest = &rest[if rest[1] == b'i' { 3 } else { 4 }..];
            } else if !writes && lists && rest.first() == Some(&b'[') {
                let Some(after) = self.quick_list(key, rest) else { return false };
                rest = after;
            } else {
                return false;
            }
            match rest.first() {
                Some(b']') => rest = &rest[1..],
                _ => return false,
            }
        }
    }

    /// A list of integers that was read, from its bracket on: what follows it.
    fn quick_list(&mut self, key: u32, text: &'t [u8]) -> Option<&'t [u8]> {
        let inner = &text[1..];
        if inner.first() == Some(&b']') {
            self.builder.read(key, NIL);
            return Some(&inner[1..]);
        }
        let state = &self.builder.lists[key as usize];
        let (at, len) = state.text;
        let longest = &self.text[at..at + len];
        let same = common(inner, longest);
        let whole = same == longest.len();
        let boundary = whole || matches!(longest[same], b' ' | b',');
        if same > 0 && boundary && inner.get(same) == Some(&b']') {
            let (last, rest) = integer(last_word(&inner[..same]))?;
            if !rest.is_empty() {
                return None;
            }
            let version = self.builder.version(key, Raw::Int(last));
            self.builder.read(key, version);
            return Some(&inner[same + 1..]);
        }
        let continues = if len == 0 && state.versions.is_empty() {
            true
        } else {
            whole && matches!(inner.get(same), Some(b' ' | b','))
        };
        if !continues || state.odd {
            return None;
        }
        let mut rest = &inner[same..];
        self.list.clear();
        loop {
            rest = gap(rest);
            if rest.first() == Some(&b']') {
                break;
            }
            let (value, after) = integer(rest)?;
            let version = self.builder.version(key, Raw::Int(value));
            self.list.push(version);
            rest = after;
        }
        let state = &mut self.builder.lists[key as usize];
        if self.list.is_empty() || !state.extend(&self.list, &mut self.builder.placed) {
            return None;
        }
        let start = inner.as_ptr() as usize - self.text.as_ptr() as usize;
        state.text = (start, inner.len() - rest.len());
        // Space before the bracket would make a later comparison fail, not lie; it is left out all the same.
        state.text.1 = inner[..state.text.1].trim_ascii_end().len();
        let last = state.versions[state.versions.len() - 1];
        self.builder.read(key, last);
        Some(&rest[1..])
    }

    fn form(&self, head: &Head<'_>) -> Result<Form, Wrong> {
        match head.f {
            b"txn" | b"" => Ok(Form::Steps),
            b"read" | b"r" => Ok(Form::Read),
            b"append" if self.builder.shape() == Shape::Lists => Ok(Form::Write),
            b"write" | b"w" if self.builder.shape() == Shape::Registers => Ok(Form::Write),
            other => {
                let other = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                let what = match self.builder.shape() {
                    Shape::Lists => "lists",
                    Shape::Registers => "registers",
                };
                Err(Wrong::new(head.at, format!("{other:?} is not a transaction over {what}")))
            }
        }
    }

    #[inline]
    fn process(&mut self, identity: u64) -> u32 {
        let number = self.builder.process_fast(identity, FEW, &mut self.processes);
        if number as usize >= self.open.len() {
            self.open.resize(number as usize + 1, None);
        }
        number
    }

    /// Reads the steps of a value into a transaction. Of one that did not commit, reads are unknown.
    fn steps(&mut self, txn: u32, value: &'t [u8], form: Form, committed: bool) -> Result<(), Wrong> {
        self.builder.fill(txn);
        let mut scanner = Scanner::new(value, self.syntax);
        match scanner.token()? {
            Token::Open(Bracket::List) => {}
            Token::Nil | Token::End => return Ok(()),
            _ => return Err(Wrong::new(scanner.at(), "a transaction is a list of steps [f key value]")),
        }
        if form != Form::Steps {
            return self.step(&mut scanner, form == Form::Write, committed);
        }
        loop {
            let at = scanner.at();
            match scanner.token()? {
                Token::Open(Bracket::List) => {}
                Token::Close => return Ok(()),
                _ => return Err(Wrong::new(at, "a step is a list [f key value]")),
            }
            let (Token::Word(name) | Token::Text(name)) = scanner.token()? else {
                return Err(Wrong::new(at, "a step begins with its name: r, append or w"));
            };
            let writes = match name {
                b"r" | b"read" => false,
                b"append" if self.builder.shape() == Shape::Lists => true,
                b"w" | b"write" if self.builder.shape() == Shape::Registers => true,
                other => {
                    let other = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                    let known = if self.builder.shape() == Shape::Lists { "r and append" } else { "r and w" };
                    return Err(Wrong::new(at, format!("step {other:?} is not known among {known}")));
                }
            };
            self.step(&mut scanner, writes, committed)?;
        }
    }

    /// The rest of a step, from its key to its bracket.
    #[inline]
    fn step(&mut self, scanner: &mut Scanner<'t>, writes: bool, committed: bool) -> Result<(), Wrong> {
        let raw = atom(scanner)?;
        let key = self.builder.key(raw);
        if writes {
            let raw = atom(scanner)?;
            let version = self.builder.version(key, raw);
            self.builder.write(key, version);
        } else if !committed {
            if scanner.next_byte() != Some(b']') && scanner.next_byte() != Some(b')') {
                scanner.skip()?;
            }
            self.builder.read(key, UNKNOWN);
        } else if self.builder.shape() == Shape::Registers {
            let at = scanner.at();
            let version = match scanner.next_byte() {
                Some(b'[' | b'{' | b'(') => {
                    let raw = Raw::Text(scanner.skip()?);
                    self.builder.version(key, raw)
                }
                Some(b']' | b')') => NIL,
                Some(_) => match scanner.token()? {
                    Token::Nil => NIL,
                    token => {
                        let raw = raw_of(scanner, token, at)?;
                        self.builder.version(key, raw)
                    }
                },
                None => return Err(Wrong::new(at, "the text ends in the middle of a step")),
            };
            self.builder.read(key, version);
        } else {
            self.list(scanner, key)?;
        }
        match scanner.token()? {
            Token::Close => Ok(()),
            _ => Err(Wrong::new(scanner.at(), "a step has more than a name, a key and a value")),
        }
    }

    /// A list that was read.
    fn list(&mut self, scanner: &mut Scanner<'t>, key: u32) -> Result<(), Wrong> {
        let from = scanner.at();
        let at = match scanner.next_byte() {
            Some(b'[' | b'(') => scanner.at(),
            Some(b']' | b')') => {
                self.builder.read(key, NIL);
                return Ok(());
            }
            _ => {
                return match scanner.token()? {
                    Token::Nil => {
                        self.builder.read(key, NIL);
                        Ok(())
                    }
                    _ => Err(Wrong::new(from, "a read of a list returns a list or nil")),
                };
            }
        };
        let text = scanner.text();
        let base = text.as_ptr() as usize - self.text.as_ptr() as usize;
        let state = &self.builder.lists[key as usize];
        let (longest_at, longest_len) = state.text;
        let longest = &self.text[longest_at..longest_at + longest_len];
        // Compared as bytes: a beginning of the longest list, the whole of it, or more.
        let inner = &text[at + 1..];
        let same = common(inner, longest);
        let whole = same == longest.len();
        let ends = |at: usize| matches!(inner.get(at), Some(b']' | b')'));
        if same > 0 && ends(same) && (whole || matches!(longest[same], b' ' | b',')) {
            let last = last_word(&inner[..same]);
            let mut end = Scanner::new(last, self.syntax);
            let token = end.token()?;
            if end.at() == last.len() && matches!(token, Token::Int(_)) {
                let version = self.builder.version(key, raw_of(&end, token, at)?);
                *scanner = scanner.clone().from(at + 1 + same + 1);
                self.builder.read(key, version);
                return Ok(());
            }
        }
        let continues = whole && !longest.is_empty() && matches!(inner.get(same), Some(b' ' | b','));
        self.list.clear();
        *scanner = scanner.clone().from(if continues { at + 1 + same } else { at + 1 });
        loop {
            let here = scanner.at();
            match scanner.token()? {
                Token::Close => break,
                Token::Open(_) => {
                    *scanner = scanner.clone().from(here);
                    let raw = Raw::Text(scanner.skip()?);
                    let version = self.builder.version(key, raw);
                    self.list.push(version);
                }
                token => {
                    let raw = raw_of(scanner, token, here)?;
                    let version = self.builder.version(key, raw);
                    self.list.push(version);
                }
            }
        }
        let inner = text[at + 1..scanner.at() - 1].trim_ascii_end();
        let state = &mut self.builder.lists[key as usize];
        if continues {
            if state.extend(&self.list, &mut self.builder.placed) {
                state.text = (base + at + 1, inner.len());
                let last = state.versions[state.versions.len() - 1];
                self.builder.read(key, last);
            } else {
                let mut whole = state.versions.clone();
                whole.extend_from_slice(&self.list);
                self.builder.read_list(key, &whole);
            }
        } else {
            let longer = self.list.len() > state.versions.len();
            let list = std::mem::take(&mut self.list);
            self.builder.read_list(key, &list);
            let state = &mut self.builder.lists[key as usize];
            // The text may only stand for the versions that it says.
            if longer && state.versions.len() == list.len() && state.versions == list {
                state.text = (base + at + 1, inner.len());
            }
            self.list = list;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Transactions, Wrong> {
        for at in 0..self.open.len() {
            if let Some(open) = self.open[at].take() {
                let (from, len) = open.value;
                let text = self.text;
                self.steps(open.txn, &text[from..from + len], open.f, false)
                    .map_err(|wrong| Wrong::new(from, wrong.what))?;
            }
        }
        if self.orphans > 0 {
            self.notes.push(format!(
                "{} completions have no invocation: each was taken to have been invoked at the beginning",
                self.orphans
            ));
        }
        let mut out = self.builder.finish().map_err(|why| Wrong::new(0, why.to_string()))?;
        out.notes = self.notes;
        Ok(out)
    }
}

/// An error in a value, at its place in the whole text.
fn inside(head: &Head<'_>, wrong: Wrong) -> Wrong {
    Wrong::new(head.at, wrong.what)
}

/// What follows spaces, commas and quotes.
#[inline]
fn gap(mut text: &[u8]) -> &[u8] {
    while let Some((b' ' | b',', rest)) = text.split_first() {
        text = rest;
    }
    text
}

/// An integer of up to eighteen digits that ends where a word does, and what follows it.
#[inline]
fn integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(negative)..];
    let (mut value, mut len) = (0_i64, 0);
    while let Some(digit) = digits.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        if len == 18 {
            return None;
        }
        value = value * 10 + i64::from(digit);
        len += 1;
    }
    let ends = matches!(digits.get(len), None | Some(b' ' | b',' | b']'));
    (len > 0 && ends).then(|| (if negative { -value } else { value }, &digits[len..]))
}

/// How many bytes two texts share from their beginning.
#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut at = 0;
    while at + BLOCK <= len && a[at..at + BLOCK] == b[at..at + BLOCK] {
        at += BLOCK;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

/// What stands after the last space or comma.
#[inline]
fn last_word(text: &[u8]) -> &[u8] {
    let start =
        text.iter().rposition(|byte| matches!(byte, b' ' | b',' | b'\n' | b'\t' | b'\r')).map_or(0, |at| at + 1);
    &text[start..]
}

#[inline]
fn raw_of<'t>(scanner: &Scanner<'t>, token: Token<'t>, at: usize) -> Result<Raw<'t>, Wrong> {
    match token {
        Token::Int(value) => Ok(Raw::Int(value)),
        Token::Word(word) | Token::Text(word) => Ok(Raw::Text(word)),
        Token::Bool(true) => Ok(Raw::Text(b"true")),
        Token::Bool(false) => Ok(Raw::Text(b"false")),
        Token::Float(_) => Ok(Raw::Text(last_word(&scanner.text()[at..scanner.at()]))),
        _ => Err(Wrong::new(at, "expected a key or a value: a number, a string or a keyword")),
    }
}

/// A key or a value: a scalar, or the text of anything else.
#[inline]
fn atom<'t>(scanner: &mut Scanner<'t>) -> Result<Raw<'t>, Wrong> {
    let at = scanner.at();
    match scanner.token()? {
        Token::Int(value) => Ok(Raw::Int(value)),
        Token::Open(_) => {
            *scanner = scanner.clone().from(at);
            scanner.skip().map(Raw::Text)
        }
        token => raw_of(scanner, token, at),
    }
}
