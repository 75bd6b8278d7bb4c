//! `kill -9` under load, again and again: what was acknowledged is there, once, byte for byte, and the next start comes to its end.
//!
//! Every round takes other sizes for head, journal and segments, another share for merges, other clients and batches, so that the kill
//! falls into flushes, rotations, merges and seals as well (class 4 of the fault matrix). A batch that was on its way is sent again in
//! the next round, as a client would, and may then be stored only once. In some rounds the torn frame that a power failure leaves is
//! put behind the last frame of the journal. `TRAILD_KILL_ROUNDS` asks for more rounds.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::client::Client;
use trail_tests::ledger::{Batch, Ledger};
use trail_tests::load::{Sent, Source, everything, send};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, scale};

const ROUNDS: u64 = 200;
/// A log is thrown away after so many rounds, so that reading all of it stays quick.
const ROUNDS_OF_A_LOG: u64 = 10;
const CLIENTS_MAX: usize = 4;

type Settings = Vec<(&'static str, &'static str)>;

fn settings(random: &mut Random) -> Settings {
    let mut choose = |name, choices: &[&'static str]| (name, *random.pick(choices));
    vec![
        choose("TRAILD_HEAD_BYTES_MAX", &["64KiB", "256KiB", "1MiB", "96MiB"]),
        choose("TRAILD_HEAD_AGE_MAX", &["1s", "15m"]),
        choose("TRAILD_JOURNAL_BYTES", &["64KiB", "512KiB", "4MiB"]),
        choose("TRAILD_SEGMENT_EVENTS_MAX", &["200", "2000", "16000000"]),
        choose("TRAILD_PENDING_BYTES_MAX", &["64KiB", "128MiB"]),
        choose("TRAILD_MERGE_CPU_PERCENT", &["0", "10", "100"]),
        choose("TRAILD_INGEST_THREADS", &["1", "2"]),
        choose("TRAILD_CONNECTIONS_MAX", &["4", "1024"]),
        ("TRAILD_LOG_LEVEL", "warn"),
    ]
}

/// What one client knows at the end of a round.
struct Told {
    promised: Vec<Batch>,
    open: Option<Batch>,
    source: Source,
}

/// Sends batches, the open one of the round before first, until the server is gone.
fn load(mut client: Client, mut told: Told, gone: &AtomicBool) -> Told {
    loop {
        let batch = told.open.take().unwrap_or_else(|| told.source.batch());
        match send(&mut client, &batch) {
            Sent::Kept => told.promised.push(batch),
            Sent::Refused(answer) => {
                assert_eq!(answer.status, 429, "{}", answer.text());
                told.open = Some(batch);
                thread::sleep(Duration::from_millis(5));
            }
            Sent::Gone(error) => {
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

struct Log {
    ledger: Ledger,
    /// The longest that a start took.
    slowest: Duration,
    clients: Vec<Option<Told>>,
}

impl Log {
    fn new(random: &mut Random) -> Log {
        let client = |i| Some(Told { promised: Vec::new(), open: None, source: Source::new(i, random.fork()) });
        Log { ledger: Ledger::default(), slowest: Duration::ZERO, clients: (0..CLIENTS_MAX).map(client).collect() }
    }
}

/// One round: start, check, load by some clients with batches of some size, kill.
fn round(data: &Path, log: &mut Log, random: &mut Random, row: &Row, place: &str) {
    let settings = settings(random);
    let server = Server::start(data, &settings);
    // A start that finds no end is given up where servers are started.
    log.slowest = log.slowest.max(server.ready);
    check(&server, log, row, &format!("{place}, {settings:?}"));
    let gone = Arc::new(AtomicBool::new(false));
    let moment = Duration::from_millis(5 + random.below(200));
    let (count, events_max) = (1 + random.below(CLIENTS_MAX as u64), *random.pick(&[1, 40, 400]));
    let clients: Vec<_> = (0..usize::try_from(count).unwrap())
        .map(|i| {
            let (client, mut told, gone) = (server.client(), log.clients[i].take().unwrap(), gone.clone());
            told.source.events_max = events_max;
            thread::spawn(move || load(client, told, &gone))
        })
        .collect();
    thread::sleep(moment);
    gone.store(true, Ordering::SeqCst);
    server.kill();
    for (i, client) in clients.into_iter().enumerate() {
        let mut told = client.join().unwrap();
        told.promised.drain(..).for_each(|batch| log.ledger.promised(batch));
        told.open.iter().for_each(|batch| log.ledger.unknown(batch));
        log.clients[i] = Some(told);
    }
}

fn check(server: &Server, log: &Log, row: &Row, place: &str) {
    let found = log.ledger.check(&everything(server));
    if found.is_err() {
        println!("of {} promised events; the server said:\n{}", log.ledger.len(), server.said());
    }
    row.judge(found, place);
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut random = Random::of_test("kill", "what_was_acknowledged");
    let asked = std::env::var("TRAILD_KILL_ROUNDS").ok();
    let rounds = asked.map_or(scale(ROUNDS, 20_000), |text| text.parse().expect("TRAILD_KILL_ROUNDS"));
    let row = Row::begin(4, "kill -9, random settings", rounds);
    let folder = tempdir().unwrap();
    let (mut done, mut events, mut torn, mut slowest) = (0, 0, 0, Duration::ZERO);
    while done < rounds {
        let data = folder.path().join(format!("log-{done}"));
        let mut log = Log::new(&mut random);
        for _ in 0..ROUNDS_OF_A_LOG.min(rounds - done) {
            done += 1;
            round(&data, &mut log, &mut random, &row, &format!("round {done}"));
            row.hit();
            if random.below(3) == 0
                && let Some(place) = tear(&data, &mut random)
            {
                println!("round {done}: torn {place}");
                torn += 1;
            }
        }
        let server = Server::start(&data, &[]);
        check(&server, &log, &row, &format!("after round {done}"));
        row.no_panic(server.log());
        server.stop();
        fs::remove_file(data.with_extension("log")).unwrap();
        let (code, out, errors) = run(traild().arg("verify").arg("--data-dir").arg(&data));
        assert_eq!(code, 0, "after round {done}: {out}{errors}");
        events += log.ledger.len();
        slowest = slowest.max(log.slowest);
        fs::remove_dir_all(&data).unwrap();
    }
    println!("{done} kills, {torn} torn tails, {events} events promised and kept; the slowest start took {slowest:?}");
    assert!(events as u64 > rounds, "the load was no load: {events} events");
    row.end();
}
