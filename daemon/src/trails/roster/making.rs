//! [`Maker`]: makes the sinks of a trail, on a thread for files, because they read keys and certificates from files that may be mounted and hang.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::trails::definition::Definition;
use crate::trails::keeping::kept::Progress;
use crate::trails::roster::surroundings::Surroundings;
use crate::trails::setting::watched::Watched;
use crate::trails::sink::discreet::{Discreet, Unsaid};
use crate::trails::sink::kind::Order;
use crate::trails::sink::seam::Sink;

/// How long the making of sinks may take: they read small files only.
const MAKING_MAX: Duration = Duration::from_secs(10);

/// A sink, and the files that it was made of.
pub(super) type Made = (Box<dyn Sink>, Watched);

/// Makes the sinks of a trail.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    around: Arc<Surroundings>,
    definition: Arc<Definition>,
    /// One making at a time: of files that hang no more than one thread is taken.
    turn: Arc<Semaphore>,
}

impl Maker {
    /// Makes what a definition says.
    pub(super) fn new(around: Arc<Surroundings>, definition: Definition) -> Maker {
        Maker { around, definition: Arc::new(definition), turn: Arc::new(Semaphore::new(1)) }
    }

    /// All sinks, for where each got to.
    pub(super) async fn all(&self, progress: &[Progress], purpose: &str) -> Vec<Result<Made, String>> {
        let mut progress = progress.to_vec();
        progress.resize_with(self.definition.sinks.len(), Progress::default);
        let purpose = purpose.to_owned();
        let make = move |maker: &Maker| progress.iter().enumerate().map(|(i, progress)| maker.made(i, progress, &purpose)).collect();
        self.on_a_thread(make).await.unwrap_or_else(|problem| vec![Err(problem)])
    }

    /// One of them again.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn one(&self, index: usize, progress: Progress, purpose: &str) -> Result<Made, String> {
        let purpose = purpose.to_owned();
        self.on_a_thread(move |maker| maker.made(index, &progress, &purpose)).await?
    }

    async fn on_a_thread<T: Send + 'static>(&self, make: impl FnOnce(&Maker) -> T + Send + 'static) -> Result<T, String> {
        let Ok(turn) = timeout(MAKING_MAX, self.turn.clone().acquire_owned()).await else {
            return Err("the files that its sinks name, such as keys and certificates, still do not answer".to_owned());
        };
        let maker = self.clone();
        let make = move || {
            let _turn = turn;
            Ok(make(&maker))
        };
        match timeout(MAKING_MAX, self.around.backend.hands().folders.run(make)).await {
            Ok(made) => made.map_err(|error| format!("the sinks cannot be made now: {error}")),
            Err(_) => Err("the files that its sinks name, such as keys and certificates, do not answer".to_owned()),
        }
    }

    fn made(&self, index: usize, progress: &Progress, purpose: &str) -> Result<Made, String> {
        let Maker { around, definition, .. } = self;
        let sink = definition.sinks.get(index).ok_or("there is no such sink")?;
        let members = sink.members()?;
        let hands = around.backend.hands();
        // Before they are read for the sink: what changes between is seen as a change.
        let watched = Watched::of(&sink.members, hands);
        let (schema, keyring, log) = (&around.schema, &around.keyring, around.identity.as_str());
        let (state, begun) = (progress.sink.as_ref(), progress.pending.as_ref().map(|pending| pending.number));
        let order = Order { trail: &definition.name, log, purpose, members, state, begun, schema, keyring, hands };
        let unsaid = Unsaid::of(&members, sink.kind.members);
        match (sink.kind.make)(&order) {
            Ok(made) => Ok((Box::new(Discreet::new(made, unsaid)), watched)),
            Err(problem) => Err(format!("sink {index} ({}): {}", sink.kind.name, unsaid.hide(&problem))),
        }
    }
}
