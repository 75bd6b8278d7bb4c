//! Events asked for one at a time, of a log whose caches are empty: a value is read without the others of its block, also where a column is
//! predicted from another.

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_sim::clock::{Hands, START};
use trail_sim::disk::Disk;
use trail_sim::random::{Random, seed};

use crate::support::log::{append, open, options};

const EVENTS: usize = 12_000;

/// An event whose values mostly follow from its user and its kind, with more users than a block remembers, and lists and gaps.
fn event(random: &mut Random, number: usize) -> Vec<u8> {
    let (user, kind) = (random.below(340), random.below(12));
    let odd = if random.below(9) == 0 { random.below(50) } else { 0 };
    let groups: Vec<String> = (0..kind % 4).map(|i| format!("\"group-{}\"", (user + i) % 37)).collect();
    let rights: Vec<String> = (0..user % 3).map(|i| format!("\"right-of-{}\"", (user + i) % 37)).collect();
    let key = if kind == 5 { String::new() } else { format!("\"key\":\"AKIA{:08}\",", user * 3 + odd) };
    let count = if kind == 7 { String::from("null") } else { (number / 3).to_string() };
    format!(
        r#"{{"eventSource":"s{kind}","awsRegion":"r","eventID":"e-{number}","eventName":"Name{kind}","user":{{"name":"user-{user}","arn":"arn:aws:iam::12:user/user-{user}",{key}"groups":[{}],"rights":[{}]}},"ip":"10.0.{}.{odd}","count":{count},"text":"{number}-{odd}"}}"#,
        groups.join(","),
        rights.join(","),
        user % 256
    )
    .into_bytes()
}

#[test]
fn each_event_alone_is_what_was_stored() {
    let seed = seed();
    println!("TRAIL_SEED={seed}");
    let mut random = Random::new(seed);
    let events: Vec<Vec<u8>> = (0..EVENTS).map(|number| event(&mut random, number)).collect();
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for batch in events.chunks(1_000) {
        append(&log, batch).unwrap();
    }
    log.close().unwrap();
    let log = open(&memory, options(), &clock).unwrap();
    assert_eq!(log.stats().head_events, 0);
    for _ in 0..1_500 {
        let number = random.below(EVENTS);
        let found = log.event_at(Sequence(number as u64 + 1), &Cancel::default()).unwrap().unwrap();
        let text = &events[number];
        assert!(found.text == *text, "{number}: {} {}", String::from_utf8_lossy(&found.text), String::from_utf8_lossy(text));
    }
}
