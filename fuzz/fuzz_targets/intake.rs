//! Whole bodies as requests bring them, against `serde_json`. The first byte says in which frame the events stand: lines, or JSON (one event, an array, `Records`).
//!
//! What must hold: the events are those that `serde_json` finds in the body; each is taken exactly when `serde_json` takes it as an object, but for
//! the limits that are documented (UTF-8, 1 MiB, 128 levels), with the word that says why not; it comes back byte for byte from the
//! journal's form; its time, its id and its terms are those that its tree in `serde_json` has at the declared paths; an extractor that knows the
//! shapes of other events says the same.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use trail_engine::fuzzing::{Intake, Taken, schema};
use trail_fuzz::api::split::{split_json, split_lines};
use trail_fuzz::{reference, terms};

thread_local! {
    /// Has seen the events of all inputs so far, and is made anew from time to time.
    static EXPERIENCED: RefCell<(Intake, u32)> = RefCell::default();
}

/// An event has no more terms (`EVENT_TERMS_MAX`).
const TERMS_MAX: usize = 1_024;

fuzz_target!(|input: &[u8]| {
    let [frame, body @ ..] = input else { return };
    let expected = if frame % 2 == 0 { Some(reference_lines(body)) } else { reference_json(body) };
    let spans = if frame % 2 == 0 { Ok(split_lines(body)) } else { split_json(body) };
    let events: Vec<&[u8]> = match &spans {
        Ok(spans) => {
            assert!(spans.iter().zip(spans.iter().skip(1)).all(|(one, next)| one.end <= next.start), "events overlap");
            spans.iter().map(|span| &body[span.clone()]).collect()
        }
        Err(malformed) => {
            assert!(malformed.at <= body.len() && expected.is_none(), "{malformed:?} of a good body");
            return;
        }
    };
    let taken = take(&events);
    match expected {
        Some(expected) => assert_eq!(events, expected, "other events than serde_json finds"),
        None => assert!(!taken.refused.is_empty(), "all of a body that is no JSON is taken"),
    }
    compare(&events, &taken);
});

/// Takes events in with an extractor that knows nothing, and with one that knows much.
fn take(events: &[&[u8]]) -> Taken {
    let fresh = Intake::default().take(events.iter().copied()).expect("no more than a batch may have");
    EXPERIENCED.with_borrow_mut(|(intake, uses)| {
        *uses += 1;
        if *uses % 1_000 == 0 {
            *intake = Intake::default();
        }
        for _ in 0..2 {
            assert_eq!(intake.take(events.iter().copied()).unwrap(), fresh, "known shapes are read otherwise");
        }
    });
    fresh
}

/// The lines that are not blank, without the white space around them.
fn reference_lines(body: &[u8]) -> Vec<&[u8]> {
    let is_space = |byte: &u8| b" \t\r\n".contains(byte);
    let trimmed = |line: &'_ [u8]| {
        let from = line.iter().position(|byte| !is_space(byte))?;
        Some(from..line.iter().rposition(|byte| !is_space(byte))? + 1)
    };
    body.split(|byte| *byte == b'\n').filter_map(|line| Some(&line[trimmed(line)?])).collect()
}

/// The events of a body that is JSON, or has nothing in it.
fn reference_json(body: &[u8]) -> Option<Vec<&[u8]>> {
    let text = std::str::from_utf8(body).ok()?.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Some(Vec::new());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let elements = reference::elements(text).or_else(|| {
        let reference::Members(members) = reference::members(text)?;
        match &members[..] {
            // Written with escapes the name is that of a member like any other.
            [(name, value)] if name == "Records" && text.contains("\"Records\"") => reference::elements(value),
            _ => None,
        }
    });
    Some(elements.unwrap_or_else(|| vec![text]).into_iter().map(str::as_bytes).collect())
}

/// Holds what was taken against `serde_json`.
fn compare(events: &[&[u8]], taken: &Taken) {
    let schema = schema();
    let mut next = 0;
    for (index, event) in events.iter().enumerate() {
        let refused = taken.refused.iter().find(|(at, _)| *at == index).map(|(_, code)| *code);
        let expected = reference::refused(event);
        // The first byte alone says that a text would be another value.
        let is_good = refused == expected || (refused, expected) == (Some("not_an_object"), Some("invalid_json"));
        assert!(is_good || (refused, expected) == (Some("too_deep"), Some("invalid_json")), "{refused:?} and not {expected:?}");
        if refused.is_some() {
            continue;
        }
        assert_eq!(taken.events[next], *event, "does not come back");
        let tree = reference::read(std::str::from_utf8(event).unwrap());
        assert_eq!(taken.times[next], terms::time(&schema, &tree), "another time");
        terms_are(&taken.terms[next], terms::terms(&schema, &tree));
        next += 1;
    }
    assert_eq!((next, taken.terms.len(), taken.times.len()), (taken.events.len(), next, next));
}

fn terms_are(found: &[(u16, Vec<u8>)], expected: Vec<(u16, Vec<u8>)>) {
    if expected.len() <= TERMS_MAX {
        assert_eq!(found, expected, "other terms");
    } else {
        assert_eq!(found.len(), TERMS_MAX);
        assert!(found.iter().all(|term| expected.binary_search(term).is_ok()), "a term that is not there");
    }
}
