//! [`Subject`]: a server on a directory of its own, what is stored in it, and its trails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use trail_rig::{Connection, Process, Result, Server, now, target};

use crate::ground::Ground;

/// How long may be waited for what must come.
const TIME_MAX: Duration = Duration::from_secs(600);
/// How often a trail is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);
const ALL_TIME: [(&str, &str); 2] = [("from", "0"), ("to", "4102444800000")];

/// A server, and the folder in which everything is; the folder goes with it.
#[derive(Debug)]
pub(crate) struct Subject {
    server: Server,
    folder: PathBuf,
    load: PathBuf,
}

impl Subject {
    /// Starts one; `settings` are written as in the configuration, `NAME=VALUE`.
    pub(crate) fn start(ground: &Ground<'_>, settings: &[(&str, &str)]) -> Result<Subject> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("deliver-data-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Beside the build, not in /tmp, which may be memory: then "durable" would cost nothing.
        let folder = std::env::current_exe()?.with_file_name(name);
        std::fs::create_dir(&folder)?;
        let settings: Vec<(String, String)> =
            settings.iter().map(|(name, value)| (format!("TRAILD_{}", name.to_uppercase()), (*value).to_owned())).collect();
        let server = Server::start(&ground.binary, &folder.join("log"), &settings)?;
        Ok(Subject { server, folder, load: ground.load.clone() })
    }

    /// A folder to deliver to.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn connection(&self) -> Result<Connection> {
        Connection::open(self.server.address())
    }

    /// CPU seconds since its start.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.server.process().and_then(Process::cpu_seconds).ok_or_else(|| "the server is gone".into())
    }

    /// Puts load on it; what the load says.
    pub(crate) fn store(&self, words: &[String]) -> Result<Value> {
        let url = format!("http://{}", self.server.address());
        let output =
            Command::new(&self.load).args(["--json", "--url", &url]).args(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the load failed: {}", String::from_utf8_lossy(&output.stdout)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits until nothing is only in memory.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut connection = self.connection()?;
        let flushed = || Ok(connection.get("/v1/stats")?.json()?["head_events"].as_u64() == Some(0));
        until("everything is flushed", flushed).map(drop)
    }

    /// How many events pass a filter.
    pub(crate) fn count(&self, filter: &str) -> Result<u64> {
        let answer = self.connection()?.get(&target("/v1/count", &[ALL_TIME[0], ALL_TIME[1], ("q", filter)]))?.json()?;
        answer["count"].as_u64().ok_or_else(|| format!("no count in {answer}").into())
    }

    /// Makes trails and starts them.
    pub(crate) fn begin(&self, definitions: &[Value]) -> Result<()> {
        let mut connection = self.connection()?;
        for definition in definitions {
            let answer = connection.post_json("/v1/trails", definition.to_string().as_bytes())?;
            if !matches!(answer.status, 200 | 201) {
                return Err(format!("a trail is refused: {}", String::from_utf8_lossy(&answer.body)).into());
            }
        }
        Ok(())
    }

    /// Waits until a trail has delivered what there is.
    pub(crate) fn arrive(&self, trail: &str) -> Result<Duration> {
        let mut connection = self.connection()?;
        let path = format!("/v1/trails/{trail}/status");
        until("a trail has delivered everything", || {
            let status = connection.get(&path)?.json()?;
            let sink = &status["sinks"][0];
            if let Some(error) = sink["last_error"].as_str() {
                return Err(error.to_owned().into());
            }
            Ok(sink["lag_events"].as_u64() == Some(0) && sink["position"].as_u64() >= status["last_sequence"].as_u64())
        })
    }

    /// Stops it.
    pub(crate) fn stop(self) -> Result<()> {
        let Subject { server, folder, .. } = self;
        server.stop()?;
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}

/// Looks until something is so; how long that took.
fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let start = now();
    while !is_so()? {
        if start.elapsed() > TIME_MAX {
            return Err(format!("after {} s it is not so that {what}", TIME_MAX.as_secs()).into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(start.elapsed())
}

/// The words of a load of so many events, a thousand a request.
pub(crate) fn load_of(events: u64, seed: u64) -> Vec<String> {
    ["--events", &events.to_string(), "--seed", &seed.to_string(), "--batch", "1000", "--connections", "2"].map(str::to_owned).to_vec()
}

/// The sink of a folder.
pub(crate) fn folder_sink(path: &Path, more: Value) -> Value {
    let mut sink = serde_json::json!({"type": "file", "path": path, "batch": {"seconds": 1}});
    if let (Some(sink), Value::Object(more)) = (sink.as_object_mut(), more) {
        sink.extend(more);
    }
    sink
}
