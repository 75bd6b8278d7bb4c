//! [`Session`]: a connection with a NATS server that has let us in.

use std::fmt;
use std::io;

use serde_json::json;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::connection::{CONNECT_MAX, Stream, reach};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::http::verdict::clip;
use crate::trails::sink::nats::protocol::{Info, Said, read};

/// Who we are.
#[derive(Clone)]
pub enum Login {
    /// Nobody in particular.
    None,
    /// A user and a password.
    User(String, String),
    /// A token.
    Token(String),
}

/// Without what is secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// A connection on which messages can be published.
pub struct Session {
    stream: BufReader<Box<dyn Stream>>,
    /// What the server is and can.
    pub info: Info,
    /// What the subjects of acknowledgements begin with.
    pub inbox: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.inbox)
    }
}

/// What a broken connection means.
#[must_use]
pub fn broken(place: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::InvalidData => Fault::setup(format!("{place} does not speak NATS: {error}")),
        _ => Fault::later(format!("the connection with {place} broke: {error}")),
    }
}

/// What an error of the server means.
#[must_use]
pub fn refused(place: &str, error: &str) -> Fault {
    let lower = error.to_ascii_lowercase();
    let message = format!("{place} says: {}", clip(error));
    if lower.contains("authoriz") || lower.contains("permission") || lower.contains("authentication") || lower.contains("tls required") {
        return Fault::setup(format!("{message}; the user, password or token of the sink is wrong, or may not publish there"));
    }
    Fault::later(message)
}

/// What it means that nobody answers on a subject.
#[must_use]
pub fn unheard(place: &str, subject: &str) -> Fault {
    Fault::setup(format!("no stream of {place} takes the subject {subject}: make one"))
}

/// What it means that somebody else than a stream does.
#[must_use]
pub fn no_stream(place: &str, subject: &str) -> Fault {
    Fault::setup(format!("what answers on {subject} at {place} is no stream"))
}

impl Session {
    /// Connects, logs in, and listens for acknowledgements, within [`CONNECT_MAX`].
    ///
    /// # Errors
    /// When the server is not there, is none, or does not let us in.
    pub async fn open(address: &Address, trust: Option<&Trust>, login: &Login) -> Result<Session, Fault> {
        let late = || Fault::later(format!("no connection with {} within {} s", address.authority(), CONNECT_MAX.as_secs()));
        timeout(CONNECT_MAX, Session::begin(address, trust, login)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn begin(address: &Address, trust: Option<&Trust>, login: &Login) -> Result<Session, Fault> {
        let place = address.authority();
        let mut plain = BufReader::new(reach(&address.host, address.port).await?);
        // A server speaks first, without TLS.
        let Said::Info(info) = read(&mut plain).await.map_err(|e| broken(&place, &e))? else {
            return Err(Fault::setup(format!("{place} does not speak NATS")));
        };
        if !info.headers {
            return Err(Fault::setup(format!("{place} is too old: it knows no headers, and so no repeats")));
        }
        let stream: Box<dyn Stream> = match trust {
            Some(trust) => Box::new(trust.wrap(&address.host, plain.into_inner()).await?),
            None if info.tls_required => return Err(Fault::setup(format!("{place} speaks TLS only: write tls:// in the url"))),
            None => Box::new(plain.into_inner()),
        };
        let random = getrandom::u64().map_err(|e| Fault::later(format!("no random number: {e}")))?;
        let inbox = format!("_INBOX.traild{random:016x}");
        let mut session = Session { stream: BufReader::new(stream), info, inbox };
        session.log_in(&place, trust.is_some(), login).await?;
        Ok(session)
    }

    async fn log_in(&mut self, place: &str, tls: bool, login: &Login) -> Result<(), Fault> {
        let mut about = json!({
            "verbose": false, "pedantic": false, "tls_required": tls, "name": "traild", "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1, "headers": true, "no_responders": true,
        });
        match login {
            Login::None => {}
            Login::User(user, password) => (about["user"], about["pass"]) = (json!(user), json!(password)),
            Login::Token(token) => about["auth_token"] = json!(token),
        }
        let hello = format!("CONNECT {about}\r\nSUB {}.* 1\r\nPING\r\n", self.inbox);
        self.write(place, hello.as_bytes()).await?;
        loop {
            match self.next(place).await? {
                Said::Pong => return Ok(()),
                Said::Message(..) | Said::Info(_) | Said::Ping | Said::Fine => {}
                Said::Error(error) => return Err(refused(place, &error)),
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn write(&mut self, place: &str, bytes: &[u8]) -> Result<(), Fault> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|e| broken(place, &e))
    }

    /// What the server says next; its questions whether we are there are answered.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn next(&mut self, place: &str) -> Result<Said, Fault> {
        let said = read(&mut self.stream).await.map_err(|e| broken(place, &e))?;
        if said == Said::Ping {
            self.write(place, b"PONG\r\n").await?;
        }
        Ok(said)
    }
}
