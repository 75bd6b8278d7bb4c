//! A trail as the command line describes it: a file, or one sink by its members.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde_json::{Map, Value, json};
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::id::Timestamp;
use trail_engine::query::Moment;

use crate::cli::asking::selection::equation;
use crate::cli::exit::Failure;
use crate::cli::terminal::output::tell;
use crate::trails::setting::members::Form;
use crate::trails::sink::registry;

/// The longest file, in bytes; the server takes no longer one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a trail is to be.
#[derive(Debug, Clone, Args)]
pub struct DefinitionArgs {
    /// Its name.
    pub name: String,

    /// The whole definition as JSON; `-` for standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["type", "set", "filter", "from", "hold_retention"])]
    file: Option<PathBuf>,

    /// The kind of its sink; see `traild trail kinds`.
    #[arg(long = "type", value_name = "KIND", required_unless_present = "file")]
    r#type: Option<String>,

    /// A member of the sink; `batch.events`, `batch.bytes` and `batch.seconds` too. May be there several times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Which events, in the query language; every event by default.
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true)]
    filter: Option<String>,

    /// Where it begins: now (the default), oldest, a time of receipt (2026-11-22T08:00:00Z, 2026-11-22, now-2d), or a sequence.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,

    /// Days over the retention wait until they are delivered, up to the server's `hold_bytes_max`.
    #[arg(long)]
    hold_retention: bool,

    /// Begins to deliver at once.
    #[arg(long)]
    start: bool,
}

impl DefinitionArgs {
    /// The body for the server.
    ///
    /// # Errors
    /// When a file cannot be read, or a member is not written as `NAME=VALUE`.
    pub fn body(&self) -> Result<Value, Failure> {
        let mut body = match &self.file {
            Some(path) => read(path)?,
            None => self.of_flags()?,
        };
        match &mut body {
            Value::Object(members) => {
                members.insert("name".into(), self.name.as_str().into());
                if self.start {
                    members.insert("start_now".into(), true.into());
                }
            }
            _ => return Err(Failure::usage("the definition of a trail is a JSON object")),
        }
        Ok(body)
    }

    fn of_flags(&self) -> Result<Value, Failure> {
        let kind = self.r#type.as_deref().unwrap_or_default();
        let (mut sink, mut batch) = (Map::new(), Map::new());
        sink.insert("type".into(), kind.into());
        for pair in &self.set {
            let (name, value) = pair.split_once('=').ok_or_else(|| Failure::usage(format!("`--set {pair}` must be --set NAME=VALUE")))?;
            match name.strip_prefix("batch.") {
                Some(name) => batch.insert(name.to_owned(), number(value)),
                None => sink.insert(name.to_owned(), member(kind, name, value)),
            };
        }
        if !batch.is_empty() {
            sink.insert("batch".into(), Value::Object(batch));
        }
        let mut body = json!({ "sinks": [sink] });
        if let Some(filter) = &self.filter {
            filter.split_whitespace().filter_map(equation).for_each(tell);
            body["filter"] = filter.as_str().into();
        }
        if self.hold_retention {
            body["hold_retention"] = true.into();
        }
        if let Some(from) = &self.from {
            body["start"] = place(from, SystemClock::new().now());
        }
        Ok(body)
    }
}

/// Where a trail begins, as the server wants it: a moment that is relative to the present is the same for as long as the trail is there.
fn place(from: &str, now: Timestamp) -> Value {
    match (from.parse::<u64>(), Moment::parse(from)) {
        (Ok(sequence), _) => json!({ "sequence": sequence }),
        (_, Ok(moment @ Moment::Now(after))) if after != 0 => moment.resolve(now).to_string().into(),
        _ => from.into(),
    }
}

/// A member of a kind of sink as its form wants it; an unknown one is left as it is, to who knows what to say.
#[must_use]
pub fn member(kind: &str, name: &str, value: &str) -> Value {
    let form = registry::named(kind).and_then(|kind| kind.members.iter().find(|member| member.name == name)).map(|member| member.form);
    match form {
        Some(Form::Flag) => value.parse::<bool>().map_or_else(|_| value.into(), Value::from),
        Some(Form::Integer(..)) => number(value),
        Some(Form::Secret) => secret(value),
        Some(Form::Texts) => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        _ => value.into(),
    }
}

fn number(value: &str) -> Value {
    serde_json::from_str(value).ok().filter(Value::is_number).unwrap_or_else(|| value.into())
}

/// `env:NAME` and `file:PATH` say where the server finds a secret, so that it is neither in the process list nor in the trail's file.
fn secret(value: &str) -> Value {
    match value.split_once(':') {
        Some(("env", name)) => json!({ "env": name }),
        Some(("file", path)) => json!({ "file": path }),
        _ => value.into(),
    }
}

fn read(path: &Path) -> Result<Value, Failure> {
    let mut text = String::new();
    let done = if path == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    done.map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| Failure::usage(format!("{} is no JSON: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(set: &[&str]) -> Value {
        let set = set.iter().map(|pair| (*pair).to_owned()).collect();
        let args = DefinitionArgs {
            name: "all".into(),
            file: None,
            r#type: Some("file".into()),
            set,
            filter: Some("read_only:false".into()),
            from: Some("4711".into()),
            hold_retention: true,
            start: true,
        };
        args.body().unwrap()
    }

    #[test]
    fn flags_become_a_definition() {
        let wanted = json!({"name": "all", "filter": "read_only:false", "start": {"sequence": 4711}, "hold_retention": true, "start_now": true,
            "sinks": [{"type": "file", "path": "/srv/a=b", "batch": {"events": 10, "seconds": 0.5}}]});
        assert_eq!(body(&["path=/srv/a=b", "batch.events=10", "batch.seconds=0.5"]), wanted);
        assert_eq!(secret("env:KEY"), json!({"env": "KEY"}));
        assert_eq!(secret("plain"), json!("plain"));
    }

    #[test]
    fn a_place_is_fixed_when_it_is_written() {
        let now = Timestamp::from_millis(1_795_255_384_567).unwrap();
        for (from, wanted) in [
            ("now", json!("now")),
            ("oldest", json!("oldest")),
            ("now-1h", json!("2026-11-21T09:03:04.567Z")),
            ("2026-11-01", json!("2026-11-01")),
            ("7", json!({"sequence": 7})),
            ("yesterday", json!("yesterday")),
        ] {
            assert_eq!(place(from, now), wanted, "{from}");
        }
    }

    #[test]
    fn a_file_is_taken_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"sinks":[],"start":"oldest"}"#).unwrap();
        let path = Some(file.path().to_owned());
        let args = DefinitionArgs {
            name: "x".into(),
            file: path,
            r#type: None,
            set: Vec::new(),
            filter: None,
            from: None,
            hold_retention: false,
            start: false,
        };
        assert_eq!(args.body().unwrap(), json!({"name": "x", "sinks": [], "start": "oldest"}));
    }
}
