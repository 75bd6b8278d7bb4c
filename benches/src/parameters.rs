//! [`Parameters`]: how many events, over which time, by whom and on what.

use crate::error::CorpusError;
use crate::population::{ADDRESSES_MAX, USERS_MAX};
use crate::rhythm::{BINS_MAX, bins};

/// What a [`crate::Generator`] makes. The defaults are those of a mid-sized company.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// How many events.
    pub events: u64,
    /// Over how many days they arrive; above 0.
    pub days: f64,
    /// Where these days end: seconds since 1970-01-01T00:00:00Z, within the years 1970 to 9999.
    pub end: i64,
    /// Everything random follows from it.
    pub seed: u64,
    /// How many users act; 1 to 2^31 - 2.
    pub users: u64,
    /// How many access keys they have in all; at least 1.
    pub keys: u64,
    /// How many addresses they have in all; 1 to 266,338,304.
    pub addresses: u64,
    /// How many resources there are, over all kinds; each kind has at least three.
    pub resources: u64,
    /// How many sessions run side by side; 1 to 1,000,000.
    pub sessions: u64,
    /// How many events a session has on average; at least 1.
    pub run: f64,
}

impl Default for Parameters {
    /// A million events in the three days before 2026-11-22T00:00:00Z.
    fn default() -> Parameters {
        Parameters {
            events: 1_000_000,
            days: 3.0,
            end: 1_795_305_600,
            seed: 1,
            users: 2_000,
            keys: 5_000,
            addresses: 20_000,
            resources: 200_000,
            sessions: 64,
            run: 6.0,
        }
    }
}

impl Parameters {
    pub(crate) fn check(&self) -> Result<(), CorpusError> {
        let year_10000 = 253_402_300_800;
        for (valid, name) in [
            (self.days > 0.0 && self.days <= 36_525.0, "days must be above 0 and at most 36,525"),
            ((0..year_10000).contains(&self.end), "end must lie in the years 1970 to 9999"),
            (self.end as f64 - self.days * 86_400.0 >= 172_800.0, "the days must begin after 1970-01-03"),
            (self.users >= 1 && self.users < USERS_MAX, "users must be 1 to 2^31 - 2"),
            (self.keys >= 1, "keys must be at least 1"),
            ((1..=ADDRESSES_MAX).contains(&self.addresses), "addresses must be 1 to 266,338,304"),
            ((1..=1_000_000).contains(&self.sessions), "sessions must be 1 to 1,000,000"),
            (self.run >= 1.0 && self.run.is_finite(), "run must be at least 1"),
            (bins(self.events, self.days) <= BINS_MAX, "there are too many events"),
        ] {
            if !valid {
                return Err(CorpusError::new(name));
            }
        }
        Ok(())
    }
}
