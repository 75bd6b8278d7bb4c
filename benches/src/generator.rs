//! [`Generator`]: events without end out of a [`Corpus`], one at a time into the caller's buffer.
//!
//! Sessions run side by side. Each has one actor and walks through neighbouring events of the corpus for a while, so that
//! what one actor does in a row is what somebody really did in a row. A session prefers one region of every pool of resources.

use crate::corpus::Corpus;
use crate::entity::Fill;
use crate::error::CorpusError;
use crate::parameters::Parameters;
use crate::population::{Actor, Pool, Users};
use crate::random::{Random, mix};
use crate::renewal::{Place, Renewer};
use crate::rhythm::{Arrivals, Lag};
use crate::template::Template;
use crate::text::{Clockface, write_capitals, write_token, write_uuid};

/// How often a session takes its own resource rather than any.
const OWN_RESOURCE: f64 = 0.4;

/// The times of a generated event, in seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// When the event says it happened; up to five minutes before `arrival`.
    pub event: i64,
    /// When it would reach a log. Never goes back from one event to the next.
    pub arrival: i64,
}

/// A stream of events. The same corpus and the same parameters give the same bytes, on every machine.
#[derive(Debug, Clone)]
pub struct Generator<'c> {
    corpus: &'c Corpus,
    arrivals: Arrivals,
    lag: Lag,
    users: Users,
    pools: Vec<Pool>,
    sessions: Vec<Session>,
    run: f64,
    seed: u64,
    random: Random,
    clockface: Clockface,
    values: Vec<u8>,
    ends: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
struct Session {
    template: usize,
    left: u64,
    own: f64,
    actor: Actor,
}

impl<'c> Generator<'c> {
    /// A stream from its beginning.
    ///
    /// # Errors
    /// When the parameters are out of their limits; the message says which.
    pub fn new(corpus: &'c Corpus, parameters: &Parameters) -> Result<Generator<'c>, CorpusError> {
        parameters.check()?;
        let p = parameters;
        let start = p.end - (p.days * 86_400.0) as i64;
        let mut generator = Generator {
            corpus,
            arrivals: Arrivals::new(p.events, start, p.days, Random::new(mix(p.seed ^ 1))),
            lag: Lag::new(),
            users: Users::new(p.users, p.keys, p.addresses, p.seed),
            pools: corpus.pools(p.resources, p.seed),
            sessions: Vec::new(),
            run: p.run,
            seed: p.seed,
            random: Random::new(p.seed),
            clockface: Clockface::new(),
            values: Vec::new(),
            ends: Vec::new(),
        };
        for _ in 0..p.sessions {
            let mut session = Session::default();
            generator.begin(&mut session);
            generator.sessions.push(session);
        }
        Ok(generator)
    }

    /// Appends the next event to `out`, as compact JSON without a line feed, and says its times; `None` when all are made.
    pub fn next_event(&mut self, out: &mut Vec<u8>) -> Option<EventTime> {
        self.make(out).map(|(time, _)| time)
    }

    /// The same, and where in `out` its values that can be made new in place are.
    pub(crate) fn next_places(&mut self, out: &mut Vec<u8>, places: &mut Vec<Place>) -> Option<EventTime> {
        let start = out.len();
        let (time, template) = self.make(out)?;
        template.places(start, &self.ends, places);
        Some(time)
    }

    fn make(&mut self, out: &mut Vec<u8>) -> Option<(EventTime, &'c Template)> {
        let arrival = self.arrivals.next()?;
        let time = EventTime { event: arrival - self.lag.draw(&mut self.random), arrival };
        let number = self.random.below(self.sessions.len() as u64) as usize;
        let mut session = std::mem::take(self.sessions.get_mut(number)?);
        let corpus = self.corpus;
        let template = corpus.templates().get(session.template)?;
        self.values.clear();
        self.ends.clear();
        for fill in &template.fills {
            self.fill(fill, &session, time.event);
            self.ends.push(self.values.len());
        }
        template.write(&self.values, &self.ends, out);
        session.template += 1;
        session.left = session.left.saturating_sub(1);
        if session.left == 0 || session.template >= self.corpus.templates().len() {
            self.begin(&mut session);
        }
        *self.sessions.get_mut(number)? = session;
        Some((time, template))
    }

    /// Makes values new that these events have: with resources of the same pools, and random numbers of a stream of its own.
    #[must_use]
    pub fn renewer(&self, stream: u64) -> Renewer {
        Renewer::new(self.pools.clone(), mix(self.seed ^ mix(stream ^ 0x0072_656e_6577)))
    }

    fn begin(&mut self, session: &mut Session) {
        session.template = self.random.below(self.corpus.templates().len() as u64) as usize;
        session.left = 1 + self.random.exponential(self.run) as u64;
        session.own = self.random.unit();
        self.users.draw(&mut self.random, &mut session.actor);
    }

    #[inline]
    fn fill(&mut self, fill: &Fill, session: &Session, time: i64) {
        let (out, random, actor) = (&mut self.values, &mut self.random, &session.actor);
        match fill {
            Fill::Uuid => write_uuid(out, random.bits(), random.bits()),
            Fill::Capitals(length) => write_capitals(out, random, *length),
            Fill::Token(length) => write_token(out, random, *length),
            Fill::Time => self.clockface.write(out, time),
            Fill::Before(seconds) => self.clockface.write(out, time - seconds),
            Fill::User => out.extend_from_slice(&actor.name),
            Fill::Address => out.extend_from_slice(&actor.address),
            Fill::Key(length) => repeat(out, &actor.key, *length),
            Fill::PrincipalLetters(length) => repeat(out, &actor.letters, *length),
            Fill::PrincipalDigits(length) => repeat(out, &actor.digits, *length),
            Fill::Resource(pool) => {
                let at = if random.unit() < OWN_RESOURCE { session.own } else { random.unit() };
                if let Some(pool) = self.pools.get(*pool) {
                    pool.write(at, out);
                }
            }
        }
    }
}

/// So many bytes of the text, again and again.
fn repeat(out: &mut Vec<u8>, text: &[u8], length: usize) {
    out.extend(text.iter().cycle().take(length));
}
