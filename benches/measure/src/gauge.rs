//! The gauge of the machine: what zstd at level 3 takes for the same bytes, in the same run.
//!
//! CPU seconds of different machines, or of one machine that is busier at one time than at another, cannot be compared; multiples of the
//! same work, done right beside, can. The events are made once more on one thread and compressed as one stream on another, of which alone
//! the kernel's account is read.

use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};

use trail_corpus::{Corpus, Generator, Parameters};
use trail_rig::Result;

use crate::in_process::thread_seconds;

const THREAD: &str = "measure-zstd";
const LEVEL: i32 = 3;
const PIECE_BYTES: usize = 1 << 20;
const EVENTS_MAX: u64 = 1_000_000;

/// CPU seconds for a million events, of the first million of these at most.
///
/// # Errors
/// When nothing can be made or compressed, or the kernel says nothing of threads.
pub(crate) fn zstd_seconds(corpus: &Corpus, parameters: &Parameters) -> Result<f64> {
    let mut generator = Generator::new(corpus, parameters)?;
    let events = parameters.events.min(EVENTS_MAX);
    eprintln!("compressing {} events", trail_rig::grouped(events));
    let (ready, pieces) = sync_channel::<Vec<u8>>(2);
    std::thread::scope(|scope| -> Result<f64> {
        let named = std::thread::Builder::new().name(THREAD.into());
        let work = named.spawn_scoped(scope, move || compress(&pieces).map_err(|failure| failure.to_string()))?;
        let mut piece = Vec::new();
        for event in 1..=events {
            generator.next_event(&mut piece).ok_or("there are fewer events than were asked for")?;
            piece.push(b'\n');
            if (piece.len() >= PIECE_BYTES || event == events) && ready.send(std::mem::take(&mut piece)).is_err() {
                break;
            }
        }
        drop(ready);
        let seconds = work.join().map_err(|_| "the compression panicked")??;
        Ok(seconds * 1e6 / events as f64)
    })
}

/// CPU seconds of this thread, when all is compressed.
fn compress(pieces: &Receiver<Vec<u8>>) -> Result<f64> {
    let mut encoder = zstd::stream::Encoder::new(std::io::sink(), LEVEL)?;
    for piece in pieces {
        encoder.write_all(&piece)?;
    }
    encoder.finish()?;
    thread_seconds(THREAD)
}
