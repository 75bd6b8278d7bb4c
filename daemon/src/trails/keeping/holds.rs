//! [`Holds`]: up to where the trails that hold the retention have everything, told to the log whenever it changes.
//!
//! The floor of a trail is the least position of its sinks and of its backfills that are not over; that of all is the least of theirs. It follows
//! what is durable in their files, not what workers believe: [`crate::trails::keeping::store::Store`] notes each file that it has written. After a
//! start it is told once, when all files are read: until then the log drops nothing (`expiry_waits`). A trail that was never started has no position
//! and holds nothing; one that is stopped holds as long as it is there. A trail whose file is damaged holds everything, whether it was marked or not: neither that nor its position is known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use trail_engine::id::Sequence;

use crate::trails::keeping::kept::Kept;

/// Who is told how far all that hold have everything; `None` when none does.
pub type Tell = Box<dyn Fn(Option<Sequence>) + Send + Sync>;

/// The trails that hold, and how far each has everything.
pub struct Holds {
    tell: Tell,
    floors: Mutex<BTreeMap<String, Sequence>>,
}

impl Holds {
    /// None yet.
    #[must_use]
    pub fn new(tell: Tell) -> Holds {
        Holds { tell, floors: Mutex::default() }
    }

    /// Begins with the trails of a folder, and the names of those whose files are damaged.
    pub fn begin<'k>(&self, trails: impl Iterator<Item = (&'k str, &'k Kept)>, damaged: impl Iterator<Item = &'k String>) {
        let floors = trails.filter_map(|(name, kept)| Some((name.to_owned(), floor(kept)?)));
        let floors = floors.chain(damaged.map(|name| (name.clone(), Sequence::ZERO))).collect();
        self.change(|known| *known = floors);
    }

    /// A trail was kept.
    pub fn note(&self, name: &str, kept: &Kept) {
        self.change(|known| {
            known.remove(name);
            known.extend(floor(kept).map(|floor| (name.to_owned(), floor)));
        });
    }

    /// A trail was removed.
    pub fn forget(&self, name: &str) {
        self.change(|known| {
            known.remove(name);
        });
    }

    /// The trails that hold, and how far each has everything.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Sequence> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells under the lock, so that what was told last is what is so.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Sequence>)) {
        let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut floors);
        (self.tell)(floors.values().min().copied());
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holds").field(&self.all()).finish()
    }
}

/// Up to where a trail that holds has everything. Read from what is kept, also where the definition as a whole no longer reads.
fn floor(kept: &Kept) -> Option<Sequence> {
    if kept.definition.get("hold_retention") != Some(&Value::Bool(true)) {
        return None;
    }
    let jobs = kept.backfills.iter().filter(|job| !job.cancelled && !job.is_done()).flat_map(|job| &job.sinks);
    kept.sinks.iter().chain(jobs).filter_map(|sink| sink.position).min().map(Sequence)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::trails::keeping::kept::{Backfill, Progress};

    fn kept(hold: bool, positions: &[Option<u64>]) -> Kept {
        let mut kept = Kept::fresh(json!({"hold_retention": hold}), 0, 0);
        kept.sinks = positions.iter().map(|position| Progress { position: *position, ..Progress::default() }).collect();
        kept
    }

    #[test]
    fn the_least_position_of_those_that_hold_is_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let ear = told.clone();
        let holds = Holds::new(Box::new(move |floor| ear.lock().unwrap().push(floor.map(|floor| floor.0))));
        let (unmarked, fresh) = (kept(false, &[Some(1)]), kept(true, &[None]));
        let mut marked = kept(true, &[Some(9), Some(7), None]);
        holds.begin([("a", &unmarked), ("b", &marked), ("c", &fresh)].into_iter(), std::iter::empty());
        let sinks = vec![Progress { position: Some(3), ..Progress::default() }];
        marked.backfills.push(Backfill { id: 1, from_ms: 0, to_ms: 1, first: 2, last: 6, cancelled: false, sinks });
        holds.note("b", &marked);
        marked.backfills[0].cancelled = true;
        holds.note("b", &marked);
        holds.note("d", &kept(true, &[Some(5)]));
        holds.forget("d");
        holds.note("b", &kept(false, &[Some(2)]));
        assert_eq!(*told.lock().unwrap(), [Some(7), Some(3), Some(7), Some(5), Some(7), None]);
    }
}
