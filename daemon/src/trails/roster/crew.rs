//! [`Crew`]: the workers of one trail, or of one of its backfills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;
use trail_engine::id::Sequence;

use crate::trails::definition::Definition;
use crate::trails::keeping::kept::Progress;
use crate::trails::keeping::ledger::{Ledger, Slot};
use crate::trails::roster::making::{Made, Maker};
use crate::trails::roster::surroundings::Surroundings;
use crate::trails::sink::seam::Feed;
use crate::trails::work::live::Live;
use crate::trails::work::tally::Counted;
use crate::trails::work::worker::Worker;

/// Workers that begin and end together.
#[derive(Debug)]
pub(super) struct Crew {
    /// The job, or the trail itself.
    pub(super) backfill: Option<u64>,
    /// What is known of each sink while it works.
    pub(super) live: Vec<Arc<Live>>,
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

/// What a crew is for.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) definition: &'a Definition,
    pub(super) ledger: &'a Arc<Ledger>,
    pub(super) around: &'a Arc<Surroundings>,
    pub(super) maker: &'a Maker,
    /// What is delivered, and from where.
    pub(super) purpose: &'a str,
    /// The job, or the trail itself.
    pub(super) backfill: Option<u64>,
    /// Where the range ends, for one that does.
    pub(super) until: Option<Sequence>,
}

impl Post<'_> {
    /// A worker for each sink, from where it got to.
    pub(super) fn crew(&self, sinks: Vec<Made>, progress: &[Progress]) -> Crew {
        let (stop, stopping) = watch::channel(false);
        let mut crew = Crew { backfill: self.backfill, live: Vec::new(), stop, workers: JoinSet::new() };
        for (i, ((definition, (sink, watched)), progress)) in self.definition.sinks.iter().zip(sinks).zip(progress).enumerate() {
            let live = Arc::new(Live::default());
            live.reached(progress.after());
            crew.live.push(live.clone());
            let label = self.label();
            let tally = Arc::new(Counted::new(&self.around.metrics, &label, &format!("{}-{i}", definition.kind.name)));
            let worker = Worker {
                ledger: self.ledger.clone(),
                slot: Slot { backfill: self.backfill, sink: i },
                label,
                kind: definition.kind.name,
                sink,
                limits: definition.batch,
                live,
                tally,
                stop: stopping.clone(),
                filter: self.definition.filter.as_str().into(),
                strikes: AtomicUsize::new(0),
                watched,
                stale: AtomicBool::new(false),
            };
            crew.workers.spawn(self.work(worker));
        }
        crew
    }

    /// What batches are called: a name that no trail can have for a backfill.
    fn label(&self) -> Arc<str> {
        self.backfill.map_or_else(|| self.ledger.name().clone(), |id| format!("{}.backfill-{id}", self.definition.name).into())
    }

    /// Works, with another sink whenever what one is made of has changed.
    fn work(&self, mut worker: Worker) -> impl Future<Output = ()> + Send + 'static {
        let (around, maker, purpose, until) = (self.around.clone(), self.maker.clone(), self.purpose.to_owned(), self.until);
        async move {
            loop {
                deliver(&worker, &around, until).await;
                if !worker.is_stale() {
                    return;
                }
                let Ok(progress) = worker.progress().await else { return };
                // Looked at before they are read: what changes between is seen as a change.
                let seen = worker.watched.clone().as_it_is().await;
                worker = match maker.one(worker.slot.sink, progress, &purpose).await {
                    Ok((sink, watched)) => {
                        tracing::info!(trail = %worker.label, sink = worker.kind, "a file with a key was changed: the sink is made of it");
                        worker.renewed(sink, watched)
                    }
                    Err(problem) => worker.kept_on(seen, &problem),
                };
            }
        }
    }
}

/// Delivers until there is no more, or the worker ends.
async fn deliver(worker: &Worker, around: &Surroundings, until: Option<Sequence>) {
    let published = around.backend.published();
    match worker.sink.feed() {
        Feed::Segments => worker.run_segments(around.backend.clone(), published, until).await,
        Feed::Events => {
            let reader = |filter: &str, after: Sequence| {
                let number = around.workers.fetch_add(1, Ordering::Relaxed);
                around.source.reader(number, filter.into(), after)
            };
            worker.run(reader, published, until).await;
        }
    }
}

impl Crew {
    /// Stops all workers where they are.
    pub(super) async fn end(mut self) {
        self.stop.send_replace(true);
        while self.workers.join_next().await.is_some() {}
    }
}
