//! [`Bodies`]: the events that one connection sends, made once and changed in place before each use.

use trail_corpus::{Batch, Corpus, Generator, Parameters, Renewer};
use trail_rig::Result;

use crate::arguments::Arguments;
use crate::schedule::Schedule;

/// No event of the corpus is smaller.
const EVENT_BYTES_MIN: usize = 128;

/// The times of the events of a run: their end, and how many seconds before it they begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    end: i64,
    span: f64,
}

impl Times {
    pub(crate) fn of(arguments: &Arguments) -> Times {
        Times { end: arguments.end, span: arguments.days * 86_400.0 }
    }

    fn at(self, part: f64) -> i64 {
        self.end - (self.span * (1.0 - part)) as i64
    }
}

/// A ring of bodies. The one that is under way stays untouched while the next is made new.
#[derive(Debug)]
pub(crate) struct Bodies {
    ring: Vec<Batch>,
    current: usize,
    /// The one after the current is new already.
    ready: bool,
    renewer: Renewer,
    times: Times,
}

impl Bodies {
    /// The bodies of every connection; together they hold the memory that was asked for, and one for each connection at least.
    pub(crate) fn of_all(arguments: &Arguments) -> Result<Vec<Bodies>> {
        let corpus = Corpus::real()?;
        let (connections, batch) = (arguments.connections, arguments.batch);
        let most = arguments.memory / EVENT_BYTES_MIN + 2 * connections * batch;
        let parameters = Parameters { events: most as u64, days: 1.0, end: arguments.end, seed: arguments.seed, ..Parameters::default() };
        let mut generator = Generator::new(&corpus, &parameters)?;
        let all = Schedule::requests(batch, arguments.warm_up, arguments.limit).unwrap_or(u64::MAX);
        // What a connection has under way, and what it prepares.
        let count_max = all.div_ceil(connections as u64).saturating_add(1);
        let share = arguments.memory / connections;
        let one = |stream: usize| {
            let (mut ring, mut memory) = (Vec::new(), 0);
            while ring.is_empty() || (memory < share && (ring.len() as u64) < count_max) {
                let batch = Batch::make(&mut generator, batch, arguments.protocol.before());
                memory += batch.memory() + size_of::<Batch>();
                ring.push(batch);
            }
            let renewer = generator.renewer(stream as u64);
            Bodies { ring, current: 0, ready: false, renewer, times: Times::of(arguments) }
        };
        Ok((0..connections).map(one).collect())
    }

    /// Makes the next body new, unless it is, or would be the one under way.
    pub(crate) fn prepare(&mut self, part: impl FnOnce() -> (f64, f64)) {
        if self.ring.len() > 1 {
            self.renew(part);
        }
    }

    /// Goes on to the next body.
    pub(crate) fn turn(&mut self, part: impl FnOnce() -> (f64, f64)) {
        self.renew(part);
        self.current = (self.current + 1) % self.ring.len().max(1);
        self.ready = false;
    }

    fn renew(&mut self, part: impl FnOnce() -> (f64, f64)) {
        let next = (self.current + 1) % self.ring.len().max(1);
        if !self.ready
            && let Some(batch) = self.ring.get_mut(next)
        {
            let (from, to) = part();
            batch.renew(&mut self.renewer, self.times.at(from), self.times.at(to));
            self.ready = true;
        }
    }

    /// The first so many events of the current body.
    pub(crate) fn text(&self, events: usize) -> &[u8] {
        self.ring.get(self.current).map(|batch| batch.text(events)).unwrap_or_default()
    }
}
