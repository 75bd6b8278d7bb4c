//! [`ClickHouse`]: the engine as `chdb`, in a Python process of its own that does nothing but pass on statements and rows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use trail_rig::{Disk, Result};

use crate::child::{Child, seconds};
use crate::peer::{Account, Peer, Timed};
use crate::peers::python::Python;
use crate::question::{Field, Filter, Question, Reply, Row};

const SCRIPT: &str = include_str!("clickhouse.py");

/// Eleven columns, a filter on the id so that one event is found without reading all, and the event as it came.
const CREATE: &str = "CREATE TABLE events (
    event_time DateTime('UTC'), event_id String, event_name LowCardinality(String), service LowCardinality(String),
    region LowCardinality(String), user LowCardinality(String), read_only LowCardinality(String), account_id LowCardinality(String),
    source_ip String, access_key_id String, error_code LowCardinality(String), event String CODEC(ZSTD(1)),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree ORDER BY event_time SETTINGS old_parts_lifetime = 1, merge_tree_clear_old_parts_interval_seconds = 1";

/// One reading of the JSON for all columns. The user is the name, else what the session is called.
const INSERT: &str = "INSERT INTO events SELECT
    toDateTime(parseDateTimeBestEffort(e.eventTime), 'UTC'), e.eventID, e.eventName, e.eventSource, e.awsRegion,
    multiIf(e.userIdentity.userName != '', e.userIdentity.userName,
        position(e.userIdentity.principalId, ':') > 0, splitByChar(':', e.userIdentity.principalId)[-1],
        position(e.userIdentity.arn, '/') > 0, splitByChar('/', e.userIdentity.arn)[-1],
        splitByChar(':', e.userIdentity.arn)[-1]),
    ifNull(toString(e.readOnly), ''), e.userIdentity.accountId, e.sourceIPAddress, e.userIdentity.accessKeyId, e.errorCode, line
    FROM (SELECT line, JSONExtract(line, 'Tuple(eventTime String, eventID String, eventName String, eventSource String, awsRegion String,
        readOnly Nullable(Bool), sourceIPAddress String, errorCode String, userIdentity Tuple(userName String, principalId String, arn String,
        accountId String, accessKeyId String))') AS e FROM file('FILE', LineAsString))";

/// How often, and how many times, it is asked whether what was merged is gone.
const LOOK: Duration = Duration::from_millis(500);
const SETTLE_LOOKS: usize = 240;
const GONE_LOOKS: usize = 8;

/// A process with an empty table.
#[derive(Debug)]
pub(crate) struct ClickHouse {
    child: Child,
    directory: PathBuf,
    version: String,
}

impl ClickHouse {
    /// Starts it.
    pub(crate) fn start(python: &Python, directory: &Path) -> Result<ClickHouse> {
        let mut child = Child::start(Command::new(python.interpreter()).args(["-c", SCRIPT]).arg(directory))?;
        let answer = child.exchange(&json!({ "sql": "SELECT version()" }))?;
        let version = answer["rows"][0][0].as_str().unwrap_or_default().split('.').take(2).collect::<Vec<_>>().join(".");
        child.exchange(&json!({ "sql": CREATE }))?;
        Ok(ClickHouse { child, directory: directory.to_owned(), version })
    }

    fn rows(&mut self, sql: &str) -> Result<(Duration, Vec<Value>)> {
        let mut answer = self.child.exchange(&json!({ "sql": sql }))?;
        let time = seconds(&answer)?;
        match answer["rows"].take() {
            Value::Array(rows) => Ok((time, rows)),
            _ => Err("an answer without rows".into()),
        }
    }

    /// Pages go on after the last event of the one before.
    fn newest(&mut self, filter: &Filter, limit: usize, pages: usize) -> Result<Timed> {
        let (mut time, mut all, mut after) = (Duration::ZERO, Vec::new(), String::new());
        let order = if pages > 1 { "event_time DESC, event_id DESC" } else { "event_time DESC" };
        for _ in 0..pages {
            let condition = format!("{}{after}", condition(filter));
            let (took, rows) = self.rows(&format!("SELECT event FROM events WHERE {condition} ORDER BY {order} LIMIT {limit}"))?;
            let events = rows.iter().map(|row| Row::read(row[0].as_str().unwrap_or_default())).collect::<Result<Vec<_>>>()?;
            time += took;
            all.extend(events);
            match all.last() {
                Some(Row { time, id, .. }) if rows.len() == limit => after = format!(" AND (event_time, event_id) < ({time}, '{id}')"),
                _ => break,
            }
        }
        Ok(Timed { time, reply: Reply::Rows(all) })
    }
}

impl Peer for ClickHouse {
    fn name(&self) -> String {
        format!("ClickHouse {}", self.version)
    }

    fn note(&self) -> String {
        "chdb in a process of its own, no HTTP, no fsync (its default); a MergeTree in the order of time with 11 columns, a bloom filter on the \
         id, and the event as it came (ZSTD); reads the file itself; settling is OPTIMIZE FINAL; Q7 reads the JSON of events that hold the text"
            .into()
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        let file = file.to_str().filter(|path| !path.contains('\'')).ok_or("the path of the file cannot be quoted")?;
        self.rows(&INSERT.replace("FILE", file)).map(drop)
    }

    fn settle(&mut self) -> Result<()> {
        self.rows("OPTIMIZE TABLE events FINAL")?;
        // What was merged stays on disk for a while, and a little longer than it is known of.
        let old = "SELECT toUInt32(count()) FROM system.parts WHERE table = 'events' AND NOT active";
        let mut gone = 0;
        for _ in 0..SETTLE_LOOKS {
            let none = self.rows(old)?.1.first().is_some_and(|row| row[0] == 0);
            gone = if none { gone + 1 } else { 0 };
            if gone == GONE_LOOKS {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err("it does not remove what it merged".into())
    }

    fn ask(&mut self, question: &Question) -> Result<Option<Timed>> {
        let sql = match question {
            Question::Newest { filter, limit, pages } => return self.newest(filter, *limit, *pages).map(Some),
            Question::TopNames { limit } => {
                format!("SELECT event_name, count() AS n FROM events GROUP BY event_name ORDER BY n DESC LIMIT {limit}")
            }
            Question::Hours { filter } => {
                let hour = "toUInt32(toUnixTimestamp(toStartOfHour(event_time)) / 3600)";
                format!("SELECT {hour} AS hour, toUInt32(count()) FROM events WHERE {} GROUP BY hour ORDER BY hour", condition(filter))
            }
            Question::Count { filter } => format!("SELECT toUInt32(count()) FROM events WHERE {}", condition(filter)),
        };
        let (time, rows) = self.rows(&sql)?;
        Ok(Some(Timed { time, reply: reply(question, &rows).ok_or("rows cannot be read")? }))
    }

    fn account(&self) -> Account {
        self.child.account()
    }

    fn disk(&self) -> Result<Option<Disk>> {
        trail_rig::disk(&self.directory).map(Some)
    }
}

fn reply(question: &Question, rows: &[Value]) -> Option<Reply> {
    // Numbers of 64 bits come as text.
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Some(match question {
        Question::TopNames { .. } => {
            Reply::Terms(rows.iter().map(|row| Some((row[0].as_str()?.to_owned(), number(&row[1])?))).collect::<Option<_>>()?)
        }
        Question::Hours { .. } => Reply::Hours(rows.iter().map(|row| Some((row[0].as_i64()?, number(&row[1])?))).collect::<Option<_>>()?),
        _ => Reply::Count(number(&rows.first()?[0])?),
    })
}

/// The values are those of the generator: they hold no quotes and nothing that LIKE would read as a sign.
fn condition(filter: &Filter) -> String {
    let one = |(field, value): &(Field, String)| match field {
        Field::Id => format!("event_id = '{value}'"),
        Field::User => format!("user = '{value}'"),
        Field::EventName => format!("event_name = '{value}'"),
        Field::Service => format!("service = '{value}'"),
        Field::Region => format!("region = '{value}'"),
        Field::ReadOnly => format!("read_only = '{value}'"),
        Field::BucketPart => {
            let name = "JSONExtractString(event, 'requestParameters', 'bucketName')";
            format!("event LIKE '%{value}%' AND {name} LIKE '%{value}%'")
        }
    };
    let all: Vec<String> = filter.iter().map(one).collect();
    if all.is_empty() { "true".into() } else { all.join(" AND ") }
}
