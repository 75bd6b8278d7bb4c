//! [`Failures`]: how often an address may fail to authenticate.
//!
//! Problem: guessing must not be free, neither in processor time nor in log lines. Mechanism: a bucket of tokens an address (IPv6: its
//! /64), refilled evenly over a minute. Limits: so many addresses are remembered; further ones share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const ADDRESSES_MAX: usize = 4_096;
const SHARED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The buckets of all addresses.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    since: Duration,
}

impl Failures {
    pub(super) fn new(per_minute: u32) -> Failures {
        Failures { per_minute: f64::from(per_minute), buckets: Mutex::default() }
    }

    /// Counts a failure at `now` (time since any fixed moment). False when the address has used up what it has.
    pub(super) fn count(&self, address: IpAddr, now: Duration) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = network(address);
        if !buckets.contains_key(&key) && buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| self.refilled(bucket, now) < self.per_minute);
            if buckets.len() >= ADDRESSES_MAX {
                key = SHARED;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: self.per_minute, since: now });
        let left = self.refilled(bucket, now);
        let allowed = left >= 1.0;
        *bucket = Bucket { left: if allowed { left - 1.0 } else { left }, since: now };
        allowed
    }

    fn refilled(&self, bucket: &Bucket, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(bucket.since).as_secs_f64();
        (bucket.left + elapsed * self.per_minute / 60.0).min(self.per_minute)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn runs_out_and_fills_up_an_address_apart() {
        let failures = Failures::new(3);
        let at = Duration::from_secs;
        assert!((0..3).all(|_| failures.count(address("10.0.0.1"), at(0))));
        assert!(!failures.count(address("10.0.0.1"), at(0)));
        assert!(failures.count(address("10.0.0.2"), at(0)));
        assert!(!failures.count(address("::ffff:10.0.0.1"), at(10)));
        assert!(failures.count(address("10.0.0.1"), at(20)));
        assert!(!failures.count(address("10.0.0.1"), at(21)));
        assert!((0..3).all(|i| failures.count(address(&format!("2001:db8::{i}")), at(0))));
        assert!(!failures.count(address("2001:db8::ffff:1"), at(0)));
    }

    #[test]
    fn memory_is_bounded() {
        let failures = Failures::new(2);
        for i in 0..20_000_u32 {
            failures.count(Ipv4Addr::from_bits(0x0a00_0000 + i).into(), Duration::ZERO);
        }
        assert!(failures.buckets.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        assert!(!failures.count(address("192.0.2.1"), Duration::ZERO));
        assert!(failures.count(address("192.0.2.1"), Duration::from_secs(120)));
    }
}
