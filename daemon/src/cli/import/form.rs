//! [`Form`]: whether an input is one event a line or JSON documents, told from its first value.
//!
//! Problem: a line with trash behind its object must be refused whole, which takes reading by lines, while arrays,
//! `{"Records":[...]}` and printed objects go over several lines. Mechanism: an array, `{"Records":[` and an object that does not end
//! on its own line begin documents; everything else is lines. A first line that is merely broken is not taken for a
//! printed object: what it opens is no JSON, and the next event begins in the line after it. Limits: what is judged is the first
//! value, up to the size of an event; an input that changes its form later is read in the form it began with.

use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::scan::{Scanner, Step};
use super::window::Window;

/// The byte order mark that may stand at the very start.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How far `{"Records":[` may stretch, white space included.
const WRAPPER_BYTES_MAX: usize = 256;

/// How an input is cut into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One event a line.
    Lines,
    /// Arrays, `{"Records":[...]}`, and objects over several lines, one behind the other.
    Documents,
}

/// Tells the form of an input of which nothing was taken yet, and takes its byte order mark.
pub(super) fn tell<R: Read>(window: &mut Window<R>) -> io::Result<Form> {
    let form = look(window)?;
    if window.unread().starts_with(MARK) {
        window.take(MARK.len());
    }
    Ok(form)
}

fn look<R: Read>(window: &mut Window<R>) -> io::Result<Form> {
    let (mut ended, mut enough) = (false, MARK.len());
    loop {
        let bytes = window.unread().len();
        if ended || bytes >= enough {
            // Looked at anew only when there is twice as much: an input may come in single bytes.
            enough = bytes.saturating_mul(2);
            if let Some(form) = form_of(window.unread(), ended) {
                return Ok(form);
            }
            if ended {
                return Ok(Form::Lines);
            }
        }
        ended = window.is_full() || !window.fill()?;
    }
}

/// The form of what begins like this; `None` when more must be seen, which there is unless this is `all`.
fn form_of(head: &[u8], all: bool) -> Option<Form> {
    let head = head.strip_prefix(MARK).unwrap_or(head);
    let text = head.trim_ascii_start();
    match text.first()? {
        b'[' => return Some(Form::Documents),
        b'{' => {}
        _ => return Some(Form::Lines),
    }
    match match_wrapper(text) {
        Match::Yes(_) => Some(Form::Documents),
        Match::Open if !all => None,
        _ => form_of_object(text, indent_of(head)?, all),
    }
}

fn form_of_object(text: &[u8], indent: u32, all: bool) -> Option<Form> {
    let Some(line) = memchr::memchr(b'\n', text).and_then(|n| text.split_at_checked(n + 1)) else {
        return all.then_some(Form::Lines);
    };
    if Scanner::new(Some(indent)).scan(line.0) != Step::More {
        return Some(Form::Lines);
    }
    match Scanner::new(Some(indent)).scan(text) {
        Step::End(n) if text.get(..n).is_some_and(is_json) => Some(Form::Documents),
        Step::More if !all => None,
        // It was meant to go over several lines, unless another event begins right below.
        _ if line.1.trim_ascii_start().starts_with(b"{") && indent_of(line.1) == Some(indent) => Some(Form::Lines),
        _ => Some(Form::Documents),
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// How much white space stands before the first value in its own line.
fn indent_of(text: &[u8]) -> Option<u32> {
    let value = text.len() - text.trim_ascii_start().len();
    let line = memchr::memrchr(b'\n', text.get(..value)?).map_or(0, |n| n + 1);
    u32::try_from(value - line).ok()
}

/// Whether bytes begin with `{"Records":[`, and how long that is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes(usize),
    No,
    /// The bytes end before it is known.
    Open,
}

/// Looks for `{"Records":[` with white space anywhere between, in the first bytes.
pub(super) fn match_wrapper(bytes: &[u8]) -> Match {
    let head = bytes.get(..WRAPPER_BYTES_MAX).unwrap_or(bytes);
    let mut at = 0;
    for token in [b"{".as_slice(), b"\"Records\"", b":", b"["] {
        while head.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let rest = head.get(at..).unwrap_or_default();
        if !rest.starts_with(token) {
            return if token.starts_with(rest) && head.len() < WRAPPER_BYTES_MAX { Match::Open } else { Match::No };
        }
        at += token.len();
    }
    Match::Yes(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        let whole = tell(&mut Window::new(text.as_bytes(), 1 << 20)).unwrap();
        let mut at = 0;
        while at <= text.len() {
            let early = form_of(&text.as_bytes()[..at], false).filter(|_| at >= MARK.len());
            assert!(early.is_none_or(|form| form == whole), "told otherwise from the first {at} bytes of {text}");
            at += 1;
        }
        whole
    }

    #[test]
    fn documents_are_told_by_their_first_value() {
        for text in [
            "[{\"a\":1}]",
            " \n[\n",
            "\u{feff}[]",
            "{\"Records\":[{}]}",
            "{ \"Records\"\n : [\n",
            "{\n  \"Records\": [\n    {\"a\":1}\n  ]\n}\n",
            "{\n  \"a\": 1\n}\n{\n  \"b\": 1\n}",
            "{\"a\":[\n{\"b\":1}\n]}",
            "  {\n    \"a\": 1\n  }",
            "{\n  \"a\": 1,\n  \"b\": tru\n}",
            "{\n  \"a\": \"open\n}",
            "{\n  \"a\": 1,\n",
        ] {
            assert_eq!(form(text), Form::Documents, "{text}");
        }
    }

    #[test]
    fn all_else_is_lines_however_broken_the_first_one_is() {
        for text in [
            "",
            "\n \n",
            "{\"a\":1}",
            "{\"a\":1}\n{\"b\":1}\n",
            "\u{feff}{\"a\":1}\n",
            "{\"a\":1}xyz\n[1]\n",
            "{\"a\":1}{\n\"b\":1}",
            "{\"Records\":7}\n[]",
            "{\"a\":1,\n{\"b\":1}\n",
            "{\"a\":\"open\n{\"b\":1}\n",
            "{\n{\"b\":1}\n",
            "{\n\n{\"b\":1}\n",
            "{\"a\":[1,2\n{\"b\":1}\n",
            "{\"a\":[1,\n{\"b\":1}\n{\"c\":1}\n",
            "  {\"a\":1,\n  {\"b\":1}\n",
            "{\"a\":1,",
            "hello\n[1]\n",
            "42",
        ] {
            assert_eq!(form(text), Form::Lines, "{text}");
        }
    }

    #[test]
    fn looks_no_further_than_an_event_may_be_long() {
        let long = format!("{{\n  \"a\": \"{}\"\n}}\n", "x".repeat(1 << 21));
        assert_eq!(tell(&mut Window::new(long.as_bytes(), 1 << 20)).unwrap(), Form::Documents);
        let long = format!("{{\"a\": \"{}\"}}\n", "x".repeat(1 << 21));
        assert_eq!(tell(&mut Window::new(long.as_bytes(), 1 << 20)).unwrap(), Form::Lines);
        let blank = " ".repeat(1 << 21);
        assert_eq!(tell(&mut Window::new(blank.as_bytes(), 1 << 20)).unwrap(), Form::Lines);
    }
}
