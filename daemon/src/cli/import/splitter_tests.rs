//! The splitter against a naive reading of the same text, cut at every place.

use std::io::{self, Read};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Gives a text in pieces of these lengths, then of 1 byte.
struct Cut {
    text: Vec<u8>,
    at: usize,
    lengths: Vec<usize>,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.lengths.pop().unwrap_or(1).min(buffer.len()).min(self.text.len() - self.at);
        buffer[..n].copy_from_slice(&self.text[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Element(String),
    Broken(u64, Fault),
}

fn split_by(text: &[u8], lengths: Vec<usize>, limit: usize) -> Vec<Seen> {
    let mut splitter = Splitter::new(Window::new(Cut { text: text.to_vec(), at: 0, lengths }, limit), limit);
    let mut seen = Vec::new();
    while let Some(piece) = splitter.next_piece().unwrap() {
        seen.push(match piece {
            Piece::Element { bytes, place } => {
                let at = place.byte as usize;
                assert_eq!(&text[at..at + bytes.len()], bytes, "the place is wrong");
                assert_eq!(place.line, 1 + text[..at].iter().filter(|b| **b == b'\n').count() as u64);
                Seen::Element(String::from_utf8_lossy(bytes).into_owned())
            }
            Piece::Broken { place, fault, .. } => Seen::Broken(place.line, fault),
        });
    }
    seen
}

/// Reads the text at once and in single bytes; both must see the same.
fn split(text: &str) -> Vec<Seen> {
    let whole = split_by(text.as_bytes(), vec![usize::MAX; 99], 1 << 20);
    assert_eq!(whole, split_by(text.as_bytes(), vec![], 1 << 20), "cut into single bytes: {text}");
    whole
}

fn elements(texts: &[&str]) -> Vec<Seen> {
    texts.iter().map(|text| Seen::Element((*text).to_owned())).collect()
}

#[test]
fn reads_every_form_of_stream() {
    let two = elements(&[r#"{"a":"}\"]{"}"#, r#"{"b":[1,{}]}"#]);
    let (a, b) = (r#"{"a":"}\"]{"}"#, r#"{"b":[1,{}]}"#);
    for text in [
        format!("{a}\n{b}\n"),
        format!("{a}{b}"),
        format!("  {a} , {b}"),
        format!("[{a},{b}]"),
        format!("[\n {a}\n, {b} ]\n"),
        format!("{{\"Records\":[{a},{b}]}}"),
        format!(" {{ \"Records\" : [ {a} , {b} ] , \"more\": {{\"x\":\"}}\"}} }}\n"),
        format!("[{a}][{b}]"),
        format!("{a}\r\n{b}\r\n"),
    ] {
        assert_eq!(split(&text), two, "{text}");
    }
    assert_eq!(split("{\n  \"a\": {\n    \"b\": [\n      {\n        \"c\": 1\n      }\n    ]\n  }\n}\n{\n}").len(), 2);
    assert!(split("").is_empty());
    assert!(split(" \n\n").is_empty());
    assert!(split("[]\n{\"Records\":[]}").is_empty());
    assert_eq!(split("[1,\"a,b\",null,[2]]"), elements(&["1", "\"a,b\"", "null", "[2]"]));
    assert_eq!(split("{\"Records\":{}}"), elements(&["{\"Records\":{}}"]));
}

#[test]
fn goes_on_behind_broken_lines() {
    use Seen::Broken;
    let good = || Seen::Element("{\"ok\":1}".to_owned());
    assert_eq!(split("{\"a\": \"open\n{\"ok\":1}\n"), [Broken(1, Fault::OpenString), good()]);
    assert_eq!(split("{\"a\": \"open\\\n{\"ok\":1}\n"), [Broken(1, Fault::OpenString), good()]);
    assert_eq!(split("{\"a\":{\"b\":1}\n{\"ok\":1}\n{\"ok\":1}"), [Broken(1, Fault::Unclosed), good(), good()]);
    assert_eq!(split("{\"a\":1,\n{\"ok\":1}\n"), [Broken(1, Fault::Unclosed), good()]);
    let twice = "{\n{\"a\":[1,2\n{\"ok\":1}\n";
    assert_eq!(split(twice), [Broken(1, Fault::Unclosed), Broken(2, Fault::Unclosed), good()]);
    assert_eq!(split("nonsense\n{\"ok\":1}\n17\n{\"ok\":1}"), [Broken(1, Fault::NotJson), good(), Broken(3, Fault::NotJson), good()]);
    assert_eq!(split("{\"ok\":1}}\n{\"ok\":1}\n"), [good(), Broken(1, Fault::NotJson), good()]);
    assert_eq!(split("{\"ok\":1}\n{\"a\":"), [good(), Broken(2, Fault::EndOfInput)]);
    assert_eq!(split("[{\"ok\":1},"), [good(), Broken(1, Fault::EndOfInput)]);
    assert_eq!(split("[\n{\"a\":\"x\n\"},\n{\"ok\":1}\n]"), [Broken(2, Fault::OpenString), good()]);
    assert_eq!(split("[{\"a\":\"x\n\"},{\"ok\":1}]"), [Broken(1, Fault::OpenString), Broken(2, Fault::EndOfInput)]);
    let pretty = "[\n  {\n    \"a\": \"x\n    \"b\": {\n      \"c\": 1\n    }\n  },\n  {\"ok\":1}\n]";
    assert_eq!(split(pretty), [Broken(2, Fault::OpenString), good()], "a part of a broken event must not become an event");
}

#[test]
fn passes_over_what_is_too_large_without_holding_it() {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20));
    let text = format!("{{\"ok\":1}}\n{large}\n{{\"ok\":2}}\n[{large},{{\"ok\":3}}]");
    let seen = split_by(text.as_bytes(), vec![usize::MAX; 99], 1 << 20);
    let ok = |n: u64| Seen::Element(format!("{{\"ok\":{n}}}"));
    assert_eq!(seen, [ok(1), Seen::Broken(2, Fault::TooLarge), ok(2), Seen::Broken(4, Fault::TooLarge), ok(3)]);
    let exact = format!("{{\"a\":\"{}\"}}", "x".repeat((1 << 20) - 8));
    assert_eq!(exact.len(), 1 << 20);
    assert_eq!(split_by(format!("{exact}\n{exact}").as_bytes(), vec![7; 9], 1 << 20), elements(&[&exact, &exact]));
}

#[test]
fn nesting_costs_nothing() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(300_000), "]".repeat(300_000));
    assert_eq!(split_by(deep.as_bytes(), vec![usize::MAX; 99], 1 << 20), elements(&[&deep]));
}

fn json() -> impl Strategy<Value = Value> {
    let text = proptest::string::string_regex(r#"[a-z{}\[\]",:\\/é🦀\n\t ]{0,12}"#).unwrap().boxed();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn event() -> impl Strategy<Value = Value> {
    let name = proptest::string::string_regex("[a-z{}\",]{1,6}").unwrap();
    prop::collection::vec((name, json()), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        events in prop::collection::vec((event(), any::<bool>()), 0..12),
        form in 0..4,
        lengths in prop::collection::vec(1_usize..60, 0..80),
    ) {
        let texts: Vec<String> =
            events.iter().map(|(event, pretty)| if *pretty { serde_json::to_string_pretty(event).unwrap() } else { event.to_string() }).collect();
        let text = match form {
            0 => texts.join("\n"),
            1 => texts.concat(),
            2 => format!("[{}]", texts.join(",\n")),
            _ => format!("{{\"Records\": [{}]}}\n", texts.join(", ")),
        };
        let expected: Vec<Seen> = texts.into_iter().map(Seen::Element).collect();
        prop_assert_eq!(&split_by(text.as_bytes(), lengths, 1 << 16), &expected);
        prop_assert_eq!(&split_by(text.as_bytes(), vec![usize::MAX; 9], 1 << 16), &expected);
    }

    #[test]
    fn any_bytes_come_to_an_end(text in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b','), Just(b' '), any::<u8>()], 0..300)) {
        let whole = split_by(&text, vec![usize::MAX; 9], 32);
        let single = split_by(&text, vec![], 32);
        prop_assert_eq!(whole, single);
    }
}
