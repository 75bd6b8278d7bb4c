//! [`Ahead`]: frames unfolded by other threads, ahead of the one that takes them.
//!
//! **Problem.** To unfold and index the batches of a full journal takes many times as long as to read them, and a start waits for it.
//!
//! **Mechanism.** The thread that replays does all the reading, so that the disk sees the same calls in the same order on every machine. What
//! it has read it copies into parcels; other threads unfold and prepare them; what comes out is taken in the order of the journal,
//! on the thread that replays. How far that reads ahead follows from what it has read, never from how quick the others are. The
//! first parcel waits for a second: a short journal needs no thread.
//!
//! **Limits.** Those of [`Reach`]: so many parcels, and so many bytes as the frames' headers tell; or one frame that is longer. When the
//! system gives no threads, the work is done by the one that there is.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::journal::frame::FrameHeader;
use crate::journal::outcome::ReplayedFrame;
use crate::journal::payload::Payload;
use crate::sync::{JoinHandle, Mutex, mpsc};
use crate::threads;

/// What is made of a frame, on any thread.
pub(crate) type Prepare<P> = dyn Fn(ReplayedFrame<'_>) -> Result<P> + Send + Sync;

/// What an event counts at least when it is reckoned what a frame unfolds to: what repeats takes no room in a payload.
const EVENT_BYTES: usize = 1 << 10;

/// How far frames are read ahead, and by how many threads they are unfolded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// A parcel is closed when it unfolds to so many bytes.
    pub(crate) parcel_bytes: usize,
    /// How many parcels may be read and not yet taken; at least one.
    pub(crate) parcels: usize,
    /// The bytes that they may unfold to together.
    pub(crate) bytes: usize,
    /// How many threads there are besides; with 0 the one that replays does it all.
    pub(crate) threads: usize,
}

impl Reach {
    /// Nothing is read ahead but what fits one parcel.
    pub(crate) const HERE: Reach = Reach { parcel_bytes: 256 << 10, parcels: 1, bytes: 0, threads: 0 };

    /// A thread for each core, at most 8: appending in order, which is left to one, takes a fourth of the work.
    pub(crate) fn of_machine() -> Reach {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Reach { parcels: 12, bytes: 16 << 20, threads: cores.min(8), ..Reach::HERE }
    }
}

/// What became of a frame.
pub(super) struct Done<P> {
    pub(super) offset: u64,
    pub(super) header: FrameHeader,
    pub(super) outcome: Outcome<P>,
}

/// Whether a frame could be unfolded, and what was made of it then.
pub(super) enum Outcome<P> {
    Unreadable(Error),
    Prepared(Result<P>),
}

/// Frames that go to a thread together.
#[derive(Default)]
struct Parcel {
    stored: Vec<u8>,
    frames: Vec<(u64, FrameHeader, Range<usize>)>,
    weight: usize,
}

impl Parcel {
    fn unfold<P>(&self, prepare: &Prepare<P>) -> Vec<Done<P>> {
        let mut text = Vec::new();
        let outcome = |header: &FrameHeader, stored: &[u8], text: &mut Vec<u8>| match Payload::decode(
            stored,
            header.codec,
            header.raw_bytes as usize,
            header.events as usize,
            text,
        ) {
            Ok(events) => {
                let (first_sequence, received_at) = (header.first_sequence, header.received_at);
                Outcome::Prepared(prepare(ReplayedFrame { first_sequence, received_at, events: &events, text }))
            }
            Err(error) => Outcome::Unreadable(error),
        };
        let each = self.frames.iter().map(|(offset, header, range)| {
            let stored = self.stored.get(range.clone()).unwrap_or_default();
            Done { offset: *offset, header: *header, outcome: outcome(header, stored, &mut text) }
        });
        each.collect()
    }
}

/// A parcel that was closed.
enum Waiting<P> {
    Here(Parcel),
    There(mpsc::Receiver<Vec<Done<P>>>),
}

struct Task<P> {
    parcel: Parcel,
    done: mpsc::SyncSender<Vec<Done<P>>>,
}

/// Frames between reading and taking.
pub(super) struct Ahead<P> {
    prepare: Arc<Prepare<P>>,
    reach: Reach,
    open: Parcel,
    waiting: VecDeque<(usize, Waiting<P>)>,
    /// What all in `waiting` unfold to.
    weight: usize,
    workers: Option<Workers<P>>,
}

impl<P: Send + 'static> Ahead<P> {
    pub(super) fn new(prepare: Arc<Prepare<P>>, reach: Reach) -> Ahead<P> {
        Ahead { prepare, reach, open: Parcel::default(), waiting: VecDeque::new(), weight: 0, workers: None }
    }

    /// Puts a frame behind all others.
    pub(super) fn push(&mut self, offset: u64, header: FrameHeader, stored: &[u8]) {
        let start = self.open.stored.len();
        self.open.stored.extend_from_slice(stored);
        self.open.frames.push((offset, header, start..self.open.stored.len()));
        self.open.weight += (header.raw_bytes as usize).max(header.events as usize * EVENT_BYTES);
        if self.open.weight >= self.reach.parcel_bytes {
            self.close();
        }
    }

    /// Whether something must be taken before more is read.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty() && (self.waiting.len() >= self.reach.parcels || self.weight >= self.reach.bytes)
    }

    /// The oldest frames, in order, once they are unfolded; `None` when there are none.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the thread that had them is gone.
    pub(super) fn next(&mut self) -> Option<Result<Vec<Done<P>>>> {
        if self.waiting.is_empty() {
            self.close();
        }
        let (weight, oldest) = self.waiting.pop_front()?;
        self.weight -= weight;
        Some(match oldest {
            Waiting::Here(parcel) => Ok(parcel.unfold(&*self.prepare)),
            Waiting::There(done) => done.recv().map_err(|_| Error::new(ErrorKind::Io, "a thread that unfolds the journal is gone")),
        })
    }

    /// Forgets what was not taken.
    pub(super) fn forget(&mut self) {
        self.open = Parcel::default();
        self.waiting.clear();
        self.weight = 0;
    }

    fn close(&mut self) {
        if self.open.frames.is_empty() {
            return;
        }
        let parcel = std::mem::take(&mut self.open);
        self.weight += parcel.weight;
        self.waiting.push_back((parcel.weight, Waiting::Here(parcel)));
        if self.waiting.len() > 1 && self.reach.threads > 0 {
            self.hand_over();
        }
    }

    /// Gives what waits here to the threads.
    fn hand_over(&mut self) {
        let (prepare, threads) = (&self.prepare, self.reach.threads);
        let workers = self.workers.get_or_insert_with(|| Workers::start(threads, prepare));
        if workers.threads.is_empty() {
            return;
        }
        for (_, waiting) in &mut self.waiting {
            let Waiting::Here(parcel) = waiting else { continue };
            let (done, result) = mpsc::sync_channel(1);
            // Where nobody takes it any more, the result will be missing.
            let _sent = workers.tasks.as_ref().map(|tasks| tasks.send(Task { parcel: std::mem::take(parcel), done }));
            *waiting = Waiting::There(result);
        }
    }
}

/// The threads that unfold; they end with it.
struct Workers<P> {
    tasks: Option<mpsc::Sender<Task<P>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: Send + 'static> Workers<P> {
    fn start(threads: usize, prepare: &Arc<Prepare<P>>) -> Workers<P> {
        let (tasks, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        // Fewer do as well, and none means that the work is done by whoever wants it.
        let started = (0..threads).map_while(|_| {
            let (receiver, prepare) = (receiver.clone(), prepare.clone());
            threads::spawn("trail-replay", move || work(&receiver, &*prepare)).ok()
        });
        let threads = started.collect();
        Workers { tasks: Some(tasks), threads }
    }
}

impl<P> Drop for Workers<P> {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // One that panicked has left its result out, which was noticed.
            let _ended = thread.join();
        }
    }
}

fn work<P>(tasks: &Mutex<mpsc::Receiver<Task<P>>>, prepare: &Prepare<P>) {
    loop {
        // The others wait for the lock instead of for the channel.
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        // After an error nobody wants the rest.
        let _wanted = task.done.send(task.parcel.unfold(prepare));
    }
}
