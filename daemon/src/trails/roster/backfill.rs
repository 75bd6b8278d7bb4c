//! Backfills: a past range delivered again, or for the first time, beside what the trail delivers anyway.
//!
//! A job covers the sequences that were received in a range of times, found when it is made. It has workers and positions of its own, and its
//! objects stand under a name of their own (`TRAIL.backfill-N`), so that it never meets the numbers of the trail. It can be
//! cancelled, goes on where it was when it is resumed, and after a restart by itself.

use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::id::Timestamp;

use crate::trails::keeping::kept::{Backfill, Progress, State};
use crate::trails::roster::all::Trails;
use crate::trails::roster::trail::Trail;

/// The most jobs that are kept of one trail; the oldest that is over makes room.
const JOBS_MAX: usize = 32;

impl Trails {
    /// Begins to deliver what was received from a time until before another.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for the range, or when the trail is not enabled; `Limit` when too many jobs are not over.
    pub async fn backfill(&self, name: &str, from: Timestamp, to: Timestamp) -> Result<Backfill> {
        if from >= to {
            return Err(Error::invalid("`from` must be before `to`"));
        }
        let backend = self.backend();
        let first = backend.first_received(from).await?.max(backend.oldest_sequence());
        let behind = backend.first_received(to).await?;
        if behind <= first {
            return Err(Error::invalid("nothing that is retained was received in this range"));
        }
        let (first, last) = (first.0, behind.0.saturating_sub(1));
        let (trail, _turn) = self.turn(name).await?;
        let job = trail.ledger.change(|kept| {
            if kept.state != State::Enabled {
                return Err(Error::invalid("the trail is not enabled: start it first"));
            }
            if kept.backfills.len() >= JOBS_MAX {
                let over = kept.backfills.iter().position(|job| job.is_done() || job.cancelled);
                let over = over.ok_or_else(|| Error::new(ErrorKind::Limit, format!("{JOBS_MAX} backfills are not over yet")))?;
                kept.backfills.remove(over);
            }
            let id = kept.backfills.iter().map(|job| job.id).max().unwrap_or(0).max(kept.backfills_made).saturating_add(1);
            kept.backfills_made = id;
            let sink = Progress { position: Some(first.saturating_sub(1)), ..Progress::default() };
            let sinks = vec![sink; kept.sinks.len()];
            let job = Backfill { id, from_ms: from.as_millis(), to_ms: to.as_millis(), first, last, cancelled: false, sinks };
            kept.backfills.push(job.clone());
            Ok(job)
        });
        let job = job.await?;
        trail.begin_in_time().await;
        Ok(job)
    }

    /// Stops a job where it is.
    ///
    /// # Errors
    /// `NotFound`, what keeping it gives.
    pub async fn cancel_backfill(&self, name: &str, id: u64) -> Result<Backfill> {
        let (trail, _turn) = self.turn(name).await?;
        let job = mark(&trail, id, true).await?;
        trail.end_backfill(id).await;
        Ok(job)
    }

    /// Goes on with a job that was cancelled.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` when the trail is not enabled, what keeping it gives.
    pub async fn resume_backfill(&self, name: &str, id: u64) -> Result<Backfill> {
        let (trail, _turn) = self.turn(name).await?;
        if trail.ledger.kept().await.state != State::Enabled {
            return Err(Error::invalid("the trail is not enabled: start it first"));
        }
        let job = mark(&trail, id, false).await?;
        trail.end_backfill(id).await;
        trail.begin_in_time().await;
        Ok(job)
    }
}

async fn mark(trail: &Trail, id: u64, cancelled: bool) -> Result<Backfill> {
    let marked = trail.ledger.change(|kept| {
        let job = kept.backfills.iter_mut().find(|job| job.id == id);
        let job = job.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the trail has no backfill {id}")))?;
        job.cancelled = cancelled;
        Ok(job.clone())
    });
    marked.await
}
