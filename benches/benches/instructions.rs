//! One piece of work, done so many times and nothing else: what `benches/instructions` counts the instructions of.
//!
//! `instructions make DIR` fills a log in six segments and writes down what to ask of it; `instructions AREA ROUNDS DIR` does a piece of work.
//! The difference between two numbers of rounds is what a round costs: starting the program and opening the log fall out. Without words, as among
//! the tests, it does each piece once and checks it; nothing is counted then.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trail_corpus::{Census, Corpus, Generator, Parameters, Questions};
use trail_engine::budget::Cancel;
use trail_engine::clock::{Clock, ForwardClock, SystemClock};
use trail_engine::query::{Facet, HistogramRequest, PageRequest, Selection, TermsRequest};
use trail_engine::{AuditLog, Options};

/// After so long the day is over.
const OVER: Duration = Duration::from_secs(36 * 3_600);

/// Events in a batch, which is a round of `extract`, `append` and `flush`.
const BATCH: usize = 1_000;
const SEGMENTS: usize = 6;
/// In each segment of the log that is merged and asked.
const SEGMENT_EVENTS: usize = 3_000;
const QUESTIONS: &str = "questions";

fn parameters() -> Parameters {
    Parameters { events: (SEGMENTS * SEGMENT_EVENTS) as u64, ..Parameters::default() }
}

fn open(directory: &Path, merge_cpu_percent: u32, clock: Arc<dyn Clock>) -> AuditLog {
    std::fs::create_dir_all(directory).unwrap();
    let schema = traild::dialect::default_schema().unwrap();
    AuditLog::open_with_clock(directory, Options { schema, merge_cpu_percent, ..Options::default() }, clock).unwrap()
}

fn batch(generator: &mut Generator<'_>, events: usize) -> Vec<Vec<u8>> {
    let mut made = || {
        let mut event = Vec::new();
        generator.next_event(&mut event).unwrap();
        event
    };
    (0..events).map(|_| made()).collect()
}

fn append(log: &AuditLog, events: &[Vec<u8>]) {
    let (prepared, rejected) = log.prepare(&mut events.iter().map(Vec::as_slice)).unwrap();
    assert_eq!((rejected.len(), log.append(prepared).unwrap().accepted), (0, events.len() as u64));
}

/// A log in segments, and beside it the questions: area, kind and filter of each.
fn make(directory: &Path) {
    let (corpus, parameters) = (Corpus::real().unwrap(), parameters());
    let log = open(directory, 0, Arc::new(SystemClock::new()));
    let mut generator = Generator::new(&corpus, &parameters).unwrap();
    for _ in 0..SEGMENTS {
        batch(&mut generator, SEGMENT_EVENTS).chunks(BATCH).for_each(|events| append(&log, events));
        log.flush().unwrap();
    }
    log.close().unwrap();
    let census = Census::take(&corpus, &parameters).unwrap();
    let asked = Questions::choose(&corpus, &parameters, &census).unwrap();
    let [service, region, read_only] = &asked.triple;
    let triple = format!("service:\"{service}\" region:\"{region}\" read_only:{read_only}");
    let (service, user) = (format!("service:\"{}\"", asked.service.value), format!("user:\"{}\"", asked.rare_user.value));
    let part = format!("requestParameters.bucketName:*{}*", asked.part.value);
    let lines = [
        format!("Q1\tid\t{}", asked.id),
        format!("Q2\tnewest\t{user}"),
        format!("Q3\tnewest\tevent_name:\"{}\"", asked.frequent_name.value),
        "Q4\tterms\t".to_owned(),
        format!("Q4b\tterms\t{service}"),
        format!("Q5\thours\t{service}"),
        format!("Q6\tnewest\t{triple}"),
        format!("Q6b\tcount\t{triple}"),
        format!("Q7\tnewest\t{part}"),
        format!("Q7c\tcount\t\"{}\"", asked.texts[0].0),
        format!("Q7d\tnewest\t\"{}\"", asked.texts[0].0),
    ];
    std::fs::write(directory.with_extension(QUESTIONS), lines.join("\n")).unwrap();
}

/// Reads, checks and indexes a batch.
fn extract(directory: &Path, rounds: usize) {
    let log = open(directory, 0, Arc::new(SystemClock::new()));
    let corpus = Corpus::real().unwrap();
    let events = batch(&mut Generator::new(&corpus, &parameters()).unwrap(), BATCH);
    for _ in 0..rounds {
        let (prepared, rejected) = log.prepare(&mut events.iter().map(Vec::as_slice)).unwrap();
        assert_eq!((prepared.len(), rejected.len()), (BATCH, 0));
    }
}

/// Stores batches, extracting them included; flushes what was stored when it is told to. Making the events is a part of it (some 3 thousand
/// instructions an event), and of nothing else that is compared with it.
fn store(directory: &Path, rounds: usize, flush: bool) {
    let log = open(directory, 0, Arc::new(SystemClock::new()));
    let corpus = Corpus::real().unwrap();
    let mut generator = Generator::new(&corpus, &parameters()).unwrap();
    for _ in 0..rounds {
        append(&log, &batch(&mut generator, BATCH));
    }
    if flush {
        log.flush().unwrap();
        assert_eq!(log.stats().segments, usize::from(rounds > 0) as u64);
    }
}

/// Opens the log; with a round, of a day that is over, and waits until it is one segment.
fn merge(directory: &Path, rounds: usize) {
    let clock = Arc::new(ForwardClock::default());
    let log = open(directory, 100, clock.clone());
    if rounds == 0 {
        return;
    }
    clock.pass(OVER);
    log.look_at_the_clock();
    while log.stats().segments > 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks one question so many times.
fn ask(directory: &Path, name: &str, rounds: usize) {
    let lines = std::fs::read_to_string(directory.with_extension(QUESTIONS)).unwrap();
    let line = lines.lines().find(|line| line.split('\t').next() == Some(name)).unwrap_or_else(|| panic!("no area {name}"));
    let [_, kind, q] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let log = open(directory, 0, Arc::new(SystemClock::new()));
    let (cancel, all) = (Cancel::default(), Selection { q: q.to_owned(), from: Some("0".into()), to: Some("4102444800000".into()) });
    for _ in 0..rounds {
        let found = match kind {
            "id" => log.events_by_id(q, &cancel).unwrap().events.len() as u64,
            "newest" => {
                let page = PageRequest { limit: if name == "Q6" { 100 } else { 50 }, ..PageRequest::default() };
                log.search(&all, &page, &cancel).unwrap().events.len() as u64
            }
            "terms" => {
                let request = TermsRequest { facet: Facet::Dimension("event_name".into()), limit: 10, prefix: String::new() };
                log.terms(&all, &request, &cancel).unwrap().terms.len() as u64
            }
            "hours" => {
                // The span of the events: an hour of all time would be too many.
                let end = parameters().end;
                let (from, to) = ((end - 3 * 86_400) * 1_000, (end + 1) * 1_000);
                let span = Selection { from: Some(from.to_string()), to: Some(to.to_string()), ..all.clone() };
                let request = HistogramRequest { interval: "1h".into(), dimension: None, limit: 0 };
                log.histogram(&span, &request, &cancel).unwrap().buckets.iter().map(|bucket| bucket.count).sum()
            }
            _ => log.count(&all, &cancel).unwrap().count,
        };
        assert!(found > 0, "{line}");
    }
}

fn work(area: &str, rounds: usize, directory: &Path) {
    match area {
        "extract" => extract(directory, rounds),
        "append" => store(directory, rounds, false),
        "flush" => store(directory, rounds, true),
        "merge" => merge(directory, rounds),
        question => ask(directory, question, rounds),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", directory] => make(Path::new(directory)),
        [area, rounds, directory] => work(area, rounds.parse().unwrap(), Path::new(directory)),
        _ => {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let log = folder.path().join("log");
            make(&log);
            for area in ["Q1", "Q2", "Q3", "Q4", "Q4b", "Q5", "Q6", "Q6b", "Q7", "Q7c", "Q7d", "merge"] {
                work(area, 1, &log);
            }
            for area in ["extract", "append", "flush"] {
                work(area, 1, &folder.path().join(area));
            }
        }
    }
}
