//! [`ServerTarget`]: batches over HTTP, sent again until the server took them.
//!
//! Sending again is safe: a server knows an event by its id and bytes and stores it once. (An event without an id may be stored
//! twice, when a connection breaks between storing and answering.) What is too much or not usable at once is sent in halves,
//! down to the one event that is to blame.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;

use super::batch::Batch;
use super::pipeline::Target;
use super::report::{Rejected, Stored};
use crate::cli::asking::client::{Answer, Client, refusal};
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::interrupt::{interrupted, pause};
use crate::cli::terminal::progress::Progress;

/// The first wait; each further one is twice as long, up to the longest.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// How long one batch is tried again while the server is busy or away.
const PATIENCE: Duration = Duration::from_secs(300);

/// zstd level for servers that are not on this machine: the network is slower than the compressor.
const ZSTD_LEVEL: i32 = 1;

/// A server as the place where events go.
#[derive(Debug)]
pub struct ServerTarget {
    client: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReceiptBody {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<RejectedBody>,
    rejected_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct RejectedBody {
    index: usize,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl ServerTarget {
    /// Asks the server whether it is there and takes events, so that nothing is read in vain.
    ///
    /// # Errors
    /// `Unreachable`, or `Refused` when the key does not do.
    pub fn new(client: Client) -> Result<ServerTarget, Failure> {
        let health = client.get_bytes("/healthz", &[]);
        health.map(|_| ServerTarget { client })
    }

    /// Sends events until an answer comes that is none of "wait".
    fn send(&self, body: &[u8], content_type: &str, encoding: Option<&str>, progress: &Progress) -> Result<Answer, Failure> {
        let (mut wait, mut waited) = (WAIT_FIRST, Duration::ZERO);
        loop {
            let result = self.client.post_events(body, content_type, encoding);
            let (failure, asked) = match result {
                Ok(answer) if !matches!(answer.status, 429 | 503) => return Ok(answer),
                Ok(answer) => (refusal(answer.status, &answer.body, None), answer.retry_after),
                Err(failure) if failure.exit == Exit::Unreachable => (failure, None),
                Err(failure) => return Err(failure),
            };
            if waited >= PATIENCE || interrupted() {
                return Err(failure);
            }
            progress.about(&format!("waiting: {}", failure.message));
            let time = asked.map_or(wait, Duration::from_secs).min(PATIENCE - waited).max(WAIT_FIRST);
            pause(time);
            waited += time;
            wait = (wait * 2).min(WAIT_MAX);
            progress.about("");
        }
    }

    fn store_some(&self, batch: &Batch, events: Range<usize>, progress: &Progress) -> Result<Stored, Failure> {
        let (plain, content_type) = batch.body(events.clone());
        let packed = if self.client.is_loopback() { None } else { zstd::bulk::compress(&plain, ZSTD_LEVEL).ok() };
        let encoding = packed.as_ref().map(|_| "zstd");
        let answer = self.send(packed.as_deref().unwrap_or(&plain), content_type, encoding, progress)?;
        let receipt = serde_json::from_slice::<ReceiptBody>(&answer.body).ok();
        let blame = matches!(answer.status, 400 | 413 | 422);
        match receipt {
            Some(receipt) if answer.status == 200 => stored(receipt, &events),
            // Nothing was usable, and for every event the server says why.
            Some(receipt) if blame && receipt.rejected.len() == events.len() => stored(receipt, &events),
            _ if blame && events.len() > 1 => {
                let middle = events.start + events.len() / 2;
                let mut stored = self.store_some(batch, events.start..middle, progress)?;
                stored.add(self.store_some(batch, middle..events.end, progress)?);
                Ok(stored)
            }
            _ if blame => {
                let message = refusal(answer.status, &answer.body, None).message;
                let code = if answer.status == 413 { "too_large" } else { "invalid_json" };
                let rejected = vec![Rejected { index: events.start, code: code.into(), message }];
                Ok(Stored { rejected, ..Stored::default() })
            }
            _ => Err(refusal(answer.status, &answer.body, None)),
        }
    }
}

fn stored(receipt: ReceiptBody, events: &Range<usize>) -> Result<Stored, Failure> {
    let named = receipt.rejected.len() as u64;
    let unnamed = receipt.rejected_count.unwrap_or(named).saturating_sub(named);
    if receipt.accepted + receipt.duplicates + named + unnamed != events.len() as u64 {
        return Err(Failure::new(Exit::Refused, "the server's receipt does not add up to the events that were sent"));
    }
    let rejected = receipt.rejected.into_iter().map(|r| Rejected { index: events.start + r.index, code: r.code, message: r.message });
    Ok(Stored { accepted: receipt.accepted, duplicates: receipt.duplicates, rejected: rejected.collect(), unnamed })
}

impl Target for ServerTarget {
    fn store(&self, batch: &Batch, progress: &Progress) -> Result<Stored, Failure> {
        self.store_some(batch, 0..batch.len(), progress)
    }

    fn finish(&self, _progress: &Progress) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
