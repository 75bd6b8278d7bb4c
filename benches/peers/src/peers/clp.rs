//! [`Clp`]: clp-s, compressed columns without an index. It has no server: every question is a run of its program, which prints what matches.
//!
//! It neither sorts nor counts without other services: what it prints is sorted and counted here, once its run has ended and its time is taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Facts, most_frequent};
use trail_rig::{Disk, Process, Result, now};

use crate::peer::{Account, Peer, Timed};
use crate::peers::python::{PACKAGES, Python};
use crate::question::{Field, Filter, Question, Reply, Row};

/// How often the kernel is asked about a program that runs.
const LOOK: Duration = Duration::from_millis(5);

/// A directory for archives.
#[derive(Debug)]
pub(crate) struct Clp {
    program: PathBuf,
    directory: PathBuf,
    used: Account,
}

impl Clp {
    /// Finds the program.
    pub(crate) fn find(python: &Python, directory: &Path) -> Result<Clp> {
        let used = Account { cpu_seconds: Some(0.0), peak_memory: Some(0) };
        Ok(Clp { program: python.clp()?, directory: directory.to_owned(), used })
    }

    /// Prints what matches; only some columns if any are named.
    fn search(&self, filter: &Filter, columns: &[&str]) -> Result<(Duration, Vec<u8>)> {
        let mut command = Command::new(&self.program);
        command.arg("s").arg(&self.directory).args([&query(filter), "stdout"]);
        if !columns.is_empty() {
            command.arg("--projection").args(columns);
        }
        let start = now();
        let out = command.stdin(Stdio::null()).output()?;
        let time = start.elapsed();
        if !out.status.success() {
            return Err(format!("clp-s: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
        Ok((time, out.stdout))
    }

    fn reply(&self, question: &Question) -> Result<Timed> {
        let (time, reply) = match question {
            Question::Newest { filter, limit, pages } => {
                let (time, printed) = self.search(filter, &[])?;
                // Numbers come back written in another way, so that these are not compared as a whole.
                let mut rows = lines(&printed).map(|line| Ok(Row { whole: None, ..Row::of(&line?)? })).collect::<Result<Vec<_>>>()?;
                rows.sort_by_key(|row| std::cmp::Reverse(row.time));
                rows.truncate(limit * pages);
                (time, Reply::Rows(rows))
            }
            Question::TopNames { limit } => {
                let (time, printed) = self.search(&Filter::new(), &["eventName"])?;
                let mut counts = BTreeMap::<String, u64>::new();
                for line in lines(&printed) {
                    *counts.entry(line?["eventName"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
                }
                (time, Reply::Terms(most_frequent(counts.into_iter(), *limit)))
            }
            Question::Hours { filter } => {
                let (time, printed) = self.search(filter, &["eventTime"])?;
                let mut hours = BTreeMap::<i64, u64>::new();
                for line in lines(&printed) {
                    let seconds = Facts::of(&line?).and_then(|facts| facts.time).ok_or("an event has no time")?;
                    *hours.entry(seconds.div_euclid(3_600)).or_default() += 1;
                }
                (time, Reply::Hours(hours.into_iter().collect()))
            }
            Question::Count { filter } => {
                let (time, printed) = self.search(filter, &["eventTime"])?;
                (time, Reply::Count(lines(&printed).count() as u64))
            }
        };
        Ok(Timed { time, reply })
    }
}

impl Peer for Clp {
    fn name(&self) -> String {
        let version = PACKAGES.iter().find_map(|package| package.strip_prefix("yscope-clp-core=="));
        format!("clp-s {}", version.unwrap_or_default())
    }

    fn note(&self) -> String {
        "a program that is run for each question, its start and its printing of all that matches included (newest N: whole events, else the columns \
         that are needed); memory is that of storing"
            .into()
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["c", "--timestamp-key", "eventTime"]).arg(&self.directory).arg(file);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let process = Process::of(child.id());
        // A program that has ended has no memory any more, but its account stays until it is waited for.
        while process.memory().is_some() {
            self.used.peak_memory = process.peak_memory().max(self.used.peak_memory);
            std::thread::sleep(LOOK);
        }
        self.used.cpu_seconds = process.cpu_seconds();
        if child.wait()?.success() { Ok(()) } else { Err("clp-s did not compress the file".into()) }
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn ask(&mut self, question: &Question) -> Result<Option<Timed>> {
        self.reply(question).map(Some)
    }

    fn account(&self) -> Account {
        self.used
    }

    fn disk(&self) -> Result<Option<Disk>> {
        trail_rig::disk(&self.directory).map(Some)
    }
}

/// The events that were printed, one a line.
fn lines(printed: &[u8]) -> impl Iterator<Item = Result<Value>> {
    let lines = printed.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Ok(serde_json::from_slice(line)?))
}

fn query(filter: &Filter) -> String {
    let one = |(field, value): &(Field, String)| match field {
        Field::Id => format!("eventID: \"{value}\""),
        Field::User => format!("(userIdentity.userName: \"{value}\" OR userIdentity.principalId: \"*:{value}\")"),
        Field::EventName => format!("eventName: \"{value}\""),
        Field::Service => format!("eventSource: \"{value}\""),
        Field::Region => format!("awsRegion: \"{value}\""),
        Field::ReadOnly => format!("readOnly: {value}"),
        Field::BucketPart => format!("requestParameters.bucketName: \"*{value}*\""),
    };
    let all: Vec<String> = filter.iter().map(one).collect();
    if all.is_empty() { "*".into() } else { all.join(" AND ") }
}
