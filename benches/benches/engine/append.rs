//! Durable appends of one batch at a time, every one waited for. The events of a batch are new: copies would be recognised, and cost
//! nothing. Reading them is not in the time. Flushes run beside it, as they do in life.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use trail_corpus::{Corpus, Generator, Parameters};

use crate::ground::{append, directory, open};

/// More than any measurement uses up.
const EVENTS: u64 = 20_000_000;

pub(crate) fn benches(criterion: &mut Criterion) {
    let corpus = Corpus::real().unwrap();
    let mut group = criterion.benchmark_group("append");
    for size in [1u64, 10, 1_000] {
        let directory = directory();
        let log = open(&directory);
        // A seed for each size is not needed: each has a log of its own.
        let mut generator = Generator::new(&corpus, &Parameters { events: EVENTS, days: 60.0, ..Parameters::default() }).unwrap();
        let mut appended = 0;
        group.throughput(Throughput::Elements(size));
        group.bench_function(format!("batch of {size}"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut time = Duration::ZERO;
                for _ in 0..iterations {
                    let events = next(&mut generator, size);
                    let (took, accepted) = append(&log, &events.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    assert_eq!(accepted, size);
                    appended += accepted;
                    time += took;
                }
                time
            });
        });
        assert_eq!(log.stats().events, appended);
    }
    group.finish();
}

fn next(generator: &mut Generator<'_>, size: u64) -> Vec<Vec<u8>> {
    let mut event = || {
        let mut text = Vec::new();
        generator.next_event(&mut text).unwrap();
        text
    };
    (0..size).map(|_| event()).collect()
}
