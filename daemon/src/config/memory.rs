//! [`memory_of_system`]: how much memory this process may have; [`Config::within`]: defaults that fit into it.
//!
//! The written defaults are for 1.5 GiB, which is what all that may be held at once comes to: three heads, batches that wait, bodies,
//! answers, caches, a merge, and what the allocator keeps. With less, those defaults become smaller in proportion, so that a server in
//! a small container is slow or says 429 where it would otherwise be ended by the system. What an operator sets is taken as it is.
//! Limits: the memory of a merge grows with its segments too; a limit that changes while the server runs is not seen.

use std::path::{Path, PathBuf};

use super::settings::Config;

/// What the written defaults are for.
const ENOUGH: u64 = 1_536 << 20;
/// Below this the defaults get no smaller: less does not carry a server under load.
const LEAST: u64 = 96 << 20;

/// The least of what the machine has and what the control groups of this process allow, in bytes. `None` where neither says anything.
#[must_use]
pub fn memory_of_system() -> Option<u64> {
    limit(&|path| std::fs::read_to_string(path).ok())
}

fn limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let allowed = groups.lines().filter_map(|line| file_of(line)).flat_map(|(root, group, file)| {
        // In a container the group may be named as the host sees it, and lie at the root of what is mounted.
        let groups: Vec<PathBuf> = Path::new(group).ancestors().map(|group| root.join(group.strip_prefix("/").unwrap_or(group))).collect();
        groups.into_iter().filter_map(move |group| read(&group.join(file))?.trim().parse().ok())
    });
    allowed.chain(total(&read(Path::new("/proc/meminfo")).unwrap_or_default())).min()
}

/// Where the memory groups of a line of `/proc/self/cgroup` are mounted, the group, and the file with its limit.
fn file_of(line: &str) -> Option<(&'static Path, &str, &'static str)> {
    let mut words = line.splitn(3, ':').skip(1);
    let (controllers, group) = (words.next()?, words.next()?);
    match controllers {
        "" => Some((Path::new("/sys/fs/cgroup"), group, "memory.max")),
        _ if controllers.split(',').any(|name| name == "memory") => {
            Some((Path::new("/sys/fs/cgroup/memory"), group, "memory.limit_in_bytes"))
        }
        _ => None,
    }
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

impl Config {
    /// The defaults for a process that may have so many bytes of memory.
    #[must_use]
    pub fn within(memory: u64) -> Config {
        let mut config = Config::default();
        if memory < ENOUGH {
            let used = memory.max(LEAST);
            // Whole pages; u128, so that no size is too large to be multiplied.
            let fit = |bytes: u64| u64::try_from(u128::from(bytes) * u128::from(used) / u128::from(ENOUGH)).unwrap_or(bytes) & !4_095;
            config.memory = Some(memory);
            let engine = &mut config.engine;
            let engine = [&mut engine.head_bytes_max, &mut engine.pending_bytes_max, &mut engine.work_bytes_max];
            let query = [&mut config.answer_bytes_max, &mut config.inflight_bytes_max, &mut config.body_decoded_bytes_max];
            engine.into_iter().chain(query).for_each(|bytes| *bytes = fit(*bytes));
            config.engine.query_memory_bytes_max = fit(config.engine.query_memory_bytes_max);
            config.body_bytes_max = config.body_bytes_max.min(config.body_decoded_bytes_max);
        }
        config
    }

    /// Where a default was made smaller and what it must go with was set, the default follows.
    pub(super) fn reconcile(&mut self, defaults: &Config) {
        if self.memory.is_none() {
            return;
        }
        if self.body_decoded_bytes_max == defaults.body_decoded_bytes_max {
            self.body_decoded_bytes_max = self.body_decoded_bytes_max.max(self.body_bytes_max);
        }
        if self.body_bytes_max == defaults.body_bytes_max {
            self.body_bytes_max = self.body_bytes_max.min(self.body_decoded_bytes_max);
        }
        if self.inflight_bytes_max == defaults.inflight_bytes_max {
            self.inflight_bytes_max = self.inflight_bytes_max.max(self.body_decoded_bytes_max.saturating_mul(2));
        }
    }

    /// One line for the log, when there is less memory than the written defaults are for.
    #[must_use]
    pub fn about_memory(&self) -> Option<String> {
        let memory = self.memory?;
        let mib = |bytes: u64| bytes >> 20;
        let engine = &self.engine;
        let fitted = format!(
            "{} MiB of memory: heads of {} MiB, {} MiB of batches that wait, {} MiB of bodies, bodies of at most {} MiB, {} MiB of answers",
            mib(memory),
            mib(engine.head_bytes_max),
            mib(engine.pending_bytes_max),
            mib(self.inflight_bytes_max),
            mib(self.body_decoded_bytes_max),
            mib(self.answer_bytes_max),
        );
        let little = format!("; that is too little: at least {} MiB are needed under load", mib(LEAST));
        Some(fitted + if memory < LEAST { &little } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Option<u64> {
        limit(&|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_least_of_all_limits_counts() {
        let machine = ("/proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[machine]), Some(8_000_000 << 10));
        let unified = ("/proc/self/cgroup", "0::/a/b\n");
        let (max, none) = (("/sys/fs/cgroup/a/memory.max", "268435456\n"), ("/sys/fs/cgroup/a/b/memory.max", "max\n"));
        assert_eq!(of(&[machine, unified, max, none]), Some(256 << 20));
        let old = ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/12\n0::/\n");
        let root = ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
        assert_eq!(of(&[machine, old, root]), Some(128 << 20));
        assert_eq!(of(&[machine, ("/proc/self/cgroup", "nonsense\n::\n")]), Some(8_000_000 << 10));
    }

    #[test]
    fn defaults_fit_and_what_is_set_stays() {
        assert_eq!(format!("{:?}", Config::within(ENOUGH)), format!("{:?}", Config::default()));
        for memory in [0, 64 << 20, 256 << 20, 1 << 30] {
            let config = Config::within(memory);
            assert_eq!(config.problems(), Vec::<String>::new(), "{memory}");
            assert_eq!(config.about_memory().is_some_and(|line| line.contains("too little")), memory < LEAST);
        }
        let small = Config::within(256 << 20);
        assert_eq!((small.engine.head_bytes_max, small.engine.work_bytes_max >> 20), (16 << 20, 42));
        for (name, value) in [("BODY_DECODED_BYTES_MAX", "64MiB"), ("BODY_BYTES_MAX", "30MiB"), ("INFLIGHT_BYTES_MAX", "256MiB")] {
            let set = [(format!("TRAILD_{name}"), value.to_owned()), ("TRAILD_HEAD_BYTES_MAX".to_owned(), "77MiB".to_owned())];
            let config = small.clone().load_onto(None, set, &super::super::Overrides::default()).unwrap();
            assert_eq!(config.engine.head_bytes_max, 77 << 20);
            assert_eq!(config.engine.pending_bytes_max, small.engine.pending_bytes_max);
        }
    }
}
