//! [`Tally`]: crowds of clients that do not wait when they are refused, and what they did together.

use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, connect};
use crate::ledger::{Batch, Ledger};
use crate::load::{Sent, Source, send};
use crate::seed::Random;
use crate::server::Server;
use crate::table::wait_for;

/// A batch that was acknowledged.
#[derive(Debug)]
struct Kept {
    at: Instant,
    events: usize,
    /// Not where only counts are wanted.
    batch: Option<Batch>,
}

/// What some clients did together.
#[derive(Debug, Default)]
pub struct Tally {
    kept: Mutex<Vec<Kept>>,
    /// What was refused or never answered.
    unknown: Mutex<Vec<Batch>>,
    /// How often the server said no.
    pub refused: AtomicU64,
    /// How often a connection broke, or was given up.
    pub gone: AtomicU64,
    /// How many requests were begun: the server's system had the first bytes of each.
    pub begun: AtomicU64,
    counts_only: bool,
}

impl Tally {
    /// One that forgets the batches, of a server that is not asked for them.
    #[must_use]
    pub fn of_counts() -> Tally {
        Tally { counts_only: true, ..Tally::default() }
    }

    /// How many events were acknowledged.
    #[must_use]
    pub fn events(&self) -> usize {
        self.kept.lock().unwrap().iter().map(|kept| kept.events).sum()
    }

    /// How many requests and events were acknowledged in a time.
    #[must_use]
    pub fn within(&self, time: &Range<Instant>) -> [usize; 2] {
        let kept = self.kept.lock().unwrap();
        kept.iter().filter(|kept| time.contains(&kept.at)).fold([0, 0], |[requests, events], kept| [requests + 1, events + kept.events])
    }

    fn keep(&self, batch: Batch) {
        let (at, events) = (Instant::now(), batch.events.len());
        self.kept.lock().unwrap().push(Kept { at, events, batch: (!self.counts_only).then_some(batch) });
    }

    fn unknown(&self, batch: Batch) {
        if !self.counts_only {
            self.unknown.lock().unwrap().push(batch);
        }
    }

    /// Counts a refusal, which must say when to come back.
    fn refuse(&self, answer: &Answer) {
        let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        assert!([429, 503, 507].contains(&answer.status) && wait.is_some(), "{}", answer.text());
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts what is promised and what is not known into a ledger.
    pub fn into_ledger(self, ledger: &mut Ledger) {
        self.unknown.into_inner().unwrap().iter().for_each(|batch| ledger.unknown(batch));
        self.kept.into_inner().unwrap().into_iter().filter_map(|kept| kept.batch).for_each(|batch| ledger.promised(batch));
    }
}

/// How large batches are, at most.
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    /// Events; half as many on average, of some 460 bytes.
    pub events_max: u64,
}

impl BatchSize {
    fn source(self, name: String, random: Random) -> Source {
        let mut source = Source::new(name, random);
        (source.events_max, source.filler_max) = (self.events_max, 30);
        source
    }
}

/// Some 46 KB.
pub const SMALL: BatchSize = BatchSize { events_max: 200 };
/// Two thousand events on average, some 920 KB, as those send who gather them first.
pub const GATHERED: BatchSize = BatchSize { events_max: 4_000 };

/// Clients that send batch after batch for a while, without waiting when they are refused.
pub fn load(server: &Server, clients: usize, time: Duration, name: &str, random: &mut Random) -> Tally {
    let (tally, end) = (Tally::default(), Instant::now() + time);
    closed_loop(server, clients, name, SMALL, random, &tally, &|| Instant::now() < end);
    tally
}

/// The same with batches of another size, as long as they are to go on.
pub fn closed_loop(
    server: &Server,
    clients: usize,
    name: &str,
    batch: BatchSize,
    random: &mut Random,
    tally: &Tally,
    goes_on: &(dyn Fn() -> bool + Sync),
) {
    thread::scope(|scope| {
        for i in 0..clients {
            let mut source = batch.source(format!("{name}-{i}"), random.fork());
            scope.spawn(move || {
                let mut client = server.client();
                while goes_on() {
                    let batch = source.batch();
                    match send(&mut client, &batch) {
                        Sent::Kept => tally.keep(batch),
                        Sent::Refused(answer) => {
                            tally.refuse(&answer);
                            tally.unknown(batch);
                        }
                        Sent::Gone(_) => {
                            tally.gone.fetch_add(1, Ordering::Relaxed);
                            tally.unknown(batch);
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                }
                tally.begun.fetch_add(client.begun(), Ordering::Relaxed);
            });
        }
    });
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

/// How many senders there are in an open loop: enough for four hundred requests a second of which none is answered.
const SENDERS: usize = 400;
/// How long a sender waits for an answer before it gives up, closes its connection and goes on.
const GIVES_UP_AFTER: Duration = Duration::from_secs(1);

/// Senders at planned times, whatever became of the requests before; who has no answer in time gives up and goes on. What was refused or given up is
/// sent again later. The first batch of each is made with it, so that making them takes nothing from a server that is measured.
#[derive(Debug)]
pub struct OpenLoop(Vec<(Source, Batch)>);

impl OpenLoop {
    /// Senders that are ready.
    #[must_use]
    pub fn ready(name: &str, batch: BatchSize, random: &mut Random) -> OpenLoop {
        let sender = |i| {
            let mut source = batch.source(format!("{name}-{i}"), random.fork());
            let first = source.batch();
            (source, first)
        };
        OpenLoop((0..SENDERS).map(sender).collect())
    }

    /// They send so many requests a second together.
    pub fn run(self, server: &Server, rate: f64, time: Duration, tally: &Tally) {
        let (next, start) = (AtomicU64::new(0), Instant::now());
        thread::scope(|scope| {
            for (mut source, mut batch) in self.0 {
                let next = &next;
                scope.spawn(move || {
                    let mut client = server.client().with_patience(GIVES_UP_AFTER);
                    loop {
                        let due = Duration::from_secs_f64(next.fetch_add(1, Ordering::SeqCst) as f64 / rate);
                        if due > time || start.elapsed() > time {
                            tally.begun.fetch_add(client.begun(), Ordering::SeqCst);
                            return tally.unknown(batch);
                        }
                        thread::sleep(due.saturating_sub(start.elapsed()));
                        match send(&mut client, &batch) {
                            Sent::Kept => tally.keep(std::mem::replace(&mut batch, source.batch())),
                            Sent::Refused(answer) => tally.refuse(&answer),
                            Sent::Gone(_) => drop(tally.gone.fetch_add(1, Ordering::Relaxed)),
                        }
                    }
                });
            }
        });
    }
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
