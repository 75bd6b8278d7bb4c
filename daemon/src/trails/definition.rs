//! [`Definition`]: a trail as its author writes it: name, filter, start, sinks; and [`read_configured`], those of a configuration file.

use std::time::Duration;

use serde_json::{Map, Value, json};
use trail_engine::event::DimensionSchema;
use trail_engine::id::{Sequence, Timestamp};
use trail_engine::query::{Filter, Moment};

use crate::config::TrailEntry;
use crate::nearest::hint;
use crate::trails::setting::members::{Form, Members};
use crate::trails::setting::secret::Secret;
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::kind::SinkKind;
use crate::trails::sink::registry::{self, SINKS};

/// The most sinks of one trail.
pub const SINKS_MAX: usize = 8;
/// The longest name of a trail.
const NAME_CHARS_MAX: usize = 64;
/// The most events and bytes of one batch, and the longest wait for them: a batch is held in memory.
const BATCH_EVENTS_MAX: u64 = 1_000_000;
const BATCH_BYTES_MAX: u64 = 256 << 20;
const BATCH_SECONDS_MAX: f64 = 86_400.0;

/// Where a trail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind the newest event at the moment when it is started first.
    Now,
    /// At the oldest event that is retained.
    Oldest,
    /// At the first event received at this time or later.
    Time(Timestamp),
    /// At this sequence.
    Sequence(Sequence),
}

/// One sink of a trail.
#[derive(Debug, Clone)]
pub struct SinkDefinition {
    /// Its kind.
    pub kind: &'static SinkKind,
    /// Its members, as they were written.
    pub members: Map<String, Value>,
    /// How its events are batched.
    pub batch: BatchLimits,
}

/// A trail as its author writes it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name: 1 to 64 of `[a-z0-9_-]`, a letter or digit first.
    pub name: String,
    /// Which events it delivers, in the query language; empty for all.
    pub filter: String,
    /// Where it begins.
    pub start: Start,
    /// Whether days that are over the retention wait for their delivery before they are dropped, as far as `hold_bytes_max` allows.
    pub hold_retention: bool,
    /// Where it delivers to.
    pub sinks: Vec<SinkDefinition>,
}

/// The members of a trail.
const MEMBERS: [&str; 6] = ["name", "filter", "start", "hold_retention", "sinks", "start_now"];

impl Definition {
    /// Reads a trail. `name` is what a URL says it is called, when one does.
    ///
    /// # Errors
    /// A sentence that names what is wrong with it.
    pub fn read(value: &Value, name: Option<&str>, schema: &DimensionSchema) -> Result<Definition, String> {
        let Value::Object(object) = value else { return Err("a trail is a JSON object".into()) };
        if let Some(unknown) = object.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
            return Err(format!("unknown member `{unknown}`{}", hint(unknown, MEMBERS)));
        }
        let definition = Definition {
            name: read_name(object, name)?,
            filter: read_filter(object, schema)?,
            start: object.get("start").filter(|start| !start.is_null()).map_or(Ok(Start::Now), Start::read)?,
            hold_retention: read_flag(object, "hold_retention")?,
            sinks: read_sinks(object)?,
        };
        read_flag(object, "start_now")?;
        let whole = definition.sinks.iter().any(|sink| sink.whole_segments());
        if whole && !definition.filter.is_empty() {
            return Err("`segments` delivers whole files, so the trail can have no filter".into());
        }
        Ok(definition)
    }

    /// Whether the body asks to start the trail at once.
    #[must_use]
    pub fn starts_now(value: &Value) -> bool {
        value.get("start_now").and_then(Value::as_bool) == Some(true)
    }

    /// The trail as it is kept: secrets as they were written.
    #[must_use]
    pub fn kept(&self) -> Value {
        self.written(|sink| sink.members.clone())
    }

    /// The trail as it may be shown: of secrets only where they come from.
    #[must_use]
    pub fn shown(&self) -> Value {
        self.written(SinkDefinition::shown_members)
    }

    fn written(&self, members: impl Fn(&SinkDefinition) -> Map<String, Value>) -> Value {
        let sinks: Vec<Value> = self.sinks.iter().map(|sink| sink.written(members(sink))).collect();
        json!({
            "name": self.name, "filter": self.filter, "start": self.start.written(), "hold_retention": self.hold_retention, "sinks": sinks,
        })
    }
}

/// Reads the trails of a configuration file, in its order.
///
/// # Errors
/// Every trail that is wrong, with the file and the line of its table.
pub fn read_configured(entries: &[TrailEntry], schema: &DimensionSchema) -> Result<Vec<Definition>, Vec<String>> {
    let (mut read, mut problems) = (Vec::<Definition>::new(), Vec::new());
    for TrailEntry { place, definition } in entries {
        match Definition::read(definition, None, schema) {
            Ok(twice) if read.iter().any(|known| known.name == twice.name) => {
                problems.push(format!("{place}: trail `{}` is there twice", twice.name));
            }
            Ok(definition) => read.push(definition),
            Err(problem) => problems.push(format!("{place}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// Whether a text can name a trail.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_'))
        && name.bytes().next().is_some_and(plain)
}

fn read_name(object: &Map<String, Value>, outside: Option<&str>) -> Result<String, String> {
    let name = match (object.get("name").and_then(Value::as_str), outside) {
        (Some(inside), Some(outside)) if inside != outside => {
            return Err(format!("the trail is called `{inside}` in the body and `{outside}` in the path; a trail cannot be renamed"));
        }
        (inside, outside) => outside.or(inside).ok_or("`name` is missing: what the trail is called")?,
    };
    if is_name(name) {
        Ok(name.to_owned())
    } else {
        Err("`name` must be 1 to 64 of a-z, 0-9, - and _, with a letter or digit first".into())
    }
}

fn read_filter(object: &Map<String, Value>, schema: &DimensionSchema) -> Result<String, String> {
    match object.get("filter") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(filter)) => {
            let read = Filter::parse(filter, &schema.dimensions);
            read.map_err(|e| format!("`filter`: {e}"))?;
            Ok(filter.trim().to_owned())
        }
        Some(_) => Err("`filter` must be a text in the query language".into()),
    }
}

fn read_flag(object: &Map<String, Value>, name: &str) -> Result<bool, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("`{name}` must be true or false")),
    }
}

fn read_sinks(object: &Map<String, Value>) -> Result<Vec<SinkDefinition>, String> {
    let Some(Value::Array(sinks)) = object.get("sinks") else {
        return Err("`sinks` is missing: a list of where the events go".into());
    };
    if !(1..=SINKS_MAX).contains(&sinks.len()) {
        return Err(format!("`sinks` must have 1 to {SINKS_MAX} entries"));
    }
    let read = |(i, sink)| SinkDefinition::read(sink).map_err(|problem| format!("sink {i}: {problem}"));
    sinks.iter().enumerate().map(read).collect()
}

impl Start {
    fn read(value: &Value) -> Result<Start, String> {
        let wrong =
            || r#"`start` must be "now", "oldest", a time (2026-11-22T08:00:00Z), a day (2026-11-22), or {"sequence":N}"#.to_owned();
        match value {
            Value::String(word) if word == "now" => Ok(Start::Now),
            Value::String(word) if word == "oldest" => Ok(Start::Oldest),
            // What is relative to the present would be another place whenever it is read.
            Value::String(text) => match Moment::parse(text) {
                Ok(Moment::At(time)) => Ok(Start::Time(time)),
                _ => Err(wrong()),
            },
            Value::Number(millis) => millis.as_i64().and_then(Timestamp::from_millis).map(Start::Time).ok_or_else(wrong),
            Value::Object(members) if members.len() == 1 => {
                members.get("sequence").and_then(Value::as_u64).map(|n| Start::Sequence(Sequence(n))).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn written(self) -> Value {
        match self {
            Start::Now => json!("now"),
            Start::Oldest => json!("oldest"),
            Start::Time(time) => json!(time.to_string()),
            Start::Sequence(sequence) => json!({ "sequence": sequence.0 }),
        }
    }
}

impl SinkDefinition {
    fn read(value: &Value) -> Result<SinkDefinition, String> {
        let Value::Object(object) = value else { return Err("a sink is a JSON object".into()) };
        let names = || SINKS.iter().map(|kind| kind.name);
        let Some(Value::String(name)) = object.get("type") else {
            return Err(format!("`type` is missing: one of {}", names().collect::<Vec<_>>().join(", ")));
        };
        let kind = registry::named(name).ok_or_else(|| {
            let near = hint(name, names());
            format!("there is no sink `{name}`; there are {}{near}", names().collect::<Vec<_>>().join(", "))
        })?;
        Members::check(object, kind.members, &["type", "batch"])?;
        let batch = read_batch(object.get("batch"), kind.batch)?;
        let members = object.iter().filter(|(name, value)| !matches!(name.as_str(), "type" | "batch") && !value.is_null());
        Ok(SinkDefinition { kind, members: members.map(|(name, value)| (name.clone(), value.clone())).collect(), batch })
    }

    /// The members, checked when the definition was read.
    ///
    /// # Errors
    /// None for a definition that was read.
    pub fn members(&self) -> Result<Members<'_>, String> {
        Members::check(&self.members, self.kind.members, &[])
    }

    /// Whether it takes segments as they are.
    #[must_use]
    pub fn whole_segments(&self) -> bool {
        self.members().is_ok_and(|members| (self.kind.whole_segments)(&members))
    }

    fn shown_members(&self) -> Map<String, Value> {
        let show = |(name, value): (&String, &Value)| {
            let form = self.kind.members.iter().find(|member| member.name == name).map(|member| member.form);
            let hidden = |value: &Value| Secret::read(value).map_or(Value::Null, |secret| secret.shown());
            let shown = match (form, value) {
                (Some(Form::Secret), value) => hidden(value),
                (Some(Form::Texts), Value::Object(texts)) => texts.iter().map(|(key, value)| (key.clone(), hidden(value))).collect(),
                (_, Value::String(text)) => Value::String(without_query(text)),
                (_, value) => value.clone(),
            };
            (name.clone(), shown)
        };
        self.members.iter().map(show).collect()
    }

    fn written(&self, members: Map<String, Value>) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), self.kind.name.into());
        object.extend(members);
        let batch = json!({ "events": self.batch.events, "bytes": self.batch.bytes, "seconds": self.batch.delay.as_secs_f64() });
        object.insert("batch".into(), batch);
        Value::Object(object)
    }
}

/// A URL without what stands behind its `?`, which may be a token; any other text as it is.
fn without_query(text: &str) -> String {
    match text.split_once('?') {
        Some((place, _)) if place.contains("://") => format!("{place}?(hidden)"),
        _ => text.to_owned(),
    }
}

fn read_batch(value: Option<&Value>, default: BatchLimits) -> Result<BatchLimits, String> {
    let object = match value {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(r#"`batch` must be an object: {"events":..,"bytes":..,"seconds":..}"#.into()),
    };
    let mut batch = default;
    for (name, value) in object {
        let whole = |max| {
            let number = value.as_u64().filter(|number| (1..=max).contains(number));
            number.ok_or_else(|| format!("`batch.{name}` must be a whole number from 1 to {max}"))
        };
        match name.as_str() {
            "events" => batch.events = usize::try_from(whole(BATCH_EVENTS_MAX)?).unwrap_or(usize::MAX),
            "bytes" => batch.bytes = whole(BATCH_BYTES_MAX)?,
            "seconds" => {
                let seconds = value.as_f64().filter(|seconds| (0.0..=BATCH_SECONDS_MAX).contains(seconds));
                let wrong = || format!("`batch.seconds` must be a number from 0 to {BATCH_SECONDS_MAX}");
                batch.delay = Duration::from_secs_f64(seconds.ok_or_else(wrong)?);
            }
            other => return Err(format!("unknown member `batch.{other}`{}", hint(other, ["events", "bytes", "seconds"]))),
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::default_schema;

    fn read(value: &Value) -> Result<Definition, String> {
        Definition::read(value, None, &default_schema().unwrap())
    }

    fn file() -> Value {
        json!({"type": "file", "path": "/srv/archive", "batch": {"events": 10, "seconds": 0.25}})
    }

    #[test]
    fn what_is_kept_reads_back_as_itself() {
        let day = read(&json!({"name": "all", "start": "2026-11-01", "sinks": [file()]})).unwrap();
        assert_eq!(day.kept()["start"], "2026-11-01T00:00:00Z");
        for start in [json!("now"), json!("oldest"), json!("2026-11-01T00:00:00Z"), json!({"sequence": 4711})] {
            let value = json!({"name": "all-2_x", "filter": "read_only:false", "start": start, "hold_retention": true, "sinks": [file()]});
            let definition = read(&value).unwrap();
            assert_eq!(read(&definition.kept()).unwrap().kept(), definition.kept());
            assert_eq!((definition.sinks[0].batch.events, definition.sinks[0].batch.bytes), (10, 64 << 20));
            assert_eq!(definition.kept()["start"], start);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |name: &str, value: Value| {
            let mut trail = json!({"name": "all", "sinks": [file()]});
            trail[name] = value;
            read(&trail).unwrap_err()
        };
        assert_eq!(with("filtr", json!("")), "unknown member `filtr`; did you mean `filter`?");
        assert!(with("filter", json!("usr:alice")).contains("did you mean `user`?"));
        for start in ["yesterday", "now-1h", ""] {
            assert!(with("start", json!(start)).contains("`start` must be"), "{start}");
        }
        assert!(with("name", json!("../x")).contains("`name` must be"));
        assert!(with("sinks", json!([])).contains("1 to 8"));
        assert!(with("sinks", json!([{"type": "fil"}])).contains("sink 0: there is no sink `fil`"));
        assert_eq!(with("sinks", json!([{"type": "file"}])), "sink 0: `path` is missing: the folder, an absolute path");
        assert!(with("sinks", json!([{"type": "file", "path": "/a", "batch": {"evens": 1}}])).contains("did you mean `events`?"));
        assert!(with("hold_retention", json!("yes")).contains("true or false"));
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn every_wrong_trail_of_a_configuration_is_named_with_its_place() {
        let entry = |line: usize, definition: Value| TrailEntry { place: format!("t.toml:{line}"), definition };
        let trail = |name: &str| json!({"name": name, "sinks": [file()]});
        let schema = default_schema().unwrap();
        let entries = [entry(1, trail("a")), entry(5, trail("a")), entry(9, json!({"name": "b"})), entry(12, trail("c"))];
        let problems = read_configured(&entries, &schema).unwrap_err();
        assert_eq!(problems, ["t.toml:5: trail `a` is there twice", "t.toml:9: `sinks` is missing: a list of where the events go"]);
        let names: Vec<String> =
            read_configured(&[entries[0].clone(), entries[3].clone()], &schema).unwrap().into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn what_stands_behind_a_url_is_kept_and_not_shown() {
        let sink = json!({"type": "webhook", "url": "https://h/in?token=abc", "ca_file": "/etc/a?b"});
        let definition = read(&json!({"name": "all", "sinks": [sink]})).unwrap();
        let shown = definition.shown();
        assert_eq!((&shown["sinks"][0]["url"], &shown["sinks"][0]["ca_file"]), (&json!("https://h/in?(hidden)"), &json!("/etc/a?b")));
        assert_eq!(definition.kept()["sinks"][0]["url"], "https://h/in?token=abc");
    }

    #[test]
    fn the_path_names_the_trail() {
        let unnamed = json!({"sinks": [file()]});
        assert_eq!(Definition::read(&unnamed, Some("a"), &default_schema().unwrap()).unwrap().name, "a");
        let other = json!({"name": "b", "sinks": [file()]});
        assert!(Definition::read(&other, Some("a"), &default_schema().unwrap()).unwrap_err().contains("cannot be renamed"));
    }
}
