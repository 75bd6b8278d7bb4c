//! Ctrl-C and SIGTERM for commands that must not be cut off in the middle.
//!
//! The first signal raises a flag that the command looks at between two steps; the second ends the process at once, since
//! whoever presses twice means it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use trail_engine::threads;

use crate::cli::exit::{Exit, Failure};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the first signal has come.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Waits, but not longer than until the first signal.
pub fn pause(time: Duration) {
    let step = Duration::from_millis(50);
    let mut left = time;
    while !left.is_zero() && !interrupted() {
        std::thread::sleep(left.min(step));
        left = left.saturating_sub(step);
    }
}

/// Starts to listen for signals; the first calls `first` once, on a thread of its own.
///
/// # Errors
/// When the system gives neither thread nor signal handler.
pub fn listen(first: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::usage(format!("cannot listen for signals: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut signals = {
        let _inside = runtime.enter();
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?)
    };
    let wait = move || {
        let mut next = || {
            runtime.block_on(async {
                tokio::select! { _ = signals.0.recv() => (), _ = signals.1.recv() => () }
            });
        };
        next();
        INTERRUPTED.store(true, Ordering::Relaxed);
        first();
        next();
        std::process::exit(Exit::Interrupted as i32);
    };
    threads::spawn("signals", wait)?;
    Ok(())
}
