//! [`Source`]: batches of events that occur once; [`Book`]: a client that sends them and keeps the ledger.

use std::io;

use crate::client::{Answer, Client, NDJSON};
use crate::fixtures::ALWAYS;
use crate::ledger::{Batch, Ledger};
use crate::seed::Random;
use crate::server::Server;
use crate::wrong::Wrong;

/// Makes batches, each event with an id and bytes of its own.
#[derive(Debug, Clone)]
pub struct Source {
    client: String,
    number: u64,
    random: Random,
    /// The most events of a batch.
    pub events_max: u64,
    /// The most filler of an event, in units of 16 bytes.
    pub filler_max: u64,
}

impl Source {
    /// Batches of 1 to 40 events of up to 700 bytes.
    #[must_use]
    pub fn new(client: impl ToString, random: Random) -> Source {
        Source { client: client.to_string(), number: 0, random, events_max: 40, filler_max: 30 }
    }

    /// The next batch.
    pub fn batch(&mut self) -> Batch {
        let mut batch = Batch::new(Vec::new(), Vec::new());
        for _ in 0..1 + self.random.below(self.events_max) {
            let (id, event) = self.event();
            batch.ids.push(id);
            batch.events.push(event.into_bytes());
        }
        batch
    }

    fn event(&mut self) -> (String, String) {
        self.number += 1;
        let random = &mut self.random;
        let id = format!("{}-{}-{:x}", self.client, self.number, random.number());
        let filler: String = (0..random.below(self.filler_max)).map(|_| format!("{:016x}", random.number())).collect();
        let (minute, verb, user) = (random.below(60), random.below(20), random.below(50));
        let event = format!(
            r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"2026-11-20T10:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"Put{verb}","userIdentity":{{"type":"IAMUser","userName":"user-{user}"}},"requestParameters":{{"filler":"{filler}"}}}}"#
        );
        (id, event)
    }
}

/// What became of a batch.
#[derive(Debug)]
pub enum Sent {
    /// It was acknowledged.
    Kept,
    /// It was answered with something else.
    Refused(Answer),
    /// The connection broke.
    Gone(io::Error),
}

/// Sends a batch.
///
/// # Panics
/// When it is acknowledged and not all of it is counted.
pub fn send(client: &mut Client, batch: &Batch) -> Sent {
    match client.send("POST", "/v1/events", &[("content-type", NDJSON)], &batch.body()) {
        Ok(answer) if answer.status == 200 => {
            let json = answer.json();
            let count = |name: &str| json[name].as_u64().unwrap();
            let (accepted, all) = (count("accepted"), batch.ids.len() as u64);
            assert_eq!(accepted + count("duplicates"), all, "{json}");
            if accepted == all {
                assert_eq!(count("last_sequence") - count("first_sequence") + 1, all, "{json}");
                let _known = batch.first_sequence.set(count("first_sequence"));
            }
            Sent::Kept
        }
        Ok(answer) => Sent::Refused(answer),
        Err(error) => Sent::Gone(error),
    }
}

/// A source, the batch that is still without a yes, and the ledger.
#[derive(Debug, Clone)]
pub struct Book {
    /// What was promised.
    pub ledger: Ledger,
    /// Where batches come from.
    pub source: Source,
    open: Option<Batch>,
}

impl Book {
    /// An empty ledger.
    #[must_use]
    pub fn new(source: Source) -> Book {
        Book { ledger: Ledger::default(), source, open: None }
    }

    /// Sends the batch that is open, else the next.
    ///
    /// # Panics
    /// See [`send`].
    pub fn send(&mut self, client: &mut Client) -> Sent {
        let batch = self.open.take().unwrap_or_else(|| self.source.batch());
        let sent = send(client, &batch);
        if let Sent::Kept = sent {
            self.ledger.promised(batch);
        } else {
            self.ledger.unknown(&batch);
            self.open = Some(batch);
        }
        sent
    }

    /// Holds all that a server returns against the ledger.
    ///
    /// # Errors
    /// See [`Ledger::check`].
    pub fn check(&self, server: &Server) -> Result<(), Wrong> {
        self.ledger.check(&everything(server))
    }
}

/// All events that a server returns.
///
/// # Panics
/// When a page is not answered.
#[must_use]
pub fn everything(server: &Server) -> Vec<(u64, Vec<u8>)> {
    server.client().pages(&format!("{ALWAYS}&order=asc"), 10_000)
}
