//! Events: the committed corpus, and odd JSON made up from a seed.

use std::path::PathBuf;

use trail_sim::random::Random;

/// The lines of a corpus file. A missing file fails.
pub(crate) fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/corpus").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// All good lines of the corpus.
pub(crate) fn all_corpora() -> Vec<Vec<u8>> {
    ["cloudtrail.ndjson", "actiontrail.ndjson", "k8s_audit.ndjson", "gcp_audit.ndjson", "edge.ndjson"]
        .into_iter()
        .flat_map(corpus)
        .collect()
}

/// White space around an event is not part of it.
pub(crate) fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().position(|b| !is_space(b)).unwrap();
    &text[start..=text.iter().rposition(|b| !is_space(b)).unwrap()]
}

const KEYS: [&str; 14] = ["a", "b", "c", "d", "e", "f", "id", "t", "", "a.b", "A", "\\u0061", "q\\\"", "é"];
const LITERALS: [&str; 22] = [
    "0",
    "1",
    "-0",
    "1.0",
    "1e5",
    "1E+5",
    "0.10",
    "-7",
    "42",
    "9007199254740993",
    "18446744073709551616",
    "1e999",
    "-1e-999",
    "true",
    "false",
    "null",
    "null",
    "1795334400",
    "1795334400123",
    "3.5",
    "12345678901234567890123456789012345678901234567890",
    "100",
];
const TEXTS: [&str; 30] = [
    "",
    "x",
    "X",
    "alice",
    "Alice",
    "alice@example.com",
    "10.1.2.3",
    "10.0.0.0/8",
    "::ffff:10.9.9.9",
    "2001:db8::1",
    "true",
    "null",
    "5",
    "2026-11-20T10:01:00Z",
    "2026-11-20T19:33:02.5+08:00",
    "arn:aws:s3:::prod-logs",
    "a b c",
    "a.b",
    "\\u0061lice",
    "\\ud83d\\ude00",
    "\\ud800",
    "caf\\u00e9",
    "café",
    "CAFÉ",
    "line\\nbreak",
    "quote\\\"d",
    "back\\\\slash",
    "sl\\/ash",
    "a*b",
    "ſharp \u{212a}elvin",
];

/// A JSON object in odd dress. `id` makes it unlike all others.
pub(crate) fn odd_event(random: &mut Random, id: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut writer = Odd { random, text: &mut text, pretty: 0 };
    writer.pretty = writer.random.below(4);
    writer.object(0, Some(id));
    text.into_bytes()
}

struct Odd<'a> {
    random: &'a mut Random,
    text: &'a mut String,
    pretty: usize,
}

impl Odd<'_> {
    fn space(&mut self) {
        match self.pretty {
            1 => self.text.push(' '),
            2 if self.random.chance(50) => self.text.push_str("\r\n\t"),
            3 => self.text.push_str("\n  "),
            _ => {}
        }
    }

    fn object(&mut self, depth: usize, id: Option<usize>) {
        self.text.push('{');
        let members = self.random.below(if depth == 0 { 8 } else { 5 });
        for i in 0..members {
            if i > 0 {
                self.text.push(',');
            }
            self.space();
            let key = *self.random.pick(&KEYS);
            self.text.push_str(&format!("\"{key}\""));
            self.space();
            self.text.push(':');
            self.space();
            match (key, id) {
                ("id", Some(id)) if self.random.chance(80) => self.text.push_str(&format!("\"odd-{id}\"")),
                ("t", Some(id)) if self.random.chance(80) => {
                    self.text.push_str(&format!("\"2026-11-{:02}T0{}:00:00Z\"", 1 + id % 21, id % 10))
                }
                _ => self.value(depth + 1),
            }
        }
        self.space();
        self.text.push('}');
    }

    fn value(&mut self, depth: usize) {
        match self.random.below(if depth > 5 { 6 } else { 10 }) {
            0..3 => {
                let literal = *self.random.pick(&LITERALS);
                self.text.push_str(literal);
            }
            3..6 => {
                let text = *self.random.pick(&TEXTS);
                self.text.push_str(&format!("\"{text}\""));
            }
            6..8 => self.array(depth),
            _ => self.object(depth, None),
        }
    }

    fn array(&mut self, depth: usize) {
        self.text.push('[');
        for i in 0..self.random.below(4) {
            if i > 0 {
                self.text.push(',');
            }
            self.space();
            self.value(depth + 1);
        }
        self.space();
        self.text.push(']');
    }
}

/// The corpus and `odd` made-up events, shuffled a little so that kinds mix.
pub(crate) fn mixed(seed: u64, odd: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let mut events = all_corpora();
    events.extend((0..odd).map(|id| odd_event(&mut random, id)));
    for at in (1..events.len()).rev() {
        if random.chance(60) {
            let other = random.below(at + 1);
            events.swap(at, other);
        }
    }
    events
}
