//! Many callers at once: each event is stored exactly once, and everything that was acknowledged can be read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trail_engine::budget::Cancel;
use trail_engine::threads;

use crate::support::log::{all_events, append, everything, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::Disk;

fn event(i: usize) -> String {
    format!(r#"{{"eventVersion":1,"eventId":"id-{i}","eventTime":"2026-11-20T00:00:{:02}Z","eventName":"N{}"}}"#, i % 60, i % 5)
}

#[test]
fn the_same_events_from_many_threads_are_stored_once() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = Arc::new(open(&memory, options(), &clock).unwrap());
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let log = log.clone();
            let work = move || {
                let mut accepted = 0;
                for batch in 0..60 {
                    let events: Vec<String> = (batch * 20..batch * 20 + 20).map(event).collect();
                    accepted += append(&log, &events).unwrap().accepted;
                    if batch % 16 == worker * 4 {
                        log.flush().unwrap();
                    }
                }
                accepted
            };
            threads::spawn("test-appender", work).unwrap()
        })
        .collect();
    let accepted: u64 = workers.into_iter().map(|w| w.join().unwrap()).sum();
    assert_eq!(accepted, 1_200);
    let mut copies: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for stored in all_events(&log).unwrap() {
        *copies.entry(stored.text).or_default() += 1;
    }
    assert_eq!(copies.len(), 1_200);
    assert!(copies.values().all(|count| *count == 1), "an event is stored twice");
    let reopened = open(&Disk::of(memory.files()), options(), &clock).unwrap();
    assert_eq!(all_events(&reopened).unwrap().len(), 1_200);
}

#[test]
fn readers_see_a_log_that_only_grows() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = Arc::new(open(&memory, options(), &clock).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let (reader_log, reader_done) = (log.clone(), done.clone());
    let read = move || {
        let mut before = 0;
        while !reader_done.load(Ordering::Acquire) {
            let visible = reader_log.last_sequence().0;
            let count = reader_log.count(&everything(), &Cancel::default()).unwrap().count;
            assert!(count >= visible && count >= before, "{before} events, then {count}; {visible} were visible");
            before = count;
        }
        before
    };
    let reader = threads::spawn("test-reader", read).unwrap();
    for batch in 0..80 {
        let events: Vec<String> = (batch * 10..batch * 10 + 10).map(event).collect();
        append(&log, &events).unwrap();
        if batch % 9 == 0 {
            log.flush().unwrap();
        }
    }
    done.store(true, Ordering::Release);
    assert!(reader.join().unwrap() <= 800);
    assert_eq!(log.count(&everything(), &Cancel::default()).unwrap().count, 800);
}
