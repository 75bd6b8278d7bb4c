//! Benches of the engine, in one process: `cargo bench -p trail-corpus --bench engine`, one area: `cargo bench -p trail-corpus --bench engine -- query`.
//!
//! Every bench checks its answer against numbers counted from the generated events. `cargo test -p trail-corpus --benches` (and
//! `cargo bench -p trail-corpus -- --test`) runs each once on few events: that proves that they work, and measures nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]

mod append;
mod extract;
mod flush;
mod ground;
mod merge;
mod open;
mod query;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    extract::benches(&mut criterion);
    append::benches(&mut criterion);
    flush::benches(&mut criterion);
    merge::benches(&mut criterion);
    open::benches(&mut criterion);
    query::benches(&mut criterion);
    criterion.final_summary();
}
