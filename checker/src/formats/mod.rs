//! Histories of registers as research tools write them: each is read into [`Transactions`](crate::txn::Transactions) and written again.
//!
//! None of them records times. So only the order of each session is known: every transaction has `start = 0`, and `end = u32::MAX` though it is
//! committed, which is how "concurrent with everything" is said. What is not committed is aborted.

pub mod awdit;
pub mod dbcop;
pub mod plume;
mod registers;

/// A history that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What was expected.
    pub why: String,
}

/// A history that a format has no words for.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// It holds lists.
    #[error("this format has registers only, and the history appends to lists")]
    Lists,
    /// The output failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A cursor over bytes, for formats of one short line a step.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a [u8]) -> Scan<'a> {
        Scan { text, at: 0, line: 1 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips blanks within the line.
    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips blanks and empty lines; false at the end.
    #[inline]
    fn line(&mut self) -> bool {
        loop {
            self.blanks();
            match self.peek() {
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                }
                other => return other.is_some(),
            }
        }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Malformed> {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()).min(40);
        let found = String::from_utf8_lossy(&rest[..end]);
        Err(Malformed { line: self.line, why: format!("{expected} expected, found \"{}\"", found.trim_end()) })
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Malformed> {
        self.blanks();
        if self.peek() != Some(byte) {
            return self.wrong(what);
        }
        self.at += 1;
        Ok(())
    }

    /// An integer of 64 bits.
    #[inline]
    fn integer(&mut self, what: &str) -> Result<i64, Malformed> {
        self.blanks();
        let negative = self.peek() == Some(b'-');
        let first = self.at + usize::from(negative);
        let (mut at, mut value) = (first, 0_u64);
        while let Some(digit) = self.text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            // Nineteen digits cannot overflow; more are refused below.
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        let fits = if negative { value <= 1 << 63 } else { value < 1 << 63 };
        if at == first || at - first > 19 || !fits {
            return self.wrong(what);
        }
        self.at = at;
        Ok(if negative { (value as i64).wrapping_neg() } else { value as i64 })
    }

    /// The end of the line.
    #[inline]
    fn end(&mut self) -> Result<(), Malformed> {
        self.blanks();
        match self.peek() {
            None | Some(b'\n') => Ok(()),
            _ => self.wrong("the end of the line"),
        }
    }
}
