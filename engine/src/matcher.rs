//! [`Matcher`] and [`TextMatcher`]: tests on single values, shared by every index.
//!
//! A query compiles each comparison into a matcher once; an index first asks [`Matcher::lookup`] how far its dictionary
//! can narrow the work, then tests only what is left. All tests take time linear in the value.

use std::net::IpAddr;
use std::ops::Bound;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::event::read_time;
use crate::id::Timestamp;
use crate::limits::REGEX_BYTES_MAX;

/// A test on one value: the decoded text of a string, or a number, `true`, `false` or `null` as written.
#[derive(Debug, Clone)]
pub struct Matcher(Test);

#[derive(Debug, Clone)]
enum Test {
    Any,
    Exact(String),
    Regex { regex: Regex, ignore_case: bool, prefix: String, literal: String },
    Network { network: IpAddr, bits: u8 },
    Numbers { low: Bound<f64>, high: Bound<f64> },
    Times { low: Bound<Timestamp>, high: Bound<Timestamp> },
}

/// How far a sorted dictionary can narrow the work before single values are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Every value matches (other than `null`).
    All,
    /// Only this value matches: no test is needed once it is found.
    Exact(&'a str),
    /// Only values with this (possibly empty) prefix can match; each of them must be tested.
    Prefix(&'a str),
}

impl Matcher {
    /// Any value other than `null`.
    #[must_use]
    pub fn any() -> Matcher {
        Matcher(Test::Any)
    }

    /// Exactly this value, with case.
    #[must_use]
    pub fn exact(value: impl Into<String>) -> Matcher {
        Matcher(Test::Exact(value.into()))
    }

    /// This value, whatever its case (Unicode simple folding).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the value is longer than a pattern may be.
    pub fn ignoring_case(value: &str) -> Result<Matcher> {
        anchored(&regex::escape(value), true, String::new(), String::new())
    }

    /// Literal pieces with any run of characters between them: `["a", "b"]` is `a*b`, `["", "x"]` is `*x`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the pattern is too long.
    pub fn wildcard(pieces: &[String], ignore_case: bool) -> Result<Matcher> {
        let pattern = pieces.iter().map(|p| regex::escape(p)).collect::<Vec<_>>().join(".*");
        if ignore_case {
            return anchored(&pattern, ignore_case, String::new(), String::new());
        }
        let longest = pieces.iter().max_by_key(|piece| piece.len());
        anchored(&pattern, ignore_case, pieces.first().cloned().unwrap_or_default(), longest.cloned().unwrap_or_default())
    }

    /// A regular expression over the whole value.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] with the reason and, where known, the place.
    pub fn regex(pattern: &str, ignore_case: bool) -> Result<Matcher> {
        anchored(pattern, ignore_case, String::new(), String::new())
    }

    /// An address inside `network/bits`, or a network (`address/bits`) all of which is inside. IPv4 addresses that are written as IPv6
    /// (`::ffff:10.0.0.1`) count as what they are, on both sides.
    #[must_use]
    pub fn network(network: IpAddr, bits: u8) -> Matcher {
        let (network, bits) = canonical(network, bits);
        Matcher(Test::Network { network, bits })
    }

    /// A number in a range: numbers, and strings that are numbers as a whole.
    #[must_use]
    pub fn numbers(low: Bound<f64>, high: Bound<f64>) -> Matcher {
        Matcher(Test::Numbers { low, high })
    }

    /// A time in a range: RFC 3339 strings, and epoch seconds or milliseconds as numbers.
    #[must_use]
    pub fn times(low: Bound<Timestamp>, high: Bound<Timestamp>) -> Matcher {
        Matcher(Test::Times { low, high })
    }

    /// How a sorted dictionary narrows the work.
    #[must_use]
    pub fn lookup(&self) -> Lookup<'_> {
        match &self.0 {
            Test::Any => Lookup::All,
            Test::Exact(value) => Lookup::Exact(value),
            Test::Regex { prefix, .. } => Lookup::Prefix(prefix),
            Test::Network { .. } | Test::Numbers { .. } | Test::Times { .. } => Lookup::Prefix(""),
        }
    }

    /// A text that stands in every decoded string that matches; empty where none is known.
    #[must_use]
    pub fn literal(&self) -> &str {
        match &self.0 {
            Test::Exact(value) => value,
            Test::Regex { literal, .. } => literal,
            _ => "",
        }
    }

    /// Two matchers that say the same here match the same values.
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.0 {
            // The text of a regular expression lacks its flags.
            Test::Regex { regex, ignore_case, .. } => format!("Regex({ignore_case}, {:?})", regex.as_str()),
            test => format!("{test:?}"),
        }
    }

    /// Tests a decoded string, or a term of a dimension.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.0 {
            Test::Any => true,
            Test::Exact(exact) => exact == value,
            Test::Regex { regex, .. } => regex.is_match(value),
            Test::Network { network, bits } => read_network(value).is_some_and(|(ip, own)| own >= *bits && in_network(ip, *network, *bits)),
            Test::Numbers { low, high } => read_number(value).is_some_and(|n| (*low, *high).contains(&n)),
            Test::Times { low, high } => read_time(value).is_some_and(|t| (*low, *high).contains(&t)),
        }
    }

    /// Tests a literal as written: a number, `true`, `false` or `null`. `null` is a value only to an exact test.
    #[must_use]
    pub fn matches_literal(&self, literal: &str) -> bool {
        match &self.0 {
            Test::Exact(exact) => exact == literal,
            _ => literal != "null" && self.matches(literal),
        }
    }
}

use std::ops::RangeBounds as _;

fn anchored(pattern: &str, ignore_case: bool, prefix: String, literal: String) -> Result<Matcher> {
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(Error::invalid("the pattern is too long").expected(format!("at most {REGEX_BYTES_MAX} bytes"), pattern.len()));
    }
    // Compiled alone first, so that a pattern cannot close the group that anchors it.
    build(pattern, ignore_case)?;
    let regex = build(&format!("^(?:{pattern})$"), ignore_case)?;
    Ok(Matcher(Test::Regex { regex, ignore_case, prefix, literal }))
}

fn build(pattern: &str, ignore_case: bool) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .dot_matches_new_line(true)
        .size_limit(1 << 20)
        .dfa_size_limit(2 << 20)
        .nest_limit(64)
        .build()
        .map_err(|e| Error::invalid(format!("the regular expression is not valid: {}", reason(&e))).because(e))
}

/// The reason alone: the error's own text draws the pattern over several lines and puts the reason last.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
        other => {
            let text = other.to_string();
            text.lines().last().map(|line| line.trim_start_matches("error: ").to_owned()).unwrap_or_default()
        }
    }
}

fn read_number(text: &str) -> Option<f64> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

/// Reads an address, or a network as `address/bits`; an address is a network of one.
fn read_network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(bits_max), |bits| bits.parse().ok().filter(|bits| *bits <= bits_max))?;
    Some(canonical(address, bits))
}

fn in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same_prefix(u128::from(a.to_bits()) << 96, u128::from(n.to_bits()) << 96, bits),
        (IpAddr::V6(a), IpAddr::V6(n)) => same_prefix(a.to_bits(), n.to_bits(), bits),
        _ => false,
    }
}

/// IPv4 networks that are written as IPv6 become IPv4.
fn canonical(address: IpAddr, bits: u8) -> (IpAddr, u8) {
    match (address, address.to_canonical(), bits.checked_sub(96)) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_), Some(bits)) => (v4, bits),
        _ => (address, bits),
    }
}

fn same_prefix(a: u128, b: u128, bits: u8) -> bool {
    match 128u32.checked_sub(u32::from(bits)) {
        Some(128) => true,
        Some(shift) => (a ^ b) >> shift == 0,
        None => false,
    }
}

/// A search for text anywhere in an event, whatever its case.
///
/// It is found when it stands in the event's text as written, or in a key or string after its escapes are decoded.
#[derive(Debug, Clone)]
pub struct TextMatcher {
    regex: regex::bytes::Regex,
    needle: String,
}

impl TextMatcher {
    /// A search for `needle`; case is folded by Unicode's simple rules, and by ASCII's when the needle is ASCII.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the text is too long.
    pub fn new(needle: &str) -> Result<TextMatcher> {
        if needle.len() > REGEX_BYTES_MAX {
            return Err(Error::invalid("the text is too long").expected(format!("at most {REGEX_BYTES_MAX} bytes"), needle.len()));
        }
        let regex = regex::bytes::RegexBuilder::new(&regex::escape(needle))
            .case_insensitive(true)
            .unicode(!needle.is_ascii())
            .build()
            .map_err(|e| Error::invalid("the text cannot be searched for").because(e))?;
        Ok(TextMatcher { regex, needle: needle.to_owned() })
    }

    /// The text that is searched for.
    #[must_use]
    pub fn needle(&self) -> &str {
        &self.needle
    }

    /// Whether the text stands in these bytes.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }

    /// Where the text stands next, from a byte on: its start and its end.
    #[must_use]
    pub fn find_at(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = (from <= bytes.len()).then(|| self.regex.find_at(bytes, from)).flatten()?;
        Some((found.start(), found.end()))
    }

    /// Whether the text could reach beyond one string or literal of an event: it holds a quote, or is made only of what can
    /// stand outside of strings, punctuation included. Such a search must look at whole events; any other can be answered from single
    /// values and keys.
    #[must_use]
    pub fn may_span_values(&self) -> bool {
        let structural = |c: char| matches!(c, '{' | '}' | '[' | ']' | ':' | ',' | ' ' | '\t' | '\n' | '\r');
        self.needle.contains('"') || (self.needle.contains(structural) && self.needle.split(structural).all(is_in_literal))
    }
}

/// Whether a text can be part of a number, `true`, `false` or `null`, whatever its case.
fn is_in_literal(text: &str) -> bool {
    // The long s folds to s.
    let folded: String = text.chars().map(|c| if c == '\u{17f}' { 's' } else { c.to_ascii_lowercase() }).collect();
    folded.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e'))
        || ["true", "false", "null"].iter().any(|l| l.contains(&folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_tell_matchers_apart() {
        let pieces = |first: &str| [first.to_owned(), String::new()];
        let all = [
            Matcher::any(),
            Matcher::exact("a"),
            Matcher::exact("A"),
            Matcher::ignoring_case("c").unwrap(),
            Matcher::regex("a", false).unwrap(),
            Matcher::regex("a", true).unwrap(),
            Matcher::wildcard(&pieces("a"), false).unwrap(),
            Matcher::wildcard(&pieces("a"), true).unwrap(),
            Matcher::wildcard(&pieces("b"), false).unwrap(),
            Matcher::numbers(Bound::Unbounded, Bound::Included(1.0)),
            Matcher::numbers(Bound::Unbounded, Bound::Excluded(1.0)),
            Matcher::network([10, 0, 0, 0].into(), 8),
            Matcher::network([10, 0, 0, 0].into(), 9),
        ];
        let different: std::collections::BTreeSet<String> = all.iter().map(Matcher::identity).collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(Matcher::regex("a", true).unwrap().identity(), all[5].identity());
    }

    #[test]
    fn wildcards_regexes_and_case() {
        let star = Matcher::wildcard(&["arn:aws:s3:::prod-".into(), String::new()], false).unwrap();
        assert!(star.matches("arn:aws:s3:::prod-logs") && !star.matches("xarn:aws:s3:::prod-logs"));
        assert_eq!(star.lookup(), Lookup::Prefix("arn:aws:s3:::prod-"));
        assert!(Matcher::wildcard(&["a".into(), "b".into()], true).unwrap().matches("A\nxB"));
        assert!(Matcher::ignoring_case("ALICE").unwrap().matches("alice"));
        let regex = Matcher::regex("Create|Delete", false).unwrap();
        assert!(regex.matches("Create") && !regex.matches("CreateX") && !regex.matches("xDelete"));
        let error = Matcher::regex("a)(b", false).unwrap_err();
        assert!(error.message().starts_with("the regular expression is not valid: un"), "{error}");
    }

    #[test]
    fn networks_of_both_families() {
        let v4 = Matcher::network("10.0.0.0".parse().unwrap(), 8);
        assert!(v4.matches("10.1.2.3") && v4.matches("::ffff:10.1.2.3") && !v4.matches("11.0.0.1") && !v4.matches("host"));
        let v6 = Matcher::network("2001:db8::".parse().unwrap(), 32);
        assert!(v6.matches("2001:db8:1::1") && !v6.matches("2001:db9::1"));
        assert!(Matcher::network("0.0.0.0".parse().unwrap(), 0).matches("1.2.3.4"));
        let mapped = Matcher::network("::ffff:10.0.0.0".parse().unwrap(), 104);
        assert!(mapped.matches("10.9.9.9") && mapped.matches("::ffff:10.9.9.9") && !mapped.matches("11.0.0.0"));
    }

    #[test]
    fn networks_inside_networks() {
        let any = Matcher::network("0.0.0.0".parse().unwrap(), 0);
        assert!(any.matches("0.0.0.0/0") && any.matches("10.0.0.0/8") && !any.matches("0.0.0.0/33") && !any.matches("0.0.0.0/"));
        let ten = Matcher::network("10.0.0.0".parse().unwrap(), 8);
        assert!(ten.matches("10.1.0.0/16") && !ten.matches("0.0.0.0/0") && !ten.matches("::/0"));
    }

    #[test]
    fn ranges_and_null() {
        let big = Matcher::numbers(Bound::Excluded(5.0), Bound::Unbounded);
        assert!(big.matches_literal("6") && big.matches("7") && !big.matches_literal("5") && !big.matches("x"));
        assert!(!Matcher::any().matches_literal("null") && Matcher::exact("null").matches_literal("null"));
    }

    #[test]
    fn text_that_spans_values() {
        assert!(TextMatcher::new("\"a").unwrap().may_span_values());
        assert!(TextMatcher::new("1, 2").unwrap().may_span_values());
        for inside in ["role/admin now", "access denied", "a:b", "eve"] {
            assert!(!TextMatcher::new(inside).unwrap().may_span_values(), "{inside}");
        }
        for outside in ["RUE, 5", ": nul", "fal\u{17f}e]", "{", "1e5 ,"] {
            assert!(TextMatcher::new(outside).unwrap().may_span_values(), "{outside}");
        }
        assert!(TextMatcher::new("STRATUS").unwrap().is_in(b"xx stratus-red"));
    }
}
