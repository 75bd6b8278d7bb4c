//! [`Trails`]: all trails of a server, and what can be done with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::event::DimensionSchema;
use trail_engine::id::Sequence;
use trail_engine::storage::FileStorage;

use crate::backend::Backend;
use crate::config::TrailEntry;
use crate::metrics::Metrics;
use crate::trails::definition::{Definition, Start};
use crate::trails::keeping::kept::{Kept, Progress, State};
use crate::trails::keeping::keyring::Keyring;
use crate::trails::keeping::ledger::Ledger;
use crate::trails::keeping::store::Store;
use crate::trails::reading::source::Source;
use crate::trails::roster::trail::{Surroundings, Trail};

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
    /// Trails that are kept and cannot be taken up: their definition no longer reads.
    unread: Mutex<BTreeMap<String, Kept>>,
}

/// There is no trail of this name.
pub(super) fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no trail `{name}`"))
}

fn invalid(problem: String) -> Error {
    Error::invalid(problem)
}

/// The sinks of a definition as it is shown, without how they are batched.
fn sinks_of(shown: &Value) -> Vec<Value> {
    let plain = |sink: &Value| {
        let mut sink = sink.clone();
        if let Some(members) = sink.as_object_mut() {
            members.remove("batch");
        }
        sink
    };
    shown.get("sinks").and_then(Value::as_array).into_iter().flatten().map(plain).collect()
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
        let trails = Trails { around, store, trails: Mutex::new(BTreeMap::new()), unread: Mutex::new(BTreeMap::new()) };
        for (name, kept) in loaded.trails {
            trails.take_up(&name, kept).await;
        }
        for entry in configured {
            let wrong = |error: Error| Error::new(error.kind(), format!("{}: {}", entry.place, error.message())).because(error);
            let definition = Definition::read(&entry.definition, None, &trails.around.schema).map_err(invalid).map_err(wrong)?;
            // A sink that cannot be made now, as when a secret is not there, must not keep the log from taking events.
            if let Err(error) = trails.configure(&definition, &entry.definition).await {
                tracing::error!(trail = definition.name, "{}: the trail does not deliver: {error}", entry.place);
            }
        }
        Ok(trails)
    }

    /// Goes on with a trail that was kept. One that cannot be made any more is said, and stays at rest.
    async fn take_up(&self, name: &str, kept: Kept) {
        let definition = match Definition::read(&kept.definition, Some(name), &self.around.schema) {
            Ok(definition) => definition,
            Err(problem) => {
                tracing::error!(trail = name, "a trail cannot be taken up; change it with PUT, or in the configuration: {problem}");
                self.unread.lock().await.insert(name.to_owned(), kept);
                return;
            }
        };
        let trail = Arc::new(self.rest(definition, kept.clone()));
        if kept.state == State::Enabled
            && let Err(problem) = self.begin(&trail).await
        {
            tracing::error!(trail = name, "a trail cannot begin: {problem}");
        }
        self.trails.lock().await.insert(name.to_owned(), trail);
    }

    fn rest(&self, definition: Definition, kept: Kept) -> Trail {
        let name: Arc<str> = definition.name.as_str().into();
        let ledger = Ledger::new(name, self.store.clone(), self.around.backend.hands().clone(), kept);
        Trail::new(definition, ledger, self.around.clone())
    }

    async fn configure(&self, definition: &Definition, value: &Value) -> Result<()> {
        let unread = self.unread.lock().await.contains_key(&definition.name);
        let known = self.trails.lock().await.get(&definition.name).map(|trail| trail.definition.kept());
        match known {
            None if unread => self.replace(&definition.name, value).await.map(|_| ()),
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

    /// All trails, which nobody else makes, changes or removes while this is held.
    pub(super) async fn held(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Trail>>> {
        self.trails.lock().await
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
        if trails.contains_key(&definition.name) || self.unread.lock().await.contains_key(&definition.name) {
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

    /// Gives a trail another definition; a trail that delivers goes on delivering. A sink that was there goes on where it was. Where there are as many
    /// as before, one that was changed goes on behind the position of the one in its place, as a new one: its place is asked whose
    /// objects it holds. Others begin where the new definition says.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, what keeping it gives.
    pub async fn replace(&self, name: &str, value: &Value) -> Result<Arc<Trail>> {
        let definition = Definition::read(value, Some(name), &self.around.schema).map_err(invalid)?;
        let mut trails = self.trails.lock().await;
        let old = trails.get(name).cloned();
        let mut kept = self.kept_of(name, old.as_deref()).await?;
        let new = self.rest(definition, kept.clone());
        new.check().await.map_err(invalid)?;
        if let Some(old) = &old {
            old.end().await;
            kept = old.ledger.kept().await;
        }
        kept.sinks = self.carried_over(&kept, &new.definition);
        kept.definition = new.definition.kept();
        kept.backfills.clear();
        let new = Arc::new(new);
        let changed = new.ledger.change(|known| {
            *known = kept.clone();
            Ok(())
        });
        let changed = changed.await;
        let going_on = if changed.is_ok() { Some(new.clone()) } else { old };
        let mut begun = Ok(());
        if let Some(going_on) = going_on {
            trails.insert(name.to_owned(), going_on.clone());
            if kept.state == State::Enabled {
                begun = self.begin(&going_on).await;
            }
        }
        changed?;
        self.unread.lock().await.remove(name);
        begun.map(|()| new)
    }

    async fn kept_of(&self, name: &str, trail: Option<&Trail>) -> Result<Kept> {
        match trail {
            Some(trail) => Ok(trail.ledger.kept().await),
            None => self.unread.lock().await.get(name).cloned().ok_or_else(|| missing(name)),
        }
    }

    /// What each sink of a new definition goes on from.
    fn carried_over(&self, kept: &Kept, new: &Definition) -> Vec<Progress> {
        // Without what may be rotated.
        let read = Definition::read(&kept.definition, None, &self.around.schema).map(|old| old.shown());
        let old = sinks_of(&read.unwrap_or_else(|_| kept.definition.clone()));
        let new = sinks_of(&new.shown());
        let as_many = old.len() == new.len();
        let carry = |(i, sink): (usize, &Value)| {
            let same = old.iter().position(|other| other == sink);
            let in_place = old.get(i).filter(|other| as_many && other.get("type") == sink.get("type"));
            match (same, in_place) {
                (Some(at), _) => kept.sinks.get(at).cloned().unwrap_or_default(),
                (None, Some(_)) => {
                    let position = kept.sinks.get(i).and_then(|progress| progress.position);
                    Progress { position, ..Progress::default() }
                }
                (None, None) => Progress::default(),
            }
        };
        new.iter().enumerate().map(carry).collect()
    }

    /// Removes a trail. What it delivered stays where it is, and so do its dead letters.
    ///
    /// # Errors
    /// `NotFound`, what removing it gives.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let mut trails = self.trails.lock().await;
        let Some(trail) = trails.get(name).cloned() else {
            let kept = self.kept_of(name, None).await?;
            let ledger = Ledger::new(name.into(), self.store.clone(), self.around.backend.hands().clone(), kept);
            ledger.erase().await?;
            self.unread.lock().await.remove(name);
            return Ok(());
        };
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
        let trails = self.held().await;
        let trail = trails.get(name).ok_or_else(|| missing(name))?;
        self.begin(trail).await?;
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
        let trails = self.held().await;
        let trail = trails.get(name).ok_or_else(|| missing(name))?;
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
