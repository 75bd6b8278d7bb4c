//! [`Progress`]: a bar on the terminal for work that takes long. Without a terminal it draws nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::cli::terminal::output::tell;
use crate::cli::terminal::text::{bytes, counted, printable, thousands};

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(120);

/// A bar over bytes read, with a count of events. Can be used from several threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    bytes: AtomicU64,
    events: AtomicU64,
}

impl Progress {
    /// A bar that is full at `total` bytes; without a number nobody knows how much comes.
    #[must_use]
    pub fn new(total: Option<u64>) -> Progress {
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:20} {percent:>3}%  {msg}  {prefix}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}  {prefix}"),
        };
        // The templates are fixed; should one not parse, the default bar is shown.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(TICK);
        Progress { bar, bytes: AtomicU64::new(0), events: AtomicU64::new(0) }
    }

    /// So many bytes of input were read.
    pub fn read(&self, count: u64) {
        let read = self.bytes.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        self.bar.set_position(read);
    }

    /// So many events are stored.
    pub fn stored(&self, count: u64) {
        let events = self.events.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let read = self.bytes.load(Ordering::Relaxed);
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        let rate = events as f64 / seconds;
        let left = self.bar.length().and_then(|total| time_left(self.bar.elapsed(), read, total));
        let left = left.map(|left| format!("  {:#} left", HumanDuration(left))).unwrap_or_default();
        self.bar.set_message(format!("{}  {}/s  {}{left}", counted(events, "event"), thousands(rate as u64), bytes(read)));
    }

    /// So many bytes of so many are done, now of this.
    pub fn at(&self, about: &str, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        let left = time_left(self.bar.elapsed(), done, total).map(|left| format!("  {:#} left", HumanDuration(left))).unwrap_or_default();
        self.bar.set_message(format!("{} of {}{left}", bytes(done), bytes(total)));
        self.about(about);
    }

    /// What is being done, or waited for.
    pub fn about(&self, text: &str) {
        self.bar.set_prefix(printable(text));
    }

    /// Prints a line above the bar, on standard error.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| tell(text));
    }

    /// Takes the bar away and gives the time since it was made.
    pub fn finish(&self) -> Duration {
        let elapsed = self.bar.elapsed();
        self.bar.finish_and_clear();
        elapsed
    }
}

/// How long the rest takes at the pace so far; a pace is known after a second.
fn time_left(elapsed: Duration, read: u64, total: u64) -> Option<Duration> {
    if elapsed < Duration::from_secs(1) || read == 0 {
        return None;
    }
    let rest = total.saturating_sub(read) as f64 / read as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace_once_there_is_one() {
        let seconds = Duration::from_secs;
        assert_eq!(time_left(Duration::from_millis(900), 10, 100), None);
        assert_eq!(time_left(seconds(5), 0, 100), None);
        assert_eq!(time_left(seconds(5), 25, 100), Some(seconds(15)));
        assert_eq!(time_left(seconds(5), 120, 100), Some(seconds(0)));
    }
}
