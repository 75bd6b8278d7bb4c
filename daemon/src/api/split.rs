//! Cuts a body into its events without reading them: byte spans, each the text of one event.
//!
//! Problem: the engine reads each event once; the daemon must find where each begins and ends, in bodies of many MiB, without a
//! tree and without recursion (100,000 brackets in a row must cost nothing). Mechanism: NDJSON is cut at newlines; a JSON array by
//! one pass that jumps from quote to quote inside strings and counts brackets outside of them. What a span holds is judged by the
//! engine. Limits: kinds of brackets are not told apart, so that `{"a":1]` is cut out and then rejected as one bad event.

use std::ops::Range;

use memchr::{memchr, memchr2};

/// What is wrong with the frame around the events, and at which byte of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// In lower case, without a full stop.
    pub message: &'static str,
    /// The byte, from 0.
    pub at: usize,
}

/// The lines of a body that are not blank, without the white space around them.
#[must_use]
pub fn split_lines(body: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest).map_or(body.len(), |i| start + i);
        let span = trim(body, start..end);
        if !span.is_empty() {
            spans.push(span);
        }
        start = end + 1;
    }
    spans
}

/// The events of a JSON body: the elements of an array, the elements of `Records` when that is the only member of an object and an
/// array, else the whole body as one event.
///
/// # Errors
/// When the array around the events is not well-formed.
pub fn split_json(body: &[u8]) -> Result<Vec<Range<usize>>, Malformed> {
    let whole = trim(body, 0..body.len());
    match body.get(whole.start) {
        None => Ok(Vec::new()),
        Some(b'[') => {
            let (spans, end) = elements(body, whole.start)?;
            let after = skip_space(body, end);
            if after < body.len() { Err(Malformed { message: "there is more after the array", at: after }) } else { Ok(spans) }
        }
        Some(_) => match records_start(body, whole.start) {
            None => Ok(vec![whole]),
            Some(array) => {
                let (spans, end) = elements(body, array)?;
                let close = skip_space(body, end);
                let after = skip_space(body, close + 1);
                match body.get(close) {
                    Some(b'}') if after >= body.len() => Ok(spans),
                    // Another member: then `Records` belongs to an event.
                    Some(b',') => Ok(vec![whole]),
                    Some(b'}') => Err(Malformed { message: "there is more after the object", at: after }),
                    _ => Err(Malformed { message: "expected `}` after the array of `Records`", at: close.min(body.len()) }),
                }
            }
        },
    }
}

/// Where the array of `{"Records":[` starts, if the body starts like that.
fn records_start(body: &[u8], start: usize) -> Option<usize> {
    const NAME: &[u8] = b"\"Records\"";
    let name = body.get(start).filter(|b| **b == b'{').map(|_| skip_space(body, start + 1))?;
    let colon = body.get(name..)?.starts_with(NAME).then(|| skip_space(body, name + NAME.len()))?;
    let array = body.get(colon).filter(|b| **b == b':').map(|_| skip_space(body, colon + 1))?;
    body.get(array).filter(|b| **b == b'[').map(|_| array)
}

/// The elements of the array that opens at `open`, and the byte after it.
fn elements(body: &[u8], open: usize) -> Result<(Vec<Range<usize>>, usize), Malformed> {
    let mut spans = Vec::new();
    let mut start = skip_space(body, open + 1);
    if body.get(start) == Some(&b']') {
        return Ok((spans, start + 1));
    }
    loop {
        let end = element_end(body, start)?;
        let span = trim(body, start..end);
        if span.is_empty() {
            return Err(Malformed { message: "expected an event", at: end });
        }
        spans.push(span);
        if body.get(end) == Some(&b']') {
            return Ok((spans, end + 1));
        }
        start = skip_space(body, end + 1);
    }
}

/// The `,` or `]` that ends the element at `start`.
fn element_end(body: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = string_end(body, at)?,
            b'{' | b'[' => depth += 1,
            b',' | b']' if depth == 0 => return Ok(at),
            b'}' if depth == 0 => return Err(Malformed { message: "`}` closes nothing", at }),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Err(Malformed { message: "the array is not closed", at: body.len() })
}

/// The closing quote of the string that opens at `open`.
fn string_end(body: &[u8], open: usize) -> Result<usize, Malformed> {
    let mut at = open + 1;
    loop {
        let rest = body.get(at..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            None => return Err(Malformed { message: "a text is not closed", at: open }),
            Some(i) if rest.get(i) == Some(&b'"') => return Ok(at + i),
            Some(i) => at += i + 2,
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn skip_space(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(|b| is_space(*b)) {
        at += 1;
    }
    at
}

fn trim(body: &[u8], span: Range<usize>) -> Range<usize> {
    let start = skip_space(body, span.start).min(span.end);
    let mut end = span.end;
    while end > start && body.get(end - 1).is_some_and(|b| is_space(*b)) {
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Result<Vec<&str>, Malformed> {
        split_json(body.as_bytes()).map(|spans| spans.into_iter().map(|s| &body[s]).collect())
    }

    #[test]
    fn lines() {
        let body = " {\"a\":1}\r\n\n\t\n{\"b\":2} \nx";
        let lines: Vec<_> = split_lines(body.as_bytes()).into_iter().map(|s| &body[s]).collect();
        assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}", "x"]);
        assert!(split_lines(b"").is_empty());
        assert!(split_lines(b"\n \r\n").is_empty());
    }

    #[test]
    fn arrays_objects_and_records() {
        assert_eq!(json(r#" [ {"a":[1,{"b":"],[\"\\"}]} , 2,"x,y" ] "#).unwrap(), [r#"{"a":[1,{"b":"],[\"\\"}]}"#, "2", "\"x,y\""]);
        assert_eq!(json("[]").unwrap(), [""; 0]);
        assert_eq!(json(" ").unwrap(), [""; 0]);
        assert_eq!(json(" {\"a\":1}\n").unwrap(), ["{\"a\":1}"]);
        assert_eq!(json(r#"{ "Records" : [ {"a":1},{"b":2} ] }"#).unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(json(r#"{"Records":[{}],"more":1}"#).unwrap(), [r#"{"Records":[{}],"more":1}"#]);
        assert_eq!(json(r#"{"Records":7}"#).unwrap(), [r#"{"Records":7}"#]);
    }

    #[test]
    fn a_bad_frame_is_told_with_its_byte() {
        for (body, at) in [
            ("[{}", 3),
            ("[{},]", 4),
            ("[,{}]", 1),
            ("[{}] x", 5),
            ("[{}}]", 3),
            ("[\"a]", 1),
            ("[\"a\\", 1),
            ("{\"Records\":[{}]} {}", 17),
            ("{\"Records\":[{}]", 15),
            ("[", 1),
        ] {
            assert_eq!(json(body).unwrap_err().at, at, "{body}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(json(&deep).unwrap().len(), 1);
        assert!(json(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_bad_element_does_not_spoil_the_next() {
        assert_eq!(json(r#"[{"a":1],{"b":2}]"#).unwrap(), [r#"{"a":1]"#, r#"{"b":2}"#]);
    }
}
