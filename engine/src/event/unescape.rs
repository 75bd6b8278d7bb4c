//! JSON string escapes to text.

use std::borrow::Cow;

/// Decodes the raw content of a JSON string. An escaped lone surrogate, which no Unicode text can hold, becomes U+FFFD.
///
/// `raw` is valid by construction (it was scanned at ingest); bytes that are not, from a damaged file, become U+FFFD too.
#[must_use]
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        text.push_str(&String::from_utf8_lossy(plain));
        rest = decode_one(escape.get(1..).unwrap_or_default(), &mut text);
    }
    text.push_str(&String::from_utf8_lossy(rest));
    Cow::Owned(text)
}

/// Decodes one escape, whose backslash is already gone; returns what follows it.
fn decode_one<'a>(escape: &'a [u8], text: &mut String) -> &'a [u8] {
    let Some((kind, rest)) = escape.split_first() else {
        return &[];
    };
    match kind {
        b'b' => text.push('\u{8}'),
        b'f' => text.push('\u{c}'),
        b'n' => text.push('\n'),
        b'r' => text.push('\r'),
        b't' => text.push('\t'),
        b'u' => return decode_unicode(rest, text),
        other => text.push(char::from(*other)),
    }
    rest
}

fn decode_unicode<'a>(digits: &'a [u8], text: &mut String) -> &'a [u8] {
    let Some(first) = four_hex(digits) else {
        text.push(char::REPLACEMENT_CHARACTER);
        return digits;
    };
    let rest = digits.get(4..).unwrap_or_default();
    if (0xd800..0xdc00).contains(&first)
        && let Some(low) = rest.strip_prefix(b"\\u").and_then(four_hex)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest.get(6..).unwrap_or_default();
    }
    text.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn four_hex(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_every_escape() {
        assert_eq!(unescape(br#"a\"\\\/\b\f\n\r\tz"#), "a\"\\/\u{8}\u{c}\n\r\tz");
        assert_eq!(unescape(br"\u00e9\ud83d\ude00"), "é😀");
        assert_eq!(unescape(br"\ud800x\udc00"), "\u{fffd}x\u{fffd}");
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text: String) {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(&quoted.as_bytes()[1..quoted.len() - 1]), text);
        }

        #[test]
        fn never_panics(raw: Vec<u8>) {
            let _ = unescape(&raw);
        }
    }
}
