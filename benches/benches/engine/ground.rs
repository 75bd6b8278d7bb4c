//! What the benches stand on: sizes, generated events, logs of them in a directory of the build's own disk.

use std::time::Duration;

use tempfile::TempDir;
use trail_corpus::{Census, Corpus, Generator, Parameters, Questions};
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::{AuditLog, ErrorKind, Options};

/// Events in one call of `prepare`, and in the batches that fill a log.
pub(crate) const BATCH: usize = 1_000;

/// How many events the benches work on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// In the head that is flushed.
    pub(crate) flushed: u64,
    /// In the segments of the log that is opened.
    pub(crate) opened: u64,
    /// In its journal, besides; fewer than a log that is closed flushes.
    pub(crate) replayed: u64,
    /// In the log that is asked.
    pub(crate) asked: u64,
}

/// The sizes of a measurement, or small ones when nothing is measured (as criterion sees it: without `--bench`, or with `--test`).
pub(crate) fn sizes() -> Sizes {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    if has("--bench") && !has("--test") {
        Sizes { flushed: 20_000, opened: 50_000, replayed: 5_000, asked: 200_000 }
    } else {
        Sizes { flushed: 1_000, opened: 2_000, replayed: 500, asked: 4_000 }
    }
}

/// Generated events, back to back.
pub(crate) struct Events {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Events {
    /// The first events that these parameters give.
    pub(crate) fn of(corpus: &Corpus, parameters: &Parameters) -> Events {
        let mut generator = Generator::new(corpus, parameters).unwrap();
        let (mut text, mut ends) = (Vec::new(), vec![0]);
        while generator.next_event(&mut text).is_some() {
            ends.push(text.len());
        }
        Events { text, ends }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.text.len() as u64
    }

    pub(crate) fn all(&self) -> Vec<&[u8]> {
        self.ends.windows(2).map(|ends| &self.text[ends[0]..ends[1]]).collect()
    }
}

pub(crate) fn parameters(events: u64) -> Parameters {
    Parameters { events, ..Parameters::default() }
}

/// A directory on the disk of the build: in /tmp, which may be memory, durability would cost nothing.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A log with the dimensions that the daemon uses.
pub(crate) fn open(directory: &TempDir) -> AuditLog {
    let schema = traild::dialect::default_schema().unwrap();
    AuditLog::open(directory.path(), Options { schema, ..Options::default() }).unwrap()
}

/// Appends in batches, waiting when the log says so.
pub(crate) fn fill(log: &AuditLog, events: &[&[u8]]) {
    for batch in events.chunks(BATCH) {
        assert_eq!(append(log, batch).1, batch.len() as u64);
    }
}

/// Appends one batch; the time of the append alone, and how many events were accepted.
pub(crate) fn append(log: &AuditLog, events: &[&[u8]]) -> (Duration, u64) {
    loop {
        let (batch, rejected) = log.prepare(&mut events.iter().copied()).unwrap();
        assert!(rejected.is_empty(), "{rejected:?}");
        let clock = SystemClock::new();
        match log.append(batch) {
            Ok(receipt) => return (clock.elapsed(), receipt.accepted),
            Err(error) if error.kind() == ErrorKind::Busy => log.flush().unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A log in segments, with what it must answer.
pub(crate) struct Ground {
    pub(crate) parameters: Parameters,
    pub(crate) census: Census,
    pub(crate) questions: Questions,
    pub(crate) log: AuditLog,
    _directory: TempDir,
}

impl Ground {
    pub(crate) fn new(events: u64) -> Ground {
        let (corpus, parameters) = (Corpus::real().unwrap(), parameters(events));
        let census = Census::take(&corpus, &parameters).unwrap();
        let questions = Questions::choose(&corpus, &parameters, &census).unwrap();
        let directory = directory();
        let log = open(&directory);
        fill(&log, &Events::of(&corpus, &parameters).all());
        log.flush().unwrap();
        Ground { parameters, census, questions, log, _directory: directory }
    }
}
