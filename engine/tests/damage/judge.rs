//! Opens a damaged directory, asks it everything, and judges what comes back.

use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Facet, HistogramRequest, Order, PageRequest, Selection, TermsRequest};
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
    pub(crate) others: Vec<Result<String>>,
}

pub(crate) fn ask(log: &AuditLog) -> Answers {
    let cancel = Cancel::default();
    let page = PageRequest { order: Order::Ascending, limit: 1_000, ..PageRequest::default() };
    let sorted = |mut page: trail_engine::query::Page| {
        page.events.sort_by_key(|e| e.sequence);
        page.events
    };
    let mut others = Vec::new();
    for q in FILTERS {
        others.push(log.count(&selection(q), &cancel).map(|n| n.to_string()));
    }
    for facet in [Facet::Dimension("user".into()), Facet::Path("req.ip".into()), Facet::Path("odd".into())] {
        let request = TermsRequest { facet, limit: 500, prefix: String::new() };
        others.push(log.terms(&selection("*"), &request, &cancel).map(|t| format!("{t:?}")));
    }
    let request = HistogramRequest { interval: "7d".into(), dimension: Some("name".into()), limit: 5 };
    let text = |buckets: Vec<_>| format!("{buckets:?}");
    others.push(log.histogram(&selection("*"), &request, &cancel).map(text));
    for i in [1, 5, 70, 100, 151] {
        let text = event(i);
        let id = text.split('"').nth(3).unwrap();
        others.push(log.events_by_id(id, &cancel).map(|e| format!("{e:?}")));
    }
    others.push(log.tail("user:user-3", Sequence(10), 100, &cancel).map(|t| format!("{t:?}")));
    Answers { events: log.search(&selection("*"), &page, &cancel).map(sorted), others }
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
    let reported = !log.health().problems.is_empty();
    let answers = ask(&log);
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
    if reported {
        return Outcome::Reported;
    }
    assert!(dense, "{what}: events are missing, and nothing is reported");
    if missing > 0 {
        return Outcome::Shorter(missing);
    }
    assert!(*events == *right.events.as_ref().unwrap(), "{what}: times or sequences have changed");
    for (answer, right) in answers.others.iter().zip(&right.others) {
        if let (Ok(answer), Ok(right)) = (answer, right) {
            assert_eq!(answer, right, "{what}: a wrong answer");
        }
    }
    if failed { Outcome::Errors } else { Outcome::Right }
}
