//! From the acknowledgement of an event to its arrival at a log service, at a planned rate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trail_corpus::{Corpus, Generator, Parameters};
use trail_rig::{Connection, Result, grouped, now};

use crate::ground::{Ground, row};
use crate::receiver::{Arrival, Receiver};
use crate::subject::Subject;
use crate::times::in_thousand;

const CONNECTIONS: usize = 4;
const BATCH: u64 = 100;

/// A request that was answered: the sequences of its events, and when.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    first: u64,
    last: u64,
    at: Instant,
}

/// Stores at the rate and compares.
pub(crate) fn measure(ground: &Ground<'_>) -> Result<()> {
    let subject = Subject::start(ground, &[])?;
    let receiver = Receiver::listen()?;
    let url = format!("http://{}/", receiver.address);
    subject.begin(&[json!({"name": "hook", "start": "oldest", "start_now": true, "sinks": [{"type": "webhook", "url": url}]})])?;
    let a = ground.arguments;
    let bodies = bodies(a.seed, a.soon * a.seconds)?;
    let acknowledged = store(&subject, &bodies, Duration::from_secs_f64(BATCH as f64 / a.soon as f64))?;
    subject.arrive("hook")?;
    let mut late = delays(&acknowledged, &receiver.arrivals())?;
    let (half, most) = (in_thousand(&mut late, 500), in_thousand(&mut late, 990));
    row(
        &format!("from the acknowledgement to a log service at {} events/s: p50, p99", grouped(a.soon)),
        &format!("{half:.0} ms, {most:.0} ms"),
        "p99 1,000 ms",
    );
    subject.stop()
}

/// The bodies of all requests.
fn bodies(seed: u64, events: u64) -> Result<Vec<Vec<u8>>> {
    let corpus = Corpus::real()?;
    let mut generator = Generator::new(&corpus, &Parameters { events, seed, ..Parameters::default() })?;
    let mut all = Vec::new();
    for _ in 0..events / BATCH {
        let mut body = Vec::new();
        for _ in 0..BATCH {
            generator.next_event(&mut body).ok_or("the generator ended")?;
            body.push(b'\n');
        }
        all.push(body);
    }
    Ok(all)
}

/// Sends a body at each step of the plan, over several connections.
fn store(subject: &Subject, bodies: &[Vec<u8>], step: Duration) -> Result<Vec<Acknowledged>> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let start = now();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let connection = subject.connection();
                let (next, done) = (&next, &done);
                scope.spawn(move || send(connection?, bodies, start, step, next, done))
            })
            .collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    })?;
    done.into_inner().map_err(|_| "a sender panicked".into())
}

fn send(
    mut connection: Connection,
    bodies: &[Vec<u8>],
    start: Instant,
    step: Duration,
    next: &AtomicU64,
    done: &Mutex<Vec<Acknowledged>>,
) -> Result<()> {
    loop {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = usize::try_from(turn).ok().and_then(|turn| bodies.get(turn)) else { return Ok(()) };
        let planned = start + step.mul_f64(turn as f64);
        std::thread::sleep(planned.saturating_duration_since(now()));
        let answer = connection.post("/v1/events", body)?.json()?;
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).ok_or_else(|| format!("no {name} in {answer}"));
        if number("accepted")? != BATCH {
            return Err(format!("not all events were taken: {answer}").into());
        }
        let one = Acknowledged { first: number("first_sequence")?, last: number("last_sequence")?, at: now() };
        done.lock().map_err(|_| "a sender panicked")?.push(one);
    }
}

/// For each event, by how many milliseconds it came after its acknowledgement; 0 for what was there before.
///
/// # Errors
/// When an event came twice, or not at all.
fn delays(acknowledged: &[Acknowledged], arrivals: &[Arrival]) -> Result<Vec<f64>> {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_unstable_by_key(|arrival| arrival.first);
    if let Some([a, b]) = arrivals.windows(2).find_map(|two| <[Arrival; 2]>::try_from(two).ok().filter(|[a, b]| a.last >= b.first)) {
        return Err(format!("batches {} to {} and {} to {} lap over", a.first, a.last, b.first, b.last).into());
    }
    let (came, sent) = (arrivals.iter().map(|arrival| arrival.events).sum::<u64>(), acknowledged.len() as u64 * BATCH);
    if came != sent {
        return Err(format!("{came} of {sent} events arrived").into());
    }
    let mut all = Vec::new();
    for one in acknowledged {
        for sequence in one.first..=one.last {
            let at = arrivals.partition_point(|arrival| arrival.last < sequence);
            let arrival = arrivals.get(at).filter(|arrival| arrival.first <= sequence);
            let arrival = arrival.ok_or_else(|| format!("sequence {sequence} did not arrive"))?;
            all.push(arrival.at.saturating_duration_since(one.at).as_secs_f64() * 1e3);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_doubled_is_found() {
        let at = now();
        let one = Acknowledged { first: 1, last: BATCH, at };
        let part = |first, last| Arrival { first, last, events: last - first + 1, at: at + Duration::from_millis(5) };
        assert_eq!(delays(&[one], &[part(41, BATCH), part(1, 40)]).unwrap(), vec![5.0; BATCH as usize]);
        assert!(delays(&[one], &[part(1, 40)]).is_err());
        assert!(delays(&[one], &[part(1, 60), part(41, 80)]).is_err());
        assert!(delays(&[one], &[part(2, BATCH + 1)]).is_err());
    }
}
