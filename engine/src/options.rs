//! [`Options`]: what an operator may set about a log.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::DimensionSchema;
use crate::id::Sequence;

/// The settings of a log. [`Options::default`] suits a machine with 2 cores and 1 GiB to spare.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which properties of events are indexed.
    pub schema: DimensionSchema,
    /// How long events are kept after they were received. Whole days are dropped once all of the day is older than this.
    pub retention: Duration,
    /// Whether nothing is dropped until [`crate::AuditLog::hold`] was called once: for an owner that must find out first what is held.
    pub expiry_waits: bool,
    /// The head is flushed to a segment when it holds this many bytes in memory.
    pub head_bytes_max: u64,
    /// The head is flushed to a segment when its oldest event is this old.
    pub head_age_max: Duration,
    /// How many full heads may wait for the flusher before appends are refused as [`crate::ErrorKind::Busy`].
    pub heads_waiting_max: usize,
    /// The length to which a journal file is preallocated; it grows past it for a frame that is larger.
    pub journal_bytes: u64,
    /// How many bytes of batches may wait for the writer before appends are refused as [`crate::ErrorKind::Busy`].
    pub pending_bytes_max: u64,
    /// A segment is sealed when it has this many events...
    pub segment_events_max: u32,
    /// ... or this many bytes ...
    pub segment_bytes_max: u64,
    /// ... or when its day has been over for this long.
    pub seal_grace: Duration,
    /// How much of one core merging segments may take, in percent; with 0 nothing is merged.
    pub merge_cpu_percent: u32,
    /// How far the wall clock may be ahead of the time that retention trusts before the log names it among its problems. Retention
    /// follows the wall clock at most at twice the speed of the monotonic one, whatever this says (see `lifecycle::live::retention`).
    pub clock_jump_max: Duration,
    /// How long one query may run.
    pub query_time_max: Duration,
    /// How much memory may be kept to be quick, beside heads, queues and answers, in bytes: half of it for what was unfolded of segments,
    /// a quarter each for the buffers of batches and for what one merge looks up. Little of it costs time, nothing else.
    pub work_bytes_max: u64,
    /// How much memory the answer of one query may take, in bytes.
    pub query_memory_bytes_max: u64,
    /// No appends, no maintenance: for looking at a copy of a log.
    pub read_only: bool,
}

/// What is not to be dropped although it is over the retention: see [`crate::AuditLog::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hold {
    /// Segments with events behind this sequence wait; `None`: nothing does.
    pub behind: Option<Sequence>,
    /// The most bytes of segment files that wait; above it the oldest go all the same.
    pub bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            schema: DimensionSchema::default(),
            retention: Duration::from_secs(30 * 86_400),
            expiry_waits: false,
            head_bytes_max: 96 << 20,
            head_age_max: Duration::from_secs(15 * 60),
            heads_waiting_max: 1,
            journal_bytes: 64 << 20,
            pending_bytes_max: 128 << 20,
            segment_events_max: 16_000_000,
            segment_bytes_max: 1 << 30,
            seal_grace: Duration::from_secs(15 * 60),
            merge_cpu_percent: 50,
            clock_jump_max: Duration::from_secs(26 * 3_600),
            work_bytes_max: 256 << 20,
            query_time_max: Duration::from_secs(30),
            query_memory_bytes_max: 256 << 20,
            read_only: false,
        }
    }
}

impl Options {
    /// A part of `work_bytes_max`, as a size of this machine.
    pub(crate) fn work_share(&self, divisor: u64) -> usize {
        usize::try_from(self.work_bytes_max / divisor).unwrap_or(usize::MAX)
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`], naming the setting.
    pub fn check(&self) -> Result<()> {
        self.schema.check()?;
        let positive = [
            ("retention", self.retention.as_secs()),
            ("head_bytes_max", self.head_bytes_max),
            ("journal_bytes", self.journal_bytes),
            ("pending_bytes_max", self.pending_bytes_max),
            ("segment_events_max", u64::from(self.segment_events_max)),
            ("segment_bytes_max", self.segment_bytes_max),
            ("query_memory_bytes_max", self.query_memory_bytes_max),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(Error::invalid(format!("`{name}` must not be zero"))),
            None => Ok(()),
        }
    }
}
