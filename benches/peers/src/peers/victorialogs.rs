//! [`VictoriaLogs`]: a running, empty server of that kind, or one that speaks as it does: JSON lines in, LogsQL out.
//!
//! It flattens events and gives no bytes back, so only ids and times of its events are compared.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use trail_rig::{Answer, Connection, Disk, Process, Result, target};

use crate::http;
use crate::peer::{Account, Peer, Timed};
use crate::question::{Field, Filter, Question, Reply, Row};

const INSERT: &str = "/insert/jsonline?_time_field=eventTime&_msg_field=eventName&_stream_fields=eventSource,awsRegion";

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct VictoriaLogs {
    address: SocketAddr,
    process: Option<Process>,
    connection: Connection,
}

impl VictoriaLogs {
    /// Connects, and sees whether it answers as one.
    pub(crate) fn connect(url: &str) -> Result<VictoriaLogs> {
        let (address, process) = http::address(url)?;
        let connection = Connection::open(address)?;
        let mut peer = VictoriaLogs { address, process: process.map(Process::of), connection };
        match peer.lines("* | stats count() as n") {
            Ok(lines) if lines.first().is_none_or(|line| number(&line["n"]) == Some(0)) => Ok(peer),
            Ok(_) => Err("it holds events already".into()),
            Err(failure) => Err(format!("it does not answer LogsQL: {failure}").into()),
        }
    }

    fn lines(&mut self, query: &str) -> Result<Vec<Value>> {
        let answer = self.connection.get(&target("/select/logsql/query", &[("query", query)]))?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)).into());
        }
        let lines = answer.body.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
        Ok(lines.map(serde_json::from_slice).collect::<std::result::Result<_, _>>()?)
    }

    fn newest(&mut self, filter: &Filter, limit: usize, pages: usize) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        for page in 0..pages {
            let offset = if page > 0 { format!(" offset {}", page * limit) } else { String::new() };
            let lines = self.lines(&format!("{} | sort by (_time) desc{offset} limit {limit}", query(filter)))?;
            for line in &lines {
                let id = line["eventID"].as_str().ok_or("an event has no id")?;
                // What it gives back is not whole: nulls and nesting are gone.
                all.push(Row { time: seconds(&line["_time"])?, id: id.to_owned(), whole: None });
            }
            if lines.len() < limit {
                break;
            }
        }
        Ok(all)
    }

    fn reply(&mut self, question: &Question) -> Result<Reply> {
        Ok(match question {
            Question::Newest { filter, limit, pages } => Reply::Rows(self.newest(filter, *limit, *pages)?),
            Question::TopNames { limit } => {
                let lines = self.lines(&format!("* | stats by (eventName) count() as n | sort by (n) desc limit {limit}"))?;
                let term = |line: &Value| Some((line["eventName"].as_str()?.to_owned(), number(&line["n"])?));
                Reply::Terms(lines.iter().map(term).collect::<Option<_>>().ok_or("a count cannot be read")?)
            }
            Question::Hours { filter } => {
                let lines = self.lines(&format!("{} | stats by (_time:1h) count() as n", query(filter)))?;
                let hour = |line: &Value| Ok((seconds(&line["_time"])?.div_euclid(3_600), number(&line["n"]).ok_or("no count")?));
                Reply::Hours(lines.iter().map(hour).collect::<Result<_>>()?)
            }
            Question::Count { filter } => {
                let lines = self.lines(&format!("{} | stats count() as n", query(filter)))?;
                Reply::Count(lines.first().and_then(|line| number(&line["n"])).ok_or("no count")?)
            }
        })
    }
}

impl Peer for VictoriaLogs {
    fn name(&self) -> String {
        format!("VictoriaLogs ({})", self.address)
    }

    fn note(&self) -> String {
        "a server that was running, over HTTP, 1,000 events a request, 2 connections; eventSource and awsRegion are its stream fields; an answer \
         is no promise that anything is on disk"
            .into()
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        http::store(self.address, INSERT, file, accepted)
    }

    fn settle(&mut self) -> Result<()> {
        // A connection that was silent while events were stored may be closed.
        self.connection = Connection::open(self.address)?;
        let answer = self.connection.get("/internal/force_flush")?;
        if answer.status < 300 { Ok(()) } else { Err(format!("it does not flush: {}", answer.status).into()) }
    }

    fn ask(&mut self, question: &Question) -> Result<Option<Timed>> {
        self.connection.take_time();
        let reply = self.reply(question)?;
        Ok(Some(Timed { time: self.connection.take_time(), reply }))
    }

    fn account(&self) -> Account {
        Account { cpu_seconds: self.process.and_then(Process::cpu_seconds), peak_memory: self.process.and_then(Process::peak_memory) }
    }

    fn disk(&self) -> Result<Option<Disk>> {
        Ok(None)
    }
}

/// It says nothing about single events.
fn accepted(answer: &Answer, _events: usize) -> bool {
    answer.status < 300
}

/// Numbers come as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Of `2026-11-22T08:00:00Z`, with or without a fraction.
fn seconds(time: &Value) -> Result<i64> {
    let text = time.as_str().ok_or("no time")?;
    let whole = text.get(..19).map(|whole| format!("{whole}Z"));
    Ok(whole.and_then(|whole| trail_corpus::read_end(&whole)).ok_or_else(|| format!("`{text}` is no time"))?)
}

fn query(filter: &Filter) -> String {
    let one = |(field, value): &(Field, String)| match field {
        Field::Id => format!("eventID:=\"{value}\""),
        Field::User => format!("(userIdentity.userName:=\"{value}\" or userIdentity.principalId:~\":{}$\")", plain(value)),
        Field::EventName => format!("eventName:=\"{value}\""),
        Field::Service => format!("{{eventSource=\"{value}\"}}"),
        Field::Region => format!("{{awsRegion=\"{value}\"}}"),
        Field::ReadOnly => format!("readOnly:=\"{value}\""),
        Field::BucketPart => format!("requestParameters.bucketName:~\"{}\"", plain(value)),
    };
    let all: Vec<String> = filter.iter().map(one).collect();
    if all.is_empty() { "*".into() } else { all.join(" ") }
}

/// The values hold nothing else that means something in a regular expression.
fn plain(value: &str) -> String {
    value.replace('.', "[.]")
}

#[cfg(test)]
mod tests;
