//! A heavy ingest and slow scans side by side: neither starves the other, and a quick question waits for neither.
//!
//! Ingest alone, scans alone and look-ups alone are measured in the same run as all of them together, ingest before and after, so that a slow or
//! busy machine changes both sides. What each keeps is a share that is said here, of what it has alone; the margins are wide. Limits: a
//! look-up that comes with all scans at once can wait until each of them has noticed that it is stopped, which is shown and not judged; that
//! look-ups pass scans which do notice is tested in `daemon/src/backend/lanes.rs`.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use trail_tests::client::{Client, NDJSON};
use trail_tests::fixtures::ALWAYS;
use trail_tests::server::Server;

/// How many events the scans look through at least.
const EVENTS: u64 = 150_000;
const BATCH: u64 = 1_000;
/// More than there are threads for questions of either kind on a machine of two cores.
const SCANS: usize = 8;
/// How many texts each of them looks for: one after the other, over everything.
const TEXTS: usize = 12;
/// How long ingest alone is measured.
const PHASE: Duration = Duration::from_secs(3);
/// How many look-ups are measured alone.
const IDLE_LOOK_UPS: usize = 100;
/// The share of its rate that ingest keeps beside scans. It is a third to a half; beside scans without a bound it was an eighth.
const INGEST_KEEPS: f64 = 0.2;
/// The share of their speed that scans keep beside ingest. It is a third to a half.
const SCANS_KEEP: f64 = 0.1;
/// A look-up beside both takes so many times as long as one alone, and so much for the turn that it waits for (30 ms) and a step under the
/// head's lock (50 ms); nine of ten of them.
const LOOK_UPS_TAKE: u32 = 50;
const TURNS: Duration = Duration::from_millis(250);

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

    /// Looks for texts that are nowhere in every event, once; how many events there were, and how long it took.
    fn scan(&self, mut client: Client, number: usize) -> (u64, Duration) {
        let test = |i: usize| {
            if i.is_multiple_of(2) { format!("nowhere-{number}-{i}") } else { format!("requestParameters.key:*nowhere-{number}-{i}*") }
        };
        let question = (0..TEXTS).map(test).collect::<Vec<_>>().join("%20OR%20");
        let (start, events) = (Instant::now(), self.acknowledged.load(Ordering::SeqCst));
        let answer = client.json(&format!("/v1/count?{ALWAYS}&q={question}"));
        assert_eq!(answer["count"], 0, "{answer}");
        (events, start.elapsed())
    }

    /// Looks up single events, with a little rest between, until the stop or until there are so many.
    fn look_up(&self, mut client: Client, up_to: usize) -> Vec<Duration> {
        let mut times = Vec::new();
        for number in (0..EVENTS).step_by(977).cycle().take(up_to) {
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

/// What was done at the same time.
#[derive(Debug)]
struct Phase {
    time: Duration,
    /// Events a second that were stored, and that were looked through.
    ingest: f64,
    scans: f64,
    /// The times of scans and of look-ups.
    scan_times: Vec<Duration>,
    look_ups: Vec<Duration>,
}

/// Ingests on two connections, or does not, until so many scans have ended; without scans, until [`PHASE`] is over. Each scan has its number: what was looked for
/// once is known to be nowhere.
fn phase(server: &Server, load: &Load, ingest: bool, scans: std::ops::Range<usize>) -> Phase {
    load.stop.store(false, Ordering::SeqCst);
    let (begin, before) = (Instant::now(), load.acknowledged.load(Ordering::SeqCst));
    thread::scope(|scope| {
        for _ in 0..if ingest { 2 } else { 0 } {
            scope.spawn(|| load.ingest(server.client(), u64::MAX));
        }
        let scanning: Vec<_> = scans.clone().map(|number| scope.spawn(move || load.scan(server.client(), number))).collect();
        let look_ups = scope.spawn(|| load.look_up(server.client(), usize::MAX));
        if scans.is_empty() {
            thread::sleep(PHASE);
        }
        let (scanned, scan_times): (Vec<u64>, Vec<Duration>) = scanning.into_iter().map(|scan| scan.join().unwrap()).unzip();
        let time = begin.elapsed();
        let stored = load.acknowledged.load(Ordering::SeqCst) - before;
        load.stop.store(true, Ordering::SeqCst);
        let a_second = |events: u64| events as f64 / time.as_secs_f64();
        Phase { time, ingest: a_second(stored), scans: a_second(scanned.iter().sum()), scan_times, look_ups: look_ups.join().unwrap() }
    })
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

/// A run of the whole is some twenty seconds.
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
    let mut idle = load.look_up(server.client(), IDLE_LOOK_UPS);
    let scans_alone = phase(&server, &load, false, 0..SCANS);
    let ingest_before = phase(&server, &load, true, 0..0).ingest;
    let mut both = phase(&server, &load, true, SCANS..2 * SCANS);
    let ingest_after = phase(&server, &load, true, 0..0).ingest;

    let (idle, scan) = (rank(&mut idle, 0.5), rank(&mut both.scan_times, 0.5));
    let [median, late, slowest] = [0.5, 0.9, 1.0].map(|share| rank(&mut both.look_ups, share));
    // Others may have taken the machine meanwhile.
    let ingest_alone = ingest_before.min(ingest_after);
    println!(
        "ingest {ingest_before:.0} and {ingest_after:.0} events/s alone, {:.0} beside {SCANS} scans; scans {:.0} events/s alone, {:.0} beside ingest, {scan:?} each; \
         {} look-ups, median {median:?}, 9 of 10 within {late:?}, all within {slowest:?} of {:?}, alone {idle:?}",
        both.ingest,
        scans_alone.scans,
        both.scans,
        both.look_ups.len(),
        both.time,
    );
    assert!(both.ingest > ingest_alone * INGEST_KEEPS, "scans starve ingest: {:.0} events/s, {ingest_alone:.0} without", both.ingest);
    assert!(
        both.scans > scans_alone.scans * SCANS_KEEP,
        "ingest starves scans: {:.0} events/s, {:.0} without",
        both.scans,
        scans_alone.scans
    );
    assert!(late < idle * LOOK_UPS_TAKE + TURNS, "look-ups are held up: 9 of 10 within {late:?}, alone {idle:?}");

    let found = threads(server.pid());
    // The gate itself may run with less than the usual priority.
    let base = found.iter().find(|(name, _)| name == "trail-writer").expect("there is no writer").1;
    for (name, nice) in &found {
        assert_eq!(
            *nice,
            match name.as_str() {
                "trail-merge" => base.max(10),
                "trail-delivery" => base.max(3),
                _ => base,
            },
            "{name}: {found:?}"
        );
    }
    let others = found.iter().filter(|(name, _)| name == "traild").count();
    let cores = thread::available_parallelism().unwrap().get();
    assert!(others <= 1 + cores + 2 + 2 + 2 + 2, "main, async, bodies, questions, long ones, two others: {found:?}");
    let count = server.client().json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64().unwrap();
    assert_eq!(count, load.acknowledged.load(Ordering::SeqCst), "what was acknowledged is counted");
    server.stop();
}
