//! [`Schedule`]: which threads the process has, how many, how urgent, and what each does. This is the one place that decides it.
//!
//! Problem: requests, bodies, questions short and long, the writer, flushing and merging share few cores, and none of them may keep
//! another from getting on. Mechanism: each kind of work has threads of its own, in a number that is fixed; the kernel gives every
//! thread that wants to run an equal share, so that the worst share of each kind follows from the numbers:
//!
//! | threads | how many | nice | do | may take |
//! |---|---|---|---|---|
//! | `traild` (async) | cores | 0 | sockets, heads, small bodies whole, handing over | a millisecond at a time; they never read a segment for a question |
//! | `traild` (bodies) | `ingest_threads` | 0 | bodies of 32 KiB and more: unpack, cut, parse, look for copies, compress | as long as the body is |
//! | `traild` (questions) | `query_threads` | 0 | every question at first | 30 ms, then it is a long one; see [`super::Lanes`] |
//! | `traild` (long questions) | `query_threads` | 0 | questions that turned out to take long, one after the other | `query_time_max` |
//! | `trail-delivery` | cores | 3 | reading the log for trails, encoding batches; see [`super::Background`] | a bounded reading or one batch at a time; a third of a busy core |
//! | `traild` (folders) | 8 | 0 | files of trails that deliver to a folder | as long as the folder hangs |
//! | `trail-writer` | 1 | 0 | journal, sync, head, acknowledgement | its share: all of ingest goes through it |
//! | `trail-upkeep` | 1 | 0 | flush, seal, retention | its share: a writer with a full head waits for it |
//! | `trail-merge` | 1 | 10 | merges segments | `merge_cpu_percent` of a core, a fifth while a head waits; a tenth of a busy core |
//! | `trail-replay` | cores, at most 8 | 0 | unfolds the journal of a log that is opened | until it is open, when nothing else has work |
//!
//! The last four are the engine's (`trail_engine::threads`). So a scan never takes the threads of bodies or of quick questions, a heavy
//! ingest never takes those of questions, and what is too much waits in a bounded queue before its own threads. Limits: the cores
//! are shared by weight, not by reservation: with two long scans on two cores an ingest that could use both has more than half of them.

use tokio::runtime::Builder;

use crate::config::Config;

/// Threads beside those of the pools: one that opens or closes the log, one to spare.
const OTHER_THREADS: usize = 2;

/// Threads that may hang with a mounted folder.
const FOLDER_THREADS: usize = 8;

/// How many threads of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Those that run async tasks and never block.
    pub workers: usize,
    /// Those that read bodies into batches.
    pub bodies: usize,
    /// Those on which questions begin.
    pub questions: usize,
    /// Those for questions that take long.
    pub long_questions: usize,
    /// Those that read and encode for trails.
    pub deliveries: usize,
    /// Those that write files of folders for trails.
    pub folders: usize,
}

impl Schedule {
    /// The schedule of these settings on this machine.
    #[must_use]
    pub fn of(config: &Config) -> Schedule {
        let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        let (bodies, questions) = (config.ingest_threads, config.query_threads);
        Schedule { workers, bodies, questions, long_questions: questions, deliveries: workers, folders: FOLDER_THREADS }
    }

    /// The runtime with these threads.
    #[must_use]
    pub fn runtime(&self) -> Builder {
        let blocking = self.bodies.saturating_add(self.questions).saturating_add(self.long_questions).saturating_add(self.folders);
        let mut builder = Builder::new_multi_thread();
        builder.enable_all().thread_name("traild").worker_threads(self.workers);
        builder.max_blocking_threads(blocking.saturating_add(OTHER_THREADS));
        builder
    }
}
