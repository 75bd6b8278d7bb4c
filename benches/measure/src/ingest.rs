//! Stores generated events over several connections, and takes the times.
//!
//! One thread makes the bodies (about 1 CPU second a million events, which shares the machine with the server), each connection has a
//! thread that sends the next body. A request that is told to wait (429) is sent again; its time counts from the first try.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Corpus, Generator, Parameters};
use trail_rig::{Connection, Result, grouped, now};

use crate::timing::Times;

/// How many bodies are ready beyond those being sent.
const BODIES_READY: usize = 8;
/// How long a client waits when it is told to wait.
const WAIT: Duration = Duration::from_millis(20);

/// How often there is word of how far it is.
const TELL: Duration = Duration::from_secs(2);

/// What storing took.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    pub(crate) requests: Times,
    /// How often the server said that a request must wait.
    pub(crate) waits: u64,
}

struct Body {
    lines: Vec<u8>,
    events: u64,
}

/// Stores all events of a generator.
///
/// # Errors
/// When the server does not accept every single event.
pub(crate) fn store(address: SocketAddr, corpus: &Corpus, parameters: &Parameters, batch: usize, connections: usize) -> Result<Ingest> {
    let all = store_until(address, corpus, parameters, batch, connections, &AtomicBool::new(false))?;
    if all.events != parameters.events {
        return Err(format!("the server accepted {} of {} events", all.events, parameters.events).into());
    }
    Ok(all)
}

/// Stores events of a generator until there are no more of them, or it is told to stop.
///
/// # Errors
/// When the server does not accept every event that was sent.
pub(crate) fn store_until(
    address: SocketAddr,
    corpus: &Corpus,
    parameters: &Parameters,
    batch: usize,
    connections: usize,
    stop: &AtomicBool,
) -> Result<Ingest> {
    let start = now();
    let (ready, bodies) = sync_channel(BODIES_READY);
    let bodies = Arc::new(Mutex::new(bodies));
    let mut all = Ingest::default();
    std::thread::scope(|scope| -> Result<()> {
        let maker = scope.spawn(move || make(corpus, parameters, batch, &ready, stop));
        let sender = || (0..connections).map(|_| bodies.clone()).map(|bodies| scope.spawn(move || send(address, &bodies)));
        let senders: Vec<_> = sender().collect();
        let mut failed = None;
        for sender in senders {
            match sender.join().map_err(|_| "a sender panicked")? {
                Ok(part) => all.add(part),
                Err(failure) => failed = Some(failure),
            }
        }
        // With every sender gone, nobody takes bodies any more: with the receiver gone too, the maker ends.
        drop(bodies);
        maker.join().map_err(|_| "the maker of bodies panicked")??;
        failed.map_or(Ok(()), Err)
    })?;
    all.time = start.elapsed();
    Ok(all)
}

impl Ingest {
    fn add(&mut self, part: Ingest) {
        self.events += part.events;
        self.bytes += part.bytes;
        self.waits += part.waits;
        self.requests.join(part.requests);
    }
}

fn lock(bodies: &Mutex<Receiver<Body>>) -> std::sync::MutexGuard<'_, Receiver<Body>> {
    bodies.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make(corpus: &Corpus, parameters: &Parameters, batch: usize, ready: &SyncSender<Body>, stop: &AtomicBool) -> Result<()> {
    let mut generator = Generator::new(corpus, parameters)?;
    let mut lines = Vec::new();
    let (mut events, mut made, mut told) = (0, 0, now());
    loop {
        let more = !stop.load(Ordering::Relaxed) && generator.next_event(&mut lines).is_some();
        if more {
            lines.push(b'\n');
            events += 1;
        }
        if events as usize == batch || (!more && events > 0) {
            let length = lines.len();
            let body = Body { lines: std::mem::replace(&mut lines, Vec::with_capacity(length)), events };
            if ready.send(body).is_err() {
                // All senders have failed; they tell why.
                return Ok(());
            }
            made += std::mem::take(&mut events);
            if told.elapsed() >= TELL {
                told = now();
                eprintln!("sent {} of {} events", grouped(made), grouped(parameters.events));
            }
        }
        if !more {
            return Ok(());
        }
    }
}

fn send(address: SocketAddr, bodies: &Mutex<Receiver<Body>>) -> Result<Ingest> {
    let mut connection = Connection::open(address)?;
    let mut done = Ingest::default();
    loop {
        let next = lock(bodies).recv();
        let Ok(body) = next else {
            return Ok(done);
        };
        let start = now();
        let mut answer = connection.post("/v1/events", &body.lines)?;
        while answer.status == 429 {
            done.waits += 1;
            std::thread::sleep(WAIT);
            answer = connection.post("/v1/events", &body.lines)?;
        }
        done.requests.push(start.elapsed());
        let answer = answer.json()?;
        let accepted = answer.get("accepted").and_then(Value::as_u64);
        if accepted != Some(body.events) {
            return Err(format!("a request of {} events was answered {answer}", body.events).into());
        }
        done.events += body.events;
        done.bytes += body.lines.len() as u64 - body.events;
    }
}
