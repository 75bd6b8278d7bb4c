//! [`Process`]: what the kernel's account says about a process, by its number.

use crate::failure::Result;

/// The kernel counts CPU time in ticks of this length; it is 1/100 s on every Linux of today.
const TICK_SECONDS: f64 = 0.01;

/// A process that may be looked at; it may end at any time, and then nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    id: u32,
}

impl Process {
    /// The process with this number.
    #[must_use]
    pub fn of(id: u32) -> Process {
        Process { id }
    }

    /// The one that asks.
    #[must_use]
    pub fn this() -> Process {
        Process { id: std::process::id() }
    }

    /// CPU seconds since it was started, user and system, all threads, in steps of 10 ms. `None` when it is gone.
    #[must_use]
    pub fn cpu_seconds(self) -> Option<f64> {
        cpu_seconds_of(&self.stat().ok()?)
    }

    /// CPU seconds of those of its threads that have this name now, to the nanosecond where the kernel counts so. `None` when it is gone.
    #[must_use]
    pub fn thread_cpu_seconds(self, name: &str) -> Option<f64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id)).ok()?;
        let named = tasks.flatten().map(|task| task.path()).filter(|task| {
            // A thread that has ended meanwhile has no name.
            std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        });
        Some(named.filter_map(|task| schedule_seconds_of(&std::fs::read_to_string(task.join("schedstat")).ok()?)).sum())
    }

    /// The most memory it has had in its whole life, in bytes.
    #[must_use]
    pub fn peak_memory(self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// The memory it has, in bytes.
    #[must_use]
    pub fn memory(self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The memory it has that is no file's, in bytes.
    #[must_use]
    pub fn anonymous_memory(self) -> Option<u64> {
        self.status("RssAnon:")
    }

    /// The CPU seconds of its whole life, once it has ended and is not yet waited for by who started it.
    pub(crate) fn ended(self) -> Result<Option<f64>> {
        let text = self.stat()?;
        let ended = text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
        if !ended {
            return Ok(None);
        }
        cpu_seconds_of(&text).map(Some).ok_or_else(|| "the kernel's account cannot be read".into())
    }

    fn stat(self) -> std::io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/stat", self.id))
    }

    fn status(self, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    }
}

fn cpu_seconds_of(stat: &str) -> Option<f64> {
    // The name may hold blanks and parentheses; what follows the last one is fields 3 and on, of which 14 and 15 are the times.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 * TICK_SECONDS)
}

/// The first field is the time on a core, in nanoseconds.
fn schedule_seconds_of(schedstat: &str) -> Option<f64> {
    schedstat.split(' ').next()?.parse::<u64>().ok().map(|nanos| nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_process_is_read() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(cpu_seconds_of(stat), Some(2.0));
        assert_eq!(cpu_seconds_of("42 (x) S 1"), None);
    }

    #[test]
    fn threads_are_known_by_their_names() {
        let stop = std::sync::atomic::AtomicBool::new(false);
        let ordering = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            let busy = std::thread::Builder::new().name("rig-busy".into());
            busy.spawn_scoped(scope, || {
                while !stop.load(ordering) {
                    std::hint::spin_loop()
                }
            })
            .unwrap();
            let seconds = || Process::this().thread_cpu_seconds("rig-busy").unwrap();
            while seconds() < 0.01 {}
            stop.store(true, ordering);
        });
        assert_eq!(Process::this().thread_cpu_seconds("rig-nobody"), Some(0.0));
        assert_eq!(Process::of(u32::MAX).thread_cpu_seconds("rig-busy"), None);
        assert_eq!((schedule_seconds_of("1500000000 7 3"), schedule_seconds_of("")), (Some(1.5), None));
    }

    #[test]
    fn this_process_has_an_account_and_one_that_is_not_there_has_none() {
        let this = Process::this();
        let (memory, peak) = (this.memory().unwrap(), this.peak_memory().unwrap());
        assert!(this.anonymous_memory().is_some_and(|anonymous| anonymous > 1 << 16 && anonymous < 2 * memory));
        assert!(this.cpu_seconds().is_some() && memory > 1 << 16 && peak > 1 << 16, "{memory} {peak}");
        let gone = Process::of(u32::MAX);
        assert!(gone.cpu_seconds().is_none() && gone.memory().is_none());
    }
}
