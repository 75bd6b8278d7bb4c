//! Opens a damaged directory, asks it everything, and judges what comes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Facet, Histogram, HistogramRequest, Order, PageRequest, Selection, TailPage, TermsRequest};
use trail_engine::{AuditLog, Error, ErrorKind, Result};

use crate::allocator::largest;
use crate::clock::{Hands, START};
use crate::damage::directory::{EVENTS, Files, event, options};
use crate::disk::{Disk, Image};
use crate::ledger::Verdict;

/// How a damaged log behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every answer was right, and nothing was said.
    Right,
    /// The same, and `verify` named the damage.
    Verified,
    /// The same, and only bytes have changed that nothing proves, in this part of [`UNPROVED`](crate::damage::UNPROVED).
    Unproved(&'static str),
    /// The same, and a file is there that is none of the log's.
    Stray,
    /// It could not be opened, and said why.
    Refused,
    /// It reported the damage when it was opened.
    Reported,
    /// It answered some questions with an error.
    Errors,
    /// The last events are missing and nobody knows.
    Shorter(u64),
}

impl Outcome {
    /// In words, by whom the damage was noticed.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Outcome::Right => "noticed by nobody",
            Outcome::Verified => "noticed by verify alone",
            Outcome::Unproved(part) => part,
            Outcome::Stray => "files beside a whole log",
            Outcome::Refused => "refused at opening",
            Outcome::Reported => "reported when opened or asked",
            Outcome::Errors => "noticed by an answer",
            Outcome::Shorter(_) => "in the group that was synced last",
        }
    }
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
#[derive(Debug)]
pub struct Answers {
    /// All events, in sequence order.
    pub events: Result<Vec<StoredEvent>>,
    /// Whether the answer that gave the events said that it is not all.
    pub incomplete: bool,
    /// The other answers, and whether they said that they are not all.
    pub others: Vec<Result<(String, bool)>>,
}

/// Asks a log everything.
///
/// # Panics
/// Never on events of this log.
#[must_use]
pub fn ask(log: &AuditLog) -> Answers {
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

/// What a log with these files answers.
///
/// # Panics
/// When they are damaged.
#[must_use]
pub fn right_answers(files: &Files) -> Answers {
    let disk = Disk::holding(Image::of(files.clone()));
    let log = AuditLog::open_storage(Arc::new(disk), options(true), Hands::at(START)).unwrap();
    assert!(log.health().problems.is_empty(), "{:?}", log.health());
    ask(&log)
}

/// No single allocation may be larger than this, whatever a length on disk says.
const ALLOCATION_MAX: usize = 64 << 20;

fn check_place(error: &Error, verdict: &mut Verdict) {
    // No wrong byte makes an intact file of a newer version.
    if error.kind() != ErrorKind::Corrupt {
        verdict.wrong(format!("an error of the wrong kind: {error:?}"));
    } else if error.path().is_none() || error.component().is_none() && error.offset().is_none() && !error.message().contains("missing") {
        verdict.wrong(format!("an error that does not name file and place: {error:?}"));
    }
}

/// Opens a damaged directory and judges how it behaves. `may_miss` says which events the damage can have taken.
pub fn judge(image: Image, right: &Answers, may_miss: &std::ops::Range<u64>, verdict: &mut Verdict) -> Outcome {
    let log = match AuditLog::open_storage(Arc::new(Disk::holding(image)), options(true), Hands::at(START)) {
        Ok(log) => log,
        Err(error) => {
            check_place(&error, verdict);
            return Outcome::Refused;
        }
    };
    judge_open(&log, right, may_miss, verdict)
}

/// The same for a log that is open already.
pub fn judge_open(log: &AuditLog, right: &Answers, may_miss: &std::ops::Range<u64>, verdict: &mut Verdict) -> Outcome {
    let answers = ask(log);
    let reported = !log.health().problems.is_empty();
    if largest() > ALLOCATION_MAX {
        verdict.wrong(format!("an allocation of {} bytes", largest()));
    }
    let mut failed = false;
    for error in answers.others.iter().filter_map(|a| a.as_ref().err()).chain(answers.events.as_ref().err()) {
        check_place(error, verdict);
        failed = true;
    }
    let Ok(events) = &answers.events else { return Outcome::Errors };
    for stored in events.iter().filter(|stored| stored.text != event(stored.sequence.0).as_bytes()) {
        verdict.altered_event(format!("event {} is not what was stored", stored.sequence));
    }
    let there: BTreeSet<u64> = events.iter().map(|stored| stored.sequence.0).collect();
    if there.len() != events.len() {
        verdict.altered_event("an event comes twice".to_owned());
    }
    let missing: Vec<u64> = (1..=EVENTS).filter(|number| !there.contains(number)).collect();
    if let Some(number) = missing.iter().find(|number| !may_miss.contains(number)) {
        verdict.wrong(format!("event {number} is gone, which the damage did not touch"));
    }
    if answers.incomplete && !reported {
        verdict.wrong("an answer says that it is not all, and nothing is reported");
    }
    if !missing.is_empty() && !answers.incomplete {
        if missing[0] + missing.len() as u64 != EVENTS + 1 {
            verdict.lost_events(missing.len() as u64, "events are missing in the middle, and the answer does not say so".to_owned());
        }
        return if reported { Outcome::Reported } else { Outcome::Shorter(missing.len() as u64) };
    }
    compare(&answers, right, verdict);
    match (reported, failed) {
        (true, _) => Outcome::Reported,
        (_, true) => Outcome::Errors,
        _ => Outcome::Right,
    }
}

/// What claims to be all must be right.
fn compare(answers: &Answers, right: &Answers, verdict: &mut Verdict) {
    if let (Ok(events), Ok(right), false) = (&answers.events, &right.events, answers.incomplete)
        && events != right
    {
        verdict.altered_event("times or sequences have changed".to_owned());
    }
    for (answer, right) in answers.others.iter().zip(&right.others) {
        if let (Ok((answer, false)), Ok((right, _))) = (answer, right)
            && answer != right
        {
            verdict.wrong(format!("a wrong answer that says it is all: {answer}, not {right}"));
        }
    }
}
