//! The worker of a sink that takes sealed segments as they are.
//!
//! Segments are delivered in the order of their sequences, each once it is sealed: an open one may still be merged with its neighbours. The position is the
//! last sequence of the last segment that arrived. A segment that is damaged is passed over loudly, as events that are lost.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use trail_engine::SegmentInfo;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::ErrorKind;
use trail_engine::id::Sequence;

use crate::backend::Backend;
use crate::trails::work::worker::{Going, Worker};

/// How often there is a look at the list of segments: they are sealed by the quarter of an hour.
const LOOK: Duration = Duration::from_secs(5);

impl Worker {
    /// Delivers segments until it is stopped, or the range of a backfill is done.
    pub async fn run_segments(self, backend: Backend, mut published: watch::Receiver<Sequence>, until: Option<Sequence>) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = self.ship(&backend, &mut published, until) => {}
        }
    }

    async fn ship(&self, backend: &Backend, published: &mut watch::Receiver<Sequence>, until: Option<Sequence>) -> Going<()> {
        let mut position = self.progress().await?.after();
        self.live.reached(position);
        loop {
            let sealed = |info: &SegmentInfo| info.sealed && info.last_sequence > position;
            let next = backend.segments().into_iter().find(|info| info.last_sequence > position);
            // Of a backfill, what is left may have been dropped.
            if until.is_some_and(|until| position >= until || next.as_ref().is_some_and(|next| next.first_sequence > until)) {
                return Ok(());
            }
            match next.filter(sealed) {
                Some(segment) => {
                    let passed = segment.first_sequence.0.saturating_sub(position.0.saturating_add(1));
                    if self.ship_one(backend, &segment, passed).await? {
                        position = segment.last_sequence;
                        self.live.reached(position);
                    } else {
                        sleep(LOOK).await;
                    }
                }
                None => {
                    self.upkeep().await?;
                    sleep(LOOK).await;
                    if published.has_changed().is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Delivers one segment; false when it must be looked for again.
    async fn ship_one(&self, backend: &Backend, segment: &SegmentInfo, passed: u64) -> Going<bool> {
        let file = match backend.segment_file(segment.id).await {
            Ok(Some(file)) if segment.readable => file,
            // Gone in this moment: the next look finds what came in its place.
            Ok(None) => return Ok(false),
            // Only what is damaged is passed over: anything else may be read in a moment.
            Err(error) if error.kind() != ErrorKind::Corrupt => {
                self.live.trouble(&format!("segment {} cannot be read now: {error}", segment.id), SystemClock::new().now(), false);
                return Ok(false);
            }
            Ok(Some(_)) | Err(_) => {
                let first = segment.first_sequence.0.saturating_sub(passed);
                self.lose_range(first, segment.last_sequence.0, segment.events.saturating_add(passed)).await?;
                self.keep(|progress| progress.position = Some(segment.last_sequence.0)).await?;
                return Ok(true);
            }
        };
        let delivered = match self.attempts(|| self.sink.deliver_segment(segment, &file)).await? {
            Ok(delivered) => delivered,
            Err(fault) => {
                // A segment cannot be made smaller or other than it is: somebody must mend the sink.
                self.live.trouble(&fault.message, SystemClock::new().now(), true);
                return Ok(false);
            }
        };
        self.keep(|progress| {
            progress.position = Some(segment.last_sequence.0);
            progress.number += 1;
            progress.delivered_events += segment.events;
            progress.delivered_objects += delivered.objects;
            progress.delivered_bytes += delivered.bytes;
            progress.last_delivery_at_ms = Some(SystemClock::new().now().as_millis());
            if let Some(state) = &delivered.state {
                progress.sink = Some(state.clone());
            }
        })
        .await?;
        self.tally.delivered(segment.events, &delivered);
        if passed > 0 {
            self.lose_range(segment.first_sequence.0.saturating_sub(passed), segment.first_sequence.0, passed).await?;
        }
        Ok(true)
    }
}
