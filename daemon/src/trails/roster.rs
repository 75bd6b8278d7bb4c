//! [`Trails`]: all trails of a server, and what can be done with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::event::DimensionSchema;
use trail_engine::id::Sequence;
use trail_engine::storage::FileStorage;

use crate::backend::Backend;
use crate::config::TrailEntry;
use crate::metrics::Metrics;
use crate::trails::definition::{Definition, Start};
use crate::trails::kept::{Kept, Progress, State};
use crate::trails::keyring::Keyring;
use crate::trails::ledger::Ledger;
use crate::trails::source::Source;
use crate::trails::store::Store;
use crate::trails::trail::{Surroundings, Trail};

/// The folder of the data directory in which trails are kept.
const FOLDER: &str = "trails";
/// The most trails.
const TRAILS_MAX: usize = 64;

/// All trails of a server.
#[derive(Debug)]
pub struct Trails {
    around: Arc<Surroundings>,
    store: Store,
    trails: Mutex<BTreeMap<String, Arc<Trail>>>,
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no trail `{name}`"))
}

fn invalid(problem: String) -> Error {
    Error::invalid(problem)
}

fn now_ms() -> i64 {
    SystemClock::new().now().as_millis()
}

impl Trails {
    /// Loads the trails of a data directory, and goes on with those that are enabled. `configured` are those of the configuration file:
    /// made and started where they are new, changed where they differ.
    ///
    /// # Errors
    /// When the trails cannot be read, or one of the configuration cannot be made.
    pub async fn open(
        backend: Backend,
        metrics: Metrics,
        directory: &Path,
        schema: DimensionSchema,
        configured: &[TrailEntry],
    ) -> Result<Trails> {
        let path = directory.join(FOLDER);
        let opened = backend.hands().compute.run(move || {
            let storage = FileStorage::open(&path)
                .map_err(|e| Error::io("cannot open the folder of trails", e).in_file(path.display().to_string()))?;
            let store = Store::new(Arc::new(storage));
            let loaded = store.load()?;
            let identity = store.identity()?;
            Ok((store, loaded, identity))
        });
        let (store, loaded, identity) = opened.await?;
        for problem in &loaded.problems {
            tracing::error!("{problem}");
        }
        let source = Source::new(backend.clone());
        let keyring = Keyring::new(store.clone());
        let around = Arc::new(Surroundings { backend, source, identity, schema, keyring, metrics, workers: AtomicU64::new(0) });
        let trails = Trails { around, store, trails: Mutex::new(BTreeMap::new()) };
        for (name, kept) in loaded.trails {
            trails.take_up(&name, kept).await;
        }
        for entry in configured {
            let wrong = |error: Error| Error::new(error.kind(), format!("{}: {}", entry.place, error.message())).because(error);
            trails.configure(&entry.definition).await.map_err(wrong)?;
        }
        Ok(trails)
    }

    /// Goes on with a trail that was kept. One that cannot be made any more is said, and stays at rest.
    async fn take_up(&self, name: &str, kept: Kept) {
        let definition = match Definition::read(&kept.definition, Some(name), &self.around.schema) {
            Ok(definition) => definition,
            Err(problem) => {
                tracing::error!(trail = name, "a trail cannot be taken up: {problem}");
                return;
            }
        };
        let trail = Arc::new(self.rest(definition, kept.clone()));
        if kept.state == State::Enabled {
            if let Err(problem) = trail.begin().await {
                tracing::error!(trail = name, "a trail cannot begin: {problem}");
            }
            for job in kept.backfills.iter().filter(|job| !job.cancelled && !job.is_done()) {
                if let Err(problem) = trail.begin_backfill(job).await {
                    tracing::error!(trail = name, job = job.id, "a backfill cannot begin: {problem}");
                }
            }
        }
        self.trails.lock().await.insert(name.to_owned(), trail);
    }

    fn rest(&self, definition: Definition, kept: Kept) -> Trail {
        let name: Arc<str> = definition.name.as_str().into();
        let ledger = Ledger::new(name, self.store.clone(), self.around.backend.hands().clone(), kept);
        Trail::new(definition, ledger, self.around.clone())
    }

    async fn configure(&self, value: &Value) -> Result<()> {
        let definition = Definition::read(value, None, &self.around.schema).map_err(invalid)?;
        let known = self.trails.lock().await.get(&definition.name).map(|trail| trail.definition.kept());
        match known {
            None => {
                self.create(value).await?;
                self.start(&definition.name).await
            }
            Some(known) if known == definition.kept() => Ok(()),
            Some(_) => self.replace(&definition.name, value).await.map(|_| ()),
        }
    }

    /// The log.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.around.backend
    }

    /// The keys that sign digests.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.around.keyring
    }

    /// The trail of this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn named(&self, name: &str) -> Result<Arc<Trail>> {
        self.trails.lock().await.get(name).cloned().ok_or_else(|| missing(name))
    }

    /// All trails, by name.
    pub async fn all(&self) -> Vec<Arc<Trail>> {
        self.trails.lock().await.values().cloned().collect()
    }

    /// Makes a trail, at rest.
    ///
    /// # Errors
    /// `Invalid` for the definition; `Locked` when there is one of that name; `Limit` when there are as many as there may be; what
    /// keeping it gives.
    pub async fn create(&self, value: &Value) -> Result<Arc<Trail>> {
        let definition = Definition::read(value, None, &self.around.schema).map_err(invalid)?;
        let mut trails = self.trails.lock().await;
        if trails.contains_key(&definition.name) {
            return Err(Error::new(ErrorKind::Locked, format!("there is a trail `{}` already; change it with PUT", definition.name)));
        }
        if trails.len() >= TRAILS_MAX {
            return Err(Error::new(ErrorKind::Limit, format!("there are {TRAILS_MAX} trails, as many as there may be")));
        }
        let kept = Kept::fresh(definition.kept(), definition.sinks.len(), now_ms());
        let name = definition.name.clone();
        let trail = Arc::new(self.rest(definition, kept));
        trail.check().await.map_err(invalid)?;
        trail.ledger.found().await?;
        trails.insert(name, trail.clone());
        Ok(trail)
    }

    /// Gives a trail another definition. Each sink goes on where the one at its place was, when it is of the same kind; another begins
    /// where the new definition says. A trail that delivers goes on delivering.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, what keeping it gives.
    pub async fn replace(&self, name: &str, value: &Value) -> Result<Arc<Trail>> {
        let definition = Definition::read(value, Some(name), &self.around.schema).map_err(invalid)?;
        let mut trails = self.trails.lock().await;
        let old = trails.get(name).cloned().ok_or_else(|| missing(name))?;
        let kinds: Vec<&str> = old.definition.sinks.iter().map(|sink| sink.kind.name).collect();
        let mut kept = old.ledger.kept().await;
        let new = self.rest(definition, kept.clone());
        new.check().await.map_err(invalid)?;
        old.end().await;
        kept = old.ledger.kept().await;
        let same = |i: usize, kind: &str| kinds.get(i) == Some(&kind);
        let mut sinks = Vec::new();
        for (i, sink) in new.definition.sinks.iter().enumerate() {
            let fresh = || Progress::default();
            sinks.push(kept.sinks.get(i).filter(|_| same(i, sink.kind.name)).cloned().unwrap_or_else(fresh));
        }
        kept.sinks = sinks;
        kept.definition = new.definition.kept();
        kept.backfills.clear();
        let new = Arc::new(new);
        let changed = new.ledger.change(|known| {
            *known = kept.clone();
            Ok(())
        });
        let changed = changed.await;
        let going_on = if changed.is_ok() { new.clone() } else { old };
        if kept.state == State::Enabled {
            self.begin(&going_on).await?;
        }
        trails.insert(name.to_owned(), going_on);
        changed.map(|()| new)
    }

    /// Removes a trail. What it delivered stays where it is, and so do its dead letters.
    ///
    /// # Errors
    /// `NotFound`, what removing it gives.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let mut trails = self.trails.lock().await;
        let trail = trails.get(name).cloned().ok_or_else(|| missing(name))?;
        trail.end().await;
        trail.ledger.erase().await?;
        trails.remove(name);
        Ok(())
    }

    /// Begins to deliver; at the first time from where the definition says, later from where it was stopped.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` when a sink cannot be made, what keeping it gives.
    pub async fn start(&self, name: &str) -> Result<()> {
        let trail = self.named(name).await?;
        self.begin(&trail).await?;
        let enabled = trail.ledger.change(|kept| {
            if kept.state != State::Enabled {
                (kept.state, kept.changed_at_ms) = (State::Enabled, now_ms());
            }
            Ok(())
        });
        enabled.await
    }

    async fn begin(&self, trail: &Trail) -> Result<()> {
        let kept = trail.ledger.kept().await;
        if kept.sinks.iter().any(|sink| sink.position.is_none()) {
            let first = self.first_position(trail.definition.start).await?;
            let placed = trail.ledger.change(|kept| {
                for sink in &mut kept.sinks {
                    sink.position.get_or_insert(first.0);
                }
                Ok(())
            });
            placed.await?;
        }
        trail.begin().await.map_err(invalid)?;
        for job in kept.backfills.iter().filter(|job| !job.cancelled && !job.is_done()) {
            trail.begin_backfill(job).await.map_err(invalid)?;
        }
        Ok(())
    }

    /// The sequence behind which a trail begins.
    async fn first_position(&self, start: Start) -> Result<Sequence> {
        let backend = &self.around.backend;
        let before = |sequence: Sequence| Sequence(sequence.0.saturating_sub(1));
        let oldest = before(backend.oldest_sequence());
        Ok(match start {
            Start::Now => backend.last_sequence(),
            Start::Oldest => oldest,
            Start::Sequence(sequence) => before(sequence).max(oldest),
            Start::Time(time) => before(backend.first_received(time).await?).max(oldest),
        })
    }

    /// Stops to deliver, backfills too; what is kept stays.
    ///
    /// # Errors
    /// `NotFound`, what keeping it gives.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let trail = self.named(name).await?;
        trail.end().await;
        let disabled = trail.ledger.change(|kept| {
            if kept.state == State::Enabled {
                (kept.state, kept.changed_at_ms) = (State::Disabled, now_ms());
            }
            Ok(())
        });
        disabled.await
    }

    /// Stops all workers; the trails go on with the next start of the server.
    pub async fn close(&self) {
        for trail in self.all().await {
            trail.end().await;
        }
    }

    /// What is shown of a trail.
    pub async fn shown(trail: &Trail) -> Value {
        let kept = trail.ledger.kept().await;
        let mut shown = trail.definition.shown();
        shown["state"] = json!(kept.state.name());
        shown
    }
}
