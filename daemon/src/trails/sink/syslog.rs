//! `syslog`: messages of RFC 5424 over TCP or TLS, counted by octets (RFC 6587, RFC 5425).
//!
//! The message is the event on one line, behind structured data that says where it came from: `[traild@32473 trail=".." sequence=".."]`. There is no
//! acknowledgement in syslog: what was written to a connection is taken to be there, and what the other side had not read when the
//! connection broke is lost without anybody knowing. Two things make that window small: a connection that the other side has closed is found
//! before a batch is written, and after it the connection must still stand for a moment; else the whole batch is sent again, so that messages
//! may come twice. A sink that must be complete is of another kind.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio::time::timeout;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::id::Timestamp;
use trail_engine::index::StoredEvent;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::connection::{Stream, connect};
use crate::trails::sink::http::members::CA_FILE;
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::seam::{Delivered, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "syslog",
    doc: "messages of syslog (RFC 5424) over TCP or TLS",
    members: &[
        Member::new("address", Form::Text, "host and port, such as logs.example.com:6514").required(),
        Member::new("tls", Form::Flag, "whether TLS is spoken; default false"),
        Member::new("facility", Form::Integer(0, 23), "the facility; default 13, log audit"),
        Member::new("hostname", Form::Text, "what stands for the sender; default the name of this machine"),
        Member::new("app_name", Form::Text, "the program; default `traild`"),
        CA_FILE,
    ],
    batch: BatchLimits { events: 1_000, bytes: 1 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

/// `log audit`.
const FACILITY: u64 = 13;
/// `informational`.
const SEVERITY: u64 = 6;
/// The number for examples and documentation (RFC 5612): traild has none of its own.
const ENTERPRISE: u32 = 32_473;
/// The longest time for writing one batch.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// How long a connection must stand after a batch was written.
const STANDS: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Syslog {
    address: Address,
    trust: Option<Trust>,
    header: Arc<Header>,
    hands: Hands,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept(Option<Box<dyn Stream>>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "connected" } else { "not connected" })
    }
}

/// What all messages have before the event.
#[derive(Debug)]
struct Header {
    priority: u64,
    host: String,
    program: String,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let text = members.text("address").unwrap_or_default();
    let wrong = || "`address` must be a host and a port, such as logs.example.com:6514".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let address = Address::read("address", &format!("http://{text}")).map_err(|_| wrong())?;
    if host.is_empty() || port.parse() != Ok(address.port) || !address.path.is_empty() || address.query.is_some() {
        return Err(wrong());
    }
    let trust = if members.flag("tls") { Some(Trust::new(members.text("ca_file"))?) } else { None };
    let header = Header {
        priority: members.number("facility").unwrap_or(FACILITY) * 8 + SEVERITY,
        host: token(members, "hostname", 255)?.unwrap_or_else(machine),
        program: token(members, "app_name", 48)?.unwrap_or_else(|| "traild".into()),
    };
    Ok(Box::new(Syslog { address, trust, header: Arc::new(header), hands: order.hands.clone(), kept: Mutex::default() }))
}

/// The name of this machine, as far as it can stand in a header; `-` is RFC 5424's word for none.
fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic()) { name } else { "-".into() }
}

/// A text that can stand in a header.
fn token(members: &Members<'_>, name: &str, max: usize) -> Result<Option<String>, String> {
    match members.text(name) {
        Some(text) if text.len() > max || !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(format!("`{name}` must be 1 to {max} visible ASCII characters"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

impl Header {
    /// Appends a message with its length before it.
    fn write(&self, trail: &str, event: &StoredEvent, out: &mut Vec<u8>) {
        let Header { priority, host, program } = self;
        let micros = Timestamp(event.event_time.0.div_euclid(1_000) * 1_000);
        let sequence = event.sequence;
        let head =
            format!("<{priority}>1 {micros} {host} {program} - event [traild@{ENTERPRISE} trail=\"{trail}\" sequence=\"{sequence}\"] ");
        out.extend_from_slice(format!("{} ", head.len() + event.text.len()).as_bytes());
        out.extend_from_slice(head.as_bytes());
        // A line break between members is white space to JSON, and ends a message for receivers that do not count.
        out.extend(event.text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    }
}

impl Syslog {
    /// The connection of before, if it still stands, or a new one.
    async fn connected(&self) -> Result<Box<dyn Stream>, Fault> {
        if let Some(mut kept) = self.kept.lock().await.0.take()
            && stands(&mut kept, Duration::ZERO).await
        {
            return Ok(kept);
        }
        connect(&self.address.host, self.address.port, self.trust.as_ref()).await
    }

    async fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        // Taken out: whoever drops this in the middle of a message drops the connection with it.
        let mut stream = self.connected().await?;
        let place = self.address.authority();
        let written = timeout(WRITE_MAX, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        match written.await {
            Err(_) => return Err(Fault::later(format!("{place} did not read what was sent within {} s", WRITE_MAX.as_secs()))),
            Ok(Err(error)) => return Err(Fault::later(format!("the connection with {place} broke: {error}"))),
            Ok(Ok(())) => {}
        }
        if !stands(&mut stream, STANDS).await {
            return Err(Fault::later(format!("{place} closed the connection after what was sent, and may not have read it")));
        }
        self.kept.lock().await.0 = Some(stream);
        Ok(())
    }
}

/// Whether the other side keeps a connection open. It has nothing to say: what it says is read and forgotten.
async fn stands(stream: &mut Box<dyn Stream>, time: Duration) -> bool {
    let mut said = [0; 512];
    loop {
        match timeout(time, stream.read(&mut said)).await {
            Err(_) => return true,
            Ok(Ok(1..)) => {}
            Ok(_) => return false,
        }
    }
}

impl Sink for Syslog {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let (copy, header) = (batch.clone(), self.header.clone());
            let written = self.hands.compute.run(move || {
                let mut out = Vec::with_capacity(usize::try_from(copy.bytes).unwrap_or(0) + 160 * copy.events.len());
                copy.events.iter().for_each(|event| header.write(&copy.trail, event, &mut out));
                Ok(out)
            });
            let messages = written.await.map_err(|e| Fault::later(format!("a batch cannot be written now: {e}")))?;
            self.send(&messages).await?;
            Ok(Delivered { objects: 1, bytes: messages.len() as u64, ..Delivered::default() })
        })
    }

    /// Sends a message that says what it is: syslog cannot be asked for anything.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async move {
            let Header { priority, host, program } = &*self.header;
            let now = Timestamp(SystemClock::new().now().0.div_euclid(1_000) * 1_000);
            let message = format!("<{priority}>1 {now} {host} {program} - probe - written by traild to find out whether it may");
            self.send(format!("{} {message}", message.len()).as_bytes()).await
        })
    }
}

#[cfg(test)]
mod tests {
    use trail_engine::id::Sequence;

    use super::*;

    #[test]
    fn messages_are_those_of_the_rfc() {
        let header = Header { priority: 110, host: "h1".into(), program: "traild".into() };
        let text = b"{\"a\":\n\"\xc3\xa9\"}".to_vec();
        let (received_at, event_time) = (Timestamp(0), Timestamp(1_795_334_400_123_456_789));
        let event = StoredEvent { sequence: Sequence(7), received_at, event_time, time_is_received: false, text };
        let mut out = Vec::new();
        header.write("all", &event, &mut out);
        header.write("all", &event, &mut out);
        let message = "<110>1 2026-11-22T08:00:00.123456Z h1 traild - event [traild@32473 trail=\"all\" sequence=\"7\"] {\"a\": \"é\"}";
        assert_eq!(String::from_utf8(out).unwrap(), format!("{0} {message}{0} {message}", message.len()));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_does_not_stand() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut stream = connect("127.0.0.1", port, None).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        other.write_all(b"welcome").await.unwrap();
        assert!(stands(&mut stream, Duration::from_millis(50)).await);
        drop(other);
        assert!(!stands(&mut stream, Duration::from_secs(10)).await);
    }
}
