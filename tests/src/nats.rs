//! [`NatsServer`]: a real NATS server with JetStream on loopback, and the few requests by which a test makes a stream and reads it.
//!
//! It is that of the tests' Python packages, else `nats-server` of the path.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::line;
use crate::python;
use crate::table::wait_for;

/// The stream of the tests.
const STREAM: &str = "AUDIT";
/// A subject that it takes.
pub const SUBJECT: &str = "audit.all";

/// Who may do what at a guarded server: whoever says no name, anything; `writer`, publish; `reader`, ask for streams.
const RIGHTS: &str = r#"
no_auth_user: anybody
authorization { users: [
    {user: anybody, password: anybody}
    {user: writer, password: writer, permissions: {publish: ["audit.>"], subscribe: ["_INBOX.>"]}}
    {user: reader, password: reader, permissions: {publish: ["$JS.API.>"], subscribe: ["_INBOX.>"]}}
] }
"#;
/// The file that says so, beside the streams.
const SETTINGS: &str = "nats.conf";

/// A NATS server; killed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    /// Where it listens.
    pub address: SocketAddr,
    store: PathBuf,
    child: Child,
}

fn program() -> PathBuf {
    python::program("nats-server").map_or_else(|| "nats-server".into(), |command| command.get_program().into())
}

/// Why there is none here.
#[must_use]
pub fn obstacle() -> Option<String> {
    let version = Command::new(program()).arg("--version").output();
    version.is_err().then(|| "nats-server is not there".to_owned())
}

impl NatsServer {
    /// One that keeps its streams in a directory.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(store: &Path) -> NatsServer {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        NatsServer { address: free, store: store.to_owned(), child: spawn(free, store) }
    }

    /// The same with users: `writer` may publish, `reader` may only ask.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn guarded(store: &Path) -> NatsServer {
        std::fs::write(store.join(SETTINGS), RIGHTS).unwrap();
        NatsServer::start(store)
    }

    /// Lets it end, as an operator would.
    ///
    /// # Panics
    /// When it cannot be told.
    pub fn stop(&mut self) {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap();
    }

    /// Starts it again, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.child = spawn(self.address, &self.store);
    }

    /// Makes the stream.
    ///
    /// # Panics
    /// When it is refused.
    pub fn make_stream(&self) {
        self.set_stream("CREATE", Duration::from_secs(120));
    }

    /// From now on the stream knows repeats for so long.
    ///
    /// # Panics
    /// When it is refused.
    pub fn know_repeats_for(&self, window: Duration) {
        self.set_stream("UPDATE", window);
    }

    fn set_stream(&self, verb: &str, window: Duration) {
        let about = json!({
            "name": STREAM, "subjects": ["audit.>"], "storage": "file", "retention": "limits", "num_replicas": 1,
            "duplicate_window": u64::try_from(window.as_nanos()).unwrap(),
        });
        let made = self.ask(&format!("$JS.API.STREAM.{verb}.{STREAM}"), &about);
        assert!(made["error"].is_null(), "{made}");
    }

    /// All messages of the stream, in order.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{STREAM}"), &json!({}));
        let last = info["state"]["last_seq"].as_u64().unwrap_or_else(|| panic!("{info}"));
        let message = |sequence| {
            let found = self.ask(&format!("$JS.API.STREAM.MSG.GET.{STREAM}"), &json!({"seq": sequence}));
            STANDARD.decode(found["message"]["data"].as_str().unwrap_or_else(|| panic!("{found}"))).unwrap()
        };
        (1..=last).map(message).collect()
    }

    /// A request with its answer.
    fn ask(&self, subject: &str, body: &Value) -> Value {
        let mut input = BufReader::new(TcpStream::connect(self.address).unwrap());
        let body = body.to_string();
        let asked = format!("CONNECT {{\"verbose\":false}}\r\nSUB answers 1\r\nPUB {subject} answers {}\r\n{body}\r\n", body.len());
        input.get_mut().write_all(asked.as_bytes()).unwrap();
        loop {
            let said = line(&mut input).unwrap();
            if let Some(about) = said.strip_prefix("MSG ") {
                let length: usize = about.rsplit(' ').next().unwrap().parse().unwrap();
                let mut payload = vec![0; length];
                input.read_exact(&mut payload).unwrap();
                return serde_json::from_slice(&payload).unwrap();
            }
        }
    }
}

fn spawn(address: SocketAddr, store: &Path) -> Child {
    let mut command = Command::new(program());
    command.args(["-a", "127.0.0.1", "-p", &address.port().to_string(), "-js", "-sd"]).arg(store);
    if store.join(SETTINGS).exists() {
        command.arg("-c").arg(store.join(SETTINGS));
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("nats-server", || TcpStream::connect(address).is_ok());
    child
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
