//! [`Tally`]: crowds of clients that do not wait when they are refused, and what they did together.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::connect;
use crate::ledger::{Batch, Ledger};
use crate::load::{Sent, Source, send};
use crate::seed::Random;
use crate::server::Server;
use crate::table::wait_for;

/// What some clients did together.
#[derive(Debug, Default)]
pub struct Tally {
    /// What was acknowledged.
    pub kept: Mutex<Vec<Batch>>,
    /// What was refused or never answered.
    pub unknown: Mutex<Vec<Batch>>,
    /// How often the server said no.
    pub refused: AtomicU64,
    /// How often a connection broke.
    pub gone: AtomicU64,
}

impl Tally {
    /// How many events were acknowledged.
    #[must_use]
    pub fn events(&self) -> usize {
        self.kept.lock().unwrap().iter().map(|batch| batch.events.len()).sum()
    }

    /// Puts what is promised and what is not known into a ledger.
    pub fn into_ledger(self, ledger: &mut Ledger) {
        self.unknown.into_inner().unwrap().iter().for_each(|batch| ledger.unknown(batch));
        self.kept.into_inner().unwrap().into_iter().for_each(|batch| ledger.promised(batch));
    }
}

/// Clients that send batch after batch for a while, without waiting when they are refused.
pub fn load(server: &Server, clients: usize, time: Duration, name: &str, random: &mut Random) -> Tally {
    let (tally, end) = (Tally::default(), Instant::now() + time);
    thread::scope(|scope| {
        for i in 0..clients {
            let mut source = Source::new(format!("{name}-{i}"), random.fork());
            (source.events_max, source.filler_max) = (200, 30);
            let tally = &tally;
            scope.spawn(move || {
                let mut client = server.client();
                while Instant::now() < end {
                    let batch = source.batch();
                    match send(&mut client, &batch) {
                        Sent::Kept => tally.kept.lock().unwrap().push(batch),
                        Sent::Refused(answer) => {
                            assert!(
                                [429, 503, 507].contains(&answer.status) && answer.header("retry-after").is_some(),
                                "{}",
                                answer.text()
                            );
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                            tally.unknown.lock().unwrap().push(batch);
                        }
                        Sent::Gone(_) => {
                            tally.gone.fetch_add(1, Ordering::Relaxed);
                            tally.unknown.lock().unwrap().push(batch);
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                }
            });
        }
    });
    tally
}

/// How long a server may need until it takes events again, when what was too much is over.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(5);

/// Waits until the server takes a batch again.
///
/// # Panics
/// When that takes longer than five seconds.
pub fn recovers(server: &Server, ledger: &mut Ledger, random: &mut Random) {
    let start = Instant::now();
    loop {
        let tally = load(server, 1, Duration::from_millis(200), &format!("after-{}", random.number()), random);
        let taken = tally.events();
        tally.into_ledger(ledger);
        assert!(start.elapsed() < RECOVERY_TIME_MAX, "{:?} later it takes nothing", start.elapsed());
        if taken > 0 {
            return;
        }
    }
}

/// How many requests may be on their way at once in an open loop.
pub const SENDERS: usize = 400;

/// Sends requests at planned times, whatever became of those before; a batch that was refused is sent again later. How many were sent.
pub fn open_loop(server: &Server, rate: f64, time: Duration, random: &mut Random) -> (Tally, u64) {
    let (tally, sent, next, start) = (Tally::default(), AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for i in 0..SENDERS {
            let mut source = Source::new(format!("open-{i}"), random.fork());
            (source.events_max, source.filler_max) = (200, 30);
            let (tally, sent, next) = (&tally, &sent, &next);
            scope.spawn(move || {
                let (mut client, mut batch) = (server.client(), source.batch());
                loop {
                    let due = Duration::from_secs_f64(next.fetch_add(1, Ordering::SeqCst) as f64 / rate);
                    if due > time || start.elapsed() > time {
                        return tally.unknown.lock().unwrap().push(batch);
                    }
                    thread::sleep(due.saturating_sub(start.elapsed()));
                    sent.fetch_add(1, Ordering::Relaxed);
                    match send(&mut client, &batch) {
                        Sent::Kept => tally.kept.lock().unwrap().push(std::mem::replace(&mut batch, source.batch())),
                        Sent::Refused(answer) => {
                            let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
                            assert!([429, 503].contains(&answer.status) && wait.is_some(), "{}", answer.text());
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Sent::Gone(_) => drop(tally.gone.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    (tally, sent.into_inner())
}

/// Bodies are announced that take nearly all memory that there is for bodies, and do not come: what is sent beside them is refused until
/// they are gone. For a server that may have 256 MiB of memory. How much was refused.
///
/// # Panics
/// When nothing is refused, or not as it should be.
pub fn with_all_bodies_announced(server: &Server, ledger: &mut Ledger, random: &mut Random) -> u64 {
    // A sixth of all memory is for bodies, a quarter of that for one.
    const ANNOUNCED: [u64; 5] = [10_600_000, 10_600_000, 10_600_000, 10_600_000, 2_200_000];
    let held: Vec<_> = ANNOUNCED
        .iter()
        .map(|bytes| {
            let mut connection = connect(server.address).unwrap();
            let head = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n{{");
            connection.get_mut().write_all(head.as_bytes()).unwrap();
            connection
        })
        .collect();
    let mut source = Source::new(format!("beside-{}", random.number()), random.fork());
    (source.events_max, source.filler_max) = (2_000, 30);
    let mut client = server.client();
    wait_for("a refusal", || {
        let batch = source.batch();
        match send(&mut client, &batch) {
            Sent::Kept => ledger.promised(batch),
            Sent::Refused(answer) => {
                assert!(answer.status == 429 && answer.header("retry-after").is_some(), "{}", answer.text());
                ledger.unknown(&batch);
                return true;
            }
            Sent::Gone(error) => panic!("{error}: {}", server.said()),
        }
        false
    });
    drop(held);
    recovers(server, ledger, random);
    1
}
