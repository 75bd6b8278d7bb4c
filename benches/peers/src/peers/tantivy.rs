//! [`Tantivy`]: the search library, in a process of its own; what it does there is in `tantivy_index`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use trail_rig::{Disk, Result};

use crate::child::{Child, seconds};
use crate::peer::{Account, Peer, Timed};
use crate::question::{Question, Reply, Row};

/// The word that makes this program the process that holds the index.
pub(crate) const SERVE: &str = "serve-tantivy";

/// A process with an empty index.
#[derive(Debug)]
pub(crate) struct Tantivy {
    child: Child,
    directory: PathBuf,
}

impl Tantivy {
    /// Starts it.
    pub(crate) fn start(directory: &Path) -> Result<Tantivy> {
        let mut command = Command::new(std::env::current_exe()?);
        let child = Child::start(command.arg(SERVE).arg(directory))?;
        Ok(Tantivy { child, directory: directory.to_owned() })
    }
}

impl Peer for Tantivy {
    fn name(&self) -> String {
        // `tantivy v0.1.2, index_format v3`
        tantivy::version_string().split(',').next().unwrap_or("tantivy").replace(" v", " ")
    }

    fn note(&self) -> String {
        "a library in a process of its own, no HTTP; 12 declared fields and the event as it came, stored (zstd); two threads that index, one commit \
         at the end, durable from there; the bucket's name is declared for Q7"
            .into()
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        self.child.exchange(&json!({ "store": file })).map(drop)
    }

    fn settle(&mut self) -> Result<()> {
        self.child.exchange(&json!({ "settle": true })).map(drop)
    }

    fn ask(&mut self, question: &Question) -> Result<Option<Timed>> {
        let answer = self.child.exchange(&json!({ "ask": question }))?;
        Ok(Some(Timed { time: seconds(&answer)?, reply: reply(&answer)? }))
    }

    fn account(&self) -> Account {
        self.child.account()
    }

    fn disk(&self) -> Result<Option<Disk>> {
        trail_rig::disk(&self.directory).map(Some)
    }
}

fn reply(answer: &Value) -> Result<Reply> {
    let array = |value: &Value| value.as_array().cloned();
    if let Some(events) = array(&answer["events"]) {
        let rows = events.iter().map(|event| Row::read(event.as_str().unwrap_or_default())).collect::<Result<_>>()?;
        return Ok(Reply::Rows(rows));
    }
    if let Some(buckets) = array(&answer["terms"]) {
        let term = |b: &Value| Some((b["key"].as_str()?.to_owned(), b["doc_count"].as_u64()?));
        return Ok(Reply::Terms(buckets.iter().map(term).collect::<Option<_>>().ok_or("a bucket cannot be read")?));
    }
    if let Some(buckets) = array(&answer["hours"]) {
        let hour = |b: &Value| Some(((b["key"].as_f64()? / 3_600_000.0) as i64, b["doc_count"].as_u64()?));
        return Ok(Reply::Hours(buckets.iter().map(hour).collect::<Option<_>>().ok_or("a bucket cannot be read")?));
    }
    Ok(Reply::Count(answer["count"].as_u64().ok_or("the answer is of no kind")?))
}
