//! [`Tokens`]: strings, numbers and words of JSON text (RFC 8259), one at a time.
//!
//! Strings are skipped eight bytes at a time.

use crate::codec::same::same;

/// Why a text is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not JSON.
    Syntax(&'static str),
    /// It is JSON of another kind.
    NotAnObject,
    /// It is nested too deeply.
    Depth,
}

/// A value, or the byte at which the text stops being acceptable, and why.
pub(super) type Scanned<T> = Result<T, (usize, Fault)>;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl Tokens<'_> {
    /// Skips a string; returns the range between its quotes.
    pub(super) fn string(&mut self) -> Scanned<(usize, usize)> {
        let start = self.at + 1;
        self.at = start;
        loop {
            self.at += plain_run(self.text.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start, self.at - 1));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fail("a control character must be escaped in a string"),
                None => return self.fail("the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Scanned<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return self.fail("expected four hex digits after `\\u`");
                }
                self.at += 5;
            }
            _ => return self.fail("unknown escape in a string"),
        }
        Ok(())
    }

    fn number(&mut self) -> Scanned<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail("expected a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Scanned<()> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.fail("expected a digit");
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Scanned<()> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[cold]
    pub(super) fn fail<T>(&self, reason: &'static str) -> Scanned<T> {
        Err((self.at, Fault::Syntax(reason)))
    }

    /// Skips exactly these bytes.
    #[inline]
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        let is_here = same(self.text.get(self.at..end)?, bytes);
        self.at = end;
        is_here.then_some(())
    }

    /// Skips a number, `true`, `false` or `null`, whose first byte is given.
    pub(super) fn literal(&mut self, first: u8) -> Scanned<()> {
        match first {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.fail("expected a value"),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes from the start are neither a quote, a backslash nor a control character.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let Ok(word) = <[u8; 8]>::try_from(word) else { break };
        let word = u64::from_le_bytes(word);
        // A byte is zero exactly where the borrow of subtracting one reaches its high bit first ("haszero", Bit Twiddling Hacks).
        let zero_in = |w: u64| w.wrapping_sub(ONES) & !w & HIGHS;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = control | zero_in(word ^ (ONES * u64::from(b'"'))) | zero_in(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |b: &u8| *b == b'"' || *b == b'\\' || *b < 0x20;
    at + words.remainder().iter().position(special).unwrap_or(words.remainder().len())
}
