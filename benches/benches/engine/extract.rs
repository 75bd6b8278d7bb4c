//! Reading, checking and indexing events on the caller's thread.

use criterion::{Criterion, Throughput};
use trail_corpus::Corpus;

use crate::ground::{BATCH, Events, directory, open, parameters};

pub(crate) fn benches(criterion: &mut Criterion) {
    let directory = directory();
    let log = open(&directory);
    let events = Events::of(&Corpus::real().unwrap(), &parameters(BATCH as u64));
    let all = events.all();
    let mut group = criterion.benchmark_group("extract");
    group.throughput(Throughput::Bytes(events.bytes()));
    group.bench_function("1000 events", |bencher| {
        bencher.iter(|| {
            let (batch, rejected) = log.prepare(&mut all.iter().copied()).unwrap();
            assert_eq!((batch.len(), batch.bytes() as u64, rejected.len()), (BATCH, events.bytes(), 0));
            batch
        });
    });
    group.finish();
}
