//! [`Problems`]: the one door through which a log says what is wrong with it.
//!
//! A lasting problem is listed until the log is opened again. A passing one (a full disk, background work that is tried again) is
//! listed until the same work goes well. Each is told to the listener when it comes, and a passing one when it goes. At most
//! [`LASTING_MAX`] are listed; then it is said that there are more.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::status::Notice;

/// The most lasting problems that are listed.
const LASTING_MAX: usize = 100;

/// Called with what an operator should hear of; must not block and not ask the log.
pub(crate) type Listener = Box<dyn Fn(Notice<'_>) + Send + Sync>;

/// Work that can fail for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Writing groups to the journal.
    Append,
    /// Going on in a new journal file.
    Rotate,
    /// Naming the newest journal file in the catalog.
    Name,
    /// Letting go of journal files.
    Release,
    /// Flushing, sealing, dropping.
    Upkeep,
    /// Merging segments.
    Merge,
}

/// What is wrong.
pub(crate) struct Problems {
    state: Mutex<State>,
    /// Whether any work fails at the moment; so that good work need not take the lock.
    any_passing: AtomicBool,
}

#[derive(Default)]
struct State {
    lasting: Vec<String>,
    passing: Vec<Passing>,
    notes: Vec<String>,
    listener: Option<Listener>,
}

struct Passing {
    work: Work,
    text: String,
    disk_full: bool,
}

impl Problems {
    /// With what was found while opening.
    pub(crate) fn new(lasting: Vec<String>, notes: Vec<String>) -> Problems {
        let state = State { lasting, notes, ..State::default() };
        Problems { state: Mutex::new(state), any_passing: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets who is told, and tells what is known.
    pub(crate) fn listen(&self, listener: Listener) {
        let mut state = self.lock();
        state.notes.iter().for_each(|note| listener(Notice::Note(note)));
        state.lasting.iter().for_each(|problem| listener(Notice::Problem(problem)));
        state.passing.iter().for_each(|passing| listener(Notice::Problem(&passing.text)));
        state.listener = Some(listener);
    }

    /// Something is wrong and stays so. Told once.
    pub(crate) fn report(&self, problem: String) {
        let mut state = self.lock();
        if state.lasting.len() > LASTING_MAX || state.lasting.contains(&problem) {
            return;
        }
        let problem = if state.lasting.len() == LASTING_MAX { "there are more problems than are listed".to_owned() } else { problem };
        state.tell(Notice::Problem(&problem));
        state.lasting.push(problem);
    }

    /// Some work has failed, and is or can be tried again.
    pub(crate) fn fails(&self, work: Work, error: &Error) {
        let disk_full = error.kind() == ErrorKind::Full;
        let what = match work {
            _ if disk_full => "the disk is full",
            Work::Append => "events could not be written",
            Work::Rotate => "the journal could not go on in a new file",
            Work::Name => "the newest journal file could not be named in the catalog, which is tried again",
            Work::Release => "a journal file that is not needed any more could not be let go",
            Work::Upkeep => "background work failed and is tried again",
            Work::Merge => "segments could not be merged, which is tried again",
        };
        let text = format!("{what}: {error:?}");
        let mut state = self.lock();
        match state.passing.iter().position(|passing| passing.work == work) {
            Some(at) if state.passing.get(at).is_some_and(|known| known.disk_full && disk_full || known.text == text) => return,
            Some(at) => drop(state.passing.remove(at)),
            None => {}
        }
        state.tell(Notice::Problem(&text));
        state.passing.push(Passing { work, text, disk_full });
        self.any_passing.store(true, Ordering::Release);
    }

    /// Some work went well.
    pub(crate) fn works(&self, work: Work) {
        if !self.any_passing.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        if let Some(at) = state.passing.iter().position(|passing| passing.work == work) {
            let over = state.passing.remove(at);
            state.tell(Notice::Over(&over.text));
        }
        self.any_passing.store(!state.passing.is_empty(), Ordering::Release);
    }

    /// Everything that is wrong, in words, and whether the disk is full.
    pub(crate) fn list(&self) -> (Vec<String>, bool) {
        let state = self.lock();
        let passing = state.passing.iter().map(|passing| passing.text.clone());
        (state.lasting.iter().cloned().chain(passing).collect(), state.passing.iter().any(|passing| passing.disk_full))
    }

    /// What opening found that needs nobody.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.lock().notes.clone()
    }

    /// Whether some work fails, and if so whether for want of space.
    pub(crate) fn is_failing(&self, work: Work) -> Option<bool> {
        let known = || self.lock().passing.iter().find(|passing| passing.work == work).map(|passing| passing.disk_full);
        self.any_passing.load(Ordering::Acquire).then(known).flatten()
    }

    /// Whether some work found the disk full.
    pub(crate) fn is_full(&self, work: Work) -> bool {
        self.any_passing.load(Ordering::Acquire) && self.lock().passing.iter().any(|passing| passing.work == work && passing.disk_full)
    }
}

impl State {
    fn tell(&self, notice: Notice<'_>) {
        if let Some(listener) = &self.listener {
            listener(notice);
        }
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problems").field("list", &self.list()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn heard(problems: &Problems) -> Arc<Mutex<Vec<String>>> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        problems.listen(Box::new(move |notice| ear.lock().unwrap().push(format!("{notice:?}"))));
        heard
    }

    #[test]
    fn each_is_told_once_and_a_passing_one_goes() {
        let problems = Problems::new(vec!["early".into()], vec!["note".into()]);
        let heard = heard(&problems);
        problems.report("late".into());
        problems.report("late".into());
        let full = || Error::io("cannot write", std::io::ErrorKind::StorageFull.into());
        problems.fails(Work::Upkeep, &Error::corrupt("x"));
        problems.fails(Work::Upkeep, &Error::corrupt("x"));
        problems.fails(Work::Append, &full());
        problems.fails(Work::Append, &full().in_file("another place"));
        assert_eq!((problems.list().0.len(), problems.list().1), (4, true));
        assert!(problems.is_full(Work::Append) && !problems.is_full(Work::Upkeep));
        problems.works(Work::Append);
        problems.works(Work::Append);
        problems.works(Work::Upkeep);
        assert_eq!(problems.list(), (vec!["early".to_owned(), "late".to_owned()], false));
        let heard = heard.lock().unwrap();
        let kinds: Vec<&str> = heard.iter().map(|text| text.split('(').next().unwrap()).collect();
        assert_eq!(kinds, ["Note", "Problem", "Problem", "Problem", "Problem", "Over", "Over"], "{heard:?}");
    }

    #[test]
    fn a_flood_is_bounded_and_said() {
        let problems = Problems::new(Vec::new(), Vec::new());
        (0..1_000).for_each(|i| problems.report(i.to_string()));
        let (list, _) = problems.list();
        assert_eq!(list.len(), LASTING_MAX + 1);
        assert!(list[LASTING_MAX].contains("more"));
    }
}
