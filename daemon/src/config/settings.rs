//! [`SETTINGS`]: every setting once, with its default and its meaning; [`Config`]: their values.
//!
//! The table is data: the loader, the help texts and the documentation are made from it, so that none of them can forget a
//! setting. A setting is read from text by its own function, whatever source the text came from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use trail_engine::options::Options;

use crate::config::tables::{KeyEntry, TrailEntry};
use crate::config::units::{parse_duration, parse_size};
use crate::dialect::OperatorDimension;
use crate::nearest::hint;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The values of all settings. `bytes` are bytes; durations are whole milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// The memory that the defaults were made smaller for, in bytes; `None` when there is enough.
    pub memory: Option<u64>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The directory of the log.
    pub data_dir: PathBuf,
    /// What the engine is opened with, but for the schema.
    pub engine: Options,
    /// The most bytes of a request body as sent.
    pub body_bytes_max: u64,
    /// The most bytes of a request body after decompression.
    pub body_decoded_bytes_max: u64,
    /// The most that a compressed body may unfold, as a multiple of its length; bodies that unfold to less than 1 MiB are excepted.
    pub body_ratio_max: u64,
    /// The most bytes of bodies that are held in memory at any time.
    pub inflight_bytes_max: u64,
    /// The free bytes on the disk below which the server says that it is not ready; 0 for none.
    pub disk_reserve: u64,
    /// The most bytes of segment files over the retention that wait for trails.
    pub hold_bytes_max: u64,
    /// The most bytes of answers that clients have not taken yet.
    pub answer_bytes_max: u64,
    /// The fewest bytes a second of an answer that waits for its client, on average, after `write_timeout`.
    pub answer_rate_min: u64,
    /// The longest block of request headers, in bytes.
    pub header_bytes_max: u64,
    /// The most connections.
    pub connections_max: usize,
    /// How long a client may take to send its headers.
    pub header_timeout: Duration,
    /// How long a client may take to send a whole body.
    pub body_timeout: Duration,
    /// The fewest bytes a second of a body, on average, after its first ten seconds.
    pub body_rate_min: u64,
    /// How long a connection may be silent between requests.
    pub idle_timeout: Duration,
    /// How long a client may take to accept the next bytes of an answer.
    pub write_timeout: Duration,
    /// How long requests may take to end after the signal to stop.
    pub drain_timeout: Duration,
    /// How many bodies are read into batches at the same time.
    pub ingest_threads: usize,
    /// How many queries run at the same time.
    pub query_threads: usize,
    /// How many queries may wait for a thread.
    pub query_queue_max: usize,
    /// How many clients may follow the log at the same time.
    pub tails_max: usize,
    /// How many failed authentications an address has a minute.
    pub auth_failures_per_minute: u32,
    /// Which log lines are written: a level, or `target=level` pairs.
    pub log_level: String,
    /// How they look.
    pub log_format: LogFormat,
    /// Who may do what; without keys only clients of this machine are served.
    pub keys: Vec<KeyEntry>,
    /// Dimensions beyond the built-in ones.
    pub dimensions: Vec<OperatorDimension>,
    /// Trails that are there from the start.
    pub trails: Vec<TrailEntry>,
}

impl Default for Config {
    fn default() -> Config {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Config {
            memory: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8700)),
            data_dir: PathBuf::from("./traild-data"),
            engine: Options::default(),
            body_bytes_max: 16 << 20,
            body_decoded_bytes_max: 64 << 20,
            body_ratio_max: 100,
            inflight_bytes_max: 256 << 20,
            disk_reserve: 256 << 20,
            hold_bytes_max: 10 << 30,
            answer_bytes_max: 256 << 20,
            answer_rate_min: 16 << 10,
            header_bytes_max: 16 << 10,
            connections_max: 1_024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            body_rate_min: 1_024,
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            ingest_threads: cores,
            query_threads: cores,
            query_queue_max: 64,
            tails_max: 32,
            auth_failures_per_minute: 30,
            log_level: "info".into(),
            log_format: LogFormat::Text,
            keys: Vec::new(),
            dimensions: Vec::new(),
            trails: Vec::new(),
        }
    }
}

/// One row of [`SETTINGS`].
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// The default, as it would be written; `cores` for the number of processors.
    pub default: &'static str,
    /// What it means, in one sentence.
    pub doc: &'static str,
    pub(crate) set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    /// The setting of this name in the file.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its name in the environment.
    #[must_use]
    pub fn environment(&self) -> String {
        format!("TRAILD_{}", self.name.to_uppercase())
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("name", &self.name).field("default", &self.default).finish_non_exhaustive()
    }
}

macro_rules! settings {
    ($($name:literal = $default:literal, $doc:literal, |$config:ident, $text:ident| $place:expr => $value:expr;)*) => {
        /// Every setting that the file, the environment and the flags can give, in the order of the documentation.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            default: $default,
            doc: $doc,
            set: |$config, $text| {
                $place = $value?;
                Ok(())
            },
        }),*];
    };
}

settings! {
    "listen" = "127.0.0.1:8700", "address and port to listen on; port 0 takes a free one",
        |c, t| c.listen => address(t);
    "data_dir" = "./traild-data", "directory of the log",
        |c, t| c.data_dir => directory(t);
    "retention" = "30d", "how long events are kept after they were received",
        |c, t| c.engine.retention => parse_duration(t);
    "read_only" = "false", "take no events and do no maintenance",
        |c, t| c.engine.read_only => boolean(t);
    "disk_reserve" = "256MiB", "free space on the disk below which `/readyz` says that the server is not ready",
        |c, t| c.disk_reserve => parse_size(t);
    "hold_bytes_max" = "10GiB", "most bytes of segments over the retention that wait for trails with `hold_retention`; above it the oldest are dropped",
        |c, t| c.hold_bytes_max => parse_size(t);
    "body_bytes_max" = "16MiB", "most bytes of a request body as sent",
        |c, t| c.body_bytes_max => parse_size(t);
    "body_decoded_bytes_max" = "64MiB", "most bytes of a body after decompression",
        |c, t| c.body_decoded_bytes_max => parse_size(t);
    "body_ratio_max" = "100", "most that a compressed body over 1 MiB may unfold, as a multiple",
        |c, t| c.body_ratio_max => number(t);
    "inflight_bytes_max" = "256MiB", "most bytes of bodies held in memory; above it clients are told to wait",
        |c, t| c.inflight_bytes_max => parse_size(t);
    "answer_bytes_max" = "256MiB", "most bytes of answers that clients have not taken yet; above it they are told to wait",
        |c, t| c.answer_bytes_max => parse_size(t);
    "answer_rate_min" = "16KiB", "fewest bytes a second of an answer that waits for its client; one that takes less is cut off after `write_timeout`",
        |c, t| c.answer_rate_min => parse_size(t);
    "header_bytes_max" = "16KiB", "longest block of request headers",
        |c, t| c.header_bytes_max => parse_size(t);
    "connections_max" = "1024", "most connections; fewer where file descriptors (`ulimit -n`) would not leave 256 to the log, or half",
        |c, t| c.connections_max => number(t);
    "header_timeout" = "10s", "longest time for the headers of a request",
        |c, t| c.header_timeout => parse_duration(t);
    "body_timeout" = "60s", "longest time for the body of a request",
        |c, t| c.body_timeout => parse_duration(t);
    "body_rate_min" = "1KiB", "fewest bytes a second of a body after its first ten seconds",
        |c, t| c.body_rate_min => parse_size(t);
    "idle_timeout" = "75s", "longest silence of a connection between requests",
        |c, t| c.idle_timeout => parse_duration(t);
    "write_timeout" = "30s", "longest time in which a client takes no byte of its answer",
        |c, t| c.write_timeout => parse_duration(t);
    "drain_timeout" = "10s", "longest time for open requests after the signal to stop",
        |c, t| c.drain_timeout => parse_duration(t);
    "ingest_threads" = "cores", "bodies that are read into batches at the same time",
        |c, t| c.ingest_threads => number(t);
    "query_threads" = "cores", "quick queries that run at the same time, and as many again that take long",
        |c, t| c.query_threads => number(t);
    "query_queue_max" = "64", "queries that may wait for a thread",
        |c, t| c.query_queue_max => number(t);
    "query_time_max" = "30s", "longest time of one query",
        |c, t| c.engine.query_time_max => parse_duration(t);
    "query_memory" = "256MiB", "most memory of the answer of one query",
        |c, t| c.engine.query_memory_bytes_max => parse_size(t);
    "tails_max" = "32", "clients that may follow the log at the same time",
        |c, t| c.tails_max => number(t);
    "head_bytes_max" = "96MiB", "memory at which the head is flushed to a segment",
        |c, t| c.engine.head_bytes_max => parse_size(t);
    "head_age_max" = "15m", "age at which the head is flushed to a segment",
        |c, t| c.engine.head_age_max => parse_duration(t);
    "journal_bytes" = "64MiB", "length to which a journal file is preallocated",
        |c, t| c.engine.journal_bytes => parse_size(t);
    "pending_bytes_max" = "128MiB", "most bytes of batches that wait for the writer",
        |c, t| c.engine.pending_bytes_max => parse_size(t);
    "segment_events_max" = "16000000", "events at which a segment is sealed",
        |c, t| c.engine.segment_events_max => number(t);
    "segment_bytes_max" = "1GiB", "length at which a segment is sealed",
        |c, t| c.engine.segment_bytes_max => parse_size(t);
    "seal_grace" = "15m", "time after the end of a day at which its segments are sealed",
        |c, t| c.engine.seal_grace => parse_duration(t);
    "merge_cpu_percent" = "50", "share of one core that merging segments may take, in percent; 0: nothing is merged",
        |c, t| c.engine.merge_cpu_percent => number(t);
    "clock_jump_max" = "26h", "how far the wall clock may be ahead of what retention trusts before that is reported as a problem",
        |c, t| c.engine.clock_jump_max => parse_duration(t);
    "auth_failures_per_minute" = "30", "failed authentications that an address has a minute",
        |c, t| c.auth_failures_per_minute => number(t);
    "log_level" = "info", "log lines to write: a level, or target=level pairs",
        |c, t| c.log_level => levels(t);
    "log_format" = "text", "text or json",
        |c, t| c.log_format => log_format(t);
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| format!("`{text}` is no address: write 127.0.0.1:8700 or [::]:8700"))
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the directory is empty".into()) } else { Ok(PathBuf::from(text)) }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn number<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let whole: u64 = text.trim().replace('_', "").parse().map_err(|_| format!("`{text}` is no whole number"))?;
    N::try_from(whole).map_err(|_| format!("`{text}` is too large"))
}

/// Levels as `tracing` reads them: one for all, or one a target. To `tracing` a bare word that is no level is the name of a target, so
/// that `inof` would turn every line off; here it must be a level.
fn levels(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').map(str::trim) {
        let (target, level) = part.split_once('=').map_or((None, part), |(target, level)| (Some(target.trim()), level.trim()));
        let lower = level.to_ascii_lowercase();
        if !LEVELS.contains(&lower.as_str()) {
            let near = hint(&lower, LEVELS);
            return Err(format!("`{level}` is no log level: there are off, error, warn, info, debug and trace{near}"));
        }
        if target.is_some_and(str::is_empty) {
            return Err(format!("`{part}` has no target: write target=level, such as traild=debug"));
        }
    }
    let known = text.parse::<tracing_subscriber::filter::Targets>();
    known.map(|_| text.to_owned()).map_err(|e| format!("`{text}` cannot be read: {e}"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is no log format: write text or json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_defaults_are_the_defaults() {
        let mut config = Config::default();
        for setting in SETTINGS.iter().filter(|s| s.default != "cores") {
            (setting.set)(&mut config, setting.default).unwrap_or_else(|e| panic!("{}: {e}", setting.name));
        }
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn every_setting_has_one_name_and_refuses_nonsense() {
        for setting in SETTINGS {
            assert_eq!(Setting::named(setting.name).map(|found| found.doc), Some(setting.doc));
            assert_eq!(SETTINGS.iter().filter(|s| s.name == setting.name).count(), 1, "{}", setting.name);
            if setting.name != "data_dir" {
                assert!((setting.set)(&mut Config::default(), "no such = thing!").is_err(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "OFF", "warn,traild=debug", "traild::api=trace", "info, trail_engine=warn"] {
            assert_eq!(levels(good), Ok(good.to_owned()));
        }
        assert!(levels("inof").unwrap_err().ends_with("trace; did you mean `info`?"), "{:?}", levels("inof"));
        for wrong in ["loud", "", "traild", "info,traild", "traild=loud", "=info", "info,", "traild="] {
            assert!(levels(wrong).is_err(), "{wrong}");
        }
    }
}
