//! Opening a log: everything in segments, and with events in the journal that are replayed. Closing it is not in the time.

use std::time::Duration;

use criterion::Criterion;
use tempfile::TempDir;
use trail_corpus::Corpus;
use trail_engine::clock::{Clock, SystemClock};

use crate::ground::{Events, directory, fill, open, parameters, sizes};

pub(crate) fn benches(criterion: &mut Criterion) {
    let sizes = sizes();
    let mut group = criterion.benchmark_group("open");
    for replayed in [0, sizes.replayed] {
        let stored = stored(sizes.opened, replayed);
        group.bench_function(format!("{} events in segments, {replayed} in the journal", sizes.opened), |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| reopen(&stored, sizes.opened, replayed)).sum());
        });
    }
    group.finish();
}

fn stored(flushed: u64, replayed: u64) -> TempDir {
    let directory = directory();
    let events = Events::of(&Corpus::real().unwrap(), &parameters(flushed + replayed));
    let all = events.all();
    let (first, rest) = all.split_at(flushed as usize);
    let log = open(&directory);
    fill(&log, first);
    log.flush().unwrap();
    fill(&log, rest);
    log.close().unwrap();
    directory
}

fn reopen(directory: &TempDir, flushed: u64, replayed: u64) -> Duration {
    let clock = SystemClock::new();
    let log = open(directory);
    let time = clock.elapsed();
    let stats = log.stats();
    assert_eq!((stats.events, stats.head_events), (flushed + replayed, replayed));
    log.close().unwrap();
    time
}
