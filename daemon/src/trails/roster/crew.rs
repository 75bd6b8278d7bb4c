//! [`Crew`]: the workers of one trail, or of one of its backfills.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;
use trail_engine::id::Sequence;

use crate::trails::definition::Definition;
use crate::trails::keeping::kept::Progress;
use crate::trails::keeping::ledger::{Ledger, Slot};
use crate::trails::roster::surroundings::Surroundings;
use crate::trails::sink::seam::{Feed, Sink};
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
    /// The job, or the trail itself.
    pub(super) backfill: Option<u64>,
    /// Where the range ends, for one that does.
    pub(super) until: Option<Sequence>,
}

impl Post<'_> {
    /// A worker for each sink, from where it got to.
    pub(super) fn crew(&self, sinks: Vec<Box<dyn Sink>>, progress: &[Progress]) -> Crew {
        let (stop, stopping) = watch::channel(false);
        let mut crew = Crew { backfill: self.backfill, live: Vec::new(), stop, workers: JoinSet::new() };
        for (i, ((definition, sink), progress)) in self.definition.sinks.iter().zip(sinks).zip(progress).enumerate() {
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
            };
            crew.workers.spawn(self.work(worker));
        }
        crew
    }

    /// What batches are called: a name that no trail can have for a backfill.
    fn label(&self) -> Arc<str> {
        self.backfill.map_or_else(|| self.ledger.name().clone(), |id| format!("{}.backfill-{id}", self.definition.name).into())
    }

    fn work(&self, worker: Worker) -> impl Future<Output = ()> + Send + 'static {
        let (around, until) = (self.around.clone(), self.until);
        async move {
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
    }
}

impl Crew {
    /// Stops all workers where they are.
    pub(super) async fn end(mut self) {
        self.stop.send_replace(true);
        while self.workers.join_next().await.is_some() {}
    }
}
