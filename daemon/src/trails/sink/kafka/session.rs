//! [`Session`]: a connection with one broker that can what we need.
//!
//! Requests are answered in their order, so that several may be on the way. Limits: those of [`frame`].

use std::fmt;
use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::connection::{CONNECT_MAX, Stream, connect};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::kafka::codes::said;
use crate::trails::sink::kafka::frame;
use crate::trails::sink::kafka::messages::{API_VERSIONS, Api, INIT_PRODUCER_ID, METADATA, PRODUCE, Versions, request, versions};

/// What we call ourselves.
const CLIENT: &str = "traild";

/// A connection with a broker.
pub struct Session {
    stream: Box<dyn Stream>,
    place: String,
    known: Versions,
    /// The number of the last request, and of the last answer.
    asked: i32,
    answered: i32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.place)
    }
}

impl Session {
    /// Connects, and finds out whether the broker can what a producer needs, and these.
    ///
    /// # Errors
    /// When it is not there, is none, or is too old.
    pub async fn open(host: &str, port: u16, trust: Option<&Trust>, more: &[Api]) -> Result<Session, Fault> {
        let stream = connect(host, port, trust).await?;
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let late = Fault::later(format!("{place} did not say what it can within {} s", CONNECT_MAX.as_secs()));
        let mut session = Session { stream, place, known: Versions::new(), asked: 0, answered: 0 };
        let known = timeout(CONNECT_MAX, session.ask(API_VERSIONS, &[])).await.unwrap_or(Err(late)).map_err(|fault| {
            let hint = if trust.is_some() { "is it a broker" } else { "is it a broker, and does it want `tls`" };
            Fault { message: format!("{}; {hint}", fault.message), ..fault }
        })?;
        session.known = session.read_known(&known)?;
        session.check(more)?;
        Ok(session)
    }

    fn read_known(&self, answer: &[u8]) -> Result<Versions, Fault> {
        let known = versions(answer).ok_or_else(|| self.strange(API_VERSIONS))?;
        known.map_err(|code| said(code, &self.place, "").fault().unwrap_or_else(|| self.strange(API_VERSIONS)))
    }

    /// Whether the broker knows a request.
    #[must_use]
    pub fn knows(&self, api: Api) -> bool {
        self.known.get(&api.key).is_some_and(|(from, to)| (*from..=*to).contains(&api.version))
    }

    fn check(&self, more: &[Api]) -> Result<(), Fault> {
        for api in [PRODUCE, METADATA, INIT_PRODUCER_ID].iter().chain(more) {
            if !self.knows(*api) {
                return Err(Fault::setup(format!(
                    "{} does not know version {} of {}: traild needs Kafka 2.5 or newer",
                    self.place, api.version, api.name
                )));
            }
        }
        Ok(())
    }

    /// Who it is.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Said of an answer that is none.
    #[must_use]
    pub fn strange(&self, api: Api) -> Fault {
        Fault::setup(format!("{} does not answer {} as Kafka does", self.place, api.name))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn ask(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, Fault> {
        self.send(api, body).await?;
        self.receive().await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, api: Api, body: &[u8]) -> Result<(), Fault> {
        self.asked = self.asked.wrapping_add(1);
        let bytes = request(api, self.asked, CLIENT, body);
        let written = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|e| self.broken(&e))
    }

    /// The answer to the next request that has none yet.
    ///
    /// # Errors
    /// When the connection breaks, or it is another's answer.
    pub async fn receive(&mut self) -> Result<Vec<u8>, Fault> {
        self.answered = self.answered.wrapping_add(1);
        frame::read(&mut self.stream, self.answered).await.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData if e.get_ref().is_some() => Fault::setup(format!("{} {e}", self.place)),
            _ => self.broken(&e),
        })
    }

    fn broken(&self, error: &io::Error) -> Fault {
        Fault::later(format!("the connection with {} broke: {error}", self.place))
    }
}
