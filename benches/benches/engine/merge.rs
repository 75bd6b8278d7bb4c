//! From the segments of a day to one.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use trail_corpus::Corpus;
use trail_engine::clock::{Clock, ForwardClock};
use trail_engine::{AuditLog, Options};

use crate::ground::{BATCH, Events, append, directory, parameters, sizes};

/// After so long the day is over.
const OVER: Duration = Duration::from_secs(36 * 3_600);

/// How many segments the events are in.
const SEGMENTS: usize = 6;

pub(crate) fn benches(criterion: &mut Criterion) {
    let count = sizes().opened;
    let events = Events::of(&Corpus::real().unwrap(), &parameters(count));
    let all = events.all();
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(10).throughput(Throughput::Bytes(events.bytes()));
    group.bench_function(format!("{SEGMENTS} segments of {count} events"), |bencher| {
        bencher.iter_custom(|iterations| (0..iterations).map(|_| merge(&all, events.bytes())).sum());
    });
    group.finish();
}

/// The time from the end of the day to the one segment that holds it.
fn merge(events: &[&[u8]], bytes: u64) -> Duration {
    let (directory, clock) = (directory(), Arc::new(ForwardClock::default()));
    let schema = traild::dialect::default_schema().unwrap();
    let open = |merge_cpu_percent| {
        let options = Options { schema: schema.clone(), merge_cpu_percent, ..Options::default() };
        AuditLog::open_with_clock(directory.path(), options, clock.clone()).unwrap()
    };
    let log = open(0);
    for segment in events.chunks(events.len().div_ceil(SEGMENTS)) {
        segment.chunks(BATCH).for_each(|batch| assert_eq!(append(&log, batch).1, batch.len() as u64));
        log.flush().unwrap();
    }
    drop(log);
    let log = open(100);
    clock.pass(OVER);
    let begun = clock.elapsed();
    while log.stats().segments > 1 && clock.elapsed() - begun < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    let time = clock.elapsed() - begun;
    let stats = log.stats();
    assert_eq!((stats.segments, stats.events, stats.event_bytes), (1, events.len() as u64, bytes), "{:?}", log.health());
    time
}
