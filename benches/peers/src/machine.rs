//! Where and when a comparison was run, for its record.

use std::process::{Command, Stdio};

use trail_rig::epoch_seconds;

/// The kind of CPU, its cores and the memory, as the kernel tells them.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown CPU", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    format!("{model}, {cores} cores, {:.0} GiB", kib.unwrap_or_default() / f64::from(1 << 20))
}

/// How many programs wanted to run in the last minute, which says whether the machine was quiet.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

/// The commit of this tree, and whether the server has changes beyond it.
pub(crate) fn commit() -> String {
    let git = |words: &[&str]| {
        let out = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(words).stdin(Stdio::null()).output().ok()?;
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    let same = git(&["status", "--porcelain", "--untracked-files=no", "--", "../../engine", "../../daemon"])
        .is_some_and(|changes| changes.is_empty());
    if same { commit } else { format!("{commit} with changes") }
}

/// Today, like 2026-11-22, by this machine's clock.
pub(crate) fn today() -> String {
    date(epoch_seconds().div_euclid(86_400))
}

/// A day since 1970-01-01 in the civil calendar: years begin in March, so that the day that is sometimes missing is the last.
fn date(day: i64) -> String {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let days = [(0, "1970-01-01"), (19_782, "2024-02-29"), (19_783, "2024-03-01"), (20_779, "2026-11-22"), (-1, "1969-12-31")];
        for (day, expected) in days {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn this_machine_says_what_it_is() {
        assert!(machine().contains(" cores, ") && !machine().contains(", 0 cores"), "{}", machine());
    }
}
