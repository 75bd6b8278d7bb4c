//! `Range` and its conditions (RFC 9110, 13 and 14) for one file that never changes.
//!
//! One range is served. A list of ranges, or a unit other than bytes, is answered with the whole file, as the RFC allows.

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// What a client wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes: not empty, within the file.
    Part(Range<usize>),
    /// 416: nothing that the file has.
    Nothing,
    /// 304: the client has it.
    Unchanged,
}

/// Reads the headers of a request for a file of `length` bytes with this (strong, quoted) tag.
pub(super) fn wanted(headers: &HeaderMap, length: usize, tag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|v: &axum::http::HeaderValue| v.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|t| matches!(t.trim(), "*") || t.trim().trim_start_matches("W/") == tag))
    {
        return Wanted::Unchanged;
    }
    if text(IF_RANGE).is_some_and(|known| known != tag) {
        return Wanted::Whole;
    }
    let Some(spec) = text(RANGE).and_then(|r| r.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Number::Is(first), Number::Absent) => part(first..length),
        (Number::Is(first), Number::Is(last)) if first <= last => part(first..length.min(last.saturating_add(1))),
        (Number::Absent, Number::Is(count)) => part(length.saturating_sub(count)..length),
        _ => Wanted::Whole,
    }
}

enum Number {
    Absent,
    Is(usize),
    Wrong,
}

fn number(text: &str) -> Number {
    match text.trim() {
        "" => Number::Absent,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Number::Is(digits.parse().unwrap_or(usize::MAX)),
        _ => Number::Wrong,
    }
}

fn part(range: Range<usize>) -> Wanted {
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&'static str, &str)]) -> Wanted {
        let headers = HeaderMap::from_iter(headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())));
        wanted(&headers, 100, "\"t\"")
    }

    #[test]
    fn one_range() {
        assert_eq!(ask(&[]), Wanted::Whole);
        assert_eq!(ask(&[("range", "bytes=0-9")]), Wanted::Part(0..10));
        assert_eq!(ask(&[("range", "bytes=90-")]), Wanted::Part(90..100));
        assert_eq!(ask(&[("range", "bytes=-5")]), Wanted::Part(95..100));
        assert_eq!(ask(&[("range", "bytes=-500")]), Wanted::Part(0..100));
        assert_eq!(ask(&[("range", "bytes=99-99999999999999999999999")]), Wanted::Part(99..100));
        for nothing in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(ask(&[("range", nothing)]), Wanted::Nothing, "{nothing}");
        }
        for whole in ["bytes=5-4", "bytes=a-b", "bytes=-", "bytes=+1-2", "lines=1-2", "bytes=0-1,3-4", "bytes"] {
            assert_eq!(ask(&[("range", whole)]), Wanted::Whole, "{whole}");
        }
    }

    #[test]
    fn conditions() {
        assert_eq!(ask(&[("if-none-match", "\"x\", W/\"t\"")]), Wanted::Unchanged);
        assert_eq!(ask(&[("if-none-match", "\"x\"")]), Wanted::Whole);
        assert_eq!(ask(&[("range", "bytes=0-9"), ("if-range", "\"t\"")]), Wanted::Part(0..10));
        assert_eq!(ask(&[("range", "bytes=0-9"), ("if-range", "\"old\"")]), Wanted::Whole);
    }
}
