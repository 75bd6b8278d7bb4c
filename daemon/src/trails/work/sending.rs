//! Sending one batch: whole, in halves where it is too large or refused, until every event is taken or known to be refused.
//!
//! Problem: many sinks answer for a request and not for its events. One bad event must not take its batch to the dead letters; and a sink that refuses
//! whatever it gets (a wrong address, a form that it does not know) must not drain the log there. Mechanism: what is refused is halved, in order, until single
//! events are; those are suspects. As soon as anything of the batch is taken, the sink takes events, and the suspects are bad. When `SUSPECTS_MAX` are suspects and
//! nothing was taken, some events from the rest are tried alone; when they are refused too, it is the sink: nothing is given up, the status
//! says so, and the whole batch is sent again, as after any fault. A batch that is so small that there is no rest is given up, as long as not more than
//! `SUSPECTS_MAX` events were since the sink last took one. Limits: where the first events of a batch are bad, up to `SAMPLES` of its later ones may arrive
//! before its others; n bad events of a batch of m cost up to 2 n log2 m requests; who sends more than that many bad events in a row and nothing else stops the trail.

use std::ops::Range;
use std::sync::atomic::Ordering;

use tokio::time::sleep;
use trail_engine::clock::{Clock as _, SystemClock};

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::seam::{Delivered, Refusal};
use crate::trails::work::backoff::Backoff;
use crate::trails::work::worker::{Going, Worker};

/// So many events that are refused one by one, while nothing is taken, are the sink's fault and not theirs.
pub(in crate::trails) const SUSPECTS_MAX: usize = 8;
/// How many events of the rest are tried before that is said.
const SAMPLES: usize = 3;

/// How far the sending of a batch is.
#[derive(Debug, Default)]
struct Sending {
    /// Parts that are still to be sent, the earliest last.
    waiting: Vec<Range<usize>>,
    sum: Delivered,
    /// Events that were refused alone.
    suspects: Vec<Refusal>,
    /// Whether anything was taken.
    taken: bool,
}

impl Sending {
    fn arrived(&mut self, part: &Range<usize>, delivered: Delivered) {
        let refused = delivered.refused.into_iter().map(|refusal| Refusal { index: refusal.index + part.start, ..refusal });
        if part.len() == 1 {
            let before = self.suspects.len();
            self.suspects.extend(refused);
            self.taken |= self.suspects.len() == before;
        } else {
            self.sum.refused.extend(refused);
            self.taken = true;
        }
        self.sum.objects += delivered.objects;
        self.sum.bytes += delivered.bytes;
        self.sum.state = delivered.state.or(self.sum.state.take());
    }

    fn refused(&mut self, part: &Range<usize>, fault: Fault) {
        if part.len() == 1 {
            self.suspects.push(Refusal { index: part.start, reason: fault.message });
        } else {
            let middle = part.start + part.len() / 2;
            self.waiting.extend([middle..part.end, part.start..middle]);
        }
    }

    /// Events of the rest to be tried alone: its last, and some between.
    fn samples(&self) -> Vec<usize> {
        let rest: Vec<usize> = self.waiting.iter().rev().flat_map(Clone::clone).collect();
        let mut samples: Vec<usize> = (0..SAMPLES).filter_map(|i| rest.get(rest.len().saturating_sub(1) >> i).copied()).collect();
        samples.dedup();
        samples
    }

    /// Takes an event out of what waits.
    fn take_out(&mut self, index: usize) {
        let Some(at) = self.waiting.iter().position(|part| part.contains(&index)) else { return };
        let Some(part) = self.waiting.get(at).cloned() else { return };
        let pieces = [index + 1..part.end, part.start..index];
        self.waiting.splice(at..=at, pieces.into_iter().filter(|piece| !piece.is_empty()));
    }

    fn into_delivered(self) -> Delivered {
        let mut sum = self.sum;
        sum.refused.extend(self.suspects);
        sum.refused.sort_by_key(|refusal| refusal.index);
        sum
    }
}

impl Worker {
    /// Sends a batch, again and again until the sink takes something of it or is believed that it never will.
    pub(in crate::trails) async fn send(&self, batch: &Batch) -> Going<Delivered> {
        let mut backoff = Backoff::default();
        loop {
            self.fresh().await?;
            let mut sending = Sending::default();
            sending.waiting.push(0..batch.events.len());
            if self.parts(batch, &mut sending).await? {
                return Ok(sending.into_delivered());
            }
            let (tried, reason) = (sending.suspects.len(), sending.suspects.first().map_or("", |first| first.reason.as_str()));
            let fault = Fault::setup(format!(
                "{tried} events were refused one by one and none was taken, so nothing more goes to the dead letters until the sink takes something: \
                 mend the sink, or leave out with the filter what it never takes: {reason}"
            ));
            let wait = backoff.next(None);
            tracing::error!(trail = %self.label, sink = self.kind, wait_ms = wait.as_millis(), "{fault}");
            self.live.failed(&fault, SystemClock::new().now(), backoff.failures(), wait);
            sleep(wait).await;
        }
    }

    /// Sends all parts; false when it is the sink that refuses, and not events that are bad.
    async fn parts(&self, batch: &Batch, sending: &mut Sending) -> Going<bool> {
        while let Some(part) = sending.waiting.pop() {
            self.offer(batch, part, sending).await?;
            if !sending.taken && sending.suspects.len() >= SUSPECTS_MAX && !sending.waiting.is_empty() {
                self.sample(batch, sending).await?;
                if !sending.taken {
                    return Ok(false);
                }
            }
        }
        if sending.taken {
            self.strikes.store(0, Ordering::Relaxed);
            return Ok(true);
        }
        let strikes = self.strikes.load(Ordering::Relaxed) + sending.suspects.len();
        let believed = strikes <= SUSPECTS_MAX;
        if believed {
            self.strikes.store(strikes, Ordering::Relaxed);
        }
        Ok(believed)
    }

    /// Tries events of the rest alone, until one is taken.
    async fn sample(&self, batch: &Batch, sending: &mut Sending) -> Going<()> {
        for index in sending.samples() {
            sending.take_out(index);
            self.offer(batch, index..index + 1, sending).await?;
            if sending.taken {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn offer(&self, batch: &Batch, part: Range<usize>, sending: &mut Sending) -> Going<()> {
        let Some(events) = batch.part(part.clone()) else { return Ok(()) };
        match self.attempts(events.bytes, || self.sink.deliver(&events)).await? {
            Ok(delivered) => sending.arrived(&part, delivered),
            Err(fault) => sending.refused(&part, fault),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_out_of_what_waits() {
        let mut sending = Sending { waiting: vec![20..40, 10..20, 8..9], ..Sending::default() };
        assert_eq!(sending.samples(), [39, 24, 16]);
        for index in [39, 24, 8, 10] {
            sending.take_out(index);
        }
        assert_eq!(sending.waiting, [25..39, 20..24, 11..20]);
        sending.waiting.clear();
        sending.waiting.push(7..8);
        assert_eq!(sending.samples(), [7]);
    }
}
