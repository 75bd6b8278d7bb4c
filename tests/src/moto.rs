//! [`Moto`]: an S3 server that was written by others, in memory, as a process of its own.
//!
//! It does not check signatures unless it is told to; the bucket is looked at over plain HTTP. Limits: a small part of S3, no pages of lists.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};

use ring::digest::{SHA256, digest};

use crate::client::{Answer, Client};
use crate::python::{program, skip};
use crate::table::wait_for;

/// What moto takes for a signature.
const SIGNED: (&str, &str) =
    ("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0");

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Moto {
    /// Starts one, or says why the test is skipped.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start() -> Option<Moto> {
        let Some(mut command) = program("moto_server") else {
            skip("moto");
            return None;
        };
        let address = free_address();
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Moto { child: command.spawn().unwrap(), address };
        wait_for("moto", || std::net::TcpStream::connect(address).is_ok());
        Some(moto)
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        Client::new(self.address).send(method, path, &[SIGNED], body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// When it is not made.
    pub fn make_bucket(&self, name: &str) {
        assert_eq!(self.ask("PUT", &format!("/{name}"), b"").status, 200);
    }

    /// From now on, checks keys; there are none, so that every key is wrong. Or takes all again.
    ///
    /// # Panics
    /// When it does not do it.
    pub fn check_keys(&self, check: bool) {
        let free: &[u8] = if check { b"0" } else { b"1000000" };
        assert_eq!(self.ask("POST", "/moto-api/reset-auth", free).status, 200);
    }

    /// The names of the objects of a bucket, sorted.
    ///
    /// # Panics
    /// When there is no such bucket.
    #[must_use]
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("/{bucket}?list-type=2&max-keys=100000"), b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = String::from_utf8(answer.body).unwrap();
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// An object with its headers.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn object(&self, bucket: &str, name: &str) -> Answer {
        let answer = self.ask("GET", &format!("/{bucket}/{name}"), b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer
    }

    /// The events in the objects under a folder, in the order of their names, which must be numbered without holes. Every object has the SHA-256 that its metadata says.
    ///
    /// # Panics
    /// When a number is missing or there twice, or an object is not what it says.
    #[must_use]
    pub fn events(&self, bucket: &str, folder: &str) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for (i, name) in self.names(bucket).iter().filter(|name| name.starts_with(folder)).enumerate() {
            assert!(name.rsplit('/').next().unwrap().starts_with(&format!("{:012}-", i + 1)), "{name} is not the object {}", i + 1);
            let object = self.object(bucket, name);
            let sum: String = digest(&SHA256, &object.body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(object.header("x-amz-meta-sha256"), Some(&*sum), "{name}");
            let lines = if name.ends_with(".zst") { zstd::decode_all(&object.body[..]).unwrap() } else { object.body };
            events.extend(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
        }
        events
    }

    /// Puts an object.
    ///
    /// # Panics
    /// When it is not taken.
    pub fn put(&self, bucket: &str, name: &str, bytes: &[u8]) {
        assert_eq!(self.ask("PUT", &format!("/{bucket}/{name}"), bytes).status, 200);
    }

    /// Removes an object.
    ///
    /// # Panics
    /// When it is not removed.
    pub fn remove(&self, bucket: &str, name: &str) {
        assert_eq!(self.ask("DELETE", &format!("/{bucket}/{name}"), b"").status, 204);
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address at which nobody listens now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
