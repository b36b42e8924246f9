//! Tokens of EDN and JSON.

use super::Wrong;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Extensible data notation, as Jepsen writes.
    Edn,
    /// JSON.
    Json,
}

/// A kind of bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// `[ ]`, and EDN's `( )`.
    List,
    /// `{ }`.
    Map,
    /// `#{ }`.
    Set,
}

/// What a scanner yields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'t> {
    /// A bracket opens.
    Open(Bracket),
    /// One closes.
    Close,
    /// `nil` or `null`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A string, as written between its quotes: escapes are not resolved.
    Text(&'t [u8]),
    /// A keyword without its colon, or a symbol, or a character.
    Word(&'t [u8]),
    /// The text has ended.
    End,
}

/// Walks over a text.
#[derive(Clone, Debug)]
pub struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    syntax: Syntax,
}

/// What a byte is in EDN or JSON.
const SPACE: u8 = 1;
const ENDS_WORD: u8 = 2;
const DIGIT: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [0_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => SPACE | ENDS_WORD,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';' => ENDS_WORD,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    class
};

fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// How many bytes are looked at together when a span is skipped.
const BLOCK: usize = 64;

impl<'t> Scanner<'t> {
    /// At the beginning of `text`.
    pub fn new(text: &'t [u8], syntax: Syntax) -> Self {
        Scanner { text, at: 0, syntax }
    }

    /// The same text from byte `at` on.
    pub fn from(mut self, at: usize) -> Self {
        self.at = at;
        self
    }

    /// The byte it has come to.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How the text is read.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The text.
    pub fn text(&self) -> &'t [u8] {
        self.text
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips spaces, commas, comments, and in JSON colons.
    #[inline]
    pub fn space(&mut self) {
        while let Some(byte) = self.peek() {
            if is(byte, SPACE) || (byte == b':' && self.syntax == Syntax::Json) {
                self.at += 1;
            } else if byte == b';' && self.syntax == Syntax::Edn {
                while self.peek().is_some_and(|byte| byte != b'\n') {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    /// The next byte that is no space, without moving on.
    #[inline]
    pub fn next_byte(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    /// The next token.
    ///
    /// # Errors
    ///
    /// A string without end, a number or a word that is none.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'t>, Wrong> {
        loop {
            self.space();
            let Some(byte) = self.peek() else { return Ok(Token::End) };
            self.at += 1;
            return match byte {
                b'[' => Ok(Token::Open(Bracket::List)),
                b'{' => Ok(Token::Open(Bracket::Map)),
                b']' | b'}' => Ok(Token::Close),
                b'"' => self.string(),
                b'0'..=b'9' | b'-' | b'+' => self.number(self.at - 1),
                b':' => Ok(Token::Word(self.word(self.at))),
                b'(' => Ok(Token::Open(Bracket::List)),
                b')' => Ok(Token::Close),
                b'#' if self.syntax == Syntax::Edn => {
                    if let Some(token) = self.dispatch()? {
                        Ok(token)
                    } else {
                        continue;
                    }
                }
                b'^' if self.syntax == Syntax::Edn => {
                    // What is said about the next form is not needed.
                    self.skip()?;
                    continue;
                }
                b'\\' if self.syntax == Syntax::Edn => {
                    let from = self.at;
                    self.at = (self.at + 1).min(self.text.len());
                    Ok(Token::Word(self.word(from)))
                }
                _ => self.name(self.at - 1),
            };
        }
    }

    /// After `#`: a set, a form to discard, a symbolic number, or a tag, which is skipped.
    fn dispatch(&mut self) -> Result<Option<Token<'t>>, Wrong> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                Ok(Some(Token::Open(Bracket::Set)))
            }
            Some(b'_') => {
                self.at += 1;
                self.skip()?;
                Ok(None)
            }
            Some(b'#') => {
                let word = self.word(self.at + 1);
                Ok(Some(Token::Float(match word {
                    b"Inf" => f64::INFINITY,
                    b"-Inf" => f64::NEG_INFINITY,
                    _ => f64::NAN,
                })))
            }
            _ => {
                self.word(self.at);
                Ok(None)
            }
        }
    }

    fn string(&mut self) -> Result<Token<'t>, Wrong> {
        let from = self.at;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(Token::Text(&self.text[from..self.at - 1])),
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        self.at = self.text.len();
        Err(Wrong::new(from, "a string has no end"))
    }

    /// The rest of a word that begins at `from`.
    fn word(&mut self, from: usize) -> &'t [u8] {
        self.at = self.at.max(from);
        let json = self.syntax == Syntax::Json;
        while let Some(byte) = self.peek() {
            if is(byte, ENDS_WORD) || (json && byte == b':') {
                break;
            }
            self.at += 1;
        }
        &self.text[from.min(self.at)..self.at]
    }

    #[inline]
    fn number(&mut self, from: usize) -> Result<Token<'t>, Wrong> {
        let negative = self.text[from] == b'-';
        let mut at = from + usize::from(negative || self.text[from] == b'+');
        let digits = at;
        let mut value: i64 = 0;
        while let Some(&byte) = self.text.get(at) {
            if !is(byte, DIGIT) {
                break;
            }
            // Eighteen digits cannot overflow; longer ones take the slow way.
            if at - digits >= 18 {
                return self.long_number(from);
            }
            value = value * 10 + i64::from(byte - b'0');
            at += 1;
        }
        if at > digits && self.text.get(at).is_none_or(|&byte| is(byte, ENDS_WORD)) {
            self.at = at;
            return Ok(Token::Int(if negative { -value } else { value }));
        }
        self.long_number(from)
    }

    #[cold]
    fn long_number(&mut self, from: usize) -> Result<Token<'t>, Wrong> {
        let word = self.word(from);
        let text = str::from_utf8(word).unwrap_or_default();
        let plain = text.trim_end_matches(['N', 'M']);
        if let Ok(value) = plain.trim_start_matches('+').parse::<i64>() {
            Ok(Token::Int(value))
        } else if plain.bytes().all(|byte| is(byte, DIGIT) || byte == b'-') && plain.len() > 18 {
            // An integer beyond 64 bits stays what it is: a name for itself.
            Ok(Token::Word(word))
        } else if let Ok(value) = plain.parse::<f64>() {
            Ok(Token::Float(value))
        } else if self.syntax == Syntax::Edn && !word.is_empty() {
            Ok(Token::Word(word))
        } else {
            Err(Wrong::new(from, format!("{:?} is not a number", String::from_utf8_lossy(word))))
        }
    }

    fn name(&mut self, from: usize) -> Result<Token<'t>, Wrong> {
        self.at = from;
        let word = self.word(from);
        match (word, self.syntax) {
            (b"nil", Syntax::Edn) | (b"null", Syntax::Json) => Ok(Token::Nil),
            (b"true", _) => Ok(Token::Bool(true)),
            (b"false", _) => Ok(Token::Bool(false)),
            (b"", _) => {
                self.at = (from + 1).min(self.text.len());
                Err(Wrong::new(from, format!("{:?} is not expected here", char::from(self.text[from]))))
            }
            (word, Syntax::Edn) => Ok(Token::Word(word)),
            (b"NaN", Syntax::Json) => Ok(Token::Float(f64::NAN)),
            (b"Infinity", Syntax::Json) => Ok(Token::Float(f64::INFINITY)),
            (word, Syntax::Json) => {
                let found = String::from_utf8_lossy(&word[..word.len().min(40)]).into_owned();
                Err(Wrong::new(from, format!("{found:?} is not JSON")))
            }
        }
    }

    /// Skips the next form and returns its text, without looking into it more than brackets need.
    ///
    /// # Errors
    ///
    /// A bracket or a string without end; a bracket that closes nothing.
    pub fn skip(&mut self) -> Result<&'t [u8], Wrong> {
        self.space();
        let from = self.at;
        // Discarded forms and tags count as part of what they stand before, one after the other and not nested in calls.
        let mut wanted = 1_u32;
        while wanted > 0 {
            self.space();
            match self.peek() {
                None => return Err(Wrong::new(from, "the text ends where a value was expected")),
                Some(b'[' | b'{' | b'(') => self.skip_brackets()?,
                Some(b']' | b'}' | b')') => {
                    return Err(Wrong::new(self.at, "a bracket closes where a value was expected"));
                }
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(b'#') if self.syntax == Syntax::Edn => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'{') => self.skip_brackets()?,
                        Some(b'_') => {
                            self.at += 1;
                            wanted = wanted.saturating_add(2);
                        }
                        Some(b'#') => {
                            self.word(self.at + 1);
                        }
                        _ => {
                            self.word(self.at);
                            wanted = wanted.saturating_add(1);
                        }
                    }
                }
                Some(b'^') if self.syntax == Syntax::Edn => {
                    self.at += 1;
                    wanted = wanted.saturating_add(2);
                }
                Some(b'\\') if self.syntax == Syntax::Edn => {
                    self.at = (self.at + 2).min(self.text.len());
                    self.word(self.at);
                }
                Some(_) => {
                    self.at += 1;
                    self.word(self.at);
                }
            }
            wanted -= 1;
        }
        Ok(&self.text[from..self.at])
    }

    /// Skips the rest of a form whose first token, at or after byte `at`, was already taken.
    ///
    /// # Errors
    ///
    /// Those of [`Scanner::skip`].
    pub fn skip_open(&mut self, at: usize) -> Result<(), Wrong> {
        self.at = at;
        self.skip().map(|_| ())
    }

    /// From an opening bracket behind the one that closes it. Kinds of brackets are not told apart: whoever reads the span does.
    fn skip_brackets(&mut self) -> Result<(), Wrong> {
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.text.get(self.at) {
            if depth > 0
                && let Some(block) = self.text.get(self.at..self.at + BLOCK)
            {
                let (opened, closed, special) = brackets(block);
                if special == 0 && closed < depth {
                    depth += opened;
                    depth -= closed;
                    self.at += BLOCK;
                    continue;
                }
            }
            // One block by hand: it has the end, or text in which brackets mean nothing.
            let until = (self.at + BLOCK).min(self.text.len());
            let mut byte = byte;
            loop {
                self.at += 1;
                match byte {
                    b'[' | b'{' | b'(' => depth += 1,
                    b']' | b'}' | b')' => {
                        depth -= 1;
                        if depth == 0 {
                            return Ok(());
                        }
                    }
                    b'"' => {
                        self.string()?;
                    }
                    b';' if self.syntax == Syntax::Edn => self.space_after_comment(),
                    b'\\' if self.syntax == Syntax::Edn => self.at += 1,
                    _ => {}
                }
                if self.at >= until {
                    break;
                }
                byte = self.text[self.at];
            }
        }
        Err(Wrong::new(from, "a bracket is not closed"))
    }

    fn space_after_comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }
}

/// How many brackets of a block open and close, and how many bytes need a closer look.
#[inline]
fn brackets(block: &[u8]) -> (usize, usize, u8) {
    let (mut opened, mut closed, mut special) = (0_u8, 0_u8, 0_u8);
    for &byte in block {
        // The square and the curly bracket differ in one bit.
        let folded = byte | 0x20;
        opened += u8::from(folded == b'{') + u8::from(byte == b'(');
        closed += u8::from(folded == b'}') + u8::from(byte == b')');
        special |= u8::from(byte == b'"') | u8::from(byte == b';') | u8::from(byte == b'\\');
    }
    (opened as usize, closed as usize, special)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, syntax: Syntax) -> Vec<String> {
        let mut scanner = Scanner::new(text.as_bytes(), syntax);
        let mut all = Vec::new();
        loop {
            match scanner.token() {
                Ok(Token::End) => return all,
                Ok(Token::Text(text)) => all.push(format!("text {}", String::from_utf8_lossy(text))),
                Ok(Token::Word(word)) => all.push(format!("word {}", String::from_utf8_lossy(word))),
                Ok(token) => all.push(format!("{token:?}")),
                Err(wrong) => {
                    all.push(wrong.to_string());
                    return all;
                }
            }
        }
    }

    #[test]
    fn edn_and_json_become_the_same_tokens() {
        let edn = tokens("{:type :ok, :value [[:r 9 nil] -4]} ; end", Syntax::Edn);
        assert_eq!(edn[1], "word type");
        let json = tokens(r#"{"type": "ok", "value": [["r", 9, null], -4]}"#, Syntax::Json);
        let names = |all: Vec<String>| -> Vec<String> {
            all.into_iter().map(|token| token.replace("word ", "").replace("text ", "")).collect()
        };
        assert_eq!(names(edn), names(json));
    }

    #[test]
    fn tags_characters_discards_and_symbolic_numbers_are_understood() {
        let text = r#"#jepsen.history.Op{:a #inst "x", #_ #_ 1 2 :b \[ :c #{1 2} ^{:m 1} :d ##Inf 5N 1/2 99999999999999999999}"#;
        let all = tokens(text, Syntax::Edn);
        assert!(all.contains(&"word [".to_string()), "{all:?}");
        assert!(all.contains(&"Float(inf)".to_string()), "{all:?}");
        assert!(all.contains(&"word 99999999999999999999".to_string()), "{all:?}");
        assert!(!all.contains(&"Int(1)".to_string()) || all.contains(&"Open(Set)".to_string()));
        let mut scanner = Scanner::new(text.as_bytes(), Syntax::Edn);
        assert_eq!(scanner.skip().unwrap().len(), text.len());
    }

    #[test]
    fn a_span_ends_where_its_bracket_closes_whatever_strings_say() {
        let mut text = String::from(r#"[1 ["]" "\"]"] "#);
        for number in 0..200 {
            text.push_str(&format!("{number} "));
        }
        text.push_str("[2]] rest");
        let mut scanner = Scanner::new(text.as_bytes(), Syntax::Edn);
        let span = scanner.skip().unwrap();
        assert!(span.ends_with(b"[2]]"));
        assert_eq!(scanner.token().unwrap(), Token::Word(b"rest"));
    }

    #[test]
    fn what_has_no_end_is_refused_with_its_place() {
        for (text, at) in [("[1 2", 0), (" \"abc", 1), ("(1 [2)", 0)] {
            let wrong = Scanner::new(text.as_bytes(), Syntax::Edn).skip().unwrap_err();
            assert!(wrong.at <= at + 1, "{text}: {wrong:?}");
        }
        assert!(Scanner::new(b"nul", Syntax::Json).token().is_err());
        assert!(Scanner::new(b"]", Syntax::Json).skip().is_err());
    }
}
