//! What an event and a body are, by `serde_json` alone.
//!
//! `IgnoredAny` and `RawValue` are its grammar without the limits of its values: numbers of any size, escaped lone surrogates and repeated keys are
//! good JSON to them, as they are to the engine, and nesting has no bound. Texts are read as bytes, which lets lone surrogates through.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The longest event, in bytes (`EVENT_BYTES_MAX`).
const EVENT_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting (`JSON_DEPTH_MAX`).
const DEPTH_MAX: usize = 128;
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// The members in their order, also those whose key is repeated.
    Object(Vec<(String, Node<'a>)>),
    /// The elements.
    Array(Vec<Node<'a>>),
    /// A string, decoded.
    Text(String),
    /// A number, `true`, `false` or `null`, as it is written.
    Literal(&'a str),
}

/// Why a text is no event: the word that the engine has for it.
pub fn refused(text: &[u8]) -> Option<&'static str> {
    let trimmed = text.trim_ascii_start();
    let Ok(text) = std::str::from_utf8(text) else { return Some("invalid_utf8") };
    match () {
        () if text.trim_matches(SPACE).len() > EVENT_BYTES_MAX => Some("too_large"),
        () if serde_json::from_str::<IgnoredAny>(text).is_err() => Some("invalid_json"),
        () if !trimmed.starts_with(b"{") => Some("not_an_object"),
        () if depth(text) > DEPTH_MAX => Some("too_deep"),
        () => None,
    }
}

/// How deep a text is nested that is JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Reads a value.
///
/// # Panics
/// When the text is no JSON.
pub fn read(text: &str) -> Node<'_> {
    let text = text.trim_matches(SPACE);
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = members(text).expect("an object");
            Node::Object(members.into_iter().map(|(key, value)| (key, read(value))).collect())
        }
        Some(b'[') => Node::Array(elements(text).expect("an array").into_iter().map(read).collect()),
        Some(b'"') => Node::Text(string(&mut serde_json::Deserializer::from_str(text)).expect("a string")),
        _ => Node::Literal(text),
    }
}

/// The elements of an array, as they are written; `None` when it is none.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// The members of an object, with their values as they are written; `None` when it is none.
pub fn members(text: &str) -> Option<Members<'_>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Members(Vec::new())).ok()?;
    reader.end().ok().map(|()| members)
}

fn string<'a>(reader: &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>) -> serde_json::Result<String> {
    reader.deserialize_bytes(Key(String::new())).map(|key| key.0)
}

/// The members of an object.
#[derive(Debug)]
pub struct Members<'a>(pub Vec<(String, &'a str)>);

impl<'a> Visitor<'a> for Members<'a> {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value::<&RawValue>()?.get()));
        }
        Ok(Members(members))
    }
}

/// A string whose lone surrogates are U+FFFD.
struct Key(String);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Key, D::Error> {
        reader.deserialize_bytes(Key(String::new()))
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
        let (mut text, mut rest) = (Vec::new(), bytes);
        while let Some((byte, after)) = rest.split_first() {
            // A surrogate as UTF-8 would write it, if it could.
            if let [0xed, 0xa0..=0xbf, _, after @ ..] = rest {
                text.extend_from_slice("\u{fffd}".as_bytes());
                rest = after;
            } else {
                text.push(*byte);
                rest = after;
            }
        }
        Ok(Key(String::from_utf8(text).expect("UTF-8 but for surrogates")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Key, A::Error> {
        Err(serde::de::Error::custom("an array"))
    }
}
