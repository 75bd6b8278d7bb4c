//! The one door to threads: every thread of the engine is named and made here.

use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Result};

/// Starts a named thread. The name shows in `top -H` and in panics; Linux keeps 15 bytes of it.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when the system gives no more threads.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|e| Error::io(format!("cannot start thread {name}"), e))
}
