//! [`Trail`]: one trail: its definition, what is kept of it, and its workers while it is enabled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use trail_engine::event::DimensionSchema;
use trail_engine::id::Sequence;

use crate::backend::Backend;
use crate::metrics::Metrics;
use crate::trails::definition::{Definition, SinkDefinition};
use crate::trails::kept::{Backfill, Progress};
use crate::trails::keyring::Keyring;
use crate::trails::ledger::{Ledger, Slot};
use crate::trails::live::Live;
use crate::trails::sink::kind::Order;
use crate::trails::sink::seam::{Feed, Sink};
use crate::trails::source::Source;
use crate::trails::tally::Counted;
use crate::trails::worker::Worker;

/// What all trails share.
#[derive(Debug)]
pub struct Surroundings {
    /// The log.
    pub backend: Backend,
    /// The log as trails read it.
    pub source: Source,
    /// Its identity.
    pub identity: String,
    /// What is indexed of events.
    pub schema: DimensionSchema,
    /// The keys that sign digests.
    pub keyring: Keyring,
    /// The counters.
    pub metrics: Metrics,
    /// The number of the next worker.
    pub workers: AtomicU64,
}

/// The workers of one trail, or of one of its backfills.
#[derive(Debug)]
struct Crew {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
    live: Vec<Arc<Live>>,
    backfill: Option<u64>,
}

/// One trail.
#[derive(Debug)]
pub struct Trail {
    /// As its author wrote it.
    pub definition: Definition,
    /// What is kept of it.
    pub ledger: Arc<Ledger>,
    around: Arc<Surroundings>,
    crews: Mutex<Vec<Crew>>,
}

impl Trail {
    /// A trail at rest.
    #[must_use]
    pub fn new(definition: Definition, ledger: Ledger, around: Arc<Surroundings>) -> Trail {
        Trail { definition, ledger: Arc::new(ledger), around, crews: Mutex::new(Vec::new()) }
    }

    /// Makes the sinks and lets them go again: whether the definition can be taken.
    ///
    /// # Errors
    /// A sentence, when a sink cannot be made.
    pub async fn check(&self) -> Result<(), String> {
        let kept = self.ledger.kept().await;
        let fresh = Progress::default();
        for (i, definition) in self.definition.sinks.iter().enumerate() {
            self.sink(i, definition, kept.sinks.get(i).unwrap_or(&fresh), "")?;
        }
        Ok(())
    }

    /// Makes the sinks, and begins to deliver to each where it got to.
    ///
    /// # Errors
    /// A sentence, when a sink cannot be made.
    pub async fn begin(&self) -> Result<(), String> {
        let kept = self.ledger.kept().await;
        let purpose = format!("{}\n{}", self.definition.filter, self.definition.kept()["start"]);
        self.crew(None, &kept.sinks, None, &purpose).await
    }

    /// Begins or goes on with a past range.
    ///
    /// # Errors
    /// As [`Trail::begin`].
    pub async fn begin_backfill(&self, job: &Backfill) -> Result<(), String> {
        let purpose = format!("{}\n{} to {}", self.definition.filter, job.first, job.last);
        self.crew(Some(job.id), &job.sinks, Some(Sequence(job.last)), &purpose).await
    }

    async fn crew(&self, backfill: Option<u64>, progress: &[Progress], until: Option<Sequence>, purpose: &str) -> Result<(), String> {
        let mut crews = self.crews.lock().await;
        if crews.iter().any(|crew| crew.backfill == backfill) {
            return Ok(());
        }
        let (stop, stopping) = watch::channel(false);
        let mut crew = Crew { stop, workers: JoinSet::new(), live: Vec::new(), backfill };
        let mut made = Vec::new();
        for (i, (definition, progress)) in self.definition.sinks.iter().zip(progress).enumerate() {
            made.push((i, definition, self.sink(i, definition, progress, purpose)?, progress));
        }
        for (i, definition, sink, progress) in made {
            let live = Arc::new(Live::default());
            live.reached(progress.after());
            crew.live.push(live.clone());
            let slot = Slot { backfill, sink: i };
            let label = self.label(backfill);
            let tally = Arc::new(Counted::new(&self.around.metrics, &label, &format!("{}-{i}", definition.kind.name)));
            let (kind, limits, stop) = (definition.kind.name, definition.batch, stopping.clone());
            let filter = self.definition.filter.as_str().into();
            let worker = Worker { ledger: self.ledger.clone(), slot, label, kind, sink, limits, live, tally, stop, filter };
            crew.workers.spawn(self.work(worker, until));
        }
        crews.push(crew);
        Ok(())
    }

    /// What batches are called: a name that no trail can have for a backfill.
    fn label(&self, backfill: Option<u64>) -> Arc<str> {
        backfill.map_or_else(|| self.ledger.name().clone(), |id| format!("{}.backfill-{id}", self.definition.name).into())
    }

    fn sink(&self, index: usize, definition: &SinkDefinition, progress: &Progress, purpose: &str) -> Result<Box<dyn Sink>, String> {
        let members = definition.members()?;
        let hands = self.around.backend.hands();
        let around = &self.around;
        let (schema, keyring, log) = (&around.schema, &around.keyring, around.identity.as_str());
        let (state, begun) = (progress.sink.as_ref(), progress.pending.as_ref().map(|pending| pending.number));
        let order = Order { trail: &self.definition.name, log, purpose, members, state, begun, schema, keyring, hands };
        (definition.kind.make)(&order).map_err(|problem| format!("sink {index} ({}): {problem}", definition.kind.name))
    }

    fn work(&self, worker: Worker, until: Option<Sequence>) -> impl Future<Output = ()> + Send + 'static {
        let around = self.around.clone();
        async move {
            let published = around.backend.published();
            match worker.sink.feed() {
                Feed::Segments => worker.run_segments(around.backend.clone(), published, until).await,
                Feed::Events => {
                    let reader = |filter: &str| around.source.reader(around.workers.fetch_add(1, Ordering::Relaxed), filter.into());
                    worker.run(reader, published, until).await;
                }
            }
        }
    }

    /// Stops all workers, those of backfills too, where they are.
    pub async fn end(&self) {
        for mut crew in self.crews.lock().await.drain(..) {
            crew.stop.send_replace(true);
            while crew.workers.join_next().await.is_some() {}
        }
    }

    /// Stops the workers of a backfill.
    pub async fn end_backfill(&self, id: u64) {
        let mut crews = self.crews.lock().await;
        if let Some(at) = crews.iter().position(|crew| crew.backfill == Some(id)) {
            let mut crew = crews.swap_remove(at);
            crew.stop.send_replace(true);
            while crew.workers.join_next().await.is_some() {}
        }
    }

    /// What is known of the sinks while they work, or `None` when nobody works.
    pub async fn live(&self) -> Option<Vec<Arc<Live>>> {
        self.crews.lock().await.iter().find(|crew| crew.backfill.is_none()).map(|crew| crew.live.clone())
    }

    /// Tries every sink: writes something and reads it back.
    pub async fn test(&self) -> Vec<Result<(), String>> {
        let kept = self.ledger.kept().await;
        let mut results = Vec::new();
        for (i, (definition, progress)) in self.definition.sinks.iter().zip(&kept.sinks).enumerate() {
            results.push(match self.sink(i, definition, progress, "") {
                Ok(sink) => sink.probe().await.map_err(|fault| fault.message),
                Err(problem) => Err(problem),
            });
        }
        results
    }
}
