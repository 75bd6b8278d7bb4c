//! [`Trails`]: all trails of a server, and what can be done with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::event::DimensionSchema;
use trail_engine::storage::FileStorage;

use crate::backend::Backend;
use crate::config::TrailEntry;
use crate::metrics::Metrics;
use crate::nearest::hint;
use crate::trails::definition::{Definition, read_configured};
use crate::trails::keeping::holds::Holds;
use crate::trails::keeping::kept::{Kept, State};
use crate::trails::keeping::keyring::Keyring;
use crate::trails::keeping::ledger::Ledger;
use crate::trails::keeping::store::Store;
use crate::trails::reading::source::Source;
use crate::trails::roster::carry::carried_over;
use crate::trails::roster::surroundings::Surroundings;
use crate::trails::roster::trail::{Trail, Turn};
use crate::trails::roster::unread::Unread;
use crate::trails::roster::waiting::watch;

/// The folder of the data directory in which trails are kept.
const FOLDER: &str = "trails";
/// The most trails.
const TRAILS_MAX: usize = 64;

/// All trails of a server.
#[derive(Debug)]
pub struct Trails {
    around: Arc<Surroundings>,
    store: Store,
    /// Held for a moment only: who changes a trail has its [`Turn`].
    trails: Mutex<BTreeMap<String, Arc<Trail>>>,
    /// Trails that are there and cannot be taken up.
    unread: Mutex<BTreeMap<String, Unread>>,
    /// The turn of all of them.
    unread_turn: Turn,
    /// Says what expiry waits for; ends with this.
    _watch: JoinSet<()>,
}

fn invalid(problem: String) -> Error {
    Error::invalid(problem)
}

fn set_state(kept: &mut Kept, state: State) -> Result<()> {
    if kept.state != state {
        (kept.state, kept.changed_at_ms) = (state, now_ms());
    }
    Ok(())
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
        let log = backend.clone();
        let holds = Arc::new(Holds::new(Box::new(move |behind| log.hold(behind))));
        let holding = holds.clone();
        let opened = backend.hands().compute.run(move || {
            let storage = FileStorage::open(&path)
                .map_err(|e| Error::io("cannot open the folder of trails", e).in_file(path.display().to_string()))?;
            let store = Store::holding(Arc::new(storage), holding);
            let loaded = store.load()?;
            let identity = store.identity()?;
            Ok((store, loaded, identity))
        });
        let (store, loaded, identity) = opened.await?;
        for (name, problem) in &loaded.damaged {
            tracing::error!(trail = name, "a trail is damaged: {problem}");
        }
        let unread = loaded.damaged.into_iter().map(|(name, problem)| (name, Unread::damaged(problem))).collect();
        let mut looks = JoinSet::new();
        looks.spawn(watch(backend.clone(), holds));
        let source = Source::new(backend.clone(), metrics.clone());
        let keyring = Keyring::new(store.clone());
        let around = Arc::new(Surroundings { backend, source, identity, schema, keyring, metrics, workers: AtomicU64::new(0) });
        let trails = Trails {
            around,
            store,
            trails: Mutex::new(BTreeMap::new()),
            unread: Mutex::new(unread),
            unread_turn: Turn::default(),
            _watch: looks,
        };
        for (name, kept) in loaded.trails {
            trails.take_up(&name, kept).await;
        }
        let definitions = read_configured(configured, &trails.around.schema).map_err(|problems| invalid(problems.join("; ")))?;
        for (entry, definition) in configured.iter().zip(definitions) {
            // What is wrong with a sink must not keep the log from taking events.
            if let Err(error) = trails.configure(&definition, &entry.definition).await {
                tracing::error!(trail = definition.name, "{}: the trail does not deliver: {error}", entry.place);
            }
        }
        Ok(trails)
    }

    /// Goes on with a trail that was kept. One whose definition no longer reads is said, and stays at rest.
    async fn take_up(&self, name: &str, kept: Kept) {
        let definition = match Definition::read(&kept.definition, Some(name), &self.around.schema) {
            Ok(definition) => definition,
            Err(problem) => {
                tracing::error!(trail = name, "a trail cannot be taken up; change it with PUT, or in the configuration: {problem}");
                self.unread.lock().await.insert(name.to_owned(), Unread::unreadable(problem, kept));
                return;
            }
        };
        let is_enabled = kept.state == State::Enabled;
        let trail = Arc::new(self.rest(definition, kept, Turn::default()));
        self.trails.lock().await.insert(name.to_owned(), trail.clone());
        if is_enabled {
            trail.begin_in_time().await;
        }
    }

    fn rest(&self, definition: Definition, kept: Kept, turn: Turn) -> Trail {
        let name: Arc<str> = definition.name.as_str().into();
        let ledger = Ledger::new(name, self.store.clone(), self.around.backend.hands().clone(), kept);
        Trail::new(definition, ledger, self.around.clone(), turn)
    }

    /// Makes, starts or changes a trail as the configuration has it. A sink that cannot be made now, as when a secret is not there, is tried again.
    async fn configure(&self, definition: &Definition, value: &Value) -> Result<()> {
        let unread = match self.unread.lock().await.get(&definition.name) {
            // Made again it would begin anew, and pass over what was not delivered: that is for the operator to say.
            Some(unread) if unread.kept.is_none() => return Err(unread.refusal(&definition.name)),
            unread => unread.is_some(),
        };
        let known = self.trails.lock().await.get(&definition.name).map(|trail| trail.definition.kept());
        match known {
            None if !unread => {
                let trail = self.found(definition.clone()).await?;
                trail.ledger.change(|kept| set_state(kept, State::Enabled)).await?;
                trail.begin_in_time().await;
                Ok(())
            }
            Some(known) if known == definition.kept() => Ok(()),
            _ => self.change(&definition.name, value, false).await.map(|_| ()),
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
    /// `NotFound`; `Invalid` when it is there and cannot be taken up.
    pub async fn named(&self, name: &str) -> Result<Arc<Trail>> {
        if let Some(trail) = self.trails.lock().await.get(name) {
            return Ok(trail.clone());
        }
        let unread = self.unread.lock().await.get(name).map(|unread| unread.refusal(name));
        Err(match unread {
            Some(refusal) => refusal,
            None => self.missing(name).await,
        })
    }

    /// There is no trail of this name, but perhaps one that is called much the same.
    async fn missing(&self, name: &str) -> Error {
        let near = hint(name, self.trails.lock().await.keys().map(String::as_str));
        Error::new(ErrorKind::NotFound, format!("there is no trail `{name}`{near}"))
    }

    /// What is shown of trails that are there and cannot be taken up, by name.
    pub async fn unread(&self) -> BTreeMap<String, Value> {
        self.unread.lock().await.iter().map(|(name, unread)| (name.clone(), unread.shown(name))).collect()
    }

    /// The trail of this name, which nobody else changes, starts, stops or removes while the guard is held.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) async fn turn(&self, name: &str) -> Result<(Arc<Trail>, OwnedMutexGuard<()>)> {
        loop {
            let turn = self.named(name).await?.turn.clone();
            let held = turn.clone().lock_owned().await;
            // Meanwhile it may have been changed, or removed and made again.
            let now = self.named(name).await?;
            if Arc::ptr_eq(&now.turn, &turn) {
                return Ok((now, held));
            }
        }
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
        self.is_free(&*self.trails.lock().await, &definition.name).await?;
        // Reads files, which can hang, and so holds nothing.
        let kept = Kept::fresh(definition.kept(), definition.sinks.len(), now_ms());
        self.rest(definition.clone(), kept, Turn::default()).check().await.map_err(invalid)?;
        self.found(definition).await
    }

    async fn found(&self, definition: Definition) -> Result<Arc<Trail>> {
        let mut trails = self.trails.lock().await;
        self.is_free(&trails, &definition.name).await?;
        let kept = Kept::fresh(definition.kept(), definition.sinks.len(), now_ms());
        let name = definition.name.clone();
        let trail = Arc::new(self.rest(definition, kept, Turn::default()));
        trail.ledger.found().await?;
        self.unread.lock().await.remove(&name);
        trails.insert(name, trail.clone());
        Ok(trail)
    }

    async fn is_free(&self, trails: &BTreeMap<String, Arc<Trail>>, name: &str) -> Result<()> {
        let is_unread = self.unread.lock().await.get(name).is_some_and(|unread| unread.kept.is_some());
        if trails.contains_key(name) || is_unread {
            return Err(Error::new(
                ErrorKind::Locked,
                format!("there is a trail `{name}` already; change it with `traild trail change` or PUT"),
            ));
        }
        if trails.len() >= TRAILS_MAX {
            return Err(Error::new(ErrorKind::Limit, format!("there are {TRAILS_MAX} trails, as many as there may be")));
        }
        Ok(())
    }

    /// Gives a trail another definition; a trail that delivers goes on delivering, its sinks from where `carried_over` says; a place
    /// of a changed sink is asked whose objects it holds.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, what keeping it gives.
    pub async fn replace(&self, name: &str, value: &Value) -> Result<Arc<Trail>> {
        self.change(name, value, true).await
    }

    /// The same; unless `checked`, also when its sinks cannot be made yet.
    async fn change(&self, name: &str, value: &Value, checked: bool) -> Result<Arc<Trail>> {
        let definition = Definition::read(value, Some(name), &self.around.schema).map_err(invalid)?;
        let (old, held) = match self.turn(name).await {
            Ok((old, held)) => (Some(old), held),
            Err(_) => (None, self.unread_turn.clone().lock_owned().await),
        };
        let Some(mut kept) = self.kept_of(name, old.as_deref()).await? else {
            return self.create(&definition.kept()).await;
        };
        let turn = old.as_ref().map_or_else(Turn::default, |old| old.turn.clone());
        let new = Arc::new(self.rest(definition, kept.clone(), turn));
        if checked {
            new.check().await.map_err(invalid)?;
        }
        if let Some(old) = &old {
            old.end().await;
            kept = old.ledger.kept().await;
        }
        kept.sinks = carried_over(&kept, &new.definition, &self.around.schema);
        kept.definition = new.definition.kept();
        kept.backfills.clear();
        let is_enabled = kept.state == State::Enabled;
        let changed = new.ledger.change(|known| {
            *known = kept;
            Ok(())
        });
        if let Err(error) = changed.await {
            if let Some(old) = old.filter(|_| is_enabled) {
                old.begin_in_time().await;
            }
            return Err(error);
        }
        if let Some(old) = &old {
            old.ledger.retire().await;
        }
        self.trails.lock().await.insert(name.to_owned(), new.clone());
        self.unread.lock().await.remove(name);
        if is_enabled {
            new.begin_in_time().await;
        }
        drop(held);
        Ok(new)
    }

    /// What is kept of a trail; `None` when its file is damaged.
    async fn kept_of(&self, name: &str, trail: Option<&Trail>) -> Result<Option<Kept>> {
        match trail {
            Some(trail) => Ok(Some(trail.ledger.kept().await)),
            None => {
                let known = self.unread.lock().await.get(name).map(|unread| unread.kept.clone());
                match known {
                    Some(kept) => Ok(kept),
                    None => Err(self.missing(name).await),
                }
            }
        }
    }

    /// Removes a trail. What it delivered stays where it is, and so do its dead letters.
    ///
    /// # Errors
    /// `NotFound`, what removing it gives.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let Ok((trail, _turn)) = self.turn(name).await else {
            let _turn = self.unread_turn.lock().await;
            match self.kept_of(name, None).await? {
                Some(kept) => Ledger::new(name.into(), self.store.clone(), self.around.backend.hands().clone(), kept).erase().await?,
                None => {
                    let (store, name) = (self.store.clone(), name.to_owned());
                    self.around.backend.hands().compute.run(move || store.remove_damaged(&name)).await?;
                }
            }
            self.unread.lock().await.remove(name);
            return Ok(());
        };
        trail.end().await;
        if let Err(error) = trail.ledger.erase().await {
            if trail.ledger.kept().await.state == State::Enabled {
                trail.begin_in_time().await;
            }
            return Err(error);
        }
        self.trails.lock().await.remove(name);
        Ok(())
    }

    /// Begins to deliver; at the first time from where the definition says, later from where it was stopped.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` when a sink cannot be made, what keeping it gives.
    pub async fn start(&self, name: &str) -> Result<()> {
        let (trail, _turn) = self.turn(name).await?;
        trail.begin().await?;
        trail.ledger.change(|kept| set_state(kept, State::Enabled)).await
    }

    /// Stops to deliver, backfills too; what is kept stays.
    ///
    /// # Errors
    /// `NotFound`, what keeping it gives.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let (trail, _turn) = self.turn(name).await?;
        trail.end().await;
        trail.ledger.change(|kept| if kept.state == State::Enabled { set_state(kept, State::Disabled) } else { Ok(()) }).await
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
