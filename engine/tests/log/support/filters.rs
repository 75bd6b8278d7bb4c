//! Filters made up from a seed, with values taken from the events they will be asked about, so that most of them select something.

use std::ops::Bound;

use trail_engine::event::{Path, Step};
use trail_engine::id::Timestamp;
use trail_engine::query::{Comparison, Field, Filter, Moment, Test};

use crate::support::json::Json;
use crate::support::oracle::{Known, leaves_at};
use trail_sim::random::Random;

/// Makes filters about these events.
pub(crate) struct Filters<'a> {
    pub(crate) random: Random,
    pub(crate) events: &'a [Known],
    pub(crate) dimensions: Vec<String>,
    pub(crate) now: Timestamp,
}

impl Filters<'_> {
    /// A filter of some depth.
    pub(crate) fn filter(&mut self, depth: usize) -> Filter {
        if depth == 0 || self.random.chance(40) {
            return self.leaf();
        }
        let count = 1 + self.random.below(3);
        match self.random.below(5) {
            0 | 1 => Filter::all_of((0..count).map(|_| self.filter(depth - 1)).collect::<Vec<_>>()),
            2 | 3 => Filter::any_of((0..count).map(|_| self.filter(depth - 1)).collect::<Vec<_>>()),
            _ => Filter::negate(self.filter(depth - 1)),
        }
    }

    fn leaf(&mut self) -> Filter {
        let compare = |field, test| Filter::Compare(Comparison { field, test });
        match self.random.below(20) {
            0 => Filter::All,
            1 => compare(Field::EventTime, self.times()),
            2 => compare(Field::ReceivedAt, self.times()),
            3 => {
                let most = self.events.len() + 3;
                let (low, high) = (self.random.below(most) as u64, self.random.below(most) as u64);
                compare(Field::Sequence, Test::Sequences { low: self.end(low), high: Bound::Included(high) })
            }
            4..8 => Filter::Text(self.text()),
            8..14 => self.dimension(),
            _ => {
                let (path, value) = self.path();
                compare(Field::Path(path), self.test(&value))
            }
        }
    }

    fn dimension(&mut self) -> Filter {
        let name = self.random.pick(&self.dimensions).clone();
        let holders: Vec<&Known> = self.events.iter().filter(|e| e.terms_of(&name).next().is_some()).collect();
        let value = if holders.is_empty() { String::new() } else { self.random.pick(&holders).terms_of(&name).next().unwrap().to_owned() };
        Filter::Compare(Comparison { field: Field::Dimension(name), test: self.test(&value) })
    }

    /// A path of some event, sometimes cut short, starred or wrong, and a value there.
    pub(crate) fn path(&mut self) -> (Path, String) {
        let mut keys = Vec::new();
        let mut value = &self.random.pick(self.events).json;
        loop {
            match value {
                Json::Object(members) if !members.is_empty() && (keys.is_empty() || self.random.chance(90)) => {
                    let (key, next) = &members[self.random.below(members.len())];
                    keys.push(Step::Key(key.clone()));
                    value = next;
                }
                Json::Array(items) if !items.is_empty() => value = &items[self.random.below(items.len())],
                _ => break,
            }
        }
        if keys.is_empty() {
            keys.push(Step::Key("nowhere".into()));
        }
        if self.random.chance(10) {
            let at = self.random.below(keys.len());
            keys[at] = Step::Any;
        }
        if self.random.chance(5) {
            keys.push(Step::Key("beyond".into()));
        }
        let found = match value {
            Json::Text(text) | Json::Literal(text) => text.clone(),
            _ => "x".into(),
        };
        (Path { steps: keys }, found)
    }

    /// A test that a value may pass.
    fn test(&mut self, value: &str) -> Test {
        let ignore_case = self.random.chance(30);
        let value = if ignore_case && self.random.chance(50) { value.to_uppercase() } else { value.to_owned() };
        // Longer ones are refused as patterns.
        let value: String = value.chars().take(300).collect();
        match self.random.below(12) {
            0..2 => Test::Exists,
            2..5 => Test::Exact { value, ignore_case },
            5..7 => self.wildcard(&value, ignore_case),
            7..9 => self.pattern(&value, ignore_case),
            9 => self.network(&value),
            10 => self.numbers(&value),
            _ => self.times(),
        }
    }

    fn wildcard(&mut self, value: &str, ignore_case: bool) -> Test {
        let chars: Vec<char> = value.chars().collect();
        let cut =
            |from: usize, to: usize| chars[from.min(chars.len())..to.clamp(from.min(chars.len()), chars.len())].iter().collect::<String>();
        let (a, b) = (self.random.below(chars.len() + 1), self.random.below(chars.len() + 1));
        let (a, b) = (a.min(b), a.max(b));
        let mut pieces = match self.random.below(4) {
            0 => vec![cut(0, a), String::new()],
            1 => vec![String::new(), cut(b, chars.len())],
            2 => vec![String::new(), cut(a, b), String::new()],
            _ => vec![cut(0, a), cut(b, chars.len())],
        };
        if pieces.iter().all(String::is_empty) {
            pieces[0] = "a".into();
        }
        let last = pieces.len() - 1;
        let pieces = pieces.into_iter().enumerate().filter(|(i, p)| *i == 0 || *i == last || !p.is_empty()).map(|(_, p)| p).collect();
        Test::Wildcard { pieces, ignore_case }
    }

    fn pattern(&mut self, value: &str, ignore_case: bool) -> Test {
        let escaped = regex::escape(&value.chars().take(60).collect::<String>());
        let pattern = match self.random.below(7) {
            0 => escaped,
            1 => format!("{escaped}|true"),
            2 => format!("(?s).*{}", regex::escape(&value.chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect::<String>())),
            3 => "[A-Z][a-z]+.*".into(),
            4 => r"\d+(\.\d+)*".into(),
            5 => "^(Get|List|Describe).*$".into(),
            _ => r"[\w/:.-]*".into(),
        };
        Test::Regex { pattern, ignore_case }
    }

    fn network(&mut self, value: &str) -> Test {
        let texts = ["10.0.0.0", "198.51.100.0", "203.0.113.7", "0.0.0.0", "2001:db8::", "::ffff:10.0.0.0", "::"];
        let network: std::net::IpAddr = value.parse().unwrap_or_else(|_| self.random.pick(&texts).parse().unwrap());
        let bits = self.random.below(if network.is_ipv4() { 33 } else { 129 }) as u8;
        Test::Network { network, bits }
    }

    fn numbers(&mut self, value: &str) -> Test {
        let near = value.parse::<f64>().ok().filter(|n| n.is_finite()).unwrap_or(5.0);
        let far = *self.random.pick(&[0.0, -1.0, 1.5, 100.0, 1e6, 1e18, 1e300]);
        let (low, high) = (near.min(far), near.max(far));
        match self.random.below(3) {
            0 => Test::Numbers { low: self.end(low), high: Bound::Unbounded },
            1 => Test::Numbers { low: Bound::Unbounded, high: self.end(high) },
            _ => Test::Numbers { low: self.end(low), high: self.end(high) },
        }
    }

    fn end<T>(&mut self, value: T) -> Bound<T> {
        if self.random.chance(50) { Bound::Included(value) } else { Bound::Excluded(value) }
    }

    /// A moment at or near one of the events, or relative to now.
    pub(crate) fn moment(&mut self) -> Moment {
        let event = self.random.pick(self.events);
        let millis = 1_000_000;
        match self.random.below(5) {
            0 => Moment::Now(-(self.random.below(40 * 24) as i64) * 3_600_000 * millis),
            1 => Moment::At(event.received_at),
            2 => Moment::At(event.event_time.shift(1)),
            3 => Moment::At(event.event_time.shift(-(self.random.below(86_400_000) as i64) * millis)),
            _ => Moment::At(event.event_time),
        }
    }

    fn times(&mut self) -> Test {
        let (a, b) = (self.moment(), self.moment());
        let (low, high) = if a.resolve(self.now) <= b.resolve(self.now) { (a, b) } else { (b, a) };
        match self.random.below(3) {
            0 => Test::Times { low: self.end(low), high: Bound::Unbounded },
            1 => Test::Times { low: Bound::Unbounded, high: self.end(high) },
            _ => Test::Times { low: self.end(low), high: self.end(high) },
        }
    }

    /// A text that stands in some event: as written or decoded, within values or across them, in any case.
    fn text(&mut self) -> String {
        let event = self.random.pick(self.events).clone();
        let mut decoded = String::new();
        event.json.for_each_text(&mut |text| decoded.push_str(text));
        let whole = if self.random.chance(70) || decoded.is_empty() { String::from_utf8(event.text).unwrap() } else { decoded };
        let chars: Vec<char> = whole.chars().collect();
        let start = self.random.below(chars.len());
        let length = 1 + self.random.below(12);
        let text: String = chars.iter().skip(start).take(length).collect();
        match self.random.below(4) {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 if self.random.chance(20) => format!("{text}\u{1}nowhere"),
            _ => text,
        }
    }
}

/// A path at which some events have values, for terms.
pub(crate) fn path_with_values(filters: &mut Filters<'_>) -> Path {
    loop {
        let (path, _) = filters.path();
        if filters.events.iter().any(|e| !leaves_at(&e.json, &path).is_empty()) {
            return path;
        }
    }
}
