//! [`Traild`]: ours, the server as it is shipped, over HTTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use trail_rig::{Answer, Connection, Disk, Process, Result, Server, now, target};

use crate::http;
use crate::peer::{Account, Peer, Timed};
use crate::question::{Field, Filter, Question, Reply, Row};

/// It has settled when everything is flushed and it used no CPU worth mentioning for so long.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_CPU_SECONDS: f64 = 0.02;
const SETTLE_TIME_MAX: Duration = Duration::from_secs(300);

/// A server with an empty data directory.
#[derive(Debug)]
pub(crate) struct Traild {
    server: Server,
    connection: Connection,
    directory: PathBuf,
    /// Epoch milliseconds between which all events are, since "the last 30 days" may not hold them.
    span: [String; 2],
}

impl Traild {
    /// Starts it; `span` is in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn start(binary: &Path, directory: &Path, span: [i64; 2]) -> Result<Traild> {
        // Everything is flushed soon, so that disk and answers are those of segments.
        let settings = [("TRAILD_HEAD_AGE_MAX".to_owned(), "10s".to_owned())];
        let server = Server::start(binary, directory, &settings)?;
        let connection = Connection::open(server.address())?;
        let span = span.map(|seconds| (seconds * 1_000).to_string());
        Ok(Traild { server, connection, directory: directory.to_owned(), span })
    }

    /// Asks within the days of the events.
    fn get(&mut self, path: &str, more: &[(&str, &str)]) -> Result<Value> {
        let [from, to] = &self.span;
        let mut parameters = vec![("from", from.as_str()), ("to", to.as_str())];
        parameters.extend_from_slice(more);
        self.connection.get(&target(path, &parameters))?.json()
    }

    fn newest(&mut self, filter: &Filter, limit: usize, pages: usize) -> Result<Vec<Row>> {
        if let [(Field::Id, id)] = filter.as_slice() {
            return rows(&self.connection.get(&format!("/v1/events/{id}"))?.json()?);
        }
        let (q, limit) = (query(filter), limit.to_string());
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..pages {
            let mut more = vec![("q", q.as_str()), ("limit", limit.as_str())];
            more.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.get("/v1/events", &more)?;
            all.extend(rows(&answer)?);
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    fn reply(&mut self, question: &Question) -> Result<Reply> {
        Ok(match question {
            Question::Newest { filter, limit, pages } => Reply::Rows(self.newest(filter, *limit, *pages)?),
            Question::TopNames { limit } => {
                let answer = self.get("/v1/terms", &[("dimension", "event_name"), ("limit", &limit.to_string())])?;
                let term = |t: &Value| Some((t["term"].as_str()?.to_owned(), t["count"].as_u64()?));
                Reply::Terms(answer["terms"].as_array().and_then(|all| all.iter().map(term).collect()).ok_or("no terms")?)
            }
            Question::Hours { filter } => {
                let answer = self.get("/v1/histogram", &[("interval", "1h"), ("q", &query(filter))])?;
                let hour = |b: &Value| Some((trail_corpus::read_end(b["start"].as_str()?)?.div_euclid(3_600), b["count"].as_u64()?));
                Reply::Hours(answer["buckets"].as_array().and_then(|all| all.iter().map(hour).collect()).ok_or("no buckets")?)
            }
            Question::Count { filter } => {
                let answer = self.get("/v1/count", &[("q", &query(filter))])?;
                Reply::Count(answer["count"].as_u64().ok_or("no count")?)
            }
        })
    }
}

impl Peer for Traild {
    fn name(&self) -> String {
        "traild".into()
    }

    fn note(&self) -> String {
        "a server over HTTP, 1,000 events a request, 2 connections; every request is on stable storage when it is answered".into()
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        http::store(self.server.address(), "/v1/events", file, accepted)
    }

    fn settle(&mut self) -> Result<()> {
        // The server gives up on a connection that says nothing for as long as storing may take.
        self.connection = Connection::open(self.server.address())?;
        let start = now();
        let mut quiet_since = start;
        let mut used = self.account().cpu_seconds;
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let stats = self.connection.get("/v1/stats")?.json()?;
            let more = self.account().cpu_seconds;
            let busy = more.zip(used).is_some_and(|(more, used)| more - used > QUIET_CPU_SECONDS);
            if busy || stats["head_events"] != 0 {
                (quiet_since, used) = (now(), more);
            } else if quiet_since.elapsed() >= QUIET {
                return Ok(());
            }
            if start.elapsed() > SETTLE_TIME_MAX {
                return Err(format!("it is not quiet after {} s: {stats}", SETTLE_TIME_MAX.as_secs()).into());
            }
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Option<Timed>> {
        self.connection.take_time();
        let reply = self.reply(question)?;
        Ok(Some(Timed { time: self.connection.take_time(), reply }))
    }

    fn account(&self) -> Account {
        let process = self.server.process();
        Account { cpu_seconds: process.and_then(Process::cpu_seconds), peak_memory: process.and_then(Process::peak_memory) }
    }

    fn disk(&self) -> Result<Option<Disk>> {
        trail_rig::disk(&self.directory).map(Some)
    }
}

fn accepted(answer: &Answer, events: usize) -> bool {
    answer.json().is_ok_and(|answer| answer["accepted"] == events)
}

fn rows(answer: &Value) -> Result<Vec<Row>> {
    answer["events"].as_array().ok_or("no events")?.iter().map(|event| Row::of(&event["event"])).collect()
}

fn query(filter: &Filter) -> String {
    let condition = |(field, value): &(Field, String)| match field {
        Field::Id => format!("event_id:\"{value}\""),
        Field::User => format!("user:\"{value}\""),
        Field::EventName => format!("event_name:\"{value}\""),
        Field::Service => format!("service:\"{value}\""),
        Field::Region => format!("region:\"{value}\""),
        Field::ReadOnly => format!("read_only:{value}"),
        Field::BucketPart => format!("requestParameters.bucketName:*{value}*"),
    };
    filter.iter().map(condition).collect::<Vec<_>>().join(" ")
}
