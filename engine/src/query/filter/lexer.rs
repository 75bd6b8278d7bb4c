//! [`Scanner`]: walks the text of a query, and reads its words, quoted strings, patterns and names.
//!
//! What a character means depends on where it stands (a `-` in a word, a `:` in a value), so that there is no stream of tokens: the
//! parser asks for what it expects.

use crate::error::{Error, Result};

/// A value as written, split at its unescaped stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// The literal pieces between the stars; one when there is no star.
    pub(super) pieces: Vec<String>,
    /// Whether a backslash escaped anything.
    pub(super) escaped: bool,
    /// The byte at which it starts.
    pub(super) at: u64,
}

impl Scalar {
    /// The text with its stars.
    pub(super) fn text(&self) -> String {
        self.pieces.join("*")
    }

    /// Whether it is nothing but stars.
    pub(super) fn is_star(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(String::is_empty)
    }
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(super) fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Whether `word` stands here as a word of its own.
    pub(super) fn at_keyword(&self, word: &str) -> bool {
        self.rest().strip_prefix(word).is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c == '(' || c == ')'))
    }

    pub(super) fn eat_keyword(&mut self, word: &str) -> bool {
        self.at_keyword(word) && self.eat(word)
    }

    /// Whether a value may end here.
    pub(super) fn at_boundary(&self) -> bool {
        self.peek().is_none_or(|c| c.is_whitespace() || c == ')')
    }

    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::invalid(message.into()).at(self.at()))
    }

    /// Reads `name:` and gives the name with its place; stays where it is when there is no name here.
    pub(super) fn name(&mut self) -> Option<(&'a str, u64)> {
        let mut quoted = false;
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' if quoted => _ = chars.next(),
                '"' => quoted = !quoted,
                _ if quoted => {}
                ':' => {
                    let (name, at) = (self.rest().get(..i)?, self.at());
                    self.at += i + 1;
                    return (!name.is_empty()).then_some((name, at));
                }
                '\\' | '(' | ')' => return None,
                c if c.is_whitespace() => return None,
                _ => {}
            }
        }
        None
    }

    /// Reads a string in quotes: `\"`, `\\`, `\*` and `\/` stand for the second character, any other backslash for itself.
    pub(super) fn quoted(&mut self) -> Result<Scalar> {
        let mut scalar = Scalar { pieces: vec![], escaped: false, at: self.at() };
        let mut piece = String::new();
        self.eat("\"");
        while let Some(c) = self.next() {
            match c {
                '"' => {
                    scalar.pieces.push(piece);
                    return Ok(scalar);
                }
                '*' => scalar.pieces.push(std::mem::take(&mut piece)),
                '\\' => scalar.escaped |= self.escape(&mut piece, |c| matches!(c, '"' | '\\' | '*' | '/')),
                _ => piece.push(c),
            }
        }
        Err(Error::invalid("the quote is not closed").at(scalar.at))
    }

    /// Reads a word up to white space, a parenthesis or a character of `stop`: a backslash before punctuation or white space stands
    /// for what follows, any other for itself.
    pub(super) fn word(&mut self, stop: &[char]) -> Result<Scalar> {
        let mut scalar = Scalar { pieces: vec![], escaped: false, at: self.at() };
        let mut piece = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || matches!(c, '(' | ')') || stop.contains(&c) {
                break;
            }
            if c == '"' {
                return self.wrong("a quote inside a word; put the whole value into quotes, or write \\\"");
            }
            self.next();
            match c {
                '*' => scalar.pieces.push(std::mem::take(&mut piece)),
                '\\' => scalar.escaped |= self.escape(&mut piece, |c| c.is_ascii_punctuation() || c.is_whitespace()),
                _ => piece.push(c),
            }
        }
        scalar.pieces.push(piece);
        Ok(scalar)
    }

    fn escape(&mut self, piece: &mut String, escapable: impl Fn(char) -> bool) -> bool {
        match self.peek().filter(|c| escapable(*c)) {
            Some(c) => {
                self.next();
                piece.push(c);
                true
            }
            None => {
                piece.push('\\');
                false
            }
        }
    }

    /// Reads a pattern between slashes: `\/` stands for a slash, every other escape is left to the pattern.
    pub(super) fn pattern(&mut self) -> Result<String> {
        let at = self.at();
        let mut pattern = String::new();
        self.eat("/");
        while let Some(c) = self.next() {
            match (c, self.peek()) {
                ('/', _) => return Ok(pattern),
                ('\\', Some('/')) => {
                    self.next();
                    pattern.push('/');
                }
                ('\\', Some(escaped)) => {
                    self.next();
                    pattern.extend(['\\', escaped]);
                }
                _ => pattern.push(c),
            }
        }
        Err(Error::invalid("the regular expression is not closed by `/`; put a value that starts with a slash into quotes").at(at))
    }
}
