//! [`Report`]: the figures of a run, for people and for machines.

use serde_json::{Value, json};
use trail_rig::{grouped, mebibytes};

use crate::drive::Driven;

/// The quantiles of latency, and how they are called.
const QUANTILES: [(f64, &str); 5] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")];

/// What was measured; `None` where nothing is known of the server's process.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) driven: Driven,
    pub(crate) own_cpu: Option<f64>,
    /// The most memory that the generator had, in bytes.
    pub(crate) own_memory_peak: Option<u64>,
    /// Until the last answer.
    pub(crate) server_cpu: Option<f64>,
    /// Until the process ended.
    pub(crate) server_cpu_ended: Option<f64>,
    pub(crate) server_memory: Option<u64>,
    pub(crate) server_memory_peak: Option<u64>,
}

impl Report {
    /// Whether every event was accepted.
    pub(crate) fn is_good(&self) -> bool {
        self.driven.tally.refused() == 0 && self.driven.tally.events > 0
    }

    fn a_second(&self, count: u64) -> f64 {
        count as f64 / self.driven.time.as_secs_f64().max(1e-9)
    }

    fn each_million(&self, seconds: Option<f64>) -> Option<f64> {
        seconds.filter(|_| self.driven.tally.events > 0).map(|seconds| seconds * 1e6 / self.driven.tally.events as f64)
    }

    /// Lines of text.
    pub(crate) fn text(&self) -> String {
        let tally = &self.driven.tally;
        let seconds = self.driven.time.as_secs_f64();
        let (rate, megabytes) = (grouped(self.a_second(tally.events) as u64), self.a_second(tally.bytes) / 1e6);
        let mut out = format!("{} events in {} requests accepted in {seconds:.2} s\n", grouped(tally.events), grouped(tally.requests));
        out.push_str(&format!("{rate} events/s, {megabytes:.1} MB/s\n"));
        let latency: Vec<String> = QUANTILES.iter().map(|(part, name)| format!("{name} {:.2}", tally.milliseconds(*part))).collect();
        out.push_str(&format!("latency ms: {}\n", latency.join(", ")));
        let mut cpu = |name: &str, seconds: Option<f64>| {
            if let Some((each, seconds)) = self.each_million(seconds).zip(seconds) {
                out.push_str(&format!("{name}: {seconds:.2} CPU s, {each:.2} a million events\n"));
            }
        };
        cpu("this generator", self.own_cpu);
        cpu("server, until the last answer", self.server_cpu);
        cpu("server, until it ended", self.server_cpu_ended);
        if let Some(peak) = self.own_memory_peak {
            out.push_str(&format!("this generator's memory: {} at most\n", mebibytes(peak)));
        }
        if let Some((peak, end)) = self.server_memory_peak.zip(self.server_memory) {
            out.push_str(&format!("server memory: {} at most, {} at the end\n", mebibytes(peak), mebibytes(end)));
        }
        if tally.warm_events > 0 {
            out.push_str(&format!("{} events before, to warm up\n", grouped(tally.warm_events)));
        }
        if tally.waits > 0 {
            out.push_str(&format!("{} answers said to wait\n", grouped(tally.waits)));
        }
        for (reason, refusal) in &tally.refusals {
            out.push_str(&format!("NOT ACCEPTED: {} events of {} requests: {reason}", grouped(refusal.events), grouped(refusal.requests)));
            out.push_str(&format!("{}{}\n", if refusal.said.is_empty() { "" } else { ": " }, refusal.said));
        }
        out
    }

    /// One object; times in seconds and milliseconds, memory in bytes.
    pub(crate) fn json(&self) -> Value {
        let tally = &self.driven.tally;
        let latency: serde_json::Map<String, Value> =
            QUANTILES.iter().map(|(part, name)| ((*name).to_owned(), json!(tally.milliseconds(*part)))).collect();
        let refused = |(reason, r): (&String, &crate::tally::Refusal)| json!({"reason": reason, "requests": r.requests, "events": r.events, "said": r.said});
        json!({
            "events": tally.events,
            "requests": tally.requests,
            "bytes": tally.bytes,
            "seconds": self.driven.time.as_secs_f64(),
            "events_per_second": self.a_second(tally.events),
            "megabytes_per_second": self.a_second(tally.bytes) / 1e6,
            "latency_ms": latency,
            "warm_up_events": tally.warm_events,
            "waits": tally.waits,
            "not_accepted": tally.refused(),
            "refusals": tally.refusals.iter().map(refused).collect::<Vec<_>>(),
            "own_cpu_seconds": self.own_cpu,
            "own_memory_peak": self.own_memory_peak,
            "server_cpu_seconds": self.server_cpu,
            "server_cpu_seconds_until_ended": self.server_cpu_ended,
            "server_cpu_seconds_per_million": self.each_million(self.server_cpu),
            "server_memory": self.server_memory,
            "server_memory_peak": self.server_memory_peak,
        })
    }
}
