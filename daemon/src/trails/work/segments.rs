//! The worker of a sink that takes sealed segments as they are.
//!
//! Segments are delivered in the order of their sequences, each once it is sealed: an open one may still be merged with its neighbours. The position is the
//! last sequence of the last segment that arrived. What waits of one day goes together, so that its manifest and the position are kept once for several.
//! A segment that is damaged is passed over loudly, as events that are lost.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use trail_engine::SegmentInfo;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::ErrorKind;
use trail_engine::id::Sequence;

use crate::backend::Backend;
use crate::trails::sink::seam::Sealed;
use crate::trails::work::worker::{Going, Worker};

/// How often there is a look at the list of segments: they are sealed by the quarter of an hour.
const LOOK: Duration = Duration::from_secs(5);
/// How many segments go together, and how many bytes when there are several: after a fault all of them go again.
const TOGETHER_MAX: usize = 16;
const TOGETHER_BYTES_MAX: usize = 256 << 20;

impl Worker {
    /// Delivers segments until it is stopped, or the range of a backfill is done.
    pub async fn run_segments(&self, backend: Backend, mut published: watch::Receiver<Sequence>, until: Option<Sequence>) {
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
            let segments: Vec<SegmentInfo> = backend.segments().into_iter().filter(|info| info.last_sequence > position).collect();
            let next = segments.first();
            if let Some(until) = until {
                if position >= until {
                    return Ok(());
                }
                // Of a backfill, what is left may have been dropped; what is in no segment yet has not.
                if is_dropped(until, next.map(|next| next.first_sequence), backend.oldest_sequence()) {
                    self.lose_range(position.0.saturating_add(1), until.0, until.0.saturating_sub(position.0)).await?;
                    return self.keep(|progress| progress.position = Some(until.0)).await;
                }
            }
            match next.filter(|next| next.sealed) {
                Some(next) => {
                    let passed = next.first_sequence.0.saturating_sub(position.0.saturating_add(1));
                    match self.ship_next(backend, &segments, passed, until).await? {
                        Some(reached) => {
                            position = reached;
                            self.live.reached(position);
                        }
                        None => sleep(LOOK).await,
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

    /// Delivers the first of these segments, and what can go with it; the last sequence that is done with. `None` when they must be looked for again.
    async fn ship_next(
        &self,
        backend: &Backend,
        segments: &[SegmentInfo],
        passed: u64,
        until: Option<Sequence>,
    ) -> Going<Option<Sequence>> {
        let Some(segment) = segments.first() else { return Ok(None) };
        let file = match backend.segment_file(segment.id).await {
            Ok(Some(file)) if segment.readable => file,
            // Gone in this moment: the next look finds what came in its place.
            Ok(None) => return Ok(None),
            // Only what is damaged is passed over: anything else may be read in a moment.
            Err(error) if error.kind() != ErrorKind::Corrupt => {
                self.live.trouble(&format!("segment {} cannot be read now: {error}", segment.id), SystemClock::new().now(), false);
                return Ok(None);
            }
            Ok(Some(_)) | Err(_) => {
                let first = segment.first_sequence.0.saturating_sub(passed);
                let lost = segment.events.saturating_add(passed);
                self.tell_lost(first, segment.last_sequence.0, lost);
                self.keep(|progress| {
                    progress.position = Some(segment.last_sequence.0);
                    progress.lost_sequences += lost;
                })
                .await?;
                return Ok(Some(segment.last_sequence));
            }
        };
        let together = together(backend, Sealed { info: segment.clone(), file }, segments, until).await;
        let bytes = together.iter().map(|sealed| sealed.file.len() as u64).sum();
        self.fresh().await?;
        let delivered = match self.attempts(bytes, || self.sink.deliver_segments(&together)).await? {
            Ok(delivered) => delivered,
            Err(fault) => {
                // A segment cannot be made smaller or other than it is: somebody must mend the sink.
                self.live.trouble(&fault.message, SystemClock::new().now(), true);
                return Ok(None);
            }
        };
        let last = together.last().map_or(segment.last_sequence, |sealed| sealed.info.last_sequence);
        let events = together.iter().map(|sealed| sealed.info.events).sum();
        if passed > 0 {
            let next = segment.first_sequence.0;
            self.tell_lost(next.saturating_sub(passed), next.saturating_sub(1), passed);
        }
        self.keep(|progress| {
            progress.position = Some(last.0);
            progress.lost_sequences += passed;
            progress.number += together.len() as u64;
            progress.delivered_events += events;
            progress.delivered_objects += delivered.objects;
            progress.delivered_bytes += delivered.bytes;
            progress.last_delivery_at_ms = Some(SystemClock::new().now().as_millis());
            if let Some(state) = &delivered.state {
                progress.sink = Some(state.clone());
            }
        })
        .await?;
        self.tally.delivered(events, &delivered);
        Ok(Some(last))
    }
}

/// Whether nothing is left up to a sequence, where the next segment begins at `next` and the oldest event that is retained, in a segment or not, is `oldest`.
fn is_dropped(until: Sequence, next: Option<Sequence>, oldest: Sequence) -> bool {
    next.unwrap_or(oldest) > until
}

/// The first segment with those behind it that are of the same day and follow without a gap.
async fn together(backend: &Backend, first: Sealed, segments: &[SegmentInfo], until: Option<Sequence>) -> Vec<Sealed> {
    let (mut bytes, mut last) = (first.file.len(), first.info.last_sequence);
    let day = first.info.day;
    let mut together = vec![first];
    for info in segments.iter().skip(1) {
        let follows = info.sealed && info.readable && info.day == day && info.first_sequence == last.plus(1);
        if !follows || until.is_some_and(|until| info.first_sequence > until) || together.len() >= TOGETHER_MAX {
            break;
        }
        // What cannot be read now is looked at when it is the first.
        let Ok(Some(file)) = backend.segment_file(info.id).await else { break };
        bytes = bytes.saturating_add(file.len());
        if bytes > TOGETHER_BYTES_MAX {
            break;
        }
        last = info.last_sequence;
        together.push(Sealed { info: info.clone(), file });
    }
    together
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_ends_when_the_rest_of_it_is_dropped_and_not_when_it_is_in_no_segment_yet() {
        let dropped = |next: Option<u64>, oldest| is_dropped(Sequence(10), next.map(Sequence), Sequence(oldest));
        assert!(dropped(Some(11), 11) && dropped(None, 11));
        assert!(!dropped(Some(10), 5) && !dropped(Some(3), 3) && !dropped(None, 10) && !dropped(None, 1));
    }
}
