//! What the machine itself takes away: how long, and in which pieces, a core that computes does not get on.
//!
//! Problem: on a rented machine the host gives its cores to others too, and often only where the guest wants them all; the guest's kernel may know
//! nothing of it. An answer that needs a tenth of a millisecond then takes eight, whatever the server does, and a percentile of many such answers measures
//! the host. Mechanism: threads that do nothing but look at the clock, on one core and then on all; wherever two looks lie apart by more than
//! [`STOP_MIN`], somebody else had the core. Nothing else runs meanwhile, so on a machine of one's own there is next to none of it.

use std::time::Duration;

use trail_rig::now;

use crate::table::Table;

/// How long each of the two looks takes.
const LOOK: Duration = Duration::from_secs(3);
/// What is longer than interrupts take.
const STOP_MIN: Duration = Duration::from_micros(300);

/// Measures and prints.
pub(crate) fn measure() {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let table = Table::begin("The machine alone: threads that only look at the clock");
    for threads in [1, cores] {
        eprintln!("looking at the machine with {threads} of {cores} cores");
        let stops = watch(threads);
        let away: Duration = stops.iter().sum();
        let share = away.as_secs_f64() / (LOOK.as_secs_f64() * threads as f64) * 100.0;
        let at = |part: usize| stops.get(stops.len().saturating_sub(1) * part / 1_000).map_or(0.0, |stop| stop.as_secs_f64() * 1e3);
        let shown = format!("{share:.1} % in stops of {:.1} ms (median; p99 {:.1})", at(500), at(990));
        table.row(&format!("taken away from {threads} of {cores} cores"), &shown);
        if threads == cores {
            break;
        }
    }
}

/// All stops of so many threads, the shortest first.
fn watch(threads: usize) -> Vec<Duration> {
    let mut stops: Vec<Duration> = std::thread::scope(|scope| {
        let watching: Vec<_> = (0..threads).map(|_| scope.spawn(stops_of_one)).collect();
        watching.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    stops.sort_unstable();
    stops
}

fn stops_of_one() -> Vec<Duration> {
    let (begin, mut stops) = (now(), Vec::new());
    let mut last = begin;
    while last.duration_since(begin) < LOOK {
        let next = now();
        let apart = next.duration_since(last);
        if apart > STOP_MIN {
            stops.push(apart);
        }
        last = next;
    }
    stops
}
