//! Where a worker begins, and when it must begin anew.
//!
//! Problem: what is kept of a trail may be lost or set back while its sink has more, and what the sink was made of may be replaced while it works. Mechanism: a sink that
//! names its batches is asked at every start how far it got; it is believed where the last batch that it has is one of this log, which the hash of its first event
//! says. Before each batch, and before each repeat, the files with secrets are looked at. Limits: where no hash was kept, as before the first batch that was noted, a trail
//! is believed to have lost its position only where it knows of no batch at all; of files over 4 MiB the rest is not seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::id::{Day, Sequence};

use crate::trails::keeping::kept::{Pending, Progress};
use crate::trails::reading::gather::Gatherer;
use crate::trails::reading::source::Reader;
use crate::trails::setting::watched::Watched;
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::seam::{Origin, Sink, origin_of};
use crate::trails::work::worker::{Going, Stopped, Worker};

impl Worker {
    /// The progress to go on from; asks the sink how far it got before, since what is kept may have been lost or set back. What the sink has that is not of this
    /// log, as when the log itself was set back, only gives its number: then events may arrive twice, and none is left out.
    pub(in crate::trails) async fn begin(
        &self,
        reader: &impl Fn(&str, Sequence) -> Reader,
        published: watch::Receiver<Sequence>,
    ) -> Going<Progress> {
        let end = *published.borrow();
        let progress = self.progress().await?;
        if !self.sink.names_batches() {
            return Ok(progress);
        }
        let since = progress.day.map(Day);
        let Some(mark) = self.attempts(0, || self.sink.mark(&self.label, since)).await?.ok().flatten() else { return Ok(progress) };
        // A batch that was begun is repeated, whether it is there or not; unless another has its number.
        let is_repeated = |begun: &Pending| begun.number > mark.number || (begun.number, begun.last) == (mark.number, mark.last.0);
        if mark.number <= progress.number || progress.pending.as_ref().is_some_and(is_repeated) {
            return Ok(progress);
        }
        let is_known = match mark.origin {
            _ if mark.last > end => false,
            Some(origin) => self.has(&origin, mark.last, reader(&self.filter, before(&origin)), published).await,
            // Where that cannot be told, a trail that knows of no batch is one that lost its file.
            None => progress.number == 0,
        };
        self.keep(|progress| {
            progress.number = progress.number.max(mark.number);
            let known = if is_known { mark.last.0 } else { 0 };
            progress.position = Some(progress.position.unwrap_or(0).max(known));
            // Others followed it: it was there before them.
            progress.pending = None;
        })
        .await?;
        self.progress().await
    }

    /// Whether a batch up to a sequence begins with the event of this log that it must begin with.
    async fn has(&self, origin: &Origin, last: Sequence, reader: Reader, published: watch::Receiver<Sequence>) -> bool {
        let one = BatchLimits { events: 1, bytes: u64::MAX, delay: Duration::ZERO };
        let mut gatherer = Gatherer::new(reader, one, published, before(origin), Some(last)).telling(self.unreadable());
        while let Some(draft) = gatherer.next().await {
            if let Some(event) = draft.events.first() {
                return origin_of(&event.text) == origin.hash;
            }
        }
        false
    }

    /// Ends the worker when what its sink is made of, such as a key in a file, is another by now: it is made again then, and goes on.
    pub(in crate::trails) async fn fresh(&self) -> Going<()> {
        if self.watched.has_changed().await {
            self.stale.store(true, Ordering::Relaxed);
            return Err(Stopped);
        }
        Ok(())
    }

    /// Whether it ended for its sink to be made again.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// Goes on with another sink.
    pub fn renewed(self, sink: Box<dyn Sink>, watched: Watched) -> Worker {
        Worker { sink, watched, stale: AtomicBool::new(false), ..self }
    }

    /// Goes on with the sink that it has, since none can be made of the files as they are; until they change again.
    pub fn kept_on(self, seen: Watched, problem: &str) -> Worker {
        tracing::error!(trail = %self.label, sink = self.kind, "a file that the sink is made of was changed, and is no good: {problem}");
        let message = format!("a file that the sink is made of was changed, and is no good: {problem}");
        self.live.trouble(&message, SystemClock::new().now(), true);
        Worker { watched: seen, stale: AtomicBool::new(false), ..self }
    }
}

/// The sequence after which a reading finds the first event of a batch.
fn before(origin: &Origin) -> Sequence {
    Sequence(origin.first.0.saturating_sub(1))
}
