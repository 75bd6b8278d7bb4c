//! Every metric in one table, and the counters behind the live ones.
//!
//! What the engine and the system count is read when somebody asks; what the server counts is counted as it happens. The text is
//! OpenMetrics 1.0. Names follow its rules: units end the name, the encoder adds `_total` to counters.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use trail_engine::{Health, Receipt, Stats};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One row of [`METRICS`].
#[derive(Debug)]
pub struct Row {
    /// Its name, without the suffix that its kind adds.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Where the value comes from.
    pub source: Source,
}

/// Where the value of a metric comes from.
#[derive(Debug)]
pub enum Source {
    /// Counted by the server as it happens.
    Live,
    /// A sum that only grows, read when asked for.
    Counter(fn(&Snapshot<'_>) -> f64),
    /// A state, read when asked for.
    Gauge(fn(&Snapshot<'_>) -> f64),
}

/// What is read when somebody asks.
#[derive(Debug)]
pub struct Snapshot<'a> {
    stats: &'a Stats,
    health: &'a Health,
    body_bytes: u64,
    answer_bytes: u64,
    process: Process,
}

/// What is reserved of the server's budgets of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reserved {
    /// Of request bodies.
    pub body_bytes: u64,
    /// Of answers.
    pub answer_bytes: u64,
}

const fn live(name: &'static str, help: &'static str) -> Row {
    Row { name, help, source: Source::Live }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Snapshot<'_>) -> f64) -> Row {
    Row { name, help, source: Source::Counter(read) }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Snapshot<'_>) -> f64) -> Row {
    Row { name, help, source: Source::Gauge(read) }
}

const REQUESTS: &str = "traild_http_requests";
const REQUEST_SECONDS: &str = "traild_http_request_seconds";
const INFLIGHT: &str = "traild_http_requests_inflight";
const CONNECTIONS: &str = "traild_http_connections";
const AUTH_FAILURES: &str = "traild_auth_failures";
const BODY_BYTES: &str = "traild_ingest_body_bytes";
const ACCEPTED: &str = "traild_ingest_accepted_events";
const DUPLICATES: &str = "traild_ingest_duplicate_events";
const REJECTED: &str = "traild_ingest_rejected_events";
const TRAIL_EVENTS: &str = "traild_trail_delivered_events";
const TRAIL_OBJECTS: &str = "traild_trail_delivered_objects";
const TRAIL_BYTES: &str = "traild_trail_delivered_bytes";
const TRAIL_FAILURES: &str = "traild_trail_failed_attempts";
const TRAIL_DEAD: &str = "traild_trail_dead_letters";
const TRAIL_LOST: &str = "traild_trail_lost_events";
const READINGS: &str = "traild_trails_readings";
const READ_EVENTS: &str = "traild_trails_read_events";

/// Every metric.
pub const METRICS: &[Row] = &[
    live(REQUESTS, "requests by route, method and status"),
    live(REQUEST_SECONDS, "time until the head of the answer, by route"),
    live(INFLIGHT, "requests whose answer has not started"),
    live(CONNECTIONS, "open connections"),
    live(AUTH_FAILURES, "requests without a key that may do what they ask"),
    live(BODY_BYTES, "bytes of event bodies as sent"),
    live(ACCEPTED, "events stored over HTTP"),
    live(DUPLICATES, "events sent over HTTP that were stored already"),
    live(REJECTED, "events sent over HTTP that cannot be stored"),
    live(TRAIL_EVENTS, "events delivered, by trail and sink"),
    live(TRAIL_OBJECTS, "objects or requests that they took"),
    live(TRAIL_BYTES, "bytes of these"),
    live(TRAIL_FAILURES, "deliveries that were not taken and are tried again or given up"),
    live(TRAIL_DEAD, "events that a sink refused for good"),
    live(TRAIL_LOST, "events that were dropped or damaged before they could be delivered"),
    live(READINGS, "readings of the log, each for all trails that are near"),
    live(READ_EVENTS, "events that they brought; one that several trails deliver counts once for each reading"),
    gauge("traild_ingest_reserved_bytes", "bytes of bodies in memory", |s| s.body_bytes as f64),
    gauge("traild_answer_reserved_bytes", "bytes of answers that clients have not taken yet", |s| s.answer_bytes as f64),
    gauge("traild_log_writable", "1 while events are taken", |s| f64::from(u8::from(s.health.writable))),
    gauge("traild_log_problems", "what needs an operator", |s| s.health.problems.len() as f64),
    gauge("traild_log_events", "events that can be queried", |s| s.stats.events as f64),
    gauge("traild_log_event_bytes", "bytes of their text", |s| s.stats.event_bytes as f64),
    gauge("traild_log_last_sequence", "last durable sequence", |s| s.stats.last_sequence.map_or(0.0, |q| q.0 as f64)),
    gauge("traild_log_segments", "segments", |s| s.stats.segments as f64),
    gauge("traild_log_segment_bytes", "bytes of segment files", |s| s.stats.segment_bytes as f64),
    gauge("traild_log_journal_bytes", "bytes of journal files", |s| s.stats.journal_bytes as f64),
    gauge("traild_log_head_events", "events in no segment yet", |s| s.stats.head_events as f64),
    gauge("traild_log_head_bytes", "memory of the heads", |s| s.stats.head_bytes as f64),
    counter("traild_log_appended_events", "events appended", |s| s.stats.appended_events as f64),
    counter("traild_log_appended_bytes", "bytes of events appended", |s| s.stats.appended_bytes as f64),
    counter("traild_log_duplicate_events", "exact copies that were not stored again", |s| s.stats.duplicate_events as f64),
    counter("traild_log_commits", "groups of batches that were synced together", |s| s.stats.commits as f64),
    counter("traild_log_flushes", "segments flushed", |s| s.stats.flushes as f64),
    counter("traild_log_compacted_segments", "segments merged away", |s| s.stats.compacted_segments as f64),
    counter("traild_log_expired_segments", "segments dropped by retention", |s| s.stats.expired_segments as f64),
    gauge("traild_log_held_bytes", "bytes of segments over the retention that wait for trails", |s| s.stats.held_bytes as f64),
    counter("traild_log_let_go_events", "events that trails held and that were dropped undelivered, because too much waited", |s| {
        s.stats.let_go_events as f64
    }),
    counter("traild_log_quarantined", "damaged parts set aside", |s| s.stats.quarantined as f64),
    gauge("process_resident_memory_bytes", "resident memory", |s| s.process.resident_bytes),
    counter("process_cpu_seconds", "processor time", |s| s.process.cpu_seconds),
];

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    route: &'static str,
    method: &'static str,
    status: u16,
}

/// What their times are kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: &'static str,
}

/// The counters of the server. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<ByStatus, Counter>,
    seconds: Family<ByRoute, Histogram, fn() -> Histogram>,
    inflight: Gauge,
    connections: Gauge,
    auth_failures: Counter,
    body_bytes: Counter,
    accepted: Counter,
    duplicates: Counter,
    rejected: Counter,
    trails: TrailFamilies,
    readings: Counter,
    read_events: Counter,
}

/// What deliveries are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    trail: String,
    sink: String,
}

type ByTrail = Family<Delivery, Counter>;

/// What is counted of every sink of every trail.
#[derive(Debug, Clone)]
struct TrailFamilies {
    events: ByTrail,
    objects: ByTrail,
    bytes: ByTrail,
    failures: ByTrail,
    dead_letters: ByTrail,
    lost: ByTrail,
}

impl TrailFamilies {
    fn new(registry: &mut Registry) -> TrailFamilies {
        let mut family = |name| added(registry, name, ByTrail::default());
        TrailFamilies {
            events: family(TRAIL_EVENTS),
            objects: family(TRAIL_OBJECTS),
            bytes: family(TRAIL_BYTES),
            failures: family(TRAIL_FAILURES),
            dead_letters: family(TRAIL_DEAD),
            lost: family(TRAIL_LOST),
        }
    }
}

/// What is counted of one sink of a trail.
#[derive(Debug, Clone)]
pub struct TrailCounters {
    /// Events that arrived.
    pub events: Counter,
    /// Objects or requests that they took.
    pub objects: Counter,
    /// Bytes of these.
    pub bytes: Counter,
    /// Attempts that failed.
    pub failures: Counter,
    /// Events that were refused for good.
    pub dead_letters: Counter,
    /// Events that were gone before they could be delivered.
    pub lost: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

fn latency() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// Counts something for as long as it is held.
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Metrics {
        let mut registry = Registry::default();
        let live = &mut registry;
        Metrics {
            requests: added(live, REQUESTS, Family::default()),
            seconds: added(live, REQUEST_SECONDS, Family::new_with_constructor(latency)),
            inflight: added(live, INFLIGHT, Gauge::default()),
            connections: added(live, CONNECTIONS, Gauge::default()),
            auth_failures: added(live, AUTH_FAILURES, Counter::default()),
            body_bytes: added(live, BODY_BYTES, Counter::default()),
            accepted: added(live, ACCEPTED, Counter::default()),
            duplicates: added(live, DUPLICATES, Counter::default()),
            rejected: added(live, REJECTED, Counter::default()),
            trails: TrailFamilies::new(live),
            readings: added(live, READINGS, Counter::default()),
            read_events: added(live, READ_EVENTS, Counter::default()),
            registry: Arc::new(registry),
        }
    }

    /// A request was answered. `route` is a path of the route table, so that the number of series is bounded.
    pub fn request(&self, route: &'static str, method: &'static str, status: u16, elapsed: Duration) {
        self.requests.get_or_create(&ByStatus { route, method, status }).inc();
        self.seconds.get_or_create(&ByRoute { route }).observe(elapsed.as_secs_f64());
    }

    /// A request is on its way.
    #[must_use]
    pub fn inflight(&self) -> Held {
        self.inflight.inc();
        Held(self.inflight.clone())
    }

    /// A connection is open.
    #[must_use]
    pub fn connection(&self) -> Held {
        self.connections.inc();
        Held(self.connections.clone())
    }

    /// A request had no key that may do what it asked.
    pub fn auth_failure(&self) {
        self.auth_failures.inc();
    }

    /// A body of events came, so long as it was sent.
    pub fn body_bytes(&self, bytes: u64) {
        self.body_bytes.inc_by(bytes);
    }

    /// Events were stored, known or refused.
    pub fn appended(&self, receipt: &Receipt, rejected: u64) {
        self.accepted.inc_by(receipt.accepted);
        self.duplicates.inc_by(receipt.duplicates);
        self.rejected.inc_by(rejected);
    }

    /// The log was read for trails, and so many events came of it.
    pub fn read_for_trails(&self, events: usize) {
        self.readings.inc();
        self.read_events.inc_by(events as u64);
    }

    /// The counters of one sink of a trail.
    #[must_use]
    pub fn trail(&self, trail: &str, sink: &str) -> TrailCounters {
        let labels = Delivery { trail: trail.to_owned(), sink: sink.to_owned() };
        let of = |family: &ByTrail| family.get_or_create(&labels).clone();
        let all = &self.trails;
        TrailCounters {
            events: of(&all.events),
            objects: of(&all.objects),
            bytes: of(&all.bytes),
            failures: of(&all.failures),
            dead_letters: of(&all.dead_letters),
            lost: of(&all.lost),
        }
    }

    /// All metrics as text.
    #[must_use]
    pub fn render(&self, stats: &Stats, health: &Health, reserved: Reserved) -> String {
        let Reserved { body_bytes, answer_bytes } = reserved;
        let snapshot = Snapshot { stats, health, body_bytes, answer_bytes, process: Process::read() };
        let mut read = Registry::default();
        for row in METRICS {
            match row.source {
                Source::Live => {}
                Source::Counter(value) => read.register(row.name, row.help, ConstCounter::new(value(&snapshot))),
                Source::Gauge(value) => read.register(row.name, row.help, ConstGauge::new(value(&snapshot))),
            }
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &read))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

/// A metric of the server, known to the registry by its row in [`METRICS`].
fn added<M: Metric + Clone>(registry: &mut Registry, name: &'static str, metric: M) -> M {
    let help = METRICS.iter().find(|row| row.name == name).map_or("", |row| row.help);
    registry.register(name, help, metric.clone());
    metric
}

/// What the system knows about this process; zero where it does not tell.
#[derive(Debug, Clone, Copy, Default)]
struct Process {
    resident_bytes: f64,
    cpu_seconds: f64,
}

impl Process {
    fn read() -> Process {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Process { resident_bytes: resident_bytes(&status).unwrap_or(0.0), cpu_seconds: cpu_seconds(&stat).unwrap_or(0.0) }
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1_024.0)
}

/// User and system time are the 12th and 13th field after the name in brackets, in hundredths of a second on Linux.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

#[cfg(test)]
mod tests {
    use trail_engine::id::Sequence;

    use super::*;

    #[test]
    fn every_row_is_rendered_and_counts() {
        let metrics = Metrics::new();
        metrics.request("/v1/count", "GET", 200, Duration::from_millis(3));
        let receipt = Receipt { accepted: 5, duplicates: 1, first_sequence: Some(Sequence(1)), last_sequence: Some(Sequence(5)) };
        metrics.appended(&receipt, 2);
        metrics.trail("all", "file-0").events.inc_by(3);
        metrics.read_for_trails(4);
        metrics.read_for_trails(0);
        let stats = Stats { events: 42, commits: 7, ..Stats::default() };
        let health = Health { writable: true, ..Health::default() };
        let text = metrics.render(&stats, &health, Reserved { body_bytes: 9, answer_bytes: 11 });
        for row in METRICS {
            assert!(text.contains(&format!("# HELP {} {}", row.name, row.help)), "{} is missing", row.name);
        }
        for line in [
            "traild_http_requests_total{route=\"/v1/count\",method=\"GET\",status=\"200\"} 1",
            "traild_ingest_accepted_events_total 5",
            "traild_ingest_rejected_events_total 2",
            "traild_trail_delivered_events_total{trail=\"all\",sink=\"file-0\"} 3",
            "traild_trails_readings_total 2",
            "traild_trails_read_events_total 4",
            "traild_ingest_reserved_bytes 9",
            "traild_answer_reserved_bytes 11",
            "traild_log_writable 1",
            "traild_log_events 42",
            "traild_log_commits_total 7",
        ] {
            assert!(text.contains(line), "`{line}` is not in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_held_is_given_back() {
        let metrics = Metrics::new();
        let held = metrics.inflight();
        assert_eq!(metrics.inflight.get(), 1);
        drop(held);
        assert_eq!(metrics.inflight.get(), 0);
    }

    #[test]
    fn reads_what_linux_writes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
        assert_eq!(cpu_seconds("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0"), Some(2.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}
