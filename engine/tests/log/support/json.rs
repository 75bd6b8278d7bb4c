//! JSON as a tree that keeps everything: repeated keys, numbers as written, lone surrogates (as U+FFFD).
//!
//! Written on its own, so that it shares no mistake with the engine; no crate at hand keeps all three.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// A number, `true`, `false` or `null`, as written.
    Literal(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads valid JSON text.
    pub(crate) fn read(text: &[u8]) -> Json {
        let mut reader = Reader { text: std::str::from_utf8(text).unwrap(), at: 0 };
        let value = reader.value();
        reader.space();
        assert_eq!(reader.at, text.len(), "text after the value");
        value
    }

    /// Calls `visit` with every key and every string.
    pub(crate) fn for_each_text(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Json::Literal(_) => {}
            Json::Text(text) => visit(text),
            Json::Array(items) => items.iter().for_each(|item| item.for_each_text(visit)),
            Json::Object(members) => members.iter().for_each(|(key, value)| {
                visit(key);
                value.for_each_text(visit);
            }),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.text.as_bytes()[self.at]
    }

    fn space(&mut self) {
        while matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Json {
        self.space();
        match self.peek() {
            b'"' => Json::Text(self.string()),
            b'[' => self.array(),
            b'{' => self.object(),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                self.at += end;
                Json::Literal(rest[..end].to_owned())
            }
        }
    }

    fn array(&mut self) -> Json {
        self.at += 1;
        let mut items = Vec::new();
        while !self.eat(b']') {
            self.eat(b',');
            items.push(self.value());
        }
        Json::Array(items)
    }

    fn object(&mut self) -> Json {
        self.at += 1;
        let mut members = Vec::new();
        while !self.eat(b'}') {
            self.eat(b',');
            self.space();
            let key = self.string();
            assert!(self.eat(b':'));
            members.push((key, self.value()));
        }
        Json::Object(members)
    }

    fn string(&mut self) -> String {
        let start = self.at + 1;
        let mut end = start;
        let bytes = self.text.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.at = end + 1;
        decode(&self.text[start..end])
    }
}

fn decode(raw: &str) -> String {
    let mut units = Vec::new();
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match chars.next().unwrap() {
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).unwrap()
            }
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            other => other as u16,
        });
    }
    String::from_utf16_lossy(&units)
}
