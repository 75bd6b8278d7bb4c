//! [`Trail`]: one trail: its definition, what is kept of it, and its workers while it is enabled.
//!
//! While its sinks are made nothing is locked but the trail's own turn. A trail that is to deliver and cannot begin is tried again for as long as it takes, and says so.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::error::Error;
use trail_engine::id::Sequence;

use crate::trails::definition::{Definition, Start};
use crate::trails::keeping::kept::{Backfill, Progress};
use crate::trails::keeping::ledger::Ledger;
use crate::trails::roster::crew::{Crew, Post};
use crate::trails::roster::making::Maker;
use crate::trails::roster::surroundings::Surroundings;
use crate::trails::sink::fault::Fault;
use crate::trails::work::backoff::Backoff;
use crate::trails::work::live::Live;

/// Held by whoever changes, starts, stops or removes a trail; the same over all its definitions.
pub type Turn = Arc<Mutex<()>>;

/// One trail.
#[derive(Debug)]
pub struct Trail {
    /// As its author wrote it.
    pub definition: Definition,
    /// What is kept of it.
    pub ledger: Arc<Ledger>,
    /// Who may change it.
    pub turn: Turn,
    /// Why it does not begin, while that is tried again.
    pub beginning: Arc<Live>,
    around: Arc<Surroundings>,
    crews: Mutex<Vec<Crew>>,
    retries: Mutex<JoinSet<()>>,
    maker: Maker,
}

impl Trail {
    /// A trail at rest.
    #[must_use]
    pub fn new(definition: Definition, ledger: Ledger, around: Arc<Surroundings>, turn: Turn) -> Trail {
        Trail {
            maker: Maker::new(around.clone(), definition.clone()),
            definition,
            ledger: Arc::new(ledger),
            turn,
            beginning: Arc::default(),
            around,
            crews: Mutex::default(),
            retries: Mutex::default(),
        }
    }

    /// Makes the sinks and lets them go again: whether the definition can be taken.
    ///
    /// # Errors
    /// A sentence, when a sink cannot be made.
    pub async fn check(&self) -> Result<(), String> {
        let kept = self.ledger.kept().await;
        self.maker.all(&kept.sinks, "").await.into_iter().try_for_each(|sink| sink.map(drop))
    }

    /// Makes the sinks, and begins to deliver to each where it got to; goes on with past ranges that are not over. What works already goes on.
    ///
    /// # Errors
    /// `Invalid` when a sink cannot be made; what keeping the first position gives.
    pub async fn begin(&self) -> Result<(), Error> {
        let mut kept = self.ledger.kept().await;
        if kept.sinks.iter().any(|sink| sink.position.is_none()) {
            let first = self.first_position().await?;
            let placed = self.ledger.change(|kept| {
                for sink in &mut kept.sinks {
                    sink.position.get_or_insert(first.0);
                }
                Ok(kept.clone())
            });
            kept = placed.await?;
        }
        let purpose = format!("{}\n{}", self.definition.filter, self.definition.kept()["start"]);
        self.crew(None, &kept.sinks, None, &purpose).await.map_err(Error::invalid)?;
        for job in kept.backfills.iter().filter(|job| !job.cancelled && !job.is_done()) {
            self.begin_backfill(job).await.map_err(Error::invalid)?;
        }
        Ok(())
    }

    async fn begin_backfill(&self, job: &Backfill) -> Result<(), String> {
        let purpose = format!("{}\n{} to {}", self.definition.filter, job.first, job.last);
        self.crew(Some(job.id), &job.sinks, Some(Sequence(job.last)), &purpose).await
    }

    /// Begins now, or as soon as that is possible: see [`Trail::begin`]. What hinders it is said in the status meanwhile.
    pub async fn begin_in_time(self: &Arc<Self>) {
        let mut backoff = Backoff::default();
        let Err(error) = self.begin().await else { return };
        let mut wait = self.hindered(&error, &mut backoff);
        let weak = Arc::downgrade(self);
        self.retries.lock().await.spawn(async move {
            loop {
                sleep(wait).await;
                let Some(trail) = weak.upgrade() else { return };
                let _turn = trail.turn.clone().lock_owned().await;
                match trail.begin().await {
                    Ok(()) => return trail.beginning.went_well(),
                    Err(error) => wait = trail.hindered(&error, &mut backoff),
                }
            }
        });
    }

    /// Says why it does not begin, and how long to wait.
    fn hindered(&self, error: &Error, backoff: &mut Backoff) -> Duration {
        let wait = backoff.next(None);
        tracing::error!(trail = self.definition.name, wait_ms = wait.as_millis(), "a trail cannot begin, which is tried again: {error}");
        let fault = Fault::setup(format!("the trail cannot begin: {}", error.message()));
        self.beginning.failed(&fault, SystemClock::new().now(), backoff.failures(), wait);
        wait
    }

    /// The sequence behind which it begins for the first time.
    async fn first_position(&self) -> Result<Sequence, Error> {
        let backend = &self.around.backend;
        let before = |sequence: Sequence| Sequence(sequence.0.saturating_sub(1));
        let oldest = before(backend.oldest_sequence());
        Ok(match self.definition.start {
            Start::Now => backend.last_sequence(),
            Start::Oldest => oldest,
            Start::Sequence(sequence) => before(sequence).max(oldest),
            Start::Time(time) => before(backend.first_received(time).await?).max(oldest),
        })
    }

    async fn crew(&self, backfill: Option<u64>, progress: &[Progress], until: Option<Sequence>, purpose: &str) -> Result<(), String> {
        if self.crews.lock().await.iter().any(|crew| crew.backfill == backfill) {
            return Ok(());
        }
        let sinks = self.maker.all(progress, purpose).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (definition, ledger, around, maker) = (&self.definition, &self.ledger, &self.around, &self.maker);
        let post = Post { definition, ledger, around, maker, purpose, backfill, until };
        self.crews.lock().await.push(post.crew(sinks, progress));
        Ok(())
    }

    /// Stops all workers, those of backfills too, where they are, and attempts to begin.
    pub async fn end(&self) {
        self.retries.lock().await.shutdown().await;
        self.beginning.went_well();
        for crew in self.crews.lock().await.drain(..) {
            crew.end().await;
        }
    }

    /// Stops the workers of a backfill.
    pub async fn end_backfill(&self, id: u64) {
        let mut crews = self.crews.lock().await;
        if let Some(at) = crews.iter().position(|crew| crew.backfill == Some(id)) {
            crews.swap_remove(at).end().await;
        }
    }

    /// What is known of the sinks while they work, for the trail itself or one of its backfills; `None` when nobody works.
    pub async fn live(&self, backfill: Option<u64>) -> Option<Vec<Arc<Live>>> {
        self.crews.lock().await.iter().find(|crew| crew.backfill == backfill).map(|crew| crew.live.clone())
    }

    /// Tries every sink.
    pub async fn test(&self) -> Vec<Result<(), String>> {
        let kept = self.ledger.kept().await;
        let mut results = Vec::new();
        for sink in self.maker.all(&kept.sinks, "").await {
            results.push(match sink {
                Ok((sink, _)) => sink.probe().await.map_err(|fault| fault.message),
                Err(problem) => Err(problem),
            });
        }
        results
    }
}
