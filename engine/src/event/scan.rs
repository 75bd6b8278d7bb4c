//! One strict pass over the text of an event (RFC 8259): it validates, and splits the text into shape and leaves.
//!
//! Mechanism: a state machine over tokens with one bit a level for "object or array", so nothing recurses and nothing is
//! built. The text between leaf values is copied into the shape, where one byte stands
//! for each leaf; those bytes are control characters, which valid JSON text cannot hold.
//!
//! Limits: the caller has checked that the text is UTF-8 and at most [`crate::limits::EVENT_BYTES_MAX`] long. Escaped lone
//! surrogates, repeated keys and numbers of any size are valid JSON text and pass.

use super::tokens::{Fault, Scanned, Tokens};
use crate::limits::JSON_DEPTH_MAX;

/// Stands in a shape for a string value, quotes included.
pub(crate) const STRING_MARK: u8 = 0x00;
/// Stands in a shape for a number, `true`, `false` or `null`.
pub(crate) const LITERAL_MARK: u8 = 0x01;
/// A shape that is only this byte stands for an event that is kept whole.
pub(crate) const WHOLE_MARK: u8 = 0x02;

/// What kind of leaf a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A string; the leaf is the text between its quotes, with its escapes.
    String,
    /// A number, `true`, `false` or `null`.
    Literal,
    /// A whole event.
    Whole,
}

/// A leaf value: its place in the event's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Leaf {
    /// The bytes of the leaf.
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Appends the shape of `text` to `shape` and its leaves to `leaves`.
///
/// # Errors
/// The byte at which the text stops being an acceptable event, and why.
pub(crate) fn scan(text: &[u8], shape: &mut Vec<u8>, leaves: &mut Vec<Leaf>) -> Scanned<()> {
    let mut scan = Scan { tokens: Tokens { text, at: 0 }, copied: 0, depth: 0, objects: 0, shape, leaves };
    scan.tokens.space();
    if scan.tokens.peek() != Some(b'{') {
        return Err(scan.not_an_object());
    }
    scan.run()
}

struct Scan<'a> {
    tokens: Tokens<'a>,
    /// Everything before this offset is in the shape already.
    copied: usize,
    depth: usize,
    /// One bit a level: set for an object. The current level is bit 0.
    objects: u128,
    shape: &'a mut Vec<u8>,
    leaves: &'a mut Vec<Leaf>,
}

enum Next {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    CommaOrEnd,
}

impl Scan<'_> {
    fn run(&mut self) -> Scanned<()> {
        let mut next = Next::Value;
        loop {
            self.tokens.space();
            let Some(byte) = self.tokens.peek() else {
                return self.tokens.fail("the text ends inside the object");
            };
            next = match next {
                Next::ValueOrEnd if byte == b']' => self.close(),
                Next::Value | Next::ValueOrEnd => self.value(byte)?,
                Next::KeyOrEnd if byte == b'}' => self.close(),
                Next::KeyOrEnd => self.key()?,
                Next::CommaOrEnd => self.comma_or_end(byte)?,
            };
            if self.depth == 0 {
                return self.end();
            }
        }
    }

    fn value(&mut self, byte: u8) -> Scanned<Next> {
        match byte {
            b'{' => self.open(true).map(|()| Next::KeyOrEnd),
            b'[' => self.open(false).map(|()| Next::ValueOrEnd),
            b'"' => {
                let start = self.tokens.at;
                let (from, to) = self.tokens.string()?;
                self.leaf(start, from, to, STRING_MARK);
                Ok(Next::CommaOrEnd)
            }
            _ => {
                let start = self.tokens.at;
                self.tokens.literal(byte)?;
                self.leaf(start, start, self.tokens.at, LITERAL_MARK);
                Ok(Next::CommaOrEnd)
            }
        }
    }

    fn key(&mut self) -> Scanned<Next> {
        if self.tokens.peek() != Some(b'"') {
            return self.tokens.fail("expected a key in quotes");
        }
        self.tokens.string()?;
        self.tokens.space();
        if self.tokens.peek() != Some(b':') {
            return self.tokens.fail("expected `:` after a key");
        }
        self.tokens.at += 1;
        Ok(Next::Value)
    }

    fn comma_or_end(&mut self, byte: u8) -> Scanned<Next> {
        let in_object = self.objects & 1 == 1;
        match byte {
            b'}' if in_object => Ok(self.close()),
            b']' if !in_object => Ok(self.close()),
            b',' => {
                self.tokens.at += 1;
                self.tokens.space();
                match (in_object, self.tokens.peek()) {
                    (true, Some(b'"')) => self.key(),
                    (true, _) => self.tokens.fail("expected a key in quotes"),
                    (false, _) => Ok(Next::Value),
                }
            }
            _ if in_object => self.tokens.fail("expected `,` or `}`"),
            _ => self.tokens.fail("expected `,` or `]`"),
        }
    }

    fn open(&mut self, object: bool) -> Scanned<()> {
        if self.depth == JSON_DEPTH_MAX {
            return Err((self.tokens.at, Fault::Depth));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.tokens.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Next {
        self.depth -= 1;
        self.objects >>= 1;
        self.tokens.at += 1;
        Next::CommaOrEnd
    }

    /// The object is closed: nothing but white space may follow.
    fn end(&mut self) -> Scanned<()> {
        let end = self.tokens.at;
        self.tokens.space();
        if self.tokens.at < self.tokens.text.len() {
            return self.tokens.fail("there is text after the object");
        }
        self.shape.extend_from_slice(self.tokens.text.get(self.copied..end).unwrap_or_default());
        Ok(())
    }

    fn leaf(&mut self, before: usize, start: usize, end: usize, mark: u8) {
        self.shape.extend_from_slice(self.tokens.text.get(self.copied..before).unwrap_or_default());
        self.shape.push(mark);
        self.copied = self.tokens.at;
        // An event is at most 1 MiB long.
        self.leaves.push(Leaf { start: start as u32, end: end as u32 });
    }

    /// Tells other JSON values from what is no JSON, by their first byte.
    #[cold]
    fn not_an_object(&self) -> (usize, Fault) {
        match self.tokens.peek() {
            None => (self.tokens.at, Fault::Syntax("the text is empty")),
            Some(b'[' | b'"' | b'-' | b'0'..=b'9') => (self.tokens.at, Fault::NotAnObject),
            Some(_) => {
                let rest = self.tokens.text.get(self.tokens.at..).unwrap_or_default();
                let literal = [&b"null"[..], b"true", b"false"].contains(&rest);
                (self.tokens.at, if literal { Fault::NotAnObject } else { Fault::Syntax("expected `{`") })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Scanned<(Vec<u8>, Vec<String>)> {
        let (mut shape, mut leaves) = (Vec::new(), Vec::new());
        scan(text.as_bytes(), &mut shape, &mut leaves)?;
        Ok((shape, leaves.iter().map(|l| String::from_utf8(l.of(text.as_bytes()).to_vec()).unwrap()).collect()))
    }

    #[test]
    fn splits_into_shape_and_leaves() {
        let (shape, leaves) = split(r#" {"a" : [1, "x\"y", {"b":null}], "c":{}, "d":[] } "#).unwrap();
        assert_eq!(shape, b" {\"a\" : [\x01, \x00, {\"b\":\x01}], \"c\":{}, \"d\":[] }");
        assert_eq!(leaves, ["1", "x\\\"y", "null"]);
    }

    #[test]
    fn says_where_and_why_a_text_is_refused() {
        assert_eq!(split(r#"{"a":1,}"#), Err((7, Fault::Syntax("expected a key in quotes"))));
        assert_eq!(split("[1]"), Err((0, Fault::NotAnObject)));
        assert_eq!(split("null"), Err((0, Fault::NotAnObject)));
        assert_eq!(split(r#"{"a":01}"#), Err((6, Fault::Syntax("expected `,` or `}`"))));
        assert_eq!(split(&format!("{{\"a\":{}", "[".repeat(100_000))), Err((5 + JSON_DEPTH_MAX - 1, Fault::Depth)));
        assert_eq!(split("{\"a\":\"\u{1}\"}"), Err((6, Fault::Syntax("a control character must be escaped in a string"))));
        assert!(split(r#"{"a":"\ud800","a":1e999,"":-0.0E+5}"#).is_ok());
        assert!(split(r#"{"a":1}{"b":2}"#).is_err());
    }

    /// Text that is JSON more often than not, and nearly JSON the rest of the time.
    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"a\"",
            "\"\\n\"",
            "\"\\u00e9\"",
            "1",
            "-0.5e+7",
            "01",
            "true",
            "null",
            "nul",
            " ",
            "\t",
            "\"",
            "\\",
            "é",
        ]);
        prop::collection::vec(token, 0..24).prop_map(|t| t.concat())
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..8).prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_serde_json_on_nearly_json(text in nearly_json()) {
            let wrapped = format!("{{\"k\":{text}}}");
            for text in [&text, &wrapped] {
                let expected = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && text.trim_start().starts_with('{');
                prop_assert_eq!(split(text).is_ok(), expected, "{}", text);
            }
        }

        #[test]
        fn accepts_all_objects_and_puts_them_together_again(value in any_json(), pretty: bool) {
            let object = serde_json::json!({ "v": value });
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let (shape, leaves) = split(&text).unwrap();
            let mut leaves = leaves.into_iter();
            let mut back = Vec::new();
            for byte in shape {
                match byte {
                    STRING_MARK => back.extend(format!("\"{}\"", leaves.next().unwrap()).into_bytes()),
                    LITERAL_MARK => back.extend(leaves.next().unwrap().into_bytes()),
                    byte => back.push(byte),
                }
            }
            prop_assert_eq!(String::from_utf8(back).unwrap(), text);
        }
    }
}
