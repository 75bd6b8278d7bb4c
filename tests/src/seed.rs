//! [`Random`]: numbers from a seed that every test prints with the command that replays it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A splitmix64 generator: small, and good enough to choose moments and sizes.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a test: from `TRAIL_TEST_SEED`, else from the clock. Prints the seed and how to run the test again.
    ///
    /// # Panics
    /// When `TRAIL_TEST_SEED` is no number.
    #[must_use]
    pub fn of_test(file: &str, test: &str) -> Random {
        let given = std::env::var("TRAIL_TEST_SEED").ok().map(|text| text.parse().expect("TRAIL_TEST_SEED must be a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs() ^ u64::from(d.subsec_nanos()) << 20);
        let seed: u64 = given.unwrap_or_else(clock);
        println!("seed {seed}: TRAIL_TEST_SEED={seed} cargo test -p trail-tests --test {file} {test} -- --nocapture");
        Random(seed)
    }

    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// One of some choices.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// A generator of its own, for a thread.
    #[must_use]
    pub fn fork(&mut self) -> Random {
        Random(self.number())
    }
}
