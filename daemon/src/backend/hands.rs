//! [`Hands`]: the threads that deliveries may use, so that a folder that hangs takes none from requests, and a large batch no time.

use crate::backend::background::Background;
use crate::backend::pool::Pool;
use crate::backend::schedule::Schedule;

/// How much work may wait for a thread; each sink of a trail has one piece at a time.
const QUEUE_MAX: usize = 1_024;

/// The threads that deliveries may use.
#[derive(Debug, Clone)]
pub struct Hands {
    /// For what computes: reading the log, encoding and packing batches, and for the small files of the trails themselves.
    pub compute: Background,
    /// For files of folders that may be mounted from elsewhere, and hang.
    pub folders: Pool,
}

impl Hands {
    /// As many as the schedule says.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Hands {
        Hands {
            compute: Background::new("deliveries", schedule.deliveries, QUEUE_MAX),
            folders: Pool::new("files of folders", schedule.folders, QUEUE_MAX),
        }
    }
}
