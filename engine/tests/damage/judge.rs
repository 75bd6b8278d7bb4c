//! Opens a damaged directory, asks it everything, and judges what comes back.

use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Facet, Histogram, HistogramRequest, Order, PageRequest, Selection, TailPage, TermsRequest};
use trail_engine::{AuditLog, Error, ErrorKind, Result};

use crate::clock::{Hands, START};
use crate::directory::{EVENTS, Files, event, options};
use crate::memory::Memory;

/// How a damaged log behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The damage hit nothing that matters.
    Right,
    /// It could not be opened, and said why.
    Refused,
    /// It reported the damage when it was opened.
    Reported,
    /// It answered some questions with an error.
    Errors,
    /// The last events are missing and nobody knows.
    Shorter(u64),
}

const FILTERS: [&str; 9] = [
    "*",
    "user:user-3",
    "name:N*",
    "req.size:>400",
    "req.ip:10.0.4.0/22",
    "\"wide wide\"",
    "-user:*",
    "odd.x:*",
    "event_id:3b1f* received_at:<=now",
];

fn selection(q: &str) -> Selection {
    Selection { q: q.into(), from: Some("2020-01-01T00:00:00Z".into()), to: Some("2027-01-01T00:00:00Z".into()) }
}

/// What a log answers to all questions; errors in their places.
pub(crate) struct Answers {
    /// In sequence order.
    pub(crate) events: Result<Vec<StoredEvent>>,
    /// Whether the answer that gave the events said that it is not all.
    pub(crate) incomplete: bool,
    /// The other answers, and whether they said that they are not all.
    pub(crate) others: Vec<Result<(String, bool)>>,
}

pub(crate) fn ask(log: &AuditLog) -> Answers {
    let cancel = Cancel::default();
    let page = PageRequest { order: Order::Ascending, limit: 1_000, ..PageRequest::default() };
    let mut others = Vec::new();
    for q in FILTERS {
        others.push(log.count(&selection(q), &cancel).map(|n| (n.count.to_string(), !n.incomplete.is_empty())));
    }
    for facet in [Facet::Dimension("user".into()), Facet::Path("req.ip".into()), Facet::Path("odd".into())] {
        let request = TermsRequest { facet, limit: 500, prefix: String::new() };
        others.push(
            log.terms(&selection("*"), &request, &cancel)
                .map(|t| (format!("{:?}", (t.total, t.terms, t.other, t.distinct)), !t.incomplete.is_empty())),
        );
    }
    let request = HistogramRequest { interval: "7d".into(), dimension: Some("name".into()), limit: 5 };
    let text = |h: Histogram| (format!("{:?}", h.buckets), !h.incomplete.is_empty());
    others.push(log.histogram(&selection("*"), &request, &cancel).map(text));
    for i in [1, 5, 70, 100, 151] {
        let text = event(i);
        let id = text.split('"').nth(3).unwrap();
        others.push(log.events_by_id(id, &cancel).map(|p| (format!("{:?}", p.events), !p.incomplete.is_empty())));
    }
    let tail = |t: TailPage| (format!("{:?}", (t.events, t.position)), !t.incomplete.is_empty());
    others.push(log.tail("user:user-3", Sequence(10), 100, &cancel).map(tail));
    let page = log.search(&selection("*"), &page, &cancel);
    let incomplete = page.as_ref().is_ok_and(|page| !page.incomplete.is_empty());
    let events = page.map(|mut page| {
        page.events.sort_by_key(|e| e.sequence);
        page.events
    });
    Answers { events, incomplete, others }
}

fn check_place(error: &Error, what: &str) {
    let expected = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported);
    assert!(expected, "{what}: an error of the wrong kind: {error:?}");
    assert!(error.path().is_some(), "{what}: an error that names no file: {error:?}");
    assert!(error.component().is_some() || error.offset().is_some(), "{what}: an error that names no place in its file: {error:?}");
}

/// Opens a directory and judges it. `what` says how it was damaged.
pub(crate) fn judge(files: &Files, read_only: bool, right: &Answers, what: &str) -> Outcome {
    let storage = Arc::new(Memory::of(files.clone()));
    let log = match AuditLog::open_storage(storage, options(read_only), Hands::at(START)) {
        Ok(log) => log,
        Err(error) => {
            check_place(&error, what);
            return Outcome::Refused;
        }
    };
    let answers = ask(&log);
    let reported = !log.health().problems.is_empty();
    let errors = answers.others.iter().filter_map(|a| a.as_ref().err()).chain(answers.events.as_ref().err());
    let mut failed = false;
    for error in errors {
        check_place(error, what);
        failed = true;
    }
    let Ok(events) = &answers.events else { return Outcome::Errors };
    for stored in events {
        assert!(stored.text == event(stored.sequence.0).as_bytes(), "{what}: event {} is not what was stored", stored.sequence);
    }
    let dense = events.iter().zip(1..).all(|(e, i)| e.sequence.0 == i);
    let missing = EVENTS - events.len() as u64;
    assert!(reported || !answers.incomplete, "{what}: an answer says that it is not all, and nothing is reported");
    if missing > 0 && !answers.incomplete {
        assert!(dense, "{what}: events are missing, and the answer does not say so");
        return if reported { Outcome::Reported } else { Outcome::Shorter(missing) };
    }
    assert!(answers.incomplete || *events == *right.events.as_ref().unwrap(), "{what}: times or sequences have changed");
    for (answer, right) in answers.others.iter().zip(&right.others) {
        if let (Ok((answer, incomplete)), Ok((right, _))) = (answer, right) {
            assert!(*incomplete || answer == right, "{what}: a wrong answer that says it is all: {answer}, not {right}");
        }
    }
    if reported {
        return Outcome::Reported;
    }
    if failed { Outcome::Errors } else { Outcome::Right }
}
