//! `kill -9` under load, again and again: what was acknowledged is there, once, byte for byte, and the next start is quick.
//!
//! Every round takes other sizes for head, journal and segments, so that the kill falls into flushes, rotations and seals as well. A
//! batch that was on its way is sent again in the next round, as a client would, and may then be stored only once. In some rounds
//! the torn frame that a power failure leaves is put behind the last frame of the journal. `TRAILD_KILL_ROUNDS` asks for more rounds.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::tempdir;
use trail_tests::client::{Client, NDJSON};
use trail_tests::fixtures::ALWAYS;
use trail_tests::ledger::{Batch, Ledger};
use trail_tests::seed::Random;
use trail_tests::server::Server;

const ROUNDS: u64 = 50;
/// A log is thrown away after so many rounds, so that reading all of it stays quick.
const ROUNDS_OF_A_LOG: u64 = 10;
const CLIENTS: usize = 3;
const READY_MAX: Duration = Duration::from_secs(20);

type Settings = Vec<(&'static str, &'static str)>;

fn settings(random: &mut Random) -> Settings {
    let mut choose = |name, choices: &[&'static str]| (name, *random.pick(choices));
    vec![
        choose("TRAILD_HEAD_BYTES_MAX", &["64KiB", "256KiB", "1MiB", "96MiB"]),
        choose("TRAILD_HEAD_AGE_MAX", &["1s", "15m"]),
        choose("TRAILD_JOURNAL_BYTES", &["64KiB", "512KiB", "4MiB"]),
        choose("TRAILD_SEGMENT_EVENTS_MAX", &["200", "2000", "16000000"]),
        choose("TRAILD_PENDING_BYTES_MAX", &["64KiB", "128MiB"]),
        ("TRAILD_LOG_LEVEL", "warn"),
    ]
}

fn batch(random: &mut Random, client: usize, number: &mut u64) -> Batch {
    let mut batch = Batch { ids: Vec::new(), events: Vec::new() };
    for _ in 0..1 + random.below(40) {
        *number += 1;
        let id = format!("{client}-{number}-{:x}", random.number());
        let filler: String = (0..random.below(30)).map(|_| format!("{:016x}", random.number())).collect();
        let minute = random.below(60);
        let event = format!(
            r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"2026-11-20T10:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"Put{}","userIdentity":{{"type":"IAMUser","userName":"user-{}"}},"requestParameters":{{"filler":"{filler}"}}}}"#,
            random.below(20),
            random.below(50)
        );
        batch.ids.push(id);
        batch.events.push(event.into_bytes());
    }
    batch
}

/// What one client knows at the end of a round.
struct Told {
    promised: Vec<Batch>,
    open: Option<Batch>,
}

/// Sends batches, the open one of the round before first, until the server is gone.
fn load(mut client: Client, mut random: Random, number: usize, open: Option<Batch>, gone: &AtomicBool, count: &mut u64) -> Told {
    let mut told = Told { promised: Vec::new(), open };
    loop {
        let batch = told.open.take().unwrap_or_else(|| batch(&mut random, number, count));
        let answer = client.send("POST", "/v1/events", &[("content-type", NDJSON)], &batch.body());
        match answer {
            Ok(answer) if answer.status == 200 => {
                let json = answer.json();
                let (accepted, duplicates) = (json["accepted"].as_u64().unwrap(), json["duplicates"].as_u64().unwrap());
                assert_eq!(accepted + duplicates, batch.ids.len() as u64, "{json}");
                told.promised.push(batch);
            }
            Ok(answer) => {
                assert_eq!(answer.status, 429, "{}", answer.text());
                told.open = Some(batch);
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => {
                assert!(gone.load(Ordering::SeqCst), "the connection broke before the kill: {error}");
                told.open = Some(batch);
                return told;
            }
        }
    }
}

/// Puts half of a frame behind the last one of the newest journal file: what a power failure leaves of a write.
fn tear(data: &Path, random: &mut Random) -> Option<String> {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let live = |name: &String| name.strip_prefix("journal-").is_some_and(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let name = names.filter(live).max()?;
    let path = data.join(&name);
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0)? + 1;
    // Frames begin at multiples of 8. One whose last bytes are zeros ends behind `end`: leave room for it.
    let at = (end + 16).next_multiple_of(8);
    let torn: Vec<u8> = (0..1 + random.below(300)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&torn).unwrap();
    Some(format!("{} bytes at {at} of {name}", torn.len()))
}

#[derive(Default)]
struct Log {
    ledger: Ledger,
    open: Vec<Option<Batch>>,
    count: Vec<u64>,
}

/// One round: start, check, load, kill.
fn round(data: &Path, log: &mut Log, random: &mut Random, place: &str) {
    let settings = settings(random);
    let server = Server::start(data, &settings);
    assert!(server.ready < READY_MAX, "{place}: ready only after {:?}", server.ready);
    check(&server, log, &format!("{place}, {settings:?}"));
    let gone = Arc::new(AtomicBool::new(false));
    let moment = Duration::from_millis(20 + random.below(700));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|i| {
            let (client, random, gone) = (server.client(), random.fork(), gone.clone());
            let (open, mut count) = (log.open[i].take(), log.count[i]);
            thread::spawn(move || (load(client, random, i, open, &gone, &mut count), count))
        })
        .collect();
    thread::sleep(moment);
    gone.store(true, Ordering::SeqCst);
    server.kill();
    for (i, client) in clients.into_iter().enumerate() {
        let (told, count) = client.join().unwrap();
        told.promised.into_iter().for_each(|batch| log.ledger.promised(batch));
        told.open.iter().for_each(|batch| log.ledger.unknown(batch));
        (log.open[i], log.count[i]) = (told.open, count);
    }
}

fn check(server: &Server, log: &Log, place: &str) {
    let stored = server.client().pages(&format!("{ALWAYS}&order=asc"), 10_000);
    if let Err(problem) = log.ledger.check(&stored) {
        panic!(
            "{place}: {problem}\nof {} promised events {} are stored; the server said:\n{}",
            log.ledger.len(),
            stored.len(),
            server.said()
        );
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut random = Random::of_test("kill", "what_was_acknowledged");
    let rounds = std::env::var("TRAILD_KILL_ROUNDS").ok().map_or(ROUNDS, |text| text.parse().expect("TRAILD_KILL_ROUNDS"));
    let folder = tempdir().unwrap();
    let (mut done, mut events, mut torn) = (0, 0, 0);
    while done < rounds {
        let data = folder.path().join(format!("log-{done}"));
        let mut log = Log { open: vec![None; CLIENTS], count: vec![0; CLIENTS], ..Log::default() };
        for _ in 0..ROUNDS_OF_A_LOG.min(rounds - done) {
            done += 1;
            round(&data, &mut log, &mut random, &format!("round {done}"));
            if random.below(3) == 0
                && let Some(place) = tear(&data, &mut random)
            {
                println!("round {done}: torn {place}");
                torn += 1;
            }
        }
        let server = Server::start(&data, &[]);
        check(&server, &log, &format!("after round {done}"));
        server.stop();
        events += log.ledger.len();
        fs::remove_dir_all(&data).unwrap();
    }
    println!("{done} kills, {torn} torn tails, {events} events promised and kept");
    assert!(events as u64 > rounds, "the load was no load: {events} events");
}
