//! [`Renewer`]: makes the values of an event new in place, where the new ones are as long as the old.
//!
//! Fresh are ids, times, opaque tokens and the resources, each of them the same everywhere in its event. The actor's texts stay: names and
//! addresses have no fixed length, and keys and principals belong to them.

use crate::entity::Fill;
use crate::population::Pool;
use crate::random::Random;
use crate::rhythm::Lag;
use crate::text::{Clockface, write_capitals, write_token, write_uuid};

/// A value in a text that can be made new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    at: u32,
    length: u16,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Uuid,
    Capitals,
    Token,
    Time,
    Before(u32),
    Resource(u16),
    /// The same that was written at an earlier place.
    Copy(u32),
}

impl Place {
    /// The place of a fill that starts here; `first` is where the same value stands already. `None` for what cannot be made new.
    pub(crate) fn of(fill: &Fill, at: usize, length: usize, first: Option<usize>) -> Option<Place> {
        let value = match fill {
            Fill::Uuid => Value::Uuid,
            Fill::Capitals(_) => Value::Capitals,
            Fill::Token(_) => Value::Token,
            Fill::Time => Value::Time,
            Fill::Before(seconds) => Value::Before(u32::try_from(*seconds).ok()?),
            Fill::Resource(pool) => Value::Resource(u16::try_from(*pool).ok()?),
            Fill::User | Fill::Address | Fill::Key(_) | Fill::PrincipalLetters(_) | Fill::PrincipalDigits(_) => return None,
        };
        let value = match first {
            Some(first) => Value::Copy(u32::try_from(first).ok()?),
            None => value,
        };
        Some(Place { at: u32::try_from(at).ok()?, length: u16::try_from(length).ok()?, value })
    }
}

/// New values out of random numbers of its own. [`crate::Generator::renewer`] makes one.
#[derive(Debug, Clone)]
pub struct Renewer {
    pools: Vec<Pool>,
    lag: Lag,
    random: Random,
    clockface: Clockface,
    value: Vec<u8>,
}

impl Renewer {
    pub(crate) fn new(pools: Vec<Pool>, seed: u64) -> Renewer {
        Renewer { pools, lag: Lag::new(), random: Random::new(seed), clockface: Clockface::new(), value: Vec::new() }
    }

    /// Makes the values of one event new that reaches a log at this time.
    #[inline]
    pub(crate) fn renew(&mut self, text: &mut [u8], places: &[Place], arrival: i64) {
        let time = arrival - self.lag.draw(&mut self.random);
        for place in places {
            let (at, length) = (place.at as usize, usize::from(place.length));
            if let Value::Copy(from) = place.value {
                let from = from as usize;
                if from + length <= text.len() && at + length <= text.len() {
                    text.copy_within(from..from + length, at);
                }
                continue;
            }
            self.draw(place.value, length, time);
            if let Some(old) = text.get_mut(at..at + length).filter(|old| old.len() == self.value.len()) {
                old.copy_from_slice(&self.value);
            }
        }
    }

    #[inline]
    fn draw(&mut self, value: Value, length: usize, time: i64) {
        let (out, random) = (&mut self.value, &mut self.random);
        out.clear();
        match value {
            Value::Uuid => write_uuid(out, random.bits(), random.bits()),
            Value::Capitals => write_capitals(out, random, length),
            Value::Token => write_token(out, random, length),
            Value::Time => self.clockface.write(out, time),
            Value::Before(seconds) => self.clockface.write(out, time - i64::from(seconds)),
            Value::Resource(pool) => {
                if let Some(pool) = self.pools.get(usize::from(pool)) {
                    pool.write(random.unit(), out);
                }
            }
            Value::Copy(_) => {}
        }
    }
}
