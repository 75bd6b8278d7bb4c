//! From a full head to a durable segment.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use trail_corpus::Corpus;
use trail_engine::clock::{Clock, SystemClock};

use crate::ground::{Events, directory, fill, open, parameters, sizes};

pub(crate) fn benches(criterion: &mut Criterion) {
    let count = sizes().flushed;
    let events = Events::of(&Corpus::real().unwrap(), &parameters(count));
    let all = events.all();
    let mut group = criterion.benchmark_group("flush");
    group.sample_size(10).throughput(Throughput::Bytes(events.bytes()));
    group.bench_function(format!("{count} events"), |bencher| {
        bencher.iter_custom(|iterations| (0..iterations).map(|_| flush(&all, events.bytes())).sum());
    });
    group.finish();
}

fn flush(events: &[&[u8]], bytes: u64) -> Duration {
    let directory = directory();
    let log = open(&directory);
    fill(&log, events);
    assert_eq!(log.stats().head_events, events.len() as u64);
    let clock = SystemClock::new();
    log.flush().unwrap();
    let time = clock.elapsed();
    let stats = log.stats();
    assert_eq!((stats.segments, stats.head_events, stats.events, stats.event_bytes), (1, 0, events.len() as u64, bytes));
    time
}
