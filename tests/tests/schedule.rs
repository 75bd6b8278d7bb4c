//! A heavy ingest and slow scans side by side: neither starves the other, and a quick question waits for neither.
//!
//! What is measured is held against what the same server does undisturbed on the same machine a moment before, or against what runs
//! beside it, so that a slow or busy machine changes both sides; margins are wide.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use trail_tests::client::{Client, NDJSON};
use trail_tests::fixtures::ALWAYS;
use trail_tests::server::Server;

/// How many events the scans look through at least.
const EVENTS: u64 = 200_000;
const BATCH: u64 = 1_000;
/// More than there are threads for questions of either kind on a machine of two cores.
const SCANS: usize = 8;
/// How many texts each of them looks for: one after the other, over everything.
const TEXTS: usize = 12;
/// How long each phase is measured.
const PHASE: Duration = Duration::from_secs(4);

/// Events like no other before, as one body.
fn body(first: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for number in first..first + BATCH {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (user, bucket, minute, hour) = (mixed >> 57, (mixed >> 40) % 300, (number / 60) % 60, (number / 3_600) % 24);
        let event = format!(
            r#"{{"eventVersion":"1.08","eventID":"{number:08x}-{mixed:016x}","eventTime":"2026-11-20T{hour:02}:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"Put{}","userIdentity":{{"type":"IAMUser","userName":"user-{user}"}},"requestParameters":{{"bucketName":"bucket-{bucket}","key":"objects/{:x}"}},"errorMessage":"no rule for {:x} was found"}}"#,
            user % 20,
            mixed >> 20,
            mixed.rotate_left(17),
        );
        body.extend_from_slice(event.as_bytes());
        body.push(b'\n');
    }
    body
}

fn event_id(number: u64) -> String {
    format!("{number:08x}-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What the clients of all phases share.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Sends batches while there is something to send or until the stop; each is sent until it is acknowledged.
    fn ingest(&self, mut client: Client, up_to: u64) {
        while self.goes_on() {
            let first = self.next.fetch_add(BATCH, Ordering::SeqCst);
            if first >= up_to {
                return;
            }
            let body = body(first);
            loop {
                let answer = client.post(NDJSON, &body);
                if answer.status == 200 {
                    assert_eq!(answer.json()["accepted"], BATCH, "{}", answer.text());
                    break;
                }
                assert_eq!(answer.status, 429, "{}", answer.text());
                thread::sleep(Duration::from_millis(20));
            }
            self.acknowledged.fetch_add(BATCH, Ordering::SeqCst);
        }
    }

    /// Looks for texts that are nowhere in every event; notes how long each answer took.
    fn scan(&self, mut client: Client, number: usize, times: &Mutex<Vec<Duration>>) {
        let test =
            |i: usize| if i.is_multiple_of(2) { format!("nowhere-{number}-{i}") } else { format!("requestParameters.key:*nowhere-{i}*") };
        let question = (0..TEXTS).map(test).collect::<Vec<_>>().join("%20OR%20");
        while self.goes_on() {
            let start = Instant::now();
            let answer = client.json(&format!("/v1/count?{ALWAYS}&q={question}"));
            assert_eq!(answer["count"], 0, "{answer}");
            times.lock().unwrap().push(start.elapsed());
        }
    }

    /// Looks up single events, with a little rest between.
    fn look_up(&self, mut client: Client) -> Vec<Duration> {
        let mut times = Vec::new();
        for number in (0..EVENTS).step_by(977).cycle() {
            if !self.goes_on() {
                break;
            }
            let start = Instant::now();
            let answer = client.get(&format!("/v1/events/{}", event_id(number)));
            times.push(start.elapsed());
            assert_eq!((answer.status, answer.events().len()), (200, 1), "{}", answer.text());
            thread::sleep(Duration::from_millis(5));
        }
        times
    }
}

fn rank(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize]
}

/// Ingests on two connections for a phase, with so many scans beside it; events a second, the times of the scans, those of look-ups.
fn phase(server: &Server, load: &Load, scans: usize) -> (f64, Vec<Duration>, Vec<Duration>) {
    load.stop.store(false, Ordering::SeqCst);
    let times = Mutex::default();
    let (begin, before) = (Instant::now(), load.acknowledged.load(Ordering::SeqCst));
    let (rate, look_ups) = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| load.ingest(server.client(), u64::MAX));
        }
        for number in 0..scans {
            let times = &times;
            scope.spawn(move || load.scan(server.client(), number, times));
        }
        let look_ups = scope.spawn(|| load.look_up(server.client()));
        thread::sleep(PHASE);
        let rate = (load.acknowledged.load(Ordering::SeqCst) - before) as f64 / begin.elapsed().as_secs_f64();
        load.stop.store(true, Ordering::SeqCst);
        (rate, look_ups.join().unwrap())
    });
    (rate, times.into_inner().unwrap(), look_ups)
}

/// The threads of a process by name, with their nice values.
fn threads(pid: u32) -> Vec<(String, i32)> {
    let of = |path: std::path::PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (start, end) = (stat.find('(')?, stat.rfind(')')?);
        let nice = stat.get(end + 2..)?.split(' ').nth(16)?.parse().ok()?;
        Some((stat.get(start + 1..end)?.to_owned(), nice))
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.filter_map(|task| of(task.unwrap().path())).collect()
}

/// A run of the whole is some fifteen seconds.
#[test]
fn slow_scans_and_a_heavy_ingest_side_by_side() {
    let folder = tempdir().unwrap();
    let settings = [("TRAILD_INGEST_THREADS", "2"), ("TRAILD_QUERY_THREADS", "2"), ("TRAILD_HEAD_BYTES_MAX", "16MiB")];
    let server = Server::start(&folder.path().join("log"), &settings);
    let load = Load::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| load.ingest(server.client(), EVENTS));
        }
    });
    load.next.store(EVENTS, Ordering::SeqCst);
    let (alone, _, mut idle) = phase(&server, &load, 0);
    let (beside, mut scans, mut look_ups) = phase(&server, &load, SCANS);
    let (p99, scan) = (rank(&mut look_ups, 0.99), rank(&mut scans, 0.5));
    println!(
        "ingest {alone:.0} events/s alone, {beside:.0} beside {SCANS} scans; {} scans, median {scan:?}; {} look-ups, median {:?}, p99 {p99:?}, without scans {:?}",
        scans.len(),
        look_ups.len(),
        rank(&mut look_ups, 0.5),
        rank(&mut idle, 0.99),
    );
    assert!(beside > alone * 0.2, "scans starve ingest: {beside:.0} events/s, {alone:.0} without");
    assert!(scans.len() >= SCANS, "ingest starves scans: {} answered in {PHASE:?}", scans.len());
    assert!(p99 * 2 < scan, "scans hold up look-ups: p99 {p99:?}, a scan takes {scan:?}");

    let found = threads(server.pid());
    // The gate itself may run with less than the usual priority.
    let base = found.iter().find(|(name, _)| name == "trail-writer").expect("there is no writer").1;
    for (name, nice) in &found {
        assert_eq!(*nice, if name == "trail-merge" { base.max(10) } else { base }, "{name}: {found:?}");
    }
    let others = found.iter().filter(|(name, _)| name == "traild").count();
    let cores = thread::available_parallelism().unwrap().get();
    assert!(others <= 1 + cores + 2 + 2 + 2 + 2, "main, async, bodies, questions, long ones, two others: {found:?}");
    let count = server.client().json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64().unwrap();
    assert_eq!(count, load.acknowledged.load(Ordering::SeqCst), "what was acknowledged is counted");
    server.stop();
}
