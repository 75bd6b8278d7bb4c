//! The one door to threads: every thread of the engine is named and made here.

use crate::error::{Error, Result};
use crate::sync::{Builder, JoinHandle};

/// Starts a named thread. The name shows in `top -H` and in panics; Linux keeps 15 bytes of it.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when the system gives no more threads.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|e| Error::io(format!("cannot start thread {name}"), e))
}

/// How much less urgent work is that can wait for hours: beside a thread that wants all of a core it gets about a tenth of it.
pub const BACKGROUND: i32 = 10;
/// The same for work that somebody waits for, but not an answer: a third of a core.
pub const BEHIND_ANSWERS: i32 = 3;

/// Makes the calling thread one of background work: others go first wherever both want a core. On Linux priorities are those of threads.
pub fn lower_priority(niceness: i32) {
    // Where it is refused, the thread is as urgent as the others.
    let _unused = rustix::process::setpriority_process(None, niceness);
}
