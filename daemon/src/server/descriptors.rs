//! How many connections there may be beside what the log itself opens.
//!
//! Problem: connections and files are counted by the system as one thing, file descriptors, and whoever opens connections could take those
//! with which the journal goes on. Mechanism: at the start the limit is raised as far as this process may, and there are only as many
//! places for connections as leave a reserve. A limit can also be lowered while the server runs, and something else may have taken
//! descriptors; so a connection whose own number lies in the last half of the reserve is closed at once: the system gives the lowest number that is free.
//! What the log needs of the reserve does not grow with it, since segments are mapped and their files closed: journal files, a few that
//! are being written or merged, files of trails, and connections to their sinks. Limits: where a process may have less than twice
//! [`RESERVE`], half is kept; trails with many sinks may need more than that.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave to journal, segments and sinks.
const RESERVE: u64 = 256;

/// How many descriptors of so many connections leave.
fn reserve(limit: u64) -> u64 {
    RESERVE.min(limit.div_ceil(2))
}

/// Raises the limit to what the system allows, and says how many connections there may be: as many as are wanted, or fewer.
#[must_use]
pub(super) fn places(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where it is not raised, the bound below is for what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let bound = most_connections(getrlimit(Resource::Nofile));
    let places = usize::try_from(bound).unwrap_or(usize::MAX).min(wanted);
    if places < wanted {
        tracing::warn!(
            connections_max = wanted,
            connections = places,
            "there are too few file descriptors (ulimit -n) for so many connections beside what the log needs"
        );
    }
    places
}

fn most_connections(limit: Rlimit) -> u64 {
    limit.current.map_or(u64::MAX, |limit| limit - reserve(limit))
}

/// Whether a connection has taken a descriptor that the log may need.
pub(super) fn is_of_reserve(connection: &impl AsRawFd) -> bool {
    let number = u64::try_from(connection.as_raw_fd()).unwrap_or(u64::MAX);
    is_last(number, getrlimit(Resource::Nofile))
}

/// The numbers of all connections that have a place may reach into the reserve, as far as what the server had open before; so it is the
/// upper half that is watched.
fn is_last(number: u64, limit: Rlimit) -> bool {
    limit.current.is_some_and(|limit| number >= limit - reserve(limit) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: u64) -> Rlimit {
        Rlimit { current: Some(limit), maximum: None }
    }

    #[test]
    fn the_log_keeps_its_part() {
        for (limit, connections, last) in [(0, 0, 0), (1, 0, 1), (64, 32, 48), (511, 255, 383), (512, 256, 384), (1_024, 768, 896)] {
            assert_eq!(most_connections(limited(limit)), connections, "{limit}");
            assert!(is_last(last, limited(limit)) && (last == 0 || !is_last(last - 1, limited(limit))), "{limit}");
        }
        let none = Rlimit { current: None, maximum: None };
        assert!(most_connections(none) == u64::MAX && !is_last(u64::MAX, none));
    }

    #[test]
    fn as_many_as_are_wanted_where_there_are_enough() {
        assert_eq!(places(1), 1);
        assert!(places(usize::MAX) >= 2);
        let file = tempfile::tempfile().unwrap();
        assert!(!is_of_reserve(&file));
    }
}
